"""Neighbours of windows by brute force: occasions, exclusion, few windows, small distances; what the prior sees."""

import numpy as np
import pytest
import torch

from oddwave.scoring import retrieval
from oddwave.scoring.retrieval import NUM_EVIDENCE, NUM_NEIGHBORS, Retrieved, WindowMemory, evidence

SIZE, LENGTH = 32, 16


def as_windows(values, size=SIZE, stride=1, length=LENGTH):
    """Cut a stream (n, C) into windows of every `size / length`-th point, and say where each begins."""
    starts = np.arange(0, len(values) - size + 1, stride)
    view = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)[starts]
    return torch.from_numpy(view[:, :, :: size // length].astype(np.float32)), torch.from_numpy(starts)


def stream(n=400, channels=1, seed=0):
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(size=(n, channels)), axis=0)


def remembered(values, stride=1, group=0):
    windows, starts = as_windows(values, stride=stride)
    return WindowMemory(
        windows, torch.full_like(starts, group), starts, window_size=SIZE, reach=max(1, SIZE // (2 * stride))
    )


def at(x, group=-1, start=-1):
    return torch.full((len(x),), group), torch.full((len(x),), start)


def occasions(squared, reach):
    """Return the windows that no window within reach comes nearer than, the nearest first."""
    lowest = [squared[max(0, i - reach) : i + reach + 1].min() for i in range(len(squared))]
    own = np.flatnonzero(np.isfinite(squared) & (squared <= lowest))
    return own[np.argsort(squared[own], kind="stable")][:NUM_NEIGHBORS]


@pytest.mark.parametrize(("channels", "stride"), [(1, 1), (3, 1), (2, 3)])
@pytest.mark.parametrize("exclusion", [0, SIZE])
def test_neighbours_are_those_of_brute_force(channels, stride, exclusion):
    memory = remembered(stream(channels=channels), stride)
    held, starts = memory.windows.double().numpy(), memory.starts.numpy()
    rows = np.arange(0, len(held), 7)
    found = memory(memory.windows[rows], memory.groups[rows], memory.starts[rows], exclusion)
    for number, row in enumerate(rows):
        squared = ((held - held[row]) ** 2).mean((1, 2))
        if exclusion:
            squared[np.abs(starts - starts[row]) < exclusion] = np.inf
        own = occasions(squared, memory.reach)
        seen = np.isfinite(found.squared[number].numpy())
        assert seen.sum() == len(own)
        np.testing.assert_allclose(found.squared[number][seen], squared[own], rtol=1e-5, atol=1e-9)
        np.testing.assert_array_equal(found.windows[number][seen], memory.windows[own])
        np.testing.assert_allclose(found.near[number][seen], ((held - held[row]) ** 2).mean(2)[own], rtol=1e-5)
        np.testing.assert_array_equal(found.own[number][seen], memory.own[own])
        nearest = np.sort(squared)[:5]
        np.testing.assert_allclose(found.distance[number], np.sqrt(nearest).mean(), rtol=1e-4, atol=1e-4)
        ranks = [max(1, min(rank, len(held) // 4)) for rank in retrieval.RANKS]
        np.testing.assert_allclose(found.profile[number], np.sort(squared)[np.array(ranks) - 1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 4])
def test_of_an_occasion_there_is_one_window_alone(stride):
    memory = remembered(stream(900), stride)
    query = torch.from_numpy(stream(LENGTH, seed=1).T[None].astype(np.float32))
    found = memory(query, *at(query))
    own = [int((memory.windows == w).all((1, 2)).nonzero()[0, 0]) for w in found.windows[0]]
    starts = np.sort(memory.starts[own].numpy())
    assert np.diff(starts).min() > memory.reach * stride


def test_instances_without_reach_are_neighbours_each_by_itself():
    windows = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 1, LENGTH)).astype(np.float32))
    memory = WindowMemory(windows, torch.arange(30), torch.zeros(30, dtype=torch.long), window_size=1, reach=0)
    found = memory(windows[:5], *at(windows[:5]))
    squared = ((windows[:5, None] - windows) ** 2).mean((2, 3)).sort(1).values
    np.testing.assert_allclose(found.squared, squared[:, :NUM_NEIGHBORS], rtol=1e-5, atol=1e-7)


def test_only_windows_of_ones_own_group_are_left_out():
    windows, starts = as_windows(stream())
    both = torch.cat([windows, windows])
    groups = torch.cat([torch.zeros_like(starts), torch.ones_like(starts)])
    memory = WindowMemory(both, groups, torch.cat([starts, starts]), window_size=SIZE, reach=16)
    twin = memory(windows[50:51], torch.tensor([0]), starts[50:51], SIZE)
    assert twin.squared[0, 0] == 0.0  # in the other group
    stranger = memory(windows[50:51], torch.tensor([7]), starts[50:51], SIZE)
    assert (stranger.squared[0, :2] == 0.0).all()


@pytest.mark.parametrize("num", [1, 2, 5])
def test_fewer_windows_than_neighbours_stand_for_as_many_as_there_are(num):
    windows = torch.from_numpy(np.random.default_rng(num).normal(size=(num, 2, LENGTH)).astype(np.float32))
    starts = torch.arange(num) * SIZE
    memory = WindowMemory(windows, torch.zeros_like(starts), starts, window_size=SIZE, reach=0)
    query = windows[:1] + 0.5
    found = memory(query, *at(query))
    assert found.windows.shape == (1, NUM_NEIGHBORS, 2, LENGTH)
    assert torch.isfinite(found.squared).sum() == num
    seen = evidence(query, found, memory.own.median(0).values, num_remembered=num, window_size=SIZE)
    assert torch.isfinite(seen.x).all()
    expected = ((windows - query).square().mean((1, 2))).sqrt().mean()
    torch.testing.assert_close(found.distance[0], expected)


def test_a_window_that_nothing_is_compared_with_has_no_distance():
    windows, starts = as_windows(stream(SIZE + 4))
    memory = WindowMemory(windows, torch.zeros_like(starts), starts, window_size=SIZE, reach=16)
    found = memory(windows, memory.groups, starts, SIZE)
    assert torch.isinf(found.distance).all()
    assert torch.isinf(found.squared).all()
    assert torch.isfinite(memory.own).all()
    seen = evidence(windows, found, memory.own.median(0).values, num_remembered=len(windows), window_size=SIZE)
    assert torch.isfinite(seen.x).all()


def test_small_distances_beside_a_high_level_are_exact():
    rng = np.random.default_rng(0)
    windows = torch.from_numpy((200.0 + 1e-3 * rng.normal(size=(40, 1, LENGTH))).astype(np.float32))
    memory = WindowMemory(windows, torch.arange(40), torch.zeros(40, dtype=torch.long), window_size=1, reach=0)
    query = windows[3:4]
    found = memory(query, *at(query))
    exact = (found.windows - query[:, None]).double().square().mean((2, 3))
    np.testing.assert_allclose(found.squared, exact, rtol=1e-5)
    assert found.distance.item() < 3e-3


def test_a_windows_own_distance_is_the_mean_of_its_neighbours():
    memory = remembered(stream(300, channels=2))
    found = memory(memory.windows, memory.groups, memory.starts, SIZE)
    seen = torch.isfinite(found.squared)
    for row in (0, 100, 268):
        torch.testing.assert_close(memory.own[row], found.near[row][seen[row]].mean(0))


def test_what_is_asked_beside_a_window_changes_nothing(monkeypatch):
    memory = remembered(stream(channels=2))
    whole = memory(memory.windows, memory.groups, memory.starts, SIZE)
    monkeypatch.setattr(retrieval, "_BLOCK", 16)
    blocks = memory(memory.windows, memory.groups, memory.starts, SIZE)
    for name in Retrieved._fields:
        torch.testing.assert_close(getattr(blocks, name), getattr(whole, name), rtol=1e-4, atol=1e-4)


def test_evidence_is_what_its_formula_says():
    memory = remembered(stream(2000))
    x = memory.windows[40:44] + 0.3
    found = memory(x, *at(x))
    resolution = torch.tensor([0.05])
    seen = evidence(x, found, memory.own.median(0).values, num_remembered=99, window_size=SIZE, resolution=resolution)
    assert seen.x.shape == (4, 1, NUM_EVIDENCE, LENGTH)
    assert torch.isfinite(found.squared).all()
    own = found.own[0, :, 0].numpy()
    unit = np.sqrt(np.sort(own)[3] + 0.05**2)  # torch takes the lower of two medians
    weights = 1.0 / (found.near[0, :, 0].numpy() + 0.1 * unit**2)
    centre = (found.windows[0, :, 0].numpy() * (weights / weights.sum())[:, None]).sum(0)
    assert seen.unit[0, 0, 0].item() == pytest.approx(unit, rel=1e-5)
    np.testing.assert_allclose(seen.centre[0, 0], centre, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(seen.x[0, 0, 0], np.arcsinh((x[0, 0].numpy() - centre) / unit), rtol=1e-3, atol=1e-4)
    around = np.arcsinh((found.windows[0, :, 0].numpy() - centre) / unit)
    np.testing.assert_allclose(seen.x[0, 0, -NUM_NEIGHBORS:], around, rtol=1e-3, atol=1e-4)


def test_a_channel_sees_what_the_other_channels_lack():
    memory = remembered(stream(channels=3))
    x = memory.windows[40:41].clone()
    x[:, 2] += 5.0
    found = memory(x, *at(x))
    seen = evidence(x, found, memory.own.median(0).values, num_remembered=99, window_size=SIZE).x[0]
    away = seen[:, 0].abs()
    torch.testing.assert_close(seen[0, 3], (away[1] + away[2]) / 2, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(seen[0, 4], torch.maximum(away[1], away[2]))
    torch.testing.assert_close(seen[2, 4], torch.maximum(away[0], away[1]))
