"""One fixed graph per model, from the parts of an item to score and map, around the model's own scorer.

    series     a piece of a scaled stream and where its windows begin -> sums and weights per point (`series_graph.py`)
               a panel's instance -> its score
    images     a square of [-1, 1] and which places of its map count -> score, map
    audio      a clip at the model's rate -> score, map (the wavelet map is in the graph: `levels.py`)

What turns an item into these parts, and what a score means, stays outside: see `sidecar.py`. Graphs compute in single
precision, also where scoring itself takes half precision because the processor is quicker with it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from oddwave.detection.audio.detector import AudioDetector
from oddwave.detection.audio.model import AudioModel
from oddwave.detection.base import ModalityDetector
from oddwave.detection.image.detector import ImageDetector
from oddwave.detection.image.model import ImageModel
from oddwave.detection.image.retrieval_model import RetrievalModel as ImageRetrieval
from oddwave.detection.image.terms import MapTerms
from oddwave.detection.series.detector import SeriesDetector
from oddwave.detection.series.retrieval_model import RetrievalModel as SeriesRetrieval
from oddwave.errors import ConfigError
from oddwave.export.levels import Levels
from oddwave.export.series_graph import PanelGraph, StreamGraph
from oddwave.scoring.maps import MAP_SIZE

__all__ = ["AudioGraph", "ExportGraph", "ImageGraph", "graph_of", "in_single_precision", "refuse_unexportable"]


@dataclass(frozen=True, eq=False)
class ExportGraph:
    """The module, what goes in and comes out by name, and an example of what goes in."""

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: tuple[Tensor, ...]
    reference: Callable[..., Any]  # what it is compared with: the model's own way from parts to score and map

    def shapes(self) -> list[dict[str, Any]]:
        """Return what goes in, for the sidecar."""
        return [
            {"name": name, "shape": list(own.shape), "type": str(own.dtype).removeprefix("torch.")}
            for name, own in zip(self.inputs, self.example, strict=True)
        ]


class ImageGraph(nn.Module):
    """Squares to scores and maps."""

    def __init__(self, scorer: nn.Module) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(
        self, squares: Float[Tensor, "1 C S S"], monitored: Bool[Tensor, "1 M M"]
    ) -> tuple[Float[Tensor, " 1"], Float[Tensor, "1 M M"]]:
        """Return score and map."""
        found = self.scorer(squares, monitored)
        return found.score.float(), found.map.float()


class AudioGraph(nn.Module):
    """Clips to scores and maps."""

    def __init__(self, model: AudioModel) -> None:
        super().__init__()
        self.levels, self.scorer = Levels(model.audio.audio_map), model.scorer

    def forward(self, clips: Float[Tensor, "1 n"]) -> tuple[Float[Tensor, " 1"], Float[Tensor, "1 M M"]]:
        """Return score and map."""
        found = self.scorer(self.levels(clips))
        return found.score.float(), found.map.float()


def refuse_unexportable(detector: ModalityDetector) -> None:
    """Raise where a verdict rests on more than a fixed graph can hold. Raises: ConfigError; NotFittedError."""
    detector.fitted_calibration()
    config = detector.config
    if detector.corrections.alarms:
        raise ConfigError(
            f"the model takes {len(detector.corrections.alarms)} false alarm(s) into account, which a graph does not: "
            "undo them with `oddwave feedback`, or add the data with `oddwave add`, and export that"
        )
    if isinstance(detector, SeriesDetector) and not isinstance(detector.model, SeriesRetrieval):
        raise ConfigError("series.method='denoiser' is not exported: fit with series.method=retrieval, the default")
    if config.calibration.adaptive != "off":
        raise ConfigError(
            f"calibration.adaptive='{config.calibration.adaptive}' follows a stream, which a graph does not: fit with "
            "calibration.adaptive=off"
        )
    if isinstance(detector, ImageDetector) and isinstance(detector.model, ImageRetrieval) and detector.model.only_part:
        raise ConfigError(
            "image.foreground='on' finds the part by operations that no graph has: fit with image.foreground=auto, or "
            "crop images to the part"
        )


@contextmanager
def in_single_precision(detector: ModalityDetector) -> Iterator[None]:
    """Let maps be scored in single precision within the block."""
    terms: MapTerms | None = None
    if isinstance(detector, ImageDetector | AudioDetector) and isinstance(detector.model, ImageModel | AudioModel):
        terms = detector.model.terms
    if terms is None:
        yield
        return
    own = terms.config
    terms.config = own.model_copy(update={"training": own.training.model_copy(update={"dtype": "float32"})})
    try:
        yield
    finally:
        terms.config = own


def graph_of(detector: ModalityDetector) -> ExportGraph:
    """Return the graph of a fitted detector. Raises: ConfigError for what cannot be one; NotFittedError."""
    refuse_unexportable(detector)
    if isinstance(detector, SeriesDetector):
        assert isinstance(detector.model, SeriesRetrieval)
        if detector.kind == "panel":
            panel = PanelGraph(detector.model).eval()
            instance = torch.zeros(1, panel.num_channels, panel.length)
            return ExportGraph(panel, ("instances",), ("score", "map"), (instance,), panel)
        stream = StreamGraph(detector.model).eval()
        piece = torch.zeros(stream.length, stream.num_channels)
        starts = torch.zeros(sum(stream.counts), dtype=torch.long)
        return ExportGraph(stream, ("values", "starts"), ("sums",), (piece, starts), stream)
    if isinstance(detector, ImageDetector):
        model = detector.model
        assert isinstance(model, ImageModel | ImageRetrieval)
        square = torch.zeros(1, model.frame.channels, model.frame.size_px, model.frame.size_px)
        monitored = torch.ones(1, MAP_SIZE, MAP_SIZE, dtype=torch.bool)
        module = ImageGraph(model.scorer).eval()
        return ExportGraph(module, ("squares", "monitored"), ("score", "map"), (square, monitored), module)
    if isinstance(detector, AudioDetector) and isinstance(detector.model, AudioModel):
        audio, scorer = detector.model.audio, detector.model.scorer.eval()
        clip = torch.zeros(1, audio.audio_map.clip_samples)

        def reference(clips: Tensor) -> tuple[Tensor, Tensor]:
            found = scorer(audio.levels(clips.numpy()))
            return found.score, found.map

        return ExportGraph(AudioGraph(detector.model).eval(), ("clips",), ("score", "map"), (clip,), reference)
    raise ConfigError(f"models of {detector.modality} are not exported: expected series, images or audio")
