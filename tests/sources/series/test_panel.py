"""Panels: instances in rows, with or without a class column."""

import numpy as np
import pandas as pd
import pytest

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.sources.series.reader import read_series


def heartbeat(num, length=40):
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 6, (num, 1))
    return np.sin(np.linspace(0, 6, length) + phase) + 0.05 * rng.normal(size=(num, length))


def write(path, rows, delimiter="\t"):
    path.write_text("\n".join(delimiter.join(f"{v:.6g}" for v in row) for row in rows) + "\n")
    return path


@pytest.mark.parametrize(("name", "delimiter"), [("X_TRAIN.tsv", "\t"), ("X_TRAIN.txt", "  ")])
def test_a_wide_headerless_file_with_a_class_column_is_a_panel(tmp_path, name, delimiter):
    values, classes = heartbeat(12), np.tile([1, -1], 6)
    series = read_series(write(tmp_path / name, np.column_stack([classes, values]), delimiter))
    assert series.kind == "panel"
    assert [item.id for item in series.items] == [str(i) for i in range(12)]
    assert [item.class_label for item in series.items[:2]] == ["1", "-1"]
    np.testing.assert_allclose(series.items[3].values[:, 0], values[3], rtol=1e-4)
    assert "first column taken as the class, for evaluation only" in series.items[0].notes


def test_a_stream_of_many_channels_with_a_state_column_stays_a_stream(tmp_path):
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(size=(60, 24)), axis=0) * 0.1 + rng.normal(size=24) * 50
    state = np.repeat([0, 1, 2], 20)
    series = read_series(write(tmp_path / "engine.txt", np.column_stack([state, smooth])))
    assert series.kind == "stream"
    assert series.items[0].values.shape == (60, 25)


def test_csv_files_are_streams_unless_said_otherwise(tmp_path):
    rows = np.column_stack([np.tile([1, 2], 5), heartbeat(10)])
    path = write(tmp_path / "x.csv", rows, ",")
    assert read_series(path).kind == "stream"
    assert read_series(path, kind="panel").kind == "panel"
    tsv = write(tmp_path / "x.tsv", rows)
    assert read_series(tsv, kind="stream").items[0].values.shape == (10, 41)


def test_label_column_is_found_forced_or_switched_off(tmp_path):
    path = write(tmp_path / "x.csv", heartbeat(10), ",")
    assert read_series(path, kind="panel").items[0].n_timepoints == 40
    assert read_series(path, kind="panel").items[0].class_label is None
    assert read_series(path, kind="panel", label_column="first").items[0].n_timepoints == 39
    labelled = write(tmp_path / "y.csv", np.column_stack([np.tile([1, 2], 5), heartbeat(10)]), ",")
    assert read_series(labelled, kind="panel", label_column=None).items[0].n_timepoints == 41
    with pytest.raises(ConfigError, match="label_column is 'last'"):
        read_series(labelled, kind="panel", label_column="last")


def test_words_may_be_classes_and_missing_points_stay_missing(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("ok,1,2,3\nbad,4,,6\nok,7,8,9\n")
    series = read_series(path, kind="panel")
    assert [item.class_label for item in series.items] == ["ok", "bad", "ok"]
    np.testing.assert_array_equal(series.items[1].values[:, 0], [4, np.nan, 6])


def test_arrays_are_panels_by_their_axes():
    values = np.arange(24.0).reshape(2, 3, 4)
    series = read_series(values)
    assert series.kind == "panel"
    assert series.items[1].values.shape == (4, 3)
    np.testing.assert_array_equal(series.items[1].values, values[1].T)
    flat = read_series(values[:, 0], kind="panel")
    np.testing.assert_array_equal(flat.items[1].values[:, 0], values[1, 0])
    listed = read_series([values[0], values[1]], kind="panel")
    np.testing.assert_array_equal(listed.items[1].values, series.items[1].values)
    frame = read_series(pd.DataFrame(values[:, 0]), kind="panel", label_column=None)
    np.testing.assert_array_equal(frame.items[1].values[:, 0], values[1, 0])


def test_a_folder_of_panels_keeps_the_instances_apart(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(24.0).reshape(2, 3, 4))
    np.savez(tmp_path / "b.npz", x=np.arange(24.0).reshape(2, 3, 4), y=np.arange(12.0).reshape(1, 3, 4))
    assert [i.id for i in read_series(tmp_path).items] == ["a.npy/0", "a.npy/1", "b.npz/x/0", "b.npz/x/1", "b.npz/y/0"]


def test_what_cannot_be_a_panel_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("1,2,3\n4,x,6\n7,8,9\n")
    with pytest.raises(DataError, match="line 2, column 'column_1': 'x' is not a number"):
        read_series(path, kind="panel")
    with pytest.raises(ConfigError, match="columns=, exclude= and timestamp="):
        read_series(path, kind="panel", columns=["column_0"])
    with pytest.raises(DataError, match="needs at least 2 columns"):
        read_series(pd.DataFrame({"a": [0.5, 1.5]}), kind="panel")
    with pytest.raises(ShapeError, match="differ in shape"):
        read_series([np.ones(3), np.ones(4)], kind="panel")
    with pytest.raises(ShapeError, match="a stream is"):
        read_series(np.ones((2, 3, 4)), kind="stream")
    with pytest.raises(ShapeError, match="make them equally long"):
        read_series({"a": np.ones((2, 1, 4)), "b": np.ones((2, 1, 5))})


@pytest.mark.parametrize("channels", [1, 2])
def test_an_instance_without_any_value_is_left_out_alone(tmp_path, channels):
    values = np.stack([heartbeat(5)] * channels, axis=1)
    values[2] = np.nan
    panel = read_series(values, on_error="skip")
    assert [entry.id for entry in panel.entries] == ["0", "1", "2", "3", "4"]
    assert [(failure.id, failure.place) for failure in panel.failures] == [("2", 2)]
    assert "no number at all" in panel.failures[0].message
    with pytest.raises(DataError, match="'2' holds no number at all"):
        read_series(values)
    with pytest.raises(DataError, match="'0' holds no number at all"):
        read_series(np.full_like(values, np.nan), on_error="skip")
    table = read_series(pd.DataFrame(values[:, 0]), kind="panel", label_column=None, on_error="skip")
    assert [failure.place for failure in table.failures] == [2]
