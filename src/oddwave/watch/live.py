"""A live view in the terminal: each stream with its last score and open events, and the latest changes."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from oddwave.stream.records import StreamUpdate
from oddwave.stream.session import SeriesStream
from oddwave.visible import visible

__all__ = ["LiveView"]

_LATEST, _MOST_STREAMS = 12, 40


class LiveView:
    """Takes the place of printed lines."""

    offset, waiting = 0, 0

    def __init__(self, console: Console | None = None) -> None:
        self._latest: deque[Mapping[str, Any]] = deque(maxlen=_LATEST)
        self._rows: dict[str, tuple[int, str, int]] = {}
        self._live = Live(console=console, refresh_per_second=4)
        self._live.start()

    def write(self, record: Mapping[str, Any]) -> None:
        """Show a change of an event."""
        self._latest.append(record)

    def flush(self) -> bool:
        """Draw anew."""
        self._live.update(self.drawn())
        return True

    def seen(self, streams: Sequence[SeriesStream], updates: Sequence[StreamUpdate]) -> None:
        """Take the latest numbers of streams that were updated."""
        for stream, update in zip(streams, updates, strict=True):
            if stream.name not in self._rows and len(self._rows) >= _MOST_STREAMS:
                continue
            known = update.settled.scores[np.isfinite(update.settled.scores)]
            score = f"{known[-1]:.2f}" if len(known) else self._rows.get(stream.name, (0, "", 0))[1]
            self._rows[stream.name] = (stream.online.count, score, len(stream.events.open))
        self.flush()

    def drawn(self) -> Group:
        """Return what is shown."""
        streams = Table("stream", "points", "last score", "open events", title="oddwave watch")
        for name, (count, score, opened) in self._rows.items():
            style = "bold red" if opened else ""
            streams.add_row(Text(visible(name)[:60]), f"{count:,}", score, str(opened), style=style)
        changes = Table("change", "event", "from", "to", "score", "p")
        for record in self._latest:
            start, end = (str(record.get(f"{edge}_time") or record.get(edge, "")) for edge in ("start", "end"))
            numbers = [f"{record[name]:.3g}" if record.get(name) is not None else "" for name in ("score", "p_value")]
            changes.add_row(str(record["change"]), Text(visible(str(record["id"]))[:60]), start, end, *numbers)
        return Group(streams, changes)

    def close(self) -> None:
        """Leave the last picture standing."""
        self._live.stop()
