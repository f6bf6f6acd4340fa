"""The normal version of a stream, and which wavelet bands carry an event."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from oddwave.detection.series.denoiser_model import DenoiserModel
from oddwave.detection.series.explain import band_shares, band_signals
from oddwave.detection.series.plan import WindowPlan
from oddwave.detection.series.streams import Stream


def as_stream(values, group=0, breaks=()):
    return Stream(f"s{group}", group, values.astype(np.float32), np.ones(values.shape, bool), breaks)


def built(config, channels=1, size=16):
    engine = DenoiserModel.build(config, WindowPlan((size,), (4,), 16, 16, False, {}), channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for weight in engine.net.parameters():  # an untrained network answers zero whatever it sees
            if not weight.abs().sum():
                torch.nn.init.normal_(weight, std=0.05)
    return engine


@pytest.mark.parametrize("n", [1, 2, 7, 33, 500])
def test_bands_add_up_to_the_residual(n):
    residual = np.random.default_rng(0).normal(size=(n, 2))
    parts = band_signals(residual)
    assert parts.shape[1:] == (n, 2)
    np.testing.assert_allclose(parts.sum(0), residual, atol=1e-9)


def test_missing_residuals_count_as_none():
    residual = np.random.default_rng(0).normal(size=(64, 1))
    residual[10:20] = np.nan
    np.testing.assert_allclose(band_signals(residual).sum(0), np.nan_to_num(residual), atol=1e-9)


@pytest.mark.parametrize(("period", "band"), [(3, 0), (6, 1), (12, 2), (24, 3), (48, 4)])
def test_an_oscillation_is_carried_by_the_band_that_holds_its_period(period, band):
    residual = np.sin(2 * np.pi * np.arange(512) / period)[:, None]
    shares = band_shares(band_signals(residual), 100, 400, None)
    strongest = max(range(len(shares)), key=lambda k: shares[k].share)
    assert strongest == band
    assert shares[strongest].share > 0.6
    assert shares[strongest].period_min <= period <= shares[strongest].period_max


def test_a_level_shift_is_carried_by_the_coarsest_band():
    shares = band_shares(band_signals(np.ones((512, 1))), 0, 511, None)
    assert shares[-1].share == pytest.approx(1.0)
    assert shares[-1].period_max == float("inf")


def test_shares_sum_to_one_and_bands_meet_without_a_gap():
    shares = band_shares(band_signals(np.random.default_rng(0).normal(size=(256, 3))), 10, 30, 0.5)
    assert sum(s.share for s in shares) == pytest.approx(1.0)
    for fine, coarse in pairwise(shares):
        assert fine.period_max == coarse.period_min
        assert fine.low_hz == coarse.high_hz
    assert shares[0].high_hz == pytest.approx(1.0)  # half the rate of one sample every 0.5 s
    assert shares[-1].low_hz == 0.0


def test_without_a_clock_there_are_no_hertz_and_without_a_residual_no_shares():
    shares = band_shares(band_signals(np.zeros((64, 1))), 3, 5, None)
    assert {s.share for s in shares} == {0.0}
    assert {s.low_hz for s in shares} == {s.high_hz for s in shares} == {None}


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpmsolver++"])
def test_a_streams_normal_version_does_not_depend_on_the_streams_beside_it(tiny_config, waves, sampler):
    config = tiny_config(f"reconstruction.sampler={sampler}", "reconstruction.num_inference_steps=2")
    engine = built(config, channels=2)
    first, second = as_stream(waves(50, channels=2)), as_stream(waves(40, channels=2, seed=1), group=1)
    (alone,) = engine.normal_streams([second])
    together = engine.normal_streams([first, second])
    assert [part.shape for part in together] == [(50, 2), (40, 2)]
    assert alone.std() > 0.01
    np.testing.assert_allclose(together[1], alone, atol=1e-4)
    np.testing.assert_array_equal(engine.normal_streams([second])[0], alone)


def test_stretches_too_short_for_a_window_have_no_normal_version(tiny_config, waves):
    engine = built(tiny_config())
    (part,) = engine.normal_streams([as_stream(waves(50), breaks=(40,))])
    assert np.isfinite(part[:40]).all()
    assert np.isnan(part[40:]).all()
    (nothing,) = engine.normal_streams([as_stream(waves(10))])
    assert np.isnan(nothing).all()
    assert nothing.shape == (10, 1)
