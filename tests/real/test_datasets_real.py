"""The loaders on the real data sets, and baselines on them, against figures known from elsewhere.

The folder is ODDWAVE_DATA, else shared/data beside the repository.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from oddwave.lab.datasets import NORMAL_CLASS, load_msl, load_nab, load_tsb_uad, load_ucr, semi_split, ucr_names
from oddwave.lab.datasets.planted import NUM_PANELS, NUM_REAL, NUM_SYNTHETIC, load_planted
from oddwave.lab.metrics import NAB_PROFILES, auroc, nab_score, vus
from oddwave.lab.rivals import KNN, RandomScore

ROOT = Path(os.environ.get("ODDWAVE_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def nab_root():
    return _folder("nab")


def _folder(name):
    if not (ROOT / name).is_dir():
        pytest.skip(f"no '{name}' in '{ROOT}': set ODDWAVE_DATA to the data folder")
    return ROOT


def test_nab_is_complete(nab_root):
    labelled, everything = load_nab(nab_root), load_nab(nab_root, labelled_only=False)
    assert (len(labelled), len(everything)) == (52, 58)
    assert sum(len(series.values) for series in everything) == 365_558
    assert sum(len(series.windows) for series in labelled) == 116
    assert [series.name for series in labelled] == sorted(series.name for series in labelled)
    for series in everything:
        assert series.train_end == min(int(0.15 * len(series.values)), 750)
        assert series.gt_label[: series.train_end].sum() == 0


def test_nyc_taxi(nab_root):
    (taxi,) = load_nab(nab_root, ["nyc_taxi"])
    assert taxi.name == "realKnownCause/nyc_taxi"
    assert taxi.values.shape == (10_320, 1)
    assert taxi.timestamps[0] == np.datetime64("2014-07-01T00:00:00")
    assert taxi.gt_label.sum() == 5 * 207
    score = KNN(window_size=256).fit_predict(taxi.values)
    assert auroc(taxi.gt_label, score) > 0.93
    assert vus(taxi.gt_label, score).pr > 0.6


def test_nab_score_of_noise_is_what_numenta_publishes(nab_root):
    corpus = load_nab(nab_root, labelled_only=False)
    windows = [series.windows for series in corpus]
    scores = [RandomScore(seed=i).fit_predict(series.values) for i, series in enumerate(corpus)]
    published = {"standard": 11.0, "reward_low_FP_rate": 1.2, "reward_low_FN_rate": 19.5}
    for profile in NAB_PROFILES:
        assert nab_score(scores, windows, profile).value == pytest.approx(published[profile], abs=3.0)


@pytest.mark.parametrize(
    ("name", "normal", "test", "length"),
    [
        ("DodgerLoopWeekend", 10, 138, 288),
        ("ECG200", 69, 100, 96),
        ("FordA", 1846, 1320, 500),
        ("Lightning2", 40, 61, 637),
        ("Wafer", 903, 6163, 152),
    ],
)
def test_ucr_sizes_and_no_gaps(name, normal, test, length):
    panel = load_ucr(_folder("ucr"), name)
    assert panel.train_normal.shape == (normal, 1, length)
    assert panel.test.shape == (test, 1, length)
    assert np.isfinite(panel.train).all()
    assert np.isfinite(panel.test).all()
    assert panel.normal_class == NORMAL_CLASS[name]


def test_ecg200_nearest_neighbours():
    panel = load_ucr(_folder("ucr"), "ECG200")
    assert auroc(panel.gt_label, KNN().fit(panel.train_normal).decision_function(panel.test)) > 0.9


def test_every_ucr_set_has_a_normal_class_and_other_instances_to_tell_from_it():
    root = _folder("ucr")
    for name in ucr_names(root):
        panel = load_ucr(root, name)
        counts = dict(zip(*np.unique(panel.train_class, return_counts=True), strict=True))
        expected = NORMAL_CLASS.get(name, min(own for own in counts if counts[own] == max(counts.values())))
        assert panel.normal_class == expected
        assert 0 < panel.gt_label.mean() < 1
        assert np.isfinite(panel.train_normal).all()


def test_tsb_uad_streams_are_sharp_and_can_be_trained_on():
    streams = load_tsb_uad(_folder("tsb_uad"))
    for series in streams:
        assert 0 < series.gt_label.mean() < 0.2
        split = semi_split(series)
        assert len(split.train) >= 900
        assert split.gt_label.any()
        assert not split.gt_label[: len(split.train) // 9].any()


def test_planted_streams_are_few_short_and_of_every_source():
    streams, panels = load_planted(_folder("msl"))
    names = [series.name.partition("_")[0] for series in streams]
    assert names.count("msl") == NUM_REAL
    assert names.count("synthetic") == NUM_SYNTHETIC
    assert len(streams) <= 30
    assert len(panels) <= NUM_PANELS
    for series in streams:
        assert 3 <= len(series.windows) <= 6
        assert series.gt_label.mean() < 0.15
        assert not series.gt_label[: series.train_end].any()


def test_msl_is_complete():
    channels = load_msl(_folder("msl"))
    assert len(channels) == 27
    assert sum(len(channel.train) for channel in channels) == 58_317
    assert sum(len(channel.test) for channel in channels) == 73_729
    assert np.concatenate([channel.gt_label for channel in channels]).mean() == pytest.approx(0.105, abs=0.001)
    assert load_msl(_folder("msl"), channel=None, only=["C-1"])[0].test.shape[1] == 55
