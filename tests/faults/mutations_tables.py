"""Damage NPY, NPZ and Parquet files and packed text from inside: headers that lie, archives that burst, odd columns."""

import gzip
import io
import struct
import zipfile
from collections.abc import Callable

import numpy as np
from mutations import Bytes, Rng, one_of

__all__ = ["NPY", "NPZ", "PACKED", "PARQUET"]

_SHAPES = (
    *(
        "()",
        "(0,)",
        "(0, 3)",
        "(3, 0)",
        "(1,)",
        "(-1,)",
        "(-1, 3)",
        "(240,)",
        "(720,)",
        "(1, 720)",
        "(720, 1)",
        "(2, 3, 4, 5)",
    ),
    *(
        "(1000000000000,)",
        "(1000000000, 1000000000)",
        "(9223372036854775807,)",
        "(9223372036854775808, 3)",
        "(300000000,)",
    ),
    *(
        "(240.0, 3)",
        "('240', 3)",
        "[240, 3]",
        "240",
        "None",
        "(240, 3",
        "((240, 3))",
        "(240, (3,))",
        "{240, 3}",
        "(True, 3)",
    ),
    *("(" + "1, " * 33 + ")", "(" + "1, " * 65 + ")", "(1e3, 3)", "(240, 3,),", "(10**9,)", "(" * 300 + ")" * 300),
)
_TYPES = (
    *(
        "'<f8'",
        "'>f8'",
        "'<f4'",
        "'<f2'",
        "'<f16'",
        "'<c16'",
        "'|b1'",
        "'<i8'",
        "'<u8'",
        "'|S8'",
        "'<U2'",
        "'|O'",
        "'<M8[s]'",
    ),
    *(
        "'<m8[ns]'",
        "'|V8'",
        "[('a', '<f8')]",
        "[('a', '<f8', (3,))]",
        "[('a', '|O')]",
        "'f8' * 9",
        "''",
        "None",
        "8",
        "'<f3'",
    ),
    *(
        "[[",
        "'" + "x" * 5000 + "'",
        "'<S1000000000'",
        "[" * 400,
        "'<f8" + "\\n" + "'",
        "'\x1b[31m'",
        "('<f8', 1000000)",
    ),
)


def _npy_header(raw: bytes) -> tuple[str, bytes]:
    length = struct.unpack("<H", raw[8:10])[0]
    return raw[10 : 10 + length].decode("latin-1"), raw[10 + length :]


def _npy(header: str, body: bytes, version: int = 1) -> bytes:
    text = header.encode("utf-8")
    size = struct.pack("<H", len(text) & 65535) if version == 1 else struct.pack("<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def _shape(raw: bytes, rng: Rng) -> bytes:
    header, body = _npy_header(raw)
    head, _, _ = header.partition("'shape':")
    return _npy(f"{head}'shape': {one_of(rng, _SHAPES)}, }}\n", body)


def _type(raw: bytes, rng: Rng) -> bytes:
    header, body = _npy_header(raw)
    _, _, tail = header.partition("'fortran_order'")
    return _npy(f"{{'descr': {one_of(rng, _TYPES)}, 'fortran_order'{tail}", body)


def _header(raw: bytes, rng: Rng) -> bytes:
    header, body = _npy_header(raw)
    headers = (
        *("", "{}", "[]", "{" * 900, "[" * 9000, "(" * 3000 + ")" * 3000, "1+" * 4000 + "1", "-" * 5000 + "1"),
        *(header.replace("False", "True"), header.replace("False", "7"), header.replace("}", "'more': 1}"), header * 2),
        *(
            header + " " * 12_000,
            header + " " * 60_000,
            header.replace("shape", "shap"),
            "\x1b[2J" + header,
            header[:-9],
        ),
        *("__import__('os').getcwd()", "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 9999 + ")}"),
    )
    return _npy(one_of(rng, headers), body, one_of(rng, (1, 1, 2, 3, 4)))


def _values(raw: bytes, rng: Rng) -> bytes:
    """Write other values: none, infinite, huge, all alike; in other widths."""
    kinds = ("nan", "inf", "1e308", "-1e308", "5e-324", "0", "2")
    array = np.full((64, 3), float(one_of(rng, kinds)))
    if rng.random() < 0.5:
        array[: int(rng.integers(1, 64))] = rng.normal(size=3)
    file = io.BytesIO()
    with np.errstate(all="ignore"):
        np.save(file, array.astype(one_of(rng, ("f8", "f4", "f2", ">f8", "longdouble", "c16", "S8"))))
    return file.getvalue()


