"""What images tell by their brightness alone, and a copy of a category in which they tell nothing by it.

    python -m oddwave.lab.studies.equal_exposure --data DIR --category screw --copy FOLDER
    oddwave bench image --data FOLDER -o OUT --seeds 0

Where good and defective test images were taken under different light, a method is rewarded or punished for seeing
light instead of defects. Printed is what the mean brightness of an image says about its label; `--copy` writes the
category anew with every image's grey values multiplied so that their mean is nine tenths of the training images'
(on screw hardly any is brightened and none clipped), which needs no label. Writes exposure_<category>.json into `--out`
(benchmarks/results).
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from oddwave.lab.bench.protocol import ImageTask, load_tasks
from oddwave.lab.metrics import auroc

__all__ = ["main"]

_DIMMED = 0.9
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def brightness(path: Path) -> float:
    """Return the mean of all pixels and channels, as a share of full scale."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    return float(pixels.mean() / np.iinfo(pixels.dtype).max)


def told_by_brightness(task: ImageTask) -> dict[str, Any]:
    """Return means and deviations of the brightness, and the AUROC of brightness and of its distance to training's."""
    train, test = (
        np.array([brightness(path) for path in of]) for of in (task.split.train_paths, task.split.test_paths)
    )
    label = task.gt_label
    parts = {"train": train, "test_good": test[label == 0], "test_defective": test[label != 0]}
    return {
        "category": task.item,
        **{name: {"mean": float(v.mean()), "sd": float(v.std()), "images": len(v)} for name, v in parts.items()},
        "auroc_brighter": float(auroc(label, test)),
        "auroc_farther_from_training": float(auroc(label, np.abs(test - train.mean()))),
    }


def copy_with_one_exposure(source: Path, target: Path, mean: float) -> None:
    """Copy a category; images, not masks, get the mean brightness. Raises: FileExistsError if `target` is there."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in sorted(target.rglob("*")):
        if path.suffix.lower() in SUFFIXES and "ground_truth" not in path.relative_to(target).parts:
            with Image.open(path) as image:
                pixels = np.asarray(image)
            most = np.iinfo(pixels.dtype).max
            scaled = pixels * (mean / max(pixels.mean() / most, 1e-6))
            Image.fromarray(np.clip(np.rint(scaled), 0, most).astype(pixels.dtype)).save(path)


def main() -> None:
    """Measure, print, write; copy if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--category", default="screw")
    parser.add_argument("--copy", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    (task,) = load_tasks(given.data, [given.category], "image")
    assert isinstance(task, ImageTask)
    told = told_by_brightness(task)
    given.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(told, indent=1)
    (given.out / f"exposure_{given.category}.json").write_text(text + "\n")
    print(text)
    if given.copy is not None and task.dataset != "mvtec_ad":
        parser.error(f"--copy is for MVTec AD's layout, '{given.category}' is of {task.dataset}")
    if given.copy is not None:
        folder = task.split.train_paths[0].parents[2]  # category/train/good/image
        copy_with_one_exposure(folder, given.copy / "mvtec_ad" / given.category, _DIMMED * told["train"]["mean"])


if __name__ == "__main__":
    main()
