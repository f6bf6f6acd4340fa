"""A network of several ports: their order, what each of them draws, what moves, and going on after a stop."""

import itertools
import math

import pytest
import torch

from oddwave.config import TrainingConfig
from oddwave.diffusion import make_schedule
from oddwave.errors import CheckpointError, ConfigError, DataError
from oddwave.nets.unet import UNet
from oddwave.training import TensorSource, train
from oddwave.training.loop import train_ports
from oddwave.training.ports import PortData, port_of_step

SCHEDULE = make_schedule("cosine", 100)
CHANNELS = {"image": 3, "audio": 1}


class Recorded(TensorSource):
    """Remembers which items were asked for."""

    def __init__(self, items):
        super().__init__(items)
        self.asked = []

    def batch(self, indices):
        self.asked.append(indices.tolist())
        return super().batch(indices)


def items(channels, num=6, side=8, seed=0):
    return Recorded(torch.randn(num, channels, side, side, generator=torch.Generator().manual_seed(seed)))


def joint_net(**options):
    torch.manual_seed(0)
    small = {"base_channels": 4, "channel_mult": (1, 2), "num_heads": 2, "norm_groups": 2}
    return UNet(3, grid_dims=2, ports=CHANNELS, **{**small, **options})


def ports(**changes):
    own = {name: PortData(items(channels, 6 + channels), name=name) for name, channels in CHANNELS.items()}
    return [changes.get(name, data) for name, data in own.items()]


def settings(**changes):
    fixed = {"num_steps": 8, "batch_size": 4, "warmup_steps": 2, "dtype": "float32", "seed": 3, "weight_decay": 0.1}
    return TrainingConfig(**{**fixed, **changes})


def test_every_round_has_each_port_once_in_an_order_that_the_seed_gives():
    order = [port_of_step(step, 3, seed=1) for step in range(300)]
    rounds = [tuple(order[first : first + 3]) for first in range(0, 300, 3)]
    assert {tuple(sorted(own)) for own in rounds} == {(0, 1, 2)}
    assert set(rounds) == set(itertools.permutations(range(3)))  # no order is preferred
    assert order == [port_of_step(step, 3, seed=1) for step in range(300)]
    assert order != [port_of_step(step, 3, seed=2) for step in range(300)]
    assert [port_of_step(step, 1, seed=1) for step in range(5)] == [0] * 5


def test_a_port_asks_for_the_items_that_a_run_of_its_own_asks_for():
    both = ports()
    list(train_ports(joint_net(), both, SCHEDULE, settings(num_steps=8)))
    for name, data in zip(CHANNELS, both, strict=True):
        alone = items(CHANNELS[name], 6 + CHANNELS[name])
        net = UNet(CHANNELS[name], grid_dims=2, base_channels=4, channel_mult=(1, 2), num_heads=2, norm_groups=2)
        list(train(net, alone, SCHEDULE, settings(num_steps=4)))
        assert data.data.asked == alone.asked
        assert len(alone.asked) == 5  # one look at the shape, four batches


def test_a_step_moves_what_is_shared_and_what_is_the_ports_own_and_nothing_of_the_others():
    net = joint_net()
    before = {name: own.clone() for name, own in net.state_dict().items()}
    steps = train_ports(net, ports(), SCHEDULE, settings(ema_decay=0.0))
    next(steps)
    first = list(CHANNELS)[port_of_step(0, 2, seed=3)]
    (other,) = set(CHANNELS) - {first}
    moved = {name for name, own in net.state_dict().items() if not own.equal(before[name])}
    assert f"output.port.convs.port_{first}.weight" in moved
    assert not [name for name in moved if f"port_{other}" in name]
    next(steps)
    then = {name for name, own in net.state_dict().items() if not own.equal(before[name])}
    assert {"input.shared.weight", "output.shared.weight", f"output.port.convs.port_{other}.weight"} <= then
    steps.close()


@pytest.mark.parametrize("name", CHANNELS)
def test_the_shared_filters_get_gradients_from_every_port(name):
    net = joint_net()
    with torch.no_grad():  # the ends start at zero, which lets nothing through
        net.output.port.convs[f"port_{name}"].weight.fill_(0.1)
    net(items(CHANNELS[name]).items, torch.full((6,), 5), name).square().mean().backward()
    assert net.input.shared.weight.grad.abs().max() > 0
    assert net.output.shared.weight.grad.abs().max() > 0
    assert all(
        own.grad is None for port, own in net.named_parameters() if "port_" in port and f"port_{name}" not in port
    )


def test_losses_are_told_by_port_and_the_validation_is_their_mean():
    held = [PortData(data.data, items(CHANNELS[data.name], 4, seed=9), name=data.name) for data in ports()]
    *_, last = train_ports(joint_net(), held, SCHEDULE, settings(num_validation_draws=8))
    assert list(last.of_ports) == list(CHANNELS)
    losses, val_losses = zip(*last.of_ports.values(), strict=True)
    assert all(map(math.isfinite, losses))
    assert last.val_loss == pytest.approx(sum(val_losses) / 2)
    assert val_losses[0] != val_losses[1]


@pytest.mark.parametrize("stop", [3, 4])  # within a round, and between two
def test_a_stopped_run_goes_on_bit_for_bit(stop, tmp_path):
    straight, resumed = joint_net(), joint_net()
    list(train_ports(straight, ports(), SCHEDULE, settings()))
    steps = train_ports(joint_net(), ports(), SCHEDULE, settings(), checkpoint_dir=tmp_path)
    while next(steps).step < stop:
        pass
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt())
    list(train_ports(resumed, ports(), SCHEDULE, settings(), checkpoint_dir=tmp_path, resume=True))
    for name, own in straight.state_dict().items():
        assert own.equal(resumed.state_dict()[name]), name

    other = PortData(items(1, 7, seed=1), name="audio")
    with pytest.raises(CheckpointError, match=r"another run \(audio: data_fingerprint was"):
        train_ports(joint_net(), ports(audio=other), SCHEDULE, settings(), checkpoint_dir=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="start again without resuming"):
        train(joint_net(), items(3, 9), SCHEDULE, settings(), checkpoint_dir=tmp_path, resume=True)


def test_what_one_port_lacks_is_refused_before_the_first_step():
    with pytest.raises(DataError, match="the audio training data hold no items"):
        train_ports(joint_net(), ports(audio=PortData(items(1, 0), name="audio")), SCHEDULE, settings())
    held = PortData(items(3, 6), items(3, 6), name="image")
    with pytest.raises(ConfigError, match="patience=2 needs validation data"):
        train_ports(joint_net(), ports(image=held), SCHEDULE, settings(patience=2))
    with pytest.raises(ConfigError, match="needs a perceptual network"):
        train_ports(joint_net(), ports(), SCHEDULE, settings(feature_loss_weight=1.0))


def test_the_feature_loss_is_balanced_at_each_port_by_itself():
    calls = []

    def perceptual(x):
        calls.append(x.shape[1])
        return 1e3 * x

    with_features = PortData(items(3), perceptual=perceptual, name="image")
    *_, last = train_ports(joint_net(), ports(image=with_features), SCHEDULE, settings(feature_loss_weight=1.0))
    assert set(calls) == {3}  # what a frozen network of images says of other maps is not asked for
    assert last.of_ports["image"][0] < 10  # a million times as large, were it not balanced
