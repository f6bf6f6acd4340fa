"""Timestamped rows to points on an even grid, and the map back from points to rows.

Order: rows without a timestamp are dropped, the others sorted by time, rows that share a timestamp averaged, small gaps
filled with missing points. Every step that changes anything leaves a note. Read `series_source.py` next.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import DataError

__all__ = ["MAX_GAP", "MAX_UNTIMED_SHARE", "AlignedRows", "align_rows"]

MAX_GAP = 8  # missing points in a row that still count as a small gap
MAX_UNTIMED_SHARE = 0.2  # more rows than this without a timestamp: the column is not a clock, refuse
# An even grid fits where this share of the steps lies this close (in steps) to a whole number of median steps.
_GRID_SHARE = 0.9
_GRID_TOLERANCE = 0.25


@dataclass(frozen=True, eq=False)
class AlignedRows:
    """Points in time order; the fields are those of `SeriesItem`."""

    values: Float[np.ndarray, "n C"]
    timestamps: np.ndarray
    row_index: Int[np.ndarray, " R"]
    sample_period_s: float | None
    breaks: tuple[int, ...]
    notes: tuple[str, ...]


def align_rows(times: np.ndarray, values: Float[np.ndarray, "R C"], origin: str, max_gap: int = MAX_GAP) -> AlignedRows:
    """Sort, merge and grid the rows by their datetime64[ns] times.

    The sampling period is the median step. A grid fits where nine tenths of the steps lie within a quarter of a period
    of a whole number of periods, and filling adds no more points than were measured. Gaps of up to `max_gap` points are
    then filled with missing points; a longer gap is a break. Where no grid fits, or more than half of the timestamps
    repeat (a clock coarser than the rows), the rows are kept in time order and the sample index is the axis.
    Raises: DataError where more than a fifth of the rows have no timestamp.
    """
    rows, notes = _timed_rows(times, origin)
    order = rows[np.argsort(times[rows], kind="stable")]
    if (np.diff(order) < 0).any():
        notes += ("rows were not in time order: sorted by timestamp",)
    stamps = times[order].astype(np.int64)
    unique, point = np.unique(stamps, return_inverse=True)
    counts = np.bincount(point)
    if (counts > 1).sum() > 0.5 * len(unique):
        notes += (
            "more than half of the timestamps repeat, so the clock is coarser than the rows: kept as they come, the "
            "sample index is the axis",
        )
        return _finish(stamps, values[order], np.arange(len(order)), order, len(times), None, (), notes)
    merged = values[order]
    if len(unique) < len(stamps):
        merged = _mean_per_point(merged, point, counts)
        notes += (f"{len(stamps) - len(unique)} rows repeat a timestamp: rows that share one were averaged",)
    place, period, breaks, more = _grid(unique, max_gap)
    stamps, merged = _spread(unique, merged, place)
    return _finish(stamps, merged, place[point], order, len(times), period, breaks, notes + more)


def _timed_rows(times: np.ndarray, origin: str) -> tuple[Int[np.ndarray, " r"], tuple[str, ...]]:
    rows = np.flatnonzero(~np.isnat(times))
    missing = len(times) - len(rows)
    if missing > MAX_UNTIMED_SHARE * len(times):
        raise DataError(
            f"{missing} of {len(times)} rows of {origin} have no timestamp (at most {MAX_UNTIMED_SHARE:.0%} may lack "
            "one): fill them in, or drop the time column"
        )
    return rows, ((f"{missing} row{'s' * (missing > 1)} without a timestamp dropped",) if missing else ())


def _mean_per_point(
    values: Float[np.ndarray, "r C"], point: Int[np.ndarray, " r"], counts: Int[np.ndarray, " u"]
) -> Float[np.ndarray, "u C"]:
    """Average the rows of each point over what they measured; points with one row keep their value to the bit."""
    seen = ~np.isnan(values)
    totals = np.zeros((len(counts), values.shape[1]))
    num_seen = np.zeros_like(totals)
    np.add.at(totals, point, np.where(seen, values, 0.0))
    np.add.at(num_seen, point, seen)
    return np.where(num_seen > 0, totals / np.maximum(num_seen, 1), np.nan)


def _grid(
    unique: Int[np.ndarray, " u"], max_gap: int
) -> tuple[Int[np.ndarray, " u"], float | None, tuple[int, ...], tuple[str, ...]]:
    """Return each time's place on the grid, the period in seconds, the places after long gaps, and notes."""
    ordinal = np.arange(len(unique))
    steps = np.diff(unique)
    if not steps.size:
        return ordinal, None, (), ()
    period = float(np.median(steps))
    multiple = np.maximum(1, np.rint(steps / period)).astype(np.int64)
    long = multiple > max_gap + 1
    uneven = ~long & (np.abs(steps - multiple * period) > _GRID_TOLERANCE * period)
    small = (multiple > 1) & (multiple <= max_gap + 1)
    num_filled = int((multiple[small] - 1).sum())
    if uneven.mean() > 1 - _GRID_SHARE or num_filled > len(unique):
        why = f"{uneven.mean():.0%} of the steps fit no even grid" if num_filled <= len(unique) else "mostly gaps"
        return (
            ordinal,
            None,
            (),
            (f"timestamps are irregular ({why}): rows in time order, the sample index is the axis",),
        )
    advance = np.where(long, 1, multiple)
    place = np.concatenate(([0], np.cumsum(advance)))
    breaks = tuple(int(p) for p in place[1:][long])
    return place, period / 1e9, breaks, _gap_notes(int(small.sum()), num_filled, unique, multiple, long, uneven)


def _gap_notes(
    num_small: int,
    num_filled: int,
    unique: Int[np.ndarray, " u"],
    multiple: Int[np.ndarray, " s"],
    long: np.ndarray,
    uneven: np.ndarray,
) -> tuple[str, ...]:
    notes = []
    if num_small:
        notes.append(f"{num_filled} missing point(s) added in {num_small} small gap(s) in time")
    if long.any():
        longest = int(np.argmax(multiple))
        since = np.datetime_as_string(unique[longest].astype("datetime64[ns]"), unit="s")
        notes.append(
            f"{int(long.sum())} gap(s) in time too long to fill, the longest of {int(multiple[longest]) - 1} points "
            f"after {since}: the stretches were joined"
        )
    if uneven.any():
        notes.append(f"{int(uneven.sum())} uneven step(s) in time rounded to the grid")
    return tuple(notes)


def _spread(
    unique: Int[np.ndarray, " u"], values: Float[np.ndarray, "u C"], place: Int[np.ndarray, " u"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n C"]]:
    """Put the points at their places; the places between hold NaN and evenly spaced times."""
    n = int(place[-1]) + 1
    spread = np.full((n, values.shape[1]), np.nan)
    spread[place] = values
    first = unique[0]  # relative to the first time, a double holds the nanoseconds of several months exactly
    stamps = first + np.rint(np.interp(np.arange(n), place, unique - first)).astype(np.int64)
    stamps[place] = unique
    return stamps, spread


def _finish(
    stamps: Int[np.ndarray, " n"],
    values: Float[np.ndarray, "n C"],
    point: Int[np.ndarray, " r"],
    order: Int[np.ndarray, " r"],
    num_rows: int,
    period_s: float | None,
    breaks: tuple[int, ...],
    notes: tuple[str, ...],
) -> AlignedRows:
    row_index = np.full(num_rows, -1, dtype=np.int64)
    row_index[order] = point
    return AlignedRows(values, stamps.astype("datetime64[ns]"), row_index, period_s, breaks, notes)
