"""One denoiser for several modalities, a port each: their fits, with the training in the middle done for all at once.

Each modality's own fit runs twice. The first time it stops where its denoiser would be trained, having said on what.
Then one network with a port for each modality is trained on all of that, a batch of one modality after another. The
second time each fit finds the network trained, takes the weights of its port, and goes on to its end: memories, choices
and calibration are its own. What comes out are ordinary detectors, whose networks are alike in all but their ports.

`training.num_steps` counts the steps of each modality: every one has its items seen as often as by a fit of its own,
at the same rates. Read `joint_parts.py` for what is saved.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import torch
from pydantic import BaseModel

from oddwave.config import DetectorConfig, TrainingConfig
from oddwave.detection.base import ModalityDetector
from oddwave.detection.denoiser import train_with_others
from oddwave.detection.device import chosen_device
from oddwave.detection.job import QUIET, FitJob
from oddwave.diffusion.schedule import make_schedule
from oddwave.errors import ConfigError, DataError
from oddwave.nets.blocks import seeded_draws
from oddwave.nets.unet import UNet
from oddwave.training.loop import TrainStep
from oddwave.training.ports import PortData

__all__ = ["JointNetwork", "check_joint", "fit_joint"]

_NEEDED: Mapping[str, Mapping[str, str]] = {  # what makes a modality's denoiser one of maps, and its only one
    "series": {"series.method": "denoiser", "series.representation": "scalogram"},
    "image": {"image.method": "denoiser", "maps.space": "pixel"},
    "audio": {"maps.space": "pixel"},
}
_ALIKE = ("network", "training", "diffusion", "seed", "device")
_OWN = ("training.feature_loss_weight",)  # a frozen network of images says nothing of scalograms


@dataclass(frozen=True, eq=False)
class JointNetwork:
    """The network, and by modality what its model calls the network that it has of it."""

    net: UNet
    names: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What a fit would train, and on what."""

    net: UNet
    data: PortData
    config: TrainingConfig
    name: str

    @property
    def fingerprint(self) -> str:
        return self.data.data.fingerprint()


class _Heard(Exception):  # noqa: N818 - no error: it ends a fit that has said all that is wanted of it
    def __init__(self, lesson: _Lesson) -> None:
        self.lesson = lesson


def check_joint(configs: Mapping[str, DetectorConfig]) -> None:
    """Check that one network can be trained for all of these modalities, each with the same budget.

    Raises:
        ConfigError: fewer than two, a denoiser that does not see maps, or settings that differ.
    """
    if len(configs) < 2:
        alone = "".join(configs) or "MODALITY"
        raise ConfigError(
            f"a joint model needs two modalities or more, {', '.join(configs) or 'none'} was given: give another, or "
            f"use `oddwave fit {alone}` with preset paper"
        )
    for modality, config in configs.items():
        for name, wanted in _NEEDED.get(modality, {}).items():
            if (given := _setting(config, name)) != wanted:
                raise ConfigError(
                    f"{name} is {given} for {modality}, but a joint model's network sees the item itself as a map: set "
                    f"{name}={wanted}, or take preset paper"
                )
    for one, other in combinations(configs, 2):
        for name in _leaves(configs[one]):
            own, its = _setting(configs[one], name), _setting(configs[other], name)
            if own != its and not (name in _OWN and 0 in (own, its)):
                raise ConfigError(
                    f"{name} is {own} for {one} and {its} for {other}: a joint model is one network, trained with "
                    "the same budget for each modality; set them alike"
                )


