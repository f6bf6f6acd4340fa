"""UrbanSound8K one-class: 8,732 clips of up to 4 s in 10 classes, each class normal in turn.

Layout: `metadata/UrbanSound8K.csv` with the columns `slice_file_name,fold,classID,class` among others, and
`audio/fold<1 to 10>/<slice_file_name>`. Official clips are WAV of mixed rates, depths and channels; copies in another
format are read too. Clips cut from one recording lie in one fold, so folds must not be mixed.
Source: Salamon et al. 2014; licence CC BY-NC 3.0. Read `recordings.py` for what is returned.

The protocol here: train on the normal class in folds 1 and 2, test on all of fold 10. Because no one-class figures are
published, it is one of our own; with the whole data set, train on 1 to 9: `train_folds=range(1, 10)`.
"""

from collections.abc import Collection
from pathlib import Path

from oddwave.lab.datasets.recordings import ClipSplit, FoldedClip, one_class_splits, read_clip_table
from oddwave.lab.datasets.records import find_folder

__all__ = ["URBANSOUND8K_CLASSES", "load_urbansound8k"]

URBANSOUND8K_CLASSES = (
    "air_conditioner",
    "car_horn",
    "children_playing",
    "dog_bark",
    "drilling",
    "engine_idling",
    "gun_shot",
    "jackhammer",
    "siren",
    "street_music",
)
_TABLE = "metadata/UrbanSound8K.csv"
_FOLDERS = ("urbansound8k", "UrbanSound8K")


def load_urbansound8k(
    root: Path | str,
    *,
    normal_classes: Collection[str] | None = None,
    train_folds: Collection[int] = (1, 2),
    test_folds: Collection[int] = (10,),
) -> list[ClipSplit]:
    """Load one split per normal class, by default of all ten, in the order of their numbers.

    `root` is the data set's folder or the data folder above it. Only the folds that are named need be there.
    Raises: DataError for a folder in another layout, a table of another form, and folds, classes or clips that are
    missing; ConfigError for folds that overlap.
    """
    folder = find_folder(root, _FOLDERS, _TABLE, "UrbanSound8K")
    rows = read_clip_table(folder / _TABLE, ("slice_file_name", "fold", "class"), "UrbanSound8K")
    clips = [
        FoldedClip(folder / "audio" / f"fold{row['fold']}" / row["slice_file_name"], int(row["fold"]), row["class"])
        for row in rows
    ]
    return one_class_splits("UrbanSound8K", clips, URBANSOUND8K_CLASSES, normal_classes, train_folds, test_folds)
