"""The model by retrieval: what it remembers, what it finds and where, and what must not move its scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from oddwave.calibration.trimming import without_odd_blocks
from oddwave.config import preset
from oddwave.detection.series import window_evidence
from oddwave.detection.series.plan import plan_windows
from oddwave.detection.series.retrieval_model import RetrievalModel
from oddwave.detection.series.streams import Stream
from oddwave.detector import Detector
from oddwave.errors import CheckpointError, DataError


def as_stream(values, group=0, breaks=(), known=None, offset=0):
    known = np.ones(values.shape, bool) if known is None else known
    return Stream(f"s{group}", group, values.astype(np.float32), known, breaks, offset)


def built(config, streams):
    plan = plan_windows(streams, config, panel=False, held_back=0.0)
    return RetrievalModel.build(config, plan, streams[0].values.shape[1])


@pytest.fixture(scope="module")
def training(waves):
    return [as_stream(waves(400, channels=2))]


@pytest.fixture(scope="module")
def model(tiny_config, training):
    own = built(tiny_config("series.window_sizes=[16, 24]"), training)
    own.fit(training)
    return own


def test_a_stream_is_compared_with_the_rest_of_itself_or_with_all(model, training):
    (rest,), (everything,) = model.score(training, self_join=True), model.score(training)
    assert rest.scores.shape == (400,)
    assert np.median(rest.parts["window"]) > np.median(everything.parts["window"]) + 0.5
    assert np.isfinite(rest.scores).all()


def test_the_scores_of_a_fit_are_those_of_the_self_join(tiny_config, training, model):
    (own,) = built(tiny_config("series.window_sizes=[16, 24]"), training).fit(training)
    (again,) = model.score(training, self_join=True)
    np.testing.assert_array_equal(own.scores, again.scores)


def test_a_score_is_window_evidence_and_point_evidence(model, waves):
    (own,) = model.score([as_stream(waves(200, channels=2, seed=4))])
    assert set(own.parts) == {"window", "point"}
    assert own.by_size.shape == (2, 200)
    np.testing.assert_allclose(own.parts["window"] + own.parts["point"], own.scores, atol=0.5)
    assert np.corrcoef(own.parts["window"] + own.parts["point"], own.scores)[0, 1] > 0.99


def test_streams_and_blocks_beside_it_do_not_move_a_score(model, waves, monkeypatch):
    streams = [as_stream(waves(80, channels=2, seed=s), group=5 + s) for s in range(2)]
    together = model.score(streams)
    monkeypatch.setattr(window_evidence, "_TOGETHER", 1)  # each size and view by itself, not in one pass of the prior
    for own, apart in zip(together, model.score(streams), strict=True):
        np.testing.assert_array_equal(own.scores, apart.scores)
    monkeypatch.setattr(window_evidence, "_BLOCK_VALUES", 1)
    for stream, own in zip(streams, together, strict=True):
        (alone,) = model.score([stream])
        np.testing.assert_allclose(alone.scores, own.scores, rtol=1e-4, atol=1e-4)


def test_a_scorer_is_made_once_and_again_of_what_is_remembered_anew(tiny_config, training, waves):
    model = built(tiny_config("series.window_sizes=[16]"), training)
    model.fit(training)
    before = model.scorer(model.sizes[0])
    assert model.scorer(model.sizes[0]) is before
    model.remember([as_stream(waves(100, channels=2, seed=9), group=3)])
    after = model.scorer(model.sizes[0])
    assert len(after.memory.windows) > len(before.memory.windows)
    model.sizes[0].basis = replace(model.sizes[0].basis, log_odds=(1.0, 1.0))
    assert model.scorer(model.sizes[0]).usual_odds.eq(1.0).all()


@pytest.fixture(scope="module")
def sine():
    """A noisy sine of 2,000 points: of period 25, normal."""

    def drawn(seed, n=2000):
        rng = np.random.default_rng(seed)
        return (np.sin(2 * np.pi * np.arange(n) / 25) + 0.1 * rng.normal(size=n))[:, None]

    return drawn


SPIKE, SHIFT, FLAT = (400, 400), (800, 899), (1400, 1439)


def planted(values):
    values = values.copy()
    values[SPIKE[0]] += 3.0
    values[SHIFT[0] : SHIFT[1] + 1] += 1.5
    values[FLAT[0] : FLAT[1] + 1] = values[FLAT[0]]
    return values


@pytest.fixture(scope="module")
def fitted(sine):
    return Detector(preset("fast")).fit(sine(50))


@pytest.mark.parametrize("way", ["fit", pytest.param("detect", marks=pytest.mark.slow)])
def test_a_spike_a_level_shift_and_a_flat_line_are_found_where_they_are(fitted, sine, way):
    early, late = [], []
    for seed in (1, 2, 3):
        values = planted(sine(seed))
        result = fitted.score(values) if way == "fit" else Detector(preset("fast")).detect(values)
        strongest = result.events[:3]
        for start, end in (SPIKE, SHIFT, FLAT):
            event = min(strongest, key=lambda own, start=start: abs(own.start - start))
            early.append(abs(event.start - start))
            late.append(abs(event.end - end))
            assert result.labels[event.start : event.end + 1].all()
    assert np.median(early) <= 2
    assert np.median(late) <= 2
    assert sum(own > 3 for own in early) <= 3  # noise may carry most of the highest evidence further
    assert max(early) <= 6
    assert max(late) <= 5


def test_the_normal_version_is_the_sine_again(fitted, sine):
    (item,) = fitted.score(planted(sine(1)), explain="all").items
    away = np.abs(item.reconstruction - np.sin(2 * np.pi * np.arange(2000) / 25)[:, None])[:, 0]
    assert away[SPIKE[0]] < 1.0  # a third of what it was raised by
    assert np.median(away[SHIFT[0] : SHIFT[1]]) < 0.75  # half of what it was shifted by
    assert np.median(away) < 0.1


# Channels that hardly change


@pytest.mark.slow
def test_a_constant_channel_that_moves_a_little_gives_scores_of_ordinary_size(sine):
    train = np.concatenate([sine(0, 800), np.full((800, 1), 0.999)], axis=1)
    detector = Detector(preset("fast")).fit(train)

    def scores(value):
        return detector.decision_function(np.concatenate([sine(1, 300), np.full((300, 1), value)], axis=1))

    usual = scores(0.999)
    for value in (0.999 + 1e-12, 1.0, 1.1):
        moved = scores(value)
        assert np.isfinite(moved).all()
        assert moved.max() < 30
        if abs(value - 0.999) < 1e-9:
            np.testing.assert_allclose(moved, usual, atol=1e-3)
        else:
            assert moved.max() > usual.max()


@pytest.mark.parametrize("rounding", [0.0, 1e-12, pytest.param(1e-15, marks=pytest.mark.slow)])
def test_rounding_decides_nothing(rounding):
    draws = np.random.default_rng(0)
    detector = Detector(preset("fast")).fit(0.999 + rounding * draws.normal(size=(600, 1)))
    result = detector.score(0.999 + rounding * draws.normal(size=(300, 1)))
    assert result.labels.sum() == 0
    assert result.scores.max() < 3
    other = detector.score(np.full((300, 1), 1.1))
    assert other.labels.all()  # all of it, not the points that happen to stand out of the others
    assert len(other.events) == 1


def test_a_quantised_channel_scores_alike_in_any_unit(sine):
    train, test = (np.round(2 * sine(seed, 1000)) / 2 for seed in (0, 1))
    scores = Detector(preset("fast")).fit(train).decision_function(test)
    assert np.isfinite(scores).all()
    in_other_units = Detector(preset("fast")).fit(7.3 * train - 4.0).decision_function(7.3 * test - 4.0)
    np.testing.assert_allclose(in_other_units, scores, atol=0.02)


# Gaps, memory, storing


def test_missing_values_are_lent_and_never_look_odd(model, waves):
    values = waves(200, channels=2, seed=4)
    known = np.ones(values.shape, bool)
    known[90:100, 1] = False
    lost = np.where(known, values, 0.0)
    lost[90:100, 1] = np.linspace(values[89, 1], values[100, 1], 12)[1:-1]  # as gaps are filled before
    (whole,), (gap,) = model.score([as_stream(values)]), model.score([as_stream(lost, known=known)])
    (line,) = model.score([as_stream(lost)])
    assert np.isfinite(gap.scores).all()
    assert gap.scores[85:105].max() < whole.scores.max() + 1.0
    assert gap.scores[85:105].mean() < line.scores[85:105].mean()


def test_what_is_remembered_later_is_normal_from_then_on(tiny_config, training, waves):
    own = built(tiny_config("series.window_sizes=[16]"), training)
    own.fit(training)
    new = waves(400, channels=2, seed=7) + 0.8 * np.sin(np.arange(400) / 2)[:, None]
    stream, before = as_stream(new, group=3), len(own.sizes[0].memory.windows)
    basis = own.sizes[0].basis
    (strange,) = own.score([stream])
    own.remember([stream])
    (known,) = own.score([stream])
    assert strange.scores.mean() > known.scores.mean() + 3
    assert len(own.sizes[0].memory.windows) > before
    assert own.sizes[0].basis == basis
    (rest,) = own.score([stream], self_join=True)
    assert strange.scores.mean() > rest.scores.mean() > known.scores.mean()  # the rest is not itself


def test_a_stretch_too_short_for_a_window_has_no_score(model, waves):
    (own,) = model.score([as_stream(waves(60, channels=2), breaks=(40,))])
    assert np.isfinite(own.scores).all()  # 20 points: one window of 16
    (own,) = model.score([as_stream(waves(50, channels=2), breaks=(40,))])
    assert np.isfinite(own.scores[:40]).all()
    assert np.isnan(own.scores[40:]).all()


def test_too_many_gaps_are_refused_in_one_line(tiny_config, waves):
    stream = as_stream(waves(200), breaks=tuple(range(10, 200, 10)))
    with pytest.raises(DataError, match="no stretch of 16 points without a gap"):
        built(tiny_config(), [stream]).fit([stream])


@pytest.mark.slow
def test_more_channels_than_the_prior_looks_at(tiny_config, waves):
    detector = Detector(tiny_config()).fit(waves(200, channels=20))
    values = waves(120, channels=20, seed=1)
    values[60:70, 18] += 3
    result = detector.score(values)
    assert 57 <= result.events[0].start <= 63
    assert result.events[0].channel == "channel_18"


@pytest.mark.parametrize("kind", ["stream", "panel"])
def test_a_loaded_model_scores_the_same_to_the_bit(kind, stream_detector, panel_detector, waves, beats, tmp_path):
    detector = stream_detector if kind == "stream" else panel_detector
    values = waves(150, channels=2, seed=3) if kind == "stream" else beats(9, seed=3)
    loaded = Detector.load(detector.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function(values), detector.decision_function(values))
    for old, new in zip(detector.inner.state()[0].items(), loaded.inner.state()[0].items(), strict=True):
        assert old[0] == new[0]
        assert torch.equal(old[1], new[1])


def test_a_model_of_another_prior_is_refused(stream_detector, tmp_path, saved_files):
    saved = stream_detector.save(tmp_path / "model")
    saved_files.rewritten(saved, "calibration.json", lambda own: own.update(prior_sha256="0" * 64))
    with pytest.raises(CheckpointError, match=r"fitted with another prior of series .*: fit it again"):
        Detector.load(saved)


def test_a_stream_that_falls_silent_is_flagged_although_nothing_is_as_near_to_all_windows():
    counts = np.random.default_rng(0).poisson(0.3, size=(4500, 1)).astype(float)
    later = counts[3000:].copy()
    later[400:] = 0.0
    result = Detector(preset("fast")).fit(counts[:3000]).score(later)
    assert (result.labels[500:] == 1).mean() > 0.9
    assert (result.labels[:350] == 1).mean() < 0.05


def test_faults_of_a_stream_do_not_calibrate_it():
    quiet = np.random.default_rng(1).normal(size=1000)
    quiet[300:310] += 30.0
    (kept,) = without_odd_blocks([quiet], 50)
    assert np.isnan(kept[300:310]).all()
    assert np.isfinite(np.delete(kept, np.arange(300, 310))).mean() > 0.99
