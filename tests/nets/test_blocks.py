"""Blocks, adapter and embedding: padding, norms, initial weights, shapes."""

import numpy as np
import pytest
import torch

from oddwave.nets.adapter import input_layer, output_layer
from oddwave.nets.blocks import (
    Downsample,
    ResidualBlock,
    Upsample,
    channels_last,
    conv,
    group_norm,
    reflect_pad,
    separate_draws,
)
from oddwave.nets.embedding import TimeEmbedding


@pytest.mark.parametrize(
    ("grid", "pads"),
    [
        ((9,), [(3, 2)]),
        ((4,), [(0, 9)]),
        ((2,), [(5, 5)]),
        ((1,), [(2, 3)]),
        ((5, 8), [(0, 3), (2, 0)]),
        ((2, 8), [(3, 4), (1, 1)]),
    ],
)
def test_reflect_pad_equals_numpy(grid: tuple[int, ...], pads: list[tuple[int, int]]) -> None:
    x = torch.randn(2, 3, *grid)
    expected = np.pad(x.numpy(), [(0, 0), (0, 0), *pads], mode="reflect")
    np.testing.assert_array_equal(reflect_pad(x, pads).numpy(), expected)


def test_reflect_pad_of_nothing_is_the_same_tensor() -> None:
    x = torch.randn(1, 1, 4)
    assert reflect_pad(x, [(0, 0)]) is x


@pytest.mark.parametrize(("width", "groups", "expected"), [(32, 8, 8), (8, 8, 4), (12, 8, 6), (7, 8, 1), (2, 4, 1)])
def test_group_norm_keeps_two_channels_a_group(width: int, groups: int, expected: int) -> None:
    norm = group_norm(width, groups)
    assert norm.num_groups == expected
    assert norm(torch.randn(1, width, 1)).abs().max() > 0.1  # a single position survives


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (1, 1), (3, 2)])
def test_lines_are_computed_as_torch_computes_them_and_keep_their_channels_last(kernel_size: int, stride: int) -> None:
    layer, norm = conv(1, 6, 4, kernel_size, stride), group_norm(4, 2)
    x = torch.randn(2, 6, 10)
    expected = torch.nn.functional.conv1d(x, layer.weight, layer.bias, stride=stride, padding=kernel_size // 2)
    found = layer(channels_last(x))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(norm(found), torch.nn.functional.group_norm(expected, 2))
    doubled = torch.nn.functional.interpolate(expected, scale_factor=2.0)
    up = Upsample(4, 3, grid_dims=1)
    torch.testing.assert_close(up(norm(found)), up.conv(torch.nn.functional.group_norm(doubled, 2)))
    assert all(each.movedim(1, -1).is_contiguous() for each in (found, norm(found), up(found)))


def test_separate_draws_leave_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with separate_draws("a"):
        first = torch.rand(4)
    with separate_draws("b"):
        second = torch.rand(4)
    assert torch.equal(torch.rand(4), expected)
    assert not torch.equal(first, second)
    assert not torch.equal(first, expected)
    torch.manual_seed(3)
    with separate_draws("a"):
        assert torch.equal(torch.rand(4), first)
    torch.manual_seed(4)
    with separate_draws("a"):
        assert not torch.equal(torch.rand(4), first)


@pytest.mark.parametrize("grid", [(6,), (6, 4)])
def test_blocks_keep_halve_and_double(grid: tuple[int, ...]) -> None:
    dims = len(grid)
    x, time = torch.randn(2, 4, *grid), torch.randn(2, 16)
    block = ResidualBlock(4, 6, grid_dims=dims, time_width=16, norm_groups=2, dropout=0.1)
    assert torch.equal(block(x, time), block.shortcut(x))  # its second convolution starts at zero
    assert Downsample(4, 6, grid_dims=dims)(x).shape == (2, 6, *(size // 2 for size in grid))
    assert Upsample(4, 6, grid_dims=dims)(x).shape == (2, 6, *(size * 2 for size in grid))


@pytest.mark.parametrize("shared", [True, False])
def test_adapter_shares_only_the_filter_bank(shared: bool) -> None:
    ports = {"image": 3, "keys": 1}
    entering = input_layer(ports, 8, 16, grid_dims=2, shared=shared)
    leaving = output_layer(ports, 8, 16, grid_dims=2, shared=shared)
    for port, channels in ports.items():
        features = entering(torch.randn(2, channels, 5, 6), port)
        assert features.shape == (2, 16, 5, 6)
        assert not leaving(features, port).any()
        assert leaving(features, port).shape == (2, channels, 5, 6)
    entering(torch.randn(2, 3, 5, 6), "image").sum().backward()
    trained = {name.split(".")[0] for name, p in entering.named_parameters() if p.grad is not None}
    assert trained == ({"port", "shared"} if shared else {"convs"})
    assert all(
        "port_image" in name or "shared" in name for name, p in entering.named_parameters() if p.grad is not None
    )


@pytest.mark.parametrize("hybrid", [True, False])
def test_embedding_tells_neighbouring_steps_apart(hybrid: bool) -> None:
    torch.manual_seed(0)
    embedding = TimeEmbedding(64, hybrid=hybrid)
    steps = embedding(torch.arange(1000))
    assert steps.shape == (1000, 64)
    assert (steps[1:] - steps[:-1]).abs().amax(dim=1).min() > 1e-4
    torch.testing.assert_close(embedding(torch.tensor([7.0, 7.5]))[0], steps[7])


def test_embedding_switch_changes_the_convolutions_only() -> None:
    nets = []
    for hybrid in (True, False):
        torch.manual_seed(0)
        nets.append(TimeEmbedding(32, hybrid=hybrid))
    with_convs, plain = (dict(net.named_parameters()) for net in nets)
    assert set(with_convs) - set(plain) == {f"convs.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    assert all(torch.equal(with_convs[name], weight) for name, weight in plain.items())
