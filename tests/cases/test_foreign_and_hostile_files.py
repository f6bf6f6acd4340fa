"""Files that are something else are named as what they are; files that claim too much are refused before it costs."""

import os
import struct
import time
import zlib

import numpy as np
import pytest
import soundfile
from PIL import Image

from oddwave.errors import DataError
from oddwave.sources.audio.reader import read_audio
from oddwave.sources.image.reader import read_images
from oddwave.sources.image.roi import read_roi

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 14), dtype=np.uint8)
NOISE = (0.1 * RNG.normal(size=4000)).astype(np.float32)


def why(read, path):
    found = read([path, save_good(read, path.parent)])
    (failure,) = found.failures
    assert found.entries[0] is failure
    assert "\n" not in failure.message
    return failure.reason


def save_good(read, folder):
    if read is read_audio:
        soundfile.write(folder / "good.wav", NOISE, 8000)
        return folder / "good.wav"
    Image.fromarray(GREY).save(folder / "good.png")
    return folder / "good.png"


def iso(brand, *others):
    return struct.pack(">I", 16 + 4 * len(others)) + b"ftyp" + brand + bytes(4) + b"".join(others)


FOREIGN = {
    "photo.heic": (iso(b"heic", b"mif1", b"heic"), "a HEIC image"),
    "photo.jpg": (iso(b"mif1", b"mif1", b"heic"), "a HEIC image"),
    "photo.avif": (iso(b"avif", b"mif1", b"miaf"), "an AVIF image"),
    "raw.cr3": (iso(b"crx ", b"isom"), "a camera's raw file (CR3)"),
    "raw.cr2": (b"II*\0\x10\0\0\0CR\x02\0", "a camera's raw file (CR2)"),
    "a.raf": (b"FUJIFILMCCD-RAW 0201", "a camera's raw file (RAF)"),
    "a.psd": (b"8BPS\0\1", "a Photoshop file"),
    "a.dcm": (bytes(128) + b"DICM", "a DICOM file"),
    "a.png": (b"%PDF-1.7", "a PDF document"),
    "b.png": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "an SVG drawing"),
    "c.jpg": (b"\n<!DOCTYPE html><html>", "a web page"),
    "d.png": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "e.tif": (iso(b"isom", b"mp42"), "a video"),
    "f.bmp": (b"PK\3\4", "a ZIP archive"),
    "g.jp2": (b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 image"),
    "h.jxl": (b"\0\0\0\x0cJXL \r\n", "a JPEG XL image"),
}
FOREIGN_AUDIO = {
    "a.m4a": (iso(b"M4A ", b"mp42"), "an M4A (AAC) recording"),
    "a.wav": (b"#!AMR\n", "an AMR recording"),
    "a.aac": (b"\xff\xf1\x50\x80", "an AAC recording"),
    "a.wma": (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media recording"),
    "b.wav": (b"\x1a\x45\xdf\xa3", "a video or recording (Matroska"),
    "c.wav": (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    "d.wav": (b"<html>", "a web page"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_images_in_other_formats_are_named(tmp_path, name):
    content, what = FOREIGN[name]
    (tmp_path / name).write_bytes(content.ljust(200, b"\0"))
    assert f"is {what}" in why(read_images, tmp_path / name)


@pytest.mark.parametrize("name", FOREIGN_AUDIO)
def test_recordings_in_other_formats_are_named(tmp_path, name):
    content, what = FOREIGN_AUDIO[name]
    (tmp_path / name).write_bytes(content.ljust(200, b"\0"))
    assert f"is {what}" in why(read_audio, tmp_path / name)


def test_other_formats_have_a_place_in_a_folder_unless_the_same_shot_lies_beside_them(tmp_path):
    save_good(read_images, tmp_path)
    for name in ("a.heic", "good.dng", "clip.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(FOREIGN["photo.heic"][0])
    found = read_images(tmp_path)
    assert [entry.id for entry in found.entries] == ["a.heic", "good.png"]
    assert "3 file(s) that are no images ignored: clip.mp4, good.dng, notes.txt" in found.notes
    (tmp_path / "good.png").unlink()
    with pytest.raises(DataError, match=r"is a HEIC image that is damaged|needs the extra 'heif'"):
        read_images(tmp_path)


def test_a_raw_file_in_a_tiff_is_not_judged_by_its_thumbnail(tmp_path):
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[50706] = bytes([1, 4, 0, 0])
    tags.tagtype[50706] = 1
    Image.fromarray(GREY).save(tmp_path / "a.tif", tiffinfo=tags)
    assert "raw file (DNG)" in why(read_images, tmp_path / "a.tif")
    tags = ImageFileDirectory_v2()
    tags[254], tags[330] = 1, 8
    tags.tagtype[330] = 4
    Image.fromarray(GREY).save(tmp_path / "b.tif", tiffinfo=tags)
    assert "holds a thumbnail and nothing else" in why(read_images, tmp_path / "b.tif")


@pytest.mark.parametrize(
    "shape",
    [
        "(10000000, 10000000)",
        f"({2**62}, 4)",
        f"({10**30}, 10)",
        "(-1, 4)",
        "(0, 4)",
        "()",
        "(4",
        "((" * 3000,
        "(4.5, 2)",
    ],
    ids=lambda shape: shape[:20],
)
def test_npy_headers_that_claim_what_is_not_there(tmp_path, shape):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + bytes(16))
    why(read_images, path)
    with pytest.raises(DataError):
        read_roi(path)


def test_npy_files_of_objects_are_not_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}, []], object), allow_pickle=True)
    why(read_images, tmp_path / "a.npy")


