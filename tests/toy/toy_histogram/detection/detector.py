"""The detector of histograms: it writes the skeleton's hooks, and nothing else."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch

from oddwave.calibration.conformal import Calibration
from oddwave.detection.base import ModalityDetector, Scored, Unjudged, check_read_options
from oddwave.detection.model_tensors import expected_memory
from oddwave.records import Judged
from oddwave.scoring.fusion import Fusion, Standardiser
from oddwave.scoring.memory import Memory
from oddwave.scoring.scorer import NearestDistance, PartScores, Scorer
from oddwave.sources.base import ItemSet
from toy_histogram.sources.reader import NUM_BINS, Histogram, read_histograms
from toy_histogram.tensors.roots import root_shares


@dataclass(frozen=True, repr=False)
class HistogramResult(Judged):
    id: str
    scores: np.ndarray
    p_values: np.ndarray
    labels: np.ndarray
    nearest: np.ndarray | None = None
    parts: dict = field(default_factory=dict)
    events: tuple = ()
    notes: tuple[str, ...] = ()
    error: str = ""


class HistogramScorer(Scorer):
    def __init__(self, memory, standardiser):
        super().__init__(standardiser, Fusion(1.0, 1.0))
        self.nearest = NearestDistance(memory)

    def forward(self, x):
        groups = self.standardise({"memory.input": self.nearest(x)})
        return PartScores(self.fuse(groups), x, groups)


class HistogramDetector(ModalityDetector):
    modality: ClassVar[str] = "histogram"
    noun: ClassVar[str] = "histograms"
    needs_normals: ClassVar[str] = "histograms need normal ones to learn from: fit on those, then score others"
    result_kind = "histogram"

    def __init__(self, config, read_options):
        super().__init__(config, read_options)
        check_read_options(read_options, read_histograms)

    def _read(self, source, *, learn):
        return source if isinstance(source, ItemSet) else read_histograms(source, **self.read_options)

    def _learn(self, data, job):
        vectors = root_shares(np.stack([item.counts for item in data.items]))
        held = len(vectors) // 3
        places = np.arange(len(vectors) - held)
        self.memory = Memory.fit(vectors[held:], places, places, size=1000, num_neighbors=3)
        terms = {"memory.input": self.memory.distance(vectors[:held])}
        self.standardiser = Standardiser.fit(terms)
        self.meta = {"num_train_histograms": len(places)}
        return Calibration.fit([self._score(vectors[:held])], 1, f"{held} histograms held back")

    @torch.inference_mode()
    def _score(self, vectors):
        return HistogramScorer(self.memory, self.standardiser)(torch.from_numpy(vectors)).score.numpy()

    def _parts(self, data, entries):
        for entry in entries:
            if isinstance(entry, Histogram):
                yield Scored(entry, self._score(root_shares(entry.counts[None])))
            else:
                yield Unjudged(entry.id, entry.message)

    def _join(self, scored, rule):
        calibration, scores = self.fitted_calibration(), scored.scores
        labels = calibration.labels(scores, rule)
        return HistogramResult(scored.item.id, scores, calibration.p_values(scores), labels)

    def _explain(self, scored, result, rule):
        away = self.memory.vectors - root_shares(scored.item.counts)
        return replace(result, nearest=self.memory.vectors[np.square(away).sum(1).argmin()] ** 2)

    def _unjudged(self, failure):
        nothing = np.array([np.nan])
        return HistogramResult(failure.id, nothing, nothing, np.array([-1]), error=failure.reason)

    def state(self):
        tensors = {f"memory.{name}": torch.from_numpy(own) for name, own in self.memory.arrays().items()}
        fusion = {"reconstruction_weight": 1.0, "memory_weight": 1.0}
        return tensors, {"standardiser": self.standardiser.to_dict(), "fusion": fusion}

    def restore(self, tensors, constants):
        found = tensors.checked(expected_memory("memory", NUM_BINS, 1000))
        arrays = {name.removeprefix("memory."): own.numpy() for name, own in found.items()}
        self.memory = Memory(**arrays, num_neighbors=3)
        self.standardiser = Standardiser.from_dict(constants["standardiser"])

    def networks(self):
        return ()

    def _model_facts(self):
        return dict(self.meta)
