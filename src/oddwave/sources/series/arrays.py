"""Arrays of any make, NPY and NPZ files to plain doubles, NaN for what is masked or missing.

Arrays are NumPy's (masked ones, memory maps, any byte order), torch's (on any device, part of a graph or not), and
whatever else offers `__array__`. A file's header is held against its length before anything is allocated: a header may
promise terabytes. Read `reader.py` next: it says what the axes mean.
"""

import math
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float

from oddwave.errors import DataError, ShapeError
from oddwave.sources.arrays import is_tensor
from oddwave.sources.bounded import ARRAYS_FREE, Limits, packed_size, zip_name
from oddwave.sources.series.table import Column, Table, read_table

__all__ = ["array_columns", "is_scalar", "numbers_of", "read_npy", "read_npz", "scalars_of", "stacked"]

_MISSING_TYPES = ("NAType", "NaTType", "MaskedConstant")  # of pandas and NumPy, recognised without importing pandas
_NUMBERS = "biuf"  # kinds of dtype that are real numbers
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def numbers_of(value: Any, identifier: str) -> Float[np.ndarray, "..."]:
    """Return any kind of array as doubles of its own; masked values and None are NaN.

    Raises: DataError for what holds no real numbers, or nothing at all.
    """
    array = _plain_array(value, identifier)
    _check_type(array.dtype, f"'{identifier}'")
    if not array.size:
        raise DataError(f"'{identifier}' has shape {array.shape}: expected at least one point and one channel")
    plain = np.ma.getdata(array)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond a double lies infinity, which counts as missing
        numbers = _from_objects(plain, identifier) if plain.dtype.kind == "O" else np.array(plain, dtype=np.float64)
    if np.ma.isMaskedArray(array):
        numbers[np.ma.getmaskarray(array)] = np.nan
    return numbers


def scalars_of(values: Sequence[Any], identifier: str) -> Float[np.ndarray, " n"]:
    """Return a sequence of single numbers, None for missing ones, as an array. Raises: DataError."""
    objects = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        objects[i] = value.item() if is_tensor(value) else value
    return _from_objects(objects, identifier)


def is_scalar(value: Any) -> bool:
    """Return whether this is a single number, or what stands for a missing one."""
    if value is None or type(value).__name__ in _MISSING_TYPES or isinstance(value, Real | Decimal | complex):
        return True
    return (isinstance(value, np.generic | np.ndarray) and value.ndim == 0) or (is_tensor(value) and value.ndim == 0)


def _plain_array(value: Any, identifier: str) -> np.ndarray:
    if hasattr(value, "set_auto_mask"):  # a variable of netCDF4, whose __array__ loses the mask
        value = value[...]
    if isinstance(value, np.ndarray):
        return value
    try:
        return _from_tensor(value) if is_tensor(value) else np.asarray(value)
    except Exception as error:  # whatever the library behind __array__ raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"'{identifier}' is a {type(value).__name__} that gives no array of numbers ({reason}): pass a NumPy array"
        ) from error


def _from_tensor(tensor: Any) -> np.ndarray:
    """Take a tensor off its graph and device; types that NumPy does not know, such as bfloat16, become doubles."""
    plain = tensor.detach().cpu()
    if plain.is_complex():
        return np.zeros(0, dtype=np.complex128)  # refused by its type
    try:
        return np.asarray(plain)
    except (TypeError, RuntimeError):
        return np.asarray(plain.to_dense().double())


def _check_type(dtype: np.dtype[Any], origin: str) -> None:
    """Refuse what are no real numbers, with what to do instead. Raises: DataError."""
    if dtype.names is not None:
        raise DataError(f"{origin} has the fields {', '.join(dtype.names)}: pass pandas.DataFrame(array) instead")
    if dtype.kind in "mM":
        raise DataError(f"{origin} holds times ({dtype}), not numbers: pass a DataFrame with them as its index")
    if dtype.kind not in _NUMBERS + "O":
        raise DataError(f"{origin} has dtype {dtype}: expected numbers (integer, float or bool)")


def _from_objects(objects: np.ndarray, identifier: str) -> Float[np.ndarray, "..."]:
    numbers = np.empty(objects.shape, dtype=np.float64)
    flat = numbers.reshape(-1)
    for i, entry in enumerate(objects.reshape(-1)):
        flat[i] = _number(entry, identifier)
    return numbers


