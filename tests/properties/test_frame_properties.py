"""Properties of WaveletFrame and series scalograms on any length, spacing and batch."""

from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oddwave.wavelets.frame import WaveletFrame
from oddwave.wavelets.scalogram import SeriesScalogram

FEW = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 2**31)


SETTINGS = st.fixed_dictionaries(
    {
        "num_samples": st.integers(16, 400),
        "num_bands": st.integers(10, 40),
        "columns": st.integers(1, 100),
        "wavelet": st.sampled_from(["morse", "morlet"]),
        "cycles": st.floats(1.0, 4.0),
    }
)


def _frame(cycles: float, num_samples: int, **rest: Any) -> WaveletFrame:
    """Build a frame whose lowest band has `cycles` cycles in the signal."""
    return WaveletFrame(num_samples, 100.0, f_min=cycles * 100.0 / num_samples, **rest)


def _noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@FEW
@given(given_settings=SETTINGS, seed=SEEDS, scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_round_trips_and_parseval(given_settings: dict[str, Any], seed: int, scale: float) -> None:
    frame = _frame(**given_settings)
    x = _noise(seed, 2, frame.num_samples) * scale
    full, blocks = frame.cwt(x), frame.analyse(x)
    assert (frame.icwt(full) - x).norm() <= 1e-12 * x.norm()
    assert (frame.synthesise(blocks) - x).norm() <= 1e-12 * x.norm()
    energy = x.square().sum(-1)
    assert torch.allclose(full.abs().square().sum((-1, -2)), energy, rtol=1e-10)
    power = frame.power_map(blocks).mean(-1).sum(-1)
    assert torch.allclose(power * frame.num_samples, energy, rtol=1e-10)


@FEW
@given(given_settings=SETTINGS, seed=SEEDS)
def test_time_reversal_mirrors_and_conjugates(given_settings: dict[str, Any], seed: int) -> None:
    frame = _frame(**given_settings)
    x = _noise(seed, frame.num_samples)
    assert torch.allclose(frame.cwt(x.flip(-1)), frame.cwt(x).flip(-1).conj(), atol=1e-10)
    for mirrored, block in zip(frame.analyse(x.flip(-1)), frame.analyse(x), strict=True):
        assert torch.allclose(mirrored, block.flip(-1).conj(), atol=1e-10)


@FEW
@given(given_settings=SETTINGS, seed=SEEDS)
def test_linear_and_independent_of_the_batch(given_settings: dict[str, Any], seed: int) -> None:
    frame = _frame(**given_settings)
    x = _noise(seed, 3, frame.num_samples)
    blocks = frame.analyse(x)
    mixed = frame.analyse(2 * x[0] - x[2])
    for block, mix in zip(blocks, mixed, strict=True):
        assert torch.allclose(2 * block[0] - block[2], mix, atol=1e-10)


@FEW
@given(
    length=st.integers(16, 128),
    left=st.integers(0, 40),
    right=st.integers(0, 40),
    kind=st.sampled_from(["complex", "mexican_hat", "log_magnitude"]),
    seed=SEEDS,
)
def test_scalograms_with_context_are_invertible(length: int, left: int, right: int, kind: str, seed: int) -> None:
    scalogram = SeriesScalogram(length, num_bands=14, kind=kind)
    x = _noise(seed, 2, 3, length)
    context = (_noise(seed + 1, 2, 3, left), _noise(seed + 2, 2, 3, right))
    maps = scalogram.transform(x, context)
    assert maps.shape == (2, 3 * scalogram.maps_per_channel, 16, length)
    assert (scalogram.inverse(maps, context, reference=x) - x).norm() <= 1e-10 * x.norm()
