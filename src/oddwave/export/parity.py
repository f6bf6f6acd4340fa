"""Does the exported graph say what the scorer says? Both are asked of a hundred inputs that the model could be given.

Inputs come from what the model remembers of its own normal data, with noise and changes on top: remembered windows,
small copies of images, made-up sounds as loud as the normal ones. A difference counts relative to the score itself, or
to the deviation of all these scores where it is near zero. Of pieces of streams, scores are the highest of their
points, by window size and view; the points, and the places of maps, are compared as well: a few may differ by more,
where two remembered neighbours are nearly tied and rounding decides which of them is the nearer one.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oddwave.detection.audio.model import AudioModel
from oddwave.detection.base import ModalityDetector
from oddwave.detection.image.retrieval_model import RetrievalModel as ImageRetrieval
from oddwave.detection.series.retrieval_model import RetrievalModel as SeriesRetrieval
from oddwave.errors import CheckpointError
from oddwave.export.convert import Run
from oddwave.export.graph import ExportGraph, in_single_precision
from oddwave.export.series_graph import StreamGraph
from oddwave.planted.audio_background import make_background_audio
from oddwave.progress import progress
from oddwave.tensors.series_windows import resample_windows

__all__ = ["NUM_INPUTS", "TOLERANCE", "Parity", "examples", "parity_of"]

TOLERANCE = 1e-4
NUM_INPUTS = 100
_FEWEST_PIECES = 4
_HALF_INPUTS = 10
_SEED = 20
_MOST_BEYOND = 0.01  # of the places of maps, that may differ by more


@dataclass(frozen=True)
class Parity:
    """Relative differences over `num_inputs` inputs: of scores the largest and the median, of maps where they are.

    `places_beyond` is the share of places that differ by more than the tolerance, `half_precision` by how much scores
    differ in half precision, where the model takes that.
    """

    num_inputs: int
    largest: float
    median: float
    median_of_maps: float
    places_beyond: float
    tolerance: float = TOLERANCE
    half_precision: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a form that JSON can hold."""
        return asdict(self)

    def require(self) -> None:
        """Refuse a graph that says something else. Raises: CheckpointError."""
        if not (self.largest <= self.tolerance and self.places_beyond <= _MOST_BEYOND):
            raise CheckpointError(
                f"the exported graph differs from the scorer by {self.largest:.2g} on one of {self.num_inputs} inputs "
                f"({self.places_beyond:.1%} of the maps' places by more than {self.tolerance:g}), expected at most "
                f"{self.tolerance:g} ({_MOST_BEYOND:.0%}): nothing was written; try another --format"
            )


def parity_of(detector: ModalityDetector, graph: ExportGraph, run: Run, *, show: bool = False) -> Parity:
    """Compare what runs the written graph with the model's own scorer."""
    inputs = list(examples(detector, graph))
    wanted, got = [], []
    with in_single_precision(detector), torch.inference_mode():
        for own in progress(inputs, "comparing the exported graph with the scorer", show):
            wanted.append(_told(graph, graph.reference(*own)))
            got.append(_told(graph, run(*(part.numpy() for part in own))))
    scores = _differences([own[0] for own in wanted], [own[0] for own in got])
    maps = _differences([own[1] for own in wanted], [own[1] for own in got])
    half = None
    if detector.modality != "series":
        with torch.inference_mode():
            again = [_told(graph, graph.reference(*own))[0] for own in inputs[:_HALF_INPUTS]]
        away = _differences([w[0] for w in wanted[:_HALF_INPUTS]], again)
        half = float(away.max()) if away.max() > 0.0 else None
    return Parity(
        _num_inputs(graph, inputs),
        float(scores.max()),
        float(np.median(scores)),
        float(np.median(maps)),
        float((maps > TOLERANCE).mean()),
        half_precision=half,
    )


