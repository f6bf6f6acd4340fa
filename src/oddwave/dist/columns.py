"""Which column of a table holds the images or recordings, and what lies in it: bytes, or where the bytes are.

Bytes are a binary column, or a struct with a field "bytes" as data sets on hubs have it (its "path" then is the name);
text is a path, relative to the table's own folder, or an address. Read `listing.py` next.
"""

import posixpath
from typing import Any

from oddwave.errors import DataError

__all__ = ["cell_of", "column_of", "place_of"]

_PATH_NAMES = ("path", "file", "filename", "file_name", "filepath", "file_path", "uri", "url", "image", "audio", "key")


def column_of(schema: Any, wanted: str | None, origin: str) -> str:
    """Return the name of the column; without `wanted`, the only one it can be. Raises: DataError where that is open."""
    kinds = {field.name: kind for field in schema if (kind := _kind(field.type))}
    if wanted is not None:
        if wanted not in schema.names:
            raise DataError(f"'{origin}' has no column {wanted!r:.60}: it has {_listed(schema.names)}")
        if wanted not in kinds:
            raise DataError(
                f"column {wanted!r:.60} of '{origin}' is of type {schema.field(wanted).type}: expected bytes, text "
                "that says where a file is, or a struct with a field 'bytes'"
            )
        return wanted
    held = [name for name, kind in kinds.items() if kind != "text"]
    named = [name for name, kind in kinds.items() if kind == "text" and name.lower() in _PATH_NAMES]
    found = held or named
    if len(found) != 1:
        what = f"several columns may ({_listed(found)})" if found else f"no column does ({_listed(schema.names)})"
        raise DataError(
            f"which column of '{origin}' holds images or recordings, as bytes or paths? {what}: name one with column="
        )
    return str(found[0])


def cell_of(value: Any) -> tuple[bytes | None, str]:
    """Return the bytes that a cell holds and the name beside them, or none and where they are; both may be empty."""
    if isinstance(value, dict):
        content, name = value.get("bytes"), str(value.get("path") or "")
        return (None if content is None else bytes(content)), name
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), ""
    return None, "" if value is None else str(value).strip()


def place_of(name: str, origin: str) -> str:
    """Return where a file named in a table is: paths that are not absolute start in the table's own folder."""
    if "://" in name or name.startswith(("/", "~")):
        return name
    return posixpath.join(posixpath.dirname(origin), name)


def _kind(kind: Any) -> str:
    from pyarrow import types

    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "bytes"
    if types.is_struct(kind):
        return "struct" if any(kind.field(i).name == "bytes" for i in range(kind.num_fields)) else ""
    return "text" if types.is_string(kind) or types.is_large_string(kind) else ""


def _listed(names: Any) -> str:
    names = [repr(str(name)) for name in names]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") or "none"
