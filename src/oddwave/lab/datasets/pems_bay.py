"""PEMS-BAY: speeds of 325 road sensors around the San Francisco Bay, every 5 minutes; anomalies are injected.

Layout (the official download): `pems-bay.h5`, a pandas data frame `speed` of 52,116 rows (January to June 2017, in
miles per hour) and a column per sensor, stored by `HDFStore` in its fixed format. That format is read with h5py alone:
`axis0` the sensors, `axis1` the times, and `block<i>_items` with `block<i>_values`, (rows, columns). Neither pandas nor
PyTables is needed. A speed of exactly 0 stands for a silent sensor in these data and is filled by straight lines in
time, as are gaps (NaN).

Protocol, ours: the data have no labelled anomalies, so a seed decides them. The first 60 % of the rows are for
training and stay as they are; `inject_anomalies` plants 60 events, 10 of each kind, in the last 40 %. Of the sensors 20
are used, evenly spaced among the columns, together as one stream of 20 channels: events touch some of the channels, so
the roads' common rush hours help whoever can use them, and a method runs once instead of 20 times. `together=False`
gives 20 univariate streams with events of their own. Real incidents (crashes, closures) carry no label, in either part.

Source: Li et al. 2018, Diffusion convolutional recurrent neural network (arXiv 1707.01926); the California Department
of Transportation's performance measurement system. Read `injection.py` next.

Legend: n rows, C channels (sensors).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from oddwave.errors import ConfigError, DataError, MissingExtraError
from oddwave.lab.datasets.injection import inject_anomalies
from oddwave.lab.datasets.records import LabelledSeries, find_folder, label_from_windows
from oddwave.tensors.series_scale import fill_missing

__all__ = ["TRAIN_SHARE", "load_pems_bay"]

TRAIN_SHARE = 0.6
_FILE, _FRAME = "pems-bay.h5", "speed"


class _Speeds(NamedTuple):
    sensors: list[str]
    timestamps: np.ndarray  # datetime64[ns] (n,)
    values: Float[np.ndarray, "n C"]


def load_pems_bay(
    root: Path | str, *, num_sensors: int = 20, together: bool = True, num_events: int = 60, seed: int = 0
) -> list[LabelledSeries]:
    """Load `num_sensors` evenly spaced sensors, with `num_events` labelled anomalies injected behind `train_end`.

    `root` is the folder of the official file or the data folder above it. All sensors are channels of one stream, named
    like `20_sensors`; without `together` each is a stream, named like `sensor_400001`, and the i-th of them (from 0)
    gets the seed `seed` + i.
    Raises: DataError for a folder without the file, or a file in another layout; ConfigError for more sensors than
    there are, or more events than have room; MissingExtraError without h5py.
    """
    folder = find_folder(root, ("pems_bay", "PEMS-BAY", "pems-bay"), _FILE, "PEMS-BAY")
    speeds = _read_frame(folder / _FILE)
    if not 1 <= num_sensors <= len(speeds.sensors):
        raise ConfigError(f"num_sensors is {num_sensors}: PEMS-BAY has 1 to {len(speeds.sensors)} here")
    columns = np.linspace(0, len(speeds.sensors) - 1, num_sensors).round().astype(np.int64)
    values = fill_missing(np.where(speeds.values[:, columns] == 0, np.nan, speeds.values[:, columns]))[0]
    if together:
        return [_injected(f"{num_sensors}_sensors", values, speeds.timestamps, num_events, seed)]
    return [
        _injected(f"sensor_{speeds.sensors[column]}", values[:, [i]], speeds.timestamps, num_events, seed + i)
        for i, column in enumerate(columns)
    ]


def _injected(
    name: str, values: Float[np.ndarray, "n C"], timestamps: np.ndarray, num_events: int, seed: int
) -> LabelledSeries:
    train_end = int(TRAIN_SHARE * len(values))
    tail = inject_anomalies(values[train_end:], num_events=num_events, seed=seed)
    windows = tuple((train_end + start, train_end + end) for start, end in tail.windows)
    whole = np.concatenate([values[:train_end], tail.values])
    return LabelledSeries(name, whole, timestamps, label_from_windows(len(whole), windows), train_end, windows)


def _read_frame(path: Path) -> _Speeds:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("reading PEMS-BAY's HDF5 file", "hdf5") from error
    try:
        with h5py.File(path, "r") as file:
            return _frame_of(file[_FRAME])
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"'{path}' does not hold the data frame '{_FRAME}' in pandas' fixed HDF5 format ({error}): fetch it again"
        ) from error


def _frame_of(group: Mapping[str, Any]) -> _Speeds:
    """Put the blocks of a stored data frame together. Raises: KeyError and others for what is not one."""
    sensors = _names(group["axis0"][:])
    timestamps = _times(group["axis1"])
    values = np.full((len(timestamps), len(sensors)), np.nan)
    column_of = {sensor: column for column, sensor in enumerate(sensors)}
    for key in group:
        if key.startswith("block") and key.endswith("_values"):
            items = _names(group[key.replace("_values", "_items")][:])
            values[:, [column_of[item] for item in items]] = group[key][:]
    if not values.size or np.isinf(values).any() or np.isnan(values).all(axis=0).any():
        raise ValueError(f"{values.shape[0]} rows of {values.shape[1]} sensors, some infinite or without any value")
    return _Speeds(sensors, timestamps, values)


def _names(stored: np.ndarray) -> list[str]:
    """Return column labels, numbers or bytes, as text."""
    return [label.decode() if isinstance(label, bytes) else str(label) for label in stored.tolist()]


def _times(axis: Any) -> np.ndarray:
    """Return an index of integers as the times they count, in the unit that their kind names (nanoseconds if none)."""
    kind = axis.attrs["kind"]
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if not kind.startswith("datetime64"):
        raise ValueError(f"its rows are labelled by '{kind}', not by times")
    unit = kind if "[" in kind else "datetime64[ns]"
    times: np.ndarray = axis[:].astype(np.int64).view(unit).astype("datetime64[ns]")
    return times
