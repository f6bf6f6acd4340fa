"""Images from data to verdicts: reads them, holds some of them back to calibrate, fits the model, makes records.

What happens inside the model: `model.py`; where a verdict comes from: `explain.py`; where the skeleton's hooks are
called from: `detection/base.py`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule
from oddwave.calibration.trimming import below_fence
from oddwave.config import DetectorConfig
from oddwave.detection.adding import Extension, Taken, held_back
from oddwave.detection.base import NO_SCORE, Scored, Unjudged
from oddwave.detection.corrected import Alarm
from oddwave.detection.corrections import Correction
from oddwave.detection.drift import usual_traits
from oddwave.detection.image.explain import find_regions, normal_version, repair_share, wavelet_shares
from oddwave.detection.image.foreground import marked
from oddwave.detection.image.grid_choice import choose_grids, with_grids
from oddwave.detection.image.known_alarms import marked_region, place_tensors, scorer_of
from oddwave.detection.image.learning import make_networks
from oddwave.detection.image.model import ImageModel
from oddwave.detection.image.retrieval_model import RetrievalModel, frozen_grid
from oddwave.detection.image.retrieval_state import restore_retrieval, retrieval_state
from oddwave.detection.image.scored_image import ScoredImage, score_images
from oddwave.detection.image.split import depth_note, split_images, usable_images
from oddwave.detection.image.terms import new_terms
from oddwave.detection.image.tiles import cut_image, squares_of_sizes
from oddwave.detection.job import FitJob
from oddwave.detection.map_detector import MapDetector
from oddwave.detection.map_model import BATCH
from oddwave.detection.map_state import image_state, restore_images
from oddwave.detection.model_tensors import Expected, TensorFile
from oddwave.detection.read_options import check_read_options
from oddwave.errors import DataError
from oddwave.records import AnyResult, ImageResult
from oddwave.sources.image.items import ImageFailure, ImageItem, ImageSet, common_channels
from oddwave.sources.image.reader import read_images
from oddwave.sources.image.roi import read_roi
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["ImageDetector"]

_NEEDS_NORMALS = "a denoiser of images needs good ones to learn from: fit on a folder of good images, then score others"


class ImageDetector(MapDetector):
    """Folders, lists and arrays of images; one model knows one kind of image."""

    modality: ClassVar[str] = "image"
    noun: ClassVar[str] = "images"
    result_kind: Literal["image"] = "image"
    model: ImageModel | RetrievalModel | None

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        check_read_options({key: value for key, value in read_options.items() if key != "roi"}, read_images)

    def _read(self, source: Any, *, learn: bool) -> ImageSet:
        """Read images; of a folder in MVTec layout, its part to learn from or to test. Raises: DataError."""
        if isinstance(source, ImageSet):
            return source
        options = {key: value for key, value in self.read_options.items() if key != "roi"}
        return read_images(source, **{"part": "train" if learn else "test", **options})

    def _learn(self, data: ImageSet, job: FitJob) -> Calibration:
        """Learn from normal images: all of them, each judged by the others.

        With `image.method="denoiser"` a random share of them is held back to calibrate and to choose by.

        Raises:
            DataError: the images cannot be read, or a denoiser is given fewer than 10.
        """
        if self.config.image.method == "retrieval":
            scored, notes = self._remembered(data, job)
            source = f"all {len(scored)} images, each compared with the others"
            return self._calibrated(data, scored, [own.item for own in scored], len(scored), notes, source)
        train, held, notes = split_images(data.items, self.config, stop_on_error=self._stops)
        channels = common_channels(data.items)
        frame, roi, why = self._framed(train, channels)
        config, grids = choose_grids(self.config, frame, roi, train, held, new_terms, job.show_progress)
        terms = new_terms(config)
        make_networks(terms, channels)
        model = ImageModel(config, terms, frame, roi)
        model.evidence |= {"frame": {"chosen": frame.to_dict(), "why": why}, **grids}
        scored = model.fit(train, held, job)
        self.model = model
        source = f"{len(scored)} images held back, never trained on"
        return self._calibrated(data, scored, [*train, *held], len(train), notes, source)

    def _learn_itself(self, data: ImageSet, job: FitJob) -> list[Scored]:
        """Fit and score the same images: each is compared with all the others. Raises: as `_learn`, and for a denoiser.

        What scores far beyond the others' quartiles does not calibrate.
        """
        if self.config.image.method != "retrieval":
            raise DataError(_NEEDS_NORMALS)
        scored, notes = self._remembered(data, job)
        fenced = below_fence(np.array([float(own.scores[0]) for own in scored]))
        usual = [own for own, score in zip(scored, fenced, strict=True) if np.isfinite(score)]
        items, source = [own.item for own in scored], "the data themselves, without their outliers"
        known = self._calibrated(data, usual, items, len(items), notes, source)
        self.calibration = replace(known, judges_itself=True)
        self._apart = data
        found: dict[str, Scored] = {own.item.id: replace(own, apart=True) for own in scored}
        return [found.get(entry.id) or _unread(entry) for entry in data.entries]

    def _remembered(self, data: ImageSet, job: FitJob) -> tuple[list[ScoredImage], list[str]]:
        """Fit the model by retrieval on all images, and return each one's score among the others."""
        items, notes = usable_images(data.items, self.config, stop_on_error=self._stops)
        channels = common_channels(data.items)
        frame, roi, why = self._framed(items, channels)
        model = RetrievalModel(self.config, frozen_grid(self.config), frame, roi)
        model.evidence["frame"] = {"chosen": frame.to_dict(), "why": why}
        scored = model.fit(items, job)
        self.model = model
        if self.config.image.foreground == "on" and model.foreground is None:
            notes.append("image.foreground is on, but no part on a background was found: all of each image counts")
        alike = len(items) - model.evidence["training"]["num_groups"]
        if alike:
            notes.append(
                f"{alike} of the {len(items)} images are nearly copies of others: an image is not compared with its own"
            )
        return scored, notes

    def _framed(
        self, items: Sequence[ImageItem], channels: int
    ) -> tuple[ImageFrame, Bool[np.ndarray, "h w"] | None, str]:
        """Choose the frame for images, and read the region of interest. Raises: DataError where none of it is seen."""
        given, image = self.read_options.get("roi"), self.config.image
        roi = None if given is None else read_roi(given)
        sizes = squares_of_sizes([item.size for item in items], image)
        frame, why = ImageFrame.choose(sizes, channels, image.size_px, image.fit)
        if not cut_image(items[0].pixels(), frame, image, roi).monitored.any():
            raise DataError(
                f"the region of interest is too small to be seen at image.size_px={image.size_px}: paint a larger one"
            )
        return frame, roi, why

    def _calibrated(
        self,
        data: ImageSet,
        scored: Sequence[ScoredImage],
        learnt: Sequence[ImageItem],
        num_train: int,
        notes: Sequence[str],
        source: str,
    ) -> Calibration:
        """Take over what is known of a fitted model's making, and return the calibration by these scores."""
        peaks = [float(own.anomaly_map.max()) for own in scored]
        calibration = self._settled(self._image_model, [float(own.scores[0]) for own in scored], peaks, source)
        self.digests = frozenset(item.digest for item in learnt)
        self.meta = {
            "num_train_images": num_train,
            "num_calibration_images": len(calibration.scores),
            "num_channels": self._image_model.frame.channels,
            "brightest_value": max(own.brightest for own in scored),
            "traits": usual_traits([own.traits for own in scored]),
            "warnings": [*data.notes, *notes, *(failure.message for failure in data.failures)],
        }
        return calibration

    def _extend(self, taken: Sequence[Taken], rng: np.random.Generator) -> Extension:
        """Add images to the patch memory, an even selection of more than `image.max_images`.

        The Gaussians of a model by retrieval grow too; denoisers, with their Gaussians, stay as they were learnt.
        """
        model, most = self._image_model, self.config.image.max_images
        items, held = [own.scored.item for own in taken], held_back(len(taken), self._calibration_share, rng)
        learnt = [item for item, kept_back in zip(items, held, strict=True) if not kept_back]
        if len(learnt) > most:
            learnt = [learnt[i] for i in np.linspace(0, len(learnt) - 1, most).round().astype(int)]
        model.remember(learnt)
        scored = model.score(item for item, back in zip(items, held, strict=True) if back)
        calibrate = [own for own in scored if isinstance(own, ScoredImage) and np.isfinite(own.scores[0])]
        self.peaks = np.concatenate([self.peaks, [float(own.anomaly_map.max()) for own in calibrate]])
        self.digests |= {item.digest for item in items}
        brightest = [own.scored.brightest for own in taken if isinstance(own.scored, ScoredImage)]
        facts = {
            "num_train_images": self.meta["num_train_images"] + len(learnt),
            "num_calibration_images": self.meta["num_calibration_images"] + len(calibrate),
            "brightest_value": max(self.meta.get("brightest_value") or 0.0, *brightest),
        }
        return Extension([own.scores for own in calibrate], len(learnt), facts)

    def _parts(self, data: ImageSet, entries: Iterable[ImageItem | ImageFailure]) -> Iterator[Scored | Unjudged]:
        """Score images, some at a time; what the header did not give away (cut-off pixels) fails only here."""
        model, waiting = self._image_model, iter(entries)
        scorer = scorer_of(model, self.corrections)
        while block := list(islice(waiting, BATCH)):
            items = [entry for entry in block if isinstance(entry, ImageItem)]
            scored = score_images(items, model.cutter, scorer, model.device)
            for entry in block:
                own = next(scored) if isinstance(entry, ImageItem) else entry
                if isinstance(own, ScoredImage) and not np.isfinite(own.scores[0]):
                    own = ImageFailure(own.item.id, own.item.path, NO_SCORE)
                yield Unjudged(own.id, own.message) if isinstance(own, ImageFailure) else own

    def _alarm(self, scored: Scored, result: AnyResult, events: tuple[Any, ...]) -> Alarm:
        model = self._image_model
        return marked_region(model, model.cutter.cut(scored.item.pixels()), events)

    def _stretch(self, scored: Scored, events: tuple[Any, ...]) -> str:
        boxes = (f"x {own.left_px} to {own.right_px}, y {own.top_px} to {own.bottom_px}" for own in events)
        return "; ".join(boxes) or "all of it"

    def correction_tensors(self, correction: Correction) -> dict[str, Expected]:
        """Return what a saved model holds of a false alarm."""
        return place_tensors(self._image_model, correction)

    def _join(self, scored: Scored, rule: Rule) -> ImageResult:
        assert isinstance(scored, ScoredImage)
        if scored.fault:
            return self._unjudged(Unjudged(scored.item.id, scored.fault))
        calibration, item = self.fitted_calibration(), scored.item
        labels = calibration.labels(scored.scores, rule)
        flattered = item.digest in self.digests and not scored.apart
        notes = [*item.notes, *(["this very image was trained on: its score is flattered"] * flattered)]
        stretched = None if self.config.image.tile_px else self._image_model.frame.note(*item.size)
        otherwise_stored = depth_note(item, scored.brightest, self.meta.get("brightest_value"))
        notes += [note for note in (stretched, otherwise_stored) if note]
        regions = (item.id, scored.anomaly_map, item.size, self._peak_threshold(rule), self.peaks)
        return ImageResult(
            id=item.id,
            scores=scored.scores,
            p_values=calibration.p_values(scored.scores),
            labels=labels,
            size=item.size,
            anomaly_map=scored.anomaly_map.astype(np.float32),
            image=item,
            parts=scored.parts,
            events=find_regions(*regions) if labels[0] == 1 else (),
            notes=tuple(notes),
        )

    def _explain(self, scored: Scored, result: AnyResult, rule: Rule) -> ImageResult:
        """Add the normal version and the wavelet bands in which the image differs from it."""
        assert isinstance(scored, ScoredImage)
        assert isinstance(result, ImageResult)
        model, pixels = self._image_model, scored.item.try_pixels()
        if isinstance(pixels, ImageFailure):
            return result
        squares = cut_image(pixels, model.frame, self.config.image, model.roi)
        part = model.part_in(squares.tensors) if isinstance(model, RetrievalModel) else None
        result = result if part is None else marked(result, part, model.frame)
        share = repair_share(scored.anomaly_map, self._peak_threshold(rule))
        shown, change = normal_version(model.shows, model.frame, pixels, squares, share)
        return replace(result, reconstruction=shown, bands=wavelet_shares(change, result.size[0] / shown.shape[0]))

    def _unjudged(self, failure: Unjudged) -> ImageResult:
        nothing = np.array([np.nan])
        return ImageResult(
            id=failure.id,
            scores=nothing,
            p_values=nothing,
            labels=np.full(1, -1),
            size=(0, 0),
            anomaly_map=np.zeros((1, 1), np.float32),
            error=failure.reason,
        )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Return the tensors and the constants that a saved model holds. Raises: NotFittedError."""
        model = self._image_model
        return self._with_peaks(*(retrieval_state(model) if isinstance(model, RetrievalModel) else image_state(model)))

    def restore(self, tensors: TensorFile, constants: dict[str, Any]) -> None:
        """Take back what `state` gave; `meta`, `choices` and `calibration` are there already."""
        frame = ImageFrame.from_dict(constants["frame"])
        monitored = self.read_options.get("roi") is not None
        if self.config.image.method == "retrieval":
            by_retrieval = RetrievalModel(self.config, frozen_grid(self.config), frame)
            restore_retrieval(by_retrieval, tensors, constants, monitored=monitored)
            self._restored(by_retrieval, constants)
            return
        config = with_grids(self.config, *constants.get("grids", self.config.maps.grids))
        model = ImageModel(config, new_terms(config), frame)
        restore_images(model, tensors, constants, monitored=monitored)
        self._restored(model, constants)

    @property
    def _image_model(self) -> ImageModel | RetrievalModel:
        model = self.model
        assert model is not None
        return model

    def _model_facts(self) -> dict[str, Any]:
        frame, image = self._image_model.frame, self.config.image
        tiles = {} if image.tile_px is None else {"tiles": f"{image.tile_px} px, {image.tile_overlap:.0%} shared"}
        return {
            **super()._model_facts(),
            "image_size": [frame.size_px, frame.size_px],
            "fit_mode": frame.fit,
            **tiles,
        }

    def _not_monitored(self, data: ImageSet, items: Sequence[AnyResult]) -> tuple[str, ...]:
        model = self._image_model
        outside = ["what lies outside the region of interest"] * (model.roi is not None)
        outside += ["what lies off the part"] * (isinstance(model, RetrievalModel) and model.only_part)
        return (*outside, *super()._not_monitored(data, items))


def _unread(entry: ImageItem | ImageFailure) -> ScoredImage:
    """Return the place of an image that could not be read: it has no score."""
    if isinstance(entry, ImageFailure):
        item = ImageItem(entry.id, entry.path, (0, 0), 1, "")
        return ScoredImage(item, np.array([np.nan]), fault=entry.message)
    pixels = entry.try_pixels()
    fault = pixels.message if isinstance(pixels, ImageFailure) else "was left out (image.max_images)"
    return ScoredImage(entry, np.array([np.nan]), fault=fault)
