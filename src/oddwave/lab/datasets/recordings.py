"""What the loaders of sound data sets return, and the one-class protocol of those that come in folds.

Samples are read when they are asked for. Labels: 0 normal, 1 anomalous. Read
`urbansound8k.py`, `esc.py` and `dcase.py` next: one layout each.
"""

import csv
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oddwave.errors import ConfigError, DataError
from oddwave.lab.datasets.split import Split
from oddwave.sources.audio.decode import AUDIO_ENDINGS

__all__ = ["ClipSplit", "FoldedClip", "one_class_splits", "read_clip_table"]


@dataclass(frozen=True, eq=False)
class ClipSplit(Split):
    """One class of sounds or one machine: normal recordings to train on, test recordings with labels and kinds."""


@dataclass(frozen=True)
class FoldedClip:
    """A clip of one class in one fold; clips cut from one recording lie in one fold."""

    path: Path
    fold: int
    category: str


def read_clip_table(path: Path, columns: Sequence[str], dataset: str) -> list[dict[str, str]]:
    """Read a data set's table of clips. Raises: DataError for a table of another form or without rows."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"'{path}' is not {dataset}'s table of clips ({error}): fetch it again") from error
    for number, row in enumerate(rows, start=2):
        if not all(row.get(column) for column in columns) or not row["fold"].isdecimal():
            raise DataError(f"'{path}' line {number} is no row with {', '.join(columns)}: fetch it again")
    if not rows:
        raise DataError(f"'{path}' has no rows: fetch it again")
    return rows


def one_class_splits(
    dataset: str,
    clips: Sequence[FoldedClip],
    categories: Sequence[str],
    normal_classes: Collection[str] | None,
    train_folds: Collection[int],
    test_folds: Collection[int],
) -> list[ClipSplit]:
    """Make one split per normal class, in the order of `categories`: trained on its clips in the train folds.

    Tested are all clips of the test folds; those of other classes are anomalous.
    Raises: ConfigError for folds that overlap or are none; DataError for folds, classes or files that are missing.
    """
    _check_folds(train_folds, test_folds)
    unknown = sorted(set(normal_classes or ()) - set(categories))
    if unknown:
        raise DataError(f"{dataset} has no class {', '.join(unknown)}: choose from {', '.join(categories)}")
    used = _present_clips(dataset, [clip for clip in clips if clip.fold in {*train_folds, *test_folds}])
    present = {clip.fold for clip in used}
    missing = sorted({*train_folds, *test_folds} - present)
    if missing:
        raise DataError(
            f"{dataset}: no clips of fold(s) {', '.join(map(str, missing))} here: unpack the whole data set, or choose "
            f"train_folds and test_folds from {', '.join(map(str, _folds_at_hand(clips)))}"
        )
    test = [clip for clip in used if clip.fold in test_folds]
    splits = []
    for category in (name for name in categories if normal_classes is None or name in normal_classes):
        train = [clip.path for clip in used if clip.fold in train_folds and clip.category == category]
        if not train:
            raise DataError(f"{dataset}: class {category} has no clip in fold(s) {', '.join(map(str, train_folds))}")
        label = np.array([clip.category != category for clip in test], dtype=np.int64)
        kinds = tuple(clip.category for clip in test)
        splits.append(ClipSplit(category, tuple(train), tuple(clip.path for clip in test), label, kinds))
    return splits


def _check_folds(train_folds: Collection[int], test_folds: Collection[int]) -> None:
    both = sorted(set(train_folds) & set(test_folds))
    if both:
        raise ConfigError(
            f"fold(s) {', '.join(map(str, both))} are in train_folds and in test_folds: keep folds apart, because "
            "clips of one recording share a fold"
        )
    if not train_folds or not test_folds:
        raise ConfigError(
            f"train_folds is {train_folds!r} and test_folds {test_folds!r}: name one fold or more in each"
        )


def _present_clips(dataset: str, clips: Sequence[FoldedClip]) -> list[FoldedClip]:
    """Replace each path by that of the file at hand, and leave out folds of which no file is at hand."""
    at_hand = [FoldedClip(path, clip.fold, clip.category) for clip in clips if (path := _at_hand(clip.path))]
    found, wanted = (Counter(clip.fold for clip in some) for some in (at_hand, clips))
    for fold in sorted(found):
        if found[fold] < wanted[fold]:
            first = next(clip.path for clip in clips if clip.fold == fold and not _at_hand(clip.path))
            raise DataError(
                f"{dataset}: {wanted[fold] - found[fold]} of {wanted[fold]} clips of fold {fold} are missing, first "
                f"'{first}': unpack it again"
            )
    return at_hand


def _folds_at_hand(clips: Sequence[FoldedClip]) -> list[int]:
    return sorted({clip.fold for clip in clips if _at_hand(clip.path)})


def _at_hand(path: Path) -> Path | None:
    """Return the file, or one of the same name in another format: copies are often compressed."""
    if path.is_file():
        return path
    return next((other for ending in AUDIO_ENDINGS if (other := path.with_suffix(ending)).is_file()), None)
