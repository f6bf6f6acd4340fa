"""What was not measured is not judged, decides nothing, and is named; the rest is judged as if nothing were missing."""

import numpy as np
import pandas as pd
import pytest

from oddwave.detector import Detector
from oddwave.errors import DataError

PERIOD = 16


def timed(values, start="2024-03-01"):
    names = [f"s{c}" for c in range(values.shape[1])]
    times = pd.date_range(start, periods=len(values), freq="min")
    return pd.DataFrame({"time": times, **dict(zip(names, values.T, strict=True))})


def named(values):
    """Give values under the names that `timed` gives them, without a clock."""
    return pd.DataFrame(values, columns=[f"s{c}" for c in range(values.shape[1])])


def flags(labels):
    return int((labels == 1).sum())


@pytest.fixture(scope="module")
def detector(tiny_config, waves):
    config = tiny_config("series.window_sizes=[16, 24]", "training.num_steps=30")
    return Detector(config).fit(timed(waves(600, channels=2), "2024-01-01"))


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        pytest.param(first, rows, marks=[pytest.mark.slow] * (rows not in (12, 100) if first == 80 else rows != 12))
        for first in (0, 80, -1)
        for rows in (1, 8, 12, 40, 100, 200)
    ],
)
def test_empty_rows_are_like_absent_rows(detector, waves, first, rows):
    values = waves(300, channels=2, seed=1)
    start = 300 - rows if first < 0 else first
    rest = np.delete(np.arange(300), np.arange(start, start + rows))
    whole = timed(values)
    absent = detector.decision_function(whole.iloc[rest].reset_index(drop=True))
    whole.iloc[start : start + rows, 1:] = np.nan
    empty = detector.score(whole)
    np.testing.assert_allclose(empty.scores[rest], absent, atol=1e-6)
    gone = empty.items[0].labels[start : start + rows]
    assert (gone == -1).all()
    assert any(f"{rows} points without a value" in line for line in empty.not_monitored)


@pytest.mark.slow
def test_a_model_learns_the_same_from_empty_and_from_absent_rows(tiny_config, waves):
    new, models = waves(150, channels=2, seed=1), []
    for drop in (False, True):
        train = timed(waves(500, channels=2))
        train.iloc[250:330, 1:] = np.nan
        train.iloc[-60:, 1:] = np.nan
        models.append(Detector(tiny_config()).fit(train.dropna().reset_index(drop=True) if drop else train))
    np.testing.assert_allclose(*(m.decision_function(named(new)) for m in models), atol=1e-6)


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 400), *(pytest.param(*own, marks=pytest.mark.slow) for own in ((100, 120), (250, 400), (0, 150), (100, 300)))],
)
def test_a_missing_channel_neither_flags_nor_blames_another(detector, waves, start, stop):
    values = waves(400, channels=2, seed=2)
    before = detector.score(named(values))
    values[start:stop, 1] = np.nan
    after = detector.score(named(values))
    assert flags(after.labels) <= flags(before.labels) + PERIOD
    assert np.nanmax(after.scores) < np.nanmax(before.scores) + 1.5
    assert np.isfinite(after.scores).all()  # the other channel was measured
    assert not any(e.channel == "s1" and start <= e.start and e.end < stop for e in after.events)
    (line,) = [line for line in after.not_monitored if "s1: no data" in line]
    places = {"since": start > 0 and stop == 400, "until": start == 0 and stop < 400, "from": start > 0 and stop < 400}
    assert all((f"no data {word} point" in line) == here for word, here in places.items())


def test_an_anomaly_beside_a_missing_channel_is_found(detector, waves):
    values = waves(400, channels=2, seed=2)
    values[100:300, 1] = np.nan
    values[200:212, 0] += 2.0
    strongest = max(detector.score(named(values)).events, key=lambda event: event.score)
    assert strongest.channel == "s0"
    assert strongest.start < 212
    assert strongest.end >= 200


@pytest.mark.parametrize("share", [0.2, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.01, 0.05))])
def test_scattered_holes_are_no_anomalies(detector, waves, share):
    """About as many points are flagged as alpha (0.05) says; one stream has too few independent events to tell."""
    flagged = 0
    for seed in range(3, 7):
        values = waves(400, channels=2, seed=seed)
        values[np.random.default_rng(seed).random(values.shape) < share] = np.nan
        flagged += flags(detector.score(named(values)).labels)
    assert flagged <= 1.5 * 0.05 * 4 * 400


