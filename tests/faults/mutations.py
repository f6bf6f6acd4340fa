"""Damage any file or text: what copying, cutting, editing, exporting and attacking do to them.

A mutation takes the bytes (or the text) of a good file and a random generator, and returns those of a bad one. Read
`mutations_images.py`, `mutations_audio.py` and `mutations_tables.py` for the ones that know a format from inside.
"""

import gzip
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["BYTES", "NASTY_CELLS", "TEXT", "Bytes", "nasty_number", "one_of", "somewhere"]

Rng = np.random.Generator
Bytes = Callable[[bytes, Rng], bytes]
Text = Callable[[str, Rng], str]

NASTY_CELLS = (
    *("", " ", "NaN", "inf", "-inf", "1e999", "-1e308", "0x10", "1_000", "١٢", "½", "−5", "1,234", "1,234.5", "1.2K"),
    *("18.0%", "7.9 GiB", "60 ms", "No data", "undefined", "null", "#REF!", "=1+1", "=cmd|' /C calc'!A0", "@SUM(A1)"),
    *("\x1b[31mred", "\x1b]0;title\x07", "nul\0l", "\x7f", "\u202e", "\u2028", "\x85", "\x0c", '"', '""', '"a""', "'"),
    *("[", "[1,2", "(", "{", '{"a":' * 400, "[" * 5000, "9" * 400, "9" * 5000, "1e" + "9" * 30, "-", "+", ".", "e5"),
    *("2025-13-40", "2500-01-01", "0001-01-01", "9999-12-31 23:59:60", "1677-01-01", "01/02/2025", "31.12.2025"),
    *("2025-03-30T02:30:00+99:00", "2025-03-01T00:00:00Z", "12:00", "24:00:00", "1741000000", "1741000000000", "1e18"),
    *("-9223372036854775808", "9223372036854775808", "18446744073709551616", "true", "TRUE", "on", "text", "é" * 90),
    *("x" * 140_000, "7" * 140_000, "a\nb", "a\r\nb", "a\tb", "a;b,c|d", "%s%n", "{0}", "\ud7ff", "\ufffd", "\ufeff"),
)
_NASTY_NUMBERS = (0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)


def one_of(rng: Rng, choices: Sequence[Any]) -> Any:
    """Draw one."""
    return choices[int(rng.integers(len(choices)))]


def somewhere(rng: Rng, length: int) -> int:
    """Draw a position; one in three at one of the ends, where headers and indices lie."""
    if length < 2:
        return 0
    where = rng.random()
    if where < 0.2:
        return int(rng.integers(min(length, 64)))
    return length - 1 - int(rng.integers(min(length, 64))) if where < 0.35 else int(rng.integers(length))


def nasty_number(rng: Rng, size: int, order: str = "<") -> bytes:
    """Return a whole number that breaks arithmetic: extremes of all widths, and small ones."""
    return struct.pack(f"{order}Q", one_of(rng, _NASTY_NUMBERS))[:size] if order == "<" else _big(rng, size)


def _big(rng: Rng, size: int) -> bytes:
    return struct.pack(">Q", one_of(rng, _NASTY_NUMBERS) & (2 ** (8 * size) - 1))[-size:]


