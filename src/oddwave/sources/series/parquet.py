"""Parquet files to a data frame, their lengths known from the metadata before any of them is unpacked.

Read `frames.py` next: it says what the frame's columns and its index are.
"""

from typing import TYPE_CHECKING, Any, BinaryIO

from oddwave.errors import DataError, MissingExtraError
from oddwave.sources.bounded import ARRAYS_FREE, Limits, packed_size

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_parquet"]


def read_parquet(file: BinaryIO, origin: str, limits: Limits) -> tuple["pd.DataFrame", tuple[str, ...]]:
    """Read the columns that may hold numbers, times or text, with a note on lists and the like, which are left out.

    Raises: DataError for a damaged file, or one that unpacks to too much; MissingExtraError without pandas and pyarrow.
    """
    try:
        import pandas as pd  # noqa: F401  (pyarrow's own message would name neither the extra nor the command)
        from pyarrow import parquet
    except ImportError:
        raise MissingExtraError("reading Parquet files", "parquet") from None
    packed = packed_size(file)
    try:
        opened = parquet.ParquetFile(file)
        kept, nested, text = _columns(opened.schema_arrow)
        limits.check(_size(opened.metadata), packed, origin, ARRAYS_FREE)
        if text:  # as codes and a list of the words there are, however often each comes
            opened = parquet.ParquetFile(file, read_dictionary=text)
        frame = opened.read(columns=kept if nested else None, use_pandas_metadata=True).to_pandas()
    except DataError:
        raise
    except Exception as error:  # pyarrow has its own error classes, one per way a file can be broken
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DataError(f"{origin} is not a Parquet file that can be read ({reason}): write it again") from error
    return frame, ((f"left out, no single values: {', '.join(nested[:12])}",) if nested else ())


def _columns(schema: Any) -> tuple[list[str], list[str], list[str]]:
    """Return the names of columns of single values, of nested ones, and of those among the first that hold text."""
    from pyarrow import types

    nested = [column.name for column in schema if types.is_nested(column.type)]
    text = [
        column.name
        for column in schema
        if types.is_string(column.type) or types.is_large_string(column.type) or types.is_binary(column.type)
    ]
    return [name for name in schema.names if name not in set(nested)], nested, text


def _size(metadata: Any) -> int:
    """Return how many bytes the values take: as they are encoded, or as doubles, whichever is more."""
    size = 8 * int(metadata.num_rows) * int(metadata.num_columns)
    encoded = 0
    for group in (metadata.row_group(i) for i in range(metadata.num_row_groups)):
        columns = [group.column(i) for i in range(group.num_columns)]
        encoded += sum(max(8 * column.num_values, column.total_uncompressed_size) for column in columns)
    return max(size, encoded)
