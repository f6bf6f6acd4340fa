"""Anomalies planted in normal data: exact labels, clean heads, the same every time."""

import json

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.lab.bench.protocol import load_tasks
from oddwave.lab.datasets import load_ucr
from oddwave.lab.datasets.planted import NUM_REAL, NUM_SYNTHETIC, load_planted


def write_msl(root, lengths):
    (root / "msl" / "data" / "train").mkdir(parents=True)
    (root / "msl" / "data" / "test").mkdir()
    rows = [f'T-{i},MSL,"[[2, 4]]",[point],10' for i in range(len(lengths))]
    head = "chan_id,spacecraft,anomaly_sequences,class,num_values"
    (root / "msl" / "labeled_anomalies.csv").write_text("\n".join([head, *rows]) + "\n")
    for i, n in enumerate(lengths):
        train = np.zeros((n, 2)) if i == 0 else waves(n)
        np.save(root / "msl" / "data" / "train" / f"T-{i}.npy", train)
        np.save(root / "msl" / "data" / "test" / f"T-{i}.npy", waves(10))


def waves(n):
    return np.sin(np.arange(n) / 5)[:, None] + 0.1 * np.random.default_rng(n).normal(size=(n, 2))


def write_nab(root, n=1500, window=(200, 210)):
    hours = np.datetime64("2014-07-01T00:00:00") + np.arange(n) * np.timedelta64(1, "h")
    (root / "nab" / "labels").mkdir(parents=True)
    spans = [[str(hours[i]).replace("T", " ") for i in window]]
    (root / "nab" / "labels" / "combined_windows.json").write_text(json.dumps({"real/taxi.csv": spans}))
    rows = [f"{str(time).replace('T', ' ')},{i}" for i, time in enumerate(hours)]
    (root / "nab" / "data" / "real").mkdir(parents=True)
    (root / "nab" / "data" / "real" / "taxi.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")


def write_ucr(root, name="Coffee", num=30):
    (root / "ucr" / name).mkdir(parents=True)
    for part in ("TRAIN", "TEST"):
        shift = 0.0 if part == "TRAIN" else 0.5
        rows = [[i % 3 // 2, *np.sin(np.arange(40) / 4 + i + shift)] for i in range(num)]
        text = "\n".join("\t".join(map(str, row)) for row in rows)
        (root / "ucr" / name / f"{name}_{part}.tsv").write_text(text + "\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three channels of MSL, one constant and one short, a NAB file and a UCR set."""
    root = tmp_path_factory.mktemp("planted")
    write_msl(root, (1200, 1300, 900))
    write_nab(root)
    write_ucr(root)
    return root


@pytest.fixture(scope="module")
def planted(data):
    return load_planted(data)


def test_normal_streams_of_every_source_that_are_long_and_varied_enough(planted):
    assert [series.name for series in planted.streams] == [
        "msl_T-1", "nab_real-taxi", *(f"synthetic_{i:02d}" for i in range(NUM_SYNTHETIC))
    ]  # fmt: skip
    assert [panel.name for panel in planted.panels] == ["ucr_Coffee"]
    assert {series.values.shape[1] for series in planted.streams} == {1, 2, 3, 4}
    assert all(1000 <= len(series.values) <= 6000 for series in planted.streams)


def test_only_labelled_points_are_changed_and_never_the_head(planted):
    taxi = planted.streams[1]
    clean = np.arange(211, 1500)  # the longest stretch outside the labelled window
    assert len(taxi.values) == len(clean)
    changed = taxi.values[:, 0] != clean
    assert changed.any()
    assert not changed[taxi.gt_label == 0].any()
    assert changed[taxi.gt_label == 1].mean() > 0.5  # but for points where a stretch crosses what was there


def test_three_to_six_events_apart_after_the_head(planted):
    for series in planted.streams:
        assert 3 <= len(series.windows) <= 6
        assert series.train_end == round(0.4 * len(series.values)) <= series.windows[0][0]
        for (_, end), (start, _) in zip(series.windows, series.windows[1:], strict=False):
            assert start - end > 32
        inside = np.zeros(len(series.values), int)
        for start, end in series.windows:
            inside[start : end + 1] = 1
        np.testing.assert_array_equal(series.gt_label, inside)


def test_every_other_normal_instance_of_a_panel_has_an_anomaly(data, planted):
    (panel,) = planted.panels
    assert panel.train_normal.shape == panel.test.shape == (20, 1, 40)
    assert panel.gt_label.sum() == 10
    normal = load_ucr(data, "Coffee")
    rows = {row.tobytes() for row in normal.test[normal.gt_label == 0]}
    assert [row.tobytes() in rows for row in panel.test] == (panel.gt_label == 0).tolist()


def test_names_and_seed_decide_what_is_planted(data, planted):
    again, other = load_planted(data), load_planted(data, seed=1)
    for first, second, third in zip(planted.streams, again.streams, other.streams, strict=True):
        np.testing.assert_array_equal(first.values, second.values)
        assert first.windows == second.windows
        assert first.windows != third.windows


def test_tasks_learn_from_all_of_a_stream_or_from_its_clean_head(data, planted):
    tasks = load_tasks(data, ["planted"])
    num = len(planted.streams)
    assert [task.protocol for task in tasks] == ["unsupervised"] * num + ["semi"] * num + ["one_class"]
    for series, whole, semi in zip(planted.streams, tasks[:num], tasks[num : 2 * num], strict=True):
        assert (whole.train, whole.item) == (None, series.name)
        np.testing.assert_array_equal(whole.test, series.values)
        np.testing.assert_array_equal(np.concatenate([semi.train, semi.test]), series.values)
        assert len(semi.train) == series.train_end
        assert semi.gt_label.sum() == whole.gt_label.sum()


def test_sources_are_sampled_evenly(tmp_path):
    write_msl(tmp_path, (1001,) * 20)
    names = [series.name for series in load_planted(tmp_path).streams if series.name.startswith("msl")]
    assert len(names) == NUM_REAL
    assert len(set(names)) == NUM_REAL


def test_synthetic_streams_alone_are_no_benchmark(tmp_path):
    with pytest.raises(DataError, match=r"not found: give MSL, NAB or UCR \(MSL not found"):
        load_planted(tmp_path)
    write_nab(tmp_path, 100, (20, 30))
    with pytest.raises(DataError, match="not found"):
        load_planted(tmp_path)
