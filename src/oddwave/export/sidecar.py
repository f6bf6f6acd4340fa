"""What an exported graph leaves outside, in files that anyone can read.

    sidecar.json       what goes in and comes out, how an item becomes that (scale, frame, sample rate), how it was
                       checked, and the false-alarm rate that is the default
    calibration.npz    scores of normals, and the tail of the highest of them: so that the rate is chosen at run time

Read `runner/run_onnx.py` next, which needs nothing else.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.tail import SHAPES, Tail
from oddwave.detection.audio.detector import AudioDetector
from oddwave.detection.audio.model import AudioModel
from oddwave.detection.audio.split import hop_samples
from oddwave.detection.base import ModalityDetector
from oddwave.detection.image.detector import ImageDetector
from oddwave.detection.series.detector import SeriesDetector
from oddwave.export.graph import ExportGraph
from oddwave.export.parity import Parity
from oddwave.export.series_graph import PanelGraph, StreamGraph
from oddwave.scoring.maps import MAP_SIZE
from oddwave.tensors.series_scale import LINEAR_LIMIT
from oddwave.version import __version__

__all__ = ["arrays_of", "sidecar_of", "tails_of"]

_VERDICTS = {"stream": "stream", "panel": "item", "image": "item", "recording": "recording"}
_SPREAD = 3.0  # robust deviations that map to 1: see `SeriesScaler`


def sidecar_of(detector: ModalityDetector, graph: ExportGraph, file: Path, parity: Parity) -> dict[str, Any]:
    """Return what `sidecar.json` holds, in a form that JSON knows."""
    calibration = detector.fitted_calibration()
    preparation, unable = _preparation(detector, graph)
    said = {
        "format": "oddwave export",
        "oddwave_version": __version__,
        "modality": detector.modality,
        "kind": detector.result_kind,
        "verdict": _VERDICTS.get(detector.result_kind, "item"),
        "alpha": max(detector.config.calibration.alpha, calibration.smallest_alpha),
        "smallest_alpha": calibration.smallest_alpha,
        "calibration": calibration.source,
        "graph": {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
        "inputs": graph.shapes(),
        "outputs": list(graph.outputs),
        "preparation": preparation,
        "not_by_the_runner": unable,
        "parity": parity.to_dict(),
        "model": {"data_fingerprint": detector.meta.get("data_fingerprint"), "seed": detector.config.seed},
    }
    json.dumps(said, allow_nan=False)  # nothing in it is no number
    return said


def arrays_of(detector: ModalityDetector) -> dict[str, np.ndarray]:
    """Return what `calibration.npz` holds."""
    calibration = detector.fitted_calibration()
    arrays = {"scores": calibration.scores, "blocks": calibration.blocks, **tails_of(calibration)}
    if isinstance(detector, ImageDetector) and detector.model is not None and detector.model.roi is not None:
        arrays["roi"] = detector.model.roi
    return arrays


def tails_of(calibration: Calibration) -> dict[str, np.ndarray]:
    """Return the tail of single blocks, and that for stretches of several."""
    found: dict[str, np.ndarray] = {"tail_shapes": SHAPES}
    for name, num in (("one", 1), ("several", 2)):
        tail = Tail.fit(calibration.blocks, num)
        if tail is not None:
            parts = {"start": tail.start, "share": tail.share, "scales": tail.scales, "weights": tail.weights}
            found |= {f"tail_{name}_{key}": np.asarray(value) for key, value in parts.items()}
    return found


def _preparation(detector: ModalityDetector, graph: ExportGraph) -> tuple[dict[str, Any], str]:
    """Return the constants that turn an item into parts, and why the runner cannot, where it cannot."""
    if isinstance(detector, SeriesDetector):
        return _of_series(detector, graph), ""
    if isinstance(detector, ImageDetector):
        assert detector.model is not None
        frame = detector.model.frame.to_dict()
        tiles = detector.config.image.tile_px
        unable = "" if tiles is None else f"cuts images into tiles of {tiles} px"
        return {**frame, "map_size": MAP_SIZE, "tile_px": tiles}, unable
    assert isinstance(detector, AudioDetector)
    assert isinstance(detector.model, AudioModel)
    audio_map = detector.model.audio.audio_map
    unable = "" if detector.config.audio.channels == "mix" else "hears each channel by itself"
    hop = hop_samples(audio_map, detector.config)
    return {
        "sample_rate": audio_map.sample_rate,
        "clip_samples": audio_map.clip_samples,
        "hop_samples": hop,
    }, unable


def _of_series(detector: SeriesDetector, graph: ExportGraph) -> dict[str, Any]:
    scaler = detector.scaler
    assert scaler is not None
    common: dict[str, Any] = {
        "channel_names": list(detector.channel_names),
        "centre": list(scaler.centre),
        "scale": [_SPREAD * own for own in scaler.scale],
        "linear_limit": LINEAR_LIMIT,
        "monitored": scaler.monitored.tolist(),
    }
    module = graph.module
    if isinstance(module, PanelGraph):
        return {**common, "instance_length": module.length}
    assert isinstance(module, StreamGraph)
    assert detector.model is not None
    return {
        **common,
        "instance_length": 0,
        "piece": module.piece,
        "length": module.length,
        "window_sizes": list(module.sizes),
        "strides": list(module.strides),
        "counts": list(module.counts),
        "num_views": len(module.views),
        "ranges": [list(pair) for pair in detector.model.ranges],
    }
