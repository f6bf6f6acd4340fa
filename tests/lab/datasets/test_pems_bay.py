"""PEMS-BAY's layout, read from small files of the same structure; pandas' own writer where PyTables is there."""

import sys

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError, MissingExtraError
from oddwave.lab.bench.protocol import load_tasks
from oddwave.lab.datasets.injection import INJECTED_KINDS, inject_anomalies
from oddwave.lab.datasets.pems_bay import load_pems_bay

ROWS, SENSORS = 2000, 7
FIRST = np.datetime64("2017-01-01T00:00", "ns")
SPEEDS = (
    60
    + 8 * np.sin(np.arange(ROWS)[:, None] / 46 + np.arange(SENSORS))
    + np.random.default_rng(0).normal(size=(ROWS, SENSORS))
)
NAMES = [400001 + 16 * i for i in range(SENSORS)]
FEW = {"num_events": 3, "num_sensors": 3}


def write(folder, values=SPEEDS, *, names=NAMES, kind=b"datetime64", ticks=1, blocks=((0, SENSORS),), frame="speed"):
    """Write what pandas writes for `frame.to_hdf(path, key="speed")`; pandas older than 3 counts nanoseconds."""
    h5py = pytest.importorskip("h5py")
    labels = np.array(names) if isinstance(names[0], int) else np.array(names, "S6")
    with h5py.File(folder / "pems-bay.h5", "w") as file:
        group = file.create_group(frame)
        group.attrs.update({"pandas_type": np.bytes_(b"frame"), "nblocks": len(blocks), "ndim": 2})
        group["axis0"] = labels
        group["axis1"] = (FIRST + np.timedelta64(5, "m") * np.arange(len(values))).astype(np.int64) // ticks
        group["axis1"].attrs["kind"] = np.bytes_(kind)
        for i, (low, high) in enumerate(blocks):
            group[f"block{i}_items"] = labels[low:high]
            group[f"block{i}_values"] = values[:, low:high]
    return folder


def test_the_head_is_untouched_and_the_tail_holds_the_events(tmp_path):
    (series,) = load_pems_bay(write(tmp_path), **FEW)
    assert series.name == "3_sensors"
    assert series.train_end == 1200
    np.testing.assert_array_equal(series.values[:1200], SPEEDS[:1200, [0, 3, 6]])
    np.testing.assert_array_equal(series.values[series.gt_label == 0], SPEEDS[series.gt_label == 0][:, [0, 3, 6]])
    assert series.gt_label[:1200].sum() == 0
    assert len(series.windows) == 3
    for start, end in series.windows:
        assert series.gt_label[start : end + 1].all()
        assert (series.values[start : end + 1] != SPEEDS[start : end + 1, [0, 3, 6]]).any()
    assert series.gt_label.sum() == sum(end - start + 1 for start, end in series.windows)
    assert series.timestamps[:2].tolist() == [FIRST.astype(int), (FIRST + np.timedelta64(5, "m")).astype(int)]


def test_apart_each_sensor_is_a_stream_with_events_of_its_own(tmp_path):
    streams = load_pems_bay(write(tmp_path), together=False, **FEW)
    assert [series.name for series in streams] == ["sensor_400001", "sensor_400049", "sensor_400097"]
    assert {series.values.shape for series in streams} == {(ROWS, 1)}
    assert len({series.windows for series in streams}) == 3


def test_the_seed_decides_the_events(tmp_path):
    write(tmp_path)
    one, two, other = (load_pems_bay(tmp_path, seed=seed, **FEW)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.values, two.values)
    assert one.windows != other.windows


def test_the_benchmark_trains_on_the_head_and_scores_the_rest(tmp_path):
    rows, sensors = 30_000, 20
    values = 60 + np.random.default_rng(0).normal(size=(rows, sensors))
    write(tmp_path, values, names=list(range(400001, 400021)), blocks=((0, sensors),))
    (task,) = load_tasks(tmp_path, ["pems_bay"])
    (series,) = load_pems_bay(tmp_path)
    assert (task.item, task.protocol, task.is_panel) == ("20_sensors", "injected", False)
    np.testing.assert_array_equal(task.train, values[:18_000])
    np.testing.assert_array_equal(task.test, series.values[18_000:])
    for start, end in task.windows:
        assert task.gt_label[start : end + 1].all()
    assert task.gt_label.sum() == series.gt_label.sum() > 0


