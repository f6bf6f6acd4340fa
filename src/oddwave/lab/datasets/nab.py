"""Numenta Anomaly Benchmark: 58 univariate streams, 52 of them with labelled anomaly windows.

Layout (the official repository's): `data/<group>/<file>.csv` with the columns `timestamp,value`, and
`labels/combined_windows.json`, file -> list of [first, last] timestamps, both inclusive. A label is a window around an
event, about a tenth of the file shared out over its events, and not the event's own extent.

Rows stay in the file's order and on the file's clock: eight files repeat or step back a timestamp (clock changes), and
NAB's own runner feeds them as they stand. Source: Lavin and Ahmad 2015; licence MIT. Read `lab/metrics/nab_score.py`
next.
"""

import csv
import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError
from oddwave.lab.datasets.records import LabelledSeries, find_folder, label_from_windows

__all__ = ["PROBATION_MAX_ROWS", "PROBATION_SHARE", "load_nab", "probation_end"]

PROBATION_SHARE = 0.15
PROBATION_MAX_ROWS = 5000


def probation_end(n: int) -> int:
    """Return how many leading rows NAB does not score: 15 % of the file, counted on 5,000 rows at most (so <= 750)."""
    return int(PROBATION_SHARE * min(n, PROBATION_MAX_ROWS))


def load_nab(
    root: Path | str, only: Collection[str] | None = None, *, labelled_only: bool = True
) -> list[LabelledSeries]:
    """Load NAB's streams in sorted order, named like `realKnownCause/nyc_taxi`.

    `root` is NAB's own folder or the data folder above it. `only` keeps the streams whose name, or last part of it, is
    listed. `labelled_only` leaves out the 6 files without any anomaly window; NAB's own score counts their false
    alarms, so pass False for a score over the whole corpus. `train_end` is the end of NAB's probationary part.
    Raises: DataError for a folder in another layout, an unknown name in `only`, or a file that cannot be read.
    """
    folder = find_folder(root, ("nab", "NAB"), "labels/combined_windows.json", "NAB")
    windows = _read_windows(folder / "labels" / "combined_windows.json")
    names = sorted(name for name, spans in windows.items() if spans or not labelled_only)
    if only is not None:
        names = _selected(names, only)
    return [_load_stream(folder / "data" / f"{name}.csv", name, windows[name]) for name in names]


def _read_windows(path: Path) -> dict[str, list[tuple[str, str]]]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {name.removesuffix(".csv"): [(first, last) for first, last in spans] for name, spans in table.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataError(f"'{path}' is not NAB's file -> [[first, last], ...] JSON ({error}): fetch it again") from error


def _selected(names: list[str], only: Collection[str]) -> list[str]:
    chosen = [name for name in names if name in only or name.rpartition("/")[2] in only]
    known = {*chosen, *(name.rpartition("/")[2] for name in chosen)}
    unknown = sorted(set(only) - known)
    if unknown:
        raise DataError(
            f"NAB has no labelled file named {', '.join(unknown)}: names look like 'realKnownCause/nyc_taxi'"
        )
    return chosen


def _load_stream(path: Path, name: str, spans: list[tuple[str, str]]) -> LabelledSeries:
    timestamps, values = _read_csv(path)
    windows = tuple(sorted(_rows_between(timestamps, *span, path) for span in spans))
    label = label_from_windows(len(values), windows)
    return LabelledSeries(name, values, timestamps, label, probation_end(len(values)), windows)


def _read_csv(path: Path) -> tuple[np.ndarray, Float[np.ndarray, "n 1"]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        timestamps = np.array([row[0] for row in rows], dtype="datetime64[ns]")
        values = np.array([row[1] for row in rows], dtype=np.float64)
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"'{path}' is not a NAB file with timestamp,value rows ({error}): fetch it again") from error
    if not len(values) or not np.isfinite(values).all():
        raise DataError(f"'{path}' has no rows, or values that are not finite: fetch it again")
    return timestamps, values[:, None]


def _rows_between(timestamps: np.ndarray, first: str, last: str, path: Path) -> tuple[int, int]:
    rows = np.flatnonzero((timestamps >= np.datetime64(first, "ns")) & (timestamps <= np.datetime64(last, "ns")))
    if not rows.size:
        raise DataError(f"'{path}' has no row in its labelled window {first} .. {last}: data and labels do not match")
    return int(rows[0]), int(rows[-1])
