"""The training loop: learning, averaging, validation, early stop, resume bit for bit, Ctrl-C at any moment."""

import dataclasses
import itertools
import math
import os
import signal
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from oddwave.diffusion import make_schedule
from oddwave.errors import CheckpointError, ConfigError, DataError, OddwaveError, ShapeError
from oddwave.training import (
    Ema,
    TensorSource,
    TrainingConfig,
    TrainingDivergedError,
    TrainingInterrupted,
    run_with_progress,
    train,
)
from oddwave.training.adamw import AdamW
from oddwave.training.draws import TrainingDraws, validation_draws
from oddwave.training.loop import STATE_FILE
from oddwave.training.run import TrainingRun, computes_bfloat16, learning_rate_at

SCHEDULE = make_schedule()
CPU = torch.device("cpu")


class TinyNet(nn.Module):
    """Two convolutions that are told the time step; enough to learn a smooth signal."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first, self.last = nn.Conv1d(2, width, 5, padding=2), nn.Conv1d(width, 1, 5, padding=2)
        for weight in self.parameters():
            nn.init.normal_(weight, std=0.2, generator=generator)

    def forward(self, x_t, t):
        time = (t.to(x_t.dtype) / 1000).view(-1, 1, 1).expand_as(x_t)
        return self.last(nn.functional.silu(self.first(torch.cat([x_t, time], dim=1))))


def waves(num=40):
    phase = torch.arange(num, dtype=torch.float32).view(-1, 1, 1)
    return TensorSource(torch.sin(torch.arange(16.0) * 0.7 + phase))


def settings(**changes):
    fixed = {"num_steps": 20, "batch_size": 16, "warmup_steps": 3, "validate_every": 5, "checkpoint_every": 5}
    fixed |= {"learning_rate": 1e-3, "ema_decay": 0.99, "prediction_type": "epsilon", "dtype": "float32", "seed": 0}
    return TrainingConfig(**{**fixed, **changes})


def weights(net):
    return torch.cat([weight.detach().flatten().clone() for weight in net.parameters()])


class FlakySource(TensorSource):
    """Raises a given exception at its n-th batch, as a Ctrl-C while reading would."""

    def __init__(self, items, error, at):
        super().__init__(items)
        self.error, self.at, self.calls = error, at, 0

    def batch(self, indices):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return super().batch(indices)


def test_training_learns_and_tells_how_far_it_is():
    net = TinyNet()
    config = settings(num_steps=200, learning_rate=2e-2, validate_every=100)
    steps = list(train(net, waves(), SCHEDULE, config, validation=waves(7)))
    assert [step.step for step in steps] == list(range(1, 201))
    assert [step.step for step in steps if step.val_loss is not None] == [100, 200]
    assert [step.done for step in steps] == [False] * 199 + [True]
    assert sum(s.loss for s in steps[-10:]) < 0.7 * sum(s.loss for s in steps[:10])
    assert steps[-1].val_loss < steps[99].val_loss
    assert steps[0].seconds_left > 0 == steps[-1].seconds_left
    assert steps[-1].lr < steps[50].lr < config.learning_rate
    assert net.training  # as it was before


def test_the_rate_rises_then_falls_to_zero():
    config = settings(num_steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate_at(step, config) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[10:]))
    short = [learning_rate_at(step, settings(num_steps=5, warmup_steps=50, learning_rate=1.0)) for step in range(5)]
    assert short[0] == 1.0  # the warm-up is cut to a fifth of the run


def test_adamw_is_its_algorithm():
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True)
    idle = torch.ones(2, dtype=torch.float64, requires_grad=True)
    optimizer = AdamW([weight, idle], weight_decay=0.1)
    expected, m, v = weight.detach().clone(), 0.0, 0.0
    for step in range(1, 30):
        gradient = torch.randn(5, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        assert weight.grad is None
        weight.grad = gradient.clone()
        optimizer.step(lr=1.0 / step)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.999**step)
        expected = expected - (0.1 * expected + m_hat / (v_hat.sqrt() + 1e-8)) / step
        torch.testing.assert_close(weight.detach(), expected)
    assert idle.tolist() == [1.0, 1.0]  # no gradient, no move, no decay


def test_training_never_imports_torchs_compiler():
    code = """
