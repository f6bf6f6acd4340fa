"""UrbanSound8K at hand: counted, and one class of it decoded.

The folder is ODDWAVE_DATA, else shared/data beside the repository.
"""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.lab.datasets.urbansound8k import URBANSOUND8K_CLASSES, load_urbansound8k
from oddwave.sources.audio.clips import cut_clips
from oddwave.sources.audio.reader import read_audio

ROOT = Path(os.environ.get("ODDWAVE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
pytestmark = pytest.mark.real

IN_FOLDS_1_AND_2 = (200, 78, 200, 200, 200, 196, 70, 240, 177, 200)
IN_FOLD_10 = (100, 33, 100, 100, 100, 93, 32, 96, 83, 100)


@pytest.fixture(scope="module")
def splits():
    if not (ROOT / "urbansound8k").is_dir():
        pytest.skip(f"no 'urbansound8k' in '{ROOT}': set ODDWAVE_DATA to the data folder")
    return load_urbansound8k(ROOT)


def test_urbansound8k_counts(splits):
    assert tuple(split.name for split in splits) == URBANSOUND8K_CLASSES
    assert tuple(len(split.train_paths) for split in splits) == IN_FOLDS_1_AND_2
    for split, normal in zip(splits, IN_FOLD_10, strict=True):
        assert len(split.test_paths) == len(split.gt_label) == 837
        assert int((split.gt_label == 0).sum()) == Counter(split.kinds)[split.name] == normal
        assert not set(split.train_paths) & set(split.test_paths)


def test_folds_that_are_not_at_hand_are_named(splits):
    folds = sorted(int(path.name.removeprefix("fold")) for path in (ROOT / "urbansound8k" / "audio").glob("fold*"))
    if folds != [1, 2, 10]:
        pytest.skip(f"folds {folds} are at hand")
    with pytest.raises(DataError, match=r"no clips of fold\(s\) 3, 4 here"):
        load_urbansound8k(ROOT, train_folds=(1, 2, 3, 4))


def test_every_gun_shot_decodes_to_one_clip(splits):
    shots = next(split for split in splits if split.name == "gun_shot")
    recordings = read_audio(list(shots.train_paths))
    assert not recordings.failures
    for item in recordings.items:
        (clip,) = cut_clips(item, sample_rate=16000, clip_samples=64000, hop_samples=32000)
        assert np.isfinite(clip.samples).all()
        assert "silent" not in clip.flags
