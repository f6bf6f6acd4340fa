"""AnoGAN and f-AnoGAN: the contract of baselines, and what their maps are against plain arithmetic."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.optim.adam import adam as torch_adam

from oddwave.errors import ConfigError, ShapeError
from oddwave.lab.rivals.learned.anogan import AnoGAN
from oddwave.lab.rivals.learned.fast_anogan import FastAnoGAN
from oddwave.lab.rivals.learned.gan import Adam
from oddwave.lab.rivals.learned.items import on_images
from oddwave.training.minimise import Descent

pytestmark = pytest.mark.slow  # what all rivals promise is held by tests/contract, by default

PLANTED = 4


def draw_images(num=8, seed=0):
    """Draw images of 32 px: a soft disc on a gradient, (num, 2, 32, 32)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] / 31 - 0.5
    disc = np.tanh(8 * (0.3 - np.hypot(x, y)))
    shade = np.stack([0.5 * disc + 0.2 * x, 0.3 * disc - 0.2 * y])
    return (shade + 0.02 * rng.normal(size=(num, 2, 32, 32))).astype(np.float32)


def spoiled(images):
    images[PLANTED, :, 8:20, 8:20] = np.where(np.indices((12, 12)).sum(0) % 4 < 2, 0.9, -0.9)
    return images


@dataclass(kw_only=True, eq=False)
class ShortSearch(AnoGAN):
    """AnoGAN with a search that is short enough for tests."""

    num_search_steps: int = 20
    num_starts: int = 32


def small(method, **settings):
    """Make a method that learns in a second."""
    return method(**{"num_steps": 60, "batch_size": 8, "width": 8, "code_size": 8, **settings})


@pytest.fixture(scope="module", params=[ShortSearch, FastAnoGAN], ids=["anogan", "fast_anogan"])
def case(request):
    """Give (baseline, test items with one planted anomaly, its scores)."""
    fitted = on_images(request.param)(num_steps=40, size_px=32).fit(draw_images())
    test = spoiled(draw_images(seed=1))
    return fitted, test, fitted.decision_function(test)


@pytest.fixture(scope="module")
def trained():
    """Give a searching method that has learnt discs, and new ones."""
    method = small(ShortSearch, num_steps=100, num_search_steps=40)
    method.fit(torch.from_numpy(draw_images(16)))
    return method, torch.from_numpy(draw_images(5, seed=1))


def test_what_is_planted_scores_highest_and_all_scores_are_finite(case):
    _, _, scores = case
    assert np.isfinite(scores).all()
    assert int(np.argmax(scores)) == PLANTED


def test_the_map_is_highest_in_what_is_planted(case):
    fitted, test, _ = case
    row, column = np.unravel_index(np.argmax(fitted.score_and_maps(test)[1][PLANTED]), (32, 32))
    assert 6 <= row < 22
    assert 6 <= column < 22


def test_a_saved_and_loaded_one_gives_the_same_scores(case, tmp_path):
    fitted, test, scores = case
    loaded = type(fitted).load(fitted.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function(test), scores)


def test_order_and_company_do_not_matter(case):
    fitted, test, scores = case
    order = np.random.default_rng(0).permutation(len(test))
    np.testing.assert_allclose(fitted.decision_function(test[order]), scores[order], rtol=2e-4)
    np.testing.assert_allclose(fitted.decision_function(test[:1]), scores[:1], rtol=2e-4)


