"""Images from data to verdicts: reads a folder, splits off calibration images, runs the engine, explains.

The public door is `detector.py`. What happens inside the engine: `model.py`; where a verdict comes from:
`explain.py`.

Legend: N images, R items of a source.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from oddwave.config import DetectorConfig, Modality
from oddwave.detection.base import NO_SCORE, ModalityDetector, check_read_options
from oddwave.detection.image.explain import find_regions, normal_version, repair_share, wavelet_shares
from oddwave.detection.image.grid_choice import choose_grids, with_grids
from oddwave.detection.image.learning import make_networks
from oddwave.detection.image.model import ImageModel, ImageScore
from oddwave.detection.image.split import depth_note, split_images
from oddwave.detection.image.terms import ImageScorer
from oddwave.detection.image.tiles import cut_image, squares_of_sizes
from oddwave.detection.map_state import image_state, restore_images
from oddwave.detection.model_tensors import TensorFile
from oddwave.diffusion.schedule import make_schedule
from oddwave.errors import DataError
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.nets.perceptual import load_perceptual
from oddwave.results import DetectionResult, ImageResult
from oddwave.scoring.calibration import Calibration
from oddwave.sources.image.items import ImageFailure, ImageSet, common_channels
from oddwave.sources.image.reader import read_images
from oddwave.sources.image.roi import read_roi
from oddwave.tensors.image_frame import ImageFrame

__all__ = ["ImageDetector", "new_scorer"]

_MOST_EXPLAINED = 40


class ImageDetector(ModalityDetector):
    """Folders, lists and arrays of images; one model knows one kind of image."""

    modality: ClassVar[Modality] = "image"

    def __init__(self, config: DetectorConfig, read_options: dict[str, Any]) -> None:
        super().__init__(config, read_options)
        check_read_options({key: value for key, value in read_options.items() if key != "roi"}, read_images)
        self.engine: ImageModel | None = None
        self.peaks: Float[np.ndarray, " n"] = np.zeros(0)
        self.digests: frozenset[str] = frozenset()

    def read(self, source: Any) -> ImageSet:
        """Read images to be scored; of a folder in MVTec layout, its test part. Raises: DataError."""
        return self._read(source, "test")

    def fit(
        self, source: Any, *, show_progress: bool = False, checkpoint_dir: Path | None = None, resume: bool = False
    ) -> None:
        """Learn from normal images; a random share of them is held back to calibrate and to choose by.

        Raises:
            DataError: the images cannot be read, or are fewer than 10.
        """
        given = self.read_options.get("roi")
        roi = None if given is None else read_roi(given)
        data = self._read(source, "train")
        train, held, notes = split_images(
            data.items, self.config, stop_on_error=self.read_options.get("on_error") == "stop"
        )
        channels = common_channels(data.items)
        image = self.config.image
        sizes = squares_of_sizes([item.size for item in train], image)
        frame, why = ImageFrame.choose(sizes, channels, image.size_px, image.fit)
        if not cut_image(train[0].pixels(), frame, image, roi).monitored.any():
            raise DataError(
                f"the region of interest is too small to be seen at image.size_px={image.size_px}: paint a larger one"
            )
        config, grids = choose_grids(self.config, frame, roi, train, held, new_scorer, show_progress)
        scorer = new_scorer(config)
        make_networks(scorer, channels)
        engine = ImageModel(config, scorer, frame, roi)
        engine.evidence |= {"frame": {"chosen": frame.to_dict(), "why": why}, **grids}
        scored = engine.fit(train, held, show_progress=show_progress, checkpoint_dir=checkpoint_dir, resume=resume)
        self._calibrate(scored)
        self.engine = engine
        self.digests = frozenset(item.digest for item in (*train, *held))
        self.choices = engine.evidence
        self.meta = {
            **self.common_meta(data.fingerprint),
            "num_train_images": len(train),
            "num_calibration_images": len(held),
            "num_channels": channels,
            "brightest_value": max(own.brightest for own in scored),
            "warnings": [*data.notes, *notes, *(failure.message for failure in data.failures)],
        }

    def detect(
        self,
        source: Any,
        *,
        alpha: float | None = None,
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> DetectionResult:
        """Refuse: images are judged against good ones. Raises: DataError."""
        raise DataError("images need good ones to learn from: fit on a folder of good images, then score others")

    def score(self, source: Any, *, alpha: float | None = None, show_progress: bool = False) -> DetectionResult:
        """Score images, and explain the most abnormal of them. Raises: NotFittedError, DataError, ConfigError."""
        engine, calibration = self._fitted()
        alpha = calibration.checked_alpha(alpha, self.config.calibration.alpha)
        data = self.read(source)
        judged = self._judged(data, show_progress)
        threshold = self._peak_calibration().threshold(alpha)
        results = self._explained(judged, [self._result(own, alpha, threshold) for own in judged], threshold)
        known = len(data.known_in(self.digests))
        notes = (f"{known} of the images were trained on: their scores are flattered",) if known else ()
        outside = ("what lies outside the region of interest",) if engine.roi is not None else ()
        return DetectionResult(
            "image",
            "image",
            tuple(results),
            calibration.summary(alpha, threshold),
            (*outside, *(f"{item.id}: {item.error}" for item in results if item.error)),
            {**self._model_facts(), "warnings": [*self.meta.get("warnings", []), *data.notes, *notes]},
        )

    def decision_function(self, source: Any) -> Float[np.ndarray, " R"]:
        """Give one score per image, in the order given; NaN for those that cannot be judged. Raises: as `score`."""
        self._fitted()
        judged = self._judged(self.read(source))
        return np.array([np.nan if isinstance(own, ImageFailure) else own.score for own in judged])

    def predict(self, source: Any, *, alpha: float | None = None) -> Int[np.ndarray, " R"]:
        """Give 0 (normal), 1 (anomalous) or -1 (not judged) per image, in the order given. Raises: as `score`."""
        _, calibration = self._fitted()
        alpha = calibration.checked_alpha(alpha, self.config.calibration.alpha)
        return calibration.labels(calibration.p_values(self.decision_function(source)), alpha)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Give the tensors and the constants that a saved model holds. Raises: NotFittedError."""
        engine, _ = self._fitted()
        tensors, constants = image_state(engine)
        return tensors, {**constants, "peaks": self.peaks.tolist(), "digests": sorted(self.digests)}

    def restore(self, tensors: TensorFile, constants: dict[str, Any]) -> None:
        """Take back what `state` gave; `meta`, `choices` and `calibration` are there already."""
        frame = ImageFrame.from_dict(constants["frame"])
        config = with_grids(self.config, *constants.get("grids", self.config.image.grids))
        self.engine = ImageModel(config, new_scorer(config), frame)
        restore_images(self.engine, tensors, constants, monitored=self.read_options.get("roi") is not None)
        self.engine.evidence = self.choices
        self.peaks = np.array(constants["peaks"], float)
        self.digests = frozenset(constants["digests"])

    def networks(self) -> tuple[nn.Module, ...]:
        """Give the denoisers and the decoder, where there is one. Raises: NotFittedError."""
        return self._fitted()[0].scorer.networks

    def facts(self) -> dict[str, str]:
        """Say in a few words what the model was trained on and how, for `oddwave info`. Raises: NotFittedError."""
        engine, _ = self._fitted()
        frame, fusion = engine.frame, engine.fusion
        return {
            "trained on": f"{self.meta['num_train_images']} images of {frame.channels} channel(s)",
            "seen as": f"{frame.size_px} x {frame.size_px} px, {frame.fit}",
            "terms": ", ".join(engine.terms),
            "weights": f"reconstruction {fusion.reconstruction_weight:.3g}, memory {fusion.memory_weight:.3g}",
        }

    # From a source to images

    def _read(self, source: Any, part: str) -> ImageSet:
        if isinstance(source, ImageSet):
            return source
        options = {key: value for key, value in self.read_options.items() if key != "roi"}
        return read_images(source, **{"part": part, **options})

    # From scores to results

    def _fitted(self) -> tuple[ImageModel, Calibration]:
        calibration = self.fitted_calibration()
        assert self.engine is not None
        return self.engine, calibration

    def _judged(self, data: ImageSet, show_progress: bool = False) -> list[ImageScore | ImageFailure]:
        """Score all images, each in its place; what the header did not give away (cut-off pixels) fails only here.

        Raises:
            DataError: no image can be judged, or one cannot and `on_error` says to stop.
        """
        engine, _ = self._fitted()
        scored = engine.score(data.items, show_progress=show_progress)
        judged: list[ImageScore | ImageFailure] = []
        for entry in data.entries:
            own = entry if isinstance(entry, ImageFailure) else next(scored)
            outcome = own if isinstance(own, ImageFailure) or own.failure is None else own.failure
            if isinstance(outcome, ImageScore) and not np.isfinite(outcome.score):
                outcome = ImageFailure(outcome.item.id, outcome.item.path, NO_SCORE)
            if isinstance(outcome, ImageFailure) and self.read_options.get("on_error") == "stop":
                raise DataError(outcome.message)
            judged.append(outcome)
        failures = [own for own in judged if isinstance(own, ImageFailure)]
        if len(failures) == len(judged):
            raise DataError(f"none of the images can be judged, the first: {failures[0].message}")
        return judged

    def _calibrate(self, scored: Sequence[ImageScore]) -> None:
        scores = [np.array([own.score]) for own in scored]
        self.calibration = Calibration.fit(scores, 1, f"{len(scored)} images held back, never trained on")
        self.decision_scores_ = self.calibration.scores
        self.peaks = np.array([float(own.anomaly_map.max()) for own in scored])

    def _peak_calibration(self) -> Calibration:
        return Calibration(self.peaks, self.peaks, 1, "")

    def _result(self, own: ImageScore | ImageFailure, alpha: float, threshold: float) -> ImageResult:
        engine, calibration = self._fitted()
        if isinstance(own, ImageFailure):
            return _unread(own)
        scores = np.array([own.score])
        p_values = calibration.p_values(scores)
        labels = calibration.labels(p_values, alpha)
        known = own.item.digest in self.digests
        notes = [*own.item.notes, *(["this very image was trained on: its score is flattered"] if known else [])]
        stretched = None if self.config.image.tile_px else engine.frame.note(*own.item.size)
        otherwise_stored = depth_note(own.item, own.brightest, self.meta.get("brightest_value"))
        notes += [note for note in (stretched, otherwise_stored) if note]
        events = (
            find_regions(own.item.id, own.anomaly_map, own.item.size, threshold, self.peaks) if labels[0] == 1 else ()
        )
        return ImageResult(
            id=own.item.id,
            scores=scores,
            p_values=p_values,
            labels=labels,
            size=own.item.size,
            anomaly_map=own.anomaly_map.astype(np.float32),
            image=own.item,
            parts={name: np.array([value]) for name, value in own.parts.items()},
            events=events,
            notes=tuple(notes),
        )

    def _explained(
        self, judged: Sequence[ImageScore | ImageFailure], results: Sequence[ImageResult], threshold: float
    ) -> list[ImageResult]:
        """Add the normal version and the wavelet bands to the most abnormal images."""
        explained = list(results)
        scored = [(number, own) for number, own in enumerate(judged) if isinstance(own, ImageScore)]
        for number, own in sorted(scored, key=lambda pair: -pair[1].score)[:_MOST_EXPLAINED]:
            explained[number] = self._with_normal(own, results[number], threshold)
        return explained

    def _with_normal(self, own: ImageScore, result: ImageResult, threshold: float) -> ImageResult:
        engine, _ = self._fitted()
        pixels = own.item.try_pixels()
        if isinstance(pixels, ImageFailure):
            return result
        squares = cut_image(pixels, engine.frame, self.config.image, engine.roi)
        share = repair_share(own.anomaly_map, threshold)
        shown, change = normal_version(engine.scorer, engine.frame, pixels, squares, share)
        return replace(result, reconstruction=shown, bands=wavelet_shares(change, own.item.size[0] / shown.shape[0]))

    def _model_facts(self) -> dict[str, Any]:
        engine, _ = self._fitted()
        hidden = ("data_fingerprint", "warnings")
        image = self.config.image
        return {
            **{key: value for key, value in self.meta.items() if key not in hidden},
            "space": image.space,
            "perceptual": image.perceptual,
            "image_size": [engine.frame.size_px, engine.frame.size_px],
            "fit_mode": engine.frame.fit,
            "reconstruction_weight": engine.fusion.reconstruction_weight,
            "memory_weight": engine.fusion.memory_weight,
            "top_percent": f"{100 * engine.top_share:.2g} %",
            **({} if image.tile_px is None else {"tiles": f"{image.tile_px} px, {image.tile_overlap:.0%} shared"}),
            "choices": self.choices,
        }


def new_scorer(config: DetectorConfig) -> ImageScorer:
    """Make a scorer that has learnt nothing, around the frozen network that the configuration names.

    Raises: CheckpointError, MissingExtraError or ConfigError where that network cannot be had.
    """
    image = config.image
    network = load_perceptual(image.perceptual, None if image.perceptual_path is None else Path(image.perceptual_path))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grid = FeatureGrid(network, image.grids[0], image.taps)
    schedule = make_schedule(config.diffusion.schedule, config.diffusion.num_train_timesteps)
    return ImageScorer(config, grid, schedule, torch.zeros(grid.width), torch.ones(grid.width))


def _unread(failure: ImageFailure) -> ImageResult:
    nothing = np.array([np.nan])
    return ImageResult(
        id=failure.id,
        scores=nothing,
        p_values=nothing,
        labels=np.full(1, -1),
        size=(0, 0),
        anomaly_map=np.zeros((1, 1), np.float32),
        error=failure.message,
    )
