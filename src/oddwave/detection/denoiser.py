"""The one way in which a fit trains a denoiser: by itself, as part of a joint fit (`joint_fit.py`), in many processes.

Of several processes (`oddwave/ranks.py`) the first one runs the fit. For each training in it, the others get the
network and the data from the first one, and share its batches; they read nothing and write nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from oddwave.config import TrainingConfig
from oddwave.detection.job import FitJob
from oddwave.diffusion.schedule import NoiseSchedule
from oddwave.nets.unet import UNet
from oddwave.ranks import OtherEnded, Ranks, asked_of_others, next_task
from oddwave.training.loop import TrainingInterrupted, TrainStep, train_ports
from oddwave.training.ports import Perceptual, PortData
from oddwave.training.progress import run_with_progress

__all__ = ["help_to_train", "train_denoiser", "train_with_others"]


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What is trained, and on what."""

    net: UNet
    ports: Sequence[PortData]
    schedule: NoiseSchedule
    config: TrainingConfig


def train_denoiser(
    net: UNet, data: PortData, schedule: NoiseSchedule, config: TrainingConfig, job: FitJob, *, name: str, title: str
) -> TrainStep:
    """Train a denoiser as the job says, leave it ready to score, and say how it went; its model calls it `name`.

    Raises: as `train`.
    """
    if job.trainer is None:
        last = train_with_others(net, [data], schedule, config, job, title)
    else:
        last = job.trainer(net, data, config, name)
    net.eval()
    return last


def train_with_others(
    net: UNet, ports: Sequence[PortData], schedule: NoiseSchedule, config: TrainingConfig, job: FitJob, title: str
) -> TrainStep:
    """Train a network as the job says, in all processes that there are, and say how it went.

    Raises: as `train`, and ConfigError where another process cannot take part.
    """
    where = str(next(net.parameters()).device)
    try:
        with asked_of_others(_Lesson(net, ports, schedule, config), where) as ranks:
            steps = train_ports(
                net, ports, schedule, config, checkpoint_dir=job.checkpoint_dir, resume=job.resume, ranks=ranks
            )
            return run_with_progress(steps, title, show=job.show_progress)
    except TrainingInterrupted as error:
        if isinstance(error.__cause__, OtherEnded):
            for note in error.__cause__.__notes__:
                error.add_note(note)
        raise


def help_to_train(ranks: Ranks) -> None:
    """Take part in the trainings that the first process asks for, until it has done.

    Raises: OtherEnded, TrainingInterrupted where it is gone; what it raises itself, such as TrainingDivergedError.
    """
    while found := next_task(ranks):
        lesson, own = found
        ports = [replace(port, perceptual=_moved(port.perceptual, own.device)) for port in lesson.ports]
        steps = train_ports(lesson.net.to(own.device), ports, lesson.schedule, lesson.config, ranks=own)
        for _ in steps:
            pass


def _moved(perceptual: Perceptual | None, device: str) -> Perceptual | None:
    return perceptual.to(device) if isinstance(perceptual, nn.Module) else perceptual
