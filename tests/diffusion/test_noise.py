"""Noise by seed: common to all items, or each item's own."""

import statistics
import time

import numpy as np
import pytest
import torch

from oddwave.diffusion import ItemNoise, common_noise, per_item_noise
from oddwave.errors import ShapeError


def test_common_noise_is_that_of_its_seed_and_no_other():
    one = common_noise((3, 4), 7)
    assert torch.equal(one, torch.randn(3, 4, generator=torch.Generator().manual_seed(7)))
    assert torch.equal(one, common_noise(torch.Size([3, 4]), 7 + 2**64))
    assert not torch.equal(one, common_noise((3, 4), 8))
    before = torch.random.get_rng_state()
    common_noise((2,), 0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_items_noise_ignores_its_neighbours_and_their_order():
    together = per_item_noise((3, 2, 5), [7, "b", 9], draw=4, seed=2)
    alone = per_item_noise((1, 2, 5), ["b"], draw=4, seed=2)
    shuffled = per_item_noise((3, 2, 5), [9, 7, "b"], draw=4, seed=2)
    assert torch.equal(together[1:2], alone)
    assert torch.equal(together[[2, 0, 1]], shuffled)


def test_seed_item_and_draw_each_change_the_noise():
    variants = [
        per_item_noise((1, 1, 6), [item], draw=draw, seed=seed)
        for seed, item, draw in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 11, 0), (1, 1, 0), (11, 0, 0)]
    ]
    assert len({tuple(noise.flatten().tolist()) for noise in variants}) == len(variants)


def test_an_id_hashes_alike_wherever_it_came_from():
    plain = per_item_noise((1, 1, 6), [7])
    for same in (np.int64(7), torch.tensor(7), "7"):
        assert torch.equal(per_item_noise((1, 1, 6), [same]), plain)


def test_the_noise_of_an_item_never_changes_between_releases():
    noise = per_item_noise((1, 1, 4), ["pump/3"], draw=1, seed=42)
    assert noise.flatten().tolist() == pytest.approx([-0.568262994, -0.983582079, -0.738273084, 0.653799832], rel=1e-6)


def test_the_noise_is_standard_normal_and_independent():
    noise = per_item_noise((4000, 1, 63), range(4000)).double()
    count = noise.numel()
    assert noise.dtype == torch.float64
    assert abs(float(noise.mean())) < 5 / count**0.5
    assert float(noise.var()) == pytest.approx(1, abs=0.015)
    assert float((noise**4).mean()) == pytest.approx(3, abs=0.1)
    assert float((noise > 1.959964).double().mean()) == pytest.approx(0.025, abs=0.0015)
    columns = torch.corrcoef(noise[:, 0].T)  # points against points: the two halves come from the same pairs
    rows = torch.corrcoef(noise[:60, 0])  # items against items
    assert float((columns - torch.eye(63)).abs().max()) < 5.5 / 4000**0.5
    assert float((rows - torch.eye(60)).abs().max()) < 5.5 / 63**0.5


def test_thousands_of_small_windows_are_quick():
    times = []
    for draw in range(3):
        start = time.process_time()
        per_item_noise((5000, 1, 64), range(5000), draw)
        times.append(time.process_time() - start)
    assert statistics.median(times) < 0.3


def test_one_id_per_item():
    with pytest.raises(ShapeError, match="3 item ids"):
        per_item_noise((2, 1, 4), [1, 2, 3])


def test_generators_are_seeded_per_item():
    first = [g.initial_seed() for g in ItemNoise((3, 1, 4), [1, 2, 3]).generators()]
    second = [g.initial_seed() for g in ItemNoise((2, 1, 4), [3, 1]).generators()]
    assert len(set(first)) == 3
    assert second == [first[2], first[0]]
