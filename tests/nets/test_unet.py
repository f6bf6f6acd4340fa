"""The U-Net: any grid and channel count, switches, initial weights, training, configuration."""

import json
from typing import Any

import jaxtyping
import pytest
import torch
from torch import Tensor

from oddwave.errors import ConfigError, ShapeError
from oddwave.nets import UNet, UNetConfig

SWITCHES = ("wavelet_pyramid", "attention", "shared_adapter", "hybrid_embedding")
PLAIN: dict[str, Any] = dict.fromkeys(SWITCHES, False)


def _net(in_channels: int = 2, grid_dims: int = 1, seed: int = 0, **options: Any) -> UNet:
    torch.manual_seed(seed)
    return UNet(in_channels, grid_dims=grid_dims, base_channels=8, norm_groups=4, **options)


def _unzero(net: UNet, only: set[str] | None = None) -> None:
    """Give every weight that starts at zero (of those named) a random value, the same for the same name."""
    for index, (name, parameter) in enumerate(sorted(net.named_parameters())):
        if not parameter.any() and (only is None or name in only):
            seed = index if only is None else sorted(only).index(name)
            values = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
            parameter.data.copy_(0.2 * values)


def _batch(channels: int = 2, grid: tuple[int, ...] = (20,), items: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(items, channels, *grid, generator=generator), torch.randint(
        0, 1000, (items,), generator=generator
    )


@pytest.mark.parametrize("additions", [True, False], ids=["full", "plain"])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("grid", [(1,), (2,), (3,), (17,), (64,), (1, 1), (3, 2), (1, 9), (15, 22)])
def test_any_grid_and_channel_count(grid: tuple[int, ...], channels: int, additions: bool) -> None:
    net = _net(channels, len(grid), wavelet="db4", **dict.fromkeys(SWITCHES, additions))
    _unzero(net)
    x, t = _batch(channels, grid, items=1)
    out = net(x, t)
    assert out.shape == x.shape
    assert torch.isfinite(out).all()
    assert out.abs().max() > 0


@pytest.mark.parametrize("grid_dims", [1, 2])
def test_a_new_net_predicts_zero(grid_dims: int) -> None:
    x, t = _batch(grid=(12,) * grid_dims)
    assert not _net(grid_dims=grid_dims)(x, t).any()


@pytest.mark.parametrize("grid", [(21,), (9, 14)])
@pytest.mark.parametrize("additions", [("wavelet_pyramid",), ("attention",), ("wavelet_pyramid", "attention")])
def test_zero_initialised_additions_change_nothing_at_first(grid: tuple[int, ...], additions: tuple[str, ...]) -> None:
    plain = _net(grid_dims=len(grid), **PLAIN)
    added = _net(grid_dims=len(grid), **{**PLAIN, **dict.fromkeys(additions, True)})
    names = {name for name, _ in plain.named_parameters()}
    extra = {name for name, _ in added.named_parameters()} - names
    assert extra
    for net in (plain, added):
        _unzero(net, only=names)
    x, t = _batch(grid=grid)
    before = plain(x, t)
    assert before.std() > 0.01
    assert torch.equal(added(x, t), before)
    _unzero(added, only=extra)
    assert (added(x, t) - before).abs().max() > 1e-3  # once trained, they do change it


@pytest.mark.parametrize("switch", SWITCHES)
def test_plain_weights_do_not_depend_on_a_switch(switch: str) -> None:
    off = dict(_net(**PLAIN).named_parameters())
    on = dict(_net(**{**PLAIN, switch: True}).named_parameters())
    common = {name for name in on.keys() & off.keys() if not name.startswith(("input.", "output."))}
    assert len(common) > 50
    assert all(torch.equal(on[name], off[name]) for name in common)
    assert on.keys() - off.keys()


def test_seed_decides_every_weight() -> None:
    same, again, other = (_net(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(same[name], again[name]) for name in same)
    drawn = [name for name in same if same[name].any() and "norm" not in name]
    assert len(drawn) > 50
    assert all(not torch.equal(same[name], other[name]) for name in drawn)


@pytest.mark.parametrize("grid", [(24,), (12, 8)])
@pytest.mark.parametrize("switch", [None, *SWITCHES, "all"])
def test_every_weight_trains_with_each_addition_on_and_off(grid: tuple[int, ...], switch: str | None) -> None:
    options = PLAIN if switch == "all" else ({} if switch is None else {switch: False})
    net = _net(grid_dims=len(grid), **options)
    _unzero(net)
    x, t = _batch(grid=grid)
    (net(x, t) - x).square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_few_steps_lower_the_loss_from_the_zero_start() -> None:
    net, (x, t) = _net(), _batch()
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        loss = (net(x, t) - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_prediction_depends_on_t_and_takes_fractions() -> None:
    net, (x, t) = _net(), _batch()
    _unzero(net)
    torch.testing.assert_close(net(x, t.float()), net(x, t))
    assert (net(x, t + 100) - net(x, t)).abs().max() > 1e-4


@pytest.mark.parametrize("grid", [(19,), (10, 6)])
def test_items_do_not_see_each_other(grid: tuple[int, ...]) -> None:
    net = _net(grid_dims=len(grid)).eval()
    _unzero(net)
    x, t = _batch(grid=grid, items=5)
    order = torch.tensor([3, 0, 4, 1, 2])
    out = net(x, t)
    torch.testing.assert_close(net(x[order], t[order]), out[order])
    torch.testing.assert_close(net(x[2:3], t[2:3]), out[2:3])


@pytest.mark.parametrize("grid", [(19,), (10, 6)])
def test_features_come_with_the_same_prediction(grid: tuple[int, ...]) -> None:
    net = _net(grid_dims=len(grid)).eval()
    _unzero(net)
    x, t = _batch(grid=grid)
    prediction, features = net.forward_with_features(x, t)
    assert torch.equal(prediction, net(x, t))
    assert features.shape == (3, net.feature_width) == (3, 8 * (4 + 4 + 2 + 1))
    assert features.std(dim=0).min() > 0


def test_one_net_serves_several_ports() -> None:
    net = _net(3, 2, ports={"image": 3, "audio": 1})
    _unzero(net)
    for port, channels in (("image", 3), ("audio", 1)):
        x, t = _batch(channels, (8, 12))
        assert net(x, t, port).shape == x.shape
    x, t = _batch(3, (8, 12))
    assert torch.equal(net(x, t), net(x, t, port="image"))
    with pytest.raises(ConfigError, match="port is 'video', expected one of image, audio"):
        net(x, t, port="video")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype: torch.dtype) -> None:
    net = _net()
    _unzero(net)
    x, t = _batch()
    out = net.to(dtype)(x.to(dtype), t)
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), net.float()(x, t), rtol=0.1, atol=0.1)


