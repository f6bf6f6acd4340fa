"""What an exported graph costs beside the model's own scorer: size, load and CPU seconds per input, one thread.

    python -m oddwave.lab.studies.export_speed MODEL [MODEL ...] [--formats onnx,openvino,torch-export] [--rounds 5]

Every model is exported in each format (and compared on the way), then all are asked of the same inputs in turn, round
by round, so that a busy machine slows them alike. An input is a square, a clip, an instance, or a piece of a stream.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from oddwave.detector import Detector
from oddwave.export.build import export_model
from oddwave.export.convert import FORMATS, GRAPH_FILES, Format, runner_of
from oddwave.export.graph import graph_of, in_single_precision
from oddwave.export.parity import examples

__all__ = ["main", "measured"]

_INPUTS = 3


def measured(model: Path, formats: list[Format], rounds: int) -> list[tuple[str, float, float, float]]:
    """Return (what, megabytes, CPU seconds to load, CPU seconds per input) of the scorer and of each format."""
    detector = Detector.load(model).inner
    torch.set_num_threads(1)
    with in_single_precision(detector), TemporaryDirectory() as name:
        graph = graph_of(detector)
        inputs = [own for own, _ in zip(examples(detector, graph), range(_INPUTS), strict=False)]
        size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) / 1e6
        ways: dict[str, tuple[float, float, Callable[..., Any]]] = {"torch": (size, 0.0, graph.reference)}
        for format in formats:
            done = export_model(detector, Path(name) / format, format)
            started = time.process_time()
            run = runner_of(format, Path(name) / format / GRAPH_FILES[format])
            took = time.process_time() - started
            size = sum(file.stat().st_size for file in done.files if file.name.startswith("model.")) / 1e6
            ways[format] = size, took, lambda *x, run=run: run(*(own.numpy() for own in x))
        spent: dict[str, list[float]] = {way: [] for way in ways}
        with torch.inference_mode():
            for _ in range(rounds + 1):
                for way, (_, _, call) in ways.items():
                    started = time.process_time()
                    for own in inputs:
                        call(*own)
                    spent[way].append((time.process_time() - started) / len(inputs))
    return [(way, size, took, statistics.median(spent[way][1:])) for way, (size, took, _) in ways.items()]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(arguments)
    formats = [known for known in FORMATS if known in asked.formats.split(",")]
    print("| model | by | MB | CPU s to load | CPU ms per input | of torch |\n|---|---|---|---|---|---|")
    for model in asked.models:
        rows = measured(model, formats, asked.rounds)
        for way, size, took, spent in rows:
            share = spent / rows[0][3]
            print(f"| {model.name} | {way} | {size:.1f} | {took:.2f} | {1e3 * spent:.1f} | {share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
