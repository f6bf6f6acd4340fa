"""Training: a generator of steps, averaged weights, and files that are whole or not there.

Read `loop.py` first. Names are loaded when first used, so that the package can be had without importing torch.
"""

from importlib import import_module
from typing import Any

from oddwave.config import TrainingConfig

_HOMES = {
    "Ema": "ema",
    "TensorSource": "draws",
    "TrainStep": "loop",
    "TrainingDivergedError": "run",
    "TrainingInterrupted": "loop",
    "run_with_progress": "progress",
    "train": "loop",
}

__all__ = ["TrainingConfig"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
