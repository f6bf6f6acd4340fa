"""The scale of a series, and missing values."""

import json

import numpy as np
import pytest

from oddwave.errors import CheckpointError, ShapeError
from oddwave.tensors.series_scale import LINEAR_LIMIT, SeriesScaler, fill_missing, robust_scale


def stream(n=200, channels=2):
    rng = np.random.default_rng(0)
    return np.sin(np.arange(n)[:, None] / 5) * [3, 50][:channels] + rng.normal(size=(n, channels)) + 100


def test_normal_data_map_to_about_one_and_keep_their_centre():
    values = np.random.default_rng(0).normal(20, 4, size=(5000, 1))
    scaler = SeriesScaler.fit([values])
    assert scaler.centre[0] == pytest.approx(20, abs=0.3)
    assert scaler.scale[0] == pytest.approx(4, rel=0.1)
    assert 0.9 < np.quantile(np.abs(scaler.transform(values)), 0.997) < 1.1


def test_far_values_keep_their_order_and_grow_slowly():
    scaler = SeriesScaler((0.0,), (1.0,))
    far = scaler.transform(np.array([[3.0 * LINEAR_LIMIT], [3e3], [3e4], [3e9]]))[:, 0]
    assert far[0] == LINEAR_LIMIT
    assert (np.diff(far) > 0).all()
    assert far[-1] < LINEAR_LIMIT + 25
    step = 1e-6
    around = scaler.transform(3 * (LINEAR_LIMIT + step * np.array([[-1.0], [0.0], [1.0]])))[:, 0]
    assert np.diff(around) == pytest.approx([step, step], rel=1e-3)


@pytest.mark.parametrize(
    ("channel", "centre", "scale"),
    [
        (np.full(50, 7.0), 7.0, 0.7),
        (np.zeros(50), 0.0, 1.0),
        (np.full(50, np.nan), 0.0, 1.0),
        (np.r_[np.zeros(98), 1.0, 1.0], 0.0, 0.14),
        (np.r_[np.zeros(80), np.full(20, 3.29)], 0.0, 1.0),
    ],
)
def test_odd_channels_have_a_usable_scale(channel, centre, scale):
    assert robust_scale(channel) == pytest.approx((centre, scale))


def test_rounding_noise_on_a_constant_is_a_constant():
    assert robust_scale(1e6 + np.random.default_rng(0).normal(size=100) * 1e-8)[1] == pytest.approx(1e5)


def test_scaler_state_is_json_and_damage_is_noticed():
    scaler = SeriesScaler.fit([stream()])
    assert SeriesScaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler
    for state in ({}, {"centre": [0]}, {"centre": [0], "scale": [0]}, {"centre": ["x"], "scale": [1]}):
        with pytest.raises(CheckpointError, match="fit the model again"):
            SeriesScaler.from_dict(state)
    with pytest.raises(CheckpointError):
        SeriesScaler.from_dict({"centre": [0.0, 1.0], "scale": [1.0]})


def test_another_number_of_channels_is_refused():
    with pytest.raises(ShapeError, match=r"3 channel\(s\), the scale was fitted on 2"):
        SeriesScaler.fit([stream()]).transform(np.ones((5, 3)))
    with pytest.raises(ShapeError, match="equal channels"):
        SeriesScaler.fit([np.ones((3, 1)), np.ones((3, 2))])
    with pytest.raises(ShapeError, match="equal channels"):
        SeriesScaler.fit([])


def test_missing_values_are_filled_by_lines_and_held_at_the_ends():
    values = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, np.nan], [4.0, np.nan], [np.nan, np.nan]])
    filled, observed = fill_missing(values)
    np.testing.assert_array_equal(filled[:, 0], [2, 2, 3, 4, 4])
    np.testing.assert_array_equal(filled[:, 1], np.ones(5))
    np.testing.assert_array_equal(observed, ~np.isnan(values))
    np.testing.assert_array_equal(fill_missing(np.full((3, 1), np.nan))[0], np.zeros((3, 1)))
