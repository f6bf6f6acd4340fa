"""How a window becomes the tensor that the network sees, and back.

    window      the window itself, resampled to `tensor_length` points           (C, L')            1-D
    scalogram   its wavelet map, real and imaginary parts with a low-pass row      (2 C, F, columns)  2-D
    folded      one row per period                                                 (C, periods, L')   2-D

`window` is the default: on the data measured before the start it was better than the map at a tenth of the cost.
Wavelet maps are strong spaces for nearest neighbours all the same: `map_vectors`. Read `wavelets/scalogram.py` for the
maps.

Legend: N windows, C channels, L points per window, L' points after resampling.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.tensors.series_scale import compressed, expanded
from oddwave.tensors.series_windows import resample_windows
from oddwave.wavelets.scalogram import SeriesScalogram

__all__ = ["MAP_SPACES", "Representation", "map_vectors", "map_width"]

MAP_SPACES = ("complex", "mexican_hat", "log_magnitude")

_MAP_BANDS, _MAP_COLUMNS, _MAP_LENGTH = 30, 64, 512
_FOLDED_COLUMNS = 32
_NETWORK_LIMIT = 1.5  # beyond it the network sees logarithms: a denoiser cannot learn from values of 100
_LARGEST_OUTPUT = 8.0


def _network_values(windows: Float[np.ndarray, "N C L"], length: int) -> Float[Tensor, "N C M"]:
    """Resample to the network's length and squeeze far values."""
    return torch.from_numpy(compressed(resample_windows(windows, length), _NETWORK_LIMIT).astype(np.float32))


@dataclass(frozen=True)
class Representation:
    """The way of one window size; `period` is used by `folded` only."""

    kind: Literal["window", "scalogram", "folded"]
    window_size: int
    n_channels: int
    tensor_length: int
    scaling: Literal["global", "window"] = "global"
    period: int = 0

    @property
    def grid_dims(self) -> int:
        """1 for the window itself, 2 for maps."""
        return 1 if self.kind == "window" else 2

    @property
    def in_channels(self) -> int:
        """Channels of the encoded tensor."""
        return 2 * self.n_channels if self.kind == "scalogram" else self.n_channels

    @property
    def _scalogram(self) -> SeriesScalogram:
        return SeriesScalogram(self.tensor_length, _MAP_BANDS, "complex", min(_MAP_COLUMNS, self.tensor_length))

    @property
    def _rows(self) -> int:
        return max(2, round(self.window_size / self.period)) if self.period else 2

    def scaled(self, windows: Float[np.ndarray, "N C L"]) -> Float[np.ndarray, "N C L"]:
        """Bring each window to its own mean 0 and deviation 1/3 if `scaling` is "window", else leave it."""
        if self.scaling == "global":
            return windows
        mean, deviation = windows.mean(2, keepdims=True), windows.std(2, keepdims=True)
        return cast(np.ndarray, ((windows - mean) / (3.0 * np.maximum(deviation, 1e-3))).astype(np.float32))

    def encode(self, windows: Float[np.ndarray, "N C L"]) -> Float[Tensor, "N K *grid"]:
        """Turn windows into the network's input."""
        scaled = self.scaled(windows)
        if self.kind == "folded":
            flat = _network_values(scaled, self._rows * _FOLDED_COLUMNS)
            return flat.reshape(*flat.shape[:2], self._rows, _FOLDED_COLUMNS)
        x = _network_values(scaled, self.tensor_length)
        if self.kind == "window":
            return x
        return self._scalogram.transform(x)

    def decode(
        self, tensor: Float[Tensor, "N K *grid"], like: Float[np.ndarray, "N C L"]
    ) -> Float[np.ndarray, "N C L"]:
        """Turn network outputs back into windows; `like` gives their own level and size where each was rescaled."""
        if self.kind == "scalogram":
            tensor = self._scalogram.inverse(tensor)
        values = np.clip(tensor.flatten(2).numpy().astype(np.float64), -_LARGEST_OUTPUT, _LARGEST_OUTPUT)
        windows = resample_windows(expanded(values, _NETWORK_LIMIT), self.window_size)
        if self.scaling == "window":
            mean, deviation = like.mean(2, keepdims=True), like.std(2, keepdims=True)
            windows = windows * 3.0 * np.maximum(deviation, 1e-3) + mean
        return windows

    def to_dict(self) -> dict[str, Any]:
        """Return a form that JSON can hold."""
        return asdict(self)


def map_vectors(windows: Float[np.ndarray, "N C L"], kind: str, tensor_length: int) -> Float[np.ndarray, "N D"]:
    """Describe windows by their wavelet maps, pooled to 64 columns, for nearest neighbours."""
    scalogram = _pooled_map(windows.shape[2], kind, tensor_length)
    x = torch.from_numpy(resample_windows(windows, scalogram.window_size).astype(np.float32))
    return scalogram.transform(x).flatten(1).numpy()


def map_width(n_channels: int, window_size: int, kind: str, tensor_length: int) -> int:
    """Return the length D of the vectors that `map_vectors` makes of such windows."""
    scalogram = _pooled_map(window_size, kind, tensor_length)
    return n_channels * scalogram.maps_per_channel * scalogram.num_rows * scalogram.num_columns


def _pooled_map(window_size: int, kind: str, tensor_length: int) -> SeriesScalogram:
    length = min(window_size, max(tensor_length, _MAP_LENGTH))
    return SeriesScalogram(length, _MAP_BANDS, cast(Any, kind), min(_MAP_COLUMNS, length))