def _objects(raw: bytes, rng: Rng) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([1.0, "two", None, [3]], dtype=object), allow_pickle=True)
    return file.getvalue()[: (None, 140, 90)[int(rng.integers(3))]]


NPY: dict[str, Bytes] = {
    "NPY shape": _shape,
    "NPY type": _type,
    "NPY header": _header,
    "NPY values": _values,
    "NPY objects": _objects,
}
_ONE = NPY | {"NPY as it is": lambda raw, _: raw}


def _zip(members: list[tuple[str, bytes]], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def _array_bytes() -> bytes:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).normal(size=(100, 2)))
    return file.getvalue()


def _member(raw: bytes, rng: Rng) -> bytes:
    """Put damaged arrays into a sound archive."""
    broken = one_of(rng, tuple(_ONE))
    packing = (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)[int(rng.integers(4))]
    return _zip([("a.npy", _array_bytes()), ("b.npy", _ONE[broken](_array_bytes(), rng))], packing)


def _names(raw: bytes, rng: Rng) -> bytes:
    names = (
        "../../up.npy",
        "/absolute.npy",
        "\x1b[31m.npy",
        "line\nbreak.npy",
        " ",
        ".npy",
        "a" * 3000,
        "deep/" * 90 + "a.npy",
        "no",
        "é",
    )
    return _zip([(one_of(rng, names), _array_bytes()), ("plain.npy", _array_bytes())])


def _many(raw: bytes, rng: Rng) -> bytes:
    number = one_of(rng, (0, 1, 300, 1500))
    return _zip([(f"{i}.npy", _array_bytes()) for i in range(number)], zipfile.ZIP_STORED)


def _other(raw: bytes, rng: Rng) -> bytes:
    inside = (b"", b"text", raw, b"\x93NUMPY", b'{"a": 1}')[int(rng.integers(5))]
    names = (["a.npy"], ["a.txt"], ["a.npy", "b.txt"], ["folder/"])[int(rng.integers(4))]
    return _zip([(name, inside) for name in names])


def _zip_bomb(raw: bytes, rng: Rng) -> bytes:
    """Pack up to 2 GB of zeros into a few hundred kilobytes; or claim other sizes than there are."""
    megabytes = one_of(rng, (50, 300, 2000))
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 1)))
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, header | {"shape": (megabytes << 17, 1)})
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        member.write(start.getvalue())
        for _ in range(megabytes):
            member.write(bytes(1 << 20))
    return file.getvalue()


