"""Events of a stream that is still being measured, by the rule of the batch path, each with an id that stays.

Points above the threshold that lie near one another are a cluster; what happens in one says nothing of another. With
each flagged point the events of the last cluster are found anew (`find_events`) and told apart from those that are
known: by overlap, else as the nearest. A cluster is over, and its events closed, when more points than join two events
have settled behind it.

Two things differ from the batch path. How much evidence of single points is usual, which decides where a strong event
begins and ends, is taken from the latest 2,048 unflagged points before a cluster instead of all of them. And a cluster
longer than eight longest windows is judged in parts of that length, which are one event where they touch.

Legend: n points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.detection.series.events import find_events, quiet_points
from oddwave.detection.series.online import SettledPoints
from oddwave.stream.records import Changes, StreamEvent, time_text

__all__ = ["EventTracker"]

_QUIET = 2048


class EventTracker:
    """The events of one stream; `limit` points of a cluster are judged together."""

    def __init__(self, name: str, calibration: Calibration, rule: Rule, *, max_gap: int, limit: int) -> None:
        self.name, self.calibration, self.rule = name, calibration, rule
        self.max_gap, self.limit = max_gap, limit
        self.number = 0
        self.open: list[StreamEvent] = []
        self.carried: StreamEvent | None = None  # of the cluster's earlier parts
        self._base = 0
        self._scores, self._points, self._quiet = np.zeros(0), np.zeros(0), np.zeros(0)
        self._times = np.zeros(0, "datetime64[ns]")

    def extend(self, settled: SettledPoints, times: np.ndarray, *, finished: bool = False) -> Changes:
        """Take the next settled points and their times (NaT where there are none).

        With `finished` none follow, and everything that is open closes.
        """
        changes = Changes()
        flags = self.calibration.labels(settled.scores, Rule(self.rule.alpha)) > 0
        place = 0
        while place < len(settled):  # within a cluster point by point: what is told does not depend on how many come
            until = place + 1
            if not len(self._scores) and not flags[place]:
                later = np.flatnonzero(flags[place:])
                until = place + int(later[0]) if len(later) else len(settled)
            part = slice(place, until)
            self._scores = np.concatenate([self._scores, settled.scores[part]])
            self._points = np.concatenate([self._points, settled.points[part]])
            self._times = np.concatenate([self._times, times[part]])
            while self._one_cluster(changes, news=bool(flags[place])):
                pass
            place = until
        if finished:
            while self._one_cluster(changes, finished=True):
                pass
        changes.updated = [event for event in changes.updated if event.id not in {e.id for e in changes.closed}]
        return changes

    def _one_cluster(self, changes: Changes, *, news: bool = True, finished: bool = False) -> bool:
        """Look at the first cluster of what is held; return whether it is over, so that another may follow.

        Without `news`, a flagged point, nothing but its end may have come.
        """
        labels = self.calibration.labels(self._scores, Rule(self.rule.alpha))
        flagged = np.flatnonzero(labels > 0)
        if not len(flagged):
            self._forget(len(labels), labels)
            self._close_carried(changes, finished=finished)
            return False
        self._forget(int(flagged[0]), labels)
        flagged, labels = flagged - flagged[0], labels[int(flagged[0]) :]
        self._close_carried(changes)
        breaks = np.flatnonzero(np.diff(flagged) > self.max_gap + 1)
        last = int(flagged[breaks[0]] if len(breaks) else flagged[-1])
        whole = finished or bool(len(breaks)) or len(labels) - 1 - last > self.max_gap
        cut = last >= self.limit
        stop = self.limit if cut else last + 1
        if news or finished or cut:
            self._match(self._found(stop, labels), changes)
        if not (whole or cut):
            return False
        self._end_cluster(changes, self._base + stop - 1, goes_on=cut)
        self._forget(stop, labels)
        return True

    def _found(self, stop: int, labels: np.ndarray) -> list[StreamEvent]:
        """Return the events within the first points held, those that touch a carried one joined to it."""
        events = find_events(
            self.name,
            self._scores[:stop],
            labels[:stop],
            self.calibration,
            self.rule,
            max_gap=self.max_gap,
            points=self._points[:stop],
            quiet=quiet_points(self._quiet),
        )
        found = []
        for own in sorted(events, key=lambda own: own.start):
            start, end, peak = own.start, own.end, own.peak
            began, ended, highest = (time_text(self._times[place]) for place in (start, end, peak))
            places = (self._base + start, self._base + end, self._base + peak)
            found.append(StreamEvent("", *places, own.score, own.p_value, began, ended, highest))
        if found and self.carried and found[0].start - self.carried.end <= self.max_gap + 1:
            found[0] = found[0].joined(self.carried)
        return found

    def _match(self, found: Sequence[StreamEvent], changes: Changes) -> None:
        """Give found events the ids of open ones, or new ones; open ones that are left are part of another."""
        left, matched = list(self.open), []
        for event in found:
            known = next((own for own in left if own.id == event.id), None) or next(
                (own for own in left if own.start <= event.end and event.start <= own.end), None
            )
            matched.append((event, known))
            if known:
                left.remove(known)
        now = []
        for event, known in matched:
            if known is None and event.id:
                known = self.carried
            elif known is None and left:
                known = min(left, key=lambda own: abs(own.peak - event.peak))
                left.remove(known)
            if known is None:
                self.number += 1
                event = replace(event, id=f"{self.name}-{self.number}")
                changes.opened.append(event)
            elif (event := event.going_on(known)) != known:
                changes.updated = [own for own in changes.updated if own.id != event.id] + [event]
            now.append(event)
        for event in left:
            into = min(now, key=lambda own: abs(own.peak - event.peak)) if now else self.carried
            changes.closed.append(replace(event, merged_into=into.id if into else None))
        self.open = now

    def _end_cluster(self, changes: Changes, last: int, *, goes_on: bool) -> None:
        """Close the events of a cluster; one that reaches near the end of a part goes on in the next."""
        carried = self.open[-1] if goes_on and self.open and last - self.open[-1].end <= self.max_gap else None
        if self.carried and (not self.open or self.open[0].id != self.carried.id):
            changes.closed.append(self.carried)
        changes.closed += [event for event in self.open if event is not carried]
        self.open, self.carried = [], carried

    def _close_carried(self, changes: Changes, *, finished: bool = False) -> None:
        """Close what was carried on where nothing follows near it."""
        if self.carried and (finished or self._base - self.carried.end > self.max_gap + 1):
            changes.closed.append(self.carried)
            self.carried = None

    def _forget(self, count: int, labels: np.ndarray) -> None:
        """Forget the first points held; how the unflagged ones are is remembered."""
        usual = self._points[:count][labels[:count] == 0]
        self._quiet = np.concatenate([self._quiet, usual[np.isfinite(usual)]])[-_QUIET:]
        self._scores, self._points, self._times = self._scores[count:], self._points[count:], self._times[count:]
        self._base += count

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return all that is known, as arrays and JSON values."""
        arrays = {"scores": self._scores, "points": self._points, "quiet": self._quiet}
        arrays["times"] = self._times.astype(np.int64)
        return arrays, {
            "number": self.number,
            "base": self._base,
            "open": [event.to_dict() for event in self.open],
            "carried": self.carried.to_dict() if self.carried else None,
        }

    def restore(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> None:
        """Undo `state`."""
        self._scores, self._points, self._quiet = (arrays[name] for name in ("scores", "points", "quiet"))
        self._times = arrays["times"].astype("datetime64[ns]")
        self.number, self._base = numbers["number"], numbers["base"]
        self.open = [StreamEvent(**own) for own in numbers["open"]]
        self.carried = StreamEvent(**numbers["carried"]) if numbers["carried"] else None
