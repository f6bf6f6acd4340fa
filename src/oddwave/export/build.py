"""From a fitted detector to a folder that another program can use: the graph, its sidecar, what runs them.

    export_model(oddwave.load("model").inner, Path("exported"), "onnx")

The folder appears whole or not at all, and not where the graph says something else than the scorer (`parity.py`).
"""

import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from oddwave.detection.base import ModalityDetector
from oddwave.export.convert import GRAPH_FILES, Format, convert, program_of, require_extra, runner_of
from oddwave.export.graph import graph_of, in_single_precision
from oddwave.export.parity import Parity, parity_of
from oddwave.export.sidecar import arrays_of, sidecar_of
from oddwave.files import EXPORT_FILE, require_own, write_json_atomic
from oddwave.folders import atomic_directory
from oddwave.progress import stage

__all__ = ["Exported", "export_model"]

_RUNNER, _PARTS, _CALIBRATION = "run_onnx.py", "parts.py", "calibration.npz"
_OWN = (*GRAPH_FILES.values(), "model.bin", EXPORT_FILE, _CALIBRATION, _RUNNER, _PARTS)


@dataclass(frozen=True)
class Exported:
    """What was written, and how the graph compares with the scorer."""

    files: tuple[Path, ...]
    parity: Parity


def export_model(
    detector: ModalityDetector, folder: Path, format: str = "onnx", *, show_progress: bool = False
) -> Exported:
    """Write a model as a graph of this format, with all that a program needs beside it.

    Raises: NotFittedError; ConfigError for a format or a model that cannot be exported; MissingExtraError;
    CheckpointError where the folder holds something else, cannot be written, or the graph differs from the scorer.
    """
    chosen: Format = require_extra(format)
    require_own(folder, "export")
    with stage("tracing the scorer", show_progress), in_single_precision(detector):
        graph = graph_of(detector)
        program = program_of(graph.module, graph.example)
    with atomic_directory(folder, owns=_OWN) as room:
        with stage(f"writing {GRAPH_FILES[chosen]}", show_progress):
            file = convert(program, chosen, room, graph.inputs, graph.outputs)
        parity = parity_of(detector, graph, runner_of(chosen, file), show=show_progress)
        parity.require()
        np.savez(room / _CALIBRATION, **arrays_of(detector))  # type: ignore[arg-type]
        write_json_atomic(room / EXPORT_FILE, sidecar_of(detector, graph, file, parity))
        if chosen == "onnx":
            for name, source in ((_RUNNER, _RUNNER), (_PARTS, f"{detector.modality}.py")):
                with as_file(files("oddwave.export.runner").joinpath(source)) as path:
                    shutil.copyfile(path, room / name)
        names = sorted(entry.name for entry in room.iterdir())
    return Exported(tuple(folder / name for name in names), parity)
