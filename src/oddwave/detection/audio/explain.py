"""Explanation of sound: what an abnormal stretch would have been, its events, and the stretch to listen to.

The normal version is the recording itself wherever it is normal. Where it is not, its map is repaired, and its wavelet
coefficients are moved to the repaired levels (`tensors/audio_back.py`).

Legend: n samples, R rows and T columns of a map, M side of a common map.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from oddwave.detection.audio.events import find_audio_events
from oddwave.detection.audio.model import AudioModel
from oddwave.detection.image.explain import changes_to_normal, repair_share
from oddwave.errors import ConfigError
from oddwave.results import AudioEvent, AudioExcerpt
from oddwave.sources.audio.clips import AudioClip
from oddwave.tensors.audio_back import OverlapAdd, normal_audio

__all__ = ["events_between", "explain_clips", "reaching", "without_filling"]

_SURELY_UNUSUAL = 2.0  # deviations of a row's level
_SMALLEST_EVENT_DB = 3.0  # beside the strongest one, a listener wants to be told of what can be heard
_SMALLEST_CHANGE_DB = 1.0  # what the model merely draws a little differently is no change


def explain_clips(
    model: AudioModel, clips: Sequence[AudioClip], maps: Float[np.ndarray, "B M M"], threshold: float
) -> AudioExcerpt:
    """Explain neighbouring clips of one recording, in the order of their starts, by their anomaly maps.

    `threshold` is the value of an anomaly map that normal clips rarely reach.
    """
    audio_map = model.audio.audio_map
    samples = np.stack([clip.samples for clip in clips])
    levels = model.audio.levels(samples).cpu()
    unusual = _unusual(model, levels)
    normal_levels = _normal_levels(model, levels, maps, unusual, threshold)
    try:
        normal = normal_audio(audio_map, torch.from_numpy(samples), levels, normal_levels).numpy()
    except ConfigError:  # a map without inverse: it can be seen, but not heard
        normal = samples
    fine = _sharpened(maps, unusual)
    per_column = audio_map.clip_samples // audio_map.columns
    first = round(clips[0].start_s * audio_map.sample_rate)
    starts = [round(clip.start_s * audio_map.sample_rate) - first for clip in clips]
    columns = [start // per_column for start in starts]
    return AudioExcerpt(
        start_s=clips[0].start_s,
        sample_rate=audio_map.sample_rate,
        samples=_joined(samples, starts),
        normal=_joined(normal, starts),
        levels_db=_pasted(levels.numpy(), columns),
        normal_levels_db=_pasted(normal_levels.numpy(), columns),
        anomaly_map=_pasted(fine, columns),
        frequencies_hz=audio_map.frequencies_hz,
    )


def events_between(
    item: str,
    excerpt: AudioExcerpt,
    span_s: tuple[float, float],
    threshold: float,
    evidence: Callable[[float, float], tuple[float, float]],
    least_score: float,
) -> tuple[AudioEvent, ...]:
    """Return what stands out of an excerpt between two moments, the strongest first, one event at least.

    `evidence` gives score and p-value of a stretch; what scores less than `least_score` is left out.
    """
    column_s = len(excerpt.samples) / excerpt.sample_rate / excerpt.anomaly_map.shape[1]
    columns = slice(*(max(0, round((moment - excerpt.start_s) / column_s)) for moment in span_s))
    found = find_audio_events(
        item,
        excerpt.anomaly_map[:, columns],
        threshold,
        excerpt.levels_db[:, columns],
        excerpt.normal_levels_db[:, columns],
        excerpt.frequencies_hz,
        column_s,
        evidence,
        start_s=excerpt.start_s + columns.start * column_s,
        at_least_one=True,
    )
    first, *others = found
    return (first, *(own for own in others if own.score >= least_score and abs(own.level_db) >= _SMALLEST_EVENT_DB))


def reaching(
    events: Sequence[AudioEvent], clips_s: Sequence[tuple[float, float]], column_s: float
) -> tuple[AudioEvent, ...]:
    """Widen the first event just so far that each clip has a part in one: a clip is anomalous by what is in it."""
    first, *others = events
    for start_s, end_s in clips_s:
        if any(own.start_s < end_s and own.end_s > start_s for own in (first, *others)):
            continue
        wider = min(first.start_s, end_s - column_s), max(first.end_s, start_s + column_s)
        first = replace(first, start_s=wider[0], end_s=wider[1])
    return (first, *others)


def without_filling(excerpt: AudioExcerpt, duration_s: float) -> AudioExcerpt:
    """Cut off what a recording shorter than a clip was filled up with."""
    share = (duration_s - excerpt.start_s) / (excerpt.end_s - excerpt.start_s)
    if share >= 1.0:
        return excerpt
    length, columns = (max(1, round(share * size)) for size in (len(excerpt.samples), excerpt.levels_db.shape[1]))
    return replace(
        excerpt,
        samples=excerpt.samples[:length],
        normal=excerpt.normal[:length],
        levels_db=excerpt.levels_db[:, :columns],
        normal_levels_db=excerpt.normal_levels_db[:, :columns],
        anomaly_map=excerpt.anomaly_map[:, :columns],
    )


def _unusual(model: AudioModel, levels: Float[Tensor, "B R T"]) -> Float[Tensor, "B R T"]:
    """Return how unusual the level of each cell is at its frequency, from 0 (within what varies) to 1."""
    assert model.audio.scale is not None
    mean, deviation = (
        torch.from_numpy(values).float()[:, None]
        for values in (model.audio.scale.mean_db, model.audio.scale.deviation_db)
    )
    smooth = F.avg_pool2d((levels - mean)[:, None], (3, 5), stride=1, padding=(1, 2), count_include_pad=False)[:, 0]
    return (smooth.abs() / deviation / _SURELY_UNUSUAL).clamp(0, 1)


def _normal_levels(
    model: AudioModel,
    levels: Float[Tensor, "B R T"],
    maps: Float[np.ndarray, "B M M"],
    unusual: Float[Tensor, "B R T"],
    threshold: float,
) -> Float[Tensor, "B R T"]:
    """Bring to their normal level the cells that stand out; everything else keeps its very level.

    With a pixel-space denoiser that is what it makes of the map; else the row's mean in training, which was measured to
    be nearer to the truth than the drawing of a decoder.
    """
    audio = model.audio
    assert audio.scale is not None
    share = torch.from_numpy(np.stack([repair_share(own, threshold) for own in maps]))
    size = tuple(levels.shape[1:])
    if model.terms.pixel_net is not None:
        x0 = audio.x0(levels)
        change = torch.from_numpy(changes_to_normal(model.terms, x0, share))
        drawn = x0 + F.interpolate(change, size=size, mode="bilinear", align_corners=False)
        amount = unusual * (audio.scale.inverse(drawn.clamp(-1, 1), levels) - levels)
    else:
        fine = F.interpolate(share[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        amount = fine * unusual * (torch.from_numpy(audio.scale.mean_db).float()[:, None] - levels)
    return torch.where(amount.abs() >= _SMALLEST_CHANGE_DB, levels + amount, levels)


def _sharpened(maps: Float[np.ndarray, "B M M"], unusual: Float[Tensor, "B R T"]) -> Float[np.ndarray, "B R T"]:
    """Bring anomaly maps to the cells of the levels, and keep of their heights what unusual levels account for.

    The network's patches are wide: their maps say that something is odd hereabouts. The levels say in which cells.
    """
    coarse = torch.from_numpy(maps)
    usual = coarse.flatten(1).median(1).values[:, None, None]
    fine = F.interpolate(coarse[:, None], size=tuple(unusual.shape[1:]), mode="bilinear", align_corners=False)[:, 0]
    sharpened: np.ndarray = (usual + unusual * (fine - usual)).numpy()
    return sharpened


def _joined(samples: Float[np.ndarray, "B n"], starts: Sequence[int]) -> Float[np.ndarray, " _"]:
    """Join clips with smooth cross-fades over what they share."""
    steps = np.diff(starts)
    fade = int(min(samples.shape[1] - steps.max(), samples.shape[1] // 2)) if len(steps) else 0
    join = OverlapAdd(samples.shape[1], max(0, fade))
    parts = [join.add(start, own) for start, own in zip(starts, samples, strict=True)]
    return np.concatenate([*parts, join.finish()]).astype(np.float32)


def _pasted(maps: Float[np.ndarray, "B R T"], columns: Sequence[int]) -> Float[np.ndarray, "R _"]:
    """Lay maps side by side; where two overlap, each has the half that is nearer to its own middle."""
    width = maps.shape[2]
    whole = np.empty((maps.shape[1], columns[-1] + width), np.float32)
    for number, (start, own) in enumerate(zip(columns, maps, strict=True)):
        left = 0 if not number else (columns[number - 1] + width - start) // 2
        whole[:, start + left : start + width] = own[:, left:]
    return whole
