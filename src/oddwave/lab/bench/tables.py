"""From cells to tables: pooled metrics, means over items, mean and deviation over seeds, as Markdown.

`nab / corpus` rows are added: NAB's own score over the labelled files, scores standardised per file by median
and interquartile range, its threshold chosen on the labels as NAB's rule demands. Read `image_tables.py`
and `audio_tables.py` for the tables of the others, `markdown.py` for what one table looks like.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError, MissingExtraError
from oddwave.files import write_bytes_atomic
from oddwave.lab.bench.audio_tables import write_audio_tables
from oddwave.lab.bench.image_tables import write_image_tables
from oddwave.lab.bench.intervals import read_evidence
from oddwave.lab.bench.item_tables import facts_of, write_item_tables
from oddwave.lab.bench.markdown import Row, failed_cells, section
from oddwave.lab.bench.paper import beside_the_paper
from oddwave.lab.bench.plots import write_plots
from oddwave.lab.bench.protocol import COLUMNS, AnyTask, BenchModality, Cell, Task
from oddwave.lab.bench.verdict import write_verdict
from oddwave.lab.metrics.nab_score import nab_score

__all__ = ["pooled_rows", "summary_markdown", "write_tables"]

_SINGLE_ITEMS = ("realKnownCause/nyc_taxi", "realKnownCause/machine_temperature_system_failure")


def write_tables(out: Path, rows: Sequence[Row], tasks: Sequence[AnyTask], modality: BenchModality = "series") -> Path:
    """Write the tables and plots of a modality beside its `results.csv` and return the Markdown file.

    Markdown, CSV and run facts are called after the modality; the verdict closes the Markdown.
    `<modality>_plots.html` is left out, with a warning, where plotly is missing.

    Raises:
        CheckpointError: `out` cannot be written.
    """
    if modality == "image":
        path = write_image_tables(out, rows)
    elif modality == "audio":
        path = write_audio_tables(out, rows)
    else:
        path = _write_series_tables(out, rows, tasks)
    evidence = read_evidence(out, rows, tasks)
    verdict = write_verdict(out, modality, rows, tasks, evidence)
    write_bytes_atomic(path, (path.read_text(encoding="utf-8") + "\n".join(verdict) + "\n").encode())
    try:
        write_plots(out, modality, rows, tasks, evidence)
    except MissingExtraError as error:
        warnings.warn(f"{error}; {modality}_plots.html is left out", stacklevel=2)
    return path


def _write_series_tables(out: Path, rows: Sequence[Row], tasks: Sequence[AnyTask]) -> Path:
    everything = [*rows, *pooled_rows(out, rows, [task for task in tasks if isinstance(task, Task)])]
    facts = [facts_of(out, row) for row in everything]
    return write_item_tables(out, "series", everything, facts, summary_markdown(everything))


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
    """Return the tables: one per data set and protocol, one per pooled item, one line per method."""
    parts = ["# Series benchmark", "", "Mean over items, then mean ± standard deviation over seeds. Best in bold."]
    places = list(dict.fromkeys((row["dataset"], row["protocol"]) for row in rows))
    for dataset, protocol in sorted(places):
        own = [r for r in rows if (r["dataset"], r["protocol"]) == (dataset, protocol)]
        plain = [r for r in own if r["item"] != "corpus"]
        parts += section(f"{dataset}, {protocol}: mean over {len({r['item'] for r in plain})} items", plain)
        singles = [i for i in sorted({r["item"] for r in plain}) if dataset == "ucr" or i in _SINGLE_ITEMS]
        for item in [*singles, "corpus"]:
            parts += section(f"{dataset}, {protocol}: {item}", [r for r in own if r["item"] == item])
    return "\n".join([*parts, *beside_the_paper("series", rows), *failed_cells(rows)]) + "\n"


def _standardised(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    low, middle, high = np.quantile(scores, [0.25, 0.5, 0.75])
    spread = high - low
    standardised: np.ndarray = (scores - middle) / (spread if spread > 1e-12 else 1.0)
    return standardised


def _clean(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    if not np.isfinite(scores).any():
        raise DataError("a score file holds no finite score: run the cell again")
    return np.nan_to_num(scores.astype(np.float64), nan=float(np.nanmin(scores)))
