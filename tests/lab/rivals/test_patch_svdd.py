"""PatchSVDD: the contract of baselines, and its codes, codes kept and distances against a plain way to have them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import cdist

from oddwave.errors import ShapeError
from oddwave.lab.rivals.learned.items import on_images
from oddwave.lab.rivals.learned.patch_svdd import (
    PatchEncoder,
    PatchSVDD,
    neighbouring_patches,
    spread_codes,
    whitening_of,
)

pytestmark = pytest.mark.slow  # what all rivals promise is held by tests/contract, by default

PLANTED = 4
NEIGHBOURS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def draw_images(num=8, seed=0):
    """Draw images of 32 px: a soft disc on a gradient, (num, 2, 32, 32)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] / 31 - 0.5
    disc = np.tanh(8 * (0.3 - np.hypot(x, y)))
    shade = np.stack([0.5 * disc + 0.2 * x, 0.3 * disc - 0.2 * y])
    return (shade + 0.02 * rng.normal(size=(num, 2, 32, 32))).astype(np.float32)


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def case():
    """Give (fitted baseline, test images with one planted anomaly, its scores)."""
    fitted = on_images(PatchSVDD)(num_steps=60, size_px=32).fit(draw_images())
    test = draw_images(seed=1)
    test[PLANTED, :, 8:20, 8:20] = np.where(np.indices((12, 12)).sum(0) % 4 < 2, 0.9, -0.9)
    return fitted, test, fitted.decision_function(test)


@pytest.fixture(scope="module")
def trained():
    """Give a method after a few steps, with fewer codes kept than there were, and new images."""
    method = PatchSVDD(num_steps=4, batch_size=8, code_size=8, num_codes=300)
    method.fit(torch.from_numpy(draw_images()))
    return method, torch.from_numpy(draw_images(3, seed=1))


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


def test_a_second_fit_with_the_same_seed_is_the_same():
    items, maps = torch.from_numpy(draw_images()), []
    for seed in (0, 0, 1):
        made = PatchSVDD(num_steps=3, batch_size=8, num_codes=200, seed=seed)
        made.fit(items)
        maps.append(made.error_maps(items[:2]))
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])


@pytest.mark.parametrize("grid", [(16, 16), (21, 34), (50, 50)])
def test_any_grid_of_two_sides_will_do(grid):
    made, items = PatchSVDD(num_steps=2, batch_size=4), 0.1 * seeded(4, 1, *grid)
    made.fit(items)
    maps = made.error_maps(0.1 * seeded(2, 1, *grid, seed=1))
    assert maps.shape == (2, *grid)
    assert torch.isfinite(maps).all()


@pytest.mark.parametrize("grid", [(32,), (8, 32)])
def test_other_grids_are_refused(grid):
    with pytest.raises(ShapeError, match="16 px"):
        PatchSVDD(num_steps=1).fit(torch.zeros(2, 1, *grid))


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("grid", [(20, 24), (64, 64)])
def test_codes_of_all_patches_at_once_are_those_of_each_patch_cut_out(size, grid):
    torch.manual_seed(0)
    encoder, items = PatchEncoder(2, grid, 8).eval(), seeded(2, 2, *grid)
    side = encoder.side(size)
    with torch.no_grad():
        at_once = encoder.encode_all(items, size, 3)
        for row, column in [(0, 0), (1, 2), (at_once.shape[2] - 1, at_once.shape[3] - 1)]:
            patch = items[:, :, 3 * row : 3 * row + side, 3 * column : 3 * column + side]
            np.testing.assert_allclose(at_once[:, :, row, column], encoder.encode(patch, size), rtol=1e-4, atol=1e-6)


def test_neighbours_lie_where_their_label_says():
    torch.manual_seed(0)
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(40.0), indexing="ij")
    items = torch.stack([row, column]).expand(2000, 2, 32, 40)
    patches, label = neighbouring_patches(items, 8)
    first, second, beside = patches[:, :, :, 0, 0]
    assert set(label.tolist()) == set(range(8))
    moved = second - first
    assert torch.equal(moved.sign(), torch.tensor(NEIGHBOURS)[label].float())
    assert set(moved[moved != 0].abs().tolist()) == {6.0, 7.0, 8.0}
    assert (beside - first).abs().max() == 1
    assert (beside != first).any()
    assert torch.equal(patches[0, 0], items[0, :, int(first[0, 0]) :, int(first[0, 1]) :][:, :8, :8])


