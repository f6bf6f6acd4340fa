"""What must hold for every series: round trips, and reading that does not depend on how the data were written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oddwave.planted.series_windows import SERIES_ANOMALIES
from oddwave.sources.series.clock import align_rows
from oddwave.sources.series.reader import read_series
from oddwave.tensors.series_scale import SeriesScaler, fill_missing
from oddwave.tensors.series_windows import join_windows, resample_windows, sliding_windows

FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 3))
STREAMS = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=FLOATS))
FEW = settings(max_examples=30, deadline=None)


@given(STREAMS, STREAMS)
def test_scaling_is_undone_and_keeps_the_order(train, other):
    scaler = SeriesScaler.fit([train[:, :1]])
    values = np.sort(other.reshape(-1, 1), axis=0)
    scaled = scaler.transform(values)
    assert (np.diff(scaled[:, 0]) >= 0).all()
    size = np.abs(values).max() + np.abs(scaler.centre[0]) + scaler.scale[0]
    np.testing.assert_allclose(scaler.inverse(scaled), values, rtol=1e-7, atol=1e-9 * size)


@given(STREAMS, st.integers(1, 12), st.integers(1, 12))
def test_windows_cover_the_stream_and_join_to_it(x, window_size, stride):
    window_size = min(window_size, len(x))
    windows, starts = sliding_windows(x, window_size, min(stride, window_size))
    assert starts[-1] + window_size == len(x)
    np.testing.assert_allclose(join_windows(windows, starts, len(x)), x, rtol=1e-12, atol=1e-9)


@given(STREAMS, st.integers(1, 60))
def test_pooling_keeps_the_mean_and_resampling_the_range(x, length):
    resampled = resample_windows(x.T, length)
    assert resampled.shape == (x.shape[1], length)
    slack = 1e-9 * (1 + np.abs(x).max())
    assert resampled.max() <= x.max() + slack
    assert resampled.min() >= x.min() - slack
    if length <= len(x):
        np.testing.assert_allclose(resampled.mean(axis=1), x.mean(axis=0), rtol=1e-9, atol=slack)


@given(STREAMS, st.data())
def test_filling_changes_missing_values_only_and_stays_in_range(x, data):
    missing = data.draw(arrays(bool, x.shape))
    filled, observed = fill_missing(np.where(missing, np.nan, x))
    np.testing.assert_array_equal(observed, ~missing)
    np.testing.assert_array_equal(filled[~missing], x[~missing])
    for c in range(x.shape[1]):
        seen = x[~missing[:, c], c]
        if seen.size:
            assert seen.min() - 1e-6 <= filled[:, c].min()
            assert filled[:, c].max() <= seen.max() + 1e-6


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_every_row_finds_its_own_point_again(minutes, random):
    times = np.datetime64("2020-01-01", "ns") + np.array(minutes) * np.timedelta64(1, "m")
    values = np.array(minutes, dtype=float)[:, None]
    rows = align_rows(times, values, "x")
    np.testing.assert_array_equal(rows.values[rows.row_index], values)
    np.testing.assert_array_equal(rows.timestamps[rows.row_index], times)
    assert (np.diff(rows.timestamps.astype(np.int64)) >= 0).all()
    order = np.array(random.sample(range(len(minutes)), len(minutes)))
    shuffled = align_rows(times[order], values[order], "x")
    np.testing.assert_array_equal(shuffled.values, rows.values)
    assert shuffled.sample_period_s == rows.sample_period_s


def rows_of(x, delimiter, decimal=".", stamps=None):
    cells = [[repr(float(v)).replace(".", decimal) for v in row] for row in x]
    if stamps is not None:
        cells = [[str(stamp), *row] for stamp, row in zip(stamps, cells, strict=True)]
    return [delimiter.join(row) for row in cells]


@FEW
@given(arrays(np.float64, st.tuples(st.integers(2, 12), st.integers(2, 3)), elements=st.floats(-1e6, 1e6)))
def test_the_delimiter_does_not_matter(tmp_path_factory, x):
    path = tmp_path_factory.mktemp("delimiters") / "x.csv"
    fingerprints = set()
    header = ["alpha", "beta", "gamma"][: x.shape[1]]
    for delimiter, decimal in ((",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", "."), (" ", ".")):
        path.write_text("\n".join([delimiter.join(header), *rows_of(x, delimiter, decimal)]))
        series = read_series(path)
        np.testing.assert_array_equal(series.items[0].values, x)
        fingerprints.add(series.fingerprint)
    assert len(fingerprints) == 1


@FEW
@given(st.integers(3, 20), st.randoms(use_true_random=False))
def test_the_order_of_timestamped_rows_does_not_matter(tmp_path_factory, n, random):
    stamps = np.datetime64("2020-01-01", "s") + np.arange(n) * np.timedelta64(90, "s")
    lines = rows_of(np.random.default_rng(n).normal(size=(n, 2)), ",", stamps=stamps)
    folder = tmp_path_factory.mktemp("order")
    fingerprints = []
    for rows in (lines, random.sample(lines, n)):
        (folder / "x.csv").write_text("\n".join(["time,a,b", *rows]))
        fingerprints.append(read_series(folder / "x.csv").fingerprint)
    assert fingerprints[0] == fingerprints[1]


@pytest.mark.parametrize("kind", sorted(SERIES_ANOMALIES))
@FEW
@given(x=STREAMS.filter(lambda x: len(x) >= 4), seed=st.integers(0, 1000))
def test_an_anomaly_is_never_a_no_op_and_stays_in_its_mask(kind, x, seed):
    changed, mask = SERIES_ANOMALIES[kind](x.T, np.random.default_rng(seed))
    assert (changed[:, mask] != x.T[:, mask]).any()
    np.testing.assert_array_equal(changed[:, ~mask], x.T[:, ~mask])
