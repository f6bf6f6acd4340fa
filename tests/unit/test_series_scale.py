"""The scaler, missing values, and the modality that puts windows together."""

import json

import numpy as np
import pytest

from oddwave.errors import CheckpointError, ConfigError, NotFittedError, ShapeError
from oddwave.modalities import read_series
from oddwave.modalities.series import LINEAR_LIMIT, SeriesModality, SeriesScaler, fill_missing, robust_scale


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
    far = scaler.transform(np.array([[3.0 * LINEAR_LIMIT], [30.0], [300.0], [3e9]]))[:, 0]
    assert far[0] == LINEAR_LIMIT
    assert (np.diff(far) > 0).all()
    assert far[-1] < 25
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


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"scale": "window"},
        {"representation": "folded", "period": 7},
        {"representation": "folded", "period": 8, "scale": "window"},
    ],
)
def test_tensors_of_an_item_and_back(settings):
    (item,) = read_series(stream()).items
    modality = SeriesModality(window_size=32, stride=8, **settings).fit([item])
    batch = modality.tensors(item)
    assert batch.x0.ndim == 2 + modality.grid_dims
    assert np.abs(batch.x0).max() < 3
    assert batch.statistics.shape == (len(batch.starts), 4)
    np.testing.assert_allclose(modality.restore(batch.x0, batch), item.values, rtol=1e-9)
    maps = np.ones((len(batch.x0), *batch.x0.shape[2:]))
    np.testing.assert_allclose(modality.restore_maps(maps, batch), np.ones(200))
    again = SeriesModality.from_dict(json.loads(json.dumps(modality.to_dict())))
    np.testing.assert_array_equal(again.tensors(item).x0, batch.x0)


def test_a_level_shift_survives_the_global_scale_and_stays_in_the_statistics_of_the_other():
    values = np.r_[np.zeros(64), np.full(64, 5.0)][:, None] + np.random.default_rng(0).normal(size=(128, 1)) * 0.1
    (item,) = read_series(values).items
    by_window = SeriesModality(window_size=32, stride=32, scale="window").fit([item]).tensors(item)
    overall = SeriesModality(window_size=32, stride=32).fit([item]).tensors(item)
    assert abs(overall.x0[0].mean() - overall.x0[-1].mean()) > 0.4
    assert abs(by_window.x0[0].mean() - by_window.x0[-1].mean()) < 1e-9
    np.testing.assert_array_equal(by_window.statistics, overall.statistics)
    assert abs(by_window.statistics[0, 0] - by_window.statistics[-1, 0]) > 0.4


def test_resampled_tensors_have_the_asked_length_and_come_back_close():
    (item,) = read_series(np.sin(np.arange(300) / 20)[:, None]).items
    modality = SeriesModality(window_size=100, stride=20, length=64).fit([item])
    batch = modality.tensors(item)
    assert batch.x0.shape[1:] == (1, 64)
    assert np.abs(modality.restore(batch.x0, batch) - item.values).max() < 0.05


def test_settings_and_use_before_fit_are_checked():
    (item,) = read_series(stream()).items
    with pytest.raises(NotFittedError, match="call fit"):
        SeriesModality(window_size=16).tensors(item)
    with pytest.raises(ConfigError, match="needs a period"):
        SeriesModality(window_size=16, representation="folded")
    with pytest.raises(ConfigError, match="scale is 'local'"):
        SeriesModality(window_size=16, scale="local")
    with pytest.raises(CheckpointError, match="damaged"):
        SeriesModality.from_dict({"window_size": 4})
    with pytest.raises(ShapeError, match="shorter than its window"):
        SeriesModality(window_size=500).fit([item]).tensors(item)