def fit_joint(
    detectors: Mapping[str, ModalityDetector], sources: Mapping[str, Any], job: FitJob = QUIET
) -> JointNetwork:
    """Fit detectors that have learnt nothing, each on its own source, with one denoiser for all; return that.

    Raises:
        ConfigError: as `check_joint`.
        DataError: a source cannot be read or is too small, or changed while it was learnt from.
    """
    check_joint({modality: detector.config for modality, detector in detectors.items()})
    data = {modality: own._read(sources[modality], learn=True) for modality, own in detectors.items()}
    lessons = {modality: _lesson(own, data[modality], job.show_progress) for modality, own in detectors.items()}
    net, last = _trained(detectors, lessons, job)
    for modality, detector in detectors.items():
        trainer = _Taught(net, modality, lessons[modality].fingerprint, last)
        detector.fit(data[modality], FitJob(job.show_progress, trainer=trainer))
    return JointNetwork(net.eval(), {modality: lesson.name for modality, lesson in lessons.items()})


def _lesson(detector: ModalityDetector, data: Any, show_progress: bool) -> _Lesson:
    """Run a fit up to its training. Raises: as the fit, and ConfigError where it trains nothing."""

    def heard(net: UNet, data: PortData, config: TrainingConfig, name: str) -> TrainStep:
        raise _Heard(_Lesson(net, data, config, name))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they come again, with the rest of the fit
            detector.fit(data, FitJob(show_progress, trainer=heard))
    except _Heard as told:
        return told.lesson
    except DataError as error:
        error.add_note(f"this is of the {detector.noun}")
        raise
    raise ConfigError(f"a model of {detector.noun} with these settings trains no denoiser: take preset paper")


def _trained(
    detectors: Mapping[str, ModalityDetector], lessons: Mapping[str, _Lesson], job: FitJob
) -> tuple[UNet, TrainStep]:
    """Train one network on the lessons of all modalities. Raises: as `train`."""
    config = next(iter(detectors.values())).config
    channels = {modality: lesson.net.config.in_channels for modality, lesson in lessons.items()}
    with seeded_draws(config.seed):
        first = next(iter(channels.values()))
        net = UNet(first, grid_dims=2, ports=channels, **config.network.model_dump())
    net.to(chosen_device(config.device))
    ports = [replace(lesson.data, name=modality) for modality, lesson in lessons.items()]
    settings = _of_all([lesson.config for lesson in lessons.values()])
    schedule = make_schedule(config.diffusion.schedule, config.diffusion.num_train_timesteps)
    title = f"training one denoiser for {', '.join(lessons)}"
    return net, train_with_others(net, ports, schedule, settings, job, title)


def _of_all(configs: Sequence[TrainingConfig]) -> TrainingConfig:
    """Return the settings of a training in which as many steps as there are modalities count as one."""
    one, num = configs[0], len(configs)
    return one.model_copy(
        update={
            "num_steps": num * one.num_steps,
            "warmup_steps": num * one.warmup_steps,
            "validate_every": num * one.validate_every,
            "ema_decay": one.ema_decay ** (1 / num),
            "feature_loss_weight": max(own.feature_loss_weight for own in configs),
        }
    )


@dataclass(frozen=True, eq=False)
class _Taught:
    """The trainer of a fit whose part of the joint network has been trained: the weights are there to be taken."""

    net: UNet
    port: str
    fingerprint: str
    last: TrainStep

    def __call__(self, net: UNet, data: PortData, config: TrainingConfig, name: str) -> TrainStep:
        if data.data.fingerprint() != self.fingerprint:
            raise DataError(f"the data of {self.port} changed while they were learnt from: fit again when they rest")
        net.load_state_dict(self.net.port_state(self.port))
        if name == "pixel_net":  # laid out in memory as a restored one is: it then scores the same to the bit
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        loss, val_loss = self.last.of_ports[self.port]
        return replace(self.last, loss=loss if math.isfinite(loss) else self.last.loss, val_loss=val_loss)


def _setting(config: DetectorConfig, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _leaves(config: DetectorConfig) -> list[str]:
    """Return the names of the settings that must be alike."""
    found = []
    for name in _ALIKE:
        section = getattr(config, name)
        inner = type(section).model_fields if isinstance(section, BaseModel) else None
        found += [name] if inner is None else [f"{name}.{each}" for each in inner]
    return found
