"""False alarms of images: marked regions join what is normal, wherever in an image their like appears.

Read `detection/known_places.py` first: what is remembered of a region.

Legend: B squares, C channels, S side of a square, M of its map, G side of the feature grid.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor, nn

from oddwave.detection.corrections import Correction, Corrections
from oddwave.detection.image.foreground import OnPart
from oddwave.detection.image.model import ImageModel
from oddwave.detection.image.retrieval_model import RetrievalModel
from oddwave.detection.image.retrieval_scorer import RetrievalScorer, patch_channels
from oddwave.detection.image.scored_image import SquareScorer
from oddwave.detection.image.tiles import Squares
from oddwave.detection.known_places import (
    Distance,
    KnownPlaces,
    Places,
    less_known,
    remembered_places,
    tensors_of_places,
)
from oddwave.detection.model_tensors import Expected
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.results import ImageRegion
from oddwave.scoring.maps import top_mean
from oddwave.scoring.scorer import NearestDistance, PartScores

__all__ = ["ForgivingScorer", "marked_region", "place_tensors", "scorer_of"]

Model = ImageModel | RetrievalModel
_COPIES, _MOST_SQUARES = 32, 4  # pasted into a square; squares that a region lies in
_TURN, _SIZE, _LIGHT, _SOFT = 0.35, 0.1, 0.1, 0.08  # radians; shares; of black to white; edges, of the region's side


class ForgivingScorer(nn.Module):
    """A scorer of squares that takes what is known from false alarms back to what is usual."""

    def __init__(self, model: Model, places: Sequence[Places]) -> None:
        super().__init__()
        self.model, self.scorer = model, _own_scorer(model)
        self.known = KnownPlaces(Places.joined(places), _distance(model)).to(model.device)

    def forward(self, x: Float[Tensor, "B C S S"], monitored: Bool[Tensor, "B M M"]) -> PartScores:
        """Score prepared squares; the frozen network of a model by retrieval looks at them once."""
        if isinstance(self.scorer, RetrievalScorer | OnPart):
            inner = self.scorer.scorer if isinstance(self.scorer, OnPart) else self.scorer
            seen = inner.features(x)
            found, features = self.scorer.of_features(seen, monitored), _of_patches(inner.grid, seen)
        else:
            found, features = self.scorer(x, monitored), _features(self.model, x)
        share = self.known(features, found.map)
        if not bool((share > 0.0).any()):
            return found
        maps = less_known(found.map, share)
        score = torch.where((share > 0.0).flatten(1).any(1), top_mean(maps, self.model.top_share), found.score)
        return PartScores(score, maps, found.groups)


def marked_region(
    model: Model, squares: Squares, regions: Sequence[ImageRegion], seed: int = 0
) -> dict[str, np.ndarray]:
    """Return what is remembered of regions of an image that was cut into squares, of none all of it.

    One example says little of its kind: copies of each region, turned, sized and lit a little otherwise, are pasted
    elsewhere in the image, and are remembered with it.
    """
    height, width = squares.size
    inside = np.full((height, width), not regions)
    for region in regions:
        inside[region.top_px : region.bottom_px, region.left_px : region.right_px] = True
    shape = squares.tensors.shape[2:]
    masks = [model.frame.from_image_mask(inside[box.slices], shape) > 0 for box in squares.boxes]
    rng = np.random.default_rng(seed)
    made = [(x, own) for x, own in zip(squares.tensors, masks, strict=True) if own.any()]
    if regions:
        made += [pasted for x, own in made[:_MOST_SQUARES] for pasted in _pasted(x, own, rng)]
    else:
        made += [(x, own) for x, own in zip(squares.tensors, masks, strict=True) if not own.any()]
    found = []
    with torch.inference_mode():
        for x, _ in made:
            found.append(_features(model, torch.from_numpy(x[None]).to(model.device)).cpu())
    features = torch.cat(found)
    grid = (features.shape[2], features.shape[3])
    cells = np.stack([_cells(own, grid) for _, own in made])
    return remembered_places(features.to(model.device), cells, _distance(model)).arrays()


def _cells(inside: Bool[np.ndarray, "S S"], grid: tuple[int, int]) -> Bool[np.ndarray, "G H"]:
    """Return the cells of the feature grid that a region touches, and those beside them."""
    touched = torch.nn.functional.adaptive_max_pool2d(torch.from_numpy(inside[None, None]).float(), grid)[0, 0] > 0
    return ndimage.binary_dilation(touched.numpy(), np.ones((3, 3), bool))


def _pasted(
    x: Float[np.ndarray, "C S S"], inside: Bool[np.ndarray, "S S"], rng: np.random.Generator
) -> Iterator[tuple[Float[np.ndarray, "C S S"], Bool[np.ndarray, "S S"]]]:
    """Yield the square with copies of a region in other places, and where each lies."""
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    size = x.shape[1]
    middle = np.array([rows.mean(), columns.mean()])
    soft = ndimage.gaussian_filter(inside.astype(np.float32), max(1.0, _SOFT * min(len(rows), len(columns))))
    for _ in range(_COPIES):
        target = rng.uniform(0.1 * size, 0.9 * size, 2)
        turn, scale = rng.uniform(-_TURN, _TURN), rng.uniform(1 - _SIZE, 1 + _SIZE)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / scale
        offset = middle - matrix @ target
        moved = [ndimage.affine_transform(own, matrix, offset, order=1, mode="nearest") for own in x]
        share = ndimage.affine_transform(soft, matrix, offset, order=1)
        there = ndimage.affine_transform(inside.astype(np.float32), matrix, offset, order=1) > 0.5
        if there.any():
            light = rng.uniform(-_LIGHT, _LIGHT)
            yield (x * (1 - share) + np.clip(np.stack(moved) + light, -1, 1) * share).astype(np.float32), there


def _place_width(model: Model) -> int:
    """Return how many numbers describe a place."""
    if isinstance(model, RetrievalModel):
        return len(range(*patch_channels(model.grid).indices(model.grid.width)))
    return model.terms.grid.width


def _features(model: Model, x: Float[Tensor, "B C S S"]) -> Float[Tensor, "B D G G"]:
    if isinstance(model, RetrievalModel):
        found: Tensor = model.grid(x.contiguous(memory_format=torch.channels_last))
        return _of_patches(model.grid, found)
    return model.terms.features(x).float()


def _of_patches(grid: FeatureGrid, features: Float[Tensor, "B D G G"]) -> Float[Tensor, "B d G G"]:
    return features[:, patch_channels(grid)].float()


def _distance(model: Model) -> Distance | None:
    if isinstance(model, RetrievalModel):
        assert model.learnt is not None
        return NearestDistance(model.learnt.memory).to(model.device)
    distances = dict(model.terms.distances.items())
    return distances.get("memory")


def scorer_of(model: Model, corrections: Corrections) -> SquareScorer:
    """Return what scores squares: the model's own scorer where no false alarm is known."""
    places = [Places(own.arrays["places"], own.arrays["reach"]) for own in corrections.alarms]
    return ForgivingScorer(model, places) if places else _own_scorer(model)


def _own_scorer(model: Model) -> SquareScorer:
    return model.square_scorer if isinstance(model, RetrievalModel) else model.scorer


def place_tensors(model: Model, correction: Correction) -> dict[str, Expected]:
    """Return what a saved model holds of a false alarm."""
    return tensors_of_places(f"places of correction {correction.mark.id}", _place_width(model))
