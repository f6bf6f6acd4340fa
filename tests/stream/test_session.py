"""A stream against the batch path on the same rows: whatever the chunks, gaps and restarts, the same numbers."""

from copy import copy

import numpy as np
import pytest

from oddwave.calibration.budget import Asked
from oddwave.config import preset
from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detector import Detector
from oddwave.errors import CheckpointError, ConfigError, DataError, NotFittedError
from oddwave.stream.session import SeriesStream, StreamModel, update_all

SETTINGS = ["series.window_sizes=[16, 24]", "scoring.memory_size=60"]


@pytest.fixture(scope="module")
def detector(waves):
    """By retrieval, of one channel and two window sizes."""
    return Detector(preset("balanced").with_overrides(SETTINGS)).fit(waves(320))


@pytest.fixture(scope="module")
def two_channels(waves):
    """The same of two channels, the second of which has a value at every third point."""
    values = waves(600, channels=2)
    values[np.arange(600) % 3 > 0, 1] = np.nan
    return Detector(preset("balanced").with_overrides([*SETTINGS, "series.window_sizes=[16, 24, 40]"])).fit(values)


def rows_of(waves, n=260, channels=1, seed=3):
    values = waves(n, channels=channels, seed=seed)
    values[100:110, 0] += 4.0
    if channels > 1:
        values[np.arange(n) % 3 > 0, 1] = np.nan
    return values


def with_gaps(values):
    """The first rows missing, one, a few, more than are bridged; further on one channel for a while, and for long."""
    found = values.copy()
    found[:3], found[50], found[70:75], found[130:141] = np.nan, np.nan, np.nan, np.nan
    found[160:167, 0], found[200:230, 0] = np.nan, np.nan
    if found.shape[1] > 1:
        found[240:330, 0], found[360:440, 1] = np.nan, np.nan
    return found


def settled_all(stream, values, times=None, seed=0, most=40):
    rng, updates, at = np.random.default_rng(seed), [], 0
    while at < len(values):
        n = int(rng.integers(1, most))
        updates.append(stream.update(values[at : at + n], None if times is None else times[at : at + n]))
        at += n
    return [*updates, stream.finish()]


def joined(updates, name="scores"):
    return np.concatenate([getattr(own.settled, name) for own in updates])


def closed(updates):
    return sorted((e.start, e.end, e.peak, e.score, e.p_value) for u in updates for e in u.closed if not e.merged_into)


def events_of(item):
    return sorted((e.start, e.end, e.peak, e.score, e.p_value) for e in item.events)


def check_like_batch(detector, values, most):
    whole = detector.score(values, explain="none").items[0]
    updates = settled_all(detector.stream(), values, most=most)
    np.testing.assert_allclose(joined(updates), whole.scores, rtol=0, atol=1e-9)
    np.testing.assert_allclose(joined(updates, "p_values"), whole.p_values, rtol=0, atol=1e-12)
    starts = np.cumsum([0] + [len(own.settled) for own in updates])
    assert [own.settled.start for own in updates] == starts[:-1].tolist()
    events = np.array(events_of(whole)), np.array(closed(updates))
    np.testing.assert_allclose(events[0][:, 2:], events[1][:, 2:], rtol=0, atol=1e-9)  # peak, score, p-value
    np.testing.assert_allclose(events[0][:, :2], events[1][:, :2], atol=5)  # edges, by what is usual of points so far


def test_settled_scores_are_those_of_the_batch_path(detector, waves):
    check_like_batch(detector, rows_of(waves), most=100)


def test_gaps_are_filled_as_the_batch_path_fills_them(detector, waves):
    check_like_batch(detector, with_gaps(rows_of(waves)), most=100)


@pytest.mark.slow
@pytest.mark.parametrize("most", [2, 40, 5000])
def test_the_same_row_by_row_of_two_channels_with_gaps(two_channels, waves, most):
    check_like_batch(two_channels, with_gaps(rows_of(waves, 500, 2)), most=most)


def test_a_point_settles_after_the_longest_window_and_no_later(detector, waves):
    stream, values = detector.stream(), rows_of(waves, 60)
    done = 0
    for n, row in enumerate(values, start=1):
        done += len(stream.update(row).settled)
        assert n - done <= stream.delay.points == 24
        assert n <= 24 or done >= 1
    assert done < 60


@pytest.mark.slow
def test_a_silent_channel_delays_by_the_points_that_are_looked_ahead(two_channels, waves):
    stream, values = two_channels.stream(), rows_of(waves, 300, 2)
    values[100:, 1] = np.nan
    done = 0
    for n, row in enumerate(values, start=1):
        done += len(stream.update(row).settled)
        assert n - done <= stream.delay.most_points


@pytest.mark.slow
def test_memory_is_bounded_by_the_longest_window(detector, waves):
    def size(stream):
        arrays, numbers = stream.state()
        return sum(a.nbytes for a in arrays.values()) + len(str(numbers))

    stream, values = detector.stream(), waves(6000, seed=8)
    values[3000:, 0] += 3.0  # flagged from here on: no end of an event to wait for
    stream.update(values[:1000])
    before = size(stream)
    for first in range(1000, 6000, 100):
        stream.update(values[first : first + 100])
    assert size(stream) < 1.5 * before + 40_000


def test_events_open_once_and_close_once_whatever_the_chunks(detector, waves):
    values, found = rows_of(waves), []
    for most in (90, 300):
        updates = settled_all(detector.stream(name="pump"), values, most=most)
        opened = [event.id for own in updates for event in own.opened]
        ended = [event.id for own in updates for event in own.closed]
        assert len(set(opened)) == len(opened) > 0
        assert sorted(opened) == sorted(ended)
        assert opened[0] == "pump-1"
        found.append(closed(updates))
    np.testing.assert_allclose(np.array(found[0]), np.array(found[1]), rtol=0, atol=1e-9)