import sys, torch
from oddwave.diffusion import make_schedule
from oddwave.training import TensorSource, TrainingConfig, train
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv1d(1, 1, 3, padding=1)
    def forward(self, x_t, t):
        return self.layer(x_t)
data = TensorSource(torch.ones(4, 1, 8))
list(train(Net(), data, make_schedule(), TrainingConfig(num_steps=2), validation=data))
assert "torch._dynamo" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_averages_forget_the_start_and_then_move_slowly():
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 100.0)
    ema = Ema(net, decay=0.9)
    expected = 100.0
    for update in range(1, 200):
        nn.init.constant_(net.weight, float(update % 3))
        ema.update()
        decay = min(0.9, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * (update % 3)
        assert float(ema.averages()["weight"]) == pytest.approx(expected, rel=1e-4)
    assert float(ema.averages()["weight"]) == pytest.approx(1.0, abs=0.1)
    ema.copy_to_net()
    assert net.weight.item() == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ConfigError):
        Ema(net, decay=1.0)


def test_the_network_ends_with_the_averaged_weights_however_the_loop_is_left():
    straight, stopped = TinyNet(), TinyNet()
    list(train(straight, waves(), SCHEDULE, settings(ema_decay=0.0)))
    averaged = TinyNet()
    list(train(averaged, waves(), SCHEDULE, settings(ema_decay=0.9)))
    assert not torch.equal(weights(straight), weights(averaged))
    steps = train(stopped, waves(), SCHEDULE, settings(ema_decay=0.9))
    run = steps.gi_frame.f_locals["run"]
    next(steps)
    next(steps)
    raw = weights(stopped)
    steps.close()
    average = torch.cat([value.flatten() for value in run.ema.averages().values()])
    assert torch.equal(weights(stopped), average)
    assert not torch.equal(raw, average)


def test_every_item_is_used_once_per_epoch_and_time_steps_cover_the_range():
    draws = TrainingDraws(10, 1000, settings(batch_size=4, min_t=0.2, max_t=0.6))
    drawn = torch.cat([draws.indices() for _ in range(5)])
    assert drawn[:10].sort().values.tolist() == drawn[10:].sort().values.tolist() == list(range(10))
    times = torch.stack([draws.timesteps() for _ in range(500)])
    for part in range(4):
        low = 200 + 100 * part
        assert low <= int(times[:, part].min()) < low + 5
        assert low + 95 <= int(times[:, part].max()) < low + 100


def test_a_batch_may_be_larger_than_the_data():
    indices = TrainingDraws(3, 1000, settings(batch_size=8)).indices()
    assert len(indices) == 8
    assert indices.bincount().max() == 3


