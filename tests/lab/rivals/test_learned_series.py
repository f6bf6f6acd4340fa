"""Transformer-AD, Autoformer and the convolutional autoencoder: their mathematics."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter1d

from oddwave.errors import ShapeError
from oddwave.lab.rivals.learned.autoformer import AutoCorrelation, Autoformer, Decomposition
from oddwave.lab.rivals.learned.conv_autoencoder import ConvAutoencoder
from oddwave.lab.rivals.learned.transformer import PatchTokens, TransformerAD

pytestmark = pytest.mark.slow  # what all rivals promise is held by tests/contract, by default

SERIES = (TransformerAD, Autoformer)


def instances(seed=0, num=40):
    rng, time = np.random.default_rng(seed), np.arange(32)
    phase = rng.uniform(0, 0.6, (num, 2, 1))
    return np.sin(time / 4 + phase) + 0.05 * rng.normal(size=(num, 2, 32))


@pytest.mark.parametrize("method", [*SERIES, ConvAutoencoder])
def test_equal_seeds_give_equal_networks_on_windows_as_short_as_four_points(method):
    windows = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    maps = []
    for seed in (0, 0, 1):
        made = method(num_steps=2, batch_size=4, seed=seed)
        made.fit(windows)
        maps.append(made.error_maps(windows))
    assert maps[0].shape == (5, 4)
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("method", [*SERIES, ConvAutoencoder])
def test_training_explains_most_of_what_varies_in_normal_windows(method):
    """Two sines of any phase have four degrees of freedom: a code of that size or more can hold them."""
    rng, time = np.random.default_rng(0), np.arange(64)
    phase = rng.uniform(0, 2 * np.pi, (200, 2, 1))
    waves = torch.from_numpy(np.sin(time / 5 + phase)).float()
    made = method(num_steps=120, learning_rate=3e-3)
    made.fit(waves[:150])
    assert float(made.error_maps(waves[150:]).mean()) < 0.5 * float(waves.square().mean())


@pytest.mark.parametrize("method", SERIES)
def test_values_far_off_cannot_be_reconstructed(method):
    windows = torch.from_numpy(instances(num=12)).float()
    made = method(num_steps=3)
    made.fit(windows)
    far = windows[:2].clone()
    far[0] += 1e6
    maps = made.error_maps(far)
    assert torch.isfinite(maps).all()
    torch.testing.assert_close(maps[0], torch.full((32,), 1e12), rtol=1e-3, atol=0.0)


@pytest.mark.parametrize("method", SERIES)
def test_images_are_refused(method):
    with pytest.raises(ShapeError, match=f"'{method.name}' was given items on a grid .* windows of series"):
        method(num_steps=1).fit(torch.zeros(4, 3, 8, 8))


@pytest.mark.parametrize("length", [4, 8, 13, 64, 127, 128, 129, 500, 640])
def test_patches_join_to_the_windows_they_were_cut_from(length):
    windows = torch.randn(2, 3, length)
    patches = PatchTokens(3, length)
    tokens = patches.cut(windows)
    assert tokens.shape == (2, patches.num_tokens, patches.size)
    assert 4 <= patches.num_tokens <= 128
    assert torch.equal(patches.join(tokens), windows)
    # a token holds neighbouring points of all channels
    torch.testing.assert_close(tokens[0, 1], windows[0, :, patches.patch : 2 * patches.patch].flatten())


def test_the_second_phase_sees_where_the_first_one_erred():
    windows = torch.from_numpy(instances(num=12)).float()
    made = TransformerAD(num_steps=3)
    made.fit(windows)
    with torch.inference_mode():
        first, second = made.network(windows)
        focus = (first - windows).square()
        torch.testing.assert_close(second, made.network._reconstructed(windows, focus, phase=1))
        assert not torch.allclose(second, made.network._reconstructed(windows, 0 * focus, phase=1))
        expected = (focus + (second - windows).square()).mean(1) / 2
    torch.testing.assert_close(made.error_maps(windows), expected)


@pytest.mark.parametrize("num_tokens", [4, 8, 16, 64, 125])
def test_decomposition_is_a_moving_average_and_the_rest(num_tokens):
    tokens = torch.randn(2, num_tokens, 5, dtype=torch.float64)
    decompose = Decomposition(num_tokens)
    seasonal, trend = decompose(tokens)
    expected = uniform_filter1d(tokens.numpy(), 2 * decompose.reach + 1, axis=1, mode="nearest")
    np.testing.assert_allclose(trend.numpy(), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(seasonal + trend, tokens)


def test_auto_correlation_equals_the_sum_over_shifted_products():
    query, key = (
        torch.randn(3, 10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in (0, 1)
    )
    expected = [(query * torch.roll(key, delay, dims=1)).sum(1).mean(1) for delay in range(10)]
    torch.testing.assert_close(AutoCorrelation.correlation(query, key), torch.stack(expected, dim=1))


def test_auto_correlation_brings_a_delayed_memory_back_into_place():
    """With plain projections and one dominant delay, the mixture is the memory shifted by that delay."""
    mix = AutoCorrelation(16, 4)
    with torch.no_grad():
        for layer in (mix.query, mix.key, mix.value, mix.out):
            layer.weight.copy_(torch.eye(4))
            layer.bias.zero_()
    tokens = 10 * torch.randn(2, 16, 4, generator=torch.Generator().manual_seed(0))
    memory = torch.stack([torch.roll(tokens[0], 3, dims=0), torch.roll(tokens[1], -5, dims=0)])
    with torch.inference_mode():
        torch.testing.assert_close(mix(tokens, memory), tokens, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("channels", "grid", "size"), [(1, (64,), 8), (3, (4,), 1), (3, (64, 64), 64), (1, (640,), 64)]
)
def test_the_code_of_the_convolutional_autoencoder_is_narrow(channels, grid, size):
    network = ConvAutoencoder()._build(channels, grid)
    assert network.encode(torch.zeros(2, channels, *grid)).shape == (2, size)
    assert network.decode(torch.zeros(2, size)).shape == (2, channels, *grid)
