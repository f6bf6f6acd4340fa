"""The tables of the ablation: each variant's AUROC, and its difference to the reference of its ground.

    delta      mean over items, then mean and standard deviation over seeds, of variant minus reference
    interval   95 % percentile bootstrap of the mean difference over all (item, seed) pairs that have both, 10,000
               resamples with a fixed seed; no interval for fewer than two pairs

Pairs of one item are alike: the interval says how sure the mean over these very items is, no more. The paper's figures
stand beside those of its own switches. Read `ablation.py` for the variants.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.files import write_bytes_atomic
from oddwave.lab.bench.ablation import (
    ABSENT,
    GROUNDS,
    REFERENCES,
    VARIANTS,
    AblationModality,
    Ground,
    is_variant,
    variant_of,
)
from oddwave.lab.bench.markdown import Row, csv_text, failed_cells, section
from oddwave.lab.bench.paper import paper_ablation
from oddwave.lab.bench.protocol import modality_of
from oddwave.lab.bench.run_facts import cell_records, write_run_facts

__all__ = [
    "GROUND_TITLES",
    "MODALITY_TITLES",
    "Comparison",
    "ablation_markdown",
    "bootstrap_interval",
    "compare",
    "write_ablation_tables",
]

_RESAMPLES = 10_000
_COVERAGE = 0.95
_MODALITIES: tuple[AblationModality, ...] = ("image", "series")
MODALITY_TITLES: Mapping[AblationModality, str] = {"image": "Images", "series": "Series"}
GROUND_TITLES: Mapping[Ground, str] = {"paper": "the paper's setting", "own": "oddwave's own defaults"}

_COLUMNS = (
    "modality", "ground", "variant", "reference", "changes", "auroc", "auroc_sd", "delta", "delta_sd", "delta_low",
    "delta_high", "num_items", "num_seeds", "num_pairs", "paper_auc", "paper_delta", "fit_s", "score_s", "num_errors",
)  # fmt: skip
_INTRODUCTION = """# Ablation

AUROC of each variant: mean over items, then mean ± standard deviation over seeds. Delta: the same of variant minus
reference (first line of each table), over the cells that both have; in brackets the 95 % bootstrap interval of the mean
difference over (item, seed) pairs, which says how sure the mean over these very items is. A delta whose interval holds
0 is printed in plain, the others in bold. Paper: Chen 2025, Table III, which has no error bars. What each variant
changes is named in the last column, on top of the settings of its ground below the table."""


@dataclass(frozen=True)
class Comparison:
    """A variant beside its reference; `None` stands where no cell, or no pair of cells, says anything."""

    modality: AblationModality
    variant: str
    auroc: float | None
    auroc_sd: float | None
    delta: float | None
    delta_sd: float | None
    interval: tuple[float, float] | None
    num_items: int
    num_seeds: int
    num_pairs: int
    fit_s: float | None
    score_s: float | None
    num_errors: int

    @property
    def ground(self) -> Ground:
        """What the variant changes."""
        return VARIANTS[self.variant].ground

    @property
    def reference(self) -> str:
        """What it is compared with."""
        return REFERENCES[self.ground]

    @property
    def paper_auc(self) -> float | None:
        """The paper's figure for this variant."""
        return paper_ablation(self.modality).get(self.variant)

    @property
    def paper_delta(self) -> float | None:
        """The paper's difference to its full model."""
        known = paper_ablation(self.modality)
        return known[self.variant] - known["full"] if self.variant in known else None


def write_ablation_tables(out: Path, rows: Sequence[Row]) -> Path:
    """Write `ablation.csv`, `ablation.jsonl.gz` (with each cell's figure) and `ablation.md`; return the last.

    Rows of other methods are passed over. Raises: CheckpointError if they cannot be written.
    """
    own = [row for row in rows if is_variant(row["method"])]
    compared = compare(own)
    records = [
        *({"record": "ground", "name": name, **{each: list(texts) for each, texts in of.items()}}
          for name, of in GROUNDS.items()),
        *({"record": "absent", "name": name, **reasons} for name, reasons in ABSENT.items()),
        *({"record": "comparison", **_values(each)} for each in compared),
        *cell_records(own),
    ]  # fmt: skip
    table = [{name: _text(value) for name, value in _values(each).items()} for each in compared]
    write_bytes_atomic(out / "ablation.csv", csv_text(table, _COLUMNS).encode())
    write_run_facts(out / "ablation.jsonl.gz", records)
    write_bytes_atomic(out / "ablation.md", ablation_markdown(own).encode())
    return out / "ablation.md"


def compare(rows: Sequence[Row]) -> list[Comparison]:
    """Compare each variant among the rows with the reference of its ground, in the order of `VARIANTS`."""
    found = []
    for modality in _MODALITIES:
        own: dict[str, list[Row]] = {}
        for row in rows:
            if modality_of(row["dataset"]) == modality:
                own.setdefault(variant_of(row["method"]).name, []).append(row)
        reference = {name: _by_cell(own.get(name, ())) for name in REFERENCES.values()}
        found += [
            _compared(modality, name, own[name], reference[REFERENCES[variant.ground]])
            for name, variant in VARIANTS.items()
            if name in own
        ]
    return found


def bootstrap_interval(differences: Float[np.ndarray, " n"]) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of the mean; none for fewer than two differences."""
    if len(differences) < 2:
        return None
    drawn = np.random.default_rng(0).integers(0, len(differences), (_RESAMPLES, len(differences)))
    low, high = np.quantile(differences[drawn].mean(1), [(1 - _COVERAGE) / 2, (1 + _COVERAGE) / 2])
    return float(low), float(high)


def ablation_markdown(rows: Sequence[Row]) -> str:
    """Return the tables of the ablation's cells: per modality and ground, then AUROC by item."""
    compared = compare(rows)
    parts = [_INTRODUCTION]
    for modality in _MODALITIES:
        own = [each for each in compared if each.modality == modality]
        if not own:
            continue
        for ground in GROUNDS:
            parts += _ground_table(modality, ground, [each for each in own if each.ground == ground])
        parts += _absent(modality)
        parts += _by_item(modality, [row for row in rows if modality_of(row["dataset"]) == modality])
    return "\n".join([*parts, *failed_cells(rows)]) + "\n"


