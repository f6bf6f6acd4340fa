"""Which clips are kept of more than there is room for: half evenly spread, half those that cover all of them best.

What is rare in healthy sound (a start, a change of load) is lost by thinning, and would then be called a fault. What is
chosen because it is far from the rest cannot say how far normal sound usually is: the evenly spread half calibrates.
Clips are compared by the level of bands, its mean and its swing, which a stream of any length gives in little memory;
the recordings are read once more for those that were chosen. Read `split.py` next.

Legend: N clips, n samples of a clip, B bands, F frames of a clip.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.scoring.neighbours import coreset

__all__ = ["clip_outline", "kept_clips"]

_NUM_BANDS = 32
_FRAME = 1024  # samples
_FLOOR = 1e-11  # of full scale: -110 dB


def clip_outline(samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, " 2B"]:
    """Return the mean level of each band in dB, and how much it swings."""
    size = min(_FRAME, len(samples))
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2 / size**2
    edges = np.unique(np.geomspace(1, power.shape[1], _NUM_BANDS + 1).round().astype(int))
    bands = np.stack([power[:, low:high].sum(1) for low, high in pairwise(edges)], 1)
    levels = 10.0 * np.log10(bands + _FLOOR)
    return np.concatenate([levels.mean(0), levels.std(0)]).astype(np.float32)


def kept_clips(
    outlines: Float[np.ndarray, "N D"], most: int, seed: int
) -> tuple[Int[np.ndarray, " k"], Bool[np.ndarray, " k"]]:
    """Return which of N clips are kept, in order, and which of those are evenly spread."""
    num = len(outlines)
    if num <= most:
        return np.arange(num), np.ones(num, bool)
    even = np.unique(np.linspace(0, num - 1, max(1, most // 2)).round().astype(np.int64))
    chosen = coreset(outlines, most, seed=seed, first=even)
    return chosen, np.isin(chosen, even)
