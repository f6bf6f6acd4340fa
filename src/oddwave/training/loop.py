"""The training loop: a generator of `TrainStep`; progress bars, logs and stopping early belong to the caller.

`train` takes any network called as `net(x_t, t)`. What one step computes stands in `run.py`, the randomness in
`draws.py`, the files in `checkpoint.py`, a progress bar in `progress.py`.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from oddwave.config import TrainingConfig
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.errors import ConfigError, OddwaveError
from oddwave.ranks import ONE, Ranks
from oddwave.stopping import held_back
from oddwave.training.checkpoint import load_training_state, save_training_state
from oddwave.training.draws import BatchSource
from oddwave.training.ports import Perceptual, PortData
from oddwave.training.run import TrainingRun, learning_rate_at

__all__ = ["SECOND_FOLDER", "STATE_FILE", "TrainStep", "TrainingInterrupted", "train", "train_ports"]

STATE_FILE = "training_state.pt"
SECOND_FOLDER = "second"  # of the checkpoint folder, where a second network is trained after the first
_SAVING_SHARE = 20  # saving the state by the clock takes at most one twentieth of the time


class TrainingInterrupted(OddwaveError, KeyboardInterrupt):  # noqa: N818 - it is a KeyboardInterrupt with a message
    """Training was stopped by Ctrl-C or its like; the message says what was saved and how to go on."""


@dataclass(frozen=True, slots=True)
class TrainStep:
    """One finished training step.

    `step` counts from 1 to `num_steps`; `val_loss` is None where no validation was due; `lr` is the rate the step was
    taken with; `seconds_left` is estimated from this session's own pace. After the one with `done` the network holds
    the weights that score. `of_ports` has the last loss and the last validation's loss of each port of a joint network.
    """

    step: int
    num_steps: int
    loss: float
    val_loss: float | None
    lr: float
    seconds_left: float
    done: bool
    of_ports: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)


def train(
    net: nn.Module,
    data: BatchSource,
    schedule: NoiseSchedule,
    config: TrainingConfig,
    *,
    validation: BatchSource | None = None,
    checkpoint_dir: Path | None = None,
    resume: bool = False,
    perceptual: Perceptual | None = None,
) -> Generator[TrainStep, None, None]:
    """Train a denoiser on normal data, one `TrainStep` at a time, on whatever device its weights are.

    L = L_MSE + gamma L_feat: the mean squared prediction error and, where `perceptual` is given, the squared distance
    of the features of x0 and of its one-step estimate. gamma is `feature_loss_weight` times the ratio of the two
    losses' running means, so its default means the same on every data set. AdamW, linear warm-up, cosine to zero,
    clipped gradients. However the generator is left once it has begun (end, early stop, close, error), the network then
    holds the averaged (EMA) weights: with `patience`, those of the best validation.

    A resumed run gives the weights of an uninterrupted one bit for bit on a CPU in float32, unless the network itself
    draws from torch's global generator (dropout).

    Args:
        validation: held-out normals, scored by the averaged weights with noise and time steps that never change.
        checkpoint_dir: existing folder for the resume state; None saves nothing.
        resume: go on from the state in `checkpoint_dir`.
        perceptual: frozen feature network, for L_feat.

    Raises:
        ConfigError: for settings at odds with each other.
        DataError: if a source has no items, or items that the network cannot take.
        CheckpointError: if the state to resume from is missing, damaged, or of another run, or cannot be saved.
        TrainingInterrupted: on Ctrl-C (and, within `run_with_progress`, SIGTERM and SIGHUP), after saving.
        TrainingDivergedError: if the loss is no longer a number.
    """
    own = PortData(data, validation, perceptual)
    return train_ports(net, [own], schedule, config, checkpoint_dir=checkpoint_dir, resume=resume)


def train_ports(
    net: nn.Module,
    ports: Sequence[PortData],
    schedule: NoiseSchedule,
    config: TrainingConfig,
    *,
    checkpoint_dir: Path | None = None,
    resume: bool = False,
    ranks: Ranks = ONE,
) -> Generator[TrainStep, None, None]:
    """Train a joint denoiser as `train` does: each step takes a batch of one port, and every round has all of them.

    `config.num_steps` counts the steps of all ports together. Where L_feat acts, it does so at the ports that have a
    perceptual network. Several processes share each batch, and begin where the first one does. Raises: as `train`.
    """
    if config.patience and any(port.validation is None for port in ports):
        raise ConfigError(
            f"patience={config.patience} needs validation data; give some, or patience=0 to train to the end"
        )
    if config.feature_loss_weight and all(port.perceptual is None for port in ports):
        raise ConfigError(
            f"feature_loss_weight={config.feature_loss_weight} needs a perceptual network; give one, or 0"
        )
    if resume and checkpoint_dir is None:
        raise ConfigError("resume=True needs the checkpoint_dir that holds the state to go on from")
    run = TrainingRun(net, ports, schedule, config, ranks)
    path = None if checkpoint_dir is None else Path(checkpoint_dir) / STATE_FILE
    if resume and path is not None:
        run.load(load_training_state(path), path)
    return _steps(run, path)


def _steps(run: TrainingRun, path: Path | None) -> Generator[TrainStep, None, None]:
    was_training = run.net.training
    run.net.train()
    try:
        with run.ranks.together():
            run.join(path or Path(STATE_FILE))
            yield from _advance_to_end(run, path)
    except KeyboardInterrupt as error:
        raise _interrupted(run, path) from error
    finally:
        run.take_averages()
        run.net.train(was_training)


def _advance_to_end(run: TrainingRun, path: Path | None) -> Generator[TrainStep, None, None]:
    started, first = time.monotonic(), run.step
    saved, cost = started, 0.0  # when the state was last saved, and how long that took
    # A run that was interrupted within a validation makes up for it; a finished one has nothing else to do.
    val_loss = run.validate() if run.validation_due else None
    while not run.finished:
        run.advance()
        val_loss = run.validate() if run.validation_due else None
        due = run.finished or run.step % run.config.checkpoint_every == 0
        now = time.monotonic()
        if path is not None and (due or now - saved >= max(run.config.checkpoint_seconds, _SAVING_SHARE * cost)):
            save_training_state(path, run.state())
            saved = time.monotonic()
            cost = saved - now
        if not run.finished:
            yield _report(run, val_loss, (time.monotonic() - started) / (run.step - first))
    run.take_averages()
    yield _report(run, val_loss, 0.0)


def _report(run: TrainingRun, val_loss: float | None, seconds_per_step: float) -> TrainStep:
    return TrainStep(
        step=run.step,
        num_steps=run.config.num_steps,
        loss=run.loss,
        val_loss=val_loss,
        lr=learning_rate_at(run.step - 1, run.config),
        seconds_left=seconds_per_step * (run.config.num_steps - run.step),
        done=run.finished,
        of_ports={port.name: (port.loss, port.val_loss) for port in run.ports if port.name is not None},
    )


def _interrupted(run: TrainingRun, path: Path | None) -> TrainingInterrupted:
    where = f"training stopped at step {run.step} of {run.config.num_steps}"
    if path is None:
        return TrainingInterrupted(f"{where}; nothing was saved, because no checkpoint folder was given")
    if not run.closed:  # a finished run was saved before it took the averaged weights
        with held_back():
            save_training_state(path, run.state())
    return TrainingInterrupted(f"{where}; the state is saved in {path}: run the same command with --resume to go on")
