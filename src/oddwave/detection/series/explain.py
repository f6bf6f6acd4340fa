"""Explanation of series: the normal version of each stream, and which wavelet bands carry an event.

Legend: n points, C channels, N windows, L points per window, B bands.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from oddwave.detection.series.model import SeriesModel
from oddwave.detection.series.points import at_items_points
from oddwave.detection.series.streams import Stream, cut_streams
from oddwave.detection.threads import one_thread
from oddwave.diffusion.noise import shared_noise
from oddwave.diffusion.samplers import reconstruct
from oddwave.results import BandShare, SeriesEvent
from oddwave.sources.series.items import SeriesItem
from oddwave.tensors.series_scale import SeriesScaler
from oddwave.tensors.series_windows import join_windows
from oddwave.wavelets.pyramid import WaveletCoefficients, wavedec, waverec

__all__ = ["band_shares", "band_signals", "normal_version", "reconstruct_streams", "with_bands"]

_MOST_LEVELS = 8
_WAVELET = "db2"
_BATCH = 512


def normal_version(
    model: SeriesModel, scaler: SeriesScaler, item: SeriesItem, stream: Stream
) -> Float[np.ndarray, "n C"]:
    """Return what an item would be if it were normal, in the data's own units; NaN where no window looks."""
    (scaled,) = reconstruct_streams(model, [stream])
    return at_items_points(scaler.inverse(scaled), stream, item.n_timepoints)


@one_thread()
def reconstruct_streams(model: SeriesModel, streams: Sequence[Stream]) -> list[Float[np.ndarray, "_ C"]]:
    """Return each stream's normal version in scaled units, from windows of the smallest size; NaN where none fits.

    Every window gets the same noise, so a stream's version does not depend on the streams beside it.
    """
    scorer = model.scorers[0]
    size = scorer.window_size
    cut = scorer.completed(cut_streams(streams, size, max(1, size // 2)))
    settings = model.config.reconstruction
    blocks = []
    for x0 in torch.split(scorer.representation.encode(cut.windows), _BATCH) if len(cut) else ():
        blocks.append(
            reconstruct(
                model.net,
                x0.to(scorer.device),
                model.schedule,
                sampler=settings.sampler,
                noise_level=settings.noise_level,
                num_inference_steps=settings.num_inference_steps,
                guidance_weight=settings.guidance_weight,
                prediction_type=model.config.training.prediction_type,
                noise=shared_noise(x0.shape, model.config.seed),
            )
        )
    if not blocks:
        return [np.full_like(stream.values, np.nan) for stream in streams]
    windows = scorer.representation.decode(torch.cat(blocks).cpu(), cut.windows)
    return [
        join_windows(windows[cut.stream == number], cut.local_starts[cut.stream == number], len(stream))
        for number, stream in enumerate(streams)
    ]


def with_bands(
    events: tuple[SeriesEvent, ...], item: SeriesItem, normal: Float[np.ndarray, "n C"], scaler: SeriesScaler
) -> tuple[SeriesEvent, ...]:
    """Say of each event which channel carries it, and which wavelet bands: by what was measured, not what is missing.

    `normal` is the item's normal version in its own units.
    """
    if not events:
        return events
    residual = scaler.transform(item.values) - scaler.transform(normal)
    residual = np.where(scaler.monitored, np.nan_to_num(residual), 0.0)
    signals = band_signals(residual)
    explained = []
    for event in events:
        energy = np.square(residual[event.start : event.end + 1]).sum(0)
        shares = band_shares(signals, event.start, event.end, item.sample_period_s)
        explained.append(replace(event, bands=shares, channel=item.channel_names[int(np.argmax(energy))]))
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
