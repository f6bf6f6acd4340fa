"""What is told of a recording's events: each as a whole, and of the strongest what can be seen and heard.

A short recording is one excerpt. Of a long one each of the strongest runs of anomalous clips has its own: a short run
with a clip to either side, a long one around its most abnormal clip. Clips are read once more for it, one after
another, and few are held at once.

Legend: N clips of a recording, S parts of a clip, B bands of levels. Read `explain.py` next.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from oddwave.detection.audio.explain import events_between, explain_clips, reaching, without_filling
from oddwave.detection.audio.model import AudioModel
from oddwave.detection.audio.runs import Evidence, Run, run_event
from oddwave.results import AudioEvent, AudioExcerpt, AudioResult
from oddwave.sources.audio.clips import AudioClip

__all__ = ["events_of_runs", "explained"]

_LONGEST_WHOLE_S = 20.0  # recordings up to here are one excerpt
_LONGEST_SHOWN = 4  # clips: of longer runs the most abnormal part is shown
_MOST_EXCERPTS = 12
_LONG_S = 6.0  # what lasts so long is one event, whatever its map looks like

PeakEvidence = Callable[[float, int], float]  # peak, number of clips -> p-value


@dataclass(frozen=True, slots=True)
class _Shown:
    """The clips of an excerpt, the last one included, and the runs whose events are looked up in it."""

    first: int
    last: int
    runs: tuple[Run, ...] = ()


def events_of_runs(
    model: AudioModel,
    result: AudioResult,
    runs: Sequence[Run],
    bands_db: Float[np.ndarray, "N S B"],
    p_value_of: PeakEvidence,
) -> tuple[AudioEvent, ...]:
    """Return an event for each run, the strongest first, by the levels of its clips."""
    return _ordered([event for event, _ in _coarse(model, result, runs, bands_db, p_value_of).values()])


def _coarse(
    model: AudioModel,
    result: AudioResult,
    runs: Sequence[Run],
    bands_db: Float[np.ndarray, "N S B"],
    p_value_of: PeakEvidence,
) -> dict[Run, tuple[AudioEvent, bool]]:
    """Return for each run its event by the levels of bands, and whether that is all there is to tell of it."""
    if not runs:
        return {}
    normal, whole = model.audio.band_statistics(), Run(0, len(result.scores) - 1)
    frequencies, evidence = model.audio.audio_map.frequencies_hz, _evidence(result, p_value_of)
    part_s = result.clip_s / bands_db.shape[1]
    starts_s = result.starts_s[:, None] + part_s * np.arange(bands_db.shape[1])
    found: dict[Run, tuple[AudioEvent, bool]] = {}
    for run in runs:
        own = slice(run.first, run.last + 1)
        parts = bands_db[own].reshape(-1, bands_db.shape[2]), starts_s[own].ravel()
        event, lasts = run_event(
            result.id, _span(result, run), *parts, normal, frequencies, evidence, whole=run == whole
        )
        enough = event.throughout or run.num_clips > _LONGEST_SHOWN
        is_wide = event.high_hz > 2.0 * event.low_hz  # of a tone the map tells the frequency better
        enough = enough or (lasts and is_wide and event.end_s - event.start_s >= _LONG_S)
        (event,) = reaching([event], _clip_spans(result, run), part_s)
        found[run] = event, enough
    return found


def explained(
    model: AudioModel,
    result: AudioResult,
    runs: Sequence[Run],
    bands_db: Float[np.ndarray, "N S B"],
    clips: Iterable[AudioClip],
    threshold: float,
    p_value_of: PeakEvidence,
) -> AudioResult:
    """Return a result with excerpts, and with where exactly its short events lie.

    `clips` are those of the recording, `threshold` is what maps of normal clips rarely reach.
    """
    plan, evidence = _plan(result, runs), _evidence(result, p_value_of)
    coarse = _coarse(model, result, runs, bands_db, p_value_of)
    excerpts: dict[_Shown, AudioExcerpt] = {}
    events: dict[Run, tuple[AudioEvent, ...]] = {run: (event,) for run, (event, _) in coarse.items()}
    for shown, own in _gathered(plan, clips):
        excerpt = explain_clips(model, own, model.score(np.stack([clip.samples for clip in own])).maps, threshold)
        excerpts[shown] = without_filling(excerpt, result.duration_s)
        for run in shown.runs:
            if not coarse[run][1]:
                found = events_between(
                    result.id, excerpts[shown], _span(result, run), threshold, evidence, result.threshold
                )
                events[run] = reaching(found, _clip_spans(result, run), model.audio.audio_map.column_s)
    strongest, *others = [excerpts[shown] for shown in plan]
    ordered = _ordered([event for own in events.values() for event in own])
    return replace(result, excerpt=strongest, more_excerpts=tuple(others), events=ordered)


def _clip_spans(result: AudioResult, run: Run) -> list[tuple[float, float]]:
    return [_span(result, Run(number, number)) for number in range(run.first, run.last + 1)]


def _plan(result: AudioResult, runs: Sequence[Run]) -> list[_Shown]:
    """Return what is shown, the strongest first."""
    last, scores = len(result.scores) - 1, result.scores
    if result.duration_s <= _LONGEST_WHOLE_S:
        return [_Shown(0, last, tuple(runs))]
    ranked = sorted(runs or [Run(0, last)], key=lambda run: -scores[run.first : run.last + 1].max())
    plan = []
    for run in ranked[:_MOST_EXCERPTS]:
        if runs and run.num_clips <= _LONGEST_SHOWN:
            plan.append(_Shown(max(0, run.first - 1), min(last, run.last + 1), (run,)))
        else:
            peak = run.first + int(scores[run.first : run.last + 1].argmax())
            plan.append(_Shown(max(0, peak - 1), min(last, peak + 1)))
    return plan


def _gathered(plan: Sequence[_Shown], clips: Iterable[AudioClip]) -> Iterable[tuple[_Shown, list[AudioClip]]]:
    """Yield the clips of each excerpt as soon as the last of them is read."""
    waiting = sorted(plan, key=lambda shown: shown.last)
    held: dict[int, AudioClip] = {}
    for number, clip in enumerate(clips):
        held[number] = clip
        while waiting and waiting[0].last == number:
            shown = waiting.pop(0)
            yield shown, [held[own] for own in range(shown.first, shown.last + 1)]
        if not waiting:
            return
        needed = min(shown.first for shown in waiting)
        held = {own: clip for own, clip in held.items() if own >= needed}


def _span(result: AudioResult, run: Run) -> tuple[float, float]:
    """Return from when to when a run's clips last."""
    end_s = min(float(result.starts_s[run.last]) + result.clip_s, result.duration_s)
    return float(result.starts_s[run.first]), end_s


def _evidence(result: AudioResult, p_value_of: PeakEvidence) -> Evidence:
    """Return what tells score and p-value of a stretch: those of the most abnormal clip that it lies in."""

    def of_stretch(start_s: float, end_s: float) -> tuple[float, float]:
        inside = (result.starts_s < end_s) & (result.starts_s + result.clip_s > start_s) & (result.labels == 1)
        peak = float(result.scores[inside].max(initial=-np.inf))
        return peak, p_value_of(peak, len(result.scores))

    return of_stretch


def _ordered(events: Sequence[AudioEvent]) -> tuple[AudioEvent, ...]:
    return tuple(sorted(events, key=lambda event: -event.score))
