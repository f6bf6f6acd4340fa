"""Where a detector computes: the `device` setting as a device of torch, and what is brought back from there.

The setting belongs to a run, not to a model: a saved model names the device that was asked for, and is loaded onto the
CPU unless the caller asks for another. Random numbers are drawn on the CPU and moved, so that they are the same
everywhere. What is learnt in NumPy stays there; modules take it along to where their networks are.
"""

import torch

from oddwave.errors import ConfigError
from oddwave.scoring.scorer import PartScores

__all__ = ["chosen_device", "on_cpu"]


def chosen_device(setting: str) -> torch.device:
    """Return the device of a `device` setting; "auto" is a GPU where there is one. Raises: ConfigError without one."""
    available = torch.cuda.is_available()
    if setting == "auto":
        return torch.device("cuda" if available else "cpu")
    device = torch.device(setting)
    count = torch.cuda.device_count() if available else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        there = f"{count} of them can be used" if count else "none can be used here"
        raise ConfigError(f"device is '{setting}', a CUDA GPU, and {there}: use device=cpu or device=auto")
    return device


def on_cpu(found: PartScores) -> PartScores:
    """Return the scores of parts in the processor's memory."""
    return PartScores(found.score.cpu(), found.map.cpu(), {name: own.cpu() for name, own in found.groups.items()})
