"""From cells to tables: pooled metrics, means over items, mean and deviation over seeds, as Markdown.

`nab / corpus` rows are added: NAB's own score over the labelled files, scores standardised per file by median
and interquartile range, its threshold chosen on the labels as NAB's rule demands.
Means over items leave out cells with an error, and the tables say how many cells stand behind each mean.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.bench.protocol import COLUMNS, Cell, Task
from oddwave.errors import DataError
from oddwave.metrics.nab_score import nab_score
from oddwave.training.checkpoint import write_bytes_atomic

__all__ = ["pooled_rows", "summary_markdown", "write_tables"]

_METRICS = ("auroc", "auprc", "vus_pr", "vus_roc", "nab_score", "fit_s", "score_s", "peak_mb")
_TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPR",
    "vus_pr": "VUS-PR",
    "vus_roc": "VUS-ROC",
    "nab_score": "NAB score",
    "fit_s": "fit, CPU s",
    "score_s": "score, CPU s",
    "peak_mb": "peak MB",
}
_SINGLE_ITEMS = ("realKnownCause/nyc_taxi", "realKnownCause/machine_temperature_system_failure")

Row = Mapping[str, str]


def write_tables(out: Path, rows: Sequence[Row], tasks: Sequence[Task]) -> Path:
    """Write `out/series.md` (tables) and `out/series.csv` (all cells and the pooled ones); return the Markdown file.

    Raises:
        CheckpointError: `out` cannot be written.
    """
    everything = [*rows, *pooled_rows(out, rows, tasks)]
    lines = [",".join(COLUMNS), *(",".join(_quoted(row.get(name, "")) for name in COLUMNS) for row in everything)]
    write_bytes_atomic(out / "series.csv", ("\n".join(lines) + "\n").encode())
    write_bytes_atomic(out / "series.md", summary_markdown(everything).encode())
    return out / "series.md"


def pooled_rows(out: Path, rows: Sequence[Row], tasks: Sequence[Task]) -> list[dict[str, str]]:
    """Compute the pooled rows whose cells are all there."""
    by_place = {(t.dataset, t.item, t.protocol): t for t in tasks}
    groups: dict[tuple[str, str, str, str], list[tuple[Task, Path]]] = {}
    for row in rows:
        task = by_place.get((row["dataset"], row["item"], row["protocol"]))
        if task is not None and not row["error"] and row["dataset"] == "nab":
            cell = Cell(row["dataset"], row["item"], row["protocol"], row["method"], int(row["seed"]))
            key = (row["dataset"], row["protocol"], row["method"], row["seed"])
            groups.setdefault(key, []).append((task, out / "scores" / cell.file_name))
    wanted = {place: sum(t.dataset == place[0] and t.protocol == place[1] for t in tasks) for place in
              {(t.dataset, t.protocol) for t in tasks}}  # fmt: skip
    result = []
    for (dataset, protocol, method, seed), members in sorted(groups.items()):
        present = [(task, path) for task, path in members if path.exists()]
        if len(present) < wanted[dataset, protocol]:
            continue
        row = dict.fromkeys(COLUMNS, "") | {"dataset": dataset, "protocol": protocol, "method": method, "seed": seed}
        scores = [_clean(np.load(path)) for _, path in present]
        if protocol == "unsupervised":
            value = nab_score([_standardised(s) for s in scores], [task.windows for task, _ in present]).value
            row |= {"item": "corpus", "nab_score": f"{value:.3f}"}
        else:
            continue
        result.append(row)
    return result


def summary_markdown(rows: Sequence[Row]) -> str:
    """Give the tables: one per data set and protocol, one per pooled item, one line per method."""
    parts = ["# Series benchmark", "", "Mean over items, then mean ± standard deviation over seeds. Best in bold."]
    places = list(dict.fromkeys((row["dataset"], row["protocol"]) for row in rows))
    for dataset, protocol in sorted(places):
        own = [r for r in rows if (r["dataset"], r["protocol"]) == (dataset, protocol)]
        plain = [r for r in own if r["item"] != "corpus"]
        parts += _section(f"{dataset}, {protocol}: mean over {len({r['item'] for r in plain})} items", plain)
        singles = [i for i in sorted({r["item"] for r in plain}) if dataset == "ucr" or i in _SINGLE_ITEMS]
        for item in [*singles, "corpus"]:
            parts += _section(f"{dataset}, {protocol}: {item}", [r for r in own if r["item"] == item])
    failed = [r for r in rows if r["error"]]
    parts += ["", f"Cells with an error: {len(failed)}"]
    parts += [
        f"- {r['dataset']}/{r['item']} {r['protocol']} {r['method']} seed {r['seed']}: {r['error']}" for r in failed
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    metrics = [m for m in _METRICS if any(row[m] for row in rows)]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    table = {m: {k: _over_seeds([r for r in rows if r["method"] == m], k) for k in metrics} for m in methods}
    methods.sort(key=lambda m: -table[m][metrics[0]][0])
    lines = ["", f"## {title}", "", "| method | " + " | ".join(_TITLES[k] for k in metrics) + " | cells |"]
    lines.append("|---|" + "---:|" * (len(metrics) + 1))
    best = {k: max(table[m][k][0] for m in methods) for k in metrics if k in _METRICS[:5]}
    for method in methods:
        cells = [_shown(table[method][k], k, best.get(k)) for k in metrics]
        own = [r for r in rows if r["method"] == method]
        done = sum(not r["error"] for r in own)
        lines.append(
            f"| {method} | " + " | ".join(cells) + f" | {done}{f' of {len(own)}' if done < len(own) else ''} |"
        )
    return lines


def _over_seeds(rows: Iterable[Row], metric: str) -> tuple[float, float, int]:
    """Give mean and deviation over seeds of the means over items, and the number of seeds."""
    seeds: dict[str, list[float]] = {}
    for row in rows:
        if row[metric] and not row["error"]:
            seeds.setdefault(row["seed"], []).append(float(row[metric]))
    means = [float(np.mean(values)) for values in seeds.values()]
    if not means:
        return float("-inf"), 0.0, 0
    return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else 0.0, len(means)


def _shown(value: tuple[float, float, int], metric: str, best: float | None) -> str:
    mean, deviation, seeds = value
    if not seeds:
        return ""
    digits = 3 if metric in _METRICS[:4] else 1 if metric != "peak_mb" else 0
    text = f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if seeds > 1 and metric in _METRICS[:5] else "")
    return f"**{text}**" if best is not None and mean == best else text


def _standardised(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    spread = high - low
    standardised: np.ndarray = (scores - middle) / (spread if spread > 1e-12 else 1.0)
    return standardised


def _clean(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    if not np.isfinite(scores).any():
        raise DataError("a score file holds no finite score: run the cell again")
    return np.nan_to_num(scores.astype(np.float64), nan=float(np.nanmin(scores)))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text
