"""Whatever holds numbers to a plain NumPy array: tensors of any library, masked arrays, arrays of paths.

The text of each refusal is a predicate, as in `image/decode.py`. No torch here: tensors are known by what they can do.
"""

from typing import Any

import numpy as np

from oddwave.errors import DataError

__all__ = ["is_list_of_things", "is_tensor", "plain_array"]


def is_tensor(value: Any) -> bool:
    """Return whether this is a tensor of torch or of a class derived from it, without importing torch."""
    return hasattr(value, "detach") and any(
        each.__module__.partition(".")[0] == "torch" for each in type(value).__mro__
    )


def is_list_of_things(value: Any) -> bool:
    """Return whether an array or a column of a table holds paths or other objects, one after another."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return kind in ("O", "U", "T") and getattr(value, "ndim", 0) == 1


def plain_array(value: Any) -> np.ndarray:
    """Return the numbers without their gradient, device or mask; bfloat16 becomes float32.

    Raises: DataError for masked values (what lies under a mask is a filling, not data), and for what cannot be turned
    into an array.
    """
    if np.ma.isMaskedArray(value):
        num_masked = int(np.ma.getmaskarray(value).sum())
        if num_masked:
            raise DataError(
                f"is a masked array, {num_masked} of whose {value.size} values are missing: cut them off, or put in "
                "what belongs there with .filled()"
            )
        return np.ma.getdata(value)
    try:
        if is_tensor(value):
            value = value.detach().cpu()
            if "bfloat16" in str(value.dtype) or "float8" in str(value.dtype):
                value = value.float()
            if str(value.layout) != "torch.strided" or value.is_quantized:
                raise DataError(f"is a tensor of type {value.dtype}, {value.layout}: give .to_dense() or .dequantize()")
            return np.asarray(value.resolve_conj().resolve_neg())
        return np.asarray(value)
    except DataError:
        raise
    except Exception as error:  # whatever an array of another library finds wrong with itself
        detail = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot be turned into an array ({detail}): give a NumPy array") from error
