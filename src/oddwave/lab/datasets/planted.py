"""Normal data with anomalies planted in them, whose every changed point is known: streams, and instances of panels.

    msl_<channel>          `train` of a channel of MSL, which holds no labelled anomaly
    nab_<group>-<file>     the longest stretch of a NAB file outside its labelled windows
    synthetic_<number>     a stream of 1 to 4 channels from `planted/normal_streams.py`
    ucr_<set>              a panel: the normal instances of a UCR set's TEST, an anomaly in every other one of them

Streams have 1,000 to 6,000 points, longer ones being cut, and 30 distinct values or more; the first 40 % of them stay
as they are and may be trained on, the rest gets 3 to 6 anomalies of all kinds, sizes and strengths, some of them too
weak to be seen. Up to `NUM_REAL` streams of each source and `NUM_PANELS` panels are taken, evenly spread over the
sorted names. Everything follows from an item's name and the seed.

A point is labelled where any channel was changed, and between two such points less than `_GAP` apart: where a planted
stretch crosses what was there before, its values are the old ones. Different anomalies are further apart than that.

The shipped prior of series learns from the generators of the synthetic streams and of the anomalies, with other seeds:
the real streams say more about it than the synthetic ones. What was odd in them before stays unlabelled.
Read `planted/series_streams.py` for what is planted.

Legend: n points, C channels, N instances, L points of one.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

from oddwave.errors import DataError
from oddwave.lab.datasets.msl import load_msl
from oddwave.lab.datasets.nab import load_nab
from oddwave.lab.datasets.records import LabelledPanel, LabelledSeries
from oddwave.lab.datasets.ucr import load_ucr, ucr_names
from oddwave.lab.metrics.inputs import label_runs
from oddwave.planted.normal_streams import normal_stream
from oddwave.planted.series_streams import plant_in_stream

__all__ = ["NUM_PANELS", "NUM_REAL", "NUM_SYNTHETIC", "PlantedData", "load_planted"]

NUM_REAL, NUM_SYNTHETIC, NUM_PANELS = 9, 12, 8
_LEAST_POINTS, _MOST_POINTS, _LEAST_DISTINCT = 1000, 6000, 30
_TRAINED_SHARE = 0.4
_FEWEST, _MOST = 3, 6  # anomalies of a stream
_GAP = 32  # points that `plant_in_stream` keeps between two anomalies
_LEAST_NORMAL, _MOST_INSTANCES = 10, 200  # of a panel: to train on and to score at least, to score at most
_STRENGTH = (0.5, 10.0)  # units of change; so wide that neighbours and PCA have an AUROC of about 0.8 (semi)
_MAX_DRAWS = 50

Item = TypeVar("Item")
Named = tuple[str, Float[np.ndarray, "n C"]]


class PlantedData(NamedTuple):
    """Streams, whose head up to `train_end` is clean, and panels, whose planted instances are of class 1."""

    streams: list[LabelledSeries]
    panels: list[LabelledPanel]


def load_planted(root: Path | str, seed: int = 0) -> PlantedData:
    """Plant anomalies in what is there of MSL, NAB and UCR, and in synthetic streams beside it.

    Raises: DataError where none of the three holds normal data that are long enough.
    """
    real, missing = [], []
    for read in (_msl_streams, _nab_streams):
        try:
            real += _spread(read(root), NUM_REAL)
        except DataError as error:
            missing.append(str(error))
    try:
        panels = _panels(root, seed)
    except DataError as error:
        panels = []
        missing.append(str(error))
    if not real and not panels:
        why = missing[0] if missing else f"no stream has {_LEAST_POINTS} normal points"
        raise DataError(f"normal data to plant in not found: give MSL, NAB or UCR ({why})")
    streams = [*real, *(_synthetic(number, seed) for number in range(NUM_SYNTHETIC))]
    return PlantedData([_planted_stream(*own, seed) for own in streams], panels)


def _msl_streams(root: Path | str) -> list[Named]:
    return [(f"msl_{split.name}", split.train[:_MOST_POINTS]) for split in load_msl(root) if _fits(split.train)]


def _nab_streams(root: Path | str) -> list[Named]:
    streams = []
    for series in load_nab(root):
        starts, ends = label_runs(1 - series.gt_label)
        longest = int(np.argmax(ends - starts))
        values = series.values[starts[longest] : ends[longest] + 1]
        if _fits(values):
            streams.append((f"nab_{series.name.replace('/', '-')}", values[:_MOST_POINTS]))
    return streams


def _fits(values: Float[np.ndarray, "n 1"]) -> bool:
    return len(values) >= _LEAST_POINTS and len(np.unique(values[:_MOST_POINTS])) >= _LEAST_DISTINCT


def _synthetic(number: int, seed: int) -> Named:
    name = f"synthetic_{number:02d}"
    rng = _generator(name, seed)
    return name, normal_stream(rng, int(rng.integers(2000, _MOST_POINTS + 1)), 1 + number % 4)


def _planted_stream(name: str, values: Float[np.ndarray, "n C"], seed: int) -> LabelledSeries:
    """Plant until the number of events is one of those wanted: anomalies for which there is no room are left out."""
    head = round(_TRAINED_SHARE * len(values))
    rng = _generator(f"{name} planted", seed)
    for _ in range(_MAX_DRAWS):
        num = int(rng.integers(_FEWEST, _MOST + 1))
        changed, mask = plant_in_stream(
            values, rng, num=num, recurring=rng.uniform() < 0.3, strength=_STRENGTH, region=(head, len(values))
        )
        windows = _events(np.asarray(mask.any(axis=1)))
        if _FEWEST <= len(windows) <= _MOST:
            label = np.zeros(len(values), np.int64)
            for start, end in windows:
                label[start : end + 1] = 1
            return LabelledSeries(name, changed, None, label, head, windows)
    raise DataError(f"'{name}': {_FEWEST} anomalies do not fit into its {len(values)} points: leave the stream out")


def _events(changed: Bool[np.ndarray, " n"]) -> tuple[tuple[int, int], ...]:
    starts, ends = label_runs(changed.astype(np.int64))
    apart = starts[1:] - ends[:-1] > _GAP
    first, last = starts[np.append(True, apart)], ends[np.append(apart, True)]
    return tuple(zip(first.tolist(), last.tolist(), strict=True))


def _panels(root: Path | str, seed: int) -> list[LabelledPanel]:
    panels = (
        _planted_panel(load_ucr(root, name).without_copies(), seed) for name in _spread(ucr_names(root), NUM_PANELS)
    )
    return [panel for panel in panels if panel is not None]


def _planted_panel(panel: LabelledPanel, seed: int) -> LabelledPanel | None:
    normal = panel.test[panel.gt_label == 0][:_MOST_INSTANCES]
    if min(len(normal), len(panel.train_normal)) < _LEAST_NORMAL:
        return None
    name = f"ucr_{panel.name}"
    rng = _generator(name, seed)
    kind: Int[np.ndarray, " N"] = rng.permutation(np.arange(len(normal)) % 2)
    test = np.stack([_planted_instance(own, rng) if odd else own for own, odd in zip(normal, kind, strict=True)])
    train = panel.train_normal
    return LabelledPanel(name, train, np.zeros(len(train), np.int64), test, kind, 0)


def _planted_instance(instance: Float[np.ndarray, "C L"], rng: np.random.Generator) -> Float[np.ndarray, "C L"]:
    return plant_in_stream(np.ascontiguousarray(instance.T), rng, num=1, strength=_STRENGTH)[0].T


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return up to `most` of the items, evenly spread."""
    places = np.unique(np.linspace(0, len(items) - 1, min(len(items), most)).round().astype(np.int64))
    return [items[place] for place in places]


def _generator(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])
