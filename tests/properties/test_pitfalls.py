"""Faults that other detectors have been found to have, each with a test that this one has not."""

import numpy as np
import pandas as pd
import pytest

from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detection.series.retrieval_model import RetrievalModel
from oddwave.detector import Detector
from oddwave.errors import DataError

DENOISER = "series.method=denoiser"  # whose settings of scales, spaces, aggregates and representations these are


def shifted(waves, by=1.5):
    """A stream whose second half lies higher, its shape unchanged."""
    values = waves(240, seed=1)
    values[120:] += by
    return values


def test_scores_are_not_scaled_by_what_else_is_tested(stream_detector, waves):
    calm, wild = waves(120, channels=2, seed=1), 50 * waves(120, channels=2, seed=2)
    alone = stream_detector.score([calm])
    beside_extremes = stream_detector.score([calm, wild])
    np.testing.assert_allclose(beside_extremes.items[0].scores, alone.items[0].scores, rtol=1e-4, atol=2e-4)
    half = stream_detector.decision_function(calm[:60])
    np.testing.assert_allclose(half[:36], alone.scores[:36], rtol=1e-4, atol=2e-4)


def test_dropping_half_of_a_panel_changes_nothing(panel_detector, beats):
    items = beats(20, seed=1)
    items[15:] *= 30
    np.testing.assert_allclose(
        panel_detector.decision_function(items[:10]), panel_detector.decision_function(items)[:10], rtol=1e-4, atol=2e-4
    )


def test_a_level_shift_is_seen_under_the_default_scale(tiny_config, waves):
    detector = Detector(tiny_config()).fit(waves(400))
    scores = detector.decision_function(shifted(waves))
    assert np.median(scores[136:]) > scores[:104].max()


def test_a_scale_per_window_hides_a_level_shift_unless_its_statistics_are_kept(tiny_config, waves):
    def gap(*overrides):
        detector = Detector(tiny_config(DENOISER, "series.scaling=window", *overrides)).fit(waves(400))
        scores = detector.decision_function(shifted(waves))
        return np.median(scores[136:]) - np.median(scores[:104])

    assert abs(gap('scoring.memory_spaces=["input"]')) < 1
    assert gap('scoring.memory_spaces=["input", "statistics"]') > 2


def test_a_slow_drift_raises_the_score_as_it_goes(tiny_config, waves):
    detector = Detector(tiny_config()).fit(waves(400))
    scores = detector.decision_function(waves(400, seed=1) + np.linspace(0, 3, 400)[:, None])
    quarters = [np.median(part) for part in np.split(scores, 4)]
    assert quarters == sorted(quarters)


def test_points_that_were_never_measured_get_no_verdict(stream_detector, waves):
    values = waves(120, channels=2, seed=1)
    values[40:44] = np.nan
    values[60, 0] = np.nan  # the other channel was measured
    values[70] = np.inf
    result = stream_detector.score(values)
    unseen = [40, 41, 42, 43, 70]
    assert np.flatnonzero(np.isnan(result.scores)).tolist() == unseen
    assert np.flatnonzero(np.isnan(result.items[0].p_values)).tolist() == unseen
    assert (result.labels[unseen] == -1).all()
    np.testing.assert_array_equal(np.isnan(stream_detector.decision_function(values)), np.isnan(result.scores))
    assert any("5 points without a value" in text for text in result.not_monitored)


