"""The score of an image from those of its squares, whatever model gave them.

Read `model.py` and `retrieval_model.py` next: the two models that score so.

Legend: N images, T squares of an image, C channels, S side of a square, M of its map, h x w of the image's map.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from oddwave.ahead import read_ahead
from oddwave.config import ImageConfig
from oddwave.detection.device import on_cpu
from oddwave.detection.image.tiles import Squares, cut_image, join_maps
from oddwave.detection.image.traits import image_traits
from oddwave.detection.map_model import BATCH
from oddwave.detection.scored import Scored
from oddwave.errors import ShapeError
from oddwave.scoring.scorer import PartScores
from oddwave.sources.image.items import ImageFailure, ImageItem
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["Cutter", "ScoredImage", "SquareScorer", "joined_image", "score_images"]


@dataclass(frozen=True, eq=False)
class ScoredImage(Scored):
    """An image's score and its map (higher = more anomalous); `brightest` is its highest value, white being 1."""

    item: ImageItem
    anomaly_map: Float[np.ndarray, "h w"] = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    brightest: float = 1.0
    apart: bool = False  # judged by the others alone, although it is remembered


class SquareScorer(Protocol):
    """What scores prepared squares, given which places of their maps are monitored."""

    def __call__(self, x: Float[Tensor, "B C S S"], monitored: Bool[Tensor, "B M M"]) -> PartScores:
        """Return one score and one map per square."""
        ...


@dataclass(frozen=True, eq=False)
class Cutter:
    """How images become squares: the frame, the tiles, the region of interest."""

    frame: ImageFrame
    image: ImageConfig
    roi: Bool[np.ndarray, "h w"] | None = None

    def cut(self, pixels: Float[np.ndarray, "H W C"]) -> Squares:
        """Cut an image into squares. Raises: ShapeError for other channels."""
        return cut_image(pixels, self.frame, self.image, self.roi)

    def try_cut(self, item: ImageItem) -> Squares | ImageFailure:
        """Read and cut an image, or say why not: it is damaged, or in colour where the model knows grey ones."""
        pixels = item.try_pixels()
        if isinstance(pixels, ImageFailure):
            return pixels
        try:
            return self.cut(pixels)
        except ShapeError as error:
            return ImageFailure(item.id, item.path, str(error).removeprefix("the image "))


@torch.inference_mode()
def score_images(
    items: Iterable[ImageItem], cutter: Cutter, scorer: SquareScorer, device: torch.device
) -> Iterator[ScoredImage | ImageFailure]:
    """Score images one after another; an image's score does not depend on those beside it.

    The next ones are read meanwhile. One that cannot be read, or has other channels than the model knows, comes back as
    its failure.
    """
    for item, own in read_ahead(items, cutter.try_cut):
        if isinstance(own, ImageFailure):
            yield own
            continue
        whole = (torch.from_numpy(part).to(device) for part in (own.tensors, own.monitored))
        blocks = zip(*(torch.split(part, BATCH) for part in whole), strict=True)
        found = [on_cpu(scorer(x, monitored)) for x, monitored in blocks]
        brightest = (float(own.tensors.max()) + 1) / 2
        yield joined_image(item, own, found, cutter.frame, brightest, image_traits(own.tensors))


def joined_image(
    item: ImageItem,
    squares: Squares,
    found: Sequence[PartScores],
    frame: ImageFrame,
    brightest: float,
    traits: dict[str, float],
) -> ScoredImage:
    """Join the squares of an image: the highest of their scores, and their maps blended."""
    scores = torch.cat([own.score for own in found])
    best = int(scores.argmax())
    groups = {name: torch.cat([own.groups[name] for own in found]) for name in found[0].groups}
    maps = torch.cat([own.map for own in found]).numpy()
    return ScoredImage(
        item,
        scores[best : best + 1].double().numpy(),
        {name: values[best : best + 1].numpy() for name, values in groups.items()},
        anomaly_map=join_maps(maps, squares.size, squares.boxes, frame),
        brightest=brightest,
        traits=traits,
    )
