"""VisA: 12 objects, 10,821 images, 1,200 of them anomalous, in the layout of the official download.

Layout: `split_csv/1cls.csv` with the columns `object,split,label,image,mask` (split: train or test; label: normal or
anomaly; paths relative to the data set's folder), `<object>/Data/Images/...`, `<object>/Data/Masks/Anomaly/*.png`.
Every value of a mask but 0 is a class of defect. Source: Zou et al. 2022; licence CC BY 4.0. Read `images.py` for
what is returned.
"""

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np

from oddwave.errors import DataError
from oddwave.lab.datasets.images import GOOD, ImageSplit
from oddwave.lab.datasets.records import find_folder

__all__ = ["load_visa"]

_TABLE = "split_csv/1cls.csv"
_COLUMNS = ("object", "split", "label", "image", "mask")
_ANOMALY = "anomaly"

Row = dict[str, str]


def load_visa(root: Path | str, only: Collection[str] | None = None) -> list[ImageSplit]:
    """Load the one-class split of the objects that are present, in sorted order.

    `root` is VisA's folder or the data folder above it. `only` keeps the objects it lists.
    Raises: DataError for a folder in another layout, a table of another form, or files that it names but are missing.
    """
    folder = find_folder(root, ("visa", "VisA", "VisA_20220922"), _TABLE, "VisA")
    table = _read_table(folder / _TABLE)
    present = [name for name in sorted(table) if (folder / name).is_dir()]
    absent = sorted(set(only or ()) - set(present))
    if absent or not present:
        found = ", ".join(present) or "none of those in its table"
        raise DataError(f"'{folder}' has no object {', '.join(absent or sorted(table))}: found {found}")
    return [_load_object(folder, name, table[name]) for name in present if only is None or name in only]


def _read_table(path: Path) -> dict[str, list[Row]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"'{path}' is not VisA's table of splits ({error}): fetch it again") from error
    table: dict[str, list[Row]] = {}
    for number, row in enumerate(rows, start=2):
        known = set(_COLUMNS) <= set(row) and row["split"] in ("train", "test") and row["label"] in ("normal", _ANOMALY)
        if not known or not row["object"] or not row["image"] or bool(row["mask"]) != (row["label"] == _ANOMALY):
            raise DataError(
                f"'{path}' line {number} is no row of {','.join(_COLUMNS)} with split train or test, label normal or "
                f"{_ANOMALY}, and a mask for anomalies only: fetch it again"
            )
        table.setdefault(row["object"], []).append(row)
    if not table:
        raise DataError(f"'{path}' has no rows: fetch it again")
    return table


def _load_object(folder: Path, name: str, rows: list[Row]) -> ImageSplit:
    needed = [folder / row[column] for row in rows for column in ("image", "mask") if row[column]]
    missing = [path for path in needed if not path.is_file()]
    if missing:
        raise DataError(f"VisA {name}: {len(missing)} of {len(needed)} files are missing, first '{missing[0]}'")
    train = [row for row in rows if row["split"] == "train"]
    test = [row for row in rows if row["split"] == "test"]
    if not train or not test or any(row["label"] == _ANOMALY for row in train):
        raise DataError(f"VisA {name}: expected normal training images and some to test, see '{folder / _TABLE}'")
    label = np.array([row["label"] == _ANOMALY for row in test], dtype=np.int64)
    return ImageSplit(
        name,
        train_paths=tuple(folder / row["image"] for row in train),
        test_paths=tuple(folder / row["image"] for row in test),
        gt_label=label,
        mask_paths=tuple(folder / row["mask"] if row["mask"] else None for row in test),
        kinds=tuple(_ANOMALY if anomalous else GOOD for anomalous in label),
    )
