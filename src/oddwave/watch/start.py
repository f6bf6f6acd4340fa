"""From what a person asks for to a watch that runs: source, outputs, receivers of alarms, and the state of before."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from oddwave.calibration.budget import Asked
from oddwave.detector import Detector
from oddwave.errors import CheckpointError, ConfigError
from oddwave.sources.series.dates import is_date_text, parse_text_times
from oddwave.stream.session import StreamModel
from oddwave.visible import visible
from oddwave.watch.alarms import Alarms, Send, command_of, webhook_of
from oddwave.watch.folder import FolderWatch, read_folder_state
from oddwave.watch.output import LineFile, LinePrinter
from oddwave.watch.rows import RowReader
from oddwave.watch.run import RowWatch, WatchOptions, read_watch_state
from oddwave.watch.sources import FileSource, LineSource, StandardInput
from oddwave.watch.telling import Teller

__all__ = ["Asking", "started"]


@dataclass(frozen=True)
class Asking:
    """What a person asks for; `reading` says how rows are read, `asked` what is anomalous."""

    model: Path
    source: str
    out: Path | None = None
    scores: Path | None = None
    state: Path | None = None
    once: bool = False
    since: str | None = None
    webhook: str | None = None
    command: str | None = None
    alert_on: Any = "opened"
    dead_letter: Path | None = None
    every: float = 1.0
    reading: Mapping[str, Any] | None = None
    asked: Mapping[str, Any] | None = None
    device: str = "cpu"
    allow_external: bool = False

    @property
    def place(self) -> str:
        """The source as it is called from anywhere, and without a password."""
        if self.source == "-" or "://" in self.source:
            return re.sub(r"//[^@/]*@", "//", self.source)
        return str(Path(self.source).resolve())

    def receivers(self) -> dict[str, Send]:
        """Return who is given alarms. Raises: ConfigError."""
        found: dict[str, Send] = {}
        if self.webhook is not None:
            found["webhook"] = webhook_of(self.webhook)
        if self.command is not None:
            found["exec"] = command_of(self.command)
        return found

    def options(self) -> WatchOptions:
        """Return how the watch runs. Raises: ConfigError for a `since` that is no time."""
        since = None
        if self.since is not None:
            if not is_date_text(self.since):
                raise ConfigError(f"--since {self.since!r:.60} is no time: expected one such as 2026-01-31T12:00")
            since = int(parse_text_times([self.since]).times.astype("datetime64[ns]").astype(np.int64)[0])
        return WatchOptions(self.state, self.alert_on, since, self.every, once=self.once)


@contextmanager
def started(asking: Asking, say: Callable[[str], None]) -> Iterator[Any]:
    """Make ready everything that a watch needs, and let go of it in the end.

    Raises: ConfigError, CheckpointError, DataError for what cannot be had.
    """
    options, receivers, teller = asking.options(), asking.receivers(), Teller(say)
    detector = Detector.load(asking.model, device=asking.device, allow_external=asking.allow_external)
    folder = asking.source != "-" and "://" not in asking.source and Path(asking.source).is_dir()
    if not folder and detector.config.modality != "series":
        raise ConfigError(f"this model is of {detector.config.modality}: give a folder where its files arrive")
    with _alone(asking.state), ExitStack() as undo:
        known: Any = read_folder_state(asking.state) if folder else read_watch_state(asking.state)
        numbers = (known if folder else known[1]) if known else {}
        base = asking.state or Path("oddwave-watch")
        dead = asking.dead_letter or base.with_name(f"{base.name}.dead.jsonl")
        sent = asking.state.with_name(f"{asking.state.name}.sent") if asking.state else None
        asked, model = dict(asking.asked or {}), None
        if not folder:
            model = StreamModel(detector.inner, Asked(**asked))
        out = _output(asking, teller, numbers.get("out"), live=not folder)
        undo.callback(out.close)
        scores = LineFile(asking.scores, teller, numbers.get("scores")) if asking.scores else None
        if scores:
            undo.callback(scores.close)
        origin = f"{detector.meta['data_fingerprint']} {asking.place}"
        alarms = Alarms(receivers, teller, sent=sent, dead=dead, origin=origin)
        undo.callback(alarms.finish, 0.0)
        if model is None:
            detector.inner.check(Asked(**asked))
            yield FolderWatch(detector, Path(asking.source), out, alarms, teller, options, asked, scores, known)
            return
        reader = _reader(asking, detector, model, teller)
        source = _source(asking, teller, model, options.since, numbers.get("position"))
        undo.callback(source.close)
        seen = getattr(out, "seen", None)
        yield RowWatch(model, source, reader, out, alarms, teller, options, scores, known, seen)


def _output(asking: Asking, teller: Teller, offset: int | None, *, live: bool) -> Any:
    """Return where events go: a file, a live view on a terminal, else lines that are printed."""
    if asking.out is not None:
        return LineFile(asking.out, teller, offset)
    if live and sys.stdout.isatty():
        from oddwave.watch.live import LiveView

        return LiveView()
    return LinePrinter(sys.stdout)


def _reader(asking: Asking, detector: Detector, model: StreamModel, teller: Teller) -> RowReader:
    """Return the reader of rows: as the model's own data were read, unless told otherwise."""
    said = {name: value for name, value in (asking.reading or {}).items() if value is not None}
    fitted = {name: detector.read_options.get(name) for name in ("timestamp", "delimiter", "decimal", "day_first")}
    day_first = fitted["day_first"] if fitted["day_first"] is not None else detector.meta.get("day_first")
    known = {**fitted, "day_first": day_first}
    timestamp = known["timestamp"]
    given = {**known, "timestamp": None if timestamp is None else str(timestamp), **said}
    remote = "://" in asking.source
    given.setdefault("series", "series" if remote else None)
    name = "stream" if remote or asking.source == "-" else Path(asking.source).stem or "stream"
    return RowReader(model.channel_names, teller, **given, name=name)


def _source(
    asking: Asking, teller: Teller, model: StreamModel, since: int | None, position: Mapping[str, Any] | None
) -> LineSource:
    scheme, colon, _ = asking.source.partition("://")
    if asking.source == "-":
        return StandardInput(sys.stdin.buffer, teller)
    if not colon:
        return FileSource(Path(asking.source), teller, position)
    names = model.channel_names
    if scheme in ("mqtt", "mqtts"):
        from oddwave.watch.mqtt import MqttSource

        session = str(asking.state.resolve()) if asking.state else None
        return MqttSource(
            asking.source, names, teller, session=session, timestamp=(asking.reading or {}).get("timestamp")
        )
    if scheme in ("http", "https", "prometheus+http", "prometheus+https"):
        from oddwave.watch.prometheus import PrometheusSource

        first, back = None if since is None else since / 1e9, 2 * model.online.longest
        return PrometheusSource(asking.source, names, teller, first=first, back=back, known=position)
    raise ConfigError(f"{visible(asking.source)[:80]!r}: expected -, a file, a folder, mqtt://host/topic or http://...")


@contextmanager
def _alone(state: Path | None) -> Iterator[None]:
    """Keep two watches from sharing a state. Raises: CheckpointError."""
    if state is None:
        yield
        return
    lock = FileLock(state.with_name(f"{state.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise CheckpointError(
            f"another watch uses {state}: end it first, or give this one a state of its own"
        ) from error
    except OSError as error:
        raise CheckpointError(f"cannot write beside {state} ({error.strerror}): give another place for it") from error
    try:
        yield
    finally:
        lock.release()
