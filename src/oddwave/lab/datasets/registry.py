"""Which data sets there are, what reads them, under which licence, and where to get them.

Nothing here downloads anything. Read `records.py`, `images.py` and `recordings.py` for what the loaders return.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oddwave.lab.datasets.dcase import load_dcase
from oddwave.lab.datasets.esc import load_esc10, load_esc50
from oddwave.lab.datasets.images import ImageSplit
from oddwave.lab.datasets.msl import load_msl
from oddwave.lab.datasets.mvtec import load_magnetic_tile, load_mvtec
from oddwave.lab.datasets.nab import load_nab
from oddwave.lab.datasets.pems_bay import load_pems_bay
from oddwave.lab.datasets.recordings import ClipSplit
from oddwave.lab.datasets.records import LabelledPanel, LabelledSeries, LabelledSplit
from oddwave.lab.datasets.tsb_uad import load_tsb_uad
from oddwave.lab.datasets.ucr import load_ucr_panels
from oddwave.lab.datasets.urbansound8k import load_urbansound8k
from oddwave.lab.datasets.visa import load_visa

__all__ = ["DATASETS", "DatasetEntry"]


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One data set: `load(root)` gives its records; `layout` says where its files lie under the data folder."""

    load: Callable[..., Sequence[LabelledSeries | LabelledSplit | LabelledPanel | ImageSplit | ClipSplit]]
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
        description="UCR archive 2018, one-class: every data set that is there",
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
    "tsb_uad": DatasetEntry(
        load=load_tsb_uad,
        modality="series",
        description="TSB-UAD: univariate streams from many sources with a label for every point",
        layout="tsb_uad/<name>.csv (value,label), or the official tsb_uad/<name>.out",
        licence="none stated for the collection; cite Paparrizos et al. 2022",
        source="https://github.com/TheDatumOrg/TSB-UAD",
    ),
    "pems_bay": DatasetEntry(
        load=load_pems_bay,
        modality="series",
        description="PEMS-BAY: speeds at 20 of 325 road sensors as one stream, with injected anomalies",
        layout="pems_bay/pems-bay.h5",
        licence="none stated; cite Li et al. 2018",
        source="https://github.com/liyaguang/DCRNN",
    ),
    "mvtec_ad": DatasetEntry(
        load=load_mvtec,
        modality="image",
        description="MVTec AD: 15 categories of products and surfaces with defects and their masks",
        layout="mvtec_ad/<category>/{train/good,test/<defect>,ground_truth/<defect>}",
        licence="CC BY-NC-SA 4.0",
        source="https://www.mvtec.com/company/research/datasets/mvtec-ad",
    ),
    "magnetic_tile": DatasetEntry(
        load=load_magnetic_tile,
        modality="image",
        description="Magnetic-tile surface defects of 5 kinds with masks, one category in MVTec AD's layout",
        layout="magnetic_tile/{train/good,test/<defect>,ground_truth/<defect>}",
        licence="none stated; cite Huang et al. 2018",
        source="https://github.com/abin24/Magnetic-tile-defect-datasets.",
    ),
    "visa": DatasetEntry(
        load=load_visa,
        modality="image",
        description="VisA: 12 objects, 10,821 images, 1,200 of them anomalous with masks",
        layout="visa/split_csv/1cls.csv, visa/<object>/Data/{Images,Masks}",
        licence="CC BY 4.0",
        source="https://github.com/amazon-science/spot-diff",
    ),
    "urbansound8k": DatasetEntry(
        load=load_urbansound8k,
        modality="audio",
        description="UrbanSound8K, one-class: 8,732 clips of city sounds in 10 classes and 10 folds",
        layout="urbansound8k/metadata/UrbanSound8K.csv, urbansound8k/audio/fold<n>/<clip>",
        licence="CC BY-NC 3.0",
        source="https://urbansounddataset.weebly.com/urbansound8k.html",
    ),
    "esc50": DatasetEntry(
        load=load_esc50,
        modality="audio",
        description="ESC-50, one-class: 2,000 clips of surrounding sounds in 50 classes and 5 folds",
        layout="esc50/meta/esc50.csv, esc50/audio/<clip>.wav",
        licence="CC BY-NC 3.0",
        source="https://github.com/karolpiczak/ESC-50",
    ),
    "esc10": DatasetEntry(
        load=load_esc10,
        modality="audio",
        description="ESC-10, one-class: the 400 clips of ESC-50 in its 10 easiest classes",
        layout="esc50/meta/esc50.csv, esc50/audio/<clip>.wav",
        licence="CC BY 3.0",
        source="https://github.com/karolpiczak/ESC-50",
    ),
    "dcase": DatasetEntry(
        load=load_dcase,
        modality="audio",
        description="DCASE Task 2, development data: sounds of machines, normal to train, both kinds to test",
        layout="dcase/dev_data/<machine>/{train,test}/<section, domain and label>.wav",
        licence="CC BY 4.0 (2020: CC BY-NC-SA 4.0)",
        source="https://dcase.community",
    ),
}
