"""TSB-UAD's layout, read from tiny copies of it, and what is trained on in its streams."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.lab.datasets import load_tsb_uad, semi_split
from oddwave.lab.datasets.tsb_uad import LEAST_STRETCH


def write(folder, name, label, header=True):
    folder.mkdir(exist_ok=True)
    rows = [f"{i / 2},{own}" for i, own in enumerate(label)]
    (folder / name).write_text("\n".join([*(["value,label"] if header else []), *rows]) + "\n")


def labels(n, *windows):
    label = [0] * n
    for start, end in windows:
        label[start : end + 1] = [1] * (end - start + 1)
    return label


def test_streams_come_sorted_with_a_label_for_every_point(tmp_path):
    write(tmp_path / "tsb_uad", "b.csv", labels(6, (2, 3), (5, 5)))
    write(tmp_path / "tsb_uad", "a.out", labels(4), header=False)
    (tmp_path / "tsb_uad" / "README.md").write_text("value,label")
    quiet, pump = load_tsb_uad(tmp_path)
    assert (quiet.name, quiet.windows, quiet.train_end) == ("a", (), 4)
    assert (pump.name, pump.windows, pump.train_end) == ("b", ((2, 3), (5, 5)), 2)
    np.testing.assert_array_equal(pump.values, np.arange(6)[:, None] / 2)
    assert pump.gt_label.tolist() == [0, 0, 1, 1, 0, 1]
    assert [series.name for series in load_tsb_uad(tmp_path / "tsb_uad", ["b"])] == ["b"]
    with pytest.raises(DataError, match="TSB-UAD has no stream c here: choose from a, b"):
        load_tsb_uad(tmp_path, ["c"])


@pytest.mark.parametrize("text", ["", "value,label\n", "1,0\n2\n", "1,two\n", "1,2\n", "nan,0\n", "1,0,0\n"])
def test_damaged_files_are_refused_by_name(tmp_path, text):
    (tmp_path / "tsb_uad").mkdir()
    (tmp_path / "tsb_uad" / "pump.csv").write_text(text)
    with pytest.raises(DataError, match=r"pump\.csv.*fetch it again"):
        load_tsb_uad(tmp_path)


@pytest.mark.parametrize(
    ("windows", "start", "cut", "later"),
    [
        ([(1000, 1009)], 0, 900, ((100, 109),)),
        ([(10, 19), (1519, 1520)], 20, 1369, ((150, 151),)),
        ([(10, 19), (500, 509), (1600, 1600), (1900, 1999)], 510, 1491, ((109, 109), (409, 508))),
    ],
    ids=["from the start", "after the first anomaly", "the first that is long enough"],
)
def test_the_first_long_stretch_but_for_its_last_tenth_is_trained_on(tmp_path, windows, start, cut, later):
    write(tmp_path / "tsb_uad", "pump.csv", labels(2000, *windows))
    (series,) = load_tsb_uad(tmp_path)
    split = semi_split(series)
    np.testing.assert_array_equal(split.train, series.values[start:cut])
    np.testing.assert_array_equal(split.test, series.values[cut:])
    np.testing.assert_array_equal(split.gt_label, series.gt_label[cut:])
    assert split.windows == later


@pytest.mark.parametrize("windows", [[(LEAST_STRETCH - 1, 1100)], [(3, 5)], []])
def test_no_split_without_a_long_stretch_or_anomalies_after_it(tmp_path, windows):
    write(tmp_path / "tsb_uad", "pump.csv", labels(1500, *windows))
    (series,) = load_tsb_uad(tmp_path)
    assert semi_split(series) is None
