"""Tables in Markdown: one line per method, mean over items, then mean and deviation over seeds, the best in bold.

Means over items leave out cells with an error, and the tables say how many cells stand behind each mean. Read
`tables.py` next, which says what is in which table.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

__all__ = ["Row", "csv_text", "failed_cells", "figure_text", "over_seeds", "section"]

Row = Mapping[str, str]

_COST = ("fit_s", "score_s", "fit_wall_s", "score_wall_s", "peak_mb")
_LOWER_IS_BETTER = ("start_error", "end_error")
_TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPR",
    "pauc": "pAUC",
    "vus_pr": "VUS-PR",
    "vus_roc": "VUS-ROC",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO",
    "f1_max": "best F1",
    "nab_score": "NAB score",
    "event_f1": "event F1",
    "start_error": "start error",
    "end_error": "end error",
    "fit_s": "fit, CPU s",
    "score_s": "score, CPU s",
    "fit_wall_s": "fit, s",
    "score_wall_s": "score, s",
    "peak_mb": "peak MB",
}
_DIGITS = {"nab_score": 1, **dict.fromkeys(_COST, 1), "peak_mb": 0}


def section(title: str, rows: Sequence[Row], metrics: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines of one table with its title, sorted by the first metric; nothing where there are no rows.

    Methods that were run on fewer items than others stand last, and none of their means is called the best.

    `metrics` are names of columns and what they are called; those that every benchmark knows, unless told otherwise.
    """
    if not rows:
        return []
    titles = metrics if metrics is not None else _TITLES
    shown = [name for name in titles if any(row.get(name) for row in rows)]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    table = {m: {k: over_seeds([r for r in rows if r["method"] == m], k) for k in shown} for m in methods}
    num_items = {m: len({r.get("item") for r in rows if r["method"] == m}) for m in methods}
    whole = {m for m in methods if num_items[m] == max(num_items.values())}
    if shown:
        methods.sort(key=lambda m: (m not in whole, -table[m][shown[0]][0]))
    lines = ["", f"## {title}", "", "| method | " + " | ".join(titles[k] for k in shown) + " | cells |"]
    lines.append("|---|" + "---:|" * (len(shown) + 1))
    best = {k: _best(k, [table[m][k] for m in whole]) for k in shown if k not in _COST}
    for method in methods:
        cells = [figure_text(table[method][k], k, best.get(k) if method in whole else None) for k in shown]
        own = [r for r in rows if r["method"] == method]
        done = sum(not r["error"] for r in own)
        note = f" of {len(own)}" if done < len(own) else ""
        note += "" if method in whole else f", only {num_items[method]} item(s)"
        lines.append(f"| {method} | " + " | ".join(cells) + f" | {done}{note} |")
    return lines


def failed_cells(rows: Sequence[Row]) -> list[str]:
    """Return the lines that name every cell with an error."""
    failed = [r for r in rows if r["error"]]
    named = [
        f"- {r['dataset']}/{r['item']} {r['protocol']} {r['method']} seed {r['seed']}: {r['error']}" for r in failed
    ]
    return ["", f"Cells with an error: {len(failed)}", *named]


def csv_text(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return rows as CSV, empty where a row lacks a column."""
    lines = [",".join(columns), *(",".join(_quoted(row.get(name, "")) for name in columns) for row in rows)]
    return "\n".join(lines) + "\n"


def over_seeds(rows: Iterable[Row], metric: str) -> tuple[float, float, int]:
    """Return mean and deviation over seeds of the means over items, and the number of seeds."""
    seeds: dict[str, list[float]] = {}
    for row in rows:
        if row.get(metric) and not row["error"]:
            seeds.setdefault(row["seed"], []).append(float(row[metric]))
    means = [float(np.mean(values)) for values in seeds.values()]
    if not means:
        return float("-inf"), 0.0, 0
    return float(np.mean(means)), float(np.std(means, ddof=1)) if len(means) > 1 else 0.0, len(means)


def figure_text(value: tuple[float, float, int], metric: str, best: float | None) -> str:
    """Return a figure of `over_seeds` as a table shows it, in bold where it is the best."""
    mean, deviation, seeds = value
    if not seeds:
        return ""
    digits = _DIGITS.get(metric, 3)
    text = f"{mean:.{digits}f}" + (f" ± {deviation:.{digits}f}" if seeds > 1 and metric not in _COST else "")
    return f"**{text}**" if best is not None and mean == best else text


def _best(metric: str, values: Sequence[tuple[float, float, int]]) -> float | None:
    means = [mean for mean, _, seeds in values if seeds]
    if not means:
        return None
    return min(means) if metric in _LOWER_IS_BETTER else max(means)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text