def test_detecting_judges_what_stands_beside_a_missing_channel(tiny_config, waves):
    values = waves(500, channels=2)
    values[100:300, 1] = np.nan
    values[200:212, 0] += 2.5
    result = Detector(tiny_config()).detect(values)
    assert np.isfinite(result.scores).all()
    assert 190 < int(np.argmax(result.scores)) < 222
    assert any("channel_1: no data from point 100 to point 299" in line for line in result.not_monitored)


@pytest.mark.parametrize("later", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_channel_without_values_in_training_never_counts(tiny_config, waves, later):
    train, new = waves(300, channels=2), waves(200, channels=2, seed=1)
    train[:, 1] = np.nan
    detector = Detector(tiny_config()).fit(train)
    plain = Detector(tiny_config()).fit(np.stack([train[:, 0], np.zeros(300)], 1))
    expected = plain.decision_function(np.stack([new[:, 0], np.zeros(200)], 1))
    new[:, 1] = 1000 * new[:, 1] if later else np.nan
    result = detector.score(new)
    assert flags(result.labels) < 0.2 * 200
    np.testing.assert_allclose(result.scores, expected, atol=1e-3)
    assert any("channel_1: no data when the model was fitted" in line for line in result.not_monitored)


def test_a_point_where_only_an_unmonitored_channel_speaks_is_not_judged(tiny_config, waves):
    train, new = waves(300, channels=2), waves(300, channels=2, seed=1)
    train[:, 1] = np.nan
    detector = Detector(tiny_config()).fit(train)
    new[150:155, 0] = np.nan
    assert np.ma.getmaskarray(detector.predict(new))[150:155].all()


@pytest.mark.slow
def test_a_sensor_at_a_quarter_of_the_rate_is_no_flood_and_is_monitored(tiny_config, waves):
    train, new = waves(900, channels=2), waves(600, channels=2, seed=1)
    for values in (train, new):
        values[np.arange(len(values)) % 4 > 0, 1] = np.nan
    detector = Detector(tiny_config("training.num_steps=30")).fit(train)
    assert flags(detector.score(new).labels) < 0.2 * 600
    new[300:340, 1] += 3.0
    assert 284 < int(np.nanargmax(detector.decision_function(new))) < 356


def test_a_slow_sensor_alone_gives_whole_events_between_points_that_are_not_judged(tiny_config, waves):
    train, new = waves(900), waves(600, seed=1)
    for values in (train, new):
        values[np.arange(len(values)) % 2 > 0] = np.nan
    detector = Detector(tiny_config("training.num_steps=30")).fit(train)
    new[300:330] += 4.0
    result = detector.score(new)
    assert (result.labels[1::2] == -1).all()
    strongest = max(result.events, key=lambda event: event.score)
    assert strongest.start < 330
    assert strongest.end >= 300
    assert result.labels[[strongest.start, strongest.end]].tolist() == [1, 1]
    assert len([e for e in result.events if 290 < e.start < 340]) == 1


def test_a_saved_model_lends_the_same_values(detector, waves, tmp_path):
    values = waves(300, channels=2, seed=4)
    values[100:160, 1] = np.nan
    again = Detector.load(detector.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.decision_function(named(values)), detector.decision_function(named(values)))


def test_channels_that_never_speak_together_are_refused_in_one_line(tiny_config, waves):
    values = waves(600, channels=2)
    turn = np.arange(600) // 40 % 2 == 0
    values[turn, 0], values[~turn, 1] = np.nan, np.nan
    with pytest.raises(DataError, match="in which every channel has values"):
        Detector(tiny_config("series.window_sizes=[32]")).fit(values)


@pytest.mark.slow
def test_a_channel_missing_in_the_held_back_part_does_not_calibrate_the_rest(tiny_config, waves):
    train = waves(900, channels=2)
    train[650:, 1] = np.nan
    detector = Detector(tiny_config("training.num_steps=30")).fit(train)
    assert (detector.predict(waves(500, channels=2, seed=1), alpha=0.05) == 1).mean() < 0.15
