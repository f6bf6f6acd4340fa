"""What is learnt from normal images: feature statistics, Gaussians, the patch memory, the denoisers, the decoder.

Images are looked at once, one after another; kept of each are its feature grid in half precision and, where a network
needs them, small copies. Read `terms.py` for what all of it is used for.

Legend: N squares, C channels, S side of a square (a sound's map is H x W), D channels of the feature grid, G its side,
P patches.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from oddwave.detection.denoiser import train_denoiser
from oddwave.detection.image.terms import FEATURE_SCALE, MapTerms, distances_of
from oddwave.detection.job import QUIET, FitJob
from oddwave.detection.left_out import Chosen, LeftOut
from oddwave.errors import DataError
from oddwave.nets.blocks import seeded_draws
from oddwave.nets.decoder import FeatureDecoder
from oddwave.nets.unet import UNet
from oddwave.progress import progress
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.tensors.image_turns import turned_copies
from oddwave.training.adamw import AdamW
from oddwave.training.draws import TensorSource
from oddwave.training.loop import SECOND_FOLDER, STATE_FILE, TrainStep
from oddwave.training.ports import PortData

__all__ = ["DECODED_PX", "learn", "learn_background", "make_networks", "remember"]

DECODED_PX = 128
_PATCH_POOL = 400_000  # patches that the coreset is chosen from: with fewer, rare normal ones are lost
_DECODER_STEPS, _DECODER_BATCH, _DECODER_RATE = 200, 8, 2e-3
_VALIDATION_SHARE = 0.1
_SMALLEST_SCALE = 1e-4


def make_networks(terms: MapTerms, channels: int, *, shows: bool = True) -> None:
    """Return the terms untrained networks for its space; their first weights follow from the seed.

    Without `shows` there is no decoder: of what lives in feature space there will then be no normal version to look at.
    """
    config = terms.config
    maps, settings = config.maps, config.network.model_dump()
    with seeded_draws(config.seed):
        if maps.space in ("feature", "both"):
            terms.feature_net = UNet(terms.grid.width, grid_dims=2, **settings).eval()
            if shows:
                terms.decoder = FeatureDecoder(terms.grid.width, maps.grids[1], channels, DECODED_PX).eval()
            terms.noise_levels["feature"] = config.scoring.noise_levels
        if maps.space in ("pixel", "both"):
            terms.pixel_net = UNet(channels, grid_dims=2, **settings).eval()
            terms.noise_levels["pixel"] = config.scoring.noise_levels
    for network in terms.networks:
        if not next(network.parameters()).is_meta:  # else an outline: it tells names and shapes alone
            network.to(terms.device)


def learn(
    terms: MapTerms,
    squares: Iterable[Float[np.ndarray, "T C H W"]],
    job: FitJob = QUIET,
    left_out: LeftOut | None = None,
) -> dict[str, Any]:
    """Fit every part of `terms` on normal squares and say how it went.

    `left_out` takes what would have been learnt without each fold of the squares; networks are trained once, that of
    pixel space without the first fold.
    Raises:
        DataError: there is no image, or the images do not differ at all.
    """
    looked = time.process_time()
    features, small, pixels = _look(terms, squares)
    started = time.process_time()
    evidence: dict[str, Any] = {"num_squares": len(features), "features_cpu_s": round(started - looked, 2)}
    features = _standardise(terms, features)
    if terms.config.maps.statistics:
        _learn_places(terms, "statistics", lambda kept: PositionGaussian.fit(terms.by_place(features[kept])), left_out)
    if terms.config.maps.patch_memory:
        _learn_patches(terms, features, left_out)
    evidence["memory_cpu_s"] = round(time.process_time() - started, 2)
    own = job
    if terms.feature_net is not None:
        coarse = _coarse(terms, features)
        del features
        last = _train(terms, terms.feature_net, coarse, "feature", own)
        evidence["feature"] = _told(last)
        _learn_places(terms, "residuals", _residual_fit(terms, coarse), left_out)
        if terms.pixel_net is not None:
            own = _beside(job)
        if terms.decoder is not None:
            grids = coarse / FEATURE_SCALE
            evidence["decoder_loss"] = _train_decoder(terms, terms.decoder, grids, small, job.show_progress)
    if terms.pixel_net is not None:
        if left_out is not None:
            pixels = pixels[left_out.unseen]
        last = _train(terms, terms.pixel_net, pixels.float(), "pixel", own)
        evidence["pixel"] = _told(last)
    evidence["cpu_s"] = round(time.process_time() - looked, 2)
    return evidence


@torch.no_grad()
def learn_background(terms: MapTerms, tensors: Iterable[Float[np.ndarray, "T C H W"]]) -> None:
    """Learn how far everything else lies from what was learnt: what distances from the normals are compared with."""
    blocks = [_features(terms, torch.from_numpy(own)) for own in tensors]
    features = torch.cat(blocks)
    if "memory" in terms.learnt:
        terms.learn("background_memory", _remember(terms, features))
    if terms.feature_net is not None:
        _learn_places(terms, "background_residuals", _residual_fit(terms, _coarse(terms, features)), None)


def _features(terms: MapTerms, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D G G"]:
    """Return standardised feature grids in half precision, in the processor's memory: there is room for many."""
    return terms.features(x.to(terms.device)).half().cpu()


