"""The engine for pictures: what is learnt from normal ones, how it is weighed, and the score and map of a new one.

Fit: pictures -> feature grids -> Gaussians and memory -> train the denoiser(s) and the decoder -> held-out normals and
synthetic defects made from them -> noise levels, terms, weights, aggregation.
Score: picture -> squares -> terms as maps (`picture_scorer.py`) -> standardised, fused -> top share of the map.

Read `picture_learning.py` for the first half of fit. Legend: N pictures or squares, M side of a map.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from oddwave.config import DetectorConfig
from oddwave.detection.picture_learning import learn
from oddwave.detection.picture_scorer import PictureScorer
from oddwave.detection.picture_tiles import Squares, cut_picture, join_maps
from oddwave.errors import ShapeError
from oddwave.modalities.image_anomalies import make_synthetic_pictures
from oddwave.modalities.image_frame import ImageFrame
from oddwave.modalities.image_items import ImageFailure, ImageItem
from oddwave.progress import progress
from oddwave.scoring.fusion import GROUPS, Fusion, Standardiser
from oddwave.scoring.picture_maps import MAP_SIZE, hidden, top_mean
from oddwave.scoring.selection import auroc_error, near_best, select_weights, separation

__all__ = ["PictureDetection", "PictureScore"]

Maps = dict[str, Float[np.ndarray, "N *K M M"]]

NEUTRAL_TOP_SHARE = 0.002
_TOP_SHARES = (1 / MAP_SIZE**2, 0.002, 0.005, 0.02)
_SELECTION_PICTURES = 64
_DEFECTS_PER_PICTURE = 2
_MOST_SQUARES = 200
_BATCH = 8


@dataclass(frozen=True, eq=False)
class PictureScore:
    """A picture's score and map (higher = more anomalous), and what each group of terms said where it decided."""

    item: ImageItem
    score: float
    anomaly_map: Float[np.ndarray, "h w"]
    parts: Mapping[str, float]
    failure: ImageFailure | None = None


