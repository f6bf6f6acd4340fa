"""The six tools: describe data, fit, score, explain an event, list the history, give feedback.

Each takes plain arguments, calls what Python calls, and returns JSON. Read `describing.py` for what is said of data.

Legend: T points of a stream, C channels.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from oddwave.agents.bounded import bounded
from oddwave.agents.describing import described, described_model
from oddwave.agents.places import Places
from oddwave.config import preset
from oddwave.detection.joint_which import modalities_of
from oddwave.detector import Detector
from oddwave.errors import CheckpointError, ConfigError, DataError
from oddwave.report.kinds import kind_of
from oddwave.report.outputs import require_writable
from oddwave.results import DetectionResult, SeriesResult
from oddwave.service.answers import answer_of, plain
from oddwave.service.batching import Judgement
from oddwave.visible import visible

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["Tools"]

_MODALITIES = ("series", "image", "audio")
_MOST_LISTED = 200
_MOST_VALUES, _MOST_CHANNELS = 40, 4
Answer = dict[str, Any]


class Tools:
    """What an agent may do within some places; `engine` is the history of a service, where there is one."""

    def __init__(self, places: Places, engine: "Engine | None" = None) -> None:
        self.places, self.engine = places, engine

    def describe_data(self, path: str, modality: str | None = None) -> Answer:
        """Say what a file, a folder or a model holds. Raises: OddwaveError."""
        data = self.places.data(path)
        if (Path(data) / "meta.json").is_file():
            try:
                return bounded(described_model(Path(data)))
            except CheckpointError:
                if not modalities_of(data):
                    raise
        return bounded(plain(described(data, self._modality(data, modality))))

    def fit(
        self,
        data: str,
        model: str,
        modality: str | None = None,
        preset_name: str = "fast",
        replace: bool = False,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Answer:
        """Learn from normal data and save a model, where it is still wanted then. Raises: OddwaveError."""
        source, folder = self.places.data(data), self.places.model(model)
        config = preset(preset_name, self._modality(source, modality))
        if folder.exists() and not replace and (folder.is_file() or any(folder.iterdir())):
            raise ConfigError(f"'{visible(model):.200}' exists: give another name, or replace=true to replace a model")
        require_writable(folder, "model")
        with _told() as notes:
            detector = Detector(config).fit(source)
        if not is_wanted():
            raise ConfigError("the call was cancelled: no model was saved")
        detector.save(folder)
        return bounded({**described_model(folder), "model": model, "notes": notes})

    def score(
        self,
        model: str,
        data: str,
        alpha: float | None = None,
        threshold: float | None = None,
        flag: int | None = None,
        false_alarms: str | None = None,
        max_items: int = 20,
    ) -> Answer:
        """Judge data: the verdict, and the items in the order of their interest. Raises: OddwaveError."""
        _check_most("max_items", max_items)
        asked = {"alpha": alpha, "threshold": threshold, "flag": flag, "false_alarms": false_alarms}
        detector, source = self._loaded(model, data)
        with _told() as notes:
            result = detector.score(source, **asked, explain="none")  # type: ignore[arg-type]
        answer = answer_of(Judgement(result), {"path": model, "modality": result.modality}, visible)
        items = sorted(answer["items"], key=lambda item: (-abs(item["label"]), -(item["score"] or 0.0)))
        for item in items:
            item["events"] = [{"number": number, **event} for number, event in enumerate(item["events"], start=1)]
        more = {"items_not_shown": len(items) - max_items} if len(items) > max_items else {}
        return bounded({**answer, "items": items[:max_items], **more, "notes": notes})

    def explain_event(
        self,
        model: str,
        data: str,
        event: int,
        item: str | None = None,
        alpha: float | None = None,
        threshold: float | None = None,
    ) -> Answer:
        """Say what is known of an event: where, how strong, in which channels or bands, what was expected.

        Raises: OddwaveError.
        """
        detector, source = self._loaded(model, data)
        with _told() as notes:
            result = detector.score(source, alpha=alpha, threshold=threshold, explain="flagged")
        own, number = _found(result, item, event)
        row = list(kind_of(result).event_rows(own))[number]
        answer = {"item": own.id, "number": number + 1, **plain(row), **plain(own.events[number])}
        if isinstance(own, SeriesResult):
            answer["values"] = _values_around(own, own.events[number])
        answer["threshold"] = plain(result.calibration.threshold)
        return bounded({**answer, "notes": [*plain(own.notes), *notes]})

    def list_history(
        self,
        model: str | None = None,
        label: str | None = None,
        verdict: str | None = None,
        since: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Answer:
        """List what a service judged, the newest first. Raises: OddwaveError."""
        from oddwave.service.limits import ProblemError
        from oddwave.service.queries import Wanted, items_of

        _check_most("limit", limit)
        if self.engine is None:
            raise ConfigError("no history was named: start `oddwave mcp` with --history, as `oddwave serve` was")
        labels = {"anomalous": 1, "normal": 0, "not judged": -1}
        said = ("real", "false_alarm", "unsure", "any", "none")
        _check_word("label", label, labels)
        _check_word("verdict", verdict, said)
        number = None if label is None else labels[label]
        wanted = Wanted(model, None, number, _ms(since), None, verdict, before, limit)
        try:
            return bounded({"items": items_of(self.engine, wanted)})
        except ProblemError as problem:
            raise DataError(problem.detail) from None

    def give_feedback(
        self,
        model: str,
        data: str,
        verdict: str,
        item: str | None = None,
        event: int | None = None,
        note: str = "",
        alpha: float | None = None,
        threshold: float | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Answer:
        """Keep in a model what a person says of a finding. Raises: OddwaveError."""
        detector, source = self._loaded(model, data)
        folder = self.places.model(model)
        require_writable(folder, "model")
        found: dict[str, Any] = {"item": item, "event": event, "alpha": alpha, "threshold": threshold}
        with _told() as notes:
            mark = detector.feedback(source, verdict=verdict, note=note, **found)
        if not is_wanted():
            raise ConfigError("the call was cancelled: nothing was kept")
        detector.save(folder)
        undo = f"oddwave feedback {visible(model)} --undo {mark.id}"
        kept = {name: plain(getattr(mark, name)) for name in ("id", "item", "stretch", "verdict", "note")}
        return bounded({**kept, "score": plain(mark.score), "score_after": plain(mark.score_after), "undo": undo,
                        "num_kept": len(detector.corrections), "notes": notes})  # fmt: skip

    def _loaded(self, model: str, data: str) -> tuple[Detector, str]:
        return Detector.load(self.places.model(model)), self.places.data(data)

    def _modality(self, source: str, given: str | None) -> str:
        """Return what data are of, by what is said or by the endings of the files. Raises: ConfigError, DataError."""
        if given is not None:
            _check_word("modality", given, _MODALITIES)
            return given
        found = [modality for modality in _MODALITIES if modality in modalities_of(source)]
        if len(found) != 1:
            held = f"holds files of {' and '.join(found)}" if found else "tells by no ending of what they are"
            raise DataError(f"'{visible(source):.200}' {held}: give modality={found[0] if found else 'series'}")
        return found[0]


@contextmanager
def _told() -> Iterator[list[str]]:
    """Collect, each on one line, the warnings of the block."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield notes
    notes += [visible(" ".join(str(own.message).split())) for own in caught if issubclass(own.category, UserWarning)]


