"""Whatever stops a training, what it had learnt is kept; whatever lies in its state's place is taken or refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from oddwave.diffusion import make_schedule
from oddwave.errors import CheckpointError
from oddwave.stopping import Stopped, held_back, status_after, stops_as_interrupts
from oddwave.training import TensorSource, TrainingConfig, TrainingInterrupted, run_with_progress, train
from oddwave.training.checkpoint import STATE_VERSION, load_training_state, save_training_state
from oddwave.training.loop import STATE_FILE

SCHEDULE = make_schedule("cosine", 100)


class TinyNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, 1, 3, padding=1)
        with torch.no_grad():
            self.layer.weight.fill_(0.1)
            self.layer.bias.zero_()

    def forward(self, x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.layer(x_t)


def source() -> TensorSource:
    return TensorSource(torch.sin(torch.arange(8 * 32) / 3).reshape(8, 1, 32))


def settings(**changes: object) -> TrainingConfig:
    return TrainingConfig(**{"num_steps": 12, "batch_size": 4, "seed": 0, "checkpoint_every": 4, **changes})


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_to_end_saves_the_state_and_the_handlers_are_put_back(name: str, tmp_path: Path) -> None:
    number = getattr(signal, name)
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    straight, net = TinyNet(), TinyNet()
    list(train(straight, source(), SCHEDULE, settings()))

    steps = train(net, source(), SCHEDULE, settings(), checkpoint_dir=tmp_path)
    original = steps.send

    class Kills:
        """The same generator, but a signal comes after step 7."""

        def __iter__(self):
            return self

        def __next__(self):
            step = original(None)
            if step.step == 7:
                os.kill(os.getpid(), number)
            return step

        def throw(self, error):
            return steps.throw(error)

    with pytest.raises(TrainingInterrupted, match="step 7 of 12; the state is saved") as caught:
        run_with_progress(Kills(), "", show=False)
    assert status_after(caught.value) == 128 + number
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    resumed = TinyNet()
    list(train(resumed, source(), SCHEDULE, settings(), checkpoint_dir=tmp_path, resume=True))
    assert torch.equal(resumed.layer.weight, straight.layer.weight)


def test_a_program_with_plans_of_its_own_keeps_them() -> None:
    def mine(*_: object) -> None:
        heard.append(1)

    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, mine), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stops_as_interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGHUP, before[1])
    assert heard == [1]


def test_what_belongs_together_is_finished_first() -> None:
    done = []

    def work() -> None:
        with stops_as_interrupts(), held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("whole")

    with pytest.raises(Stopped):
        work()
    assert done == ["whole"]


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.slow
def test_a_fit_that_is_told_to_end_says_how_to_go_on(name: str, status: int, tmp_path: Path) -> None:
    np.savetxt(tmp_path / "a.csv", np.sin(np.arange(600) / 8), header="a", comments="")
    command = [sys.executable, "-m", "oddwave", "fit", "series", str(tmp_path / "a.csv"), "-o", str(tmp_path / "m")]
    command += [
        "--preset=fast",
        "--set=series.method=denoiser",
        "--set=training.num_steps=1000000",
        "--set=network.base_channels=8",
    ]
    fitting = subprocess.Popen(
        [*command, "--set=training.checkpoint_seconds=0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    state = tmp_path / "m" / ".oddwave" / STATE_FILE
    until = time.monotonic() + 120
    while not state.exists() and fitting.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert state.exists()  # long before step 500
    fitting.send_signal(getattr(signal, name))
    stdout, stderr = fitting.communicate(timeout=60)
    assert (fitting.returncode, stdout) == (status, ""), stderr
    assert stderr.startswith("oddwave: training stopped at step ")
    assert stderr.count("\n") == 1
    assert "--resume" in stderr
    assert sorted(path.name for path in state.parent.iterdir()) == ["owner.json", STATE_FILE]


def test_the_state_is_saved_by_the_clock_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(np.arange(0.0, 1e4, 1.0).tolist())
    monkeypatch.setattr("oddwave.training.loop.time.monotonic", lambda: next(times))
    saves: list[int] = []
    monkeypatch.setattr(
        "oddwave.training.loop.save_training_state", lambda path, state: saves.append(state["progress"]["step"])
    )
    config = settings(num_steps=60, checkpoint_every=500, checkpoint_seconds=5)
    list(train(TinyNet(), source(), SCHEDULE, config, checkpoint_dir=tmp_path))
    assert saves[-1] == 60
    assert 2 <= len(saves) < 10  # saving took a second by this clock: no more than a twentieth of the time


def test_how_often_the_state_is_saved_is_no_part_of_the_run(tmp_path: Path) -> None:
    steps = train(TinyNet(), source(), SCHEDULE, settings(checkpoint_every=3), checkpoint_dir=tmp_path)
    while next(steps).step < 4:
        pass
    changed = settings(checkpoint_every=7, checkpoint_seconds=1)
    resumed, straight = TinyNet(), TinyNet()
    list(train(resumed, source(), SCHEDULE, changed, checkpoint_dir=tmp_path, resume=True))
    list(train(straight, source(), SCHEDULE, settings()))
    assert torch.equal(resumed.layer.weight, straight.layer.weight)


def nested(depth: int) -> list[object]:
    inner: list[object] = []
    for _ in range(depth):
        inner = [inner]
    return inner


DAMAGES = {
    "no identity": lambda s: s.pop("identity"),
    "identity of a list": lambda s: s.update(identity=[1]),
    "identity of tensors": lambda s: s["identity"].update(item_shape=torch.zeros(3)),
    "a deep identity": lambda s: s["identity"].update(num_steps=nested(200)),
    "no network": lambda s: s.pop("net"),
    "another network": lambda s: s["net"].update({"layer.weight": torch.zeros(1)}),
    "a network of texts": lambda s: s.update(net=dict.fromkeys(s["net"], "x")),
    "NaN in the network": lambda s: s["net"]["layer.weight"].fill_(float("nan")),
    "infinity in the averages": lambda s: s["ema"]["layer.bias"].fill_(float("inf")),
    "averages that spread": lambda s: s["ema"].update({"layer.weight": torch.zeros(1)}),
    "moments that spread": lambda s: s["optimizer"]["first"].__setitem__(0, torch.zeros(1)),
    "fewer moments": lambda s: s["optimizer"]["second"].pop(),
    "moments of a number": lambda s: s.update(optimizer=3),
    "another type": lambda s: s["net"].update({"layer.weight": s["net"]["layer.weight"].double()}),
    "a step beyond the end": lambda s: s["progress"].update(step=10**9),
    "a negative step": lambda s: s["progress"].update(step=-1),
    "a step of text": lambda s: s["progress"].update(step="4"),
    "a loss of text": lambda s: s["progress"].update(loss="low"),
    "a balance of one": lambda s: s["ports"][""].update(balance=(1.0,)),
    "a best that is none": lambda s: s["progress"].update(best=[1]),
    "no progress": lambda s: s.update(progress=None),
    "a cursor beyond": lambda s: s["ports"][""]["draws"].update(cursor=10**6),  # would never end
    "a negative cursor": lambda s: s["ports"][""]["draws"].update(cursor=-3),
    "an order of other items": lambda s: s["ports"][""]["draws"].update(order=torch.full((8,), 99)),
    "an order of fractions": lambda s: s["ports"][""]["draws"].update(order=torch.zeros(8)),
    "a generator of another kind": lambda s: s["ports"][""]["draws"].update(host=torch.zeros(3, dtype=torch.uint8)),
    "no ports": lambda s: s.pop("ports"),
    "another port": lambda s: s.update(ports={"image": s["ports"][""]}),
    "no draws": lambda s: s["ports"][""].update(draws=7),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_state_of_another_form_is_refused_in_one_line(damage: str, tmp_path: Path) -> None:
    steps = train(TinyNet(), source(), SCHEDULE, settings(), checkpoint_dir=tmp_path)
    while next(steps).step < 5:
        pass
    state = load_training_state(tmp_path / STATE_FILE)
    save_training_state(tmp_path / STATE_FILE, state)  # unharmed, it is taken
    train(TinyNet(), source(), SCHEDULE, settings(), checkpoint_dir=tmp_path, resume=True)
    DAMAGES[damage](state)
    save_training_state(tmp_path / STATE_FILE, state)
    with pytest.raises(CheckpointError, match="start again without resuming") as caught:
        train(TinyNet(), source(), SCHEDULE, settings(), checkpoint_dir=tmp_path, resume=True)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


ENVELOPES = {
    "a list": [1],
    "no version": {"format": "oddwave-training-state"},
    "no state": {"format": "oddwave-training-state", "version": STATE_VERSION},
    "a state of text": {"format": "oddwave-training-state", "version": STATE_VERSION, "state": "x"},
}


@pytest.mark.parametrize("what", ENVELOPES)
def test_a_file_of_another_form_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    torch.save(ENVELOPES[what], tmp_path / STATE_FILE)
    with pytest.raises(CheckpointError, match="start again without resuming") as caught:
        load_training_state(tmp_path / STATE_FILE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("what", ["a pipe", "a device", "a folder", "an ocean of nothing"])
def test_what_is_no_ordinary_file_is_refused_at_once(what: str, tmp_path: Path) -> None:
    place = tmp_path / STATE_FILE
    if what == "a pipe":
        os.mkfifo(place)
    elif what == "a device":
        place.symlink_to("/dev/zero")
    elif what == "a folder":
        place.mkdir()
    else:
        with place.open("wb") as file:
            file.truncate(2**40)
    started = time.monotonic()
    with pytest.raises(CheckpointError, match="cannot read"):
        load_training_state(place)
    assert time.monotonic() - started < 5
