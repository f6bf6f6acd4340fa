"""What every data-set loader returns, and how the data folder is found.

Legend: n points of a stream, C channels, N instances of a panel, L points of an instance. Labels: 0 normal, 1
anomalous. Read `nab.py`, `ucr.py` and `msl.py` next: one official layout each.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import DataError

__all__ = ["LabelledPanel", "LabelledSeries", "LabelledSplit", "data_root", "find_folder", "label_from_windows"]


@dataclass(frozen=True)
class LabelledSeries:
    """One stream whose head, `values[:train_end]`, may be trained on; the labels cover all of it.

    `windows` are the labelled ranges as (start, end) indices, both inclusive; `gt_label` is 1 inside them.
    """

    name: str
    values: Float[np.ndarray, "n C"]
    timestamps: np.ndarray | None  # datetime64[ns] (n,)
    gt_label: Int[np.ndarray, " n"]
    train_end: int
    windows: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class LabelledSplit:
    """One stream that comes as a training part without labels and a test part with them (ranges inclusive)."""

    name: str
    train: Float[np.ndarray, "m C"]
    test: Float[np.ndarray, "n C"]
    gt_label: Int[np.ndarray, " n"]
    windows: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class LabelledPanel:
    """A classification data set used one-class: `normal_class` is normal, every other class anomalous."""

    name: str
    train: Float[np.ndarray, "N C L"]
    train_class: Int[np.ndarray, " N"]
    test: Float[np.ndarray, "M C L"]
    test_class: Int[np.ndarray, " M"]
    normal_class: int

    @property
    def train_normal(self) -> Float[np.ndarray, "K C L"]:
        """The normal training instances: all that a one-class detector may see."""
        normal: np.ndarray = self.train[self.train_class == self.normal_class]
        return normal

    @property
    def gt_label(self) -> Int[np.ndarray, " M"]:
        """0 for the normal test instances, 1 for the others."""
        label: np.ndarray = (self.test_class != self.normal_class).astype(np.int64)
        return label

    def without_copies(self) -> "LabelledPanel":
        """Return the panel without the test instances that are copies of normal training instances."""
        seen = {own.tobytes() for own in self.train_normal}
        new = np.array([own.tobytes() not in seen for own in self.test], bool)
        return self if new.all() else replace(self, test=self.test[new], test_class=self.test_class[new])


def data_root(explicit: Path | str | None = None) -> Path:
    """Return the folder that holds the data sets: `explicit`, else the environment variable ODDWAVE_DATA.

    Raises: DataError where neither is given or the folder does not exist.
    """
    given = explicit if explicit is not None else os.environ.get("ODDWAVE_DATA")
    if not given:
        raise DataError(
            "no data folder given: pass --data DIR or set ODDWAVE_DATA to the folder that holds the data sets"
        )
    root = Path(given).expanduser()
    if not root.is_dir():
        source = "the given data folder" if explicit is not None else "ODDWAVE_DATA"
        raise DataError(f"{source} '{root}' is not a folder: give the folder that holds the data sets")
    return root


def find_folder(root: Path | str, names: Iterable[str], marker: str, dataset: str) -> Path:
    """Return the first of `root` and its subfolders `names` that holds `marker`, a path inside the data set.

    Raises: DataError with the places that were looked at.
    """
    places = [Path(root), *(Path(root) / name for name in names)]
    for place in places:
        if (place / marker).exists():
            return place
    looked = ", ".join(f"'{place}'" for place in places)
    raise DataError(f"{dataset} not found: no '{marker}' in {looked}; unpack the official download there")


def label_from_windows(n: int, windows: Iterable[tuple[int, int]]) -> Int[np.ndarray, " n"]:
    """Return n labels, 1 inside the (start, end) ranges, both ends inclusive."""
    label = np.zeros(n, dtype=np.int64)
    for start, end in windows:
        label[start : end + 1] = 1
    return label