def _coarse(terms: MapTerms, features: Float[Tensor, "N D G G"]) -> Float[Tensor, "N D g g"]:
    return torch.cat([terms.feature_x0(block.float()) for block in torch.split(features, 64)])


def _look(terms: MapTerms, squares: Iterable[Float[np.ndarray, "T C H W"]]) -> tuple[Tensor, Tensor, Tensor]:
    """Return raw feature grids and the small copies that the decoder and the pixel-space denoiser learn from."""
    features: list[Tensor] = []
    small: list[Tensor] = []
    pixels: list[Tensor] = []
    for own in squares:
        for x in turned_copies(torch.from_numpy(own), terms.config.image.augment):
            with terms.half_precision():
                grid = terms.grid(x.to(terms.device).contiguous(memory_format=torch.channels_last))
            features.append(grid.half().cpu())
            if terms.decoder is not None:
                small.append(F.interpolate(x, size=(DECODED_PX, DECODED_PX), mode="area").half())
            if terms.pixel_net is not None:
                pixels.append(terms.pixel_x0(x).half())
    if not features:
        raise DataError("there is no image to learn from: give a folder of normal images")
    nothing = torch.zeros(0)
    return torch.cat(features), torch.cat(small) if small else nothing, torch.cat(pixels) if pixels else nothing


def _standardise(terms: MapTerms, features: Float[Tensor, "N D G G"]) -> Float[Tensor, "N D G G"]:
    """Take each channel's mean and deviation, and return the standardised grids, in half precision still."""
    total = torch.zeros(2, features.shape[1], dtype=torch.float64)
    for block in torch.split(features, 64):
        values = block.double()
        total += torch.stack([values.mean((2, 3)).sum(0), values.square().mean((2, 3)).sum(0)])
    mean, square = total / len(features)
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    centre, scale = mean.float(), torch.where(deviation > _SMALLEST_SCALE, deviation, 1.0).float()
    for block in torch.split(features, 64):
        block.copy_((block.float() - centre[:, None, None]) / scale[:, None, None])
    terms.centre, terms.scale = centre.to(terms.device), scale.to(terms.device)
    return features


@torch.no_grad()
def remember(terms: MapTerms, squares: Iterable[Float[np.ndarray, "T C H W"]]) -> None:
    """Add normal squares to the patch memory; scales, Gaussians and networks stay as they were learnt."""
    memory: Memory | None = terms.learnt.get("memory")
    turned = (x for own in squares for x in turned_copies(torch.from_numpy(own), terms.config.image.augment))
    blocks = [_features(terms, x) for x in turned] if memory is not None else []
    if memory is not None and blocks:
        patches, image, place = _pool(terms, torch.cat(blocks))
        size, seed = terms.config.scoring.memory_size, terms.config.seed
        first = int(memory.groups.max()) + 1
        terms.learn("memory", memory.joined(patches, image + first, place, size=size, seed=seed))


def _remember(terms: MapTerms, features: Float[Tensor, "N D G G"]) -> Memory:
    """Choose the patches to remember from a random pool of all patches."""
    size, seed = terms.config.scoring.memory_size, terms.config.seed
    return Memory.fit(*_pool(terms, features), size=size, num_neighbors=1, seed=seed)


