"""NAB's layout, read from a tiny copy of it."""

import json

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.lab.datasets import load_nab, probation_end


@pytest.fixture
def nab(tmp_path):
    (tmp_path / "labels").mkdir()
    windows = {
        "realB/taxi.csv": [["2014-07-01 10:00:00.000000", "2014-07-01 12:00:00.000000"]],
        "realA/quiet.csv": [],
        "realA/late.csv": [
            ["2014-07-02 20:00:00.000000", "2014-07-02 21:00:00.000000"],
            ["2014-07-01 05:00:00.000000", "2014-07-01 05:00:00.000000"],
        ],
    }
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    times = np.datetime64("2014-07-01T00:00:00") + np.arange(50) * np.timedelta64(1, "h")
    for name in windows:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{str(time).replace('T', ' ')},{i / 4}" for i, time in enumerate(times)]
        path.write_text("\n".join(["timestamp,value", *rows]) + "\n")
    return tmp_path


def test_labelled_files_in_sorted_order_with_inclusive_windows(nab):
    late, taxi = load_nab(nab)
    assert (late.name, taxi.name) == ("realA/late", "realB/taxi")
    assert late.windows == ((5, 5), (44, 45))
    assert taxi.windows == ((10, 12),)
    assert np.flatnonzero(taxi.gt_label).tolist() == [10, 11, 12]
    assert taxi.values.shape == (50, 1)
    assert taxi.values[:3, 0].tolist() == [0.0, 0.25, 0.5]
    assert taxi.timestamps[1] == np.datetime64("2014-07-01T01:00:00", "ns")
    assert taxi.train_end == 7


def test_files_without_windows_are_left_out_unless_asked_for(nab):
    assert [series.name for series in load_nab(nab, labelled_only=False)] == ["realA/late", "realA/quiet", "realB/taxi"]
    assert load_nab(nab, ["quiet"], labelled_only=False)[0].gt_label.sum() == 0


def test_only_takes_whole_names_and_last_parts(nab):
    assert [series.name for series in load_nab(nab, ["taxi", "realA/late"])] == ["realA/late", "realB/taxi"]
    with pytest.raises(DataError, match="no labelled file named quiet"):
        load_nab(nab, ["taxi", "quiet"])


@pytest.mark.parametrize(("n", "end"), [(6, 0), (100, 15), (4032, 604), (5000, 750), (22695, 750)])
def test_probation_is_15_percent_of_5000_rows_at_most(n, end):
    assert probation_end(n) == end


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("timestamp,value\n2014-07-01 00:00:00,abc\n", "timestamp,value rows"),
        ("timestamp,value\nyesterday,1\n", "timestamp,value rows"),
        ("timestamp,value\n2014-07-01 00:00:00\n", "timestamp,value rows"),
        ("timestamp,value\n2014-07-01 00:00:00,nan\n", "not finite"),
        ("timestamp,value\n", "no rows"),
        ("", "no rows"),
        ("timestamp,value\n2013-01-01 00:00:00,1\n", "no row in its labelled window"),
    ],
)
def test_damaged_files_are_refused_by_name(nab, text, message):
    (nab / "data" / "realB" / "taxi.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load_nab(nab, ["taxi"])
    assert "taxi.csv" in str(caught.value)


def test_missing_file_and_damaged_labels_are_refused(nab):
    (nab / "data" / "realB" / "taxi.csv").unlink()
    with pytest.raises(DataError, match=r"taxi\.csv"):
        load_nab(nab)
    (nab / "labels" / "combined_windows.json").write_text('{"a": ')
    with pytest.raises(DataError, match=r"combined_windows\.json"):
        load_nab(nab)
