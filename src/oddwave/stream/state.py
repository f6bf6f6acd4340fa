"""The state of a stream in one file: safetensors, with the JSON values among its metadata; no pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.errors import CheckpointError
from oddwave.files import read_bytes, write_bytes_atomic

__all__ = ["check_model", "pack_state", "read_state", "unpack_state", "write_state"]

_FORMAT = "oddwave-stream-1"
_MOST_BYTES = 2**30


def pack_state(arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> bytes:
    """Return arrays and JSON values as one file's content."""
    from safetensors.numpy import save

    whole = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    text = json.dumps(numbers, allow_nan=False)
    return save(whole, metadata={"format": _FORMAT, "numbers": text})


def unpack_state(content: bytes, origin: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Undo `pack_state`. Raises: CheckpointError for anything else."""
    from safetensors.numpy import load

    try:
        size = int.from_bytes(content[:8], "little")
        told = json.loads(content[8 : 8 + size])["__metadata__"]
        if told["format"] != _FORMAT:
            raise ValueError(f"of format {told['format']}")
        return load(content), json.loads(told["numbers"])
    except Exception as error:  # safetensors raises its own kinds
        raise CheckpointError(
            f"{origin} is no state of a stream, or damaged ({type(error).__name__}): give the right file, or move it "
            "away to begin anew"
        ) from error


def write_state(path: Path, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> None:
    """Write a state, whole or not at all. Raises: CheckpointError."""
    write_bytes_atomic(path, pack_state(arrays, numbers))


def read_state(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write_state` wrote. Raises: CheckpointError for a missing or damaged file."""
    return unpack_state(read_bytes(path, _MOST_BYTES), str(path))


def check_model(fingerprint: str, numbers: Mapping[str, Any]) -> None:
    """Refuse a state that another model made. Raises: CheckpointError."""
    if numbers.get("model") != fingerprint:
        raise CheckpointError(
            "the saved state is of another model, or of this one before data were added to it: move the file away to "
            "begin anew, or use the model that made it"
        )
