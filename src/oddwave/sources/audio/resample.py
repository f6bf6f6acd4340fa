"""Sound from its own sample rate to the model's, block by block, equal to resampling the whole recording at once.

The filter is the one of `scipy.signal.resample_poly` (a windowed sinc with ten zero crossings on each side); each block
is computed with as much of its neighbourhood as the filter reaches. Legend: n samples in, m samples out, both from
the recording's start; m = n up / down.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import DataError

__all__ = ["AudioPart", "resample_parts", "resampling_ratio"]

AudioPart = tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]  # samples, and how many clipped ones each stands for

_MAX_RATIO = 200_000  # the filter has twenty times as many taps
_CROSSINGS = 10  # and window: as `resample_poly` has them when it is not told otherwise
_WINDOW = ("kaiser", 5.0)


def resampling_ratio(own_rate: int, sample_rate: int) -> tuple[int, int]:
    """Return up and down in lowest terms: own_rate * up / down = sample_rate.

    Raises: DataError where two rates have so little in common that the filter would be huge.
    """
    common = math.gcd(own_rate, sample_rate)
    up, down = sample_rate // common, own_rate // common
    if max(up, down) > _MAX_RATIO:
        raise DataError(
            f"has a sample rate of {own_rate} Hz, which cannot be brought to {sample_rate} Hz: save it at a usual "
            "rate, such as 48000 Hz"
        )
    return up, down


def resample_parts(parts: Iterator[AudioPart], up: int, down: int, block: int) -> Iterator[AudioPart]:
    """Resample parts of any lengths to blocks of `block` samples, the last one shorter; memory is bounded by both.

    Counts of clipped samples are added up where several samples become one, so that their sum stays.
    """
    half = _CROSSINGS * max(up, down)
    samples, counts = np.empty(0, np.float32), np.empty(0, np.int64)
    start = made = 0  # index of the first sample at hand, and of the next output sample
    ended = False
    while True:
        until = made + block
        if not ended:
            wanted = _reach(until, half, up, down) - start
            samples, counts, ended = _filled(samples, counts, parts, wanted)
        if ended:
            until = min(until, -(-(start + len(samples)) * up // down))
            if until <= made:
                return
        origin = start * up // down  # exact, because `start` is a multiple of `down`
        near = samples[: _reach(until, half, up, down) - start]
        resampled = near if up == down else _resample(near, up, down)
        yield resampled[made - origin : until - origin], _summed(counts, start, made, until, up, down)
        made = until
        passed = max(start, (made * down - half) // up // down * down) - start
        samples, counts, start = samples[passed:], counts[passed:], start + passed


def _reach(until: int, half: int, up: int, down: int) -> int:
    """Return how many input samples the first `until` output samples are made of."""
    return ((until - 1) * down + half) // up + 1


def _filled(
    samples: Float[np.ndarray, " n"], counts: Int[np.ndarray, " n"], parts: Iterator[AudioPart], wanted: int
) -> tuple[Float[np.ndarray, " m"], Int[np.ndarray, " m"], bool]:
    """Add parts until there are `wanted` samples; say whether the parts came to their end before."""
    held = [(samples, counts)]
    length, ended = len(samples), False
    while length < wanted and not ended:
        part = next(parts, None)
        if part is None:
            ended = True
        else:
            held.append(part)
            length += len(part[0])
    more, their_counts = zip(*held, strict=True)
    return np.concatenate(more), np.concatenate(their_counts), ended


def _resample(samples: Float[np.ndarray, " n"], up: int, down: int) -> Float[np.ndarray, " m"]:
    from scipy.signal import resample_poly  # here: most recordings need none

    taps = _taps(_CROSSINGS * max(up, down))
    resampled: np.ndarray = resample_poly(samples, up, down, window=taps)  # type: ignore[call-overload]
    return resampled


@lru_cache(maxsize=4)
def _taps(half: int) -> Float[np.ndarray, " taps"]:
    from scipy.signal import firwin

    taps: np.ndarray = firwin(2 * half + 1, _CROSSINGS / half, window=_WINDOW).astype(np.float32)
    return taps


def _summed(
    counts: Int[np.ndarray, " n"], start: int, made: int, until: int, up: int, down: int
) -> Int[np.ndarray, " m"]:
    """Sum the counts of the input samples that fall to each output sample: sample i falls to floor(i up / down)."""
    if not counts.any():
        return np.zeros(until - made, np.int64)
    first, last = -(-made * down // up), -(-until * down // up)
    index = np.arange(first, min(last, start + len(counts)))
    return np.bincount(index * up // down - made, counts[index - start], until - made).astype(np.int64)
