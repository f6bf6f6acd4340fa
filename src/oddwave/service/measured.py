"""What the service counts of itself, in Prometheus' text format."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from oddwave.service.models import ServedModel
from oddwave.version import __version__

__all__ = ["Measured"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Measured:
    """Counters of one service, apart from those of any other in this process."""

    def __init__(self, models: Mapping[str, ServedModel]) -> None:
        self._registry = CollectorRegistry()
        about = Gauge("oddwave_info", "The version of oddwave.", ["version"], registry=self._registry)
        about.labels(__version__).set(1)
        self.requests = Counter("oddwave_requests", "Requests by route and status.", ["route", "status"],
                                registry=self._registry)  # fmt: skip
        self.items = Counter("oddwave_items", "Items judged, by label.", ["model", "label"], registry=self._registry)
        self.seconds = Histogram("oddwave_scoring_seconds", "From a request's first byte to its answer.", ["model"],
                                 buckets=_SECONDS, registry=self._registry)  # fmt: skip
        self.together = Histogram("oddwave_requests_scored_together", "Requests in one pass of the scorer.", ["model"],
                                  buckets=(1, 2, 4, 8, 16), registry=self._registry)  # fmt: skip
        in_flight = Gauge("oddwave_requests_in_flight", "Requests read, queued or scored.", ["model"],
                          registry=self._registry)  # fmt: skip
        for name, model in models.items():
            in_flight.labels(name).set_function(lambda own=model: own.in_flight)  # type: ignore[misc]
            model.thread.jobs_together = self.together.labels(name).observe
        self.spooled = Gauge("oddwave_history_spooled", "Entries that wait for the database.", registry=self._registry)
        self.lost = Gauge("oddwave_history_lost", "Entries that no disk could take.", registry=self._registry)

    def text(self) -> bytes:
        """Return all of it."""
        return generate_latest(self._registry)
