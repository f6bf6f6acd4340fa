"""How a fit is asked to run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from oddwave.config import TrainingConfig
    from oddwave.nets.unet import UNet
    from oddwave.training.loop import TrainStep
    from oddwave.training.ports import PortData

__all__ = ["QUIET", "FitJob", "Trainer"]


class Trainer(Protocol):
    """What trains a fit's denoiser in place of the fit itself: a joint fit, at one port of a network of several."""

    def __call__(self, net: "UNet", data: "PortData", config: "TrainingConfig", name: str) -> "TrainStep":
        """Give `net` the weights that score, and say how the training went; `name` is what the model calls it."""


@dataclass(frozen=True)
class FitJob:
    """How a fit is to run: with its progress shown or not, where its state is kept, whether it goes on from there.

    `trainer` trains the denoiser of a fit that is part of a joint one.
    """

    show_progress: bool = False
    checkpoint_dir: Path | None = None
    resume: bool = False
    trainer: Trainer | None = None


QUIET = FitJob()
