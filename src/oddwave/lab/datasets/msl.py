"""NASA Mars Science Laboratory telemetry: one stream per rover channel, apart for training and testing.

Layout (telemanom's): `labeled_anomalies.csv` with the columns `chan_id,spacecraft,anomaly_sequences,class,num_values`,
and `data/train/<chan_id>.npy`, `data/test/<chan_id>.npy`, each (rows, 55). Column 0 is the telemetry value; the other
54 are one-hot commands. The labelled ranges index the test part and include both ends. Rows of the table that belong to
the other spacecraft (SMAP) are passed over. Source: Hundman et al. 2018; public (NASA). Read `registry.py` next.
"""

import csv
import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError
from oddwave.lab.datasets.records import LabelledSplit, find_folder, label_from_windows

__all__ = ["load_msl"]


def load_msl(root: Path | str, channel: int | None = 0, only: Collection[str] | None = None) -> list[LabelledSplit]:
    """Load the MSL channels in sorted order of their ids.

    `root` is telemanom's folder or the data folder above it. `channel` is the column kept (0: telemetry; None: all 55).
    `only` keeps the channel ids it lists.
    Raises: DataError for a folder in another layout, an unknown id or column, or a file that cannot be read.
    """
    folder = find_folder(root, ("msl", "MSL", "telemanom"), "labeled_anomalies.csv", "MSL")
    table = _read_table(folder / "labeled_anomalies.csv")
    unknown = sorted(set(only or ()) - set(table))
    if unknown:
        raise DataError(f"MSL has no channel {', '.join(unknown)}: choose from {', '.join(sorted(table))}")
    names = sorted(name for name in table if only is None or name in only)
    return [_load_channel(folder / "data", name, table[name], channel) for name in names]


def _read_table(path: Path) -> dict[str, tuple[tuple[int, int], ...]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["spacecraft"] == "MSL"]
        return {row["chan_id"]: _ranges(row["anomaly_sequences"]) for row in rows}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"'{path}' is not telemanom's table of labels ({error}): fetch it again") from error


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((int(start), int(end)) for start, end in json.loads(text)))


def _load_channel(data: Path, name: str, windows: tuple[tuple[int, int], ...], channel: int | None) -> LabelledSplit:
    train, test = (_read_array(data / part / f"{name}.npy", channel) for part in ("train", "test"))
    outside = [span for span in windows if not 0 <= span[0] <= span[1] < len(test)]
    if outside:
        raise DataError(f"MSL {name}: labelled ranges {outside} lie outside its {len(test)} test rows: fetch it again")
    return LabelledSplit(name, train, test, label_from_windows(len(test), windows), windows)


def _read_array(path: Path, channel: int | None) -> Float[np.ndarray, "n C"]:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"'{path}' is not a NumPy file of telemetry ({error}): fetch it again") from error
    if values.ndim != 2 or not len(values):
        raise DataError(f"'{path}' has shape {values.shape}: expected (rows, columns) with at least one row")
    if channel is not None and not 0 <= channel < values.shape[1]:
        raise DataError(f"MSL column {channel} was asked for, '{path}' has columns 0..{values.shape[1] - 1}")
    kept = values if channel is None else values[:, channel : channel + 1]
    return np.ascontiguousarray(kept, dtype=np.float64)