def _by_cell(rows: Iterable[Row]) -> dict[tuple[str, str, str, str], float]:
    """Return the AUROC of each finished cell by its place and seed."""
    return {
        (row["dataset"], row["item"], row["protocol"], row["seed"]): float(row["auroc"])
        for row in rows
        if row["auroc"] and not row["error"]
    }


def _compared(
    modality: AblationModality, name: str, rows: Sequence[Row], reference: Mapping[tuple[str, str, str, str], float]
) -> Comparison:
    figures = _by_cell(rows)
    differences = {cell: value - reference[cell] for cell, value in figures.items() if cell in reference}
    is_reference = name in REFERENCES.values()
    auroc, delta = _over_seeds(figures), _over_seeds({} if is_reference else differences)
    fit_s, score_s = (_mean_cost(rows, name) for name in ("fit_s", "score_s"))
    return Comparison(
        modality=modality,
        variant=name,
        auroc=auroc[0],
        auroc_sd=auroc[1],
        delta=delta[0],
        delta_sd=delta[1],
        interval=None if is_reference else bootstrap_interval(np.array(list(differences.values()))),
        num_items=len({cell[:3] for cell in figures}),
        num_seeds=len({cell[3] for cell in figures}),
        num_pairs=len(differences),
        fit_s=fit_s,
        score_s=score_s,
        num_errors=sum(bool(row["error"]) for row in rows),
    )


def _mean_cost(rows: Iterable[Row], name: str) -> float | None:
    values = [float(row[name]) for row in rows if row[name] and not row["error"]]
    return float(np.mean(values)) if values else None


def _over_seeds(figures: Mapping[tuple[str, str, str, str], float]) -> tuple[float | None, float | None]:
    """Return mean and deviation over seeds of the means over items; no deviation of a single seed."""
    seeds: dict[str, list[float]] = {}
    for cell, value in figures.items():
        seeds.setdefault(cell[3], []).append(value)
    means = [float(np.mean(values)) for values in seeds.values()]
    if not means:
        return None, None
    return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else None


def _ground_table(modality: AblationModality, ground: Ground, compared: Sequence[Comparison]) -> list[str]:
    if not compared:
        return []
    columns = ["variant", "AUROC", "delta", "paper, AUC", "paper, delta", "fit, CPU s", "pairs", "changes"]
    lines = ["", f"## {MODALITY_TITLES[modality]}, {GROUND_TITLES[ground]}", "", f"| {' | '.join(columns)} |"]
    lines.append("|---|" + "---:|" * (len(columns) - 2) + "---|")
    for each in compared:
        changes = ", ".join(f"`{text}`" for text in VARIANTS[each.variant].changes[modality])
        failed = f" ({each.num_errors} failed)" if each.num_errors else ""
        cells = [
            each.variant,
            _with_deviation(each.auroc, each.auroc_sd),
            _delta(each),
            _figure(each.paper_auc),
            _figure(each.paper_delta, "+.3f"),
            _figure(each.fit_s, ".1f"),
            f"{each.num_pairs}{failed}",
            changes,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    settings = ", ".join(f"`{text}`" for text in GROUNDS[ground][modality]) or "none"
    return [*lines, "", f"Settings of this ground, besides the preset `balanced`: {settings}."]


def _absent(modality: AblationModality) -> list[str]:
    lines = [f"- `{name}`: {reason}" for name, reason in ABSENT[modality].items()]
    return ["", f"## {MODALITY_TITLES[modality]}: switches that are not there", "", *lines]


def _by_item(modality: AblationModality, rows: Sequence[Row]) -> list[str]:
    """Return AUROC item by item, best first."""
    items = {f"{row['dataset']} {row['item']} {row['protocol']}": row["item"].rpartition("/")[2] for row in rows}
    named = [
        {
            **row,
            "method": variant_of(row["method"]).name,
            f"{row['dataset']} {row['item']} {row['protocol']}": row["auroc"],
        }
        for row in rows
    ]
    return section(f"{MODALITY_TITLES[modality]}: AUROC by item", named, items)


def _delta(each: Comparison) -> str:
    if each.delta is None:
        return ""
    text = _with_deviation(each.delta, each.delta_sd, "+.3f")
    if each.interval is None:
        return text
    low, high = each.interval
    return f"{f'**{text}**' if low > 0 or high < 0 else text} [{low:+.3f}, {high:+.3f}]"


def _with_deviation(mean: float | None, deviation: float | None, form: str = ".3f") -> str:
    return _figure(mean, form) + ("" if deviation is None else f" ± {deviation:.3f}")


def _figure(value: float | None, form: str = ".3f") -> str:
    return "" if value is None else format(value, form)


def _values(each: Comparison) -> dict[str, Any]:
    """Return a comparison by the names of the columns; the run facts and the CSV hold the same."""
    low, high = each.interval or (None, None)
    own = {name: getattr(each, name) for name in _COLUMNS if name not in ("changes", "delta_low", "delta_high")}
    own |= {"changes": list(VARIANTS[each.variant].changes[each.modality]), "delta_low": low, "delta_high": high}
    return {name: round(own[name], 5) if isinstance(own[name], float) else own[name] for name in _COLUMNS}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(value)
    return "" if value is None else str(value)