def test_the_protocol_of_the_whole_file_fits():
    tail = np.random.default_rng(0).normal(size=(52116 - int(0.6 * 52116), 2))
    made = inject_anomalies(tail, num_events=60)
    assert sorted(made.kinds) == sorted(INJECTED_KINDS * 10)
    assert 0.05 < made.gt_label.mean() < 0.11


def test_blocks_names_and_units_as_other_pandas_write_them(tmp_path):
    plain = load_pems_bay(write(tmp_path), **FEW)[0]
    names = [str(name) for name in NAMES]
    write(tmp_path, names=names, kind=b"datetime64[us]", ticks=1000, blocks=((4, SENSORS), (0, 4)))
    other = load_pems_bay(tmp_path, **FEW)[0]
    np.testing.assert_array_equal(other.values, plain.values)
    np.testing.assert_array_equal(other.timestamps, plain.timestamps)


def test_silent_sensors_are_filled_by_lines(tmp_path):
    silent = SPEEDS.copy()
    silent[100:104, 0], silent[200, 3] = 0.0, np.nan
    (series,) = load_pems_bay(write(tmp_path, silent), **FEW)
    np.testing.assert_allclose(series.values[99:105, 0], np.linspace(SPEEDS[99, 0], SPEEDS[104, 0], 6))
    assert series.values[200, 1] == pytest.approx((SPEEDS[199, 3] + SPEEDS[201, 3]) / 2)


def test_the_data_folder_above_will_do(tmp_path):
    (tmp_path / "pems_bay").mkdir()
    write(tmp_path / "pems_bay")
    assert load_pems_bay(tmp_path, **FEW)[0].values.shape == (ROWS, 3)


def test_pandas_own_file_reads_alike(tmp_path):
    pytest.importorskip("h5py")
    pytest.importorskip("tables")
    pd = pytest.importorskip("pandas")
    times = pd.date_range("2017-01-01", periods=ROWS, freq="5min")
    pd.DataFrame(SPEEDS, index=times, columns=NAMES).to_hdf(tmp_path / "pems-bay.h5", key="speed", mode="w")
    (own,) = load_pems_bay(tmp_path, **FEW)
    (ours,) = load_pems_bay(write(tmp_path), **FEW)
    np.testing.assert_array_equal(own.values, ours.values)
    np.testing.assert_array_equal(own.timestamps, ours.timestamps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame": "df"}, "data frame 'speed'"),
        ({"kind": b"integer"}, "not by times"),
        ({"values": np.full((ROWS, SENSORS), np.nan)}, "without any value"),
        ({"values": SPEEDS[:0]}, "0 rows"),
        ({"values": np.where(SPEEDS > 70, np.inf, SPEEDS)}, "some infinite"),
        ({"blocks": ((0, 4),)}, "without any value"),
    ],
)
def test_other_layouts_are_refused_by_name(tmp_path, options, message):
    write(tmp_path, **options)
    with pytest.raises(DataError, match=message) as caught:
        load_pems_bay(tmp_path, **FEW)
    assert "pems-bay.h5" in str(caught.value)


def test_what_is_no_hdf5_or_not_there_is_refused(tmp_path):
    pytest.importorskip("h5py")
    with pytest.raises(DataError, match="PEMS-BAY not found"):
        load_pems_bay(tmp_path)
    (tmp_path / "pems-bay.h5").write_bytes(b"<html>moved</html>")
    with pytest.raises(DataError, match="fetch it again"):
        load_pems_bay(tmp_path)


def test_more_than_there_is_is_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(ConfigError, match="1 to 7 here"):
        load_pems_bay(tmp_path, num_sensors=8)
    with pytest.raises(ConfigError, match="room for 4"):
        load_pems_bay(tmp_path, num_sensors=3, num_events=60)


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "pems-bay.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match="'hdf5'"):
        load_pems_bay(tmp_path)