def test_a_restart_at_any_row_changes_nothing(detector, waves, tmp_path):
    values = with_gaps(rows_of(waves))
    start = np.datetime64("2026-01-01")
    times = start + np.arange(len(values)) * np.timedelta64(60, "s")
    whole = settled_all(detector.stream(), values, times, most=100)
    rng, stream, updates, at = np.random.default_rng(1), detector.stream(), [], 0
    while at < len(values):
        n = int(rng.integers(1, 60))
        updates.append(stream.update(values[at : at + n], times[at : at + n]))
        at += n
        stream.save(tmp_path / "state")
        stream = detector.stream(state=tmp_path / "state")
    updates.append(stream.finish())
    np.testing.assert_allclose(joined(updates), joined(whole), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(joined(updates, "timestamps"), joined(whole, "timestamps"))
    np.testing.assert_allclose(np.array(closed(updates)), np.array(closed(whole)), rtol=0, atol=1e-9)
    assert {e.id for u in updates for e in u.closed} == {e.id for u in updates for e in u.opened}


def test_several_streams_together_are_as_each_alone(detector, waves):
    model = StreamModel(detector.inner)
    values = [with_gaps(rows_of(waves, seed=seed)) for seed in range(2)]
    together = [SeriesStream(model, name=f"s{n}") for n in range(2)]
    parts = [[], []]
    for at in range(0, 260, 130):
        for own, update in zip(
            parts, update_all([(s, v[at : at + 130], None) for s, v in zip(together, values, strict=True)]), strict=True
        ):
            own.append(update)
    for stream, own, each in zip(together, parts, values, strict=True):
        own.append(stream.finish())
        np.testing.assert_allclose(
            joined(own), joined(settled_all(detector.stream(), each, most=400)), rtol=0, atol=1e-9
        )


@pytest.mark.slow
def test_drift_is_found_as_it_happens(detector, waves):
    values = waves(4000, seed=5)
    values[1500:, 0] = 1.5 * values[1500:, 0] + 0.8
    drifts = [own.drift for own in settled_all(detector.stream(), values, most=200) if own.drift]
    (whole,) = detector.score(values, explain="none").drift
    assert len(drifts) == 1
    assert 1000 <= drifts[0].since <= 1700
    assert drifts[0].moved == whole.moved


@pytest.mark.parametrize(
    ("values", "times", "told"),
    [
        (np.zeros((3, 5)), None, r"shape \(3, 5\): expected \(rows, 1\)"),
        ([["a", "b"]], None, "stream"),
        ({"channel_7": [1.0]}, None, "lack channel_0"),
        (np.zeros((3, 1)), ["yesterday", "today", "now"], "no times"),
        (np.zeros((3, 1)), [1, 2, 3], "no times"),
        (np.zeros((3, 1)), ["2026-01-01"], "3 rows"),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_lost(detector, values, times, told):
    stream = detector.stream()
    with pytest.raises(DataError, match=told):
        stream.update(values, times)
    assert stream.online.count == 0
    assert len(stream.update(np.zeros((0, 1))).settled) == 0


def test_rows_with_and_without_times_are_not_mixed(detector):
    stream = detector.stream()
    stream.update(np.zeros((1, 1)))
    with pytest.raises(DataError, match="no timestamps so far"):
        stream.update(np.zeros((1, 1)), ["2026-01-01"])
    stream.finish()
    with pytest.raises(DataError, match="finished"):
        stream.update(np.zeros((1, 1)))


def test_what_needs_a_whole_series_is_refused(detector, panel_detector):
    other = copy(detector)
    other.inner = copy(detector.inner)
    other.inner.model = DenoiserModel.build(other.config, detector.inner.model.plan, 1)
    rolling = copy(detector)
    rolling.inner = copy(detector.inner)
    rolling.inner.config = rolling.config.with_overrides(["calibration.adaptive=rolling"])
    for own, told in ((panel_detector, "panel"), (other, "denoiser"), (rolling, "rolling")):
        with pytest.raises(ConfigError, match=told):
            own.stream()
    with pytest.raises(ConfigError, match="period_s"):
        detector.stream(period_s=0)
    with pytest.raises(NotFittedError):
        Detector().stream()
    with pytest.raises(ConfigError, match="flag"):
        StreamModel(detector.inner, Asked(flag=3))


def test_a_budget_over_time_takes_effect_once_the_period_is_known(detector, waves):
    stream, start = detector.stream(false_alarms="1 per day"), np.datetime64("2026-01-01")
    stream.update(waves(30), start + np.arange(30) * np.timedelta64(60, "s"))
    size = detector.calibration.block_size
    assert stream.events.rule.alpha == pytest.approx(size / (24 * 60))


def test_a_damaged_or_foreign_state_is_refused(detector, waves, tmp_path):
    path = tmp_path / "state"
    detector.stream().save(path)
    content = path.read_bytes()
    for damaged in (
        b"",
        content[:50],
        content[:-3],
        b"{}" * 40,
        content.replace(b"oddwave-stream-1", b"oddwave-stream-9"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"state"):
            detector.stream(state=path)
    with pytest.raises(CheckpointError):
        detector.stream(state=tmp_path / "none")
    path.write_bytes(content)
    other = Detector(detector.config).fit(waves(320, seed=9))
    with pytest.raises(CheckpointError, match="another model"):
        other.stream(state=path)