def test_many_pages_cost_their_number_not_its_square(tmp_path):
    def seconds(num):
        pages = [Image.fromarray(GREY) for _ in range(num)]
        pages[0].save(tmp_path / f"{num}.tif", save_all=True, append_images=pages[1:])
        start = time.process_time()
        (item,) = read_images(tmp_path / f"{num}.tif").items
        assert item.pixels().shape == (9, 14, num)
        return time.process_time() - start

    seconds(2)
    assert seconds(500) < 12 * max(seconds(100), 0.05)


def test_more_pages_than_any_camera_has_lights_are_refused(tmp_path):
    pages = [Image.fromarray(GREY[:1, :1])] * 1001
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert "has 1000 pages or more" in why(read_images, tmp_path / "a.tif")


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * min(height, 1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_what_unpacks_to_far_more_than_it_holds_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(11_000, 11_000))
    assert "as bombs do" in why(read_images, tmp_path / "a.png")
    bomb = zlib.compress(bytes(100_000_000))
    for name, kind, head in (
        ("t.png", b"zTXt", b"a\0\0"),
        ("i.png", b"iTXt", b"a\0\1\0\0\0"),
        ("c.png", b"iCCP", b"a\0\0"),
    ):
        (tmp_path / name).write_bytes(png(8, 8, chunk(kind, head + bomb)))
        start = time.process_time()
        found = read_images([tmp_path / name, save_good(read_images, tmp_path)])
        assert all(item.try_pixels() is not None for item in found.items)
        assert time.process_time() - start < 5


def test_a_flat_image_may_be_packed_tightly(tmp_path):
    Image.new("L", (3000, 3000)).save(tmp_path / "a.png")
    assert read_images(tmp_path / "a.png").items[0].size == (3000, 3000)


@pytest.mark.parametrize("read", [read_images, read_audio])
def test_what_is_no_ordinary_file_is_not_opened(tmp_path, read):
    ending = save_good(read, tmp_path).suffix
    os.mkfifo(tmp_path / f"fifo{ending}")
    (tmp_path / f"zero{ending}").symlink_to("/dev/zero")
    (tmp_path / f"folder{ending}").mkdir()
    (tmp_path / f"loop{ending}").symlink_to(tmp_path / f"loop{ending}")
    for name in ("fifo", "zero", "folder", "loop"):
        assert why(read, tmp_path / f"{name}{ending}")
    assert len(read(tmp_path).entries) == 4  # the folder is looked into, and is no file


def patched(path, at, new):
    content = bytearray(path.read_bytes())
    content[at : at + len(new)] = new
    path.write_bytes(content)
    return path


def test_headers_of_audio_that_claim_absurd_lengths_and_rates(tmp_path):
    def wav(name, at, new):
        soundfile.write(tmp_path / name, NOISE, 8000, subtype="PCM_16")
        return patched(tmp_path / name, at, new)

    for rate in (1, 99, 20_000_001, 2**31 - 1):
        assert "its header is damaged" in why(read_audio, wav("rate.wav", 24, struct.pack("<I", rate)))
    for size in (2**32 - 2, 2**31 - 2, 10**9):
        (item,) = read_audio(wav("length.wav", 40, struct.pack("<I", size)), on_error="stop").items
        assert item.num_samples == len(item.samples(8000)) == 4000
    soundfile.write(tmp_path / "a.flac", NOISE, 8000)
    flac = patched(tmp_path / "a.flac", 21, b"\x7f\xff\xff\xff\xff")  # 2^36 samples, most of a year
    found = read_audio(flac).entries[0] if why_or_read(flac) else None
    assert found is None or found.num_samples <= 4000


def why_or_read(path):
    try:
        return bool(read_audio(path).items)
    except DataError:
        return False
