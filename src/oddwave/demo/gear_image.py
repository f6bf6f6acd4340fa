"""Images of the demonstration's gear with and without defects, one by one or as a folder in MVTec AD's layout.

The same seed gives the same images. A defect's mask is exact: the part is lit twice, with the same light, dust, grain
and noise, and only pixels that change visibly are taken from the defective one. Read `images.py` next: it trains on
them.

Legend: H x W pixels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image

from oddwave.demo.gear_defects import GEAR_DEFECTS
from oddwave.demo.gear_scene import Change, draw_scene, part_distance_px, render, with_noise
from oddwave.errors import ConfigError
from oddwave.folders import atomic_directory

__all__ = ["MIN_SIDE_PX", "DrawnPart", "draw_part", "write_demo_images", "write_png"]

MIN_SIDE_PX = 64  # below that teeth are thinner than a pixel
_VISIBLE = 0.02  # of white: a pixel that a defect changes by less stays as it was
_GOOD = "good"
_FOLDERS = ("train", "test", "ground_truth")


@dataclass(frozen=True, eq=False)
class DrawnPart:
    """An image in colour, which pixels the part covers (as it is, defect and all), and which ones a defect changed."""

    image: UInt8[np.ndarray, "H W 3"]
    part_mask: Bool[np.ndarray, "H W"]
    defect_mask: Bool[np.ndarray, "H W"]


def draw_part(rng: np.random.Generator, size_px: int = 256, defect: str | None = None) -> DrawnPart:
    """Draw one square image of a part, good or with one defect.

    All but the defect is drawn before it: from the same state of `rng` come the same part, good and defective.
    Raises: ConfigError for an unknown defect or a side below 64 pixels.
    """
    if size_px < MIN_SIDE_PX:
        raise ConfigError(f"size_px is {size_px}: draw parts at {MIN_SIDE_PX} pixels or more")
    if defect is not None and defect not in GEAR_DEFECTS:
        raise ConfigError(f"defect is '{defect}': choose one of {', '.join(GEAR_DEFECTS)}, or None for a good part")
    scene, change = draw_scene(rng, size_px), Change()
    distance = part_distance_px(scene, change)
    lit = render(scene, change, distance)
    mask = np.zeros((size_px, size_px), dtype=bool)
    if defect is not None:
        change = GEAR_DEFECTS[defect](scene, rng)
        distance = part_distance_px(scene, change)
        other = render(scene, change, distance)
        mask = np.abs(other - lit).max(axis=0) > _VISIBLE
        lit = np.where(mask, other, lit)
    return DrawnPart(with_noise(scene, lit), distance < 0.0, mask)


def write_demo_images(
    folder: Path, seed: int = 0, num_train: int = 60, num_good: int = 10, num_per_kind: int = 3, size_px: int = 256
) -> Path:
    """Write good parts to learn from, good and defective ones to judge, and masks, all as PNG; return `folder`.

    All of it or nothing is written; an older set in the same folder is replaced.
    Raises: CheckpointError where the folder cannot be written; ConfigError for a negative number or too small a side.
    """
    counts = {"num_train": num_train, "num_good": num_good, "num_per_kind": num_per_kind}
    for name, count in counts.items():
        if count < 0:
            raise ConfigError(f"{name} is {count}: give a number of images, 0 or more")
    wanted: list[tuple[str, str | None, int]] = [(f"train/{_GOOD}", None, num_train), (f"test/{_GOOD}", None, num_good)]
    wanted += [(f"test/{kind}", kind, num_per_kind) for kind in GEAR_DEFECTS]
    with atomic_directory(folder, owns=_FOLDERS) as beside:
        for group, (place, kind, count) in enumerate(wanted):
            for number in range(count):
                # a generator per image: more images of one kind leave all others as they are
                part = draw_part(np.random.default_rng((seed, group, number)), size_px, kind)
                write_png(beside / place / f"{number:03d}.png", part.image)
                if kind is not None:
                    mask = part.defect_mask.astype(np.uint8) * 255
                    write_png(beside / "ground_truth" / kind / f"{number:03d}_mask.png", mask)
    return folder


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write an image, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)  # noise does not compress, and level 1 is several times faster
