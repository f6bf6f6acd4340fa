"""The tables of sound: means per data set, AUROC and pAUC of each class, what each class was trained and judged on.

A macro mean is the plain mean over classes (DCASE: over machines' sections), and stands only where a method has a
figure for every class that any method has one for. Read `item_tables.py` for the files.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from oddwave.lab.bench.item_tables import Facts, facts_of, with_figures, write_item_tables
from oddwave.lab.bench.markdown import Row, failed_cells, section

__all__ = ["audio_markdown", "write_audio_tables"]

_METRICS = {"auroc": "AUROC", "auprc": "AUPR", "pauc": "pAUC"}
_COSTS = {
    "fit_s": "fit, CPU s",
    "score_s": "score, CPU s",
    "fit_wall_s": "fit, s",
    "score_wall_s": "score, s",
    "peak_mb": "peak MB",
}
_BY_CLASS = {"auroc": "AUROC", "pauc": "pAUC"}
_MOST_COLUMNS = 10
_INTRODUCTION = """# Audio benchmark

One-class: a model hears the normal recordings of the training part, without labels, and gives each test recording one
score. Macro mean: plain mean over classes, then mean ± standard deviation over seeds; blank where cells are missing.
Best in bold. AUROC, AUPR and pAUC are over recordings; pAUC is the area up to a false-positive rate of 0.1,
standardised (McClish) so that 0.5 is chance, as the DCASE tasks have it. No threshold, setting, noise level or
checkpoint is chosen on a label. Audio is mixed to one channel and resampled to 16 kHz; baselines hear clips of 4 s that
overlap by a quarter, shorter recordings filled up by mirroring, and a recording has the score of its most anomalous
clip. Seconds are for all recordings of a class, files to scores."""
_PROTOCOLS = {
    "urbansound8k": "Each of the 10 classes normal in turn. Train: the class's clips in folds 1 and 2. Test: all clips "
    "of fold 10, those of the other 9 classes being anomalous.",
    "esc10": "Each of the 10 classes normal in turn. Train: the class's clips in folds 1 to 4. Test: all of fold 5.",
    "esc50": "Each of the 50 classes normal in turn. Train: the class's clips in folds 1 to 4. Test: all of fold 5.",
    "dcase": "Development data, one model per machine and section. Train: `train`, all domains. Test: `test`, all "
    "domains together.",
}


def write_audio_tables(out: Path, rows: Sequence[Row]) -> Path:
    """Write `audio.csv`, `audio.jsonl.gz` and `audio.md`; return the last.

    Raises:
        CheckpointError: `out` cannot be written.
    """
    facts = [facts_of(out, row) for row in rows]
    return write_item_tables(out, "audio", rows, facts, audio_markdown(rows, facts))


def audio_markdown(rows: Sequence[Row], facts: Sequence[Facts]) -> str:
    """Return the tables of cells, with what else is known of each."""
    full = [with_figures(row, own) for row, own in zip(rows, facts, strict=True)]
    parts = [_INTRODUCTION]
    for dataset in sorted({row["dataset"] for row in rows}):
        own = _with_macro([row for row in full if row["dataset"] == dataset])
        items = sorted({row["item"] for row in own})
        macro = {f"macro {metric}": title for metric, title in _METRICS.items()}
        parts += section(f"{dataset}: mean over {_classes(len(items))}", own, macro | _COSTS)
        parts += ["", _PROTOCOLS.get(dataset, "")]
        for metric, title in _BY_CLASS.items():
            parts += _by_class(f"{dataset}: {title} by normal class", own, items, metric)
        parts += _sizes(f"{dataset}: recordings", own, items)
    return "\n".join([*parts, *failed_cells(rows)]) + "\n"


def _with_macro(rows: Sequence[Row]) -> list[Row]:
    """Add the columns of macro means to the rows of those methods and seeds that have all classes."""
    has: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row["auroc"] and not row["error"]:
            has[row["method"], row["seed"]].add(row["item"])
    every = set().union(*has.values())
    return [
        {**row, **{f"macro {metric}": row[metric] for metric in _METRICS}}
        if has[row["method"], row["seed"]] == every
        else row
        for row in rows
    ]


def _by_class(title: str, rows: Sequence[Row], items: Sequence[str], metric: str) -> list[str]:
    """Return the figures of each class in a column of its own, so many columns a table."""
    lines: list[str] = []
    by_class = [{**row, f"class {row['item']}": row[metric]} for row in rows]
    for first in range(0, len(items), _MOST_COLUMNS):
        columns = {f"class {item}": item for item in items[first : first + _MOST_COLUMNS]}
        part = f", {first + 1} to {first + len(columns)} of {len(items)}" * (len(items) > _MOST_COLUMNS)
        lines += section(title + part, by_class, {f"macro {metric}": "macro mean"} | columns)
    return lines


def _sizes(title: str, rows: Sequence[Row], items: Sequence[str]) -> list[str]:
    """Return how many recordings each class was trained and judged on."""
    known = {row["item"]: row for row in rows if row.get("num_train")}
    if not known:
        return []
    lines = ["", f"## {title}", "", "| normal class | train | test, normal | test, anomalous |", "|---|---:|---:|---:|"]
    for row in (known[item] for item in items if item in known):
        normal = int(row["num_normal"])
        lines.append(f"| {row['item']} | {row['num_train']} | {normal} | {int(row['num_scored']) - normal} |")
    return lines


def _classes(num: int) -> str:
    return f"{num} class{'es' * (num != 1)}"
