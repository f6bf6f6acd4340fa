"""Several processes train as one does: the same gradients, equal weights in all of them, and resumption."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import torch
from safetensors.torch import load_file

from oddwave.lab.prior import train
from oddwave.ranks import Ranks
from oddwave.scoring import prior
from oddwave.scoring.retrieval import NUM_EVIDENCE

SMALL = {"base_channels": 8, "channel_mult": (1, 2), "max_tokens": 64}
ALPHAS = torch.linspace(1.0, 0.01, 1000)
SCRIPT = f"""
import sys
from oddwave.lab.prior import examples, train
from oddwave.scoring import prior
from oddwave.scoring.retrieval import NUM_EVIDENCE
examples._WINDOWS, examples._SOURCES, prior._NETWORK = 6, 2, {SMALL}
train._VALIDATION_STEPS, train._SAVE_EVERY = 1, 1
if __name__ == "__main__":
    train.main(sys.argv[1:])
"""


@dataclass(frozen=True)
class Among(Ranks):
    """A process among others whose sums are remembered from one round to the next, in place of a network."""

    told: list = field(default_factory=list)
    known: list = field(default_factory=list)

    def total(self, values):
        self.told.append(values.detach())
        return self.known.pop(0) if self.known else values.detach()


def gradients(net, drawn, ranks):
    net.zero_grad()
    (bce, bce_told), (nll, nll_told) = train._losses(net, drawn, ALPHAS, torch.Generator().manual_seed(4), ranks)
    (bce + 0.2 * nll).backward()
    return [weight.grad.clone() for weight in net.parameters()], (bce_told, nll_told)


def test_the_mean_of_the_gradients_is_that_of_one_process(monkeypatch):
    monkeypatch.setattr(prior, "_NETWORK", SMALL)
    count = 3  # of 7 examples: unequal shares
    torch.manual_seed(0)
    net, drawn = prior.Prior(), (torch.randn(7, 1, NUM_EVIDENCE, 64), torch.randn(7, 1, 64))
    drawn += (torch.rand(7, 1, 64) < 0.2, torch.rand(7, 1, 64) < 0.9)
    with torch.no_grad():
        for weight in net.parameters():  # layers that begin at zero would hide the others
            weight.add_(0.05 * torch.randn_like(weight))
    whole, told = gradients(net, drawn, Ranks())
    sums = []
    for rank in range(count):
        sums.append(own := Among(rank, count))
        gradients(net, drawn, own)
    totals = [sum(parts) for parts in zip(*(own.told for own in sums), strict=True)]
    shares = [gradients(net, drawn, Among(rank, count, known=list(totals))) for rank in range(count)]
    for own, *parts in zip(whole, *(share for share, _ in shares), strict=True):
        torch.testing.assert_close(sum(parts) / count, own, rtol=1e-4, atol=1e-6)
    assert all(share_told == pytest.approx(told, rel=1e-5) for _, share_told in shares)


def trained(folder, name, steps, num):
    script = folder / "small.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(num)]
    own = [str(script), "-o", str(folder / f"{name}.safetensors"), "--steps", str(steps), "--device", "cpu"]
    done = subprocess.run(
        [*command, *own],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.slow
def test_two_processes_end_with_equal_weights_those_of_one_and_go_on_after_a_stop(tmp_path):
    told = trained(tmp_path, "two", 3, num=2)
    assert [line["step"] for line in told] == [1, 2, 3]
    assert all(line["ranks_apart"] == 0.0 for line in told)
    (one,) = trained(tmp_path, "one", 3, num=1)[-1:]
    trained(tmp_path, "stopped", 2, num=2)
    state = (tmp_path / "stopped.state").read_bytes()
    rest = trained(tmp_path, "stopped", 3, num=2)
    assert [line["step"] for line in rest] == [3]
    assert rest[0]["ranks_apart"] == 0.0
    assert (tmp_path / "stopped.state").read_bytes() != state
    assert one["bce"] == pytest.approx(told[-1]["bce"], abs=1e-3)
    two, single, stopped = (load_file(tmp_path / f"{name}.safetensors") for name in ("two", "one", "stopped"))
    for name in two:
        assert two[name].equal(stopped[name])
        torch.testing.assert_close(two[name].float(), single[name].float(), rtol=2e-3, atol=2e-3)
