"""A training in several processes: the gradients and weights of one, and another number of processes after a stop."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import nn

from oddwave.diffusion import make_schedule
from oddwave.errors import ConfigError
from oddwave.ranks import ONE, Ranks
from oddwave.training import TensorSource, TrainingConfig
from oddwave.training.loop import train_ports
from oddwave.training.ports import PortData
from oddwave.training.run import TrainingRun

SCHEDULE = make_schedule("cosine", 100)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 4, 3, padding=1), nn.Conv1d(4, 1, 3, padding=1)
        with torch.no_grad():
            for number, weight in enumerate(self.parameters()):
                weight.copy_(torch.linspace(-0.3, 0.4, weight.numel()).view(weight.shape) + 0.1 * number)

    def forward(self, x_t, t):
        return self.last(torch.tanh(self.first(x_t)))


class Features(nn.Module):
    """A frozen network that sees more in one item than in another."""

    def forward(self, x):
        return [x.square(), x[..., :4].sin()]


def data(num=12):
    return TensorSource(torch.sin(torch.arange(num * 16) / 3).reshape(num, 1, 16))


def settings(**changes):
    fixed = {"num_steps": 6, "batch_size": 7, "warmup_steps": 2, "validate_every": 3, "num_validation_draws": 10}
    return TrainingConfig(**{**fixed, "dtype": "float32", "seed": 3, "learning_rate": 1e-2, **changes})


@dataclass(frozen=True)
class Among(Ranks):
    """A process among others: what it would tell them is kept, and what they would answer is known."""

    told: list = field(default_factory=list)
    known: list = field(default_factory=list)

    def averages(self, *values):
        self.told.append([value.item() for value in values])
        return self.known.pop(0) if self.known else self.told[-1]


def first_step(ranks, config):
    net = Net()
    run = TrainingRun(net, [PortData(data(), data(5), Features())], SCHEDULE, config, ranks)
    val_loss = run.validate()
    run.advance()
    return [weight.grad.clone() for weight in net.parameters()], run.loss, val_loss


@pytest.mark.parametrize("max_t", [0.25, 0.6, 1.0])  # of 7 items, those with a feature loss: few, some, all
def test_the_mean_of_the_gradients_is_that_of_one_process(max_t):
    config = settings(feature_loss_weight=1.0, feature_loss_max_t=max_t, gradient_clip=1e6)
    count = 3  # of 7 items, and of validation batches: unequal shares
    whole, loss, val_loss = first_step(ONE, config)
    told = []
    for _ in range(3):  # what is told depends on what was answered before: the balance, and by it the loss
        known = [[sum(own) / count for own in zip(*each, strict=True)] for each in zip(*told, strict=True)]
        told, shares = [], []
        for rank in range(count):
            own = Among(rank, count, known=list(known))
            shares.append(first_step(own, config))
            told.append(own.told)
    for own, *parts in zip(whole, *(gradients for gradients, _, _ in shares), strict=True):
        torch.testing.assert_close(sum(parts) / count, own, rtol=1e-4, atol=1e-6)
    assert len(told[0][1]) == 2  # the feature loss took part
    for _, own_loss, own_val_loss in shares:
        assert (own_loss, own_val_loss) == pytest.approx((loss, val_loss), rel=1e-5)


def test_more_processes_than_items_of_a_batch_are_refused():
    with pytest.raises(ConfigError, match="9 processes for the 7 examples of a step"):
        train_ports(Net(), [PortData(data())], SCHEDULE, settings(), ranks=Ranks(0, 9))


SCRIPT = """
import json, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
import test_processes as own
from oddwave.detection.denoiser import help_to_train, train_with_others
from oddwave.detection.job import FitJob
from oddwave.nets.blocks import seeded_draws
from oddwave.nets.unet import UNet
from oddwave.ranks import led
from oddwave.training.ports import PortData

folder, stop, resume = Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "resume"
folder.mkdir(exist_ok=True)

def net(channels=1, dims=1, ports=None):
    with seeded_draws(0):
        sizes = {"base_channels": 4, "channel_mult": (1, 2), "num_heads": 2, "norm_groups": 2}
        return UNet(channels, grid_dims=dims, ports=ports, **sizes)

def maps(num, channels, seed):
    items = torch.rand(num, channels, 8, 8, generator=torch.Generator().manual_seed(seed))
    return own.TensorSource(items)

class Flaky(own.TensorSource):
    def batch(self, indices):
        self.asked = getattr(self, "asked", 0) + 1
        if self.asked == stop + 2:
            raise KeyboardInterrupt
        return super().batch(indices)

with led() as ranks:
    if not ranks.first:
        help_to_train(ranks)
        (folder / "helper").write_text("done")
        raise SystemExit
    told = {}
    source = (Flaky if stop else own.TensorSource)(own.data().items)
    alone = [PortData(source, own.data(5), own.Features())]
    config = own.settings(feature_loss_weight=1.0, feature_loss_max_t=0.6, patience=2)
    trained = net()
    last = train_with_others(trained, alone, own.SCHEDULE, config, FitJob(False, folder, resume), "one")
    told["one"] = (last.step, last.loss, last.val_loss)
    joint = net(3, 2, {"image": 3, "audio": 1})
    ports = [PortData(maps(9, 3, 0), maps(4, 3, 1), name="image"), PortData(maps(8, 1, 2), maps(4, 1, 3), name="audio")]
    last = train_with_others(joint, ports, own.SCHEDULE, own.settings(batch_size=3), FitJob(), "joint")
    told["joint"] = (last.step, last.loss, last.val_loss)
    torch.save({"one": trained.state_dict(), "joint": joint.state_dict()}, folder / "weights.pt")
    print(json.dumps(told))
"""


def started(folder, num, *, stop=0, resume=False):
    """Run the script in `num` processes; return how each ended, its output and its errors."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(folder), str(stop), "resume" * resume]
    processes = []
    for rank in range(num):
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": num, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        env = os.environ | {"OMP_NUM_THREADS": "1"} | {name: str(value) for name, value in told.items()}
        processes.append(subprocess.Popen(words, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    ends = [process.communicate(timeout=280) for process in processes]
    return [(process.returncode, *end) for process, end in zip(processes, ends, strict=True)]


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one_and_go_on_after_a_stop_in_another_number(tmp_path):
    found = {}
    for num in (1, 2):
        ends = started(tmp_path / str(num), num)
        assert [status for status, _, _ in ends] == [0] * num, ends
        found[num] = json.loads(ends[0][1]), torch.load(tmp_path / str(num) / "weights.pt")
        assert (tmp_path / str(num) / "helper").exists() == (num > 1)
    (stopped, _, told), (gone, _, _) = started(tmp_path / "3", 2, stop=4)
    assert (stopped, gone) == (1, 1)
    assert "training stopped at step 4 of 6; the state is saved" in told
    (again,) = started(tmp_path / "3", 1, resume=True)
    assert again[0] == 0, again
    found[3] = json.loads(again[1]), torch.load(tmp_path / "3" / "weights.pt")
    told, weights = found[1]
    for own_told, own in (found[2], found[3]):
        assert own_told == {name: pytest.approx(values, rel=1e-4) for name, values in told.items()}
        for which in ("one", "joint"):
            for name, weight in weights[which].items():
                torch.testing.assert_close(own[which][name], weight, rtol=1e-4, atol=1e-5)