@pytest.mark.parametrize("num_items", [5, 256, 1000])
def test_validation_never_changes_and_covers_items_and_time_steps(num_items):
    config = settings(num_validation_draws=100)
    once, again = (list(validation_draws(num_items, (1, 8), 1000, config, CPU)) for _ in range(2))
    for first, second in zip(once, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    indices, times = (torch.cat([part[i] for part in once]) for i in (0, 1))
    assert len(indices) == 100
    assert indices.unique().numel() == min(num_items, 100)
    assert indices.max() >= num_items * 0.98 - 1
    assert times.min() < 30
    assert times.max() > 970
    assert times.double().mean() == pytest.approx(500, abs=30)


def test_validation_leaves_the_run_alone():
    with_validation, without = TinyNet(), TinyNet()
    list(train(with_validation, waves(), SCHEDULE, settings(), validation=waves(5)))
    list(train(without, waves(), SCHEDULE, settings()))
    assert torch.equal(weights(with_validation), weights(without))


def test_nothing_depends_on_or_touches_the_global_generator():
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        net = TinyNet()
        before = torch.get_rng_state()
        list(train(net, waves(), SCHEDULE, settings()))
        assert torch.equal(torch.get_rng_state(), before)
        results.append(weights(net))
    assert torch.equal(*results)
    other = TinyNet()
    list(train(other, waves(), SCHEDULE, settings(seed=1)))
    assert not torch.equal(weights(other), results[0])


class ScriptedRun(TrainingRun):
    """Says what validation found instead of measuring it."""

    script: tuple[float, ...] = ()

    def validate(self):
        loss = self.script[self.step // 5 - 1]
        self._judge(loss)
        return loss


def test_early_stop_takes_back_the_best_weights(monkeypatch):
    ScriptedRun.script = (3.0, 1.0, 2.0, 1.5, 0.5)
    monkeypatch.setattr("oddwave.training.loop.TrainingRun", ScriptedRun)
    net, best = TinyNet(), None
    stream = train(net, waves(), SCHEDULE, settings(num_steps=100, patience=2), validation=waves(5))
    run = stream.gi_frame.f_locals["run"]
    for step in stream:
        if step.step == 10:
            best = torch.cat([value.clone().flatten() for value in run.ema.averages().values()])
    assert step.step == 20
    assert step.done
    assert torch.equal(weights(net), best)


@pytest.mark.parametrize("stop_after", [3, 10, 13])
def test_a_resumed_run_repeats_the_straight_one_bit_for_bit(stop_after, tmp_path):
    config = settings(patience=50, checkpoint_every=1)
    straight, stopped, resumed = TinyNet(), TinyNet(), TinyNet(width=8)
    reference = list(train(straight, waves(), SCHEDULE, config, validation=waves(5)))
    first = train(stopped, waves(), SCHEDULE, config, validation=waves(5), checkpoint_dir=tmp_path)
    half = list(itertools.islice(first, stop_after))
    del first  # the process dies
    nn.init.zeros_(resumed.first.weight)  # whatever it starts from must not matter
    rest = list(train(resumed, waves(), SCHEDULE, config, validation=waves(5), checkpoint_dir=tmp_path, resume=True))
    assert torch.equal(weights(resumed), weights(straight))
    assert strip(half + rest) == strip(reference)


def strip(steps):
    return [dataclasses.replace(step, seconds_left=0.0) for step in steps]


@pytest.mark.parametrize("at", [1, 2, 6, 9, 24])  # 6 and 24 fall in a validation
def test_ctrl_c_within_a_step_or_a_validation_saves_a_state_that_goes_on_exactly(at, tmp_path):
    config = settings(patience=50, num_validation_draws=16)
    straight, net = TinyNet(), TinyNet()
    reference = list(train(straight, waves(), SCHEDULE, config, validation=waves(40)))
    source = FlakySource(waves().items, KeyboardInterrupt(), at + 2)  # after a look at one item of either source
    stream = train(net, source, SCHEDULE, config, validation=source, checkpoint_dir=tmp_path)
    with pytest.raises(TrainingInterrupted) as caught:
        list(stream)
    message = str(caught.value)
    assert str(tmp_path / STATE_FILE) in message
    assert "--resume" in message
    assert "\n" not in message
    resumed = TinyNet()
    rest = list(train(resumed, waves(), SCHEDULE, config, validation=waves(), checkpoint_dir=tmp_path, resume=True))
    assert torch.equal(weights(resumed), weights(straight))
    assert rest[-1].val_loss == reference[-1].val_loss


def test_a_real_ctrl_c_amid_the_update_waits_until_weights_and_averages_agree(tmp_path, monkeypatch):
    config = settings()
    straight, net, resumed = TinyNet(), TinyNet(), TinyNet()
    list(train(straight, waves(), SCHEDULE, config))
    update = Ema.update

    def interrupted_update(self):
        if self.num_updates == 6:
            os.kill(os.getpid(), signal.SIGINT)
        update(self)

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Ema, "update", interrupted_update)
        with pytest.raises(TrainingInterrupted, match="step 7 of 20"):
            list(train(net, waves(), SCHEDULE, config, checkpoint_dir=tmp_path))
    assert signal.getsignal(signal.SIGINT) is handler
    list(train(resumed, waves(), SCHEDULE, config, checkpoint_dir=tmp_path, resume=True))
    assert torch.equal(weights(resumed), weights(straight))


def test_an_interrupt_is_caught_as_ours_and_as_pythons(tmp_path):
    for kind in (OddwaveError, KeyboardInterrupt):
        source = FlakySource(waves().items, KeyboardInterrupt(), 4)
        with pytest.raises(kind, match="nothing was saved"):
            list(train(TinyNet(), source, SCHEDULE, settings()))


def test_leaving_early_keeps_the_last_checkpoint(tmp_path):
    stream = train(TinyNet(), waves(), SCHEDULE, settings(), checkpoint_dir=tmp_path)
    for step in stream:
        if step.step == 7:
            break
    saved = (tmp_path / STATE_FILE).read_bytes()
    stream.close()
    assert (tmp_path / STATE_FILE).read_bytes() == saved
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]
    rest = train(TinyNet(), waves(), SCHEDULE, settings(), checkpoint_dir=tmp_path, resume=True)
    assert next(rest).step == 6


