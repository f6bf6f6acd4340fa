"""ESC-50 and its subset ESC-10, one-class: clips of 5 s in 50 or 10 classes, each class normal in turn.

Layout: `meta/esc50.csv` with the columns `filename,fold,target,category,esc10` among others, and `audio/<filename>`.
Both have 5 folds, and clips cut from one recording lie in one fold, so folds must not be mixed: by default train on the
normal class in folds 1 to 4 and test on all of fold 5. Source: Piczak 2015; licence CC BY-NC 3.0, ESC-10 CC BY 3.0.
Read `recordings.py` for what is returned.
"""

from collections.abc import Collection
from pathlib import Path

from oddwave.lab.datasets.recordings import ClipSplit, FoldedClip, one_class_splits, read_clip_table
from oddwave.lab.datasets.records import find_folder

__all__ = ["load_esc10", "load_esc50"]

_TABLE = "meta/esc50.csv"
_FOLDERS = ("esc50", "ESC-50", "ESC-50-master", "esc10", "ESC-10")
_TRAIN_FOLDS, _TEST_FOLDS = (1, 2, 3, 4), (5,)


def load_esc50(
    root: Path | str,
    *,
    normal_classes: Collection[str] | None = None,
    train_folds: Collection[int] = _TRAIN_FOLDS,
    test_folds: Collection[int] = _TEST_FOLDS,
) -> list[ClipSplit]:
    """Load one split per normal class, by default of all fifty, in the order of their names.

    `root` is the data set's folder or the data folder above it. Only the folds that are named need be there.
    Raises: DataError for a folder in another layout, a table of another form, and folds, classes or clips that are
    missing; ConfigError for folds that overlap.
    """
    return _load("ESC-50", Path(root), normal_classes, train_folds, test_folds)


def load_esc10(
    root: Path | str,
    *,
    normal_classes: Collection[str] | None = None,
    train_folds: Collection[int] = _TRAIN_FOLDS,
    test_folds: Collection[int] = _TEST_FOLDS,
) -> list[ClipSplit]:
    """Load the ten classes of ESC-10, as `load_esc50` does: the same files and folds. Raises: as `load_esc50`."""
    return _load("ESC-10", Path(root), normal_classes, train_folds, test_folds)


def _load(
    dataset: str,
    root: Path,
    normal_classes: Collection[str] | None,
    train_folds: Collection[int],
    test_folds: Collection[int],
) -> list[ClipSplit]:
    folder = find_folder(root, _FOLDERS, _TABLE, dataset)
    rows = read_clip_table(folder / _TABLE, ("filename", "fold", "category", "esc10"), dataset)
    chosen = [row for row in rows if dataset == "ESC-50" or row["esc10"].lower() == "true"]
    clips = [FoldedClip(folder / "audio" / row["filename"], int(row["fold"]), row["category"]) for row in chosen]
    categories = sorted({clip.category for clip in clips})
    return one_class_splits(dataset, clips, categories, normal_classes, train_folds, test_folds)