def _found(result: DetectionResult, item: str | None, event: int) -> tuple[Any, int]:
    """Return the item and the place in it of an event; it counts from 1, in `item` or over all. Raises: DataError."""
    own = [each for each in result.items if item is None or each.id == item]
    if not own:
        known = ", ".join(repr(visible(each.id)) for each in result.items[:5])
        raise DataError(f"there is no item {visible(str(item))!r:.200}; there are {known}")
    every = [(each, number) for each in own for number in range(len(each.events))]
    if not 1 <= event <= len(every):
        told = f"events 1 to {len(every)}" if every else "no event"
        raise DataError(f"event is {event}, there is {told}: score with the same alpha or threshold, and count anew")
    return every[event - 1]


def _values_around(item: SeriesResult, event: Any) -> Answer:
    """Return what was measured and what was expected in an event and just around it, of few points and channels."""
    margin = max(2, (event.end - event.start + 1) // 4)
    first, last = max(0, event.start - margin), min(len(item.values), event.end + margin + 1)
    points = np.unique(np.linspace(first, last - 1, min(_MOST_VALUES, last - first)).round().astype(int))
    names, expected = list(item.channel_names), item.reconstruction
    order = list(range(len(names)))
    if expected is not None:
        gap = np.nan_to_num(np.abs(item.values - expected))[event.start : event.end + 1].max(axis=0)
        order = np.argsort(-gap, kind="stable").tolist()
    shown: Answer = {"points": plain(points)}
    if item.timestamps is not None:
        shown["timestamps"] = plain(item.timestamps[points].astype(str))
    shown["channels"] = {
        names[channel]: {
            "measured": plain(item.values[points, channel].astype(float)),
            "expected": None if expected is None else plain(expected[points, channel].astype(float)),
        }
        for channel in order[:_MOST_CHANNELS]
    }
    return shown


def _ms(time: str | None) -> int | None:
    """Return a time as milliseconds since 1970, UTC where it names no zone. Raises: ConfigError."""
    from datetime import UTC, datetime

    if time is None:
        return None
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise ConfigError(f"since is {time!r:.60}: expected a time such as 2026-01-31 or 2026-01-31T06:00") from None
    return int(1000 * (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _check_most(name: str, value: int) -> None:
    if not 1 <= value <= _MOST_LISTED:
        raise ConfigError(f"{name} is {value}: give a number from 1 to {_MOST_LISTED}")


def _check_word(name: str, value: str | None, words: Any) -> None:
    if value is not None and value not in words:
        raise ConfigError(f"{name} is {value!r:.60}: expected one of {', '.join(words)}")