def test_windows_never_join_the_two_sides_of_a_long_gap(tiny_config, waves):
    minutes = np.concatenate([np.arange(90), 5000 + np.arange(90)])
    frame = pd.DataFrame(
        {"time": pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min"), "x": waves(180, seed=1)[:, 0]}
    )
    train = pd.DataFrame({"time": pd.date_range("2023-01-01", periods=400, freq="min"), "x": waves(400)[:, 0]})
    for how in ((), (DENOISER,), (DENOISER, "scoring.aggregate=point")):
        detector = Detector(tiny_config(*how)).fit(train)
        whole = detector.decision_function(frame)
        sides = [detector.decision_function(part) for part in (frame[:90], frame[90:])]
        np.testing.assert_allclose(whole, np.concatenate(sides), rtol=1e-3, atol=1e-3)
    assert np.isfinite(Detector(tiny_config(DENOISER, "scoring.aggregate=blend")).detect(frame).scores).all()


def test_a_part_mostly_missing_is_not_judged_by_what_was_filled_in(stream_detector, waves):
    values = waves(200, channels=2, seed=1)
    values[60:140] = np.nan
    scores = stream_detector.decision_function(values)
    assert np.isnan(scores[60:140]).all()
    assert np.isfinite(np.delete(scores, range(60, 140))).all()
    without = np.median(scores[:36])
    assert abs(np.median(scores[160:]) - without) < 3 * np.nanstd(stream_detector.decision_scores_) + 1


@pytest.mark.parametrize("constant", [7.5, *(pytest.param(each, marks=pytest.mark.slow) for each in (0.0, 1e6))])
def test_a_constant_channel_is_harmless_until_it_changes(tiny_config, waves, constant):
    def beside(values):
        return np.concatenate([values, np.full((len(values), 1), constant)], axis=1)

    detector = Detector(tiny_config()).fit(beside(waves(400)))
    calm = beside(waves(200, seed=1))
    scores = detector.decision_function(calm)
    assert np.isfinite(scores).all()
    changed = calm.copy()
    changed[100:120, 1] += max(1.0, 0.3 * abs(constant))
    assert np.median(detector.decision_function(changed)[100:120]) > scores.max()


def test_a_wholly_constant_stream_can_be_learnt(tiny_config):
    flat = np.full((400, 1), 3.0)
    detector = Detector(tiny_config()).fit(flat)
    assert np.isfinite(detector.decision_function(flat[:100])).all()
    broken = flat[:100].copy()
    broken[50] = 9.0
    scores = detector.decision_function(broken)
    assert 35 <= int(np.argmax(scores)) <= 65
    assert np.isfinite(Detector(tiny_config()).detect(flat[:100]).scores).all()


def test_values_far_beyond_the_training_stay_finite_and_ordered(tiny_config, waves):
    detector = Detector(tiny_config()).fit(waves(400))
    peaks = []
    for height in (3.0, 30.0, 1e4, 1e30):
        values = waves(100, seed=1)
        values[50] = height
        scores = detector.decision_function(values)
        assert np.isfinite(scores).all()
        peaks.append(scores.max())
    assert peaks == sorted(peaks)


@pytest.mark.parametrize(("method", "too_few"), [("retrieval", 31), ("denoiser", 60)])  # which holds back a part
def test_a_series_shorter_than_a_window_is_refused_not_padded(tiny_config, waves, method, too_few):
    with pytest.raises(DataError, match=r"give longer streams or smaller series\.window_sizes"):
        Detector(tiny_config(f"series.method={method}")).fit(waves(too_few))
    with pytest.raises(DataError, match=r"give longer streams or smaller series\.window_sizes"):
        Detector(tiny_config(f"series.method={method}")).detect(waves(31))


def test_scoring_the_training_data_is_said_to_flatter(tiny_config, waves):
    detector = Detector(tiny_config()).fit(waves(400))
    assert any("the very data" in note for note in detector.score(waves(400)).items[0].notes)
    assert not any("the very data" in note for note in detector.score(waves(400, seed=1)).items[0].notes)


def denoiser_ends(engine):
    return [m.starts.max() + s.window_size for s in engine.scorers for m in s.memories.values()]


def retrieval_ends(engine):
    return [own.memory.starts.max() + own.window_size for own in engine.sizes]


@pytest.mark.parametrize(("model", "ends_of"), [(RetrievalModel, retrieval_ends), (DenoiserModel, denoiser_ends)])
def test_calibrating_normals_that_are_remembered_are_not_compared_with_themselves(
    tiny_config, waves, monkeypatch, model, ends_of
):
    seen, score = [], model.score

    def watched(engine, streams, *, self_join=False, **settings):
        seen.append((bool(max(ends_of(engine)) > 376), self_join))  # a denoiser holds back what comes later
        return score(engine, streams, self_join=self_join, **settings)

    monkeypatch.setattr(model, "score", watched)
    method = "retrieval" if model is RetrievalModel else "denoiser"
    Detector(tiny_config(f"series.method={method}", "series.window_sizes=[16, 24]")).fit(waves(500, channels=2))
    assert seen == [(True, True)]


@pytest.mark.slow
def test_healthy_data_are_flagged_about_as_often_as_alpha_says(tiny_config, waves):
    rates, flagged = [], []
    for seed in range(4):
        detector = Detector(tiny_config("series.window_sizes=[16, 24]")).fit(waves(500, seed=10 + seed))
        healthy = waves(400, seed=seed)
        p_values = detector.score(healthy).items[0].p_values
        rates.append([(p_values <= alpha).mean() for alpha in (0.1, 0.5)])
        flagged.append([(detector.predict(healthy, alpha=alpha) == 1).mean() for alpha in (0.1, 0.5)])
    low, high = np.mean(rates, axis=0)
    assert low < 0.3
    assert 0.15 < high < 0.8
    assert (np.array(flagged) <= np.array(rates)).all()  # points are flagged within events alone, which are rarer


@pytest.mark.parametrize(("method", "part"), [("retrieval", "window"), ("denoiser", "memory")])
def test_detecting_does_not_let_a_window_find_itself(tiny_config, waves, method, part):
    values = waves(200)
    values[100:116] += 4 * np.random.default_rng(0).normal(size=(16, 1))
    (item,) = Detector(tiny_config(f"series.method={method}")).detect(values).items
    assert item.parts[part][104:112].min() > np.quantile(item.parts[part], 0.9)


@pytest.mark.parametrize(
    ("representation", "scaling"),
    [
        *(("window", "global"), ("scalogram", "window"), ("folded", "global")),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (("window", "window"), ("scalogram", "global"), ("folded", "window"))
        ),
    ],
)
def test_every_representation_fits_scores_and_gives_the_normal_version(tiny_config, waves, representation, scaling):
    config = tiny_config(
        DENOISER,
        f"series.representation={representation}",
        f"series.scaling={scaling}",
        "series.window_sizes=[32]",
        "series.max_windows=40",
        "training.num_steps=2",
        "reconstruction.num_inference_steps=2",
        "reconstruction.noise_level=0.1",
        "reconstruction.guidance_weight=2",
    )
    values = waves(320, channels=2)
    values[60:70] += 3 * np.random.default_rng(0).normal(size=(10, 2))
    result = Detector(config).detect(values)
    assert result.model["representation"] == representation
    assert result.scores.shape == (320,)
    assert np.isfinite(result.scores).all()
    assert np.median(result.scores[60:70]) > np.median(result.scores)
    assert result.items[0].reconstruction.shape == (320, 2)
    assert np.isfinite(result.items[0].reconstruction).all()