def _pool(
    terms: MapTerms, features: Float[Tensor, "N D G G"], most: int = _PATCH_POOL
) -> tuple[Float[np.ndarray, "P D"], Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Draw patches at random, with the image and the place that each is of."""
    num, _, height, columns = features.shape
    places = num * height * columns
    rng = np.random.default_rng([terms.config.seed, 3])
    chosen = np.sort(rng.choice(places, min(most, places), replace=False))
    image, place = torch.from_numpy(chosen // (height * columns)), torch.from_numpy(chosen % (height * columns))
    return features.flatten(2)[image, :, place].float().numpy(), image.numpy(), place.numpy()


def _train(terms: MapTerms, net: UNet, x0: Tensor, space: str, job: FitJob) -> TrainStep:
    """Train a denoiser; the feature loss belongs to pixel space only, for in feature space it is the loss already."""
    config = terms.config.training_settings
    if space == "feature":
        config = config.model_copy(update={"feature_loss_weight": 0.0})
    count = len(x0) - max(1, round(_VALIDATION_SHARE * len(x0))) if len(x0) > 1 else 1
    data = PortData(
        TensorSource(x0[:count]),
        TensorSource(x0[count:]) if count < len(x0) else None,
        terms.grid.network if config.feature_loss_weight else None,
    )
    title = f"training the denoiser ({space} space)"
    return train_denoiser(net, data, terms.schedule, config, job, name=f"{space}_net", title=title)


@torch.no_grad()
def _residual_fit(terms: MapTerms, x0: Float[Tensor, "N D g g"]) -> Callable[[Chosen], dict[float, PositionGaussian]]:
    """Return how to learn at each place which residuals some of these images leave, per noise level."""
    levels = terms.noise_levels["feature"]
    parts = (block.to(terms.device) for block in torch.split(x0, 32))
    blocks = [[own.cpu() for own in terms.feature_residuals(block, levels)] for block in parts]
    residuals = [torch.cat([block[number] for block in blocks]) for number in range(len(levels))]
    return lambda kept: {
        level: PositionGaussian.fit(terms.by_place(own[kept])) for level, own in zip(levels, residuals, strict=True)
    }


def _learn_places(
    terms: MapTerms,
    name: str,
    fitted: Callable[[Chosen], PositionGaussian | dict[float, PositionGaussian]],
    left_out: LeftOut | None,
) -> None:
    """Learn Gaussians from all images and, where that is asked for, from all but each fold."""
    terms.learn(name, fitted(slice(None)))
    if left_out is not None:
        left_out.learn(lambda kept: distances_of(name, fitted(kept)))


def _learn_patches(terms: MapTerms, features: Float[Tensor, "N D G G"], left_out: LeftOut | None) -> None:
    """Remember patches; with folds, as many of each, so that without one the memory is what the others give."""
    if left_out is None:
        terms.learn("memory", _remember(terms, features))
        return
    size, folds, parts = terms.config.scoring.memory_size, left_out.folds, []
    for fold, numbers in folds.members():
        patches, image, place = _pool(terms, features[torch.from_numpy(numbers)], _PATCH_POOL // folds.num)
        own = size // folds.num + (fold < size % folds.num)
        parts.append(Memory.fit(patches, numbers[image], place, size=own, num_neighbors=1, seed=terms.config.seed))
    memory = replace(
        parts[0],
        vectors=np.concatenate([part.vectors for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        starts=np.concatenate([part.starts for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
    )
    terms.learn("memory", memory)
    left_out.learn(lambda kept: distances_of("memory", _only(memory, kept.numpy()[memory.groups])))


def _only(memory: Memory, rows: Bool[np.ndarray, " M"]) -> Memory:
    """Return a memory of some of its rows."""
    return replace(
        memory,
        vectors=memory.vectors[rows],
        groups=memory.groups[rows],
        starts=memory.starts[rows],
        weights=memory.weights[rows],
    )


def _beside(job: FitJob) -> FitJob:
    """Return the job of a second network: a folder of its own, which may hold something to go on from."""
    if job.checkpoint_dir is None:
        return job
    second = job.checkpoint_dir / SECOND_FOLDER
    second.mkdir(exist_ok=True)
    return replace(job, checkpoint_dir=second, resume=job.resume and (second / STATE_FILE).exists())


def _train_decoder(terms: MapTerms, decoder: FeatureDecoder, grids: Tensor, images: Tensor, show: bool) -> float:
    """Teach the decoder to show normal images (mean absolute error), briefly: it is for the eyes only."""
    generator = torch.Generator().manual_seed(terms.config.seed)
    optimizer = AdamW(list(decoder.parameters()), 0.0)
    steps = min(_DECODER_STEPS, terms.config.training.num_steps)
    loss_value = 0.0
    decoder.train()
    for step in progress(range(steps), "training the decoder", show):
        chosen = torch.randint(len(grids), (_DECODER_BATCH,), generator=generator)
        optimizer.zero_grad()
        with terms.half_precision():
            shown = decoder(grids[chosen].to(terms.device))
        loss = (shown.float() - images[chosen].to(terms.device).float()).abs().mean()
        torch.autograd.backward(loss)
        optimizer.step(_DECODER_RATE * min(1.0, (step + 1) / 10) * (1.0 - step / steps))
        loss_value = loss.item()
    decoder.eval()
    return loss_value


def _told(last: TrainStep) -> dict[str, Any]:
    return {"num_steps": last.step, "loss": last.loss, "val_loss": last.val_loss}