def test_resuming_a_finished_run_gives_its_weights_at_once(tmp_path):
    net, again = TinyNet(), TinyNet()
    last = list(train(net, waves(), SCHEDULE, settings(), checkpoint_dir=tmp_path))[-1]
    (only,) = train(again, waves(), SCHEDULE, settings(), checkpoint_dir=tmp_path, resume=True)
    assert strip([only]) == strip([last])
    assert torch.equal(weights(net), weights(again))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"config": settings(batch_size=8)}, "batch_size was 16, now 8"),
        ({"data": waves(41)}, "num_items was 40, now 41"),
        ({"data": TensorSource(waves().items + 1e-6)}, "data_fingerprint was '[0-9a-f]{16}', now '[0-9a-f]{16}'"),
        ({"validation": TensorSource(waves(5).items * 2)}, "validation_fingerprint was '[0-9a-f]{16}', now"),
        ({"net": TinyNet(width=4)}, "another network"),
    ],
)
def test_a_state_of_another_run_is_refused(change, expected, tmp_path):
    given = {"data": waves(), "schedule": SCHEDULE, "config": settings(), "validation": waves(5)}
    list(train(TinyNet(), **given, checkpoint_dir=tmp_path))
    given = {"net": TinyNet(), **given, **change}
    with pytest.raises(CheckpointError, match=expected) as caught:
        train(**given, checkpoint_dir=tmp_path, resume=True)
    assert "\n" not in str(caught.value)


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_weights():
    items = waves().items.clone()
    items[:, :, 3] = math.inf
    source = FlakySource(waves().items, None, -1)
    source.batch = lambda indices: (items if source.calls >= 4 else waves().items)[indices]
    net = TinyNet()
    stream = train(net, source, SCHEDULE, settings())
    with pytest.raises(TrainingDivergedError, match="at step 4") as caught:
        for source.calls, _ in enumerate(stream, start=2):
            pass
    assert "\n" not in str(caught.value)
    assert weights(net).isfinite().all()


def test_the_feature_loss_pulls_only_below_its_time_step_and_is_balanced():
    weight = torch.tensor(1000.0)

    def features(x):
        seen.append(len(x))
        return [weight * x, weight * x.diff(dim=-1)]

    nets = {}
    for gamma, low in [(0.0, 1.0), (1.0, 1.0), (1.0, 0.25), (1.0, 1e-9)]:
        seen: list[int] = []
        nets[gamma, low] = net = TinyNet()
        config = settings(feature_loss_weight=gamma, feature_loss_max_t=low)
        losses = [step.loss for step in train(net, waves(), SCHEDULE, config, perceptual=features)]
        assert len(set(seen)) <= 1
        assert (seen[0] if seen else 0) == (round(16 * low) if gamma else 0)
        assert max(losses) < 50  # the features' own scale, a million times larger, has been balanced away
    assert torch.equal(weights(nets[0.0, 1.0]), weights(nets[1.0, 1e-9]))
    assert not torch.equal(weights(nets[0.0, 1.0]), weights(nets[1.0, 0.25]))
    assert not torch.equal(weights(nets[1.0, 1.0]), weights(nets[1.0, 0.25]))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"config": settings(patience=2)}, ConfigError),
        ({"config": settings(feature_loss_weight=1.0)}, ConfigError),
        ({"resume": True}, ConfigError),
        ({"data": TensorSource(torch.zeros(0, 1, 8))}, DataError),
        ({"validation": TensorSource(torch.zeros(0, 1, 8))}, DataError),
        ({"data": TensorSource(torch.zeros(4, 1, 8, dtype=torch.float64))}, DataError),
    ],
)
def test_runs_that_cannot_work_are_refused_before_the_first_step(arguments, error):
    given = {"net": TinyNet(), "data": waves(), "schedule": SCHEDULE, "config": settings(), **arguments}
    with pytest.raises(error) as caught:
        train(**given)
    assert "\n" not in str(caught.value)


