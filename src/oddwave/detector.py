"""The detector: one object from data to verdicts. Read this file first.

    detector = Detector().fit("healthy.csv")                            # learn what is normal
    result = detector.score("today.csv", alpha=0.01)                    # scores, p-values, events, the normal version
    result = Detector().detect("metrics.csv")                           # or: fit and score one file with anomalies
    detector = Detector(preset("balanced", "image")).fit("good_parts")  # the same for a folder of images

Scores are higher where the data are more anomalous. (scikit-learn's outlier detectors have the opposite sign; these are
PyOD's words and signs.) This is the public door: it chooses the modality's own detector by the configuration and hands
everything on. What happens behind it: `detection/base.py`; how it is stored: `detection/store.py`.

Legend: R rows of the source (points of streams, instances of a panel, images, recordings).
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from oddwave.calibration.budget import Asked
from oddwave.config import DetectorConfig, preset
from oddwave.detection.job import FitJob
from oddwave.errors import ConfigError
from oddwave.records import AnyResult
from oddwave.registry import detector_class
from oddwave.results import DetectionResult
from oddwave.visible import visible

if TYPE_CHECKING:
    from oddwave.calibration.conformal import Calibration
    from oddwave.detection.adding import Added
    from oddwave.detection.base import ModalityDetector
    from oddwave.detection.corrections import Mark
    from oddwave.stream.session import SeriesStream

__all__ = ["Detector"]

Explain = Literal["flagged", "all", "none"]


class Detector:
    """Learns what normal looks like and flags anomalies; see the module's example.

    After fitting, `threshold_` is the score at and above which an item or a stream's peak is anomalous by default, and
    `decision_scores_` are the scores of the calibration normals (after `detect`, of the data themselves).
    """

    def __init__(
        self,
        config: DetectorConfig | None = None,
        *,
        device: str | None = None,
        read_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Make an unfitted detector for the configuration's modality, to compute on its `device` or on the given one.

        `read_options` (series: timestamp=, columns=, ...; images: part=, on_error=, ...) go to the reader of each
        source.

        Raises:
            ConfigError: the device cannot be used here.
        """
        config = config or preset("balanced")
        config = config if device is None else config.with_overrides([f"device={device}"])
        self.inner: ModalityDetector = detector_class(config.modality)(config, dict(read_options or {}))

    def __repr__(self) -> str:
        """Return one line: what it is for, and once fitted on what it learnt and its threshold."""
        about = f"modality={self.config.modality!r}, preset={self.config.preset!r}"
        if self.calibration is None:
            return f"Detector({about}, not fitted)"
        facts = self.inner.facts()
        return visible(f"Detector({about}, trained on {facts['trained on']}, threshold {self.threshold_:.4g})")

    def fit(
        self, source: Any, *, show_progress: bool = False, checkpoint_dir: Path | None = None, resume: bool = False
    ) -> "Detector":
        """Learn from normal data alone.

        All of the data calibrate: each stretch, instance or image is compared with the others, clips in five folds of
        recordings. By `method="denoiser"` a share is held back: the last part in time of streams, or random items.

        Raises:
            DataError: the data cannot be read, or are too few to learn and calibrate from.
        """
        self.inner.fit(source, FitJob(show_progress, checkpoint_dir, resume))
        return self

    def detect(
        self,
        source: Any,
        *,
        alpha: float | None = None,
        threshold: float | None = None,
        flag: int | None = None,
        false_alarms: str | None = None,
        explain: Explain = "flagged",
        show_progress: bool = False,
        checkpoint_dir: Path | None = None,
        resume: bool = False,
    ) -> DetectionResult:
        """Fit and score the same data, which may hold anomalies: each stretch is compared with all the others.

        The threshold rests on the data's own scores without those beyond the upper outer fence (quartile + 3
        interquartile ranges); no block of a stream is compared with itself. What is anomalous is asked for as in
        `score`.

        Raises:
            DataError: the data cannot be read, are too few, or are of a modality that needs normal data to learn from.
            ConfigError: as `score`.
        """
        job, asked = FitJob(show_progress, checkpoint_dir, resume), Asked(alpha, threshold, flag, false_alarms)
        return self.inner.detect(source, job, alpha=asked, explain=explain)

    def add(self, source: Any, *, allow_flagged: bool = False, show_progress: bool = False) -> "Added":
        """Extend what a fitted model knows by more healthy data, in seconds: nothing is trained.

        The memories grow by the new data, within `scoring.memory_size`; a share is held back, and its
        scores under the new memory join the calibration, whose earlier scores stay (they err on the safe side). What is
        learnt as sums or weights (the denoisers, Gaussians, scales) stays as it was.

        Data that score as anomalous are named in a warning and left out, of streams and recordings the stretches that
        do, unless `allow_flagged` says that they are healthy. What was learnt from before is left out too.

        Raises:
            NotFittedError: the detector has not been fitted.
            DataError: the data cannot be read, have other channels, were learnt from, or nothing of them can be added.
        """
        return self.inner.add(source, allow_flagged=allow_flagged, show_progress=show_progress)

    def feedback(
        self,
        source: Any,
        *,
        verdict: str,
        item: str | None = None,
        event: int | None = None,
        note: str = "",
        alpha: float | None = None,
        threshold: float | None = None,
        show_progress: bool = False,
    ) -> "Mark":
        """Say of a finding whether it was a "false-alarm", "real" or "unsure"; `undo_feedback` takes it back.

        The finding is an `item` by its id, or the `event` of this number (from 1; over all items in their order, or of
        the item), under the alpha or the threshold it was found with. A false alarm joins what is normal, in an overlay
        beside what was learnt: what is like it scores as it would without it, all else as before, and its own scores
        join the calibration. It may weigh a tenth of what was learnt at most. The other verdicts are listed only, in
        `corrections`. Save the model to keep it.

        Raises:
            NotFittedError: the detector has not been fitted.
            ConfigError: the verdict, the note or the number is none.
            DataError: the data cannot be read, nothing was found there, or corrections would weigh too much.
        """
        from oddwave.detection.feedback import give_feedback

        finding: dict[str, Any] = {"item": item, "event": event, "asked": Asked(alpha, threshold)}
        return give_feedback(self.inner, source, verdict=verdict, note=note, show_progress=show_progress, **finding)

    def undo_feedback(self, number: int) -> "Mark":
        """Take feedback back: all scores are to the last bit what they were without. Raises: DataError, ConfigError."""
        from oddwave.detection.feedback import undo_feedback

        return undo_feedback(self.inner, number)

    @property
    def corrections(self) -> "tuple[Mark, ...]":
        """All feedback that was given and not undone, the oldest first."""
        return self.inner.corrections.marks

    def score(
        self,
        source: Any,
        *,
        alpha: float | None = None,
        threshold: float | None = None,
        flag: int | None = None,
        false_alarms: str | None = None,
        explain: Explain = "flagged",
        history: Any = None,
        show_progress: bool = False,
    ) -> DetectionResult:
        """Score data: scores, p-values, verdicts, and of the items that are explained the normal version and more.

        What is anomalous is asked for in one way of four: a false-alarm rate `alpha` (of normal items; of a stream, of
        blocks), a `threshold` of the score, `flag`: so many of the strongest findings, or a budget of `false_alarms`:
        "1 per week" where things have times, "2 per 1000 images", "1 per 10000 points". By default alpha is
        `calibration.alpha`. The result says what was asked for, and whether the calibration supports it.

        `explain` says which: those with an anomaly, "all", or "none". Scores and verdicts do not depend on it.
        `history`, of time series, is what came right before `source`: it is looked at and not judged, so that a few new
        rows get verdicts as the last rows of a long file do.

        Raises:
            NotFittedError: the detector has not been fitted.
            DataError: the data cannot be read, have other channels, or are too short.
            ConfigError: more than one of these is given, `alpha` is below what the calibration supports, or a budget is
                in units that the data do not have.
        """
        asked = Asked(alpha, threshold, flag, false_alarms)
        with self._after(history):
            return self.inner.score(source, alpha=asked, explain=explain, show_progress=show_progress)

    @contextmanager
    def _after(self, history: Any) -> Iterator[None]:
        """Read sources as what follows on a history. Raises: ConfigError where the modality has none."""
        if history is not None and self.config.modality != "series":
            raise ConfigError(f"history is for time series, this detector is of {self.config.modality}: leave it out")
        options = self.inner.read_options
        self.inner.read_options = options if history is None else {**options, "history": history}
        try:
            yield
        finally:
            self.inner.read_options = options

    def iter_scores(
        self,
        source: Any,
        *,
        alpha: float | None = None,
        threshold: float | None = None,
        false_alarms: str | None = None,
        explain: Explain = "none",
        show_progress: bool = False,
    ) -> Iterator[AnyResult]:
        """Yield one record per item, in the order given, in memory that does not grow with their number.

        Images and recordings are read one after another; of series, the values are read as a whole. Raises: as `score`.
        """
        asked = Asked(alpha, threshold, None, false_alarms)
        return self.inner.iter_scores(source, alpha=asked, explain=explain, show_progress=show_progress)

    def stream(
        self,
        *,
        alpha: float | None = None,
        threshold: float | None = None,
        false_alarms: str | None = None,
        name: str = "stream",
        period_s: float | None = None,
        state: Path | str | None = None,
    ) -> "SeriesStream":
        """Return a stream that is judged while it is measured: `update(values, timestamps)`, again and again.

        Points settle after at most its `delay`, with the scores that `score` gives them; events open and close once.
        With `state`, a file that its `save` wrote, it goes on from there. `name` begins the ids of events; `period_s`
        are the seconds from row to row, else learnt from the first rows.
        Raises: NotFittedError; ConfigError for a model or a request that needs all of a series; CheckpointError for a
        state that is damaged or another model's.
        """
        from oddwave.stream.session import SeriesStream, StreamModel

        model = StreamModel(self.inner, Asked(alpha, threshold, None, false_alarms))
        return SeriesStream(model, name=name, period_s=period_s) if state is None else SeriesStream.load(model, state)

    def explain(self, item: Any, *, alpha: float | None = None) -> AnyResult:
        """Score one item and explain it, flagged or not; it is explained alike among any others. Raises: as `score`."""
        return self.inner.explain(item, alpha=alpha)

    def decision_function(self, source: Any) -> Float[np.ndarray, " R"]:
        """Return one score per row of the source (panels: per instance; images: one each), higher = more anomalous.

        NaN stands where nothing can be said: missing values, rows without a timestamp, unreadable images. Raises: as
        `score`.
        """
        return self.inner.decision_function(source)

    def predict(
        self,
        source: Any,
        *,
        alpha: float | None = None,
        threshold: float | None = None,
        flag: int | None = None,
        false_alarms: str | None = None,
    ) -> Int[np.ndarray, " R"]:
        """Return 0 (normal) or 1 (anomalous, within an event) per row, instance or image; asked and raises as `score`.

        Where something could not be judged, a masked array comes back, masked (and -1 below) there: sums and means are
        of what was judged, and what was not is neither normal nor anomalous.
        """
        labels = self.inner.predict(source, alpha=Asked(alpha, threshold, flag, false_alarms))
        unjudged = labels == -1
        return np.ma.array(labels, mask=unjudged, fill_value=-1) if unjudged.any() else labels

    def save(self, directory: Path | str) -> Path:
        """Save to a directory, whole or not at all. Raises: NotFittedError; CheckpointError if it cannot be written."""
        from oddwave.detection.store import save_detector

        return save_detector(self.inner, Path(directory))

    @classmethod
    def load(
        cls,
        directory: Path | str,
        *,
        modality: str | None = None,
        device: str = "cpu",
        allow_external: bool = False,
    ) -> "Detector":
        """Load what `save` wrote, to compute on `device`, whatever it was fitted on; of a joint model, one `modality`.

        A model of images or audio may have been made with a frozen network that does not come with oddwave; it is
        fetched, or the file it names opened, with `allow_external` only: allow it where you know who made the model.

        Raises: CheckpointError for a missing, damaged or foreign directory, for such a network, and for a joint model
        without `modality`; ConfigError for a device that cannot be used here.
        """
        from oddwave.detection.store import load_detector

        path = Path(directory)
        return cls.around(load_detector(path, modality=modality, device=device, allow_external=allow_external))

    @classmethod
    def around(cls, inner: "ModalityDetector") -> "Detector":
        """Return the public door to a modality's own detector."""
        detector = cls.__new__(cls)
        detector.inner = inner
        return detector

    @property
    def work(self) -> "ModalityDetector":
        """The modality's own detector, under its name of version 0.1."""
        warnings.warn("Detector.work is Detector.inner since 0.2", DeprecationWarning, stacklevel=2)
        return self.inner

    @property
    def config(self) -> DetectorConfig:
        """All settings; after fitting, with what was chosen automatically."""
        return self.inner.config

    @property
    def read_options(self) -> dict[str, Any]:
        """What the reader of each source is told."""
        return self.inner.read_options

    @property
    def calibration(self) -> "Calibration | None":
        """The held-out normals' scores, from which p-values and thresholds follow; None before fitting."""
        return self.inner.calibration

    @property
    def meta(self) -> dict[str, Any]:
        """What is known of the model's making: seed, fingerprint of the data, how many items."""
        return self.inner.meta

    @property
    def choices(self) -> dict[str, Any]:
        """What was chosen automatically, by name, each with its evidence: AUROC on synthetic anomalies, mostly."""
        return self.inner.choices

    @property
    def num_parameters(self) -> int:
        """How many weights were trained; what is remembered and the frozen network are not. Raises: NotFittedError."""
        return self.inner.num_parameters

    @property
    def threshold_(self) -> float:
        """The score at and above which p <= the default alpha. Raises: NotFittedError."""
        return self.inner.threshold_

    @property
    def decision_scores_(self) -> Float[np.ndarray, " n"]:
        """Scores of the calibration normals; after `detect`, of the data themselves."""
        return self.inner.decision_scores_