def _number(entry: Any, identifier: str) -> float:
    if entry is None or type(entry).__name__ in _MISSING_TYPES:
        return math.nan
    if isinstance(entry, np.ndarray) and entry.ndim == 0:
        entry = entry[()]
    known = entry.dtype.kind in _NUMBERS if isinstance(entry, np.generic) else isinstance(entry, Real | Decimal)
    try:
        if known:
            return float(entry)
    except (OverflowError, ValueError):
        pass
    raise DataError(f"'{identifier}' holds {str(entry)[:40]!r} ({type(entry).__name__}): expected numbers")


def read_npy(file: BinaryIO, origin: str, limits: Limits) -> np.ndarray:
    """Read an NPY file. Raises: DataError where it is damaged, holds no numbers, or promises more than is there."""
    size = packed_size(file)
    limits.check(_checked_header(file, size, origin), size, origin, ARRAYS_FREE)
    file.seek(0)
    return _loaded(file, origin)


def read_npz(file: BinaryIO, origin: str, limits: Limits) -> dict[str, np.ndarray]:
    """Read the arrays of an NPZ file by their names, the sum of their lengths held against the limits before any is.

    Raises: DataError for a ZIP file of another kind, a damaged one, or one that unpacks to too much.
    """
    packed = packed_size(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if not members or not all(member.filename.endswith(".npy") for member in members):
                name, cure = zip_name(archive)
                raise DataError(f"{origin} is {name}: {cure}")
            limits.check(sum(member.file_size for member in members), packed, origin, ARRAYS_FREE)
            limits.check(sum(_sizes(archive, members, origin)), packed, origin, ARRAYS_FREE)
            arrays = {}
            for member in members:
                with archive.open(member) as opened:
                    arrays[member.filename.removesuffix(".npy")] = _loaded(opened, origin)
            return arrays
    except DataError:
        raise
    except Exception as error:  # damaged ZIP files fail in many ways: zlib, LZMA, struct, encryption, ...
        raise _damaged(origin, error) from error


def _sizes(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], origin: str) -> Iterator[int]:
    for member in members:
        with archive.open(member) as opened:
            yield _checked_header(opened, member.file_size, f"{origin}, array '{member.filename[:80]}'")


def _checked_header(file: Any, size: int, origin: str) -> int:
    """Return how many bytes the array takes as doubles, from its header alone; `size` is how long the file is.

    Raises: DataError.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise DataError(f"{origin} has the NPY format {version}: save it again with a plain type of number")
        with warnings.catch_warnings(action="ignore"):  # of damaged expressions
            shape, _, dtype = _HEADERS[version](file)
        begin = file.tell()
    except DataError:
        raise
    except Exception as error:  # the header is a Python expression, and may be anything
        raise _damaged(origin, error) from error
    if dtype.hasobject:
        raise DataError(f"{origin} holds pickled Python objects, which may run code: save numbers with numpy.save")
    _check_type(dtype, origin)
    count = math.prod(shape)
    if min(shape, default=0) < 0 or begin + count * dtype.itemsize > size:
        raise DataError(
            f"{origin} is damaged: its header promises shape {str(shape)[:80]} of {dtype}, the file holds "
            f"{max(size - begin, 0)} bytes: copy or save it again"
        )
    return count * 8


def _loaded(file: Any, origin: str) -> np.ndarray:
    try:
        return np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:
        raise _damaged(origin, error) from error


def _damaged(origin: str, error: Exception) -> DataError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return DataError(f"{origin} is not an array of numbers NumPy can read ({reason}): save it again")


def array_columns(
    values: Float[np.ndarray, "n C"],
    columns: str | Sequence[str | int] | None,
    exclude: str | Sequence[str | int] | None,
) -> tuple[Float[np.ndarray, "n _"], tuple[str, ...]]:
    """Choose among an array's columns as among those of a table; they are called `channel_0` and so on."""
    names = tuple(f"channel_{i}" for i in range(values.shape[1]))
    if columns is None and exclude is None:
        return values, names
    found = tuple(Column(name, column) for name, column in zip(names, values.T, strict=True))
    content = read_table(Table("the array", found, np.arange(len(values)), "row"), None, columns, exclude)
    return content.values, content.channel_names


def stacked(source: Sequence[Any]) -> Float[np.ndarray, "N *rest"]:
    """Put the instances of a panel into one array. Raises: ShapeError where their shapes differ."""
    instances = [numbers_of(entry, f"instance {i}") for i, entry in enumerate(source)]
    if len({instance.shape for instance in instances}) > 1:
        raise ShapeError("the instances of a panel differ in shape: make them equally long")
    return np.stack(instances)