def test_items_need_a_grid():
    with pytest.raises(ShapeError):
        TensorSource(torch.zeros(4, 8))


@pytest.mark.parametrize("change", [{"num_steps": 0}, {"step": 5}, {"min_t": 0.5, "max_t": 0.4}, {"ema_decay": 1.0}])
def test_settings_out_of_range_or_unknown_are_refused(change):
    with pytest.raises(ValidationError):
        settings(**change)
    with pytest.raises(ValidationError):
        settings().num_steps = 3


def test_bfloat16_is_chosen_only_for_2d_grids_on_hardware_that_has_it(monkeypatch):
    for has in (True, False):
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda has=has: has)
        monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
        assert computes_bfloat16(settings(dtype="auto"), 2, CPU) is has
        assert computes_bfloat16(settings(dtype="auto"), 1, CPU) is False
        assert computes_bfloat16(settings(dtype="auto"), 2, CPU, 200_000) is False
        assert computes_bfloat16(settings(dtype="bfloat16"), 2, CPU, 200_000) is True
        assert computes_bfloat16(settings(dtype="bfloat16"), 1, CPU) is True
        assert computes_bfloat16(settings(dtype="float32"), 2, CPU) is False


def test_bfloat16_trains_a_2d_network_in_channels_last_and_keeps_float32_weights():
    formats = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)

        def forward(self, x_t, t):
            formats.append((x_t.is_contiguous(memory_format=torch.channels_last), self.first(x_t).dtype))
            return self.last(nn.functional.silu(self.first(x_t)))

    net = Net()
    data = TensorSource(torch.linspace(-1, 1, 8 * 3 * 36).reshape(8, 3, 6, 6))
    steps = list(train(net, data, SCHEDULE, settings(dtype="bfloat16", num_steps=3), validation=data))
    assert set(formats) == {(True, torch.bfloat16)}
    assert all(weight.dtype == torch.float32 for weight in net.parameters())
    assert math.isfinite(steps[-1].val_loss)


@pytest.mark.parametrize("show", [True, False])
def test_progress_runs_to_the_end_and_shows_how_far_it_is_only_when_asked(show, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    last = run_with_progress(train(TinyNet(), waves(), SCHEDULE, settings()), "fitting pumps", show=show)
    assert last.done
    out, err = capsys.readouterr()
    assert out == ""
    assert ("fitting pumps" in err and "20/20" in err) is show


def test_ctrl_c_between_two_steps_saves_too(tmp_path, monkeypatch):
    def bar(steps, description, show):
        next(steps)
        raise KeyboardInterrupt  # while the bar is drawn

    monkeypatch.setattr("oddwave.training.progress._with_bar", bar)
    stream = train(TinyNet(), waves(), SCHEDULE, settings(), checkpoint_dir=tmp_path)
    with pytest.raises(TrainingInterrupted, match="step 1 of 20; the state is saved"):
        run_with_progress(stream, "fitting", show=True)
    assert (tmp_path / STATE_FILE).exists()


def test_ctrl_c_after_the_last_step_leaves_the_finished_state(tmp_path):
    stream = train(TinyNet(), waves(), SCHEDULE, settings(), checkpoint_dir=tmp_path)
    while not next(stream).done:
        pass
    saved = (tmp_path / STATE_FILE).read_bytes()
    with pytest.raises(TrainingInterrupted, match="step 20 of 20"):
        stream.throw(KeyboardInterrupt())
    assert (tmp_path / STATE_FILE).read_bytes() == saved


def test_progress_of_a_spent_generator_is_an_error():
    stream = train(TinyNet(), waves(), SCHEDULE, settings(num_steps=1))
    list(stream)
    with pytest.raises(ConfigError, match="already ended"):
        run_with_progress(stream, "fitting", show=False)
