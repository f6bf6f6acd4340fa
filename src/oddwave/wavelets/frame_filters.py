"""The frequency responses of a `WaveletFrame`: bands, the two residual rows, and their Parseval normalisation.

Everything is measured in bins of the cosine spectrum: bin k of n lies at k f_s / (2 n) hertz. A response is stored only
where it is not zero, because a band covers a small part of the spectrum.

Legend: n bins, J bands, J + 2 rows (low-pass first, high-pass last); `width` is P = f_c / sigma_f, the centre frequency
over the standard deviation of the response, so 1 / P is the relative bandwidth and P / pi about the number of cycles.
Read `frame.py` next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError

__all__ = [
    "DEFAULT_WIDTHS",
    "BandResponse",
    "Spacing",
    "Wavelet",
    "build_responses",
    "centre_frequencies",
    "wavelet_response",
]

Wavelet = Literal["morse", "morlet", "mexican_hat"]
Spacing = Literal["log", "mel", "linear"]

DEFAULT_WIDTHS: dict[Wavelet, float] = {"morse": 60**0.5, "morlet": 6.0, "mexican_hat": 2.0}
CUT_OFF = 1e-3  # responses below this share of their peak are set to zero: that gives each band its compact support
SMALLEST_SUM = 1e-2  # dividing by less than the root of this would bend the rows out of shape
NEARLY_LEVEL = 0.99  # residual rows end where the bands reach this share of their level: shorter supports


@dataclass(frozen=True, slots=True)
class BandResponse:
    """One row's response: `values` on the bins from `start` on, zero elsewhere."""

    start: int
    values: Float[np.ndarray, " support"]

    @property
    def stop(self) -> int:
        """The first bin after the support."""
        return self.start + len(self.values)


def wavelet_response(wavelet: Wavelet, ratio: Float[np.ndarray, "*shape"], width: float) -> Float[np.ndarray, "*shape"]:
    """Return a wavelet's response at `ratio` = f / f_c >= 0, scaled to 1 at its peak, ratio 1.

    Morse: u^b exp(-(b / g) (u^g - 1)) with g = 3 and b = P^2 / g; the Mexican hat is the same family with b = g = 2.
    Morlet: exp(-P^2 (u - 1)^2 / 2) - exp(-P^2 (u^2 + 1) / 2); the second term makes its mean zero.

    Source: Lilly and Olhede, Generalized Morse wavelets as a superfamily of analytic wavelets, IEEE TSP 60(11), 2012.
    """
    if wavelet == "morlet":
        return np.asarray(np.exp(-0.5 * width**2 * (ratio - 1) ** 2) - np.exp(-0.5 * width**2 * (ratio**2 + 1)))
    gamma = 2.0 if wavelet == "mexican_hat" else 3.0
    beta = width**2 / gamma
    positive = np.maximum(ratio, 1e-30)
    return np.asarray(np.exp(beta * np.log(positive) - beta / gamma * (positive**gamma - 1)))


def centre_frequencies(spacing: Spacing, num_bands: int, f_min: float, f_max: float) -> Float[np.ndarray, " J"]:
    """Return the centres of the bands in hertz, rising from `f_min` to `f_max`."""
    if spacing == "log":
        return np.geomspace(f_min, f_max, num_bands)
    if spacing == "mel":
        low, high = (2595 * np.log10(1 + f / 700) for f in (f_min, f_max))
        return np.asarray(700 * (10 ** (np.linspace(low, high, num_bands) / 2595) - 1))
    if spacing == "linear":
        return np.linspace(f_min, f_max, num_bands)
    raise ConfigError(f"spacing={spacing!r} is not known: use 'log', 'mel' or 'linear'")


def build_responses(
    n: int, centres: Float[np.ndarray, " J"], wavelet: Wavelet, width: float
) -> tuple[BandResponse, ...]:
    """Build the Parseval rows on n bins: sum over the J + 2 rows of H^2 is 1 on every bin. `centres` is in bins.

    Source: Balazs et al., Theory, implementation and applications of nonstationary Gabor frames, JCAM 236(6), 2011.
    """
    widths = _band_widths(centres, width, wavelet)
    bands = [_band(n, centre, wavelet, p) for centre, p in zip(centres, widths, strict=True)]
    covered = _sum_of_squares(n, bands)
    reach = 2 / widths[[0, -1]]  # two standard deviations inside the outermost centres the bands' sum is level
    low = _residual(covered, int(centres[0]), int(centres[0] * (1 + reach[0])) + 1)
    top = n - 1 - int(centres[-1])
    high = _residual(covered[::-1], top, n - int(centres[-1] * max(0.0, 1 - reach[1])))[::-1]
    rows = [_trimmed(low), *bands, _trimmed(high)]
    total = _sum_of_squares(n, rows)
    if total.min() < SMALLEST_SUM:
        raise ConfigError(
            f"{len(centres)} bands leave a gap near bin {int(total.argmin())} of {n}: "
            "use more bands, a smaller width, or a narrower frequency range"
        )
    norm = np.sqrt(total)
    return tuple(BandResponse(r.start, r.values / norm[r.start : r.stop]) for r in rows)


def _band_widths(centres: Float[np.ndarray, " J"], width: float, wavelet: Wavelet) -> Float[np.ndarray, " J"]:
    """Return P per band: at most `width`, less where the neighbours are far apart or the bins are coarse.

    Without that, few bands or a linear spacing would leave frequencies that no band sees.
    """
    if wavelet == "mexican_hat":
        return np.full(len(centres), DEFAULT_WIDTHS[wavelet])
    gaps = np.diff(centres)
    widest = np.maximum(np.append(gaps, gaps[-1]), np.insert(gaps, 0, gaps[0]))
    return np.asarray(np.clip(centres / (0.5 * np.maximum(widest, 1.0)), 1.0, width))


def _band(n: int, centre: float, wavelet: Wavelet, width: float) -> BandResponse:
    ratios = np.geomspace(2.0**-16, 2.0**8, 4096)
    inside = ratios[wavelet_response(wavelet, ratios, width) >= CUT_OFF]
    bins = np.arange(int(inside[0] * 0.99 * centre), min(n, int(inside[-1] * 1.01 * centre) + 2))
    return _trimmed(wavelet_response(wavelet, bins / centre, width), start=int(bins[0]), floor=CUT_OFF)


def _residual(covered: Float[np.ndarray, " n"], first: int, last: int) -> Float[np.ndarray, " n"]:
    """Return sqrt(max(0, c - covered)) towards bin 0, c being the level that the bands reach between first and last.

    The running maximum keeps ripples of the sum between bands out of the residual row: it falls once, and stays zero.
    """
    level = NEARLY_LEVEL * covered[min(first, len(covered) - 1) : max(last, first + 1)].max()
    return np.asarray(np.sqrt(np.maximum(0.0, level - np.maximum.accumulate(covered))))


def _trimmed(values: Float[np.ndarray, " support"], start: int = 0, floor: float | None = None) -> BandResponse:
    """Cut off what lies below `floor` (default: the cut-off times the peak); an empty row keeps one zero bin."""
    kept = np.flatnonzero(values >= (CUT_OFF * values.max() if floor is None else floor))
    if not len(kept) or values.max() <= 0:
        return BandResponse(start, np.zeros(1))
    return BandResponse(start + int(kept[0]), values[kept[0] : kept[-1] + 1])


def _sum_of_squares(n: int, rows: Sequence[BandResponse]) -> Float[np.ndarray, " n"]:
    total = np.zeros(n)
    for row in rows:
        total[row.start : row.stop] += row.values**2
    return total