def test_positions_are_learnt_where_images_tell_them():
    torch.manual_seed(0)
    row, column = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    items = torch.stack([row, column])[None] + 0.01 * seeded(16, 2, 32, 32)
    method = PatchSVDD(num_steps=80, batch_size=64, code_size=16, closeness_weight=0.0)
    method.fit(items)
    patches, label = neighbouring_patches(items.repeat(20, 1, 1, 1), 8)
    with torch.no_grad():
        first, second, _ = method.network.encode(patches.flatten(0, 1), "large").chunk(3)
        loss = method.network.position_loss(first, second, label, "large")
    assert loss < 0.5 * np.log(8)


def test_a_heavier_closeness_draws_patches_beside_one_another_together():
    items, distances = torch.from_numpy(draw_images()), []
    for weight in (0.0, 10.0):
        made = PatchSVDD(num_steps=40, batch_size=16, code_size=8, closeness_weight=weight)
        made.fit(items)
        codes = made._codes(items, "small").detach()
        distances.append((codes[..., 1:] - codes[..., :-1]).square().sum(1).mean())
    assert distances[1] < 0.1 * distances[0]


def test_maps_are_products_of_mean_distances_to_the_nearest_code(trained):
    method, items = trained
    expected = torch.ones(3, 32, 32, dtype=torch.float64)
    for size, side, stride in (("small", 4, 1), ("large", 8, 2)):
        codes = method._codes(items, size).detach()
        kept, whitening = (
            getattr(method.network, f"{what}_{size}").double().numpy() for what in ("codes", "whitening")
        )
        total, count = torch.zeros_like(expected), torch.zeros_like(expected)
        for item in range(3):
            queries = codes[item].flatten(1).T.double().numpy() @ whitening.T
            nearest = cdist(queries, kept).min(1).reshape(codes.shape[2:])
            for place, distance in np.ndenumerate(nearest):
                rows, columns = (slice(stride * at, stride * at + side) for at in place)
                total[item, rows, columns] += distance
                count[item, rows, columns] += 1
        expected *= total / count
    np.testing.assert_allclose(method.error_maps(items).double(), expected, rtol=1e-3, atol=1e-6)


def test_training_images_are_at_distance_nought_where_every_code_is_kept():
    items = torch.from_numpy(draw_images(2))
    method = PatchSVDD(num_steps=2, batch_size=4, num_codes=10**6)
    method.fit(items)
    assert method.error_maps(items).max() < 1e-8


def test_white_codes_have_unit_variance_except_where_there_is_only_noise():
    spread = torch.diag(torch.tensor([10.0, 1.0, 1e-4])) @ torch.linalg.qr(seeded(3, 3)).Q
    codes = seeded(5000, 3, seed=1) @ spread + 3.0
    white = codes @ whitening_of(codes).T
    variances = torch.linalg.eigvalsh(torch.cov(white.T))
    np.testing.assert_allclose(variances, [1e-7, 1.0, 1.0], rtol=0.02, atol=2e-6)
    assert torch.isfinite(whitening_of(torch.ones(5, 3))).all()


def test_codes_kept_cover_what_is_rare():
    torch.manual_seed(0)
    centres = F.one_hot(torch.arange(16), 16).float() * 10
    codes = torch.cat([0.1 * seeded(20000, 16), centres + 0.1 * seeded(16, 16, seed=1)])
    kept = spread_codes(codes, 200)
    assert kept.shape == (200, 16)
    assert len(kept.unique(dim=0)) == 200
    assert torch.cdist(centres, kept).min(1).values.max() < 2


def test_as_many_codes_as_asked_for_are_kept_even_if_all_are_twins():
    assert spread_codes(torch.ones(50, 4), 30).shape == (30, 4)
    assert spread_codes(torch.ones(5, 4), 30).shape == (5, 4)
