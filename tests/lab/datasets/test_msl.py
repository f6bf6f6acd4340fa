"""Telemanom's layout, read from a tiny copy of it."""

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.lab.datasets import load_msl

TABLE = """chan_id,spacecraft,anomaly_sequences,class,num_values
T-2,MSL,"[[8, 9], [2, 4]]","[point, contextual]",10
P-1,SMAP,"[[1, 2]]",[point],10
C-1,MSL,"[[0, 0]]",[point],10
"""


@pytest.fixture
def msl(tmp_path):
    (tmp_path / "labeled_anomalies.csv").write_text(TABLE)
    for part, rows in (("train", 6), ("test", 10)):
        (tmp_path / "data" / part).mkdir(parents=True)
        for name in ("T-2", "C-1"):
            np.save(tmp_path / "data" / part / f"{name}.npy", np.arange(rows * 3.0).reshape(rows, 3))
    return tmp_path


def test_channels_of_the_rover_with_inclusive_sorted_ranges(msl):
    first, second = load_msl(msl)
    assert (first.name, second.name) == ("C-1", "T-2")
    assert second.windows == ((2, 4), (8, 9))
    assert second.gt_label.tolist() == [0, 0, 1, 1, 1, 0, 0, 0, 1, 1]
    assert first.gt_label.tolist() == [1] + [0] * 9
    assert first.train.shape == (6, 1)
    assert first.test[:3, 0].tolist() == [0.0, 3.0, 6.0]


def test_other_columns_and_a_selection(msl):
    assert load_msl(msl, channel=2, only=["T-2"])[0].train[0, 0] == 2.0
    assert load_msl(msl, channel=None, only=["T-2"])[0].test.shape == (10, 3)
    with pytest.raises(DataError, match=r"column 3 was asked for, .* columns 0\.\.2"):
        load_msl(msl, channel=3)
    with pytest.raises(DataError, match="no channel P-1"):
        load_msl(msl, only=["P-1"])


def test_damaged_files_are_refused_by_name(msl):
    path = msl / "data" / "test" / "T-2.npy"
    np.save(path, np.zeros((5, 3)))
    with pytest.raises(DataError, match=r"T-2: labelled ranges \[\(8, 9\)\] lie outside its 5"):
        load_msl(msl)
    np.save(path, np.zeros(5))
    with pytest.raises(DataError, match=r"shape \(5,\)"):
        load_msl(msl)
    for content in (b"", b"no numpy file", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"T-2\.npy"):
            load_msl(msl)
    path.unlink()
    with pytest.raises(DataError, match=r"T-2\.npy"):
        load_msl(msl)


@pytest.mark.parametrize("table", ["chan_id,anomaly_sequences\nT-2,[]\n", TABLE.replace("[8, 9]", "[8")])
def test_a_damaged_table_is_refused(msl, table):
    (msl / "labeled_anomalies.csv").write_text(table)
    with pytest.raises(DataError, match=r"labeled_anomalies\.csv"):
        load_msl(msl)
