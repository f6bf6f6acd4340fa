"""UCR archive 2018, used one-class: train on the normal instances of TRAIN, score TEST.

Layout (the official archive's): `<Name>/<Name>_TRAIN.tsv` and `_TEST.tsv`, one instance per row, the first column its
class. Normal class per data set, by what it records:

    ECG200           1  normal heartbeat (-1: ischemia)
    Wafer            1  normal process run (-1: faulty)
    Lightning2       1  the class treated as normal here (-1: the other kind of discharge)
    FordA           -1  engine noise without the symptom; nearly balanced, an honest hard case
    DodgerLoopWeekend 1  weekday: 102 of 138 test days, with a morning rush that class 2 (weekend) lacks
    any other set       the most frequent class of TRAIN; of equally frequent ones the smallest

Missing values: DodgerLoopWeekend has gaps (NaN) where the loop sensor was silent, in 14 of its 158 days. They are
filled within each instance by straight lines in time (ends by the nearest value), from that instance alone;
`missing="keep"` leaves them. Most data sets come already z-normalised per row.
Source: Dau et al. 2019, the UCR time series archive. Read `records.py` for the panel that is returned.
"""

import warnings
from collections.abc import Collection
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import ConfigError, DataError
from oddwave.lab.datasets.records import LabelledPanel, find_folder

__all__ = ["NORMAL_CLASS", "load_ucr", "load_ucr_panels", "ucr_names"]

_FOLDERS = ("ucr", "UCRArchive_2018")
NORMAL_CLASS = {"DodgerLoopWeekend": 1, "ECG200": 1, "FordA": -1, "Lightning2": 1, "Wafer": 1}


def load_ucr(
    root: Path | str,
    name: str,
    normal_class: int | None = None,
    missing: str = "interpolate",
) -> LabelledPanel:
    """Load one data set of the archive as a panel of univariate instances (N, 1, L).

    `root` is the archive's folder or the data folder above it; `normal_class` is that of `NORMAL_CLASS` unless it is
    given, else the most frequent class of TRAIN; `missing` is "interpolate" or "keep".
    Raises: ConfigError for an unknown `missing`; DataError for a missing or damaged file, or a normal class that TRAIN
    does not hold.
    """
    if missing not in ("interpolate", "keep"):
        raise ConfigError(f"missing is {missing!r}: give 'interpolate' or 'keep'")
    folder = find_folder(root, _FOLDERS, f"{name}/{name}_TRAIN.tsv", f"UCR data set {name}") / name
    parts = [_read_tsv(folder / f"{name}_{part}.tsv", missing) for part in ("TRAIN", "TEST")]
    (train_class, train), (test_class, test) = parts
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"'{folder}': TRAIN instances have {train.shape[2]} points, TEST {test.shape[2]}: fetch it again"
        )
    normal = NORMAL_CLASS.get(name, _most_frequent(train_class)) if normal_class is None else normal_class
    if not (train_class == normal).any():
        present = np.unique(train_class).tolist()
        raise DataError(
            f"'{folder}': TRAIN has no instance of normal class {normal}, only {present}: choose one of them"
        )
    return LabelledPanel(name, train, train_class, test, test_class, normal)


def load_ucr_panels(root: Path | str, only: Collection[str] | None = None) -> list[LabelledPanel]:
    """Load, in sorted order, the data sets that are there, or those of them that `only` lists.

    Raises: DataError for a name in `only` that is not there; as `load_ucr` and `ucr_names`.
    """
    names = ucr_names(root)
    unknown = sorted(set(only or ()) - set(names))
    if unknown:
        raise DataError(f"UCR archive has no {', '.join(unknown)} here: choose from {', '.join(names)}")
    return [load_ucr(root, name) for name in names if only is None or name in only]


def ucr_names(root: Path | str) -> list[str]:
    """Return the names of the data sets that are there, sorted. Raises: DataError where there is none."""
    places = [Path(root), *(Path(root) / name for name in _FOLDERS)]
    for place in places:
        paths = place.glob("*/*_TRAIN.tsv")
        names = sorted(path.parent.name for path in paths if path.name == f"{path.parent.name}_TRAIN.tsv")
        if names:
            return names
    looked = ", ".join(f"'{place}'" for place in places)
    raise DataError(
        f"UCR archive not found: no '<Name>/<Name>_TRAIN.tsv' in {looked}; unpack the official download there"
    )


def _most_frequent(classes: Int[np.ndarray, " N"]) -> int:
    values, counts = np.unique(classes, return_counts=True)
    return int(values[np.argmax(counts)])  # of equal counts the first, which is the smallest class


def _read_tsv(path: Path, missing: str) -> tuple[Int[np.ndarray, " N"], Float[np.ndarray, "N 1 L"]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # numpy warns of an empty file; the check below refuses it
            table = np.loadtxt(path, delimiter="\t", ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' is not a tab-separated UCR file ({error}): fetch it again") from error
    if table.shape[0] < 1 or table.shape[1] < 2 or not np.isfinite(table[:, 0]).all():
        raise DataError(f"'{path}' has no rows of a class and at least one value: fetch it again")
    values = table[:, 1:]
    if missing == "interpolate":
        values = _filled(values, path)
    return table[:, 0].astype(np.int64), values[:, None, :]


def _filled(values: Float[np.ndarray, "N L"], path: Path) -> Float[np.ndarray, "N L"]:
    filled, time = values.copy(), np.arange(values.shape[1])
    for row in np.flatnonzero(np.isnan(values).any(axis=1)):
        seen = ~np.isnan(values[row])
        if not seen.any():
            raise DataError(f"'{path}' row {row + 1} has no value at all: remove the row or load with missing='keep'")
        filled[row] = np.interp(time, time[seen], values[row, seen])
    return filled
