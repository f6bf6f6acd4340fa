"""The kinds of label-free anomaly: what each does to one stretch of a normal window.

The amount is drawn relative to the channel's scale, never so little that the label would be wrong. Legend: C channels,
K of them changed, L points of a window, S points of the stretch. Read `series_windows.py` next: it plants them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.errors import ShapeError
from oddwave.tensors.series_scale import fill_missing, robust_scale

__all__ = ["MIN_CHANGE", "SERIES_ANOMALIES", "SeriesAnomaly", "own_scale"]

MIN_CHANGE = 0.5  # scales: the largest change that an anomaly makes must reach this, else it is drawn again
_MIN_POINTS = 4  # a shorter window has no room for a stretch and its surroundings
_MAX_DRAWS = 8


@dataclass(frozen=True, eq=False)
class _Stretch:
    """What a change sees: the chosen channels of the window and of the donor, the stretch, one unit of change."""

    window: Float[np.ndarray, "K L"]
    donor: Float[np.ndarray, "K L"]
    start: int
    end: int
    unit: Float[np.ndarray, "K 1"]
    rng: np.random.Generator

    @property
    def values(self) -> Float[np.ndarray, "K S"]:
        values: np.ndarray = self.window[:, self.start : self.end]
        return values

    @property
    def size(self) -> int:
        return self.end - self.start

    def sizes(self, low: float, high: float) -> Float[np.ndarray, "K 1"]:
        """Random changes of either sign, between `low` and `high` units, one per channel."""
        shape = self.unit.shape
        sizes: np.ndarray = (
            self.unit * self.rng.choice([-1.0, 1.0], size=shape) * self.rng.uniform(low, high, size=shape)
        )
        return sizes


Change = Float[np.ndarray, "K S"]


def _spike(s: _Stretch) -> Change:
    """A few points far off."""
    return s.values + s.sizes(3.0, 8.0) * s.rng.uniform(0.6, 1.0, size=(1, s.size))


def _level_shift(s: _Stretch) -> Change:
    """The stretch moves up or down as a whole."""
    changed: Change = s.values + s.sizes(1.0, 4.0)
    return changed


def _drift(s: _Stretch) -> Change:
    """A slope that grows through the stretch and ends at once."""
    return s.values + s.sizes(1.5, 5.0) * np.linspace(0.0, 1.0, s.size)


def _frequency_change(s: _Stretch) -> Change:
    """The signal runs 1.5 to 3 times as fast or as slow, from the start of the stretch on."""
    factor = s.rng.uniform(1.5, 3.0) ** s.rng.choice([-1.0, 1.0])
    last = s.window.shape[1] - 1
    at = s.start + factor * np.arange(s.size)
    at = last - np.abs(last - np.mod(at, 2 * last))  # beyond the window's end it runs backwards
    return np.stack([np.interp(at, np.arange(last + 1), channel) for channel in s.window])


def _flat_line(s: _Stretch) -> Change:
    """The sensor repeats its last value."""
    return np.repeat(s.window[:, max(s.start - 1, 0), None], s.size, axis=1)


def _noise_burst(s: _Stretch) -> Change:
    """White noise on top."""
    changed: Change = s.values + np.abs(s.sizes(0.75, 3.0)) * s.rng.normal(size=s.values.shape)
    return changed


def _segment_swap(s: _Stretch) -> Change:
    """Normal values that belong elsewhere: as long a stretch of the donor, from any place."""
    start = int(s.rng.integers(0, s.donor.shape[1] - s.size + 1))
    changed: Change = s.donor[:, start : start + s.size]
    return changed


def _amplitude_change(s: _Stretch) -> Change:
    """The swing about the stretch's own mean is 2 to 4 times as wide, or as narrow."""
    mean = s.values.mean(axis=1, keepdims=True)
    factor = s.rng.uniform(2.0, 4.0, size=s.unit.shape) ** s.rng.choice([-1.0, 1.0], size=s.unit.shape)
    changed: Change = mean + (s.values - mean) * factor
    return changed


def _time_reversal(s: _Stretch) -> Change:
    """The stretch runs backwards: every value is normal, their order is not."""
    return s.values[:, ::-1]


