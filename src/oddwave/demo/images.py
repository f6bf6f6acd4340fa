"""The demonstration on images: learn from made-up photographs of good gears, find the defects in others, compare.

`run_images` does what a user would do with a folder of images; `match_images` says what was found of what was
planted. The labels and masks are used for that comparison alone. Read `report/outputs.py` next: the files that a
scoring run leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image

from oddwave.console import print_table
from oddwave.demo.gear_image import write_demo_images
from oddwave.report import wording
from oddwave.report.outputs import write_outputs
from oddwave.results import ImageResult

__all__ = ["GOOD", "ImageComparison", "PlantedImages", "match_images", "print_images", "run_images"]

GOOD = "good"
ALPHA = 0.05
NUM_TRAIN = 100  # each calibrates, and a rate of 1 in 20 needs at least 19 scores of normal images


@dataclass(frozen=True)
class PlantedImages:
    """What lies in a folder that `write_demo_images` wrote: images to learn from, others, and their masks."""

    train_paths: tuple[Path, ...]
    test_paths: tuple[Path, ...]
    mask_paths: tuple[Path | None, ...]

    @classmethod
    def of_folder(cls, folder: Path) -> "PlantedImages":
        """Find the images; masks bear the name of their image with `_mask` behind it."""
        tests = tuple(sorted((folder / "test").glob("*/*.png")))
        masks = [folder / "ground_truth" / path.parent.name / f"{path.stem}_mask.png" for path in tests]
        train = tuple(sorted((folder / "train" / GOOD).glob("*.png")))
        return cls(train, tests, tuple(mask if mask.exists() else None for mask in masks))

    @property
    def kinds(self) -> tuple[str, ...]:
        """What was planted in each of the other images, or `GOOD`."""
        return tuple(path.parent.name for path in self.test_paths)

    def gt_mask(self, index: int) -> Bool[np.ndarray, "H W"] | None:
        """Read where the defect of an image is; None for a good one."""
        path = self.mask_paths[index]
        if path is None:
            return None
        with Image.open(path) as mask:
            return np.asarray(np.asarray(mask) != 0)


@dataclass(frozen=True, slots=True)
class ImageComparison:
    """What became of the test images of one kind: how many were flagged, and how many where the defect is.

    Of good images, those flagged are false alarms and none can be placed. `p_values` are those of all its images.
    """

    kind: str
    num_images: int
    num_flagged: int
    num_placed: int
    p_values: tuple[float, ...]


def run_images(folder: Path, *, preset_name: str = "fast", show_progress: bool = False) -> list[ImageComparison]:
    """Write the images, train on the good ones, score the others, write model and results, print a comparison.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    from oddwave.config import preset
    from oddwave.detector import Detector

    split = PlantedImages.of_folder(write_demo_images(folder / "data", num_train=NUM_TRAIN))
    num_defective = sum(kind != GOOD for kind in split.kinds)
    kinds = len(set(split.kinds) - {GOOD})
    print(f"Made-up photographs of a gear: {len(split.train_paths)} good ones to learn from,")
    print(f"{len(split.test_paths)} more, {num_defective} of them with defects of {kinds} kinds.")
    detector = Detector(preset(preset_name, modality="image", seed=0))
    detector.fit(list(split.train_paths), show_progress=show_progress)
    detector.save(folder / "model")
    result = detector.score(list(split.test_paths), alpha=ALPHA, show_progress=show_progress)
    files = write_outputs(result, folder, title="Gears with planted defects")
    found = match_images(split, result.images)
    print_images(found, ALPHA)
    print("Report: " + str(next((path for path in files if path.suffix == ".html"), files[0])))
    return found


def match_images(split: PlantedImages, images: Sequence[ImageResult]) -> list[ImageComparison]:
    """Return for each kind of defect, and for the good images last, how many were flagged.

    `images` are the results of the split's test images, in its order. A flagged image counts as placed where its
    strongest region meets the defect.
    Raises: ValueError where there are not as many results as test images.
    """
    flagged = [bool(image.labels[0] == 1) for image in images]
    placed = [flag and _is_placed(split, index, images[index]) for index, flag in enumerate(flagged)]
    rows = list(zip(split.kinds, images, flagged, placed, strict=True))
    found = []
    for kind in sorted(set(split.kinds), key=lambda kind: (kind == GOOD, kind)):
        of_kind = [row[1:] for row in rows if row[0] == kind]
        p_values = tuple(float(image.p_values[0]) for image, _, _ in of_kind)
        counts = (sum(flag for _, flag, _ in of_kind), sum(place for _, _, place in of_kind))
        found.append(ImageComparison(kind, len(of_kind), *counts, p_values))
    return found


def _is_placed(split: PlantedImages, index: int, image: ImageResult) -> bool:
    mask = split.gt_mask(index)
    if mask is None or not image.events:
        return False
    strongest = max(image.events, key=lambda region: region.score)
    return bool(mask[strongest.top_px : strongest.bottom_px, strongest.left_px : strongest.right_px].any())


def print_images(found: Sequence[ImageComparison], alpha: float) -> None:
    """Print what was found beside what was planted."""
    rows = [["planted", "images", "found", "at its place", "median p"]]
    defects = [each for each in found if each.kind != GOOD]
    for each in defects:
        counts = [str(count) for count in (each.num_images, each.num_flagged, each.num_placed)]
        rows.append([each.kind.replace("_", " "), *counts, _median_text(each.p_values)])
    good = [each for each in found if each.kind == GOOD]
    rows += [["none", str(each.num_images), str(each.num_flagged), "", _median_text(each.p_values)] for each in good]
    print_table(rows)
    num, num_flagged, num_placed = (
        sum(getattr(each, name) for each in defects) for name in ("num_images", "num_flagged", "num_placed")
    )
    num_good, num_alarms = (sum(getattr(each, name) for each in good) for name in ("num_images", "num_flagged"))
    print(f"Found {num_flagged} of {num} defective parts, {num_placed} of them at the right place;")
    alarms = wording.count_text(num_alarms, "false alarm")
    expected = wording.number_text(alpha * num_good, 2)
    print(f"{alarms} among {wording.count_text(num_good, 'good part')}, {expected} expected at alpha {alpha:g}.")


def _median_text(p_values: Sequence[float]) -> str:
    known = [value for value in p_values if np.isfinite(value)]
    return wording.p_value_text(float(np.median(known))) if known else "n/a"
