"""Drift in results: where it begins, what moved, and how it is told apart from many anomalies."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from oddwave.calibration.conformal import Calibration
from oddwave.detection.audio.traits import clip_traits, mean_traits
from oddwave.detection.drift import items_drift, most_moved, usual_traits
from oddwave.detection.image.traits import image_traits
from oddwave.detection.scored import Scored, Unjudged
from oddwave.detection.series.drift import block_statistics, streams_drift
from oddwave.sources.series.reader import read_series
from oddwave.tensors.series_scale import SeriesScaler

NORMAL = np.random.default_rng(0).normal(size=120)
CALIBRATION = Calibration.fit([NORMAL], 1, "normal")


def item(number, score, **traits):
    return Scored(SimpleNamespace(id=f"{number:03d}.png"), np.array([score]), traits=traits)


def batch(num_good, num_odd, **moved):
    rng = np.random.default_rng(1)
    good = [item(n, rng.normal(), brightness=0.5 + 0.01 * rng.normal()) for n in range(num_good)]
    values = {"brightness": 0.5, **moved}
    return [*good, *(item(num_good + n, 6 + rng.normal(), **values) for n in range(num_odd))]


USUAL = usual_traits([{"brightness": 0.5 + 0.01 * value} for value in NORMAL])


def test_normal_items_and_single_anomalies_have_no_drift():
    assert items_drift(batch(60, 0), CALIBRATION, USUAL) == ()
    assert items_drift(batch(60, 4), CALIBRATION, USUAL) == ()


def test_other_light_is_a_drift_that_names_the_brightness():
    (found,) = items_drift([Unjudged("broken", "why"), *batch(40, 60, brightness=0.3)], CALIBRATION, USUAL)
    assert found.item == "040.png"
    assert found.since == 41  # the broken one counted
    assert found.moved == "brightness"
    assert found.shift < -10
    assert found.share == pytest.approx(0.6, abs=0.15)
    assert found.capital > 100


def test_many_anomalies_under_the_same_light_name_nothing():
    (found,) = items_drift(batch(0, 30), CALIBRATION, USUAL)
    assert (found.since, found.moved, found.share) == (0, "", 1.0)
    assert np.isnan(found.shift)


def test_the_measures_of_an_image_change_with_its_light_and_not_with_a_defect():
    rng = np.random.default_rng(2)
    images = [np.clip(rng.normal(0, 0.3, size=(1, 3, 32, 32)), -1, 1) for _ in range(20)]
    usual = usual_traits([image_traits(image) for image in images])
    defect = images[0].copy()
    defect[..., 4:9, 4:9] = 1.0
    assert most_moved([image_traits(defect)], usual)[0] == ""
    assert most_moved([image_traits(images[0] - 0.4)], usual)[0] == "brightness"
    assert most_moved([image_traits(images[0] * 0.5)], usual)[0] == "contrast"


def test_the_measures_of_a_recording_are_its_levels():
    time = np.arange(16000) / 16000
    quiet = clip_traits(0.1 * np.sin(2 * np.pi * 500 * time), 16000)
    assert quiet["level"] == pytest.approx(-23.0, abs=0.1)  # 20 lg 0.1 - 3
    assert quiet["level from 250 to 1000 Hz"] == pytest.approx(quiet["level"], abs=0.1)
    assert quiet["level above 4000 Hz"] < -80
    louder = clip_traits(0.2 * np.sin(2 * np.pi * 500 * time), 16000)
    assert mean_traits([quiet, louder, louder])["level"] == louder["level"]
    assert "level above 4000 Hz" not in clip_traits(np.ones(600), 6000)


def streams(values, usual_of):
    """Score each point by how far it lies from the mean: what a stream's own scores would be like."""
    train = read_series(usual_of)
    scaler = SeriesScaler.fit([own.values for own in train.items])
    calibration = Calibration.fit([np.abs(scaler.transform(own.values)).max(1) for own in train.items], 20, "normal")
    statistics = block_statistics(train.items, scaler, calibration)
    judged = [Scored(own, np.abs(scaler.transform(own.values)).max(1)) for own in read_series(values).items]
    return streams_drift(judged, calibration, scaler, statistics)


@pytest.mark.parametrize("short", [1, 19, 20, 21])
def test_a_stream_shorter_than_a_block_neither_teaches_nor_drifts(short):
    values = np.random.default_rng(3).normal(size=(1200, 2))
    train = read_series([values, values[:short]])
    scaler = SeriesScaler.fit([own.values for own in train.items])
    calibration = Calibration.fit([np.abs(own.values).max(1) for own in train.items], 20, "normal")
    found = block_statistics(train.items, scaler, calibration)
    if short < found["size"]:
        assert found == block_statistics(train.items[:1], scaler, calibration)
    judged = [Scored(own, np.abs(own.values).max(1)) for own in train.items]
    assert streams_drift(judged, calibration, scaler, found) == ()


@pytest.mark.parametrize(
    ("change", "moved", "sign"),
    [
        (lambda x: x + np.array([0.0, 3.0]), "level of channel_1", 1),
        (lambda x: x * np.array([4.0, 1.0]), "spread of channel_0", 1),
        (lambda x: x, "", 0),
    ],
)
def test_the_channel_and_what_moved_in_it_are_named(change, moved, sign):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(1200, 2))
    values[600:] = change(values[600:])
    found = streams(values, rng.normal(size=(2000, 2)))
    assert [own.moved for own in found] == [moved] * bool(moved)
    for own in found:
        assert abs(own.since - 600) <= 60
        assert np.sign(own.shift) == sign
        assert own.share_since > 0.8


def test_lost_values_are_a_drift_of_their_channel():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(1200, 2)) + np.array([0.0, 3.0])
    values[::2, 1] = np.nan
    (found,) = streams(values, rng.normal(size=(2000, 2)) + np.array([0.0, 1.0]))
    assert found.moved == "missing values of channel_1"
    assert found.since == 0


def test_an_event_of_a_stream_is_no_drift():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(1200, 2))
    values[600:640] += 8.0
    assert streams(values, rng.normal(size=(2000, 2))) == ()


def test_a_saved_model_knows_what_moved_and_the_summary_tells_it(stream_detector, waves, tmp_path):
    from oddwave.detector import Detector
    from oddwave.report.outputs import summary_of

    other = waves(320, channels=2, seed=6)
    other[:, 1] += 5
    result = Detector.load(stream_detector.save(tmp_path / "model")).score(other, explain="none")
    (found,) = result.drift
    assert (found.since, found.moved) == (0, "level of channel_1")
    told = json.loads(json.dumps(summary_of(result)))
    assert told["drift"] == [dataclasses.asdict(found)]
    assert told["verdict"]["headline"].startswith("These data do not resemble what was learned (from the beginning: ")
