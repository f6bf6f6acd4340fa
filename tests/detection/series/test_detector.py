"""The public door: what is refused, what a result holds, and what a detector keeps between calls."""

import numpy as np
import pandas as pd
import pytest

from oddwave.calibration.rule import Rule
from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.errors import ConfigError, DataError, NotFittedError, ShapeError


@pytest.fixture(scope="module")
def bumpy(waves):
    """Two channels with a burst in the second."""
    values = waves(200, channels=2, seed=1)
    values[100:110, 1] += 3
    return values


@pytest.fixture(scope="module")
def result(stream_detector, bumpy):
    return stream_detector.score(bumpy)


def test_an_unfitted_detector_says_what_to_do(waves):
    for ask in (Detector().score, Detector().decision_function, Detector().predict):
        with pytest.raises(NotFittedError, match="call fit or detect, or load"):
            ask(waves(50))
    with pytest.raises(NotFittedError):
        _ = Detector().threshold_
    assert Detector().config == preset("balanced")


def test_a_result_holds_one_entry_per_point(result, bumpy):
    (item,) = result.items
    assert (result.modality, result.kind, item.id) == ("series", "stream", item.id)
    assert item.scores.shape == item.p_values.shape == item.labels.shape == (200,)
    assert item.reconstruction.shape == item.values.shape == (200, 2)
    assert np.isfinite(item.reconstruction).all()
    assert set(item.parts) == {"window", "point"}
    assert all(part.shape == (200,) for part in item.parts.values())
    np.testing.assert_array_equal(item.values, bumpy)


def test_label_p_value_threshold_and_prediction_say_the_same(result, stream_detector, bumpy):
    (item,) = result.items
    inside = np.zeros(200, int)
    for event in result.events:
        inside[event.start : event.end + 1] = 1
        assert item.p_values[event.peak] <= result.calibration.alpha
        assert item.scores[event.peak] >= result.calibration.threshold
    np.testing.assert_array_equal(item.labels, inside)
    assert stream_detector.calibration.is_event(result.calibration.threshold, Rule(0.05))
    np.testing.assert_array_equal(stream_detector.predict(bumpy), item.labels)
    np.testing.assert_array_equal(stream_detector.decision_function(bumpy), item.scores)
    assert stream_detector.threshold_ == result.calibration.threshold
    assert result.calibration.alpha == 0.05


def test_the_burst_is_the_strongest_event(result):
    event = result.events[0]
    assert event.start <= 109
    assert event.end >= 100
    assert event.score == result.scores[event.peak] == result.scores.max()
    assert event.p_value == pytest.approx(1 / (result.calibration.num_blocks + 1))


def test_an_event_names_the_channel_and_the_bands_of_its_residual(stream_detector, waves, bumpy, monkeypatch):
    scaled = stream_detector.inner.scaler.transform(
        waves(200, channels=2, seed=1)
    )  # what the bumpy stream was made from
    model = stream_detector.inner.model
    monkeypatch.setattr(type(model), "normal_streams", lambda *_: [scaled])
    event = stream_detector.score(bumpy).events[0]
    assert event.channel == "channel_1"
    assert sum(band.share for band in event.bands) == pytest.approx(1.0)
    assert max(event.bands, key=lambda band: band.share).period_min >= 8  # ten points at one level


def test_calibration_says_what_it_rests_on(result, stream_detector):
    calibration = result.calibration
    assert calibration.num_points == len(calibration.scores) == 500
    assert (calibration.num_blocks, calibration.block_size) == (20, 24)
    assert calibration.source == "all of the data, each stretch compared with the others"
    np.testing.assert_array_equal(stream_detector.decision_scores_, calibration.scores)
    assert result.model["window_sizes"] == [16, 24]
    assert result.model["method"] == "retrieval"
    assert result.model["num_remembered"] == stream_detector.inner.model.num_remembered == [485, 477]


def test_alpha_is_chosen_when_a_verdict_is_asked_for(stream_detector, bumpy):
    strict, loose = (stream_detector.score(bumpy, alpha=alpha) for alpha in (0.02, 0.4))
    np.testing.assert_array_equal(strict.scores, loose.scores)
    assert strict.labels.sum() < loose.labels.sum()
    assert stream_detector.config.calibration.alpha == 0.05
    assert stream_detector.predict(bumpy, alpha=0.4).sum() == loose.labels.sum()


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, 0.001])
def test_an_alpha_that_cannot_be_is_refused_before_any_work(stream_detector, bumpy, alpha, monkeypatch):
    monkeypatch.setattr(
        type(stream_detector.inner.model), "score", lambda *_, **__: pytest.fail("it has begun to score")
    )
    with pytest.raises(ConfigError, match="alpha"):
        stream_detector.score(bumpy, alpha=alpha)


