"""`WaveletFrame`: a continuous wavelet transform that is batched, differentiable and exactly invertible.

A signal of n samples is reflected at both ends (its cosine spectrum does that) and cut into J wavelet bands and two
residual rows; each row is a complex signal W_j whose squared modulus is a power:

    W_j(t) = 1/sqrt(n) sum_k C_k H_j(k) exp(i pi k (t + 1/2) / n),   C the orthonormal cosine spectrum of x.

Because sum_j H_j(k)^2 = 1, the frame is Parseval, on the n samples themselves and without any padding left over:
sum_j sum_t |W_j(t)|^2 = ||x||^2, and the same filters invert it. `cwt` and `icwt` keep every sample; `analyse` and
`synthesise` keep of each row only as many as its bandwidth needs (a painless nonstationary Gabor frame), as exactly.

Legend: n samples, J bands, R = J + 2 rows (0 low-pass, 1..J bands from low to high, J + 1 high-pass), M intervals of a
block, T columns of a map. Read `frame_filters.py` and `cosine.py` next; `scalogram.py` applies it to series windows.

Source: Balazs et al., Theory, implementation and applications of nonstationary Gabor frames, JCAM 236(6), 2011;
Holighaus et al., A framework for invertible, real-time constant-Q transforms, IEEE TASLP 21(4), 2013.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.wavelets.cosine import cosine_spectrum, inverse_cosine_spectrum
from oddwave.wavelets.frame_filters import (
    DEFAULT_WIDTHS,
    BandResponse,
    Spacing,
    Wavelet,
    build_responses,
    centre_frequencies,
)

__all__ = ["WaveletFrame"]

_WORKING_SET = 2**20  # numbers that the full rate handles at once, so that they stay in cache


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows that are sampled equally often: bin numbers and responses on a circle of 2 M bins, one line per row."""

    rows: tuple[int, ...]
    num_intervals: int
    bins: Tensor  # (rows * 2 M,), int64; where the response is zero, bin 0
    responses: Tensor  # (rows, 2 M)


