"""Which tasks a data folder gives, and that no protocol shows a method what it must not see."""

import json
import sys

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError, MissingExtraError
from oddwave.lab.bench.protocol import COLUMNS, Cell, load_tasks, readable_tasks

HOURS = np.datetime64("2014-07-01T00:00:00") + np.arange(60) * np.timedelta64(1, "h")


@pytest.fixture
def data(tmp_path):
    """One NAB file whose first window lies across the end of the probationary part, one UCR set, one MSL channel."""
    (tmp_path / "nab" / "labels").mkdir(parents=True)
    windows = [
        [str(HOURS[a]).replace("T", " "), str(HOURS[b]).replace("T", " ")] for a, b in ((2, 4), (7, 11), (40, 45))
    ]
    (tmp_path / "nab" / "labels" / "combined_windows.json").write_text(json.dumps({"real/taxi.csv": windows}))
    rows = [f"{str(time).replace('T', ' ')},{i}" for i, time in enumerate(HOURS)]
    (tmp_path / "nab" / "data" / "real").mkdir(parents=True)
    (tmp_path / "nab" / "data" / "real" / "taxi.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    (tmp_path / "ucr" / "ECG200").mkdir(parents=True)
    for part, classes, first in (("TRAIN", (1, -1, 1), 0), ("TEST", (-1, 1), 1)):
        text = "\n".join(f"{c}\t" + "\t".join(str(c * v) for v in range(first, first + 8)) for c in classes)
        (tmp_path / "ucr" / "ECG200" / f"ECG200_{part}.tsv").write_text(text + "\n")
    (tmp_path / "msl" / "data" / "train").mkdir(parents=True)
    (tmp_path / "msl" / "data" / "test").mkdir()
    table = 'chan_id,spacecraft,anomaly_sequences,class,num_values\nT-2,MSL,"[[2, 4]]",[point],10\n'
    (tmp_path / "msl" / "labeled_anomalies.csv").write_text(table)
    for part, length in (("train", 6), ("test", 10)):
        np.save(tmp_path / "msl" / "data" / part / "T-2.npy", np.arange(length * 2.0).reshape(length, 2))
    return tmp_path


def test_every_data_set_gives_its_tasks(data):
    tasks = load_tasks(data)
    names = [(t.dataset, t.item, t.protocol, t.is_panel) for t in tasks]
    assert names == [
        ("nab", "real/taxi", "unsupervised", False),
        ("nab", "real/taxi", "semi", False),
        ("ucr", "ECG200", "one_class", True),
        ("msl", "all_channels", "joint", False),
        ("msl", "T-2", "semi", False),
    ]
    for task in tasks:
        assert len(task.gt_label) == len(task.test)
        assert np.isfinite(task.test).all()


def test_nab_trains_on_the_probationary_part_and_scores_the_rest(data):
    whole, semi = load_tasks(data, ["nab"])
    assert whole.train is None
    np.testing.assert_array_equal(whole.test[:, 0], np.arange(60))
    assert whole.windows == ((2, 4), (7, 11), (40, 45))
    np.testing.assert_array_equal(semi.train[:, 0], np.arange(9))  # 15 %
    np.testing.assert_array_equal(semi.test[:, 0], np.arange(9, 60))
    assert semi.windows == ((0, 2), (31, 36))  # the first window is over, the second has begun
    expected = np.zeros(51, int)
    expected[[0, 1, 2, *range(31, 37)]] = 1
    np.testing.assert_array_equal(semi.gt_label, expected)


def test_ucr_trains_on_the_normal_class_alone(data):
    (task,) = load_tasks(data, ["ucr"])
    assert task.train.shape == (2, 1, 8)
    assert (task.train >= 0).all()
    np.testing.assert_array_equal(task.gt_label, [1, 0])


def test_msl_keeps_its_own_split(data):
    (task,) = load_tasks(data, ["msl/semi"])
    assert (task.train.shape, task.test.shape) == ((6, 1), (10, 1))
    assert np.flatnonzero(task.gt_label).tolist() == [2, 3, 4]


def test_msl_can_be_one_task_of_all_channels(data):
    with (data / "msl" / "labeled_anomalies.csv").open("a") as file:
        file.write('C-1,MSL,"[[0, 1]]",[point],7\n')
    for part, length in (("train", 4), ("test", 7)):
        np.save(data / "msl" / "data" / part / "C-1.npy", -np.arange(length * 2.0).reshape(length, 2))
    (joint,) = load_tasks(data, ["msl/joint"])
    assert (joint.train_ends, joint.test_ends) == ((4, 10), (7, 17))
    alone = load_tasks(data, ["msl/semi"])
    for part, ends in (("train", joint.train_ends), ("test", joint.test_ends), ("gt_label", joint.test_ends)):
        for whole, task in zip(np.split(getattr(joint, part), ends[:-1]), alone, strict=True):
            np.testing.assert_array_equal(whole, getattr(task, part))


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (["nab/semi"], [("nab", "semi")]),
        (["taxi"], [("nab", "unsupervised"), ("nab", "semi")]),
        (["real/taxi"], [("nab", "unsupervised"), ("nab", "semi")]),
        (["ECG200", "msl/semi"], [("ucr", "one_class"), ("msl", "semi")]),
    ],
)
def test_a_part_of_the_tasks_can_be_named(data, only, expected):
    assert [(t.dataset, t.protocol) for t in load_tasks(data, only)] == expected


