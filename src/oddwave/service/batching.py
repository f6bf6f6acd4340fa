"""From requests to the one scorer of a model: a queue, one thread, and items of several requests scored together.

While the thread is at work, requests gather; it then takes all that may be scored together. Nobody waits for others to
come. Only images are put together, few of each request: what is said of an image rests on the image, the model and the
rule (see `detection/base.py`), while a recording's or a stream's summary also tells of those beside it. Legend of
numbers: `max_waiting` and `max_together` are in `limits.py`. Read `uploads.py` for what jobs hold.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from oddwave.calibration.budget import Asked
from oddwave.detector import Detector
from oddwave.errors import DataError
from oddwave.results import DetectionResult
from oddwave.service.limits import Limits, ProblemError

__all__ = ["Explain", "Job", "Judgement", "Scoring", "ScoringThread"]

Explain = Literal["flagged", "all", "none"]
MOST_IN_A_SHARED_JOB = 4  # images: of so few no drift is ever told (bets pay 2 ** 4 < 100), alone or with others
_log = logging.getLogger("oddwave.service")


@dataclass(frozen=True, slots=True)
class Job:
    """What one request wants scored: named sources (paths of files, or arrays), the rule, and what is explained."""

    sources: Mapping[str, Any]
    asked: Asked = field(default_factory=Asked)
    explain: Explain = "none"

    @property
    def may_be_shared(self) -> bool:
        """Whether its items may be scored with those of others."""
        return len(self.sources) <= MOST_IN_A_SHARED_JOB and self.asked.flag is None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of a job: the result of all that could be read, or, where nothing could be, the reason for each."""

    result: DetectionResult | None
    unread: tuple[tuple[str, str], ...] = ()


class Scoring(Future[Any]):
    """A job, or a call that touches the detector, on its way; cancelled, it is passed over unless it has begun."""

    def __init__(self, job: Job | Callable[[], Any]) -> None:
        super().__init__()
        self.job = job


@dataclass
class ScoringThread:
    """The thread that alone touches a detector."""

    detector: Detector
    limits: Limits
    name: str = "model"
    waiting: deque[Scoring] = field(default_factory=deque)
    jobs_together: Callable[[int], None] = lambda count: None  # told how many jobs were scored in one go

    def __post_init__(self) -> None:
        """Start the thread."""
        self.usual_s = 0.0  # what a job takes, of late
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"oddwave-{self.name}", daemon=True)
        self._thread.start()

    def submit(self, job: Job | Callable[[], Any]) -> Scoring:
        """Queue a job or a call. Raises: ProblemError (503) once the thread was told to stop."""
        scoring = Scoring(job)
        with self._changed:
            if self._stopping:
                raise ProblemError(503, "the service is stopping: ask again in a moment", {"Retry-After": "10"})
            self.waiting.append(scoring)
            self._changed.notify()
        return scoring

    @property
    def wait_s(self) -> float:
        """How long a new job would wait, by what jobs took of late."""
        return self.usual_s * (1 + len(self.waiting))

    @property
    def is_alive(self) -> bool:
        """Whether jobs are taken."""
        return self._thread.is_alive() and not self._stopping

    def stop(self, wait_s: float) -> None:
        """Finish what was queued, take nothing more, and wait for the thread to end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while together := self._next():
            began = time.monotonic()
            self._score(together)
            took = (time.monotonic() - began) / len(together)
            self.usual_s = took if not self.usual_s else 0.8 * self.usual_s + 0.2 * took
            self.jobs_together(len(together))

    def _next(self) -> list[Scoring]:
        """Return the next job, and all behind it that may be scored with it; nothing once all is done."""
        with self._changed:
            while True:
                while not self.waiting:
                    if self._stopping:
                        return []
                    self._changed.wait()
                first = self.waiting.popleft()
                if first.set_running_or_notify_cancel():
                    break
            return [first, *self._joining(first)]

    def _joining(self, first: Scoring) -> list[Scoring]:
        """Take those that may be scored with the first out of the queue."""
        job, together, passed = first.job, list[Scoring](), deque[Scoring]()
        if self.detector.config.modality != "image" or not isinstance(job, Job) or not job.may_be_shared:
            return together
        num_items = len(job.sources)
        while self.waiting:
            other = self.waiting.popleft()
            own = other.job
            same = isinstance(own, Job) and (own.asked, own.explain) == (job.asked, job.explain) and own.may_be_shared
            num_more = len(own.sources) if isinstance(own, Job) else 0
            if not same or num_items + num_more > self.limits.max_together:
                passed.append(other)
            elif other.set_running_or_notify_cancel():
                together.append(other)
                num_items += num_more
        self.waiting.extend(passed)
        return together

    def _score(self, together: Sequence[Scoring]) -> None:
        """Score jobs and give each its own; what fails together is scored one by one."""
        if len(together) > 1:
            try:
                judged = self._shared([scoring.job for scoring in together if isinstance(scoring.job, Job)])
            except Exception as error:
                _log.debug("%d jobs could not be scored together: %s", len(together), error)
            else:
                for scoring, judgement in zip(together, judged, strict=True):
                    if judgement is not None:
                        scoring.set_result(judgement)
                together = [own for own, judgement in zip(together, judged, strict=True) if judgement is None]
        for scoring in together:
            try:
                job = scoring.job
                scoring.set_result(self._alone(job) if isinstance(job, Job) else job())
            except BaseException as error:  # whatever it is, it belongs to this request
                scoring.set_exception(error)

    def _alone(self, job: Job) -> Judgement:
        try:
            return Judgement(self._result(job))
        except DataError as error:
            if len(job.sources) == 1:
                raise
            unread = [self._refusal(job, name) for name in job.sources]
            if not all(unread):  # each could be judged, together they cannot
                raise error from None
            return Judgement(None, tuple((name, str(why)) for name, why in zip(job.sources, unread, strict=True)))

    def _refusal(self, job: Job, name: str) -> str:
        """Return why one of several sources cannot be judged, or nothing where it can."""
        try:
            own = replace(job, sources={name: job.sources[name]})
            self._result(own)
        except DataError as error:
            return str(error).partition(", the first: ")[2] or str(error)  # there is but one
        return ""

    def _result(self, job: Job) -> DetectionResult:
        source = {name: str(own) if isinstance(own, Path) else own for name, own in job.sources.items()}
        data = self.detector.inner.read(source)
        self.limits.check(self.detector.config.modality, data)
        return self.detector.inner.score(data, alpha=job.asked, explain=job.explain)

    def _shared(self, jobs: Sequence[Job]) -> list[Judgement | None]:
        """Score the items of several jobs in one go; None for a job that must say by itself why nothing came of it."""
        named = [{f"{number}/{name}": own for name, own in job.sources.items()} for number, job in enumerate(jobs)]
        everything = replace(jobs[0], sources={key: own for each in named for key, own in each.items()})
        result = self._result(everything)
        items, judged = iter(result.items), list[Judgement | None]()
        for job in jobs:
            own = tuple(_renamed(next(items), name) for name in job.sources)
            if all(item.label == -1 for item in own):
                judged.append(None)
                continue
            unmonitored = tuple(f"{item.id}: {item.error}" for item in own if item.error)
            judged.append(Judgement(replace(result, items=own, not_monitored=unmonitored, drift=())))
        return judged


def _renamed(item: Any, name: str) -> Any:
    """Return an item and its events under the name that its own request gave it."""
    events = tuple(replace(event, item=name) for event in item.events)
    return replace(item, id=name, events=events)