def test_channels_last_gives_the_same() -> None:
    net = _net(grid_dims=2)
    _unzero(net)
    x, t = _batch(grid=(10, 12))
    expected = net(x, t)
    last = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last), t)
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ports", [None, {"image": 3, "audio": 1}])
def test_config_survives_json(ports: dict[str, int] | None) -> None:
    net = _net(3, 2, channel_mult=(1, 3), wavelet="haar", attention=False, ports=ports, dropout=0.1)
    stored = json.loads(json.dumps(net.config.to_dict()))
    again = UNet(**stored)
    assert again.config == net.config
    again.load_state_dict(net.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 0}, "in_channels is 0, expected at least 1"),
        ({"grid_dims": 3}, "grid_dims is 3"),
        ({"base_channels": 1, "num_heads": 1}, "base_channels is 1"),
        ({"channel_mult": ()}, "channel_mult is"),
        ({"num_heads": 3}, "num_heads is 3, expected a divisor"),
        ({"wavelet": "sym4"}, "wavelet is 'sym4'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"ports": {}}, "ports is"),
        ({"ports": {"a": 2}}, "in_channels is 1, expected 2"),
        ({"ports": {"a.b": 1}}, "without dots"),
        ({"ports": {"a": 1, "b": 0}}, "at least 1 channel"),
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        UNetConfig(**{"in_channels": 1, "grid_dims": 1, **options})


def test_shapes_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the suite runs with shape checks, they would refuse before our own message is reached.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    net, (x, t) = _net(), _batch()
    with pytest.raises(ShapeError, match=r"x_t has shape \(3, 1, 20\), expected \(B, 2, L\)"):
        net(x[:, :1], t)
    with pytest.raises(ShapeError, match=r"expected \(B, 2, L\)"):
        net(x[..., None], t)
    with pytest.raises(ShapeError, match=r"expected \(B, 2, L\)"):
        net(x[..., :0], t)
    with pytest.raises(ShapeError, match=r"t has shape \(1,\), expected \(3,\)"):
        net(x, t[:1])


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("port", ["image", "audio"])
def test_a_port_alone_computes_what_it_computes_in_the_joint_net(port, shared):
    options = {"base_channels": 4, "channel_mult": (1, 2), "num_heads": 2, "shared_adapter": shared}
    joint, alone = UNet(3, grid_dims=2, ports={"image": 3, "audio": 1}, **options), None
    channels = joint.config.port_channels[port]
    with torch.no_grad():
        for number, weight in enumerate(joint.parameters()):
            weight.normal_(std=0.1, generator=torch.Generator().manual_seed(number))
    alone = UNet(channels, grid_dims=2, **options)
    alone.load_state_dict(joint.port_state(port))  # all of it, and nothing more
    x, t = torch.randn(2, channels, 9, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([3, 900])
    assert torch.equal(joint(x, t, port), alone(x, t))
    assert alone(x, t).abs().max() > 0
    with pytest.raises(ConfigError, match=r"port is 'smell', expected one of image, audio"):
        joint.port_state("smell")
