"""TSB-UAD: univariate streams with a label for every point, one file a stream.

Layout: `<name>.csv` with the columns `value,label`, or the official `<name>.out`, which is the same without the line of
names; labels are 0 or 1. Unlike NAB's windows, they cover the anomalous points alone.

`semi_split` says what is trained on where a method learns from normal data: the first stretch of at least 1,000 points
without an anomaly, but for its last tenth, which is scored with everything after it; so the scored part never begins in
the middle of an anomaly. Points before the stretch are neither trained on nor scored.
Source: Paparrizos et al. 2022, TSB-UAD (PVLDB 15). Read `records.py` for what is returned, `planted.py` next.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from oddwave.errors import DataError
from oddwave.lab.datasets.records import LabelledSeries, LabelledSplit
from oddwave.lab.metrics.inputs import label_runs

__all__ = ["LEAST_STRETCH", "load_tsb_uad", "semi_split"]

LEAST_STRETCH = 1000  # points without an anomaly that are enough to train on
_TRAINED_SHARE = 0.9  # of the stretch
_FOLDERS, _ENDINGS = ("tsb_uad", "TSB-UAD", "TSB-UAD-Public"), (".csv", ".out")


def load_tsb_uad(root: Path | str, only: Collection[str] | None = None) -> list[LabelledSeries]:
    """Load the streams in sorted order of their names; `train_end` is where the first anomaly begins.

    `root` is the folder with the files or the data folder above it. `only` keeps the names it lists.
    Raises: DataError for a folder without such files, an unknown name, or a file that cannot be read.
    """
    paths = _find_files(Path(root))
    unknown = sorted(set(only or ()) - set(paths))
    if unknown:
        raise DataError(f"TSB-UAD has no stream {', '.join(unknown)} here: choose from {', '.join(sorted(paths))}")
    return [_load_stream(name, paths[name]) for name in sorted(paths) if only is None or name in only]


def semi_split(series: LabelledSeries) -> LabelledSplit | None:
    """Return the training part and what is scored after it; None where no stretch is long enough or none is left."""
    starts, ends = label_runs(1 - series.gt_label)
    long_enough = np.flatnonzero(ends - starts + 1 >= LEAST_STRETCH)
    if not len(long_enough):
        return None
    start, end = int(starts[long_enough[0]]), int(ends[long_enough[0]])
    cut = start + int(_TRAINED_SHARE * (end - start + 1))
    label = series.gt_label[cut:]
    if not label.any():
        return None
    return LabelledSplit(series.name, series.values[start:cut], series.values[cut:], label, _windows(label))


def _find_files(root: Path) -> dict[str, Path]:
    places = [root / name for name in _FOLDERS]
    if root.name in _FOLDERS:
        places.insert(0, root)
    for place in places:
        paths = {path.stem: path for path in sorted(place.glob("*")) if path.suffix in _ENDINGS}
        if paths:
            return paths
    looked = ", ".join(f"'{place}'" for place in places)
    raise DataError(f"TSB-UAD not found: no <name>.csv or <name>.out in {looked}; unpack the official download there")


def _load_stream(name: str, path: Path) -> LabelledSeries:
    values, label = _read_file(path)
    first = int(np.argmax(label)) if label.any() else len(label)
    return LabelledSeries(name, values, None, label, first, _windows(label))


def _read_file(path: Path) -> tuple[Float[np.ndarray, "n 1"], Int[np.ndarray, " n"]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        named = bool(lines) and not _is_number(lines[0].partition(",")[0])
        table = np.array([line.split(",") for line in lines[named:] if line.strip()], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' is not a TSB-UAD file with value,label rows ({error}): fetch it again") from error
    if table.ndim != 2 or table.shape[1] != 2 or not np.isfinite(table).all() or not np.isin(table[:, 1], (0, 1)).all():
        raise DataError(f"'{path}' has no rows of a finite value and a label of 0 or 1: fetch it again")
    return table[:, :1], table[:, 1].astype(np.int64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _windows(label: Int[np.ndarray, " n"]) -> tuple[tuple[int, int], ...]:
    starts, ends = label_runs(label)
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))
