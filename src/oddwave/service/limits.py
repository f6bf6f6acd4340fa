"""What one request may cost, and what a client is told beyond that: `ProblemError`, the answer to everything refused.

Limits of files as such (what a small one may unpack to) are those of the readers, see `sources/bounded.py`. Read
`security.py` next: it holds the limits of bodies.
"""

import math
import re
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

from oddwave.errors import ConfigError, DataError, MissingExtraError, OddwaveError
from oddwave.visible import visible

__all__ = ["Limits", "ProblemError", "keep_seconds", "problem_of", "safe_name"]

_DAY_S = 86400.0
_KEEP = re.compile(r"(\d+(?:\.\d+)?)\s*(h|d|w|m|y)[a-z]*", re.IGNORECASE)
_KEEP_S = {"h": 3600.0, "d": _DAY_S, "w": 7 * _DAY_S, "m": 30.4375 * _DAY_S, "y": 365.25 * _DAY_S}
_LONGEST_NAME = 120
_TITLES = {
    400: "The request cannot be read",
    401: "A token is needed",
    403: "Refused",
    404: "Not found",
    405: "Method not allowed",
    408: "The request came too slowly",
    409: "Not possible now",
    413: "Too large",
    415: "Content type not supported",
    422: "The data cannot be judged",
    429: "Too many requests at once",
    499: "The client went away",
    500: "The service failed",
    501: "Not installed",
    503: "The service is stopping",
}


class ProblemError(Exception):
    """A refusal as a client sees it (RFC 9457): a status, a title, and a detail that says how to mend it."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, visible(detail), headers or {}, more

    @property
    def content(self) -> dict[str, Any]:
        """The body of the answer."""
        title = _TITLES.get(self.status, "Refused")
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail, **self.more}


def problem_of(error: OddwaveError) -> ProblemError:
    """Return what a client is told of an error of ours: its message, which says what to do."""
    if isinstance(error, MissingExtraError):
        return ProblemError(501, str(error))
    if isinstance(error, DataError | ConfigError):
        return ProblemError(422, "; ".join([str(error), *map(str, getattr(error, "__notes__", ()))]))
    return ProblemError(500, "the model cannot be used; the service's log says why")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may hold, and how many may wait.

    `max_waiting` requests per model are read, queued or scored at once; more are answered 429. `body_s` is how long a
    client may take to send a body, `stop_s` how long requests may take to finish once the service is told to stop.
    """

    max_body_bytes: int = 64 << 20
    max_files: int = 64
    max_pixels: int = 50_000_000
    max_duration_s: float = 3600.0
    max_rows: int = 1_000_000
    max_waiting: int = 8
    max_together: int = 16
    max_streams: int = 256
    body_s: float = 60.0
    stop_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse limits under which nothing would pass. Raises: ConfigError."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ConfigError(f"{field.name} is {value!r:.40}: give a number above 0")

    def check(self, modality: str, data: Any) -> None:
        """Refuse data that were read and are more than one request may hold. Raises: ProblemError."""
        if modality == "series":
            rows = sum(len(item.values) for item in data.items)
            if rows > self.max_rows:
                told = (
                    f"{rows:,} rows were sent, at most {self.max_rows:,} are judged in one request: send them in parts"
                )
                raise ProblemError(413, told)
        if modality == "audio":
            for item in data.items:
                if item.duration_s > self.max_duration_s:
                    most = f"{self.max_duration_s:,.0f} s"
                    told = f"'{item.id}' lasts {item.duration_s:,.0f} s, at most {most} are judged: cut it into pieces"
                    raise ProblemError(413, told)


def safe_name(name: str | None, otherwise: str) -> str:
    """Return what a file that was sent is called here: the last part of its name, of letters that do no harm.

    Ids are shown as they are made here; no path, no markup and no control character of a client's is kept.
    """
    last = PurePosixPath((name or "").replace("\\", "/")).name
    kept = re.sub(r"[^\w.()+ -]+", "_", last).strip(". ")
    if len(kept) > _LONGEST_NAME:
        stem, dot, ending = kept.rpartition(".")
        kept = f"{stem[: _LONGEST_NAME - 12]}{dot}{ending[:10]}" if dot else kept[:_LONGEST_NAME]
    while len(kept.encode()) > 240:  # what file systems take, in letters of any width
        kept = kept[1:]
    return kept or otherwise


def keep_seconds(text: str | None) -> float | None:
    """Return how long the history is kept: "90d", "12 weeks", "2y"; None for ever. Raises: ConfigError."""
    if text is None:
        return None
    found = _KEEP.fullmatch(text.strip())
    seconds = float(found[1]) * _KEEP_S[found[2].lower()] if found else 0.0
    if seconds <= 0:
        raise ConfigError(f"--keep is {text!r:.40}: expected how long, such as 90d, 12w, 6m (months) or 2y")
    return seconds
