"""What a handful of good images is worth: image AUROC from N of them, beside two rivals on the same ones.

    python -m oddwave.lab.studies.few_images [--data DIR] [--only screw] [--images 8] [--draws 3] [-o RESULT.json]

Draw k takes N images of the sorted training images by `numpy.random.default_rng(k).choice`; all test images are
judged, by oddwave's default preset, `patch_knn` and `padim`. Labels are read for the figures alone.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.lab.bench.image_methods import IMAGE_METHODS
from oddwave.lab.bench.protocol import ImageTask, load_tasks
from oddwave.lab.metrics.auroc import auroc

__all__ = ["main", "of_draw"]

METHODS = ("oddwave", "patch_knn", "padim")


def of_draw(task: ImageTask, num_images: int, draw: int) -> dict[str, Any]:
    """Return each method's image AUROC from `num_images` images of this draw."""
    chosen = np.sort(np.random.default_rng(draw).choice(task.num_train, num_images, replace=False))
    own = task.only(chosen, np.arange(len(task.gt_label)))
    found: dict[str, Any] = {"draw": draw}
    for name in METHODS:
        outcome = IMAGE_METHODS[name](name, own, 0)
        found[name] = round(float(auroc(own.gt_label, outcome.scores)), 4)
        print(f"draw {draw}, {name}: {found[name]}", flush=True)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--only", default="screw")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("-o", type=Path)
    given = parser.parse_args()
    (task,) = load_tasks(given.data, [given.only], "image")
    assert isinstance(task, ImageTask)
    draws = [of_draw(task, given.images, draw) for draw in range(given.draws)]
    mean = {name: round(float(np.mean([own[name] for own in draws])), 4) for name in METHODS}
    text = json.dumps({"images": given.images, "data": given.only, "draws": draws, "mean": mean}, indent=2)
    print(text)
    if given.o:
        given.o.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
