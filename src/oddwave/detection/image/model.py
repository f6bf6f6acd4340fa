"""The engine for images: what is learnt from normal ones, how it is weighed, and the score and map of a new one.

Fit: images -> squares -> everything that is learnt (`learning.py`) -> choices on held-out images and
synthetic defects made from them (`detection/map_model.py`).
Score: image -> squares -> terms as maps (`terms.py`) -> standardised, fused -> top share of the map.

Legend: N images or squares, C channels, S side of a square, M side of a map.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from oddwave.detection.image.learning import learn
from oddwave.detection.image.tiles import Squares, cut_image, join_maps
from oddwave.detection.map_model import BATCH, MapModel, Maps
from oddwave.errors import ShapeError
from oddwave.planted.image import make_synthetic_images
from oddwave.progress import progress
from oddwave.scoring.image_maps import MAP_SIZE, top_mean
from oddwave.sources.image.items import ImageFailure, ImageItem
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["ImageModel", "ImageScore"]

_SELECTION_IMAGES = 64
_DEFECTS_PER_IMAGE = 2
_MOST_SQUARES = 200


@dataclass(frozen=True, eq=False)
class ImageScore:
    """An image's score and map (higher = more anomalous), and what each group of terms said where it decided.

    `brightest` is its highest value, white being 1.
    """

    item: ImageItem
    score: float
    anomaly_map: Float[np.ndarray, "h w"]
    parts: Mapping[str, float]
    failure: ImageFailure | None = None
    brightest: float = 1.0


@dataclass
class ImageModel(MapModel):
    """The engine with the frame that images are brought to, and the region of interest, if any."""

    frame: ImageFrame
    roi: Bool[np.ndarray, "h w"] | None = None

    def fit(
        self,
        train: Sequence[ImageItem],
        held: Sequence[ImageItem],
        *,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> list[ImageScore]:
        """Learn from normal images, choose on held-out ones, and return the scores of those.

        Raises:
            DataError: an image cannot be read.
        """
        images = progress(train, "looking at the images", show_progress)
        squares = (self._cut(item.pixels()).tensors for item in images)
        self.evidence["training"] = learn(
            self.scorer, squares, show_progress=show_progress, checkpoint_dir=checkpoint_dir, resume=resume
        )
        self._choose(self._some_squares(held), show_progress)
        return list(self.score(held, show_progress=show_progress))

    def score(self, items: Sequence[ImageItem], *, show_progress: bool = False) -> Iterator[ImageScore]:
        """Score images one after another; an image's score does not depend on those beside it.

        One that cannot be read, or has other channels than the model knows, comes back with its failure and NaN.
        """
        blocks = [items[first : first + BATCH] for first in range(0, len(items), BATCH)]
        for block in progress(blocks, "scoring", show_progress):
            read = [(item, self._try_cut(item)) for item in block]
            tensors = [own.tensors for _, own in read if not isinstance(own, ImageFailure)]
            terms = self.compute_terms(np.concatenate(tensors)) if tensors else {}
            first = 0
            for item, own in read:
                if isinstance(own, ImageFailure):
                    yield ImageScore(item, np.nan, np.zeros((1, 1), np.float32), {}, own)
                    continue
                last = first + len(own.boxes)
                yield self._score_squares(item, own, {name: maps[first:last] for name, maps in terms.items()})
                first = last

    def _score_squares(self, item: ImageItem, squares: Squares, terms: Maps) -> ImageScore:
        groups = self.groups(terms, squares.monitored)
        fused = self.fusion.score(groups)
        scores = top_mean(fused, self.top_share)
        best = int(np.argmax(scores))
        joined = join_maps(fused, squares.size, squares.boxes, self.frame)
        brightest = (float(squares.tensors.max()) + 1) / 2
        return ImageScore(item, float(scores[best]), joined, self.parts(groups, best), brightest=brightest)

    def _some_squares(self, items: Sequence[ImageItem]) -> list[Squares]:
        """Cut images until there are enough squares to choose by: they are held in memory together."""
        found: list[Squares] = []
        for item in items:
            found.append(self._cut(item.pixels()))
            if sum(len(squares.boxes) for squares in found) >= _MOST_SQUARES:
                break
        return found

    def _cut(self, pixels: Float[np.ndarray, "H W C"]) -> Squares:
        return cut_image(pixels, self.frame, self.config.image, self.roi)

    def _try_cut(self, item: ImageItem) -> Squares | ImageFailure:
        """Read and cut an image, or say why not: it is damaged, or in colour where the model knows grey ones."""
        pixels = item.try_pixels()
        if isinstance(pixels, ImageFailure):
            return pixels
        try:
            return self._cut(pixels)
        except ShapeError as error:
            return ImageFailure(item.id, item.path, str(error).removeprefix("the image "))

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
