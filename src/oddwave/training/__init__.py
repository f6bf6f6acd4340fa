"""Training: a generator of steps, averaged weights, and files that are whole or not there.

Read `loop.py` first. Names are loaded when first used, so that the package can be had without importing torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from oddwave.config import TrainingConfig

if TYPE_CHECKING:
    from oddwave.training.draws import BatchSource as BatchSource
    from oddwave.training.draws import TensorSource as TensorSource
    from oddwave.training.ema import Ema as Ema
    from oddwave.training.loop import TrainingInterrupted as TrainingInterrupted
    from oddwave.training.loop import TrainStep as TrainStep
    from oddwave.training.loop import train as train
    from oddwave.training.progress import run_with_progress as run_with_progress
    from oddwave.training.run import Perceptual as Perceptual
    from oddwave.training.run import TrainingDivergedError as TrainingDivergedError

_HOMES = {
    "BatchSource": "draws",
    "Ema": "ema",
    "Perceptual": "run",
    "TensorSource": "draws",
    "TrainStep": "loop",
    "TrainingDivergedError": "run",
    "TrainingInterrupted": "loop",
    "run_with_progress": "progress",
    "train": "loop",
}

__all__ = [
    "BatchSource",
    "Ema",
    "Perceptual",
    "TensorSource",
    "TrainStep",
    "TrainingConfig",
    "TrainingDivergedError",
    "TrainingInterrupted",
    "run_with_progress",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
