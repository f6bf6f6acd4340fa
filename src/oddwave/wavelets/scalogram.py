"""Scalograms of series windows, and the way back.

A window of L points becomes F rows of log-spaced scales (two samples to half a window) by `columns` instants. Rows are
weighted so that white noise has the same power in each, which is the usual energy norm of a continuous transform and
lets slow, coherent shapes stand above noise. What lies beyond the window's ends is the stream's own neighbourhood where
it is given as `context`, and a reflection of the window (with its context) where it is not.

Kinds: `"complex"` real and imaginary part of a Morse transform (keeps polarity and phase); `"mexican_hat"` the real
Ricker transform (keeps polarity); `"log_magnitude"` ln of the magnitude, except row 0. Row 0 is a low-pass row that
keeps the level, signed, in every kind; the last row is the high-pass residual.

Legend: B windows, C channels, L points, nl and nr context points, k maps per channel (2 complex, else 1),
F = num_bands + 2 rows, T columns. Read `frame.py` for the transform itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.wavelets.frame import WaveletFrame
from oddwave.wavelets.frame_filters import Wavelet

__all__ = ["Context", "ScalogramKind", "SeriesScalogram"]

ScalogramKind = Literal["complex", "mexican_hat", "log_magnitude"]
Context = tuple[Float[Tensor, "B C nl"] | None, Float[Tensor, "B C nr"] | None]

LOG_FLOOR = 1e-2  # magnitudes far below this share of unit noise look alike in log-magnitude maps
LARGEST_GAIN = 40.0  # a quieter row may not be raised by more when a log-magnitude map is turned back
WORKING_SET = 2**20  # coefficients held at once, so that they stay in cache: larger batches are done in parts
SMALLEST_EIGENVALUE = 1e-6  # directions that a map holds with less than a thousandth of full strength count as lost


@dataclass(frozen=True)
class SeriesScalogram:
    """The scalogram of windows of `window_size` points, and its inverse.

    With `columns` = None (one per point) complex and Mexican-hat maps are exactly invertible. Fewer columns hold the
    mean of the coefficients (log-magnitude: of the power) over equal spans, so what swings faster than a span averages
    out.

    Raises: ConfigError for an unknown kind, or columns that are not in 1..window_size.
    """

    window_size: int
    num_bands: int = 30
    kind: ScalogramKind = "complex"
    columns: int | None = None

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        if self.kind not in get_args(ScalogramKind):
            raise ConfigError(f"kind={self.kind!r} is not known: use one of {', '.join(get_args(ScalogramKind))}")
        if self.window_size < 8:
            raise ConfigError(f"window_size={self.window_size} is too short for a scalogram: give at least 8 points")
        if self.columns is not None and not 1 <= self.columns <= self.window_size:
            raise ConfigError(f"columns={self.columns} is not in 1..{self.window_size}, the window's number of points")

    @property
    def num_rows(self) -> int:
        """F: the bands, the low-pass row and the high-pass row."""
        return self.num_bands + 2

    @property
    def num_columns(self) -> int:
        """T: the instants of a map."""
        return self.window_size if self.columns is None else self.columns

    @property
    def maps_per_channel(self) -> int:
        """k: 2 for complex maps, else 1."""
        return 2 if self.kind == "complex" else 1

    @property
    def frequencies(self) -> Float[np.ndarray, " F"]:
        """Centre of each row in cycles per sample: 0 for the low-pass row, 0.5 for the high-pass row."""
        return self._plan(0, 0).frame.frequencies_hz

    def transform(self, x: Float[Tensor, "B C L"], context: Context | None = None) -> Float[Tensor, "B Ck F T"]:
        """Return the maps of windows.

        Raises: ShapeError when `x` is not (B, C, window_size) or its context does not go with it; DataError for a type
        other than float32 and float64.
        """
        extended, plan = self._extended(x, context)
        if not len(x):
            return x.new_zeros((0, x.shape[1] * self.maps_per_channel, self.num_rows, self.num_columns))
        return torch.cat([self._maps(part, plan) for part in _parts(extended, plan)]).flatten(1, 2)

    def inverse(
        self,
        maps: Float[Tensor, "B Ck F T"],
        context: Context | None = None,
        reference: Float[Tensor, "B C L"] | None = None,
    ) -> Float[Tensor, "B C L"]:
        """Return the windows whose maps are nearest to `maps` (least squares): exact for maps of `transform`.

        `context` is the one that the maps were made with. A log-magnitude map has no phase: it takes that of
        `reference`, whose coefficients are raised or lowered to the map's magnitudes; the reference's own map gives the
        reference back.

        Raises: ShapeError when sizes do not fit; DataError when `reference` is missing for log-magnitude maps.
        """
        if (
            maps.ndim != 4
            or maps.shape[1] % self.maps_per_channel
            or maps.shape[2:] != (self.num_rows, self.num_columns)
        ):
            raise ShapeError(f"maps have shape {tuple(maps.shape)}, expected (B, C * {self.maps_per_channel}, "
                             f"{self.num_rows}, {self.num_columns}): pass what transform returned")  # fmt: skip
        if not len(maps):
            return maps.new_zeros((0, maps.shape[1] // self.maps_per_channel, self.window_size))
        maps = maps.unflatten(1, (-1, self.maps_per_channel))  # type: ignore[no-untyped-call]
        if self.kind == "log_magnitude":
            return self._inverse_log(maps, context, reference)
        blank = maps.new_zeros((*maps.shape[:2], self.window_size))
        extended, plan = self._extended(blank, context)
        rest = maps if context is None else maps - plan.linear_maps(extended)
        window = slice(plan.left, plan.left + self.window_size)
        return plan.adjoint(rest)[..., window] @ _like(plan.inverse_gram, maps)

    def _inverse_log(self, maps: Tensor, context: Context | None, reference: Tensor | None) -> Tensor:
        if reference is None:
            raise DataError("a log-magnitude map holds no phase: pass reference=, the windows whose phase to use")
        extended, plan = self._extended(reference, context)
        change = plan.spread(maps - self._maps(extended, plan))
        coefficients = plan.coefficients(extended)
        gain = change[..., 0, 1:, :].exp().clamp(max=LARGEST_GAIN)
        level = coefficients[..., :1, :] + change[..., 0, :1, :]
        altered = torch.view_as_real(torch.cat((level, coefficients[..., 1:, :] * gain), dim=-2))
        full = SeriesScalogram(self.window_size, self.num_bands)
        return full.inverse(altered.movedim(-1, -3).flatten(1, 2), context)

    def _maps(self, extended: Float[Tensor, "B C n"], plan: "_Plan") -> Float[Tensor, "B C k F T"]:
        if self.kind != "log_magnitude":
            return plan.linear_maps(extended)
        coefficients = plan.coefficients(extended)
        level = plan.pool(coefficients[..., :1, :].real)
        power = plan.pool(coefficients[..., 1:, :].abs().square())
        return torch.cat((level, 0.5 * torch.log(power + LOG_FLOOR**2)), dim=-2).unsqueeze(-3)

    def _extended(self, x: Tensor, context: Context | None) -> tuple[Float[Tensor, "B C n"], "_Plan"]:
        if x.ndim != 3 or x.shape[-1] != self.window_size:
            raise ShapeError(f"x has shape {tuple(x.shape)}, expected (B, C, {self.window_size}): cut it into windows")
        left, right = (x[..., :0] if side is None else side for side in context or (None, None))
        if not left.shape[:-1] == right.shape[:-1] == x.shape[:-1]:
            raise ShapeError(f"context has shapes {tuple(left.shape)} and {tuple(right.shape)}, expected the (B, C) = "
                             f"{tuple(x.shape[:-1])} of the windows, then any number of points")  # fmt: skip
        return torch.cat((left, x, right), dim=-1), self._plan(left.shape[-1], right.shape[-1])

    def _plan(self, left: int, right: int) -> "_Plan":
        return _plan(self.window_size, self.num_bands, self.kind == "mexican_hat", self.num_columns, left, right)


@dataclass(frozen=True)
class _Plan:
    """One linear transform of extended windows: frame, row weights, pooling; and its least-squares inverse.

    Tables are kept in numpy: a tensor first made under inference mode could not serve a gradient later.
    """

    frame: WaveletFrame
    window_size: int
    columns: int
    left: int

    def coefficients(self, extended: Float[Tensor, "*batch n"]) -> Tensor:
        """Return the weighted full-rate coefficients (*batch, F, L) of the window proper."""
        inside = self.frame.cwt(extended)[..., self.left : self.left + self.window_size]
        return inside * _like(self._weights, extended)

    def linear_maps(self, extended: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch k F T"]:
        """Return real and imaginary (or only real) maps."""
        coefficients = self.coefficients(extended)
        if coefficients.is_complex():
            return self.pool(torch.stack((coefficients.real, coefficients.imag), dim=-3))
        return self.pool(coefficients.unsqueeze(-3))

    def adjoint(self, maps: Float[Tensor, "*batch k F T"]) -> Float[Tensor, "*batch n"]:
        """Apply the transpose of `linear_maps`; the frame is Parseval, so `icwt` is the transpose of `cwt`."""
        full = (maps if self.columns == self.window_size else maps @ _like(self._pooling, maps)) * _like(
            self._weights, maps
        )
        right = self.frame.num_samples - self.left - self.window_size
        full = torch.nn.functional.pad(full, (self.left, right))
        if self.frame.is_real:
            return self.frame.icwt(full.squeeze(-3))
        return self.frame.icwt(torch.complex(full[..., 0, :, :], full[..., 1, :, :]))

    def pool(self, values: Float[Tensor, "*batch L"]) -> Float[Tensor, "*batch T"]:
        """Average over the columns' spans."""
        return values if self.columns == self.window_size else values @ _like(self._pooling.T, values)

    def spread(self, values: Float[Tensor, "*batch T"]) -> Float[Tensor, "*batch L"]:
        """Return every point the value of its column."""
        if self.columns == self.window_size:
            return values
        return values @ _like(self._pooling * (self.window_size / self.columns), values)

    @cached_property
    def _weights(self) -> Float[np.ndarray, "F 1"]:
        return (1 / self.frame.noise_gain)[:, None]

    @cached_property
    def _pooling(self) -> Float[np.ndarray, "T L"]:
        """Each line averages one of T equal spans of L points; points on a border count with the share inside."""
        edges = np.linspace(0, self.window_size, self.columns + 1)
        points = np.arange(self.window_size)
        upper = np.minimum(edges[1:, None], points + 1)
        overlap = np.maximum(0.0, upper - np.maximum(edges[:-1, None], points))
        return np.asarray(overlap * (self.columns / self.window_size))

    @cached_property
    def _eigen(self) -> tuple[Float[np.ndarray, " L"], Float[np.ndarray, "L L"]]:
        """Eigenvalues, rising, and vectors of the Gram matrix A^T A of the map of the window proper, in float64."""
        window = slice(self.left, self.left + self.window_size)
        with torch.no_grad():
            unit = torch.eye(self.frame.num_samples, dtype=torch.float64)[window]
            gram = torch.cat([self.adjoint(self.linear_maps(part))[:, window] for part in _parts(unit, self)])
        values, vectors = np.linalg.eigh(((gram + gram.T) / 2).numpy())
        return values, vectors

    @property
    def rank(self) -> int:
        """Return the number of directions of the window that the map holds."""
        values, _ = self._eigen
        return int((values > SMALLEST_EIGENVALUE * values[-1]).sum())

    @cached_property
    def inverse_gram(self) -> Float[np.ndarray, "L L"]:
        """The (pseudo-)inverse of A^T A."""
        values, vectors = self._eigen
        kept = slice(self.window_size - self.rank, None)
        return np.asarray((vectors[:, kept] / values[kept]) @ vectors[:, kept].T)


@lru_cache(maxsize=32)
def _plan(window_size: int, num_bands: int, real: bool, columns: int, left: int, right: int) -> _Plan:
    wavelet: Wavelet = "mexican_hat" if real else "morse"
    length = left + window_size + right
    frame = WaveletFrame(length, 1.0, f_min=2 / window_size, num_bands=num_bands, wavelet=wavelet)
    return _Plan(frame, window_size, columns, left)


def _like(table: Float[np.ndarray, "*shape"], tensor: Tensor) -> Float[Tensor, "*shape"]:
    return torch.from_numpy(table).to(tensor.device, tensor.dtype)


def _parts(extended: Float[Tensor, "B *rest"], plan: _Plan) -> Iterator[Float[Tensor, "b *rest"]]:
    """Split a batch so that the coefficients of one part stay within the working set."""
    per_item = 2 * plan.frame.num_rows * extended[0].numel()
    yield from torch.split(extended, max(1, WORKING_SET // per_item))
