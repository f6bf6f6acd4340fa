"""The rivals that impute: what only imputing promises."""

import numpy as np
import pytest
import torch

from oddwave.lab.rivals.learned.diffad import DiffAD
from oddwave.lab.rivals.learned.imdiffusion import ImDiffusion
from oddwave.lab.rivals.learned.items import on_images, on_series

pytestmark = pytest.mark.slow  # what all rivals promise is held by tests/contract, by default

METHODS = [DiffAD, ImDiffusion]


def instances(seed=0, num=40):
    rng, time = np.random.default_rng(seed), np.arange(32)
    phase = rng.uniform(0, 0.6, (num, 2, 1))
    return np.sin(time / 4 + phase) + 0.05 * rng.normal(size=(num, 2, 32))


def tensors(num=6, grid=(20,), seed=0):
    return torch.randn((num, 2, *grid), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=METHODS, ids=lambda method: method.name)
def fitted(request):
    return on_series(request.param)(num_steps=60).fit(instances())


@pytest.fixture(scope="module", params=METHODS, ids=lambda method: method.name)
def trained(request):
    """Give a method trained for a few steps on little."""
    method = request.param(num_steps=4, batch_size=4)
    method.fit(tensors(20))
    return method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grid", [(4,), (5,), (37,), (8, 12)])
def test_any_grid_will_do(method, grid):
    made = method(num_steps=2, batch_size=2)
    made.fit(tensors(4, grid))
    maps = made.error_maps(tensors(3, grid, seed=1))
    assert maps.shape == (3, *grid)
    assert torch.isfinite(maps).all()
    assert (maps >= 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_images_will_do(method):
    images = np.random.default_rng(0).uniform(-1, 1, (4, 3, 32, 32)).astype(np.float32)
    baseline = on_images(method)(num_steps=2, size_px=16).fit(images)
    assert np.isfinite(baseline.decision_function(images)).all()


def test_normal_items_lie_about_one_away(fitted):
    scores = fitted.decision_function(instances())
    assert np.mean(scores) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("length", [4, 5, 10, 37, 64])
def test_gratings_share_every_place_out(length):
    items = tensors(2, (length,))
    for one, two in (
        [ImDiffusion()._grating(items, phase) for phase in (0, 1)],
        [DiffAD()._stretches(items, phase) for phase in (0, 1)],
    ):
        assert set(torch.unique(one).tolist()) <= {0.0, 1.0}
        np.testing.assert_array_equal(one + two, torch.ones(2, 1, length))
    segments = ImDiffusion()._grating(items, 0)[0, 0].diff().abs().sum() + 1
    assert segments == min(10, length)


def test_imputing_never_sees_what_it_imputes():
    method = ImDiffusion(num_steps=30, batch_size=8)
    method.fit(tensors(20))
    items = tensors(3, seed=1)
    masks = method._grating(items, 0)
    other = torch.where(masks > 0, items + 5.0, items)
    with torch.inference_mode():
        for one, two in zip(method._chain(items, masks), method._chain(other, masks), strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=0)
        moved = method._chain(torch.where(masks > 0, items, items + 5.0), masks)
    assert (moved[-1] - one).abs().max() > 1e-3


def test_a_copied_neighbour_is_imputed():
    """Where the second half of an item repeats the first, the network can copy, and learns to."""
    half = torch.randn(400, 1, 1, generator=torch.Generator().manual_seed(0))
    items = half.expand(400, 1, 16).contiguous()
    method = ImDiffusion(num_steps=150, num_segments=2)
    method.fit(items[:300])
    with torch.inference_mode():
        error = (items[300:] - method._imputations(items[300:])[0]).square().mean()
    assert error < 0.1 * items.var()


def test_places_that_are_not_masked_cost_nothing(trained):
    network, items = trained.network, tensors(4)
    trained._random_masks = lambda batch: torch.zeros_like(batch[:, :1])
    try:
        assert float(trained._loss(network, items).detach()) == 0
    finally:
        del trained._random_masks


@pytest.mark.parametrize("method", METHODS)
def test_steps_share_one_whole(method):
    assert sum(method()._step_weights()) == pytest.approx(1)


def test_weights_grow_as_the_noise_falls():
    method = DiffAD()
    weights = method._step_weights()
    assert list(weights) == sorted(weights)
    assert list(method.noise_levels) == sorted(method.noise_levels, reverse=True)
    items, x_t = torch.zeros(1, 1, 4), torch.ones(1, 1, 4)
    seen = [float(method._condition(items, x_t, method._at(level, items))[0, 0, 0]) for level in (1.0, 0.5, 0.1, 0.001)]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 0.99
    assert seen[-1] < 0.01


def test_blocks_whose_variance_jumps_are_withheld():
    method = DiffAD(num_steps=2)
    normal = torch.sin(torch.arange(64.0) + torch.rand(50, 1, 1, generator=torch.Generator().manual_seed(0)))
    method.fit(normal + 0.1 * tensors(50, (64,))[:, :1])
    burst = normal[:1].clone()
    burst[:, :, 24:32] *= 20.0
    seen = []
    method._filled = lambda items, x_t, masks, t: seen.append(masks) or items
    method._imputations(burst)
    assert all(masks[0, 0, 24:32].all() for masks in seen)
    assert all(not masks[0, 0, :8].all() for masks in seen)
    seen.clear()
    method._imputations(normal[:1])
    assert all(masks.mean() == 0.5 for masks in seen)
