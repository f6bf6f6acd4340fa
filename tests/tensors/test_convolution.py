"""Random convolutions against plain NumPy, and instances whose shapes lie elsewhere."""

import numpy as np
import pytest

from oddwave.tensors.convolution import RandomConvolutions, _kernels, dilations_of, num_dimensions


def instances(num=12, channels=1, length=50, seed=0):
    return np.random.default_rng(seed).normal(size=(num, channels, length)).astype(np.float32)


def convolved(windows, dilation):
    """Correlate every window with every kernel, zeros beyond its ends."""
    kernels = _kernels(windows.shape[1]).double().numpy()
    reach, length = 4 * dilation, windows.shape[2]
    padded = np.pad(windows.astype(float), ((0, 0), (0, 0), (reach, reach)))
    shifted = np.stack([padded[:, :, k * dilation : k * dilation + length] for k in range(9)], 2)
    return np.einsum("nckl,jck->njl", shifted, kernels)


@pytest.mark.parametrize("channels", [1, 3])
def test_both_spaces_are_those_of_plain_sums(channels):
    normal, windows = instances(channels=channels), instances(4, channels, seed=1)
    spaces = RandomConvolutions.fit(normal)
    shares, energies = [], []
    for dilation, levels in zip(dilations_of(50), spaces.thresholds, strict=True):
        known = np.moveaxis(convolved(normal, dilation), 1, 0).reshape(100, -1)
        quartiles = np.quantile(known, [0.25, 0.5, 0.75], axis=1)
        np.testing.assert_allclose(levels, quartiles, rtol=1e-3, atol=1e-4)
        found = convolved(windows, dilation)
        shares += [(found > level[:, None]).mean(2) for level in levels]
        energies.append(np.log(0.05 + found.std(2)))
    vectors = spaces.vectors(windows)
    np.testing.assert_allclose(vectors["energy"], np.concatenate(energies, 1), rtol=1e-4, atol=1e-4)
    away = np.abs(vectors["convolution"] - np.concatenate(shares, 1))
    assert np.quantile(away, 0.99) < 1e-6  # a value on a threshold may fall to either side of it
    assert away.max() < 2.5 / 50


def test_kernels_are_the_same_every_time_and_have_no_mean():
    assert _kernels(3).equal(_kernels(3))
    assert _kernels(3).mean(2).abs().max() < 1e-6
    assert (_kernels(40).abs().amax((2,)) > 0).any(1).all()  # each looks at some channel


@pytest.mark.parametrize(
    ("length", "expected"), [(1, (1,)), (8, (1,)), (9, (1,)), (17, (1, 2)), (300, (1, 2, 4, 8, 16, 32))]
)
def test_short_instances_have_the_dilations_that_fit(length, expected):
    assert dilations_of(length) == expected
    windows = instances(6, 2, length)
    vectors = RandomConvolutions.fit(windows).vectors(windows)
    widths = num_dimensions(length)
    assert tuple(vectors[name].shape for name in ("convolution", "energy")) == tuple((6, width) for width in widths)
    assert all(np.isfinite(own).all() for own in vectors.values())


def test_an_instance_has_the_same_vectors_alone_and_beside_others(monkeypatch):
    windows = instances(8)
    spaces = RandomConvolutions.fit(windows)
    whole = spaces.vectors(windows)
    monkeypatch.setattr("oddwave.tensors.convolution._BATCH_VALUES", 1)
    alone = spaces.vectors(windows)
    for name, own in whole.items():
        np.testing.assert_allclose(alone[name], own, rtol=1e-4, atol=0.021)  # one point of fifty


def test_a_shape_that_comes_later_is_near_and_another_is_far():
    bump = np.exp(-0.5 * ((np.arange(100) - 30) / 4) ** 2)
    rng = np.random.default_rng(0)
    normal = np.stack([np.roll(bump, int(rng.integers(0, 40))) for _ in range(30)])[:, None] + 0.02 * rng.normal(
        size=(30, 1, 100)
    )
    spaces = RandomConvolutions.fit(normal)
    later, saw = np.roll(bump, 20), np.mod(np.arange(100) / 20, 1.0)
    known, asked = spaces.vectors(normal), spaces.vectors(np.stack([later, saw])[:, None])
    for name, own in known.items():
        away = np.square(asked[name][:, None] - own).sum(2).min(1)
        assert away[1] > 2 * away[0], name
