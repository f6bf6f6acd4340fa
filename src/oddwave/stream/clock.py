"""Rows that arrive one after another to points on an even grid, as `sources/series/clock.py` does with a whole table.

The period is the median of the first steps. Small gaps are filled with missing points, a longer one ends the stretch.
What cannot be put right once points are on their way is named and counted instead: a row that comes late or repeats a
time is dropped (a table is sorted, and rows of one time averaged); several rows in a row that go on from an earlier
time mean that the clock was set back, and a lasting change of the steps that the rate is another one: both begin a new
stretch.

Legend: k rows, C channels.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.sources.series.clock import MAX_GAP
from oddwave.stream.records import Notice, time_text

__all__ = ["Points", "RowClock"]

_FIRST = 12  # steps that the period is learnt from
_UNEVEN, _TOLERANCE = 0.1, 0.25  # share of steps off the grid that is none; how far off a step may be, in periods
_STEPS, _MOST = 16, 12  # latest steps, and how many of them agree where the rate has changed
_TURNED = 8  # rows that go on from an earlier time


@dataclass(eq=False)
class Points:
    """What rows have become: points with their times, a new stretch before those in `breaks`, and what was noticed."""

    values: list[np.ndarray] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class RowClock:
    """The clock of one stream; `longest` is how many points its model's longest window has.

    `period` is in nanoseconds: None before it is known, 0 where the steps fit no grid.
    """

    def __init__(self, longest: int, period: int | None = None) -> None:
        self.longest, self.period = longest, period
        self.count = 0  # points so far
        self.last: int | None = None
        self._waiting: list[tuple[int, list[float]]] = []  # rows before the period is known, or that may have turned
        self._steps: deque[int] = deque(maxlen=_STEPS)
        self._recent: deque[int] = deque(maxlen=max(64, longest))
        self._counts: dict[str, int] = {}

    def take(self, times: np.ndarray, values: Float[np.ndarray, "k C"]) -> Points:
        """Turn rows into points; `times` are nanoseconds, NaT's number where there is none."""
        made = Points()
        lost = np.iinfo(np.int64).min
        for time, row in zip(times.tolist(), values, strict=True):
            if time == lost:
                self._counts["untimed"] = self._counts.get("untimed", 0) + 1
            elif self.period is None:
                self._first_rows(made, time, row)
            else:
                self._row(made, time, row)
        self._tell(made)
        return made

    def rest(self) -> Points:
        """Return the points of rows that still waited: none follow."""
        made = Points()
        if self.period is None and self._waiting:
            self._learn(made)
        elif self._waiting:
            self._late(len(self._waiting))
            self._waiting = []
        self._tell(made)
        return made

    def _first_rows(self, made: Points, time: int, row: np.ndarray) -> None:
        before = self._waiting[-1][0] if self._waiting else None
        if before is not None and time <= before:
            self._counts["repeated" if time == before else "late"] = (
                self._counts.get("repeated" if time == before else "late", 0) + 1
            )
            return
        self._waiting.append((time, row.tolist()))
        if len(self._waiting) > _FIRST:
            self._learn(made)

    def _learn(self, made: Points) -> None:
        rows, self._waiting = self._waiting, []
        steps = np.diff([time for time, _ in rows])
        self.period = _period(steps)
        if self.period == 0 and len(steps):
            made.notices.append(
                Notice("irregular", "timestamps fit no even grid: rows as they come, the point is the axis", self.count)
            )
        for time, row in rows:
            self._row(made, time, np.array(row))

    def _row(self, made: Points, time: int, row: np.ndarray) -> None:
        if self.last is not None and time <= self.last:
            self._backwards(made, time, row)
            return
        if self._waiting:  # they came late, the clock goes on
            self._late(len(self._waiting))
            self._waiting = []
        if self.last is not None:
            self._step(made, time - self.last, time, row.size)
        self._put(made, time, row)

    def _put(self, made: Points, time: int, row: np.ndarray) -> None:
        made.values.append(row)
        made.times.append(time)
        self.count, self.last = self.count + 1, time
        self._recent.append(time)

    def _step(self, made: Points, step: int, time: int, num_channels: int) -> None:
        """Fill a small gap before a point, or begin a new stretch with it."""
        assert self.period is not None
        assert self.last is not None
        self._steps.append(step)
        if self._changed():
            self._break(made)
            found = Notice(
                "rate",
                f"rows now come every {self.period / 1e9:g} s: a new stretch, windows have other times",
                self.count,
            )
            made.notices.append(found)
            return
        usual = self.period or int(np.median(self._steps))
        multiple = max(1, round(step / usual))
        if multiple > max(MAX_GAP + 1, self.longest if self.period == 0 else 0):
            self._break(made)
            since, lost = time_text(np.datetime64(self.last, "ns")), multiple - 1
            if multiple > self.longest:
                text = f"nothing for {step / 1e9:g} s after {since}: begins anew, judged again after a window"
                made.notices.append(Notice("away", text, self.count, lost))
            else:
                made.notices.append(
                    Notice("gap", f"{lost} points missing after {since}: a new stretch", self.count, lost)
                )
        elif multiple > 1 and self.period:
            first = self.last
            for place in range(1, multiple):
                made.values.append(np.full(num_channels, np.nan))
                made.times.append(first + round((time - first) * place / multiple))
                self.count += 1
            self._counts["missing"] = self._counts.get("missing", 0) + multiple - 1

    def _changed(self) -> bool:
        """Take over a new period where the latest steps agree on one."""
        if not self.period or len(self._steps) < _STEPS:
            return False
        usual = int(np.median(self._steps))
        if abs(usual - self.period) <= _TOLERANCE * self.period:
            return False
        alike = sum(abs(step - usual) <= _TOLERANCE * usual for step in self._steps)
        if alike < _MOST:
            return False
        self.period = usual
        self._steps.clear()
        return True

    def _backwards(self, made: Points, time: int, row: np.ndarray) -> None:
        """Hold a row that comes from before: late, repeated, or the first of a clock that was set back."""
        if self._waiting and time <= self._waiting[-1][0]:
            self._late(len(self._waiting))
            self._waiting = []
        if time in self._recent:
            self._counts["repeated"] = self._counts.get("repeated", 0) + 1
            return
        self._waiting.append((time, row.tolist()))
        if len(self._waiting) >= _TURNED:
            rows, self._waiting = self._waiting, []
            before, now = (time_text(np.datetime64(each, "ns")) for each in (self.last, rows[0][0]))
            made.notices.append(
                Notice("clock", f"the clock went back from {before} to {now}: a new stretch", self.count, len(rows))
            )
            self._break(made)
            self.last = None
            self._recent.clear()
            self._steps.clear()
            for each, values in rows:
                self._row(made, each, np.array(values))

    def _break(self, made: Points) -> None:
        made.breaks.append(len(made.times))

    def _late(self, count: int) -> None:
        self._counts["late"] = self._counts.get("late", 0) + count

    def _tell(self, made: Points) -> None:
        for kind, count in self._counts.items():
            rows = f"{count} row{'s' * (count > 1)}"
            made.notices.append(Notice(kind, _TOLD[kind].format(rows=rows), self.count, count))
        self._counts = {}

    def state(self) -> dict[str, Any]:
        """Return all that is known, as JSON values."""
        return {
            "period": self.period,
            "count": self.count,
            "last": self.last,
            "waiting": [[time, [None if np.isnan(v) else v for v in row]] for time, row in self._waiting],
            "steps": list(self._steps),
            "recent": list(self._recent),
        }

    def restore(self, known: Mapping[str, Any]) -> None:
        """Undo `state`."""
        self.period, self.count, self.last = known["period"], known["count"], known["last"]
        self._waiting = [(time, [np.nan if v is None else v for v in row]) for time, row in known["waiting"]]
        self._steps.extend(known["steps"])
        self._recent.extend(known["recent"])


_TOLD = {
    "untimed": "{rows} without a readable timestamp: dropped",
    "repeated": "{rows} of a time that was there already: dropped",
    "late": "{rows} came late, after newer ones: dropped",
    "missing": "{rows} missing in small gaps: taken as not measured",
}


def _period(steps: np.ndarray) -> int:
    """Return the median step, 0 where too many steps fit no grid of it."""
    if not len(steps):
        return 0
    period = float(np.median(steps))
    multiple = np.maximum(1, np.rint(steps / period))
    uneven = (multiple <= MAX_GAP + 1) & (np.abs(steps - multiple * period) > _TOLERANCE * period)
    filled = float((multiple[multiple <= MAX_GAP + 1] - 1).sum())
    return 0 if uneven.mean() > _UNEVEN or filled > len(steps) + 1 else round(period)
