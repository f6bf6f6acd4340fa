"""What a person is told while a watch runs: each kind of thing at once, then at most once a minute, with its count."""

import time
from collections.abc import Callable

__all__ = ["Teller"]

_AGAIN_S = 60.0


class Teller:
    """Says things through `say`; `num_faults` is how many rows, files or deliveries went wrong."""

    def __init__(self, say: Callable[[str], None], *, again_s: float = _AGAIN_S) -> None:
        self.say, self.again_s, self.num_faults = say, again_s, 0
        self._since: dict[str, tuple[float, int]] = {}

    def fault(self, kind: str, text: str, count: int = 1) -> None:
        """Tell of what went wrong, and count it."""
        self.num_faults += count
        self.note(kind, text)

    def note(self, kind: str, text: str) -> None:
        """Tell of something of a kind, unless that kind was told of in the last minute."""
        now = time.monotonic()
        last, silent = self._since.get(kind, (-float("inf"), 0))
        if now - last < self.again_s:
            self._since[kind] = (last, silent + 1)
            return
        self.say(f"{text} (and {silent} more of this kind since)" if silent else text)
        self._since[kind] = (now, 0)