def test_the_representation_can_be_chosen_from_the_data(tiny_config, waves):
    config = tiny_config(DENOISER, "series.representation=auto", "series.max_windows=20", "training.num_steps=2")
    detector = Detector(config)
    result = detector.detect(waves(80))
    evidence = detector.choices["representation"]
    assert result.model["representation"] == evidence["chosen"] == detector.config.series.representation
    assert set(evidence["synthetic_auroc"]) | set(evidence["skipped"]) == {"window", "scalogram", "folded"}
    assert np.isfinite(result.scores).all()


@pytest.mark.parametrize("aggregate", ["point", "blend"])
def test_errors_at_points_are_sharper_than_those_of_windows(tiny_config, waves, aggregate):
    values = waves(300, seed=1)
    values[150] += 6

    def half_width(how):
        detector = Detector(tiny_config(DENOISER, f"scoring.aggregate={how}", "scoring.memory_spaces=[]")).fit(
            waves(400)
        )
        scores = detector.decision_function(values)
        assert np.isfinite(scores).all()
        return int((scores > 0.5 * (scores.max() + np.median(scores))).sum())

    assert half_width(aggregate) < half_width("window")


def test_errors_at_points_need_a_point_per_error(tiny_config, waves):
    config = tiny_config(
        DENOISER,
        "scoring.aggregate=point",
        "series.representation=folded",
        "series.window_sizes=[32]",
        "series.max_windows=20",
    )
    with pytest.raises(DataError, match=r"'folded' does not give: use scoring.aggregate=window"):
        Detector(config).detect(waves(100))
