"""The model of images: what is learnt from normal ones, how it is weighed, and the score and map of a new one.

Fit: images -> squares -> everything that is learnt (`learning.py`) -> choices on held-out images and
synthetic defects made from them (`detection/map_model.py`).
Score: image -> squares -> terms as maps (`terms.py`) -> standardised, fused -> top share of the map.

Legend: N images or squares, C channels, S side of a square, M side of a map.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from oddwave.detection.image.learning import learn, remember
from oddwave.detection.image.scored_image import Cutter, ScoredImage, score_images
from oddwave.detection.image.terms import MapTerms
from oddwave.detection.image.tiles import Squares
from oddwave.detection.job import QUIET, FitJob
from oddwave.detection.map_model import MapModel
from oddwave.errors import DataError
from oddwave.planted.image import make_synthetic_images
from oddwave.progress import progress
from oddwave.scoring.maps import MAP_SIZE
from oddwave.sources.image.items import ImageFailure, ImageItem
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["ImageModel"]

_SELECTION_IMAGES = 64
_DEFECTS_PER_IMAGE = 2
_MOST_SQUARES = 200


@dataclass
class ImageModel(MapModel):
    """The model with the frame that images are brought to, and the region of interest, if any."""

    frame: ImageFrame
    roi: Bool[np.ndarray, "h w"] | None = None

    def fit(
        self,
        train: Sequence[ImageItem],
        held: Sequence[ImageItem],
        job: FitJob = QUIET,
    ) -> list[ScoredImage]:
        """Learn from normal images, choose on held-out ones, and return the scores of those.

        Raises:
            DataError: an image cannot be read.
        """
        images = progress(train, "looking at the images", job.show_progress)
        squares = (self._cut(item.pixels()).tensors for item in images)
        self.evidence["training"] = learn(self.terms, squares, job)
        self._choose(self._some_squares(held), job.show_progress)
        found = []
        for own in self.score(progress(held, "scoring held-out images", job.show_progress)):
            if isinstance(own, ImageFailure):
                raise DataError(own.message)
            found.append(own)
        return found

    def remember(self, items: Sequence[ImageItem]) -> None:
        """Add normal images to the patch memory. Raises: DataError for one that cannot be read."""
        remember(self.terms, (self._cut(item.pixels()).tensors for item in items))

    def score(self, items: Iterable[ImageItem]) -> Iterator[ScoredImage | ImageFailure]:
        """Score images one after another: see `score_images`."""
        return score_images(items, self.cutter, self.scorer, self.terms.device)

    @property
    def shows(self) -> MapTerms:
        """What normal versions are made by."""
        return self.terms

    @property
    def device(self) -> torch.device:
        """Where all of this computes."""
        return self.terms.device

    @property
    def cutter(self) -> Cutter:
        """What turns images into squares."""
        return Cutter(self.frame, self.config.image, self.roi)

    def _some_squares(self, items: Sequence[ImageItem]) -> list[Squares]:
        """Cut images until there are enough squares to choose by: they are held in memory together."""
        found: list[Squares] = []
        for item in items:
            found.append(self._cut(item.pixels()))
            if sum(len(squares.boxes) for squares in found) >= _MOST_SQUARES:
                break
        return found

    def _cut(self, pixels: Float[np.ndarray, "H W C"]) -> Squares:
        return self.cutter.cut(pixels)

    def _choose(self, held: Sequence[Squares], show: bool) -> None:
        """Plant defects in the held-out images and choose by them."""
        tensors = np.concatenate([squares.tensors for squares in held])
        monitored = np.concatenate([squares.monitored for squares in held])
        rng = np.random.default_rng([self.config.seed, 2])
        sample = np.sort(rng.choice(len(tensors), min(_SELECTION_IMAGES, len(tensors)), replace=False))
        normal = self.compute_terms(tensors, "scoring held-out images", show)
        odd_tensors, kinds = self._synthetic(tensors[sample], monitored[sample], rng)
        odd = self.compute_terms(odd_tensors, "scoring synthetic defects", show)
        self.choose(normal, odd, kinds, (monitored, np.tile(monitored[sample], (_DEFECTS_PER_IMAGE, 1, 1))))

    def _synthetic(
        self, tensors: Float[np.ndarray, "N C S S"], monitored: Bool[np.ndarray, "N M M"], rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "_ C S S"], list[str]]:
        """Plant defects, several times over, where the images are monitored."""
        focus = None
        if not monitored.all():
            ratio = -(-tensors.shape[-1] // MAP_SIZE)
            size = tensors.shape[-1]
            focus = np.kron(monitored, np.ones((1, ratio, ratio)))[:, :size, :size].astype(np.float32)
            focus[~focus.any((1, 2))] = 1.0
        made = [make_synthetic_images(tensors, rng, focus=focus) for _ in range(_DEFECTS_PER_IMAGE)]
        kinds = [kind for part in made for kind in part.kinds]
        return np.concatenate([part.images for part in made]).astype(np.float32), kinds
