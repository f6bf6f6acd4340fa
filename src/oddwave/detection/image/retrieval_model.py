"""The model of images by retrieval: nothing is trained, and every healthy image both teaches and calibrates.

Fit: images -> squares -> features, once -> patch memory and Gaussians of all images -> each image's distances from
the others (its patches are left out of the memory, its moments are taken out of the Gaussians) -> what is usual.
Score: image -> squares -> features -> distances (`retrieval_scorer.py`) -> map -> its highest share.

What an image is compared with is never its own group of near-copies (`near_copies.py`), so that n images give n
calibration scores: the memory that the group had no part in (`patch_memory.py`), the Gaussians without the group,
and units of the others.

Source: Vovk 2015 (cross-conformal prediction); Barber et al. 2021 (jackknife+).
Legend: I images, N squares, C channels, S side of a square, D channels of the feature grid, G its side, P patches, M
side of a map.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from oddwave.ahead import read_ahead
from oddwave.config import DetectorConfig
from oddwave.detection.device import chosen_device
from oddwave.detection.image.foreground import Foreground, OnPart, found_part, on_part
from oddwave.detection.image.near_copies import near_copy_groups
from oddwave.detection.image.normal_copies import NormalCopies, small_copy
from oddwave.detection.image.patch_memory import LeftOutMemories, Pool, patch_memory
from oddwave.detection.image.retrieval_scorer import (
    NAMES,
    RetrievalScorer,
    Usual,
    coarse_grids,
    fused,
    patch_channels,
    residual_grids,
)
from oddwave.detection.image.scored_image import Cutter, ScoredImage, joined_image, score_images
from oddwave.detection.image.seen import Seen
from oddwave.detection.image.split import FEWEST_IMAGES
from oddwave.detection.image.traits import image_traits
from oddwave.detection.job import QUIET, FitJob
from oddwave.errors import DataError
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.nets.perceptual import load_perceptual
from oddwave.progress import progress
from oddwave.scoring.maps import MAP_SIZE, common_map
from oddwave.scoring.memory import Memory
from oddwave.scoring.neighbours import coreset
from oddwave.scoring.position_gaussian import PositionGaussian, held_out_distances
from oddwave.scoring.scorer import NearestDistance
from oddwave.sources.image.items import ImageFailure, ImageItem
from oddwave.tensors.image_frame import ImageFrame
from oddwave.tensors.image_turns import turned_copies

__all__ = ["Learnt", "RetrievalModel", "frozen_grid"]

_POOL_FACTOR = 8  # patches that the coreset is chosen from, per patch that it holds
_NEUTRAL_TOP_SHARE = 0.002
_SMALLEST_SCALE = 1e-4
_BLOCK = 32
_COPY_GRID = 8  # side of the grid by which images are compared as a whole


@dataclass(frozen=True, eq=False)
class Learnt:
    """What was learnt: units of features, memory, Gaussians of `num` squares, what is usual, and copies to show."""

    centre: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]
    memory: Memory
    gaussian: PositionGaussian
    num_squares: int
    usual: dict[str, Usual]
    copies: NormalCopies


@dataclass
class RetrievalModel:
    """A fitted (or being fitted) model; `evidence` tells what was chosen, and what fitting took."""

    config: DetectorConfig
    grid: FeatureGrid
    frame: ImageFrame
    roi: Bool[np.ndarray, "h w"] | None = None
    learnt: Learnt | None = None
    foreground: Foreground | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    _made: tuple[tuple[object, ...], RetrievalScorer] | None = field(default=None, init=False, repr=False)

    @property
    def device(self) -> torch.device:
        """Where all of this computes."""
        return chosen_device(self.config.device)

    @property
    def top_share(self) -> float:
        """The share of a map whose mean is the score."""
        wanted = self.config.maps.top_share
        return _NEUTRAL_TOP_SHARE if wanted == "auto" else wanted

    @property
    def networks(self) -> tuple[nn.Module, ...]:
        """There is no trained network."""
        return ()

    @property
    def scorer(self) -> RetrievalScorer:
        """The scorer of what has been learnt, made once."""
        assert self.learnt is not None
        made_of = (self.learnt, self.config, self.grid)
        if self._made is None or any(one is not other for one, other in zip(self._made[0], made_of, strict=True)):
            self._made = (made_of, self._new_scorer(self.learnt))
        return self._made[1]

    def _new_scorer(self, learnt: Learnt) -> RetrievalScorer:
        return RetrievalScorer(
            self.grid,
            (learnt.centre, learnt.scale),
            learnt.memory,
            learnt.gaussian,
            learnt.usual,
            place_grid=self.config.maps.grids[1],
            top_share=self.top_share,
        ).to(self.device)

    def fit(self, items: Sequence[ImageItem], job: FitJob = QUIET) -> list[ScoredImage]:
        """Learn from all images, and return each one's score among the others. Raises: DataError."""
        started = time.process_time()
        seen = self.look(items, job, few=len(items) < FEWEST_IMAGES)
        took = round(time.process_time() - started, 2)
        self.foreground, found = found_part(items, self.cutter, self.grid, self.device)
        self.evidence |= {"foreground": found} if found else {}
        scored = self.learn(on_part(seen, self.foreground) if self.foreground and self.only_part else seen, job)
        self.evidence["training"]["features_cpu_s"] = took
        return scored

    def learn(self, seen: Seen, job: FitJob = QUIET) -> list[ScoredImage]:
        """Learn from images that were looked at, and return each one's score among the others."""
        started = time.process_time()
        centre, scale = _units(seen.features)
        own = near_copy_groups(_whole_images(seen.features, seen.image, (centre, scale)))
        groups = own[seen.image]
        if len(np.unique(groups)) == 1:  # a single image: its turned copies stand for others
            groups = np.arange(len(groups))
        pool = self._pool(seen.features, groups)
        chosen = coreset(pool.patches, self._size, seed=self._seed)
        residuals = self._residuals(seen.features, centre, scale)
        gaussian = PositionGaussian.fit(residuals)
        distances = {
            "memory": self._apart(pool, chosen, seen.features, groups, job),
            "position": common_map(_square_grids(held_out_distances(residuals, groups))).numpy(),
        }
        usual, standardised = _cross_fitted(distances, groups)
        self.learnt = Learnt(centre, scale, patch_memory(pool, chosen), gaussian, len(groups), usual, seen.copies)
        self.evidence["training"] = {
            "num_squares": len(groups),
            "num_groups": len(np.unique(own)),
            "memory_cpu_s": round(time.process_time() - started, 2),
        }
        return list(self._joined(seen, standardised))

    def score(self, items: Iterable[ImageItem]) -> Iterator[ScoredImage | ImageFailure]:
        """Score images one after another: see `score_images`."""
        return score_images(items, self.cutter, self.square_scorer, self.device)

    @property
    def square_scorer(self) -> OnPart | RetrievalScorer:
        """What scores squares: the scorer, on the part alone where nothing else counts."""
        return OnPart(self.scorer, self.foreground) if self.foreground and self.only_part else self.scorer

    def part_in(self, squares: Float[np.ndarray, "1 C S S"]) -> Bool[np.ndarray, "G G"] | None:
        """Return where the part lies in an image that is one square, on the grid of its features; None without one."""
        if self.foreground is None:
            return None
        part: np.ndarray = self.foreground.of(self._features(torch.from_numpy(squares)))[0]
        return part

    @property
    def only_part(self) -> bool:
        """Whether what lies off the part does not count."""
        return self.foreground is not None and self.config.image.foreground == "on"

    @torch.inference_mode()
    def judge(self, seen: Seen) -> list[ScoredImage]:
        """Score images that were looked at, as `score` does."""
        scorer = self.scorer
        blocks = [scorer.distances(own.float().to(self.device)) for own in torch.split(seen.features, _BLOCK)]
        groups = {name: torch.cat([own[name].cpu() for own in blocks]) for name in NAMES}
        assert self.learnt is not None
        usual = self.learnt.usual
        return list(self._joined(seen, {name: usual[name].standardised(own.numpy()) for name, own in groups.items()}))

    def remember(self, items: Sequence[ImageItem]) -> None:
        """Add normal images to the memory and to the Gaussians; units stay. Raises: DataError."""
        learnt = self.learnt
        assert learnt is not None
        if not items:
            return
        seen = self.look(items)
        first = int(learnt.memory.groups.max()) + 1
        pool = Pool.of(learnt.memory).joined(self._pool(seen.features, seen.image + first))
        residuals = self._residuals(seen.features, learnt.centre, learnt.scale)
        self.learnt = replace(
            learnt,
            memory=patch_memory(pool, coreset(pool.patches, self._size, seed=self._seed)),
            gaussian=learnt.gaussian.joined(learnt.num_squares, residuals),
            num_squares=learnt.num_squares + len(residuals),
            copies=NormalCopies.of([learnt.copies.copies, seen.copies.copies]),
        )

    def facts(self) -> dict[str, Any]:
        """Return what a report tells of how it judges."""
        return {
            "method": "retrieval of images",
            "perceptual": self.config.maps.perceptual,
            "top_percent": f"{100 * self.top_share:.2g} %",
        }

    @property
    def shows(self) -> NormalCopies:
        """What normal versions are made by."""
        assert self.learnt is not None
        return self.learnt.copies

    @property
    def cutter(self) -> Cutter:
        """What turns images into squares."""
        return Cutter(self.frame, self.config.image, self.roi)

    @property
    def _size(self) -> int:
        return self.config.scoring.memory_size

    @property
    def _seed(self) -> int:
        return self.config.seed

    @torch.inference_mode()
    def look(self, items: Sequence[ImageItem], job: FitJob = QUIET, *, few: bool = False) -> Seen:
        """Look at each image once; where they are `few`, at rotated and mirrored copies too.

        Raises: DataError for one that cannot be read, or for none.
        """
        none = NormalCopies(torch.zeros(0, dtype=torch.uint8))
        seen = Seen([], [], [], [], torch.zeros(0), np.zeros(0, np.int64), none)
        augment = ("mirror", "rotate") if few else self.config.image.augment
        features: list[Tensor] = []
        copies: list[Tensor] = []
        image: list[int] = []
        shown = progress(items, "looking at the images", job.show_progress)
        for number, (item, squares) in enumerate(read_ahead(shown, lambda item: self.cutter.cut(item.pixels()))):
            x = torch.from_numpy(squares.tensors)
            for turned in turned_copies(x, augment):
                for block in torch.split(turned, _BLOCK):
                    features.append(self._features(block))
                    image += [number] * len(block)
            copies.append(small_copy(x))
            seen.items.append(item)
            seen.traits.append(image_traits(squares.tensors))
            seen.brightest.append((float(squares.tensors.max()) + 1) / 2)
            seen.squares.append(replace(squares, tensors=squares.tensors[:, :, :0, :0]))
        if not features:
            raise DataError("there is no image to learn from: give a folder of normal images")
        return replace(
            seen, features=torch.cat(features), image=np.array(image, np.int64), copies=NormalCopies.of(copies)
        )

    def _features(self, x: Float[Tensor, "B C S S"]) -> Float[Tensor, "B D G G"]:
        """Return feature grids in half precision, in the processor's memory; they are computed in single precision."""
        found: Tensor = self.grid(x.to(self.device).contiguous(memory_format=torch.channels_last))
        return found.half().cpu()

    def _pool(self, features: Float[Tensor, "N D G G"], groups: Int[np.ndarray, " N"]) -> Pool:
        """Draw patches at random, with the group of images and the place that each is of."""
        num, _, rows, columns = features.shape
        total, most = num * rows * columns, _POOL_FACTOR * self._size
        rng = np.random.default_rng([self._seed, 3])
        chosen = np.sort(rng.choice(total, min(most, total), replace=False))
        square, place = chosen // (rows * columns), chosen % (rows * columns)
        own = features[:, patch_channels(self.grid)].flatten(2)
        patches = own[torch.from_numpy(square), :, torch.from_numpy(place)].float().numpy()
        return Pool(patches, groups[square], place)

    def _residuals(
        self, features: Float[Tensor, "N D G G"], centre: Float[Tensor, " D"], scale: Float[Tensor, " D"]
    ) -> Float[Tensor, "N D g g"]:
        size = self.config.maps.grids[1]
        return torch.cat([residual_grids(own.float(), centre, scale, size) for own in torch.split(features, _BLOCK)])

    @torch.inference_mode()
    def _apart(
        self,
        pool: Pool,
        chosen: Int[np.ndarray, " M"],
        features: Float[Tensor, "N D G G"],
        groups: Int[np.ndarray, " N"],
        job: FitJob,
    ) -> Float[np.ndarray, "N M M"]:
        """Return the distance of each square's patches from the memory that its group had no part in."""
        channels, (rows, columns) = patch_channels(self.grid), features.shape[2:]
        found = np.empty((len(features), MAP_SIZE, MAP_SIZE), np.float32)
        memories = LeftOutMemories(pool, chosen, self._seed)
        for group in progress(np.unique(groups).tolist(), "comparing the images", job.show_progress):
            nearest = NearestDistance(memories.without(group)).to(self.device)
            for number in np.flatnonzero(groups == group):
                patches = features[number, channels].float().flatten(1).T.to(self.device)
                found[number] = common_map(nearest(patches).reshape(rows, columns)).cpu().numpy()
        return found

    def _joined(self, seen: Seen, groups: dict[str, Float[np.ndarray, "N M M"]]) -> Iterator[ScoredImage]:
        """Join what was found of each image's squares as they are, without turned copies of them."""
        for number, (item, squares) in enumerate(zip(seen.items, seen.squares, strict=True)):
            own = np.flatnonzero(seen.image == number)[: len(squares.boxes)]
            parts = {name: torch.from_numpy(maps[own]) for name, maps in groups.items()}
            scores = fused(parts, self.top_share, torch.from_numpy(squares.monitored))
            whole = (seen.brightest[number], seen.traits[number])
            yield joined_image(item, squares, [scores], self.frame, *whole)


