"""Explanation of series: the normal version of each stream, and which wavelet bands carry an event.

Legend: n points, C channels, N windows, L points per window, B bands.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from oddwave.detection.series.models import SeriesModel
from oddwave.detection.series.points import at_items_points
from oddwave.detection.series.streams import Stream
from oddwave.results import BandShare, SeriesEvent
from oddwave.sources.series.items import SeriesItem
from oddwave.tensors.series_scale import SeriesScaler
from oddwave.wavelets.pyramid import WaveletCoefficients, wavedec, waverec

__all__ = ["band_shares", "band_signals", "normal_version", "with_bands"]

_MOST_LEVELS = 8
_WAVELET = "db2"
_LEAST_USUAL = 1e-3  # of the scale: a channel that never deviates counts as if it did so much


def normal_version(
    model: SeriesModel, scaler: SeriesScaler, item: SeriesItem, stream: Stream
) -> Float[np.ndarray, "n C"]:
    """Return what an item would be if it were normal, in the data's own units; NaN where no window looks."""
    (scaled,) = model.normal_streams([stream])
    return at_items_points(scaler.inverse(scaled), stream, item.n_timepoints)


def with_bands(
    events: tuple[SeriesEvent, ...], item: SeriesItem, normal: Float[np.ndarray, "n C"], scaler: SeriesScaler
) -> tuple[SeriesEvent, ...]:
    """Say of each event which channel carries it, and which wavelet bands: by what was measured, not what is missing.

    The channel is the one that is furthest off, in units of how far it is off on the whole: restless ones always are.

    `normal` is the item's normal version in its own units.
    """
    if not events:
        return events
    residual = scaler.transform(item.values) - scaler.transform(normal)
    residual = np.where(scaler.monitored, np.nan_to_num(residual), 0.0)
    signals = band_signals(residual)
    usual = np.maximum(np.median(np.abs(residual), axis=0), _LEAST_USUAL)
    explained = []
    for event in events:
        away = np.abs(residual[event.start : event.end + 1]).mean(0) / usual
        shares = band_shares(signals, event.start, event.end, item.sample_period_s)
        explained.append(replace(event, bands=shares, channel=item.channel_names[int(np.argmax(away))]))
    return tuple(explained)


def band_signals(residual: Float[np.ndarray, "n C"]) -> Float[np.ndarray, "B n C"]:
    """Split a residual into the parts that each wavelet band carries, finest first, the approximation last.

    The parts add up to the residual. The stream is mirrored at its end to a length that can be halved often enough.
    """
    n = len(residual)
    levels = int(np.clip(np.floor(np.log2(max(n, 8) / 4)), 1, _MOST_LEVELS))
    padded = np.pad(np.nan_to_num(residual), ((0, -n % 2**levels), (0, 0)), mode="symmetric")
    approx, details = wavedec(torch.from_numpy(padded.T.astype(np.float64)), levels, _WAVELET, grid_dims=1)
    parts = []
    for kept in range(levels + 1):
        only = WaveletCoefficients(
            approx if kept == levels else torch.zeros_like(approx),
            tuple(
                tuple(band if level == kept else torch.zeros_like(band) for band in bands)
                for level, bands in enumerate(details)
            ),
        )
        parts.append(waverec(only, _WAVELET, grid_dims=1).numpy().T[:n])
    return np.stack(parts)


def band_shares(
    signals: Float[np.ndarray, "B n C"], start: int, end: int, sample_period_s: float | None
) -> tuple[BandShare, ...]:
    """Return the share of the residual's energy within points start..end (both included) that each band carries."""
    energy = np.square(signals[:, start : end + 1]).sum((1, 2))
    total = float(energy.sum())
    bands = []
    for level, part in enumerate(energy):
        last = level == len(energy) - 1
        short, long = float(2 ** (level + 1)), float("inf") if last else float(2 ** (level + 2))
        low = high = None
        if sample_period_s:
            low, high = (0.0 if last else 1.0 / (long * sample_period_s)), 1.0 / (short * sample_period_s)
        bands.append(BandShare(short, long, low, high, float(part) / total if total > 0 else 0.0))
    return tuple(bands)
