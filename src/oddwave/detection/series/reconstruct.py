"""The normal version of streams by the denoiser: windows are noised partially, denoised again, and joined.

Legend: n points, C channels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from oddwave.detection.series.streams import Stream, cut_streams
from oddwave.detection.series.terms import WindowScorer
from oddwave.diffusion.noise import shared_noise
from oddwave.diffusion.samplers import reconstruct
from oddwave.tensors.series_windows import join_windows

__all__ = ["reconstruct_streams"]

_BATCH = 512


def reconstruct_streams(scorer: WindowScorer, streams: Sequence[Stream]) -> list[Float[np.ndarray, "_ C"]]:
    """Return each stream's normal version in scaled units, from windows of the scorer's size; NaN where none fits.

    Every window gets the same noise, so a stream's version does not depend on the streams beside it.
    """
    size, config = scorer.window_size, scorer.config
    cut = scorer.completed(cut_streams(streams, size, max(1, size // 2)))
    settings = config.reconstruction
    blocks = []
    for x0 in torch.split(scorer.representation.encode(cut.windows), _BATCH) if len(cut) else ():
        blocks.append(
            reconstruct(
                scorer.net,
                x0.to(scorer.device),
                scorer.schedule,
                sampler=settings.sampler,
                noise_level=settings.noise_level,
                num_inference_steps=settings.num_inference_steps,
                guidance_weight=settings.guidance_weight,
                prediction_type=config.training.prediction_type,
                noise=shared_noise(x0.shape, config.seed),
            )
        )
    if not blocks:
        return [np.full_like(stream.values, np.nan) for stream in streams]
    windows = scorer.representation.decode(torch.cat(blocks).cpu(), cut.windows)
    return [
        join_windows(windows[cut.stream == number], cut.local_starts[cut.stream == number], len(stream))
        for number, stream in enumerate(streams)
    ]