def examples(detector: ModalityDetector, graph: ExportGraph) -> Iterator[tuple[Tensor, ...]]:
    """Yield inputs of the graph from the model's own range, the same at every call."""
    rng, model = np.random.default_rng(_SEED), getattr(detector, "model", None)
    if isinstance(model, SeriesRetrieval):
        yield from _pieces(model, graph, rng) if isinstance(graph.module, StreamGraph) else _instances(model, rng)
        return
    if isinstance(model, AudioModel):
        yield from _clips(model, rng)
        return
    shape = graph.example[0].shape
    copies = model.learnt.copies.copies if isinstance(model, ImageRetrieval) and model.learnt is not None else None
    for number in range(NUM_INPUTS):
        if copies is not None:
            square = copies[rng.integers(len(copies))][None].float() / 127.5 - 1.0
        else:
            square = torch.from_numpy(rng.uniform(-0.7, 0.7, (1, shape[1], 8, 8)).astype(np.float32))
        square = F.interpolate(square, size=shape[2:], mode="bilinear", align_corners=False)
        square = square + torch.from_numpy(rng.normal(0.0, 0.02, shape).astype(np.float32))
        if number % 2:  # a spot of another brightness
            side = shape[-1]
            top, left = rng.integers(0, side - side // 8, 2)
            square[..., top : top + side // 8, left : left + side // 8] += float(rng.uniform(-1, 1))
        yield square.clamp(-1.0, 1.0), graph.example[1]


def _pieces(model: SeriesRetrieval, graph: ExportGraph, rng: np.random.Generator) -> Iterator[tuple[Tensor, ...]]:
    """Yield pieces of remembered windows one after another, each size's windows at all of its places."""
    module = graph.module
    assert isinstance(module, StreamGraph)
    whole = max(model.sizes, key=lambda own: len(own.channels)).memory.windows.numpy()
    starts = []
    for stride, count in zip(module.strides, module.counts, strict=True):
        own = torch.arange(count) * stride
        starts.append(torch.where(own < module.piece, own, -1))
    begins = torch.cat(starts)
    num = max(_FEWEST_PIECES, -(-NUM_INPUTS // int((begins >= 0).sum())))
    for _ in range(num):
        chosen = whole[rng.integers(len(whole), size=-(-module.length // whole.shape[2]))]
        piece = np.concatenate([*chosen], axis=1)[:, : module.length].T
        piece = piece + rng.normal(0.0, 0.1 * float(whole.std()), piece.shape)
        at, width = int(rng.integers(module.length)), int(rng.integers(1, 40))
        piece[at : at + width] += rng.normal(0.0, 3.0 * float(whole.std()))
        yield torch.from_numpy(piece.astype(np.float32)), begins


def _instances(model: SeriesRetrieval, rng: np.random.Generator) -> Iterator[tuple[Tensor, ...]]:
    (own,) = model.sizes
    windows = resample_windows(own.memory.windows.numpy(), own.window_size)
    for number in range(NUM_INPUTS):
        instance = windows[rng.integers(len(windows))][None] + rng.normal(0.0, 0.05, (1, *windows.shape[1:]))
        if number % 2:
            at = int(rng.integers(own.window_size))
            instance[..., at : at + own.window_size // 6 + 1] += rng.normal()
        yield (torch.from_numpy(instance.astype(np.float32)),)


def _clips(model: AudioModel, rng: np.random.Generator) -> Iterator[tuple[Tensor, ...]]:
    audio_map, scale = model.audio.audio_map, model.audio.scale
    assert scale is not None
    power = 10 ** (np.asarray(scale.mean_db) / 10)
    usual = float(np.sqrt(power.sum()))
    for _ in range(NUM_INPUTS):
        clip = make_background_audio(1, audio_map.clip_samples, audio_map.sample_rate, rng)
        clip = clip - clip.mean()
        clip *= usual * 10 ** rng.uniform(-0.5, 0.5) / max(float(np.sqrt((clip**2).mean())), 1e-9)
        yield (torch.from_numpy(clip.astype(np.float32)),)


def _told(graph: ExportGraph, found: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and maps of what a graph gave; of streams what each window size says of each point."""
    parts = [np.asarray(own) for own in (found if isinstance(found, tuple | list) else (found,))]
    if not isinstance(graph.module, StreamGraph):
        return parts[0].astype(float), parts[1].astype(float)
    window, window_weight, point, point_weight = parts[0].astype(float)
    seen = window_weight > 0
    places = np.where(
        seen, window / np.where(seen, window_weight, 1) + point / np.where(seen, point_weight, 1), -np.inf
    )
    highest = places.max(2)
    return highest[np.isfinite(highest)], places[seen]


def _differences(wanted: list[np.ndarray], got: list[np.ndarray]) -> np.ndarray:
    """Return all relative differences; what is no number differs infinitely."""
    own, other = (np.concatenate([each.ravel() for each in parts]) for parts in (wanted, got))
    spread = max(float(np.std(own)), 1e-9)
    away = np.abs(own - other) / np.maximum(np.abs(own), spread)
    return np.where(np.isfinite(away), away, np.inf)


def _num_inputs(graph: ExportGraph, inputs: list[tuple[Tensor, ...]]) -> int:
    """Return how many parts were compared: of streams windows."""
    if isinstance(graph.module, StreamGraph):
        return sum(int((own[1] >= 0).sum()) for own in inputs)
    return len(inputs)
