"""Which data sets there are, what reads them, under which licence, and where to get them.

Nothing here downloads anything. Read `records.py` for what the loaders return.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oddwave.datasets.msl import load_msl
from oddwave.datasets.nab import load_nab
from oddwave.datasets.records import LabelledPanel, LabelledSeries, LabelledSplit
from oddwave.datasets.ucr import load_ucr_panels

__all__ = ["DATASETS", "DatasetEntry"]


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One data set: `load(root)` gives its records; `layout` says where its files lie under the data folder."""

    load: Callable[..., Sequence[LabelledSeries | LabelledSplit | LabelledPanel]]
    modality: str
    description: str
    layout: str
    licence: str
    source: str


DATASETS: dict[str, DatasetEntry] = {
    "nab": DatasetEntry(
        load=load_nab,
        modality="series",
        description="Numenta Anomaly Benchmark: 58 univariate streams, 52 with labelled windows",
        layout="nab/data/<group>/<file>.csv, nab/labels/combined_windows.json",
        licence="MIT (older releases: AGPL-3.0)",
        source="https://github.com/numenta/NAB",
    ),
    "ucr": DatasetEntry(
        load=load_ucr_panels,
        modality="series",
        description="UCR archive 2018, one-class: DodgerLoopWeekend, ECG200, FordA, Lightning2, Wafer",
        layout="ucr/<Name>/<Name>_TRAIN.tsv, ucr/<Name>/<Name>_TEST.tsv",
        licence="none stated; cite Dau et al. 2019",
        source="https://www.cs.ucr.edu/~eamonn/time_series_data_2018/",
    ),
    "msl": DatasetEntry(
        load=load_msl,
        modality="series",
        description="NASA Mars Science Laboratory telemetry: 27 channels, train and test apart",
        layout="msl/labeled_anomalies.csv, msl/data/train/<id>.npy, msl/data/test/<id>.npy",
        licence="public (NASA)",
        source="https://github.com/khundman/telemanom",
    ),
}
