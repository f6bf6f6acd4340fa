"""What is learnt from normal images: feature statistics, Gaussians, the patch memory, the denoisers, the decoder.

Images are looked at once, one after another; kept of each are its feature grid in half precision and, where a network
needs them, small copies. Read `terms.py` for what all of it is used for.

Legend: N squares, C channels, S side of a square (a sound's map is H x W), D channels of the feature grid, G its side,
P patches.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from oddwave.detection.image.terms import FEATURE_SCALE, ImageScorer
from oddwave.errors import DataError
from oddwave.nets.blocks import seeded_draws
from oddwave.nets.decoder import FeatureDecoder
from oddwave.nets.unet import UNet
from oddwave.progress import progress
from oddwave.scoring.memory import Memory
from oddwave.scoring.position_gaussian import PositionGaussian
from oddwave.training.adamw import AdamW
from oddwave.training.draws import TensorSource
from oddwave.training.loop import SECOND_FOLDER, STATE_FILE, TrainStep, train
from oddwave.training.progress import run_with_progress

__all__ = ["DECODED_PX", "learn", "learn_background", "make_networks"]

DECODED_PX = 128
_PATCH_POOL = 400_000  # patches that the coreset is chosen from: with fewer, rare normal ones are lost
_DECODER_STEPS, _DECODER_BATCH, _DECODER_RATE = 200, 8, 2e-3
_VALIDATION_SHARE = 0.1
_SMALLEST_SCALE = 1e-4


def make_networks(scorer: ImageScorer, channels: int, *, shows: bool = True) -> None:
    """Give the scorer untrained networks for its space; their first weights follow from the seed.

    Without `shows` there is no decoder: of what lives in feature space there will then be no normal version to look at.
    """
    config = scorer.config
    image, settings = config.image, config.network.model_dump()
    with seeded_draws(config.seed):
        if image.space in ("feature", "both"):
            scorer.feature_net = UNet(scorer.grid.width, grid_dims=2, **settings).eval()
            if shows:
                scorer.decoder = FeatureDecoder(scorer.grid.width, image.grids[1], channels, DECODED_PX).eval()
            scorer.noise_levels["feature"] = config.scoring.noise_levels
        if image.space in ("pixel", "both"):
            scorer.pixel_net = UNet(channels, grid_dims=2, **settings).eval()
            scorer.noise_levels["pixel"] = config.scoring.noise_levels


def learn(
    scorer: ImageScorer,
    squares: Iterable[Float[np.ndarray, "T C H W"]],
    *,
    show_progress: bool = False,
    checkpoint_dir: Path | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Fit every part of `scorer` on normal squares and say how it went.

    Raises:
        DataError: there is no image, or the images do not differ at all.
    """
    looked = time.process_time()
    features, small, pixels = _look(scorer, squares)
    started = time.process_time()
    evidence: dict[str, Any] = {"num_squares": len(features), "features_cpu_s": round(started - looked, 2)}
    features = _standardise(scorer, features)
    if scorer.config.image.statistics:
        scorer.statistics = PositionGaussian.fit(scorer.by_place(features))
    if scorer.config.image.patch_memory:
        scorer.memory = _remember(scorer, features)
    evidence["memory_cpu_s"] = round(time.process_time() - started, 2)
    folder, own = checkpoint_dir, resume
    if scorer.feature_net is not None:
        coarse = _coarse(scorer, features)
        del features
        last = _train(scorer, scorer.feature_net, coarse, "feature", show_progress, folder, own)
        evidence["feature"] = _told(last)
        scorer.residuals = _fit_residuals(scorer, coarse)
        if scorer.pixel_net is not None:
            folder, own = _beside(checkpoint_dir, resume)
        if scorer.decoder is not None:
            grids = coarse / FEATURE_SCALE
            evidence["decoder_loss"] = _train_decoder(scorer, scorer.decoder, grids, small, show_progress)
    if scorer.pixel_net is not None:
        last = _train(scorer, scorer.pixel_net, pixels.float(), "pixel", show_progress, folder, own)
        evidence["pixel"] = _told(last)
    evidence["cpu_s"] = round(time.process_time() - looked, 2)
    return evidence


def learn_background(scorer: ImageScorer, tensors: Iterable[Float[np.ndarray, "T C H W"]]) -> None:
    """Learn how far everything else lies from what was learnt: what distances from the normals are compared with."""
    blocks = [scorer.features(torch.from_numpy(own)).half() for own in tensors]
    features = torch.cat(blocks)
    if scorer.memory is not None:
        scorer.background_memory = _remember(scorer, features)
    if scorer.feature_net is not None:
        scorer.background_residuals = _fit_residuals(scorer, _coarse(scorer, features))


def _coarse(scorer: ImageScorer, features: Float[Tensor, "N D G G"]) -> Float[Tensor, "N D g g"]:
    return torch.cat([scorer.feature_x0(block.float()) for block in torch.split(features, 64)])


