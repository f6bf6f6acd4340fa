"""How much of an AUROC is the width of the labels: the scores of a finished benchmark, smoothed, measured again.

    oddwave bench series --data DIR -o OUT --only nab --methods oddwave,knn,knn_256 python -m
    oddwave.lab.studies.label_width OUT --data DIR [--only nab/semi,nab/unsupervised,msl/semi] [--widths 1,65,257]

NAB's labels are windows of about a tenth of a file around each event. Scores that are smeared over as many points rank
such windows better, whatever they say about the event itself. Every method's scores are replaced by their centred mean
over `widths` points; this is a diagnosis on labels, nothing is chosen by it.
Writes label_width.md and .json into `--out` (benchmarks/results).
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import convolve1d

from oddwave.lab.bench.protocol import Cell, Task, load_tasks
from oddwave.lab.metrics import auroc

__all__ = ["main"]


def measured(folder: Path, root: Path, only: list[str], methods: list[str], widths: list[int]) -> list[dict[str, Any]]:
    """Return per data set, protocol, method and width the mean AUROC over the items that all these methods have."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for task in load_tasks(root, only):
        assert isinstance(task, Task)
        files = [folder / "scores" / Cell(task.dataset, task.item, task.protocol, m, 0).file_name for m in methods]
        if all(file.exists() for file in files) and task.gt_label.any():
            values = [[_auroc(task.gt_label, np.load(file), width) for width in widths] for file in files]
            found.setdefault((task.dataset, task.protocol), []).append(np.array(values))
    return [
        {"dataset": name, "protocol": protocol, "items": len(own), "method": method, "width": width,
         "auroc": float(np.mean(own, axis=0)[i, j])}
        for (name, protocol), own in found.items()
        for i, method in enumerate(methods)
        for j, width in enumerate(widths)
    ]  # fmt: skip


def _auroc(label: np.ndarray, scores: np.ndarray, width: int) -> float:
    filled = np.nan_to_num(scores, nan=np.nanmin(scores))
    # a sum of its own at each point: a running sum would tell equal scores apart by their rounding
    return float(auroc(label, convolve1d(filled, np.full(width, 1 / width), mode="nearest")))


def markdown(rows: list[dict[str, Any]], widths: list[int]) -> str:
    """Return a table for each data set and protocol."""
    lines = ["# What the width of labels is worth", "", "Mean AUROC with scores smoothed over so many points, seed 0."]
    for dataset, protocol in dict.fromkeys((r["dataset"], r["protocol"]) for r in rows):
        own = [r for r in rows if (r["dataset"], r["protocol"]) == (dataset, protocol)]
        lines += ["", f"## {dataset}, {protocol}: {own[0]['items']} items", ""]
        lines += ["| method | " + " | ".join(f"{w}" for w in widths) + " |", "|---|" + "---:|" * len(widths)]
        for method in dict.fromkeys(r["method"] for r in own):
            values = {r["width"]: r["auroc"] for r in own if r["method"] == method}
            lines.append(f"| `{method}` | " + " | ".join(f"{values[w]:.3f}" for w in widths) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="nab/unsupervised,nab/semi,msl/semi")
    parser.add_argument("--methods", default="oddwave,knn,knn_max,knn_256,pca,isolation_forest,zscore")
    parser.add_argument("--widths", default="1,65,257")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    widths = [int(width) for width in given.widths.split(",")]
    rows = measured(given.folder, given.data, given.only.split(","), given.methods.split(","), widths)
    if not rows:
        parser.error(f"no item under '{given.folder}/scores' has scores of all of {given.methods}: run them first")
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "label_width.md").write_text(markdown(rows, widths))
    (given.out / "label_width.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(markdown(rows, widths))


if __name__ == "__main__":
    main()