def test_names_that_are_not_there_are_refused(data, tmp_path_factory):
    with pytest.raises(
        ConfigError, match=r"--only 'ECG500' is not there; data sets: nab, ucr, msl, pems_bay, tsb_uad, planted, items"
    ):
        load_tasks(data, ["nab", "ECG500"])
    with pytest.raises(DataError, match="no series data set under"):
        load_tasks(tmp_path_factory.mktemp("empty"))


def test_ucr_sets_of_any_name_are_tasks_of_their_own(data):
    (data / "ucr" / "Coffee").mkdir()
    for part, text in (("TRAIN", "0\t1\t2\n4\t3\t4\n4\t5\t6\n"), ("TEST", "0\t1\t2\n4\t3\t4\n4\t5\t7\n")):
        (data / "ucr" / "Coffee" / f"Coffee_{part}.tsv").write_text(text)
    coffee, _ = load_tasks(data, ["ucr/one_class"])
    assert (coffee.item, len(coffee.train)) == ("Coffee", 2)
    assert coffee.test[:, 0].tolist() == [[1, 2], [5, 7]]  # a copy of a training instance is no test
    assert coffee.gt_label.tolist() == [1, 0]


def test_tsb_uad_is_judged_as_a_whole_and_after_its_first_long_normal_stretch(data):
    (data / "tsb_uad").mkdir()
    long, short, quiet = np.zeros(1200, int), np.zeros(900, int), np.zeros(1500, int)
    long[1100:1105] = short[800] = 1
    for name, label in (("long", long), ("short", short), ("quiet", quiet)):
        rows = [f"{i},{own}" for i, own in enumerate(label)]
        (data / "tsb_uad" / f"{name}.csv").write_text("\n".join(["value,label", *rows]) + "\n")
    tasks = load_tasks(data, ["tsb_uad"])
    assert [(task.item, task.protocol) for task in tasks] == [
        ("long", "unsupervised"), ("short", "unsupervised"), ("long", "semi")
    ]  # fmt: skip
    whole, _, semi = tasks
    assert (whole.train, len(whole.test), whole.windows) == (None, 1200, ((1100, 1104),))
    np.testing.assert_array_equal(semi.train[:, 0], np.arange(990))
    np.testing.assert_array_equal(semi.test[:, 0], np.arange(990, 1200))
    assert semi.windows == ((110, 114),)


def test_an_incomplete_folder_gives_what_is_there(data):
    (data / "ucr" / "ECG200" / "ECG200_TEST.tsv").rename(data / "elsewhere.tsv")
    assert {t.dataset for t in load_tasks(data)} == {"nab", "msl"}


def test_columns_are_fixed_because_others_parse_them():
    assert ",".join(COLUMNS) == (
        "dataset,item,protocol,method,seed,auroc,auprc,vus_pr,vus_roc,pixel_auroc,aupro,pauc,nab_score,event_f1,"
        "start_error,end_error,fit_s,score_s,peak_mb,error"
    )


def test_a_cells_file_name_is_one_path_part_and_its_own():
    names = {
        Cell("nab", item, p, "knn", seed).file_name for item in ("a/b", "a") for p in ("x", "y") for seed in (0, 1)
    }
    assert len(names) == 8
    assert all("/" not in name and name.endswith(".npy") for name in names)


def test_a_data_set_that_needs_a_missing_package_stops_only_who_asks_for_it(data, monkeypatch):
    (data / "pems_bay").mkdir()
    (data / "pems_bay" / "pems-bay.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert [task.item for task in load_tasks(data, ["ECG200"])] == ["ECG200"]
    assert [task.dataset for task in readable_tasks(data, "series")] == ["nab", "nab", "ucr", "msl", "msl"]
    for wanted in (None, ["pems_bay"], ["ECG200", "pems_bay/injected"]):
        with pytest.raises(MissingExtraError, match=r"oddwave\[hdf5\]"):
            load_tasks(data, wanted)