def _zip_record(raw: bytes, rng: Rng) -> bytes:
    """Change a field of the central directory or of a local header: sizes, flags, method, offsets."""
    changed = bytearray(raw)
    marks = [at for mark in (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06") for at in _all(raw, mark)]
    at = one_of(rng, marks) + 4 + 2 * int(rng.integers(20))
    new = struct.pack("<H", one_of(rng, (0, 1, 8, 9, 14, 98, 99, 255, 0x7FFF, 0xFFFF)))
    changed[at : at + 2] = new
    return bytes(changed[: len(raw)])


def _all(raw: bytes, mark: bytes) -> list[int]:
    found, at = [], raw.find(mark)
    while at >= 0:
        found.append(at)
        at = raw.find(mark, at + 1)
    return found


NPZ: dict[str, Bytes] = {
    "NPZ member": _member,
    "NPZ names": _names,
    "NPZ many": _many,
    "NPZ other content": _other,
    "NPZ bomb": _zip_bomb,
    "NPZ record": _zip_record,
}


def _footer(raw: bytes, rng: Rng) -> bytes:
    """Change bytes of the metadata, which say what lies where."""
    length = struct.unpack("<I", raw[-8:-4])[0]
    changed = bytearray(raw)
    for _ in range(one_of(rng, (1, 1, 2, 8))):
        changed[len(raw) - 8 - 1 - int(rng.integers(length))] = int(rng.integers(256))
    return bytes(changed)


def _footer_length(raw: bytes, rng: Rng) -> bytes:
    length = one_of(rng, (0, 1, len(raw), len(raw) - 12, 2**31 - 1, 2**31, 2**32 - 1))
    return raw[:-8] + struct.pack("<I", length) + raw[-4:]


def _page(raw: bytes, rng: Rng) -> bytes:
    """Change bytes of the pages and of their headers."""
    changed = bytearray(raw)
    end = max(8, len(raw) - 8 - struct.unpack("<I", raw[-8:-4])[0])
    for _ in range(one_of(rng, (1, 3, 30))):
        changed[int(rng.integers(4, min(end, 64) if rng.random() < 0.5 else end))] = int(rng.integers(256))
    return bytes(changed)


def _frame(raw: bytes, rng: Rng) -> bytes:
    """Write columns of unusual types."""
    import pyarrow as pa
    import pyarrow.parquet

    makers: tuple[Callable[[], dict[str, object]], ...] = (
        lambda: {"a": [[1, 2]] * 50},
        lambda: {"a": [{"x": 1.0}] * 50},
        lambda: {"a": [b"\0\xff"] * 50, "b": [1.0] * 50},
        lambda: {"a": pa.nulls(50), "b": pa.array([1.5] * 50)},
        lambda: {"a": pa.array([1] * 50, pa.decimal128(38, 4)), "b": pa.array([2.0] * 50)},
        lambda: {"a": pa.array([10**15] * 50, pa.timestamp("s")), "b": pa.array([2.0] * 50)},
        lambda: {"a": pa.array(range(50), pa.timestamp("us", tz="Asia/Kathmandu")), "b": pa.array([2.0] * 50)},
        lambda: {"a": pa.array(range(50), pa.time64("us")), "b": pa.array(range(50), pa.duration("ns"))},
        lambda: {"a": pa.array(range(50), pa.date32()), "b": pa.array([0.1] * 50, pa.float32())},
        lambda: {"a": pa.array(["x", "y"] * 25).dictionary_encode(), "b": pa.array([0.1] * 50)},
        lambda: {"a": pa.array([True, None] * 25), "b": pa.array([2**63] * 50, pa.uint64())},
        lambda: {f"c{i}": pa.array([float(i)] * 9) for i in range(2500)},
        lambda: {"\x1b[31mred\n": pa.array([1.0] * 50), "": pa.array([2.0] * 50)},
        lambda: {"a": pa.array([], pa.float64())},
        lambda: {},
        lambda: {"a": pa.array([1.0] * 50), "A" * 5000: pa.array([1.0] * 50)},
        lambda: {"a": pa.array([float("inf"), float("nan")] * 25), "b": pa.array([None] * 50, pa.float64())},
    )
    table = pa.table(makers[int(rng.integers(len(makers)))]())
    if len(table.column_names) == 2 and rng.random() < 0.2:
        table = table.rename_columns(["same", "same"])
    file = io.BytesIO()
    pa.parquet.write_table(table, file)
    return file.getvalue()


def _parquet_bomb(raw: bytes, rng: Rng) -> bytes:
    """Pack hundreds of millions of equal values into a few hundred kilobytes."""
    import pyarrow as pa
    import pyarrow.parquet

    millions = one_of(rng, (4, 40))
    one = pa.array(np.zeros(1_000_000))
    table = pa.table({"a": pa.chunked_array([one] * millions), "b": pa.chunked_array([one] * millions)})
    file = io.BytesIO()
    pa.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


PARQUET: dict[str, Bytes] = {
    "Parquet metadata": _footer,
    "Parquet metadata length": _footer_length,
    "Parquet page": _page,
    "Parquet columns": _frame,
    "Parquet bomb": _parquet_bomb,
}


def _gzip_bomb(raw: bytes, rng: Rng) -> bytes:
    megabytes = one_of(rng, (30, 200, 1000))
    line = (b"1.5,2.5,3.5\n", b"0\n", b" \n", b"\n", b"x" * 63 + b"\n", b"7")[int(rng.integers(6))]
    block = line * ((1 << 20) // len(line))
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as packed:
        for _ in range(megabytes):
            packed.write(block)
    return file.getvalue()


def _gzip_members(raw: bytes, rng: Rng) -> bytes:
    tails = (b"", b"\0" * 100, b"junk", raw[:7], raw[10:], b"\x1f\x8b\x08")
    return raw * int(rng.integers(1, 4)) + tails[int(rng.integers(len(tails)))]


def _gzip_head(raw: bytes, rng: Rng) -> bytes:
    """Change a field of the head or the checksum and length at the end."""
    changed = bytearray(raw)
    at = one_of(rng, (2, 3, 4, 9, 10, -8, -4, -1))
    changed[at] = int(rng.integers(256))
    return bytes(changed)


PACKED: dict[str, Bytes] = {
    "gzip bomb": _gzip_bomb,
    "gzip members": _gzip_members,
    "gzip head": _gzip_head,
}
