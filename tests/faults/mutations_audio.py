"""Damage sound files from inside: RIFF, RF64, W64, AIFF, CAF and AU headers, FLAC blocks, Ogg pages, MP3 frames."""

import itertools
import struct

import numpy as np
from mutations import Bytes, Rng, nasty_number, one_of

__all__ = ["AIFF", "FLAC", "OGG", "RIFF"]


def _riff_chunks(raw: bytes, order: str) -> list[int]:
    """Return where the chunks behind the first twelve bytes begin."""
    found, at = [], 12
    while at + 8 <= len(raw):
        found.append(at)
        at += 8 + struct.unpack(f"{order}I", raw[at + 4 : at + 8])[0]
        at += at % 2
    return found


def _lengths(raw: bytes, rng: Rng, order: str) -> bytes:
    at = 4 + one_of(rng, [0, *_riff_chunks(raw, order)])
    return raw[:at] + nasty_number(rng, 4, order) + raw[at + 4 :]


def _fields(raw: bytes, rng: Rng, order: str) -> bytes:
    """Change the form, number of channels, rate, block or depth in the format chunk."""
    at = next((c for c in _riff_chunks(raw, order) if raw[c : c + 4] in (b"fmt ", b"COMM")), 12) + 8
    size = one_of(rng, (2, 2, 4))
    at += 2 * int(rng.integers(9))
    values = (0, 1, 2, 3, 5, 6, 7, 17, 24, 64, 99, 255, 1024, 0xFFFE, 0xFFFF)
    few = one_of(rng, values).to_bytes(size, "little" if order == "<" else "big")
    return raw[:at] + (few if rng.random() < 0.7 else nasty_number(rng, size, order)) + raw[at + size :]


def _order(raw: bytes, rng: Rng, order: str) -> bytes:
    """Drop, repeat or swap chunks, or put in others."""
    starts = [*_riff_chunks(raw, order), len(raw)]
    parts = [raw[a:b] for a, b in itertools.pairwise(starts)]
    a = int(rng.integers(len(parts)))
    odd = (b"LIST", b"bext", b"cue ", b"JUNK", b"fmt ", b"data", b"fact", b"\0\0\0\0", b"PEAK", b"smpl", b"ds64")
    body = rng.integers(0, 256, one_of(rng, (0, 3, 40, 70_000)), dtype=np.uint8).tobytes()
    new = odd[int(rng.integers(len(odd)))] + struct.pack(f"{order}I", len(body)) + body + b"\0" * (len(body) % 2)
    kinds = (
        *([*parts[:a], *parts[a + 1 :]], [*parts[: a + 1], *parts[a:]], parts[::-1]),
        *([*parts[:a], new, *parts[a:]], [*parts[:a], *[new] * 300, *parts[a:]]),
    )
    return raw[:12] + b"".join(kinds[int(rng.integers(len(kinds)))])


def _samples(raw: bytes, rng: Rng) -> bytes:
    """Write other samples: NaN, infinite, the largest, huge floats."""
    some = (b"\xff", b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\xff\xff\x7f\x7f", b"\0\x80", b"\0\0\x80\xff")
    at = int(rng.integers(100, max(101, len(raw) // 2)))
    part = some[int(rng.integers(len(some)))] * int(rng.integers(1, 3000))
    return (raw[:at] + part + raw[at + len(part) :])[: len(raw)]


RIFF: dict[str, Bytes] = {
    "RIFF lengths": lambda raw, rng: _lengths(raw, rng, "<"),
    "RIFF format": lambda raw, rng: _fields(raw, rng, "<"),
    "RIFF chunks": lambda raw, rng: _order(raw, rng, "<"),
    "samples": _samples,
}
AIFF: dict[str, Bytes] = {
    "AIFF lengths": lambda raw, rng: _lengths(raw, rng, ">"),
    "AIFF format": lambda raw, rng: _fields(raw, rng, ">"),
    "AIFF chunks": lambda raw, rng: _order(raw, rng, ">"),
}


def _flac_info(raw: bytes, rng: Rng) -> bytes:
    """Change block sizes, rate, channels, depth, number of samples or digest in the first block."""
    changed = bytearray(raw)
    at = 8 + int(rng.integers(34))
    changed[at : at + 2] = nasty_number(rng, 2, ">")
    return bytes(changed)


def _flac_length(raw: bytes, rng: Rng) -> bytes:
    """Let the chain of blocks lie: lengths, types, the mark of the last one."""
    starts, at = [4], 4
    while not raw[at] & 128:
        at += 4 + int.from_bytes(raw[at + 1 : at + 4], "big")
        starts.append(at)
    at = starts[int(rng.integers(len(starts)))]
    kinds = (raw[at : at + 1] + nasty_number(rng, 3, ">"), bytes([int(rng.integers(256))]) + raw[at + 1 : at + 4])
    return raw[:at] + kinds[int(rng.integers(2))] + raw[at + 4 :]


FLAC: dict[str, Bytes] = {"FLAC information": _flac_info, "FLAC blocks": _flac_length}
_CRC = []
for _byte in range(256):
    _value = _byte << 24
    for _ in range(8):
        _value = (_value << 1) ^ (0x04C11DB7 if _value & 0x80000000 else 0)
    _CRC.append(_value & 0xFFFFFFFF)


def _with_checksum(page: bytes) -> bytes:
    """Return an Ogg page with its checksum put right, because a wrong one would hide every other fault."""
    value = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        value = ((value << 8) ^ _CRC[(value >> 24) ^ byte]) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", value) + page[26:]


def _pages(raw: bytes) -> list[bytes]:
    starts, at = [], raw.find(b"OggS")
    while at >= 0:
        starts.append(at)
        at = raw.find(b"OggS", at + 4)
    return [raw[a:b] for a, b in zip(starts, [*starts[1:], len(raw)], strict=True)]


def _ogg_page(raw: bytes, rng: Rng) -> bytes:
    """Change a page's flags, position, number or contents, its checksum put right."""
    pages = _pages(raw)
    a = int(rng.integers(min(len(pages), 3))) if rng.random() < 0.6 else int(rng.integers(len(pages)))
    page = bytearray(pages[a])
    if rng.random() < 0.4:
        at, size = ((5, 1), (6, 8), (14, 4), (18, 4), (26, 1))[int(rng.integers(5))]
        page[at : at + size] = nasty_number(rng, size)
    else:
        for _ in range(int(rng.integers(1, 6))):
            page[int(rng.integers(27, min(len(page), 120)))] = int(rng.integers(256))
    pages[a] = _with_checksum(bytes(page))
    return b"".join(pages)


def _ogg_order(raw: bytes, rng: Rng) -> bytes:
    pages = _pages(raw)
    a = int(rng.integers(len(pages)))
    kinds = ([*pages[:a], *pages[a + 1 :]], [*pages[: a + 1], *pages[a:]], pages[::-1], pages * 4, pages[:2], pages[1:])
    return b"".join(kinds[int(rng.integers(len(kinds)))])


OGG: dict[str, Bytes] = {"Ogg page": _ogg_page, "Ogg order": _ogg_order}