def frozen_grid(config: DetectorConfig) -> FeatureGrid:
    """Return the frozen network that the settings name, as a grid of features. Raises: as `load_perceptual`."""
    maps = config.maps
    network = load_perceptual(maps.perceptual, None if maps.perceptual_path is None else Path(maps.perceptual_path))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return FeatureGrid(network, maps.grids[0], maps.taps, zero_border=True).to(chosen_device(config.device))


def _units(features: Float[Tensor, "N D G G"]) -> tuple[Float[Tensor, " D"], Float[Tensor, " D"]]:
    """Return each channel's mean and deviation over all squares and places."""
    total = torch.zeros(2, features.shape[1], dtype=torch.float64)
    for block in torch.split(features, _BLOCK):
        values = block.double()
        total += torch.stack([values.mean((2, 3)).sum(0), values.square().mean((2, 3)).sum(0)])
    mean, square = total / len(features)
    deviation = (square - mean.square()).clamp(min=0).sqrt()
    return mean.float(), torch.where(deviation > _SMALLEST_SCALE, deviation, 1.0).float()


def _whole_images(
    features: Float[Tensor, "N D G G"], image: Int[np.ndarray, " N"], units: tuple[Tensor, Tensor]
) -> Float[np.ndarray, "I K"]:
    """Return one vector per image, by which near-copies are known: the mean over its squares of a coarse grid."""
    size = min(_COPY_GRID, features.shape[-1])
    vectors = torch.cat([coarse_grids(own.float(), *units, size).flatten(1) for own in torch.split(features, _BLOCK)])
    total = np.zeros((int(image.max()) + 1, vectors.shape[1]), np.float32)
    np.add.at(total, image, vectors.numpy())
    return total / np.bincount(image)[:, None]


