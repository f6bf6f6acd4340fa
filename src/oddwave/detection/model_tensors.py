"""The tensors of a saved model, checked before memory is set aside for them: names, types, shapes; then their values.

`model.safetensors` opens with a table of what it holds. That table is compared with what the settings imply, so that a
file of another model, of another size, or with one space missing is refused while it is still a row of bytes. Read
`series/state.py` and `map_state.py` for what is implied.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from oddwave.detection.model_json import plain_json
from oddwave.errors import CheckpointError

__all__ = ["Expected", "TensorFile", "expected_bank", "expected_memory", "expected_network", "tensor_bytes"]

_LARGEST_HEADER = 16 * 2**20
_BITS = {"F32": 32, "F16": 16, "F64": 64, "I64": 64, "U8": 8, "BF16": 16, "I32": 32, "BOOL": 8}
_TYPES = {torch.float32: "F32", torch.float16: "F16", torch.float64: "F64", torch.int64: "I64", torch.uint8: "U8"}
_BANK_SIZE = 512
_LARGEST, _LARGEST_WEIGHT, _SMALLEST = 1e12, 1e6, 1e-30  # squares and sums of the largest still fit in float32


@dataclass(frozen=True)
class Expected:
    """A tensor that must be there: its type, its shape, and the range of its values.

    A side that is a text is settled by the file: 1 to `most`, and the same wherever it stands with that text.
    """

    dtype: str
    shape: tuple[int | str, ...]
    low: float = -_LARGEST
    high: float = _LARGEST
    most: int = 1


class TensorFile:
    """The bytes of a safetensors file; nothing is taken from them before `checked` has been told what to expect."""

    def __init__(self, content: bytes, name: str) -> None:
        """Read the table at its head. Raises: CheckpointError for one that is damaged."""
        self._content, self._name = content, name
        length = int.from_bytes(content[:8], "little")
        if len(content) < 8 or not 2 <= length <= min(_LARGEST_HEADER, len(content) - 8):
            raise self._damaged("it does not begin with a table of tensors")
        table = plain_json(content[8 : 8 + length], name)
        self.table = {key: self._entry(key, entry) for key, entry in table.items() if key != "__metadata__"}

    def __contains__(self, name: object) -> bool:
        return name in self.table

    def checked(self, expected: Mapping[str, Expected]) -> dict[str, Tensor]:
        """Return all tensors, which are those expected and no others.

        Raises:
            CheckpointError: a name, a type, a shape or a value is not as expected.
        """
        for name in sorted(expected.keys() ^ self.table.keys()):
            where = "is missing" if name in expected else "belongs to no model with these settings"
            raise self._damaged(f"tensor '{name:.100}' {where}")
        sides: dict[str, int] = {}
        for name, wanted in expected.items():
            self._check_shape(name, wanted, sides)
        tensors = self._load()
        for name, wanted in expected.items():
            low, high = tensors[name].aminmax() if tensors[name].numel() else (wanted.low, wanted.high)
            if not (wanted.low <= float(low) and float(high) <= wanted.high):  # NaN is neither
                raise self._damaged(
                    f"tensor '{name:.100}' holds values from {float(low):g} to {float(high):g}, expected "
                    f"{wanted.low:g} to {wanted.high:g}"
                )
        return tensors

    def every(self) -> dict[str, Tensor]:
        """Return all tensors as they are, to be put together with others and checked then. Raises: as `checked`."""
        return self._load()

    def _check_shape(self, name: str, wanted: Expected, sides: dict[str, int]) -> None:
        dtype, shape = self.table[name]
        fits = len(shape) == len(wanted.shape) and dtype == wanted.dtype
        for side, want in zip(shape, wanted.shape, strict=False):
            fits &= (
                side == want
                if isinstance(want, int)
                else 1 <= side <= wanted.most and sides.setdefault(want, side) == side
            )
        if not fits:
            raise self._damaged(
                f"tensor '{name:.100}' is {dtype} of shape {shape!s:.60}, expected {wanted.dtype} of shape "
                f"{list(wanted.shape)}"
            )

    def _entry(self, name: str, entry: Any) -> tuple[str, list[int]]:
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(stop)]}:
                known = all(type(side) is int and 0 <= side < 2**40 for side in shape) and dtype in _BITS
                if known and (stop - start) * 8 == math.prod(shape) * _BITS[dtype]:
                    return dtype, shape
        raise self._damaged(f"what it says of tensor '{name:.100}' cannot be")

    def _load(self) -> dict[str, Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            return load(self._content)
        except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise self._damaged(str(error).partition("\n")[0] or type(error).__name__) from None

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self._name} is damaged: {what:.400}; restore it or fit the model again")


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return tensors as the bytes of a safetensors file; any memory layout and device is accepted."""
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def expected_network(prefix: str, network: nn.Module) -> dict[str, Expected]:
    """Return what a network's weights are, given one of the same settings (which may lie on the device "meta")."""
    return {
        f"{prefix}.{name}": Expected(_TYPES[own.dtype], tuple(own.shape), -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
        for name, own in network.state_dict().items()
    }


def expected_memory(prefix: str, width: int, size: int, *, standardised: bool = False) -> dict[str, Expected]:
    """Return what a memory of at most `size` vectors of `width` dimensions consists of.

    Only where it is `standardised` has it units of its own.
    """
    centre = Expected("F32", (width,)) if standardised else Expected("F32", (width,), 0.0, 0.0)
    scale = Expected("F32", (width,), _SMALLEST) if standardised else Expected("F32", (width,), 1.0, 1.0)
    rows = f"items of {prefix}"
    parts = {
        "vectors": Expected("F32", (rows, width), most=size),
        "groups": Expected("I64", (rows,), 0, most=size),
        "starts": Expected("I64", (rows,), 0, most=size),
        "center": centre,
        "scale": scale,
        "weights": Expected("F32", (rows,), _SMALLEST, 2.0, most=size),  # 2 r / (r_j + r)
    }
    return {f"{prefix}.{name}": own for name, own in parts.items()}


def expected_bank(prefix: str, channels: int, window_size: int) -> dict[str, Expected]:
    """Return what the windows that lend values consist of."""
    rows = f"windows of {prefix}"
    return {
        f"{prefix}.windows": Expected("F32", (rows, channels, window_size), most=_BANK_SIZE),
        f"{prefix}.groups": Expected("I64", (rows,), 0, most=_BANK_SIZE),
        f"{prefix}.starts": Expected("I64", (rows,), 0, most=_BANK_SIZE),
    }
