"""What a clip of sound is like as a whole, in one vector: in the eyes of the frozen network, as texture, as levels.

    features   mean, deviation and maximum over time of the feature grid, in four frequency bands
    texture    the spectrum's shape without its loudness, and how strongly eight bands swing at each of seven speeds
               (the energies of a Haar wavelet transform along time), whatever sounds first or last
    levels     mean and deviation of the level in 32 bands

Source: McDermott and Simoncelli 2011, Sound texture perception via statistics of the auditory periphery (that band
powers and modulation powers carry what a texture sounds like). Legend: B clips, R rows and T columns of a map in dB, D
channels and G side of the feature grid. Read `detection/density_ratio.py` for what becomes of the vectors.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.wavelets.pyramid import wavedec

__all__ = ["clip_vectors", "vector_widths"]

_FEATURE_BANDS, _LEVEL_BANDS, _SWING_BANDS = 4, 32, 8
_SPEEDS = 7
_FLOOR = 0.1  # dB^2: swings below a third of a dB are all the same


def clip_vectors(
    levels_db: Float[Tensor, "B R T"], features: Float[Tensor, "B D G G"]
) -> dict[str, Float[Tensor, "B _"]]:
    """Return the vectors of each clip in each space."""
    bands = _banded(levels_db, _LEVEL_BANDS)
    mean = bands.mean(2)
    deviation = (bands - mean[:, :, None]).square().mean(2).sqrt()
    shape = mean - mean.mean(1, keepdim=True)
    return {
        "features": _pooled(features),
        "texture": torch.cat([shape, _swings(_banded(levels_db, _SWING_BANDS))], 1),
        "levels": torch.cat([mean, deviation], 1),
    }


def vector_widths(feature_width: int) -> dict[str, int]:
    """Return the length of the vector in each space, for a feature grid of this many channels."""
    return {
        "features": 3 * _FEATURE_BANDS * feature_width,
        "texture": _LEVEL_BANDS + _SWING_BANDS * _SPEEDS,
        "levels": 2 * _LEVEL_BANDS,
    }


def _banded(levels_db: Float[Tensor, "B R T"], num_bands: int) -> Float[Tensor, "B b T"]:
    banded: Tensor = levels_db.unflatten(1, (num_bands, -1)).mean(2)  # type: ignore[no-untyped-call]
    return banded


def _swings(bands: Float[Tensor, "B b T"]) -> Float[Tensor, "B bs"]:
    details = wavedec(bands, _SPEEDS, "haar", grid_dims=1).details
    return torch.cat([(detail.square().mean(-1) + _FLOOR).log().flatten(1) for (detail,) in details], 1)


def _pooled(features: Float[Tensor, "B D G G"]) -> Float[Tensor, "B 3Db"]:
    # channels last, as the grid is laid out in memory: sums over places are then of whole rows of channels
    bands = features.movedim(1, 3).unflatten(1, (_FEATURE_BANDS, -1)).flatten(2, 3)  # type: ignore[no-untyped-call]
    mean = bands.mean(2)
    deviation = (bands - mean[:, :, None]).square().mean(2).sqrt()
    return torch.stack([mean, deviation, bands.amax(2)], 1).movedim(2, 3).flatten(1)
