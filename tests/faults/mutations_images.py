"""Damage PNG, JPEG, TIFF, BMP, GIF and WebP from inside: chunks, segments, directories and headers that lie."""

import io
import struct
import zlib

import numpy as np
from mutations import Bytes, Rng, nasty_number, one_of

__all__ = ["HEAD", "JPEG", "PNG", "TIFF"]

Chunk = tuple[bytes, bytes]
_SIZES = (0, 1, 2, 47, 4097, 20_000, 65_535, 2**20, 2**31 - 1, 2**31, 2**32 - 1)


def _chunks(raw: bytes) -> list[Chunk]:
    found, at = [], 8
    while at + 12 <= len(raw):
        size = struct.unpack(">I", raw[at : at + 4])[0]
        found.append((raw[at + 4 : at + 8], raw[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def _png(chunks: list[Chunk]) -> bytes:
    parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _png_order(raw: bytes, rng: Rng) -> bytes:
    chunks = _chunks(raw)
    a, b = int(rng.integers(len(chunks))), int(rng.integers(len(chunks)))
    kinds = (
        [*chunks[:a], *chunks[a + 1 :]],
        [*chunks[:a], chunks[a], *chunks[a:]],
        [chunks[b] if i == a else chunks[a] if i == b else chunk for i, chunk in enumerate(chunks)],
        [*chunks[:1], *[chunks[1]] * 500, *chunks[2:]],
        [*chunks, *chunks],
    )
    return _png(kinds[int(rng.integers(len(kinds)))])


def _png_size(raw: bytes, rng: Rng) -> bytes:
    """Let a chunk say another length than it has, or carry a wrong checksum."""
    starts, at = [], 8
    while at + 12 <= len(raw):
        starts.append(at)
        at += 12 + struct.unpack(">I", raw[at : at + 4])[0]
    at = one_of(rng, starts)
    return raw[:at] + nasty_number(rng, 4, ">") + raw[at + 4 :]


def _png_header(raw: bytes, rng: Rng) -> bytes:
    (kind, head), *rest = _chunks(raw)
    width, height, *others = struct.unpack(">IIBBBBB", head)
    which = int(rng.integers(7))
    if which < 2:
        changed = [width, height]
        changed[which] = one_of(rng, _SIZES)
        width, height = changed
    else:
        others[which - 2] = one_of(rng, (0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 255))
    return _png([(kind, struct.pack(">IIBBBBB", width, height, *others)), *rest])


def _png_data(raw: bytes, rng: Rng) -> bytes:
    """Let the packed pixels be too few, too many, damaged, or of bytes that no filter has."""
    chunks = _chunks(raw)
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    noise = rng.integers(0, 256, len(pixels), dtype=np.uint8).tobytes()
    kinds = (pixels[: len(pixels) // 2], b"", pixels * 3, noise, b"\xff" * len(pixels), bytes(200 << 20))
    packed = zlib.compress(kinds[int(rng.integers(len(kinds)))], 1)
    packed = packed if rng.random() < 0.7 else packed[: len(packed) // 2] + bytes(9) + packed[len(packed) // 2 + 9 :]
    first = next(i for i, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    kept = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    return _png([*kept[:first], (b"IDAT", packed), *kept[first:]])


def _png_extra(raw: bytes, rng: Rng) -> bytes:
    """Put in chunks beside the pixels: text that bursts, palettes, profiles, animation, unknown and critical ones."""
    bomb = zlib.compress(bytes(90 << 20), 9)
    noise = rng.integers(0, 256, 300, dtype=np.uint8).tobytes()
    some: tuple[Chunk, ...] = (
        *((b"zTXt", b"Comment\0\0" + bomb), (b"iTXt", b"Comment\0\1\0\0\0" + bomb), (b"iCCP", b"p\0\0" + bomb)),
        *((b"tEXt", b"Comment\0" + b"\x1b[31m" * 99), (b"tEXt", b"x" * 90), (b"iTXt", b""), (b"zTXt", b"a\0\7zz")),
        *(
            (b"PLTE", noise[:9]),
            (b"PLTE", noise[:8]),
            (b"tRNS", noise),
            (b"tRNS", b""),
            (b"gAMA", b""),
            (b"pHYs", b"\0"),
        ),
        *((b"acTL", struct.pack(">II", 3, 0)), (b"acTL", struct.pack(">II", 2**31, 0)), (b"fcTL", noise[:26])),
        *(
            (b"eXIf", noise),
            (b"eXIf", b"II*\0\x08\0\0\0\xff\xff"),
            (b"cHRM", noise[:31]),
            (b"sRGB", b""),
            (b"IEND", b""),
        ),
        *((b"ABCD", noise), (b"\0\0\0\0", noise), (b"aBCd", bytes(2 << 20)), (b"IHDR", noise[:13]), (b"fdAT", noise)),
    )
    chunks = _chunks(raw)
    at = 1 + int(rng.integers(len(chunks) - 1))
    return _png([*chunks[:at], some[int(rng.integers(len(some)))], *chunks[at:]])


PNG: dict[str, Bytes] = {
    "PNG order": _png_order,
    "PNG lengths": _png_size,
    "PNG header": _png_header,
    "PNG pixels": _png_data,
    "PNG extras": _png_extra,
}


def _segments(raw: bytes) -> tuple[list[bytes], bytes]:
    """Return a JPEG's segments up to the first scan, and the rest."""
    found, at = [], 2
    while raw[at + 1] != 0xDA:
        end = at + 2 + struct.unpack(">H", raw[at + 2 : at + 4])[0]
        found.append(raw[at:end])
        at = end
    return found, raw[at:]


def _jpeg(segments: list[bytes], rest: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + rest


def _jpeg_order(raw: bytes, rng: Rng) -> bytes:
    segments, rest = _segments(raw)
    a, b = int(rng.integers(len(segments))), int(rng.integers(len(segments)))
    swapped = list(segments)
    swapped[a], swapped[b] = swapped[b], swapped[a]
    kinds = (
        [*segments[:a], *segments[a + 1 :]],
        [*segments[:a], *segments[a : a + 1] * 9, *segments[a:]],
        swapped,
        segments * 40,
    )
    return _jpeg(kinds[int(rng.integers(len(kinds)))], rest)


def _jpeg_length(raw: bytes, rng: Rng) -> bytes:
    segments, rest = _segments(raw)
    a = int(rng.integers(len(segments)))
    segments[a] = segments[a][:2] + nasty_number(rng, 2, ">") + segments[a][4:]
    return _jpeg(segments, rest)


def _jpeg_frame(raw: bytes, rng: Rng) -> bytes:
    """Change precision, height, width, number of components or sampling in the frame header."""
    segments, rest = _segments(raw)
    a = next(i for i, segment in enumerate(segments) if segment[1] in (0xC0, 0xC1, 0xC2))
    frame = bytearray(segments[a])
    at = int(rng.integers(4, len(frame)))
    if rng.random() < 0.5:
        frame[5:9] = struct.pack(">HH", *(one_of(rng, (0, 1, 48, 9000, 65500, 65535)) for _ in "hw"))
    else:
        frame[at] = one_of(rng, (0, 1, 2, 3, 4, 8, 12, 17, 255))
    frame[1] = frame[1] if rng.random() < 0.7 else one_of(rng, (0xC0, 0xC2, 0xC3, 0xC9, 0xF7))
    segments[a] = bytes(frame)
    return _jpeg(segments, rest)


def _jpeg_exif(raw: bytes, rng: Rng) -> bytes:
    """Put in EXIF data with another orientation, or with directories that lie or lead round in circles."""
    segments, rest = _segments(raw)
    kept = [segment for segment in segments if segment[1] != 0xE1]
    turned = struct.pack("<HHII", 0x0112, 3, 1, one_of(rng, (0, 2, 5, 7, 9, 65535)))
    entries = (
        *(turned, struct.pack("<HHII", 0x0112, 2, 40, 8), struct.pack("<HHII", 0x0112, 5, 1, 2**31)),
        *(struct.pack("<HHII", 0x8769, 4, 1, 8), struct.pack("<HHII", 0x0112, 3, 2**31, 9), b"\xff" * 12),
    )
    entry = entries[int(rng.integers(len(entries)))]
    count = one_of(rng, (1, 1, 1, 0, 2000, 65535))
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entry + struct.pack("<I", one_of(rng, (0, 8, 2**31)))
    body = b"Exif\0\0" + tiff
    return _jpeg([b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body, *kept], rest)


def _jpeg_scan(raw: bytes, rng: Rng) -> bytes:
    """Damage the packed pixels: scans repeated thousands of times, markers inside, an end without a beginning."""
    segments, rest = _segments(raw)
    middle = len(rest) // 2
    kinds = (
        *(
            rest * 60,
            rest[:middle],
            rest[:middle] + b"\xff\xd9",
            rest[:middle] + b"\xff\xd8" + rest[middle:],
            b"\xff\xda",
        ),
        *(rest[:20] + bytes(3000), rest[:12], rest.replace(b"\xff\xd9", b""), rest + b"\xff\xd8\xff\xe0" + rest),
    )
    return _jpeg(segments, kinds[int(rng.integers(len(kinds)))])


JPEG: dict[str, Bytes] = {
    "JPEG order": _jpeg_order,
    "JPEG lengths": _jpeg_length,
    "JPEG frame": _jpeg_frame,
    "JPEG EXIF": _jpeg_exif,
    "JPEG scan": _jpeg_scan,
}


def _directory(raw: bytes) -> tuple[int, int]:
    """Return where the first directory of a TIFF file begins and how many entries it has."""
    at = struct.unpack("<I", raw[4:8])[0]
    return at, struct.unpack("<H", raw[at : at + 2])[0]


def _tiff_entry(raw: bytes, rng: Rng) -> bytes:
    """Change the tag, type, count or value of one to three entries: sizes, depths, packing, offsets."""
    at, count = _directory(raw)
    changed = bytearray(raw)
    for _ in range(int(rng.integers(1, 4))):
        entry = at + 2 + 12 * int(rng.integers(count))
        offset, size = ((0, 2), (2, 2), (4, 4), (8, 4), (8, 4), (8, 4))[int(rng.integers(6))]
        small = struct.pack("<I", int(rng.integers(20)))[:size]
        changed[entry + offset : entry + offset + size] = small if rng.random() < 0.4 else nasty_number(rng, size)
    return bytes(changed)


def _tiff_tag(raw: bytes, rng: Rng) -> bytes:
    """Give a tag that matters a value that it has in other files, or in none."""
    values = {
        256: (0, 1, 57, 30_000, 2**31, 2**32 - 1),
        257: (0, 1, 49, 30_000, 2**31, 2**32 - 1),
        258: (0, 1, 2, 4, 12, 16, 32, 64, 255),
        259: (1, 2, 5, 6, 7, 8, 32773, 32946, 34712, 34925, 50000, 50001, 65535),
        262: (0, 1, 2, 3, 4, 5, 6, 8, 32803, 65535),
        277: (0, 1, 2, 3, 4, 5, 255, 65535),
        278: (0, 1, 7, 2**31, 2**32 - 1),
        284: (0, 1, 2, 3),
    }
    at, count = _directory(raw)
    changed = bytearray(raw)
    tag = one_of(rng, tuple(values))
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        if struct.unpack("<H", raw[entry : entry + 2])[0] == tag:
            new = one_of(rng, values[tag])
            changed[entry + 2 : entry + 12] = struct.pack("<HII", 4 if new > 65535 else 3, 1, new)
    return bytes(changed)


def _tiff_next(raw: bytes, rng: Rng) -> bytes:
    """Let the directory be followed by itself, by nowhere, by the pixels, or by a chain of directories."""
    at, count = _directory(raw)
    end = at + 2 + 12 * count
    targets = (at, 0, 4, end, len(raw) - 3, len(raw) + 9, 2**31, 2**32 - 1, 8)
    return raw[:end] + struct.pack("<I", targets[int(rng.integers(len(targets)))]) + raw[end + 4 :]


def _tiff_pages(raw: bytes, rng: Rng) -> bytes:
    """Write hundreds of pages: of the same pixels, as copies, or in a circle after many."""
    at, count = _directory(raw)
    body, number = raw[at : at + 2 + 12 * count], one_of(rng, (2, 60, 500, 3000))
    pages, start = [], len(raw) + len(raw) % 2
    for page in range(number):
        following = start + (page + 1) * (len(body) + 4)
        last = one_of(rng, (0, at, start)) if page == number - 1 else following
        pages.append(body + struct.pack("<I", last))
    end = at + len(body)
    return raw[:end] + struct.pack("<I", start) + raw[end + 4 :] + b"\0" * (len(raw) % 2) + b"".join(pages)


def _tiff_large(raw: bytes, rng: Rng) -> bytes:
    """Pack an image so large that it must be refused before it is unpacked, or just not."""
    from PIL import Image

    side = one_of(rng, (3000, 9000, 15_000))
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, "TIFF", compression="group4")
    return file.getvalue()


TIFF: dict[str, Bytes] = {
    "TIFF entries": _tiff_entry,
    "TIFF tags": _tiff_tag,
    "TIFF next": _tiff_next,
    "TIFF pages": _tiff_pages,
    "TIFF size": _tiff_large,
}


def _head(raw: bytes, rng: Rng) -> bytes:
    """Change whole fields among the first 64 bytes, where sizes, depths and lengths stand."""
    changed = bytearray(raw)
    for _ in range(int(rng.integers(1, 3))):
        size = one_of(rng, (1, 2, 4))
        at = 2 + int(rng.integers(62))
        changed[at : at + size] = nasty_number(rng, size, one_of(rng, "<>"))
    return bytes(changed)


HEAD: dict[str, Bytes] = {"header fields": _head}