@pytest.mark.parametrize("method", [ShortSearch, FastAnoGAN])
def test_a_second_fit_with_the_same_seed_is_the_same(method):
    items = torch.from_numpy(draw_images())
    first, second, other = (small(method, num_steps=3, seed=seed) for seed in (0, 0, 1))
    maps = []
    for made in (first, second, other):
        made.fit(items)
        maps.append(made.error_maps(items[:2]))
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("method", [ShortSearch, FastAnoGAN])
@pytest.mark.parametrize("grid", [(16, 16), (21, 34)])
def test_any_grid_of_two_sides_will_do(method, grid):
    items = 0.1 * torch.randn(4, 1, *grid, generator=torch.Generator().manual_seed(0))
    made, told = small(method, num_steps=2), []
    made.fit(items, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    maps = made.error_maps(items)
    assert maps.shape == (4, *grid)
    assert torch.isfinite(maps).all()


@pytest.mark.parametrize("grid", [(32,), (8, 32)])
def test_other_grids_are_refused(grid):
    with pytest.raises(ShapeError, match="16 px"):
        small(AnoGAN).fit(torch.zeros(2, 1, *grid))


def test_settings_of_the_search_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="share from 0 to 1"):
        AnoGAN(feature_weight=2.0)


def test_what_the_generator_drew_itself_is_found_again(trained):
    method, normal = trained
    with torch.no_grad():
        drawn = method.gan.generator(torch.randn(4, 8, generator=torch.Generator().manual_seed(5)))
    found = method.error_maps(drawn).mean((1, 2))
    started = small_search(method, drawn, 0).mean((1, 2))
    assert (found < 0.35 * started).all()
    assert found.max() < 0.5 * method.error_maps(normal).mean()


def small_search(method, items, num_search_steps):
    usual = method.num_search_steps
    method.num_search_steps = num_search_steps
    maps = method.error_maps(items)
    method.num_search_steps = usual
    return maps


def test_each_image_is_searched_as_if_it_were_alone(trained):
    method, normal = trained
    alone = torch.cat([method.error_maps(normal[at : at + 1]) for at in (1, 4)])
    np.testing.assert_allclose(method.error_maps(normal)[[1, 4]], alone, rtol=1e-4, atol=1e-5)


def test_the_map_adds_up_to_the_loss_of_the_paper(trained):
    method, normal = trained
    codes = torch.randn(len(normal), 8, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        drawn = method.gan.generator(codes)
        here, there = method.gan.inner(normal), method.gan.inner(drawn)
        maps = method._distances(normal, here, codes)
    loss = 0.9 * (normal - drawn).abs().sum((1, 2, 3)) + 0.1 * (here - there).abs().sum((1, 2, 3))
    np.testing.assert_allclose(maps.sum((1, 2)) * 2, loss, rtol=1e-5, atol=1e-6)


def test_the_search_works_on_what_was_made_in_inference_mode(trained):
    method, normal = trained
    with torch.inference_mode():
        maps = method.error_maps(normal * 1.0)
    np.testing.assert_allclose(maps, method.error_maps(normal), rtol=1e-5, atol=1e-6)


def test_the_encoder_alone_learns_in_the_second_part():
    items = torch.from_numpy(draw_images())
    short, long = small(FastAnoGAN, num_steps=3), small(FastAnoGAN, num_steps=3, feature_weight=5.0)
    for made in (short, long):
        made.fit(items)
    first, second = short.network.state_dict(), long.network.state_dict()
    differing = {name.partition(".")[0] for name in first if not torch.equal(first[name], second[name])}
    assert differing == {"encoder"}


def test_adam_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(6, generator=generator)
    ours, theirs = (torch.zeros(6, requires_grad=True) for _ in range(2))
    moments, count = [torch.zeros(6), torch.zeros(6)], torch.zeros(())
    descent = Descent([ours], clip=None, optimizer=Adam)
    settings = {"lr": 0.05, "beta1": 0.5, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    for _ in range(20):
        descent.down((ours - target).pow(4).sum(), 0.05)
        slope = torch.autograd.grad((theirs - target).pow(4).sum(), theirs)
        with torch.no_grad():
            torch_adam(
                [theirs], [*slope], [moments[0]], [moments[1]], [], [count], foreach=False, amsgrad=False,
                maximize=False, **settings,
            )  # fmt: skip
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=1e-5, atol=1e-6)
