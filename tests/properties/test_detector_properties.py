"""What must hold for every fitted detector, whatever the data."""

import numpy as np
import pytest

from oddwave.detector import Detector

ALPHA = "calibration.alpha=0.2"


@pytest.fixture(scope="module")
def plain(tiny_config, waves, odd_stream):
    """The scores of the odd stream where nothing was done to any unit."""
    return Detector(tiny_config()).fit(waves(240, channels=2)).decision_function(odd_stream)


@pytest.fixture(scope="module")
def odd_stream(waves):
    values = waves(160, channels=2, seed=1)
    values[70:80] += 2
    return values


def test_saving_and_loading_changes_no_bit_of_a_result(stream_detector, panel_detector, odd_stream, beats, tmp_path):
    for detector, items in ((stream_detector, odd_stream), (panel_detector, beats(8, seed=1))):
        loaded = Detector.load(detector.save(tmp_path / detector.inner.kind))
        old, new = detector.score(items), loaded.score(items)
        np.testing.assert_array_equal(new.scores, old.scores)
        np.testing.assert_array_equal(new.labels, old.labels)
        assert new.events == old.events
        for one, other in zip(old.items, new.items, strict=True):
            np.testing.assert_array_equal(other.reconstruction, one.reconstruction)
            np.testing.assert_array_equal(other.p_values, one.p_values)


@pytest.mark.parametrize("method", [pytest.param("retrieval", marks=pytest.mark.slow), "denoiser"])
def test_the_same_seed_gives_the_same_detector_and_another_seed_another(method, tiny_config, waves, odd_stream):
    one, again, other = (
        Detector(tiny_config(f"seed={seed}", f"series.method={method}"))
        .fit(waves(240, channels=2))
        .decision_function(odd_stream)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(again, one)
    assert np.allclose(other, one) == (method == "retrieval")  # which draws nothing


def test_streams_beside_each_other_do_not_change_a_streams_result(stream_detector, waves, odd_stream):
    beside = [100 * waves(90, channels=2, seed=5), odd_stream, np.zeros((40, 2))]
    together = stream_detector.score(beside)
    (alone,) = stream_detector.score(odd_stream).items
    item = together.items[1]
    np.testing.assert_allclose(item.scores, alone.scores, rtol=1e-4, atol=2e-4)
    np.testing.assert_array_equal(item.labels, alone.labels)
    np.testing.assert_allclose(item.reconstruction, alone.reconstruction, atol=1e-4)
    assert [e.start for e in item.events] == [e.start for e in alone.events]


def test_instances_score_the_same_in_any_order(panel_detector, beats):
    items = beats(30, seed=1)
    order = np.random.default_rng(0).permutation(30)
    np.testing.assert_allclose(
        panel_detector.decision_function(items[order]),
        panel_detector.decision_function(items)[order],
        rtol=1e-4,
        atol=2e-4,
    )


@pytest.mark.parametrize(
    ("scale", "offset", "tolerance"),
    [(4.0, 0.0, 0.0), (1000.0, -7.0, 0.02), pytest.param(1e-4, 3.0, 0.02, marks=pytest.mark.slow)],
)
def test_units_do_not_matter(plain, tiny_config, waves, odd_stream, scale, offset, tolerance):
    moved = Detector(tiny_config()).fit(scale * waves(240, channels=2) + offset)
    np.testing.assert_allclose(
        moved.decision_function(scale * odd_stream + offset), plain, rtol=tolerance, atol=tolerance
    )


def test_a_channels_unit_does_not_matter_to_the_others(plain, tiny_config, waves, odd_stream):
    units = np.array([1.0, 1024.0])
    mixed = Detector(tiny_config()).fit(units * waves(240, channels=2)).decision_function(units * odd_stream)
    np.testing.assert_array_equal(mixed, plain)


def test_a_stream_joined_from_copies_repeats_its_scores_away_from_the_seams(stream_detector, waves):
    values = waves(240, channels=2, seed=1)  # whole periods, and a multiple of every stride
    once, twice = (
        stream_detector.decision_function(values),
        stream_detector.decision_function(np.concatenate([values] * 2)),
    )
    np.testing.assert_allclose(twice[24:216], once[24:216], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(twice[264:456], once[24:216], rtol=1e-3, atol=1e-3)


def test_the_scored_data_are_not_changed(stream_detector, odd_stream):
    before = odd_stream.copy()
    stream_detector.score(odd_stream)
    np.testing.assert_array_equal(odd_stream, before)
