"""Timestamped rows to points on an even grid, and the map back from points to rows.

Order: rows without a timestamp are dropped, the others sorted by time, exact repeats counted once, other rows that
share a timestamp averaged, small gaps filled with missing points. Every step that changes anything leaves a note. Read
`reader.py` next.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import DataError

__all__ = ["MAX_GAP", "MAX_UNTIMED_SHARE", "AlignedRows", "align_rows", "turns"]

MAX_GAP = 8  # missing points in a row that still count as a small gap
MAX_UNTIMED_SHARE = 0.2  # more rows than this without a timestamp: the column is not a clock, refuse
# An even grid fits where this share of the steps lies this close (in steps) to a whole number of median steps.
_GRID_SHARE = 0.9
_GRID_TOLERANCE = 0.25
_HOUR = np.timedelta64(1, "h")
_MONTHS_OF_CHANGE = (3, 4, 5, 9, 10, 11)  # summer time ends in these, south and north


@dataclass(frozen=True, eq=False)
class AlignedRows:
    """Points in time order; the fields are those of `SeriesItem`."""

    values: Float[np.ndarray, "n C"]
    timestamps: np.ndarray
    row_index: Int[np.ndarray, " R"]
    sample_period_s: float | None
    breaks: tuple[int, ...]
    notes: tuple[str, ...]


def align_rows(
    times: np.ndarray, values: Float[np.ndarray, "R C"], origin: str, max_gap: int = MAX_GAP, *, local: bool = False
) -> AlignedRows:
    """Sort, merge and grid the rows by their datetime64[ns] times.

    Rows alike in time and values, as in exports that overlap, are one row. The sampling period is the median step. A
    grid fits where nine tenths of the steps lie within a quarter of a period of a whole number of periods, and filling
    adds no more points than were measured. Gaps of up to `max_gap` points are then filled with missing points; a longer
    gap is a break. Where no grid fits, or more than half of the timestamps repeat (a clock coarser than the rows), the
    rows are kept in time order and the sample index is the axis. In `local` times, which have no zone, the hour that
    comes twice when summer time ends is two hours; its points keep the times as given.
    Raises: DataError where more than a fifth of the rows have no timestamp.
    """
    rows, notes = _timed_rows(times, origin)
    running, more = _running_times(times, values, rows) if local else (times, ())
    notes += more
    order = rows[np.argsort(running[rows], kind="stable")]
    if (np.diff(order) < 0).any():
        notes += ("rows were not in time order: sorted by timestamp",)
    original, coarse = _without_repeats(running, values, order)
    kept = original == np.arange(len(order))
    first = (np.cumsum(kept) - 1)[original]  # the place among the kept rows of each row, or of the one it repeats
    if repeats := int((~kept).sum()):
        notes += (f"{repeats} row{'s' * (repeats > 1)} alike in time and values counted once",)
    given, stamps, merged = (part[order[kept]] for part in (times.astype(np.int64), running.astype(np.int64), values))
    if coarse:
        notes += (
            "more than half of the timestamps repeat, so the clock is coarser than the rows: kept as they come, the "
            "sample index is the axis",
        )
        return _finish(given, merged, first, order, len(times), None, (), notes)
    unique, start, point, counts = np.unique(stamps, return_index=True, return_inverse=True, return_counts=True)
    if len(unique) < len(stamps):
        merged = _mean_per_point(merged, point, counts)
        notes += (f"{len(stamps) - len(unique)} rows repeat a timestamp: rows that share one were averaged",)
    place, period, breaks, more = _grid(unique, max_gap)
    spread, merged = _spread(unique, merged, place)
    shift = unique - given[start]  # of the running clock, which does not go back an hour
    spread -= shift[np.searchsorted(place, np.arange(len(spread)), side="right") - 1]
    return _finish(spread, merged, place[point][first], order, len(times), period, breaks, notes + more)


def _without_repeats(
    times: np.ndarray, values: Float[np.ndarray, "R C"], order: Int[np.ndarray, " r"]
) -> tuple[Int[np.ndarray, " r"], bool]:
    """Return, for rows in time order, the place of the first row that each copies, and whether the clock is coarse.

    With a coarse clock, equal rows are readings of their own within one pass through time; copies come in a later pass.
    """
    stamps = times[order].astype(np.int64)
    original = np.arange(len(order))
    shared = np.diff(stamps) == 0
    if not shared.any():
        return original, False
    suspects = np.flatnonzero(np.append(shared, False) | np.insert(shared, 0, False))
    # One bit pattern for all that is missing, and one for zero.
    content = np.where(np.isnan(values), np.nan, values + 0.0)[order[suspects]].view(np.int64)
    keys = np.column_stack([stamps[suspects], content])
    original[suspects] = suspects[_first_alike(keys)]
    distinct = stamps[original == np.arange(len(order))]
    if not _mostly_repeat(distinct):
        kinds, counts = np.unique(distinct, return_counts=True)
        differing = np.isin(stamps, kinds[counts > 1])  # averaged over all their rows
        return np.where(differing, np.arange(len(order)), original), False
    in_file = np.sort(order)
    steps = np.diff(times[in_file].astype(np.int64))
    back = steps < 0 if (steps < 0).sum() <= (steps > 0).sum() else steps > 0
    passes = np.zeros(len(times), dtype=np.int64)
    passes[in_file[1:]] = np.cumsum(back)
    turn = turns(np.column_stack([passes[order[suspects]], keys]))
    original[suspects] = suspects[_first_alike(np.column_stack([turn, keys]))]
    return original, _mostly_repeat(stamps[original == np.arange(len(order))])


def _mostly_repeat(stamps: Int[np.ndarray, " k"]) -> bool:
    _, counts = np.unique(stamps, return_counts=True)
    return bool((counts > 1).sum() > 0.5 * len(counts))


def _first_alike(keys: Int[np.ndarray, "s K"]) -> Int[np.ndarray, " s"]:
    """Return the place of the first row that equals each row."""
    _, start, kind = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    first: np.ndarray = start[kind.ravel()]
    return first


def turns(keys: Int[np.ndarray, "s K"]) -> Int[np.ndarray, " s"]:
    """Return how many equal rows come before each row."""
    _, kind = np.unique(keys, axis=0, return_inverse=True)
    by_kind = np.argsort(kind.ravel(), kind="stable")
    begins = np.concatenate([[True], np.diff(kind.ravel()[by_kind]) != 0])
    place = np.arange(len(keys))
    turn = np.empty(len(keys), dtype=np.int64)
    turn[by_kind] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return turn


def _running_times(
    times: np.ndarray, values: Float[np.ndarray, "R C"], rows: Int[np.ndarray, " r"]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Let local times run on where, in file order, they go back by exactly an hour in the night summer time ends.

    Only where they never go back or stand still otherwise: anything else is rows out of order, or exports joined.
    """
    stamps = times[rows]
    steps = np.diff(stamps)
    back = np.flatnonzero(steps <= np.timedelta64(0, "ns"))
    if not back.size or len(steps) < 4:
        return times, ()
    period = np.median(steps[steps > np.timedelta64(0, "ns")]) if (steps > np.timedelta64(0, "ns")).any() else _HOUR
    for row in back:
        again = stamps[row + 1]
        day = again.astype("datetime64[D]")
        change = (
            abs(steps[row] + _HOUR - period) <= period / 2
            and (day.astype(np.int64) + 3) % 7 == 6  # a Sunday: day 0 of 1970 was a Thursday
            and int(day.astype("datetime64[M]").astype(np.int64)) % 12 + 1 in _MONTHS_OF_CHANGE
            and again - day <= 3 * _HOUR
        )
        twice = np.flatnonzero((stamps[: row + 1] >= again) & (stamps[: row + 1] <= stamps[row]))
        if not change or np.array_equal(
            values[rows[twice]], values[rows[row + 1 : row + 1 + len(twice)]], equal_nan=True
        ):
            return times, ()
    running = times.copy()
    running[rows[1:]] += np.cumsum(steps <= np.timedelta64(0, "ns")) * _HOUR
    night = np.datetime_as_string(stamps[back[0] + 1], unit="m")
    return running, (f"the hour after {night} comes twice (end of summer time): read as two hours",)


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
