"""Reports that were just made, for the page to show in a frame: few, for a while, under names nobody can guess."""

import secrets
import time
from collections import OrderedDict

from oddwave.service.limits import ProblemError

__all__ = ["HEADERS", "Reports"]

_FOR_S = 1800.0
_MOST = 24
_MOST_BYTES = 256 << 20
# The page holds its own policy, by the hashes of its scripts; here it is cut off from the service it came from.
HEADERS = {
    "content-security-policy": "sandbox allow-scripts allow-downloads; frame-ancestors 'self'",
    "x-frame-options": "SAMEORIGIN",
}


class Reports:
    """Pages by name, the oldest dropped first. Used by the event loop only."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def add(self, page: str) -> str:
        """Keep a page and return its name."""
        name = secrets.token_urlsafe(24)
        self._pages[name] = (time.monotonic() + _FOR_S, page.encode())
        while len(self._pages) > 1 and (len(self._pages) > _MOST or self.num_bytes > _MOST_BYTES):
            self._pages.popitem(last=False)
        return name

    @property
    def num_bytes(self) -> int:
        """How much memory they take."""
        return sum(len(page) for _, page in self._pages.values())

    def page(self, name: str) -> bytes:
        """Return a page. Raises: ProblemError where it is gone."""
        now = time.monotonic()
        for old in [key for key, (until, _) in self._pages.items() if until < now]:
            del self._pages[old]
        if name not in self._pages:
            raise ProblemError(404, "this report is gone: score the data again")
        return self._pages[name][1]
