"""The paper's other way to a score: a sampler reconstructs the item in many steps, and the squared error is its score.

No feature error, and nothing is standardised, for the order of the scores is all that AUROC sees. With one step this is
the one-step estimate in the same terms, so `sampled_1` is what `sampled_10` and `sampled_50` are to be compared with;
`sampled_full_noise` begins at t = T as the paper has it, where nothing of the item is left. Noise level, sampler and
steps are the `reconstruction` section's. Read `ablation.py` for where these stand among the variants.

Legend: n points of a stream or of all of them, C channels, B images.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from oddwave.config import DetectorConfig
from oddwave.lab.bench.clock import Clock
from oddwave.lab.bench.own_methods import streams_of
from oddwave.lab.bench.protocol import ImageTask, Outcome, Task

if TYPE_CHECKING:
    from torch import Tensor

    from oddwave.detection.image.terms import MapTerms

__all__ = ["score_sampled_images", "score_sampled_series"]

_BATCH = 8


def score_sampled_images(settings: DetectorConfig, task: ImageTask) -> Outcome:
    """Score by the error of a sampled reconstruction: as elsewhere, the mean of the map's highest share."""
    import torch

    from oddwave.detection.image.detector import ImageDetector
    from oddwave.detection.image.model import ImageModel
    from oddwave.detection.image.tiles import cut_image, join_maps
    from oddwave.scoring.maps import common_map, top_mean

    clock = Clock()
    work = ImageDetector(settings, {"on_error": "stop"})
    work.fit(list(task.split.train_paths))
    clock.lap()
    engine = work.model
    assert isinstance(engine, ImageModel)
    items = work.read(list(task.split.test_paths)).items
    scores, maps = [], []
    for some in (items[first : first + _BATCH] for first in range(0, len(items), _BATCH)):
        cut = [cut_image(item.pixels(), engine.frame, settings.image, None) for item in some]
        x0 = engine.terms.pixel_x0(torch.from_numpy(np.concatenate([squares.tensors for squares in cut])))
        error = (x0 - _sampled_version(engine.terms, x0)).square().mean(1)
        for squares, own in zip(cut, common_map(error), strict=True):  # without tiles an image is one square
            scores.append(float(top_mean(own[None], engine.top_share)))
            maps.append(join_maps(own[None].numpy(), squares.size, squares.boxes, engine.frame))
    return clock.outcome(np.array(scores), maps, settings.model_dump(mode="json"))


def _sampled_version(scorer: "MapTerms", x0: "Tensor") -> "Tensor":
    """Return the reconstruction that the settings describe; all items see the same noise."""
    from oddwave.diffusion.noise import common_noise
    from oddwave.diffusion.samplers import reconstruct

    how, net = scorer.config.reconstruction, scorer.pixel_net
    assert net is not None
    return reconstruct(
        scorer.caller(net),
        x0,
        scorer.schedule,
        sampler=how.sampler,
        noise_level=how.noise_level,
        num_inference_steps=how.num_inference_steps,
        prediction_type=scorer.config.training.prediction_type,
        noise=common_noise(x0.shape[1:], scorer.config.seed).expand_as(x0),
    )


def score_sampled_series(settings: DetectorConfig, task: Task) -> Outcome:
    """Score by the error of a sampled reconstruction: over an instance, or over a window around each point."""
    from oddwave.detection.series.detector import SeriesDetector
    from oddwave.detection.series.points import scaled_streams

    clock = Clock()
    work = SeriesDetector(settings, {})
    if task.train is None:
        work.fit_scores(task.test)
    else:
        work.fit(streams_of(task.train, task.train_ends))
    clock.lap()
    assert work.model is not None
    assert work.scaler is not None
    streams = scaled_streams(work.read(streams_of(task.test, task.test_ends)), work.scaler)
    normal = work.model.normal_streams(streams)
    size = min(work.model.plan.sizes)
    parts = [
        _window_means(np.square(stream.values - own).mean(1).astype(np.float64), None if task.is_panel else size)
        for stream, own in zip(streams, normal, strict=True)
    ]
    return clock.outcome(np.concatenate(parts), settings=settings.model_dump(mode="json"))


def _window_means(errors: Float[np.ndarray, " n"], size: int | None) -> Float[np.ndarray, " _"]:
    """Return the mean of all errors, or around each of them."""
    from scipy.ndimage import uniform_filter1d

    if size is None:
        return np.array([errors.mean()])
    means: np.ndarray = uniform_filter1d(errors, size, mode="nearest")
    return means