def _flip(raw: bytes, rng: Rng) -> bytes:
    changed = bytearray(raw)
    for _ in range(int(2 ** rng.integers(0, 7))):
        changed[somewhere(rng, len(raw))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _overwrite(raw: bytes, rng: Rng) -> bytes:
    at = somewhere(rng, len(raw))
    some = bytes([one_of(rng, (0, 255, 10, 27))]) * int(rng.integers(1, 200))
    return (raw[:at] + some + raw[at + len(some) :])[: len(raw)]


def _number(raw: bytes, rng: Rng) -> bytes:
    size = one_of(rng, (2, 4, 8))
    at = somewhere(rng, len(raw) - size)
    return raw[:at] + nasty_number(rng, size, one_of(rng, "<>")) + raw[at + size :]


def _cut(raw: bytes, rng: Rng) -> bytes:
    return raw[: somewhere(rng, len(raw))]


def _cut_front(raw: bytes, rng: Rng) -> bytes:
    return raw[somewhere(rng, len(raw)) :]


def _delete(raw: bytes, rng: Rng) -> bytes:
    at = somewhere(rng, len(raw))
    return raw[:at] + raw[at + int(rng.integers(1, 1 + len(raw) // 4)) :]


def _repeat(raw: bytes, rng: Rng) -> bytes:
    at = somewhere(rng, len(raw))
    part = raw[at : at + int(rng.integers(1, 1 + len(raw) // 4))]
    return raw[:at] + part * int(rng.integers(2, 5)) + raw[at:]


def _swap(raw: bytes, rng: Rng) -> bytes:
    a, b, c = sorted(somewhere(rng, len(raw)) for _ in range(3))
    return raw[:a] + raw[b:c] + raw[a:b] + raw[c:]


def _insert(raw: bytes, rng: Rng) -> bytes:
    at = somewhere(rng, len(raw))
    some = (b"\0", b"\n", b'"', b"\x1b[2J", b"\xff\xfe", b"\r", bytes(rng.integers(0, 256, 40, dtype=np.uint8)))
    return raw[:at] + some[int(rng.integers(len(some)))] + raw[at:]


def _append(raw: bytes, rng: Rng) -> bytes:
    return raw + (raw, b"\0" * 4096, b"\n\n\n", raw[::-1])[int(rng.integers(4))]


def _tiny(raw: bytes, rng: Rng) -> bytes:
    return (b"", raw[:1], raw[:4], b"\0", b"\n", b" \n \n", b"PK\x05\x06" + b"\0" * 18, b"\x1f\x8b")[rng.integers(8)]


def _packed(raw: bytes, rng: Rng) -> bytes:
    """Pack the file with gzip, once or several times, or cut the packed one."""
    packed = gzip.compress(raw, mtime=0)
    kind = int(rng.integers(3))
    return (packed, gzip.compress(packed, mtime=0), packed[: len(packed) // 2])[kind]


BYTES: dict[str, Bytes] = {
    "flipped bits": _flip,
    "overwritten": _overwrite,
    "nasty number": _number,
    "cut off": _cut,
    "cut in front": _cut_front,
    "part deleted": _delete,
    "part repeated": _repeat,
    "parts swapped": _swap,
    "inserted bytes": _insert,
    "appended": _append,
    "next to nothing": _tiny,
    "gzipped": _packed,
}


def _cells(text: str, rng: Rng) -> str:
    """Put nasty cells into one to twenty places, sometimes into the header or a whole column."""
    for _ in range(one_of(rng, (1, 1, 2, 20))):
        text = _one_cell(text, rng)
    return text


def _one_cell(text: str, rng: Rng) -> str:
    lines = text.split("\n")
    delimiter = max(",;\t ", key=lines[-2 if len(lines) > 1 else 0].count)
    cell = one_of(rng, NASTY_CELLS)
    column = int(rng.integers(4))
    rows = range(1, len(lines)) if rng.random() < 0.2 else [int(rng.integers(len(lines))) if rng.random() < 0.8 else 0]
    for row in rows if len(cell) < 1000 else list(rows)[:1]:
        cells = lines[row].split(delimiter)
        cells[column % len(cells)] = cell
        lines[row] = delimiter.join(cells)
    return "\n".join(lines)


def _ragged(text: str, rng: Rng) -> str:
    lines = text.split("\n")
    row = int(rng.integers(len(lines)))
    lines[row] = (lines[row] + ",1,2", lines[row][: len(lines[row]) // 2], ",".join("1" * 3000), ",,,,")[
        rng.integers(4)
    ]
    return "\n".join(lines)


def _columns(text: str, rng: Rng) -> str:
    """Repeat the columns up to thousands of times, under the same names."""
    times = (2, 10, 700)[int(rng.integers(3))]
    lines = [line for line in text.split("\n") if line][: 240 if times < 100 else 20]
    delimiter = max(",;\t ", key=lines[-1].count)
    return "\n".join(delimiter.join([line] * times) for line in lines)


def _rows(text: str, rng: Rng) -> str:
    """Shuffle, repeat, reverse or drop rows, or leave only few."""
    lines = [line for line in text.split("\n") if line]
    head, body = lines[0], lines[1:]
    order = rng.permutation(len(body))
    kinds = ([body[i] for i in order], body + body, body[::-1], body[:1], [], body[:2], [b for b in body for _ in "ab"])
    return "\n".join([head, *kinds[int(rng.integers(len(kinds)))]]) + "\n"


def _header(text: str, rng: Rng) -> str:
    first, _, rest = text.partition("\n")
    width = first.count(max(",;\t ", key=first.count)) + 1
    heads = (
        *(
            "",
            first + "\n" + first,
            ",".join(map(str, range(width))),
            "sep=,\n" + first,
            "\n\n\n" + first,
            "# " + first,
        ),
        *(",".join([""] * width), ",".join(["a"] * width), first.upper(), first.replace("e", "\x1b[1m"), '"' + first),
        *(
            "\n".join(["Report of the plant", "", first]),
            "x" * 200_000 + first,
            ",".join(["time"] * width),
            "{[(" + first,
        ),
    )
    return one_of(rng, heads) + "\n" + rest


def _quotes(text: str, rng: Rng) -> str:
    at = int(rng.integers(len(text)))
    return text[:at] + ('"', '""', '"\n"', "'", '"' * 999, '"' + "x" * 150_000)[int(rng.integers(6))] + text[at:]


def _characters(text: str, rng: Rng) -> str:
    at = int(rng.integers(len(text)))
    some = (
        "\0",
        "\x1b[31m",
        "\x1c",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud7ff",
        "\r",
        "\x0b",
        "é",
        "\x1f",
        "\x1a",
        "\U0001f600",
    )
    return text[:at] + one_of(rng, some) * int(rng.integers(1, 4)) + text[at:]


def _delimiters(text: str, rng: Rng) -> str:
    some = (",", ";", "\t", "|", " ", "  ", "\x1f", "::", "")
    return text.replace(max(",;\t ", key=text.count), one_of(rng, some))


def _endings(text: str, rng: Rng) -> str:
    return text.replace("\n", ("\r", "\r\n", "\n\n", "\n\r", "\x0b", "\u2028", "")[int(rng.integers(7))])


def _times(text: str, rng: Rng) -> str:
    """Write the year as another, so that times are beyond what 64 bits can hold, or no longer times."""
    years = ("1500", "2262", "2400", "9999", "0000", "25", "-100", "12025", "20 25", "2025" * 5)
    return text.replace("2025", one_of(rng, years), (-1, 1, 50)[int(rng.integers(3))])


TEXT: dict[str, Text] = {
    "nasty cells": _cells,
    "ragged": _ragged,
    "repeated columns": _columns,
    "rows": _rows,
    "header": _header,
    "quotes": _quotes,
    "characters": _characters,
    "delimiters": _delimiters,
    "line endings": _endings,
    "times": _times,
}
