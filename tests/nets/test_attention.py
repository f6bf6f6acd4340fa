"""Attention over a grid: its formula, its pooled keys, and its cost, counted in operations."""

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from oddwave.nets import UNet
from oddwave.nets.attention import GridAttention, pool_factors


def _attention(grid_dims: int = 1, max_tokens: int = 1024) -> GridAttention:
    torch.manual_seed(0)
    module = GridAttention(8, grid_dims=grid_dims, num_heads=2, norm_groups=4, max_tokens=max_tokens)
    torch.nn.init.normal_(module.output.weight)
    return module


def _operations(module: torch.nn.Module, *inputs: torch.Tensor) -> int:
    # The counter does not know the CPU's fused attention kernel, but it knows the matrix products of the plain one.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops()


@pytest.mark.parametrize("grid", [(9,), (3, 4)])
def test_it_is_the_formula(grid: tuple[int, ...]) -> None:
    module, x = _attention(len(grid)), torch.randn(2, 8, *grid)
    tokens = module.norm(x).flatten(2).transpose(1, 2)
    query, (key, value) = module.query(tokens), module.key_value(tokens).chunk(2, dim=-1)
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        weights = torch.softmax(query[..., part] @ key[..., part].transpose(1, 2) / math.sqrt(4), dim=-1)
        heads.append(weights @ value[..., part])
    expected = x + module.output(torch.cat(heads, dim=-1)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("grid", [(1000,), (1025,), (33, 65), (2, 5000), (1, 1)])
@pytest.mark.parametrize("cap", [1, 64, 1024])
def test_pooled_keys_stay_below_the_cap_and_use_it(grid: tuple[int, ...], cap: int) -> None:
    factors = pool_factors(grid, cap)
    pooled = math.prod(math.ceil(size / factor) for size, factor in zip(grid, factors, strict=True))
    assert pooled <= cap
    assert pooled >= min(math.prod(grid), cap) / 4
    assert (max(factors) == 1) == (math.prod(grid) <= cap)


@pytest.mark.parametrize("grid", [(20,), (5, 7)])
def test_pooled_keys_are_means_over_the_points_there_are(grid: tuple[int, ...]) -> None:
    module = _attention(len(grid), max_tokens=6)
    ones = torch.ones(1, 8, *grid)
    pooled = module._pooled(ones)
    assert math.prod(pooled.shape[2:]) <= 6
    torch.testing.assert_close(pooled, torch.ones_like(pooled))
    assert module(torch.randn(1, 8, *grid)).shape == ones.shape


@pytest.mark.parametrize("make_grid", [lambda n: (n,), lambda n: (16, n // 16)], ids=["1d", "2d"])
def test_cost_is_linear_above_the_cap_and_quadratic_below(make_grid: Callable[[int], tuple[int, ...]]) -> None:
    def growth(cap: int) -> tuple[int, int]:
        module = _attention(len(make_grid(1024)), max_tokens=cap)
        costs = [_operations(module, torch.randn(1, 8, *make_grid(n))) for n in (1024, 2048, 4096)]
        return costs[1] - costs[0], costs[2] - costs[1]

    first, second = growth(cap=64)
    assert second == 2 * first
    first, second = growth(cap=10_000)
    assert second > 3.5 * first


def test_cost_of_the_whole_net_is_linear_above_the_cap() -> None:
    torch.manual_seed(0)
    net = UNet(1, grid_dims=1, base_channels=8, channel_mult=(1, 2), max_tokens=64).eval()
    t = torch.tensor([3])
    costs = [_operations(net, torch.randn(1, 1, length), t) for length in (1024, 2048, 4096)]
    # The wavelet margin and the time embedding are constants; what is left must double with the length.
    assert costs[2] - costs[1] == 2 * (costs[1] - costs[0])


def test_the_counter_sees_the_attention_itself() -> None:
    tokens, width = 100, 8
    projections = 2 * tokens * width * 4 * width
    scores_and_values = 2 * 2 * tokens * tokens * width
    assert _operations(_attention(), torch.randn(1, width, tokens)) == projections + scores_and_values
