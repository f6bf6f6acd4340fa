"""A request's way: a slot, its body, the scorer, its answer, the history. Every route that scores goes it.

Read `uploads.py` for bodies, `batching.py` for the scorer, `remembered.py` for the history.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from oddwave.calibration.budget import Asked
from oddwave.errors import OddwaveError
from oddwave.service.answers import answer_of
from oddwave.service.batching import Explain, Job, Judgement
from oddwave.service.history import History
from oddwave.service.limits import Limits, ProblemError, problem_of
from oddwave.service.measured import Measured
from oddwave.service.models import ServedModel
from oddwave.service.remembered import entries_of
from oddwave.service.reports import Reports
from oddwave.service.uploads import Uploads, received

__all__ = ["Service", "Wish", "answered", "judged"]

_log = logging.getLogger("oddwave.service")


@dataclass
class Service:
    """Everything that requests share."""

    models: dict[str, ServedModel]
    limits: Limits
    measured: Measured
    reports: Reports
    history: History | None = None
    streams: dict[str, Any] = field(default_factory=dict)  # of each model of series, its open streams
    stopping: bool = False
    began_s: float = 0.0

    def model(self, name: str) -> ServedModel:
        """Return a model. Raises: ProblemError."""
        if name not in self.models:
            known = ", ".join(self.models) or "none"
            raise ProblemError(404, f"there is no model '{name:.60}'; there are: {known}")
        return self.models[name]

    @property
    def in_flight(self) -> int:
        """How many requests are on their way."""
        return sum(model.in_flight for model in self.models.values())

    def remembers(self) -> History:
        """Return the history. Raises: ProblemError where the service has none."""
        if self.history is None:
            raise ProblemError(409, "the service was started without a history: start it with --history")
        return self.history


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request wants of its items beyond their scores."""

    asked: Asked
    explain: Explain | None = None  # by default what is anomalous, of images nothing: that takes seconds
    points: bool = False
    source: str = ""
    record: bool = True

    def explained(self, modality: str) -> Explain:
        """Return what is to be explained."""
        return self.explain or ("none" if modality == "image" else "flagged")


@asynccontextmanager
async def judged(
    request: Request, service: Service, model: ServedModel, wish: Wish
) -> AsyncIterator[tuple[Judgement, Uploads]]:
    """Read the body, score it, and give what came of it while its files are still there. Raises: ProblemError."""
    if service.stopping:
        raise ProblemError(503, "the service is stopping: ask again in a moment", {"Retry-After": "10"})
    began = time.monotonic()
    with model.slot():
        try:
            model.detector.inner.check(wish.asked)  # before the body is read
        except OddwaveError as error:
            raise problem_of(error) from None
        async with received(request, service.limits, model.modality) as uploads:
            job = Job(uploads.sources, wish.asked, wish.explained(model.modality))
            try:
                judgement = await _result(request, model, job)
                yield judgement, uploads
            except ProblemError as problem:
                problem.detail = uploads.told(problem.detail)
                raise
            except OddwaveError as error:
                told = problem_of(error)
                if told.status >= 500:
                    _log.exception("scoring by %s failed", model.name)
                raise ProblemError(told.status, uploads.told(told.detail)) from None
        _count(service, model, judgement)
    service.measured.seconds.labels(model.name).observe(time.monotonic() - began)


async def _result(request: Request, model: ServedModel, job: Job) -> Judgement:
    """Wait for a job, and drop it where the client goes away before it begins."""
    scoring = model.thread.submit(job)
    future = asyncio.wrap_future(scoring)
    leaving = asyncio.ensure_future(_gone(request))
    either: set[asyncio.Future[Any]] = {future, leaving}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not future.done() and not scoring.cancel():  # it has begun, and reads the files
            await asyncio.wait({future})
        if not future.done() or future.cancelled():
            raise ProblemError(499, "the client went away before its turn came")
        judgement: Judgement = future.result()
        return judgement
    finally:
        leaving.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await leaving


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _count(service: Service, model: ServedModel, judgement: Judgement) -> None:
    labels = [item.label for item in judgement.result.items] if judgement.result else [-1] * len(judgement.unread)
    for label, word in ((1, "anomalous"), (0, "normal"), (-1, "not judged")):
        if count := labels.count(label):
            service.measured.items.labels(model.name, word).inc(count)


async def answered(service: Service, model: ServedModel, wish: Wish, judgement: Judgement, uploads: Uploads) -> Any:
    """Return the answer, once the history has it on a disk."""
    identity = model.identity
    ids: list[str] = []
    recorded: bool | None = None
    if service.history is not None and wish.record:
        ids, entries = await run_in_threadpool(entries_of, judgement, identity, wish.source, uploads.told)
        recorded = await asyncio.wrap_future(service.history.record(entries))
    answer = await run_in_threadpool(answer_of, judgement, identity, uploads.told, ids, points=wish.points)
    return {**answer, "recorded": recorded}
