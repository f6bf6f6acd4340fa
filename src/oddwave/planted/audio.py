"""Anomalies planted in normal clips: labels to choose settings by, where no real label may be looked at.

One anomaly per clip, short or long, hardly audible or plain, relative to the clip's own level. One that would not show
in a spectrogram (a missing band where no sound was) is drawn again, so a mask is never empty. Planted sound may exceed
full scale; it is not clipped, because clipping would itself be an anomaly.

Legend: N clips, n samples of a clip, s of a stretch. Read `audio_changes.py` next for what each kind does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.planted.audio_changes import (
    Samples,
    Stretch,
    band_noise,
    clicks,
    drop_out,
    level_change,
    missing_band,
    squeal,
    tone,
)

__all__ = [
    "AUDIO_ANOMALIES",
    "MIN_CHANGE_DB",
    "AudioAnomaly",
    "SyntheticAudio",
    "largest_change_db",
    "make_synthetic_audio",
]

MIN_CHANGE_DB = 3.0  # the largest change of a smoothed spectrogram must reach this
_UNHEARD_DB = 50.0  # below the clip's mean level per bin nothing counts as heard
_ROUNDING_POWER = 2e-8  # what rounding to 16 bits leaves in a bin
_MAX_DRAWS = 12
_MIN_SAMPLES = 256


@dataclass(frozen=True, eq=False)
class SyntheticAudio:
    """Clips with one anomaly each, which samples were changed, and the kind of each anomaly."""

    clips: Float[np.ndarray, "N n"]
    masks: Bool[np.ndarray, "N n"]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class AudioAnomaly:
    """One kind of anomaly: what it does to a stretch, and how long stretches are as shares of the clip."""

    change: Callable[[Stretch], Samples]
    shortest: float
    longest: float

    def plant(
        self, clip: Float[np.ndarray, " n"], sample_rate: float | int, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"], bool]:
        """Plant one anomaly at a random place; return the new clip, its mask, and whether the change shows."""
        low, high = np.log(self.shortest), np.log(self.longest)
        size = max(16, round(float(np.exp(rng.uniform(low, high))) * len(clip)))  # half of them in the shorter part
        start = int(rng.integers(0, len(clip) - size + 1))
        whole = clip.astype(np.float64)
        changed = whole.copy()
        changed[start : start + size] = self.change(Stretch(whole, start, start + size, sample_rate, rng))
        changed = changed.astype(clip.dtype)
        mask = changed != clip
        return changed, mask, bool(mask.any()) and largest_change_db(whole, changed) >= MIN_CHANGE_DB


AUDIO_ANOMALIES: Mapping[str, AudioAnomaly] = {
    "tone": AudioAnomaly(tone, 0.04, 0.6),
    "squeal": AudioAnomaly(squeal, 0.04, 0.4),
    "clicks": AudioAnomaly(clicks, 0.02, 0.8),
    "drop_out": AudioAnomaly(drop_out, 0.01, 0.2),
    "band_noise": AudioAnomaly(band_noise, 0.04, 0.6),
    "level_change": AudioAnomaly(level_change, 0.1, 1.0),
    "missing_band": AudioAnomaly(missing_band, 0.06, 1.0),
}
_FALLBACK = "tone"  # the one kind that shows in silence too


def make_synthetic_audio(
    clips: Float[np.ndarray, "N n"],
    sample_rate: float | int,
    rng: np.random.Generator,
    kinds: Sequence[str] | None = None,
) -> SyntheticAudio:
    """Plant one anomaly in each normal clip, the kinds in random order and as equally often as the number allows.

    Where a kind shows nowhere (a drop-out in silence), a tone takes its place, in `kinds` too. The clips are left as
    they are, and each gets draws of its own.
    Raises: ConfigError for an unknown kind or a sample rate not above 0; ShapeError for another form or clips below 256
    samples; DataError for values that are not finite.
    """
    chosen = _checked_kinds(kinds, sample_rate)
    if clips.ndim != 2 or not len(clips) or clips.shape[1] < _MIN_SAMPLES:
        raise ShapeError(
            f"clips have shape {clips.shape}: expected (clips, samples), one clip or more of {_MIN_SAMPLES} samples or "
            "more"
        )
    if not np.isfinite(clips.sum(dtype=np.float64)):
        raise DataError("clips hold values that are not finite: leave such clips out")
    order = rng.permutation(len(clips))
    seeds = rng.spawn(len(clips))
    planted = [
        _plant(chosen[place % len(chosen)], clip, sample_rate, own)
        for place, clip, own in zip(order, clips, seeds, strict=True)
    ]
    changed, masks, names = zip(*planted, strict=True)
    return SyntheticAudio(np.stack(changed), np.stack(masks), tuple(names))


def _plant(
    kind: str, clip: Float[np.ndarray, " n"], sample_rate: float | int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"], str]:
    for name in [kind] * _MAX_DRAWS + [_FALLBACK] * _MAX_DRAWS:
        changed, mask, shows = AUDIO_ANOMALIES[name].plant(clip, sample_rate, rng)
        if shows:
            return changed, mask, name
    raise DataError("no anomaly shows in a clip, not even a tone: are its values finite and within full scale?")


def largest_change_db(before: Float[np.ndarray, " n"], after: Float[np.ndarray, " n"]) -> float:
    """Return the largest change of level in a spectrogram averaged over 3 x 3 cells, leaving out what nobody hears."""
    power_before, power_after = _spectrogram(before), _spectrogram(after)
    floor = max(float(power_before.mean()) * 10 ** (-_UNHEARD_DB / 10), _ROUNDING_POWER)
    change = np.log10((power_after + floor) / (power_before + floor))
    return float(10 * np.abs(change).max())


def _spectrogram(clip: Float[np.ndarray, " n"]) -> Float[np.ndarray, "frames bins"]:
    size = min(512, len(clip))
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(np.float64), size)[:: size // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2
    return np.asarray(ndimage.uniform_filter(power, 3, mode="nearest"))


def _checked_kinds(kinds: Sequence[str] | None, sample_rate: float | int) -> tuple[str, ...]:
    chosen = tuple(AUDIO_ANOMALIES) if kinds is None else tuple(kinds)
    unknown = [kind for kind in chosen if kind not in AUDIO_ANOMALIES]
    if unknown or not chosen:
        raise ConfigError(f"kinds is {list(chosen)}: give one or more of {', '.join(AUDIO_ANOMALIES)}")
    if not sample_rate > 0:
        raise ConfigError(f"sample_rate is {sample_rate:g}: give the samples per second of the clips, above 0")
    return chosen
