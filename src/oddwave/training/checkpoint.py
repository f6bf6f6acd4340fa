"""Files of tensors, whole or not there: weights as safetensors, and the state from which a training goes on.

`oddwave.files` says how they are written and read. torch is imported only inside the functions. Read `loop.py` next: it
saves its state here.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oddwave.errors import CheckpointError
from oddwave.files import read_bytes, write_bytes_atomic

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["STATE_VERSION", "load_training_state", "require_alike", "save_training_state", "tensor_bytes"]

STATE_VERSION = 2
_STATE_FORMAT = "oddwave-training-state"
_MOST_BYTES = 16 * 2**30


def tensor_bytes(tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None) -> bytes:
    """Return named tensors, of any memory layout and device, in the form of a safetensors file."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(plain, dict(metadata) if metadata else None)


def save_training_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a resume state (tensors, numbers, strings, lists, dicts), whole or not at all.

    Raises:
        CheckpointError: if it cannot be written.
    """
    import torch

    buffer = io.BytesIO()
    torch.save({"format": _STATE_FORMAT, "version": STATE_VERSION, "state": dict(state)}, buffer)
    write_bytes_atomic(path, buffer.getvalue())


def load_training_state(path: Path) -> dict[str, Any]:
    """Read a resume state onto the CPU; nothing in the file is ever executed.

    Raises:
        CheckpointError: if the file is missing, cut short, of another kind, or of a version this package does not know.
    """
    import torch

    content = read_bytes(path, _MOST_BYTES)
    try:
        envelope = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports damage by half a dozen unrelated types
        raise CheckpointError(
            f"{path} is damaged or no training state ({_line(error)}); start again without resuming"
        ) from None
    if not isinstance(envelope, dict) or envelope.get("format") != _STATE_FORMAT:
        raise CheckpointError(f"{path} is no oddwave training state; start again without resuming")
    if envelope.get("version") != STATE_VERSION:
        raise CheckpointError(
            f"{path} has version {envelope.get('version')}, {STATE_VERSION} was expected; start again without resuming"
        )
    state = envelope.get("state")
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is damaged: it holds no state; start again without resuming")
    return state


def require_alike(saved: Any, own: Any, name: str) -> None:
    """Check that saved tensors, in dicts and lists, have names, shapes and types of one's own, and finite numbers.

    Raises:
        ValueError: which one does not.
    """
    import torch

    if isinstance(own, torch.Tensor):
        alike = isinstance(saved, torch.Tensor) and saved.layout == own.layout and saved.device.type == "cpu"
        if not alike or saved.shape != own.shape or saved.dtype != own.dtype:
            raise ValueError(f"'{name}' has another shape or type")
        if saved.is_floating_point() and not saved.isfinite().all():
            raise ValueError(f"'{name}' holds NaN or infinity")
        return
    keys: Any = list(own) if isinstance(own, dict) else range(len(own))
    same = isinstance(saved, dict) and list(saved) == keys if isinstance(own, dict) else isinstance(saved, list)
    if not same or len(saved) != len(own):
        raise ValueError(f"'{name}' does not hold the same parts")
    for key in keys:
        require_alike(saved[key], own[key], f"{name}.{key}")


def _line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