def _look(scorer: ImageScorer, squares: Iterable[Float[np.ndarray, "T C H W"]]) -> tuple[Tensor, Tensor, Tensor]:
    """Give raw feature grids and the small copies that the decoder and the pixel-space denoiser learn from."""
    features: list[Tensor] = []
    small: list[Tensor] = []
    pixels: list[Tensor] = []
    for own in squares:
        for x in _turned(torch.from_numpy(own), scorer.config.image.augment):
            with scorer.half_precision():
                features.append(scorer.grid(x.contiguous(memory_format=torch.channels_last)).half())
            if scorer.decoder is not None:
                small.append(F.interpolate(x, size=(DECODED_PX, DECODED_PX), mode="area").half())
            if scorer.pixel_net is not None:
                pixels.append(scorer.pixel_x0(x).half())
    if not features:
        raise DataError("there is no image to learn from: give a folder of normal images")
    nothing = torch.zeros(0)
    return torch.cat(features), torch.cat(small) if small else nothing, torch.cat(pixels) if pixels else nothing


def _turned(x: Float[Tensor, "T C H W"], augment: tuple[str, ...]) -> Iterable[Tensor]:
    """Yield the squares, and copies of them that are as normal as they are."""
    turns = range(4) if "turn" in augment else range(1)
    for turn in turns:
        turned = torch.rot90(x, turn, (2, 3))
        yield turned
        if "mirror" in augment:
            yield turned.flip(3)


def _standardise(scorer: ImageScorer, features: Float[Tensor, "N D G G"]) -> Float[Tensor, "N D G G"]:
    """Take each channel's mean and deviation, and return the standardised grids, in half precision still."""
    total = torch.zeros(2, features.shape[1], dtype=torch.float64)
    for block in torch.split(features, 64):
        values = block.double()
        total += torch.stack([values.mean((2, 3)).sum(0), values.square().mean((2, 3)).sum(0)])
    mean, square = total / len(features)
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    scorer.centre = mean.float()
    scorer.scale = torch.where(deviation > _SMALLEST_SCALE, deviation, 1.0).float()
    for block in torch.split(features, 64):
        block.copy_((block.float() - scorer.centre[:, None, None]) / scorer.scale[:, None, None])
    return features


def _remember(scorer: ImageScorer, features: Float[Tensor, "N D G G"]) -> Memory:
    """Choose the patches to remember from a random pool of all patches."""
    num, _, height, columns = features.shape
    places = num * height * columns
    rng = np.random.default_rng([scorer.config.seed, 3])
    chosen = np.sort(rng.choice(places, min(_PATCH_POOL, places), replace=False))
    image, place = torch.from_numpy(chosen // (height * columns)), torch.from_numpy(chosen % (height * columns))
    patches = features.flatten(2)[image, :, place].float().numpy()
    return Memory.fit(
        patches,
        image.numpy(),
        place.numpy(),
        size=scorer.config.scoring.memory_size,
        num_neighbors=1,
        seed=scorer.config.seed,
    )


def _train(
    scorer: ImageScorer, net: UNet, x0: Tensor, space: str, show: bool, folder: Path | None, resume: bool
) -> TrainStep:
    """Train a denoiser; the feature loss belongs to pixel space only, for in feature space it is the loss already."""
    config = scorer.config.training_settings
    if space == "feature":
        config = config.model_copy(update={"feature_loss_weight": 0.0})
    count = len(x0) - max(1, round(_VALIDATION_SHARE * len(x0))) if len(x0) > 1 else 1
    steps = train(
        net,
        TensorSource(x0[:count]),
        scorer.schedule,
        config,
        validation=TensorSource(x0[count:]) if count < len(x0) else None,
        checkpoint_dir=folder,
        resume=resume,
        perceptual=scorer.grid.network if config.feature_loss_weight else None,
    )
    last = run_with_progress(steps, f"training the denoiser ({space} space)", show=show)
    net.eval()
    return last


def _fit_residuals(scorer: ImageScorer, x0: Float[Tensor, "N D g g"]) -> dict[float, PositionGaussian]:
    """Learn at each place which residuals these images leave, per noise level."""
    levels = scorer.noise_levels["feature"]
    blocks = [list(scorer.feature_residuals(block, levels)) for block in torch.split(x0, 32)]
    return {
        level: PositionGaussian.fit(scorer.by_place(torch.cat([block[number] for block in blocks])))
        for number, level in enumerate(levels)
    }


def _beside(folder: Path | None, resume: bool) -> tuple[Path | None, bool]:
    """Give a second network's checkpoint folder, and whether it holds something to go on from."""
    if folder is None:
        return None, False
    second = folder / SECOND_FOLDER
    second.mkdir(exist_ok=True)
    return second, resume and (second / STATE_FILE).exists()


def _train_decoder(scorer: ImageScorer, decoder: FeatureDecoder, grids: Tensor, images: Tensor, show: bool) -> float:
    """Teach the decoder to show normal images (mean absolute error), briefly: it is for the eyes only."""
    generator = torch.Generator().manual_seed(scorer.config.seed)
    optimizer = AdamW(list(decoder.parameters()), 0.0)
    steps = min(_DECODER_STEPS, scorer.config.training.num_steps)
    loss_value = 0.0
    decoder.train()
    for step in progress(range(steps), "training the decoder", show):
        chosen = torch.randint(len(grids), (_DECODER_BATCH,), generator=generator)
        optimizer.zero_grad()
        with scorer.half_precision():
            shown = decoder(grids[chosen])
        loss = (shown.float() - images[chosen].float()).abs().mean()
        torch.autograd.backward(loss)
        optimizer.step(_DECODER_RATE * min(1.0, (step + 1) / 10) * (1.0 - step / steps))
        loss_value = loss.item()
    decoder.eval()
    return loss_value


def _told(last: TrainStep) -> dict[str, Any]:
    return {"num_steps": last.step, "loss": last.loss, "val_loss": last.val_loss}