class WaveletFrame:
    """Morse, Morlet or Mexican-hat frame of signals with `num_samples` samples at `sample_rate` hertz.

    `num_bands` centres between `f_min` and `f_max` (default 0.47 `sample_rate`), spaced `"log"`, `"mel"` or `"linear"`.
    `width` is the centre frequency over the standard deviation of a response (default 7.75 Morse, 6 Morlet, fixed for
    the Mexican hat): larger is sharper in frequency and blunter in time. Where neighbours are too far apart for it,
    bands are wider. `columns` sets how finely `analyse` samples in time: each row has columns * 2^p intervals.

    The Mexican hat is real and keeps polarity: its `cwt` is a real tensor, and it has no decimated form. Works on any
    device, in float32 and float64, following its input.

    Raises: ConfigError for settings that cannot work together.
    """

    def __init__(
        self,
        num_samples: int,
        sample_rate: float,
        *,
        f_min: float,
        f_max: float | None = None,
        num_bands: int = 126,
        spacing: Spacing = "log",
        wavelet: Wavelet = "morse",
        width: float | None = None,
        columns: int = 256,
    ) -> None:
        f_max = 0.47 * sample_rate if f_max is None else f_max
        _check_settings(num_samples, sample_rate, f_min, f_max, num_bands, wavelet, width, columns)
        self.num_samples, self.sample_rate, self.columns = num_samples, sample_rate, columns
        self.wavelet: Wavelet = wavelet
        centres = centre_frequencies(spacing, num_bands, f_min, f_max)
        self.frequencies_hz: Float[np.ndarray, " R"] = np.concatenate(([0.0], centres, [sample_rate / 2]))
        """Centre of every row; 0 for the low-pass row and half the sample rate for the high-pass row."""
        self._rows: tuple[BandResponse, ...] = build_responses(
            num_samples, centres * 2 * num_samples / sample_rate, wavelet, width or DEFAULT_WIDTHS[wavelet]
        )
        self._dense: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._placed: dict[tuple[torch.dtype, torch.device], tuple[_Block, ...]] = {}

    @property
    def num_rows(self) -> int:
        """The number of rows: `num_bands` + 2."""
        return len(self._rows)

    @property
    def is_real(self) -> bool:
        """Whether `cwt` gives real coefficients (the Mexican hat)."""
        return self.wavelet == "mexican_hat"

    @property
    def noise_gain(self) -> Float[np.ndarray, " R"]:
        """Return each row's root mean square for white noise of unit variance, sqrt(sum_k H_j(k)^2 / n)."""
        return np.array([math.sqrt((row.values**2).sum() / self.num_samples) for row in self._rows])

    @cached_property
    def responses(self) -> Float[np.ndarray, "R n"]:
        """H_j on the n bins of the cosine spectrum, bin k at k sample_rate / (2 n) hertz."""
        dense = np.zeros((self.num_rows, self.num_samples))
        for line, row in zip(dense, self._rows, strict=True):
            line[row.start : row.stop] = row.values
        return dense

    @cached_property
    def block_rows(self) -> tuple[tuple[int, ...], ...]:
        """Which rows each block of `analyse` holds, in the order of the blocks."""
        intervals = [self._num_intervals(row) for row in self._rows]
        return tuple(tuple(i for i, m in enumerate(intervals) if m == size) for size in sorted(set(intervals)))

    def cwt(self, x: Float[Tensor, "*batch n"]) -> Complex[Tensor, "*batch R n"] | Float[Tensor, "*batch R n"]:
        """Return the transform at full rate: row j, sample t is W_j(t) (see the module); real for the Mexican hat.

        Raises: ShapeError when `x` is not `num_samples` long, DataError when it is not float32 or float64.
        """
        spectrum, responses = self._spectrum(x)[..., None, :], self._dense_tables(x)
        back = inverse_cosine_spectrum if self.is_real else _analytic
        rows = torch.split(responses, max(1, _WORKING_SET // max(1, x.numel())))
        return torch.cat([back(spectrum * part) for part in rows], dim=-2)

    def icwt(
        self, coefficients: Complex[Tensor, "*batch R n"] | Float[Tensor, "*batch R n"]
    ) -> Float[Tensor, "*batch n"]:
        """Return the signal whose `cwt` is nearest to `coefficients`: exact where they are a transform.

        Raises: ShapeError when the last two sizes are not `num_rows`, `num_samples`.
        """
        n = self.num_samples
        if tuple(coefficients.shape[-2:]) != (self.num_rows, n):
            raise ShapeError(f"coefficients end in {tuple(coefficients.shape[-2:])}, not (rows, samples) = "
                             f"({self.num_rows}, {n}): pass what cwt of the same frame returned")  # fmt: skip
        forward = cosine_spectrum if self.is_real else _analytic_spectrum
        coefficients = coefficients.real if self.is_real else coefficients
        responses = self._dense_tables(coefficients.real)
        size = max(1, _WORKING_SET * self.num_rows // max(1, coefficients.numel()))
        parts = zip(torch.split(coefficients, size, dim=-2), torch.split(responses, size), strict=True)
        return inverse_cosine_spectrum(torch.stack([(forward(c) * h).sum(-2) for c, h in parts]).sum(0))

    def analyse(self, x: Float[Tensor, "*batch n"]) -> tuple[Complex[Tensor, "*batch _ _"], ...]:
        """Return the decimated transform: per block (see `block_rows`) M + 1 samples of W_j, from end to end.

        Sample m of a row with M intervals is W_j(m n / M - 1/2): the intervals cover the n samples exactly, and
        M is `columns` times a power of two, the least that holds the row's bandwidth.

        Raises: ShapeError and DataError as `cwt`; ConfigError for the Mexican hat.
        """
        if self.is_real:
            raise ConfigError("wavelet='mexican_hat' has no decimated form: use cwt, or wavelet='morse' or 'morlet'")
        spectrum = self._spectrum(x) / math.sqrt(self.num_samples)
        coefficients = []
        for block in self.block_tables(x):
            placed = spectrum.index_select(-1, block.bins).view(*x.shape[:-1], *block.responses.shape)
            coefficients.append(torch.fft.rfft(placed.mul_(block.responses)).conj())
        return tuple(coefficients)

    def synthesise(self, coefficients: tuple[Complex[Tensor, "*batch _ _"], ...]) -> Float[Tensor, "*batch n"]:
        """Return the signal of a decimated transform: exact for what `analyse` gave, nearest to it otherwise.

        Raises: ShapeError when the blocks are not those of this frame.
        """
        expected = [(len(rows), self._num_intervals(self._rows[rows[0]]) + 1) for rows in self.block_rows]
        if [tuple(block.shape[-2:]) for block in coefficients] != expected:
            raise ShapeError(f"blocks end in {[tuple(b.shape[-2:]) for b in coefficients]}, not in {expected}: "
                             "pass what analyse of the same frame returned")  # fmt: skip
        first = coefficients[0].real
        spectrum = first.new_zeros((*first.shape[:-2], self.num_samples))
        for block, tables in zip(coefficients, self.block_tables(first), strict=True):
            placed = torch.fft.irfft(block.conj(), n=2 * tables.num_intervals).mul_(tables.responses)
            spectrum = spectrum.index_add(-1, tables.bins, placed.flatten(-2))
        return inverse_cosine_spectrum(spectrum * math.sqrt(self.num_samples))

    def power_map(
        self, coefficients: tuple[Complex[Tensor, "*batch _ _"], ...], columns: int | None = None
    ) -> Float[Tensor, "*batch R T"]:
        """Return the mean power |W_j|^2 in each of `columns` equal spans of the signal (default: the frame's own).

        The sum over rows of the mean over columns is the mean square of the signal.

        Raises: ConfigError when `columns` does not divide the frame's `columns`.
        """
        columns = self.columns if columns is None else columns
        if columns < 1 or self.columns % columns:
            raise ConfigError(f"columns={columns} does not divide the frame's {self.columns} columns")
        pooled = []
        for block in coefficients:
            parts = torch.view_as_real(block.conj() if block.is_conj() else block)  # the modulus knows no conjugate
            spans = (parts.shape[-2] - 1) // columns
            inner = parts[..., :-1, :].reshape(*parts.shape[:-2], columns, 2 * spans)
            energy = torch.linalg.vector_norm(inner, dim=-1).square()  # one pass, where squares would be stored
            edges = parts[..., ::spans, :].square().sum(-1)  # the trapezium's halves: each edge is shared by two spans
            pooled.append((energy + (edges[..., 1:] - edges[..., :-1]) / 2) / spans)
        order = np.argsort(np.concatenate(self.block_rows))
        return torch.cat(pooled, dim=-2).index_select(-2, torch.as_tensor(order, device=pooled[0].device))

    def _spectrum(self, x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
        if x.shape[-1:] != (self.num_samples,):
            raise ShapeError(f"x has shape {tuple(x.shape)}, its last size must be num_samples={self.num_samples}: "
                             "cut or pad it, or build a frame of its length")  # fmt: skip
        if x.dtype not in (torch.float32, torch.float64):
            raise DataError(f"x is {x.dtype}, float32 or float64 is needed: convert it with x.float()")
        return cosine_spectrum(x)

    def _num_intervals(self, row: BandResponse) -> int:
        doublings = math.ceil(math.log2(max(1.0, len(row.values) / (2 * self.columns))))
        return self.columns * (1 << doublings)

    def _dense_tables(self, like: Tensor) -> Float[Tensor, "R n"]:
        """Return H, kept per dtype and device."""
        key = (like.dtype, like.device)
        if key not in self._dense:
            with torch.inference_mode(False):  # kept tensors must stay usable under autograd
                self._dense[key] = torch.from_numpy(self.responses).to(like.device, like.dtype)
        return self._dense[key]

    def block_tables(self, like: Tensor) -> tuple[_Block, ...]:
        """Return where each block's bins lie and what weighs them, kept per dtype and device."""
        key = (like.dtype, like.device)
        if key not in self._placed:
            with torch.inference_mode(False):
                self._placed[key] = tuple(self._place(rows, like) for rows in self.block_rows)
        return self._placed[key]

    def _place(self, rows: tuple[int, ...], like: Tensor) -> _Block:
        """Lay the rows' supports on a circle of 2 M bins, bin k at k mod 2 M, so that samples keep their phase."""
        num_intervals = self._num_intervals(self._rows[rows[0]])
        bins = np.zeros((len(rows), 2 * num_intervals), dtype=np.int64)
        responses = np.zeros(bins.shape)
        for i, row in enumerate(rows):
            support = np.arange(self._rows[row].start, self._rows[row].stop)
            bins[i, support % (2 * num_intervals)] = support
            responses[i, support % (2 * num_intervals)] = self._rows[row].values
        return _Block(
            rows,
            num_intervals,
            torch.from_numpy(bins.ravel()).to(like.device),
            torch.from_numpy(responses).to(like.device, like.dtype),
        )


def _analytic(filtered: Float[Tensor, "*batch r n"]) -> Complex[Tensor, "*batch r n"]:
    """Return 1/sqrt(n) sum_k c_k exp(i pi k (t + 1/2) / n) by two cosine transforms, half the work of one FFT of 2n.

    The sines are cosines of the reversed spectrum: sin(pi k (t + 1/2) / n) = (-1)^t cos(pi (n - k) (t + 1/2) / n).
    """
    half = filtered * math.sqrt(0.5)
    sines = torch.nn.functional.pad(half[..., 1:].flip(-1), (1, 0))
    cosines = torch.cat((filtered[..., :1], half[..., 1:]), dim=-1)
    return torch.complex(inverse_cosine_spectrum(cosines), inverse_cosine_spectrum(sines) * _alternating(filtered))


def _analytic_spectrum(coefficients: Complex[Tensor, "*batch r n"]) -> Float[Tensor, "*batch r n"]:
    """Return the transpose of `_analytic`, which undoes it."""
    cosines = cosine_spectrum(coefficients.real)
    sines = cosine_spectrum(coefficients.imag * _alternating(cosines))[..., 1:].flip(-1)
    return torch.cat((cosines[..., :1], (cosines[..., 1:] + sines) * math.sqrt(0.5)), dim=-1)


def _alternating(like: Float[Tensor, "*batch n"]) -> Float[Tensor, " n"]:
    signs = torch.ones(like.shape[-1], dtype=like.dtype, device=like.device)
    signs[1::2] = -1.0
    return signs


def _check_settings(
    num_samples: int,
    sample_rate: float,
    f_min: float,
    f_max: float,
    num_bands: int,
    wavelet: str,
    width: float | None,
    columns: int,
) -> None:
    if num_samples < 8:
        raise ConfigError(f"num_samples={num_samples} is too short for a wavelet frame: give at least 8")
    if not sample_rate > 0:
        raise ConfigError(f"sample_rate={sample_rate} must be above 0 hertz")
    if not sample_rate / num_samples <= f_min < f_max <= sample_rate / 2:
        raise ConfigError(
            f"f_min={f_min}, f_max={f_max} must rise from at least one cycle in the signal "
            f"({sample_rate / num_samples:g} Hz) to at most half the sample rate ({sample_rate / 2:g} Hz)"
        )
    if num_bands < 2 or columns < 1:
        raise ConfigError(f"num_bands={num_bands}, columns={columns}: give at least 2 bands and 1 column")
    if wavelet not in get_args(Wavelet):
        raise ConfigError(f"wavelet={wavelet!r} is not known: use one of {', '.join(get_args(Wavelet))}")
    if width is not None and (wavelet == "mexican_hat" or not width >= 1):
        raise ConfigError(f"width={width} cannot be used: it must be at least 1, and the Mexican hat has a fixed one")