@dataclass
class PictureDetection:
    """A fitted (or being fitted) engine; `evidence` tells why every automatic choice fell as it did."""

    config: DetectorConfig
    frame: ImageFrame
    scorer: PictureScorer
    roi: Bool[np.ndarray, "h w"] | None = None
    fusion: Fusion = field(default_factory=lambda: Fusion(0.5, 0.5))
    standardiser: Standardiser | None = None
    terms: tuple[str, ...] = ()
    top_share: float = NEUTRAL_TOP_SHARE
    evidence: dict[str, Any] = field(default_factory=dict)

    def fit(
        self,
        train: Sequence[ImageItem],
        held: Sequence[ImageItem],
        *,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> list[PictureScore]:
        """Learn from normal pictures, choose on held-out ones, and return the scores of those.

        Raises:
            DataError: a picture cannot be read.
        """
        pictures = progress(train, "looking at the pictures", show_progress)
        squares = (self._cut(item.pixels()).tensors for item in pictures)
        self.evidence["training"] = learn(
            self.scorer, squares, show_progress=show_progress, checkpoint_dir=checkpoint_dir, resume=resume
        )
        self._choose(self._some_squares(held), show_progress)
        return list(self.score(held, show_progress=show_progress))

    def score(self, items: Sequence[ImageItem], *, show_progress: bool = False) -> Iterator[PictureScore]:
        """Score pictures one after another; a picture's score does not depend on those beside it.

        One that cannot be read, or has other channels than the model knows, comes back with its failure and NaN.
        """
        blocks = [items[first : first + _BATCH] for first in range(0, len(items), _BATCH)]
        for block in progress(blocks, "scoring", show_progress):
            read = [(item, self._try_cut(item)) for item in block]
            tensors = [own.tensors for _, own in read if not isinstance(own, ImageFailure)]
            terms = self._terms(np.concatenate(tensors)) if tensors else {}
            first = 0
            for item, own in read:
                if isinstance(own, ImageFailure):
                    yield PictureScore(item, np.nan, np.zeros((1, 1), np.float32), {}, own)
                    continue
                last = first + len(own.boxes)
                yield self._score_squares(item, own, {name: maps[first:last] for name, maps in terms.items()})
                first = last

    def _score_squares(self, item: ImageItem, squares: Squares, terms: Maps) -> PictureScore:
        groups = self.groups(terms, squares.monitored)
        fused = self.fusion.score(groups)
        scores = top_mean(fused, self.top_share)
        best = int(np.argmax(scores))
        parts = {name: float(top_mean(groups[name][best], self.top_share)) for name in GROUPS if name in groups}
        return PictureScore(item, float(scores[best]), join_maps(fused, squares.size, squares.boxes, self.frame), parts)

    def groups(self, terms: Mapping[str, Float[np.ndarray, "N *K M M"]], monitored: Bool[np.ndarray, "N M M"]) -> Maps:
        """Standardise the terms in use and average them by group, with what is not monitored hidden."""
        assert self.standardiser is not None
        flat = self.standardiser.transform({name: _rows(terms[name]) for name in self.terms})
        shaped = {name: values.reshape(-1, MAP_SIZE, MAP_SIZE).astype(np.float32) for name, values in flat.items()}
        return {
            name: np.stack([hidden(own, inside) for own, inside in zip(values, monitored, strict=True)])
            for name, values in shaped.items()
        }

    def _some_squares(self, items: Sequence[ImageItem]) -> list[Squares]:
        """Cut pictures until there are enough squares to choose by: they are held in memory together."""
        found: list[Squares] = []
        for item in items:
            found.append(self._cut(item.pixels()))
            if sum(len(squares.boxes) for squares in found) >= _MOST_SQUARES:
                break
        return found

    def _cut(self, pixels: Float[np.ndarray, "H W C"]) -> Squares:
        return cut_picture(pixels, self.frame, self.config.image, self.roi)

    def _try_cut(self, item: ImageItem) -> Squares | ImageFailure:
        """Read and cut a picture, or say why not: it is damaged, or in colour where the model knows grey ones."""
        pixels = item.try_pixels()
        if isinstance(pixels, ImageFailure):
            return pixels
        try:
            return self._cut(pixels)
        except ShapeError as error:
            return ImageFailure(item.id, item.path, str(error).removeprefix("the picture "))

    def _terms(self, tensors: Float[np.ndarray, "N C S S"]) -> Maps:
        parts = [self.scorer.terms(block) for block in torch.split(torch.from_numpy(tensors), _BATCH)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    # Choosing on held-out normals and synthetic defects made from them

    def _choose(self, held: Sequence[Squares], show: bool) -> None:
        """Choose noise levels, terms, weights and aggregation, and standardise on the held-out normals."""
        tensors = np.concatenate([squares.tensors for squares in held])
        monitored = np.concatenate([squares.monitored for squares in held])
        rng = np.random.default_rng([self.config.seed, 2])
        sample = np.sort(rng.choice(len(tensors), min(_SELECTION_PICTURES, len(tensors)), replace=False))
        normal = self._all_terms(tensors, "scoring held-out pictures", show)
        odd_tensors, kinds = self._synthetic(tensors[sample], monitored[sample], rng)
        odd = self._all_terms(odd_tensors, "scoring synthetic defects", show)
        odd_monitored = np.tile(monitored[sample], (_DEFECTS_PER_PICTURE, 1, 1))

        self._choose_noise_levels(normal, odd)
        self._choose_terms(normal, odd)
        self.standardiser = Standardiser.fit({name: _rows(normal[name]) for name in self.terms})
        sides = self.groups(normal, monitored), self.groups(odd, odd_monitored)
        self._choose_weights(*sides, kinds)
        self._choose_top_share(*(self.fusion.score(groups) for groups in sides))

    def _all_terms(self, tensors: Float[np.ndarray, "N C S S"], title: str, show: bool) -> Maps:
        blocks = [tensors[first : first + _BATCH] for first in range(0, len(tensors), _BATCH)]
        parts = [self._terms(block) for block in progress(blocks, title, show)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _synthetic(
        self, tensors: Float[np.ndarray, "N C S S"], monitored: Bool[np.ndarray, "N M M"], rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "N C S S"], list[str]]:
        """Plant defects, several times over, where the pictures are monitored."""
        focus = None
        if not monitored.all():
            ratio = -(-tensors.shape[-1] // MAP_SIZE)
            size = tensors.shape[-1]
            focus = np.kron(monitored, np.ones((1, ratio, ratio)))[:, :size, :size].astype(np.float32)
            focus[~focus.any((1, 2))] = 1.0
        made = [make_synthetic_pictures(tensors, rng, focus=focus) for _ in range(_DEFECTS_PER_PICTURE)]
        kinds = [kind for part in made for kind in part.kinds]
        return np.concatenate([part.pictures for part in made]).astype(np.float32), kinds

    def _choose_noise_levels(self, normal: Maps, odd: Maps) -> None:
        """Keep the noise levels that tell synthetic defects from normal pictures; the others leave the terms."""
        for name in [name for name in normal if name.startswith("recon.")]:
            space = name.partition(".")[2]
            levels = self.scorer.noise_levels[space]
            values = {
                f"{t:g}": separation(_top(normal[name][:, k]), _top(odd[name][:, k])) for k, t in enumerate(levels)
            }
            kept = [k for k, t in enumerate(levels) if f"{t:g}" in near_best(values)]
            self.scorer.noise_levels[space] = tuple(levels[k] for k in kept)
            self.evidence[f"noise_levels_{space}"] = {
                "chosen": list(self.scorer.noise_levels[space]),
                "synthetic_auroc": values,
            }
            for term in (name, f"feature.{space}"):
                for side in (normal, odd):
                    if term in side:
                        side[term] = side[term][:, kept]

    def _choose_terms(self, normal: Maps, odd: Maps) -> None:
        """Within each group, keep the terms that are not clearly worse than its best one: the space among them."""
        values = {name: separation(_top(_mean_level(normal[name])), _top(_mean_level(odd[name]))) for name in normal}
        kept: list[str] = []
        for group in GROUPS:
            own = {name: value for name, value in values.items() if name.partition(".")[0] == group}
            kept += near_best(own) if own else []
        self.terms = tuple(name for name in values if name in kept)
        self.evidence["terms"] = {"chosen": list(self.terms), "synthetic_auroc": values}

    def _choose_weights(self, normal: Maps, odd: Maps, kinds: Sequence[str]) -> None:
        scoring = self.config.scoring
        if "recon" not in normal:  # no denoiser at all: the memory has everything to say
            self.fusion = Fusion(1.0, 1.0)
            return
        chosen = select_weights(
            normal,
            odd,
            kinds,
            reconstruction_weight=None if scoring.reconstruction_weight == "auto" else scoring.reconstruction_weight,
            memory_weight=None if scoring.memory_weight == "auto" else scoring.memory_weight,
            num_memory_spaces=sum(name.startswith("memory.") for name in self.terms),
            neutral_reconstruction_weight=0.5 if "feature" in normal else 1.0,
            aggregate=_top,
        )
        self.fusion = Fusion(chosen.reconstruction_weight, chosen.memory_weight)
        self.evidence["weights"] = chosen.to_dict()

    def _choose_top_share(self, normal: Float[np.ndarray, "N M M"], odd: Float[np.ndarray, "N M M"]) -> None:
        """Choose how much of the map makes the score; the neutral share stays unless another is clearly better."""
        wanted = self.config.image.top_share
        if wanted != "auto":
            self.top_share = wanted
            return
        values = {share: separation(top_mean(normal, share), top_mean(odd, share)) for share in _TOP_SHARES}
        best = max(values, key=lambda share: values[share])
        error = auroc_error(values[best], len(normal), len(odd))
        self.top_share = best if values[best] > values[NEUTRAL_TOP_SHARE] + error else NEUTRAL_TOP_SHARE
        self.evidence["top_share"] = {
            "chosen": self.top_share,
            "synthetic_auroc": {f"{share:.4g}": value for share, value in values.items()},
        }


def _rows(maps: Float[np.ndarray, "N *K M M"]) -> Float[np.ndarray, "rows K"]:
    """Give one row per place, one column per noise level: places are the items that a standardiser sees."""
    columns = maps[:, None] if maps.ndim == 3 else maps
    return np.moveaxis(columns, 1, -1).reshape(-1, columns.shape[1])


def _mean_level(maps: Float[np.ndarray, "N *K M M"]) -> Float[np.ndarray, "N M M"]:
    return maps if maps.ndim == 3 else np.asarray(maps.mean(1))


def _top(maps: Float[np.ndarray, "N M M"]) -> Float[np.ndarray, " N"]:
    return top_mean(maps, NEUTRAL_TOP_SHARE)
