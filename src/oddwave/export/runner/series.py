"""Series for `run_onnx.py`: a CSV or NPY file to scaled pieces, and pieces back to one score per point.

What `oddwave score` does and this does not: gaps, missing values and clocks; dates; other decimal signs; events.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["scored"]

Run = Callable[..., list[np.ndarray]]


def scored(
    item: str, spec: dict[str, Any], known: Mapping[str, np.ndarray], run: Run
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the scores of the points of a stream, or each instance of a panel."""
    make, values = spec["preparation"], table(item, spec["preparation"])
    if not np.isfinite(values).all():
        raise ValueError(f"row {int(np.argwhere(~np.isfinite(values))[0, 0])} holds no number: fill it, or use oddwave")
    u = (values - np.array(make["centre"])) / np.array(make["scale"])
    size, limit = np.abs(u), make["linear_limit"]
    u = np.sign(u) * (np.minimum(size, limit) + np.log1p(np.maximum(size - limit, 0.0)))
    u = np.where(np.array(make["monitored"]), u, 0.0).astype(np.float32)
    if spec["kind"] == "stream":
        yield item, points(u, make, run)
        return
    for number, instance in enumerate(u):
        yield f"{item}[{number}]", run(instance.T[None])[0]


def table(item: str, make: dict[str, Any]) -> np.ndarray:
    """Return the channels of a stream (n, C), or of a panel's instances (N, L, C)."""
    names, length = make["channel_names"], make["instance_length"]
    if Path(item).suffix == ".npy":
        values = np.load(item, allow_pickle=False).astype(float)
        if length:
            values = values[:, None] if values.ndim == 2 else values
            values = np.moveaxis(values, 1, 2)
        values = values[:, None] if values.ndim == 1 else values
        if values.shape[-1] != len(names) or (length and values.shape[1] != length):
            raise ValueError(f"has shape {values.shape}: expected {len(names)} channel(s) {names}")
        return np.asarray(values)
    with Path(item).open(encoding="utf-8-sig", newline="") as file:
        first_line = file.readline()
        file.seek(0)
        rows = list(csv.reader(file, delimiter=max(",;\t", key=first_line.count)))
    if length:  # every row is an instance of one channel; a header is a row with a word in it
        rows = [row for row in rows if row]
        first = int(any(not _is_number(cell) for cell in rows[0]))
        if any(len(row) != length for row in rows):
            raise ValueError(f"has rows of other lengths than the model's instances, {length}")
        return np.array([[float(cell) for cell in row] for row in rows[first:]])[..., None]
    head = rows[0] if rows else []
    missing = [name for name in names if name not in head]
    nameless = names == [f"channel_{number}" for number in range(len(names))] and len(head) == len(names)
    if missing and not nameless:
        raise ValueError(f"has no column {missing[0]!r}: the model knows {', '.join(names)}")
    places = list(range(len(names))) if missing else [head.index(name) for name in names]
    counted = head == [str(number) for number in range(len(head))]
    first = int(not missing or counted or not all(_is_number(cell) for cell in head))  # nameless rows may begin at once
    cells = [[row[place] for place in places] for row in rows[first:] if row]
    return np.array([[float(cell) if _is_number(cell) else np.nan for cell in row] for row in cells])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def points(u: np.ndarray, make: dict[str, Any], run: Run) -> np.ndarray:
    """Return one score per point of a scaled stream: pieces added up, window sizes combined, the strongest view."""
    n, length, sizes, strides = len(u), make["length"], make["window_sizes"], make["strides"]
    if n < min(sizes):
        raise ValueError(f"has {n} points, the shortest windows have {min(sizes)}: give a longer stream")
    begins = []
    for size, stride in zip(sizes, strides, strict=True):
        own = np.arange(0, n - size + 1, stride)
        begins.append(own if not len(own) or own[-1] == n - size else np.append(own, n - size))
    sums = np.zeros((4, len(sizes), make["num_views"], n + length), np.float64)
    for first in range(0, n, make["piece"]):
        starts = []
        for own, count in zip(begins, make["counts"], strict=True):
            here = own[(own >= first) & (own < first + make["piece"])] - first
            starts += [here, np.full(count - len(here), -1)]
        piece = u[first : first + length]
        piece = np.pad(piece, ((0, length - len(piece)), (0, 0)), mode="edge")
        sums[..., first : first + length] += run(piece, np.concatenate(starts).astype(np.int64))[0]
    window, window_weight, point, point_weight = sums[..., :n]
    with np.errstate(divide="ignore", invalid="ignore"):
        by_size = np.where(window_weight > 0, window / window_weight + point / point_weight, np.nan)
    seen = np.isfinite(by_size)
    filled = np.where(seen, by_size, -np.inf)
    top = np.where(seen.any(0), filled.max(0), 0.0)
    with np.errstate(divide="ignore"):
        views = top + np.log(np.exp(filled - top).sum(0) / np.maximum(seen.sum(0), 1))
    scores = np.where(seen.any((0, 1)), views.max(0), np.nan)
    ranges, num = make["ranges"], seen.any(1).sum(0)
    for count, (usual, reach) in enumerate(ranges[:-1], start=1):
        factor = min(1.0, ranges[-1][1] / reach) if reach > 0 else 1.0
        own = num == count
        scores[own] = ranges[-1][0] + factor * (scores[own] - usual)
    return np.asarray(scores)
