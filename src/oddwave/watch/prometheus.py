"""A Prometheus range query that is asked again and again: its answers become rows, each moment once.

Its format: https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries (a `matrix`). With a model of one
channel each time series of the answer is a stream of its own; with several, each is the channel whose name it bears, as
its metric's name, the value of one of its labels, or all of it as Prometheus writes it.
"""

import base64
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from oddwave.errors import ConfigError
from oddwave.sources.series.items import place_of
from oddwave.visible import visible
from oddwave.watch.sources import Chunk
from oddwave.watch.telling import Teller

__all__ = ["PrometheusSource"]

_MOST_BYTES, _MOST_STEPS, _TIMEOUT_S, _LONGEST_WAIT_S = 2**26, 10_000, 30.0, 300.0
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class PrometheusSource:
    """Asks from where it last got to up to now; `first` are the seconds since 1970 to begin at."""

    def __init__(
        self,
        url: str,
        channels: Sequence[str],
        teller: Teller,
        *,
        first: float | None = None,
        back: int = 100,
        known: Mapping[str, Any] | None = None,
        name: str = "stream",
    ) -> None:
        """Take an address with its query; without `first` it begins `back` steps before now. Raises: ConfigError."""
        parts = urlsplit(url.removeprefix("prometheus+"))
        asked = parse_qs(parts.query)
        if parts.scheme not in ("http", "https") or not parts.hostname or not asked.get("query"):
            raise ConfigError(
                f"{visible(url)[:80]!r} is no range query: expected http://host:9090/api/v1/query_range?query=...&step=60"
            )
        self.channels, self.teller, self.name = tuple(channels), teller, name
        self.step = _seconds(asked.get("step", ["60"])[0])
        host = parts.hostname + (f":{parts.port}" if parts.port else "")
        self._address = urlunsplit((parts.scheme, host, parts.path or "/api/v1/query_range", "", ""))
        self._query = asked["query"][0]
        signed = f"{parts.username}:{parts.password or ''}" if parts.username else ""
        self._headers = {"Authorization": f"Basic {base64.b64encode(signed.encode()).decode()}"} if signed else {}
        begins = first if first is not None else float(asked["start"][0]) if "start" in asked else None
        now = time.time()
        self._next = float(known["next"]) if known else (now - back * self.step if begins is None else begins)
        self._wait_until, self._wait = 0.0, 0.0

    def take(self) -> Chunk:
        """Ask, where there is something to ask for; a server that does not answer is asked again later."""
        now = time.time()
        if now < self._next or now < self._wait_until:
            return Chunk()
        last = min(now, self._next + (_MOST_STEPS - 1) * self.step)
        steps = int((last - self._next) // self.step)
        try:
            results = self._asked(self._next, self._next + steps * self.step)
        except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError) as error:
            self._wait = min(_LONGEST_WAIT_S, max(1.0, 2.0 * self._wait))
            self._wait_until = now + self._wait
            self.teller.note("prometheus", f"Prometheus gave no answer ({_told(error)}): asked again")
            return Chunk()
        self._wait, self._next = 0.0, self._next + (steps + 1) * self.step
        return Chunk(self._rows(results))

    def _asked(self, start: float, end: float) -> list[dict[str, Any]]:
        asked = urlencode(
            {"query": self._query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{self.step:g}"}
        )
        request = urllib.request.Request(f"{self._address}?{asked}", headers=self._headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                content = answer.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            content = error.read(_MOST_BYTES)
            error.close()
            if not content.lstrip().startswith(b"{"):
                raise ValueError(f"status {error.code}") from error
        if len(content) > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES:,} bytes: ask for fewer series")
        told = json.loads(content)
        if told["status"] != "success":
            raise ValueError(f"{told.get('errorType', 'error')}: {str(told.get('error', ''))[:120]}")
        if told["data"]["resultType"] != "matrix":
            raise ValueError(f"a {str(told['data']['resultType'])[:20]}, no matrix: ask /api/v1/query_range")
        results: list[dict[str, Any]] = told["data"]["result"]
        return results

    def _rows(self, results: Sequence[Mapping[str, Any]]) -> list[bytes]:
        rows: dict[tuple[float, str], dict[str, Any]] = {}
        for own in results:
            metric = {str(k): str(v) for k, v in own["metric"].items()}
            channel, series = self._place(metric)
            if channel is None:
                self.teller.note(
                    "metric", f"{_written(metric)[:120] or '{}'} is none of the model's channels: left out"
                )
                continue
            for stamp, value in own["values"]:
                rows.setdefault((float(stamp), series), {"time": float(stamp), "series": series})[channel] = str(value)
        return [json.dumps(row).encode() for _, row in sorted(rows.items(), key=lambda entry: entry[0])]

    def _place(self, metric: Mapping[str, str]) -> tuple[str | None, str]:
        """Return which channel a time series is, and of which stream."""
        if len(self.channels) == 1:
            return self.channels[0], _written(metric) or self.name
        for name in (_written(metric), metric.get("__name__", ""), *metric.values()):
            place = place_of(name, self.channels)
            if place is not None:
                return self.channels[place], self.name
        return None, self.name

    def position(self) -> dict[str, Any]:
        """Return the moment to go on at."""
        return {"next": self._next}

    def saved(self) -> None:
        """Nothing is to be done: the server keeps what it has."""

    def close(self) -> None:
        """Nothing is open between two questions."""


def _seconds(text: str) -> float:
    """Return a step in seconds: 60, 30s, 5m, 1h30m. Raises: ConfigError."""
    parts = re.findall(r"([\d.]+)(ms|s|m|h|d)?", text)
    try:
        seconds = sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
    except ValueError:
        seconds = 0.0
    if seconds < 0.001 or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"step={text!r:.40} is no duration: expected seconds, or 30s, 5m, 1h")
    return seconds


def _written(metric: Mapping[str, str]) -> str:
    """Return a metric as Prometheus writes it."""
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(metric.items()) if name != "__name__")
    return metric.get("__name__", "") + (f"{{{labels}}}" if labels else "")


def _told(error: BaseException) -> str:
    return visible(f"{type(error).__name__} {error}" if isinstance(error, KeyError | TypeError) else str(error))[:200]