def test_few_normals_raise_the_default_alpha_with_a_warning(tiny_config, beats):
    detector = Detector(tiny_config()).fit(beats(12))
    with pytest.warns(UserWarning, match="alpha raised from 0.05 to 0.0769: 12 calibration scores"):
        result = detector.score(beats(5, seed=1))
    assert result.calibration.alpha == pytest.approx(1 / 13)


def test_other_data_than_the_training_is_refused(stream_detector, panel_detector, waves, beats):
    with pytest.raises(ShapeError, match=r"has 3 channel\(s\) .*, expected 2"):
        stream_detector.score(waves(100, channels=3))
    with pytest.raises(DataError, match=r"has 15 points, the model's shortest window has 16"):
        stream_detector.score(waves(15, channels=2))
    with pytest.raises(DataError, match=r"instance '.*' has 20 points, the model knows instances of 24"):
        panel_detector.score(beats(length=20))
    for ask in ("score", "decision_function", "predict"):
        with pytest.raises(DataError, match="fitted on a stream, a panel was given: set kind='stream'"):
            getattr(stream_detector, ask)(beats(channels=2, length=40))
        with pytest.raises(DataError, match="fitted on a panel, a stream was given"):
            getattr(panel_detector, ask)(waves(24))


def test_channels_are_found_by_name_in_any_order(tiny_config, waves, bumpy):
    frame = pd.DataFrame(waves(200, channels=2), columns=["flow", "heat"])
    detector = Detector(tiny_config()).fit(frame)
    new = pd.DataFrame(bumpy, columns=["flow", "heat"])
    np.testing.assert_array_equal(detector.decision_function(new[["heat", "flow"]]), detector.decision_function(new))


def test_an_instance_is_judged_whole_whatever_the_aggregate(tiny_config, beats):
    test = beats(6, seed=1)
    whole, point = (
        Detector(tiny_config(f"scoring.aggregate={name}")).fit(beats()).decision_function(test)
        for name in ("window", "point")
    )
    np.testing.assert_array_equal(whole, point)


def test_a_detector_can_be_fitted_again_on_other_data(tiny_config, waves, beats):
    config = tiny_config("calibration.alpha=0.2")
    detector = Detector(config).fit(waves(200, channels=2))
    detector.fit(waves(300))
    fresh = Detector(config).fit(waves(300))
    np.testing.assert_array_equal(detector.decision_function(waves(100)), fresh.decision_function(waves(100)))
    assert detector.fit(beats()).score(beats(5, seed=1)).kind == "panel"


def test_what_fails_leaves_a_fitted_detector_as_it_was(tiny_config, waves):
    detector = Detector(tiny_config()).fit(waves(400))
    expected = detector.decision_function(waves(100, seed=1))
    with pytest.raises(DataError, match="needs streams of at least 32 points"):
        detector.fit(100 * waves(30))
    with pytest.raises(DataError, match="needs streams of at least 32 points"):
        detector.detect(100 * waves(20, channels=2))
    detector.inner.plan(100 * waves(300, channels=2))
    np.testing.assert_array_equal(detector.decision_function(waves(100, seed=1)), expected)


def test_a_plan_says_the_windows_without_fitting(tiny_config, waves):
    detector = Detector(tiny_config("series.window_sizes=auto"))
    assert min(detector.inner.plan(waves(400)).sizes) >= 16
    with pytest.raises(NotFittedError):
        detector.score(waves(400))


def test_detecting_returns_the_scores_of_the_data_themselves(tiny_config, waves):
    bumpy = waves(500, channels=2, seed=1)
    bumpy[100:110, 1] += 3
    detector = Detector(tiny_config())
    result = detector.detect(bumpy)
    np.testing.assert_array_equal(detector.decision_scores_, result.scores)
    (own,) = Detector(tiny_config()).inner.fit_scores(bumpy)
    np.testing.assert_array_equal(own.scores, result.scores)
    assert result.calibration.source == "the data themselves, without their outliers"
    assert result.calibration.num_points < 500
    assert result.calibration.scores.max() < result.scores.max()


