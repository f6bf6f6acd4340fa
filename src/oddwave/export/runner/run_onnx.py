"""Score items with an exported oddwave model: numpy and onnxruntime are all it needs (images: Pillow).

    python run_onnx.py ITEM... [--alpha 0.001]        prints CSV: item, score, p_value, label

Label 1 is anomalous at this false-alarm rate, 0 is not, -1 could not be judged (the reason is on standard error).
How an item becomes the graph's input stands in `parts.py`, its constants in `sidecar.json`.
"""

import argparse
import csv
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

__all__ = ["main", "verdict"]

HERE = Path(__file__).resolve().parent
ROUNDING = 1e-9


def rank(score: float, normals: np.ndarray) -> float:
    """Return the conformal p-value: the share of normals (and the score itself) that score at least as high."""
    return float((1.0 + (normals >= score).sum()) / (len(normals) + 1.0))


def tail(peak: float, known: Mapping[str, np.ndarray], num: int) -> float:
    """Return how rare such a peak is beyond all normals, by the tail of their highest scores."""
    own = "one" if num == 1 else "several"
    start, share, weights = (known[f"tail_{own}_{name}"] for name in ("start", "share", "weights"))
    if peak <= start:
        return 1.0
    away, shapes = (peak - start) / known[f"tail_{own}_scales"], known["tail_shapes"][:, None]
    flat = np.abs(shapes) < 1e-9
    inside, power = np.maximum(1.0 + shapes * away, 0.0), np.where(flat, 1.0, shapes)
    with np.errstate(divide="ignore"):
        rare = share * np.where(flat, np.exp(-away), inside ** (-1.0 / power))
    if num > 1:
        return float((weights * -np.expm1(num * np.log1p(-np.minimum(rare, 1.0 - 1e-12)))).sum())
    order = np.argsort(rare.ravel())
    return float(rare.ravel()[order][np.searchsorted(np.cumsum(weights.ravel()[order]), 0.5)])


def verdict(scores: np.ndarray, known: Mapping[str, np.ndarray], alpha: float, of: str) -> tuple[float, float, int]:
    """Return the highest of an item's scores, its p-value and its label; `of`: item, stream or recording.

    Where a stream has an event, its p-value is that event's: the peak's among the highest scores of normal blocks.
    """
    peak, num = float(np.nanmax(scores)), len(scores) if of == "recording" else 1
    blocks = known["blocks"]
    maxima = np.maximum.reduceat(blocks, np.arange(max(1, len(blocks) // num)) * num)
    p_value = rank(peak, maxima if of == "recording" else known["scores"])
    if of == "item":
        return peak, p_value, int(p_value <= alpha)
    among, floor = rank(peak, maxima), 1.0 / (len(maxima) + 1.0)
    own = "one" if num == 1 else "several"
    if alpha >= floor * (1.0 - ROUNDING):
        odd = among <= alpha * (1.0 + ROUNDING)
    elif f"tail_{own}_start" not in known:
        odd = peak > 2.0 * blocks.max() - blocks.min()
    else:
        odd = among <= floor * (1.0 + ROUNDING) and tail(peak, known, num) <= alpha
    label = int(odd and (of == "recording" or p_value <= alpha))
    return peak, among if label and of == "stream" else p_value, label


def main(arguments: Sequence[str] | None = None) -> int:
    """Score what is named on the command line; 0: all of it was judged, 3: some was not."""
    spec = json.loads((HERE / "sidecar.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="+", metavar="ITEM")
    parser.add_argument("--alpha", type=float, default=spec["alpha"], help="false-alarm rate  [%(default)g]")
    asked = parser.parse_args(arguments)
    if not spec["smallest_alpha"] * (1.0 - ROUNDING) <= asked.alpha < 1.0:
        parser.error(f"--alpha {asked.alpha:g}: give a rate from {spec['smallest_alpha']:.3g} to below 1")
    if spec["not_by_the_runner"]:
        parser.error(f"this model {spec['not_by_the_runner']}: score with oddwave, or prepare its parts yourself")
    import onnxruntime

    session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
    known = dict(np.load(HERE / "calibration.npz", allow_pickle=False))
    names, rows, status = [own.name for own in session.get_inputs()], csv.writer(sys.stdout), 0
    rows.writerow(["item", "score", "p_value", "label"])
    for item in asked.items:
        try:
            parts = importlib.import_module("parts").scored
            for name, scores in parts(
                item, spec, known, lambda *x: session.run(None, dict(zip(names, x, strict=True)))
            ):
                score, p_value, label = verdict(scores, known, asked.alpha, spec["verdict"])
                rows.writerow([name, f"{score:.9g}", f"{p_value:.9g}", label])
        except (OSError, ValueError) as error:
            rows.writerow([item, "nan", "nan", -1])
            print(f"{item}: {error}", file=sys.stderr)
            status = 3
    return status


if __name__ == "__main__":
    sys.exit(main())