def _contextual(s: _Stretch) -> Change:
    """The stretch is mirrored about the middle of its range: usual values at the wrong time."""
    changed: Change = s.values.max(axis=1, keepdims=True) + s.values.min(axis=1, keepdims=True) - s.values
    return changed


@dataclass(frozen=True)
class SeriesAnomaly:
    """One kind of anomaly: calling it on a normal window (C, L) plants it and returns the new window and its mask (L,).

    The input is left as it is. Where a kind cannot show (a constant stretch run backwards), it is drawn again, and at
    last a level shift is planted in its stead, so the mask is always right.
    """

    change: Callable[[_Stretch], Change]
    shortest: float  # length of the stretch as a share of the window
    longest: float

    def __call__(
        self,
        window: Float[np.ndarray, "C L"],
        rng: np.random.Generator,
        *,
        scale: Float[np.ndarray, " C"] | None = None,
        donor: Float[np.ndarray, "C L"] | None = None,
    ) -> tuple[Float[np.ndarray, "C L"], Bool[np.ndarray, " L"]]:
        """Plant one anomaly in a random nonempty subset of the channels.

        `scale` is one unit of change per channel (default: the window's own robust scale); `donor` is another normal
        window to take values from (default: the window itself). Missing values are filled first.
        Raises: ShapeError for fewer than 4 points, or a donor of another shape.
        """
        if window.ndim != 2 or not window.shape[0] or window.shape[1] < _MIN_POINTS:
            raise ShapeError(f"window has shape {window.shape}: expected (channels, points) with 4 points or more")
        if donor is not None and donor.shape != window.shape:
            raise ShapeError(f"donor has shape {donor.shape}: expected {window.shape} like the window")
        whole = _filled(window)
        other = whole if donor is None else _filled(donor)
        unit = own_scale(whole) if scale is None else np.asarray(scale, dtype=np.float64)
        for change in [self.change] * _MAX_DRAWS + [_level_shift]:
            start, end = self._span(whole.shape[1], rng)
            channels = _some_channels(whole.shape[0], rng)
            stretch = _Stretch(whole[channels], other[channels], start, end, unit[channels, None], rng)
            changed = whole.copy()
            changed[channels, start:end] = change(stretch)
            if (np.abs(changed - whole) / unit[:, None]).max() >= MIN_CHANGE:
                break
        mask = np.zeros(whole.shape[1], dtype=bool)
        mask[start:end] = True
        return changed, mask

    def _span(self, length: int, rng: np.random.Generator) -> tuple[int, int]:
        shortest = max(1, round(self.shortest * length))
        size = int(rng.integers(shortest, max(shortest, round(self.longest * length)) + 1))
        start = int(rng.integers(0, length - size + 1))
        return start, start + size


SERIES_ANOMALIES: Mapping[str, SeriesAnomaly] = {
    "spike": SeriesAnomaly(_spike, 0.0, 0.03),
    "level_shift": SeriesAnomaly(_level_shift, 0.1, 0.5),
    "drift": SeriesAnomaly(_drift, 0.15, 0.5),
    "frequency_change": SeriesAnomaly(_frequency_change, 0.2, 0.6),
    "flat_line": SeriesAnomaly(_flat_line, 0.1, 0.5),
    "noise_burst": SeriesAnomaly(_noise_burst, 0.1, 0.5),
    "segment_swap": SeriesAnomaly(_segment_swap, 0.2, 0.6),
    "amplitude_change": SeriesAnomaly(_amplitude_change, 0.2, 0.6),
    "time_reversal": SeriesAnomaly(_time_reversal, 0.2, 0.6),
    "contextual": SeriesAnomaly(_contextual, 0.1, 0.5),
}


def own_scale(channels: Float[np.ndarray, "C L"]) -> Float[np.ndarray, " C"]:
    """Return each channel's robust standard deviation."""
    return np.array([robust_scale(channel)[1] for channel in channels])


def _some_channels(num_channels: int, rng: np.random.Generator) -> Int[np.ndarray, " K"]:
    count = int(rng.integers(1, num_channels + 1))
    return np.sort(rng.choice(num_channels, size=count, replace=False))


def _filled(window: Float[np.ndarray, "C L"]) -> Float[np.ndarray, "C L"]:
    return fill_missing(window.T)[0].T