def test_outlying_instances_of_a_panel_do_not_calibrate_it(tiny_config, beats):
    items = beats(60)
    items[5] += np.linspace(0, 9, 24)
    result = Detector(tiny_config("calibration.alpha=0.2")).detect(items)
    assert int(np.argmax(result.scores)) == 5
    assert result.calibration.scores.max() < result.scores[5]
    assert result.calibration.num_points < 60
    assert result.labels[5] == 1


def test_a_panel_has_one_entry_per_instance_and_no_events(panel_detector, beats):
    result = panel_detector.score(beats(6, seed=1), explain="all")
    assert result.scores.shape == result.labels.shape == (6,)
    assert result.events == ()
    assert all(item.reconstruction.shape == (24, 1) for item in result.items)
    assert panel_detector.predict(beats(6, seed=1)).shape == (6,)
    assert result.calibration.source == "all of the data, each instance compared with the others"


def test_rows_without_a_timestamp_get_no_score_and_duplicates_the_same(tiny_config, waves):
    times = pd.Series(pd.date_range("2024-01-01", periods=400, freq="min"))
    detector = Detector(tiny_config()).fit(pd.DataFrame({"time": times, "x": waves(400)[:, 0]}))
    frame = pd.DataFrame({"time": times, "x": waves(400, seed=1)[:, 0]})
    frame.loc[50, "time"] = frame.loc[49, "time"]
    frame.loc[60, "time"] = pd.NaT
    scores = detector.decision_function(frame)
    assert scores.shape == detector.predict(frame).shape == (400,)
    assert np.flatnonzero(np.isnan(scores)).tolist() == [60]
    assert scores[49] == scores[50]
    assert detector.predict(frame).filled()[60] == -1


def test_what_calibrates_is_remembered(stream_detector):
    """The newest fifth of the healthy data is known when new data are scored."""
    engine, held_back = stream_detector.inner.model, 400  # of 500 points
    for own in engine.sizes:
        starts = own.memory.starts
        assert starts.min() == 0
        assert starts.max() >= held_back
        assert starts.max() + own.window_size <= 500


@pytest.mark.parametrize("method", ["retrieval", "denoiser"])
def test_a_machine_at_rest_while_calibrating_may_run_again(tiny_config, waves, method):
    """Nothing is told by a last part that never changes; what ran before it did is the measure then."""
    running, resting = waves(400), np.zeros((200, 1))
    settings = ("calibration.alpha=0.2", f"series.method={method}")
    detector = Detector(tiny_config(*settings)).fit(np.concatenate([running, resting]))
    new = waves(200, seed=10)
    faulty = new.copy()
    faulty[100:116] += 3
    usual = detector.decision_function(new)
    assert (usual >= detector.threshold_).mean() < 0.4
    assert detector.decision_function(faulty).max() > usual.max() + 10 * usual.std()
    source = {
        "denoiser": "all of each stream, at rest in its last part",
        "retrieval": "all of the data, each stretch compared with the others",
    }
    assert detector.score(new).calibration.source == source[method]


def test_a_stream_that_never_changes_calibrates_by_its_last_part(tiny_config):
    detector = Detector(tiny_config("calibration.alpha=0.2", "series.method=denoiser")).fit(np.zeros((400, 1)))
    assert detector.score(np.zeros((100, 1))).calibration.source == "the last 20% of each stream, never trained on"


def test_a_few_rows_with_their_history_get_verdicts_as_the_end_of_a_long_file_does(stream_detector, waves):
    """The history is looked at and not judged; 288 points, so that windows lie alike with and without what is far."""
    whole = waves(294, channels=2, seed=3)
    whole[291:] += 3
    past, new = whole[:288], whole[288:]
    with pytest.raises(DataError, match="has 6 points, the model's shortest window has 16"):
        stream_detector.score(new)
    result, ends = stream_detector.score(new, history=past), stream_detector.score(whole)
    (item,) = result.items
    assert item.values.shape == item.reconstruction.shape == (6, 2)
    np.testing.assert_allclose(result.scores, ends.scores[288:], rtol=1e-5)
    np.testing.assert_array_equal(result.labels[3:], 1)
    assert all(0 <= event.start <= event.peak <= event.end < 6 for event in result.events)
    with pytest.raises(DataError):  # it is kept for one call alone
        stream_detector.score(new)


def test_only_time_series_have_a_history():
    detector = Detector(preset("fast", "image"))
    with pytest.raises(ConfigError, match="history is for time series, this detector is of image: leave it out"):
        detector.score(["new.png"], history=["old.png"])