def _square_grids(distances: Float[np.ndarray, "N P"]) -> Float[Tensor, "N g g"]:
    side = round(distances.shape[1] ** 0.5)
    return torch.from_numpy(distances.astype(np.float32)).reshape(len(distances), side, side)


def _cross_fitted(
    distances: dict[str, Float[np.ndarray, "N M M"]], groups: Int[np.ndarray, " N"]
) -> tuple[dict[str, Usual], dict[str, Float[np.ndarray, "N M M"]]]:
    """Return what is usual for all squares, and each one's maps in the units of the other groups."""
    usual, standardised = {}, {}
    for name in NAMES:
        maps, by_place = distances[name].astype(np.float64), name == "position"
        total, squares = maps.sum(0), np.square(maps).sum(0)
        usual[name] = Usual.of(len(maps), total, squares, by_place=by_place)
        standardised[name] = np.empty((len(maps), MAP_SIZE, MAP_SIZE), np.float32)
        for group in np.unique(groups):
            own = groups == group
            others, less = len(maps) - int(own.sum()), maps[own]
            away = usual[name]
            if others > 1:
                away = Usual.of(others, total - less.sum(0), squares - np.square(less).sum(0), by_place=by_place)
            standardised[name][own] = away.standardised(less)
    return usual, standardised
