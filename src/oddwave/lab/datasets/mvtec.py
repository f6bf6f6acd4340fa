"""MVTec AD, magnetic tile, and any other images in MVTec AD's layout.

Layout: `<category>/train/good/*`, `<category>/test/good/*`, `<category>/test/<defect>/*`, and
`<category>/ground_truth/<defect>/<stem>_mask.png`. Defects may have any names; images any of the usual endings.
Where there is no folder `ground_truth` at all, the images have labels but no masks.

MVTec AD: Bergmann et al. 2019, 15 categories; licence CC BY-NC-SA 4.0. Magnetic tile: Huang et al. 2018, surface
defects of 5 kinds, here split into train and test. Read `images.py` for what is returned.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from oddwave.errors import DataError
from oddwave.lab.datasets.images import GOOD, ImageSplit
from oddwave.lab.datasets.records import find_folder
from oddwave.sources.image.folder import is_image_name

__all__ = ["MVTEC_CATEGORIES", "load_category", "load_magnetic_tile", "load_mvtec"]

MVTEC_CATEGORIES = (
    "bottle",
    "cable",
    "capsule",
    "carpet",
    "grid",
    "hazelnut",
    "leather",
    "metal_nut",
    "pill",
    "screw",
    "tile",
    "toothbrush",
    "transistor",
    "wood",
    "zipper",
)
_FOLDERS = ("mvtec_ad", "mvtec", "MVTec", "mvtec_anomaly_detection")
_NORMALS = f"train/{GOOD}"


def load_mvtec(root: Path | str, only: Collection[str] | None = None) -> list[ImageSplit]:
    """Load the categories that are present, in sorted order.

    `root` is MVTec AD's folder, the data folder above it, one category, or a folder of categories of your own in the
    same layout. `only` keeps the categories it lists.
    Raises: DataError for a folder in another layout, a category that is not there, or a damaged one.
    """
    folders = {folder.name: folder for folder in _category_folders(Path(root))}
    absent = sorted(set(only or ()) - set(folders))
    if absent:
        known = [name for name in absent if name in MVTEC_CATEGORIES]
        hint = f"download and unpack {', '.join(known)} there, or " if known else ""
        raise DataError(f"'{root}' has no category {', '.join(absent)}: {hint}choose from {', '.join(sorted(folders))}")
    return [load_category(folders[name]) for name in sorted(folders) if only is None or name in only]


def load_magnetic_tile(root: Path | str, only: Collection[str] | None = None) -> list[ImageSplit]:
    """Load magnetic tile, a single category, from its own folder or the data folder above it.

    Raises: DataError for a folder in another layout, or an `only` without `magnetic_tile`.
    """
    folder = find_folder(root, ("magnetic_tile",), _NORMALS, "magnetic tile")
    if only is not None and set(only) != {folder.name}:
        raise DataError(f"magnetic tile has no category {', '.join(sorted(only))}: it is one, {folder.name}")
    return [load_category(folder)]


def load_category(folder: Path | str) -> ImageSplit:
    """Load one category, whatever its name, from a folder in MVTec AD's layout.

    Raises: DataError where a part of the layout is missing or empty, or a defective image lacks its mask although
    there is a folder `ground_truth`.
    """
    folder = Path(folder).absolute()
    train = tuple(_images(folder / _NORMALS))
    kinds = sorted(path.name for path in _subfolders(folder / "test"))
    listed = [(path, kind) for kind in kinds for path in _images(folder / "test" / kind)]
    if not train or not listed:
        part = "test/<defect or good>" if train else _NORMALS
        raise DataError(f"'{folder}' is not in MVTec AD's layout: it has no images in {part}")
    masked = (folder / "ground_truth").is_dir()
    masks = [None if kind == GOOD or not masked else _mask_of(path, kind, folder) for path, kind in listed]
    label = np.array([kind != GOOD for _, kind in listed], dtype=np.int64)
    paths, names = zip(*listed, strict=True)
    return ImageSplit(folder.name, train, paths, label, names, tuple(masks))


def _category_folders(root: Path) -> list[Path]:
    if (root / _NORMALS).is_dir():
        return [root.absolute()]
    places = [*(root / name for name in _FOLDERS), root]
    for place in places:
        found = [folder for folder in _subfolders(place) if (folder / _NORMALS).is_dir()]
        if found:
            return found
    looked = ", ".join(f"'{place}'" for place in places)
    raise DataError(f"MVTec AD not found: no '<category>/{_NORMALS}' in {looked}; unpack the official download there")


def _subfolders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if is_image_name(path) and not path.name.startswith("."))


def _mask_of(image: Path, kind: str, folder: Path) -> Path:
    place = folder / "ground_truth" / kind
    for name in (f"{image.stem}_mask.png", f"{image.stem}.png", image.name):
        if (place / name).is_file():
            return place / name
    raise DataError(f"'{image}' has no mask '{place / image.stem}_mask.png': fetch the data set again")
