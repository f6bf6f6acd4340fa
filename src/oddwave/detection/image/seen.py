"""What is kept of images once looked at, while a model by retrieval is fitted. Read `retrieval_model.py` next.

Legend: N squares, J images, D channels of the feature grid, G its side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from oddwave.detection.image.normal_copies import NormalCopies
from oddwave.detection.image.tiles import Squares
from oddwave.sources.image.items import ImageItem

__all__ = ["Seen"]


@dataclass(frozen=True, eq=False)
class Seen:
    """What is kept of images once they were looked at: features in half precision, and where each square is of."""

    items: list[ImageItem]
    squares: list[Squares]  # without their pixels
    traits: list[dict[str, float]]
    brightest: list[float]
    features: Float[Tensor, "N D G G"]
    image: Int[np.ndarray, " N"]
    copies: NormalCopies

    def part(self, images: Int[np.ndarray, " J"]) -> "Seen":
        """Return some of the images, with the copies of all."""
        squares = np.concatenate([np.flatnonzero(self.image == number) for number in images])
        return Seen(
            [self.items[number] for number in images],
            [self.squares[number] for number in images],
            [self.traits[number] for number in images],
            [self.brightest[number] for number in images],
            self.features[torch.from_numpy(squares)],
            np.concatenate([np.full((self.image == own).sum(), number) for number, own in enumerate(images)]),
            self.copies,
        )
