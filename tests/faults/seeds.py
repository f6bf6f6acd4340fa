"""Sound files of every format the readers take, made by code: what `mutations.py` and its neighbours then damage.

Each seed is a name with its ending and the bytes of a small file that is read without complaint.
"""

import gzip
import io
from collections.abc import Callable
from functools import cache

import numpy as np

__all__ = ["SEEDS", "Seed", "fits", "seed_bytes"]

Seed = tuple[str, Callable[[], bytes]]
_ROWS = 240
RATE = 8000


def _values(channels: int = 3) -> np.ndarray:
    rng, time = np.random.default_rng(1), np.arange(_ROWS)
    return np.stack([np.sin(2 * np.pi * time / 16 + c) + 0.1 * rng.normal(size=_ROWS) for c in range(channels)], 1)


def _clock() -> list[str]:
    return [str(time).replace("T", " ") for time in np.datetime64("2025-03-01T00:00:00") + np.arange(_ROWS) * 60]


def _text(delimiter: str = ",", decimal: str = ".", clock: bool = False, head: str = "", quote: str = "") -> str:
    names = ["temperature", "pressure", "flow"]
    lines = [[f"{value:.4f}".replace(".", decimal) for value in row] for row in _values()]
    if clock:
        names, lines = ["time", *names], [[time, *line] for time, line in zip(_clock(), lines, strict=True)]
    rows = [names, *lines]
    return head + "\n".join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in rows) + "\n"


def _panel() -> str:
    rng = np.random.default_rng(2)
    rows = [[i % 2, *np.sin(np.arange(24) / 8 + rng.uniform(0, 6))] for i in range(30)]
    return "\n".join("\t".join(f"{value:.5f}" if j else str(value) for j, value in enumerate(row)) for row in rows)


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(packed: bool) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, first=_values(), second=_values() + 1)
    return file.getvalue()


def _parquet(kind: str) -> bytes:
    import pandas as pd

    frame = pd.DataFrame(_values(), columns=["temperature", "pressure", "flow"])
    if kind == "clock":
        frame.insert(0, "time", pd.to_datetime(_clock(), utc=True))
    if kind == "mixed":
        frame = frame.assign(count=np.arange(_ROWS), state=["on", "off"] * (_ROWS // 2), good=True).astype(
            {"flow": "f4"}
        )
    file = io.BytesIO()
    frame.to_parquet(file, compression={"clock": "gzip", "mixed": "snappy"}.get(kind, "zstd"), row_group_size=100)
    return file.getvalue()


def _pixels(channels: int = 0, deep: bool = False) -> np.ndarray:
    rng = np.random.default_rng(3)
    shape = (48, 56, channels) if channels else (48, 56)
    wave = 0.5 + 0.3 * np.sin(np.arange(56) / 4)
    noisy = np.clip(wave[None, :, None] if channels else wave[None, :], 0, 1) + rng.normal(0, 0.03, shape)
    return (np.clip(noisy, 0, 1) * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)


def _image(form: str, mode: str = "L", **options: object) -> bytes:
    from PIL import Image

    if mode in ("L", "I;16"):
        image = Image.fromarray(_pixels(deep=mode != "L"))
    else:
        image = Image.fromarray(_pixels(3)).convert(mode)
    if options.pop("exif", False):
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "maker"
        options["exif"] = exif.tobytes()
    pages = options.pop("pages", 0)
    if pages:
        options |= {"save_all": True, "append_images": [image.copy() for _ in range(int(str(pages)) - 1)]}
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _audio(form: str, subtype: str, channels: int = 1) -> bytes:
    import soundfile

    file = io.BytesIO()
    rng, t = np.random.default_rng(4), np.arange(2 * RATE) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 220 * t)[:, None] + 0.02 * rng.normal(size=(len(t), channels))
    soundfile.write(file, tone.astype(np.float32), RATE, format=form, subtype=subtype)
    return file.getvalue()


_LATIN = "time,Temperatur °C,Druck,Fluß\n"
SEEDS: dict[str, tuple[Seed, ...]] = {
    "series text": (
        ("plain.csv", lambda: _text().encode()),
        ("clock.csv", lambda: _text(clock=True).encode()),
        ("semicolon.csv", lambda: _text(";", ",", clock=True).encode()),
        ("tabs.tsv", lambda: _text("\t", clock=True).encode()),
        ("quoted.csv", lambda: _text(clock=True, quote='"').encode()),
        ("spaces.txt", lambda: _text(" ", head="# made by a logger\n").encode()),
        ("panel.tsv", lambda: _panel().encode()),
        ("packed.csv.gz", lambda: gzip.compress(_text(clock=True).encode(), mtime=0)),
        ("latin.csv", lambda: _LATIN.encode("latin-1") + b"".join(_text(clock=True).encode().splitlines(True)[1:])),
        ("wide.csv", lambda: _text(clock=True).encode("utf-16")),
        ("bare.csv", lambda: "\n".join(f"{value:.3f}" for value in _values(1)[:, 0]).encode()),
        ("lines.csv", lambda: _text(clock=True).replace("\n", "\r\n").encode("utf-8-sig")),
    ),
    "series arrays": (
        ("stream.npy", lambda: _npy(_values())),
        ("panel.npy", lambda: _npy(_values(8).reshape(20, 2, -1).astype(">f4"))),
        ("whole.npy", lambda: _npy((_values(1) * 1000).astype(np.int16))),
        ("two.npz", lambda: _npz(packed=False)),
        ("packed.npz", lambda: _npz(packed=True)),
        ("plain.parquet", lambda: _parquet("plain")),
        ("clock.parquet", lambda: _parquet("clock")),
        ("mixed.parquet", lambda: _parquet("mixed")),
    ),
    "images": (
        ("grey.png", lambda: _image("PNG")),
        ("colour.png", lambda: _image("PNG", "RGB")),
        ("deep.png", lambda: _image("PNG", "I;16")),
        ("alpha.png", lambda: _image("PNG", "RGBA")),
        ("palette.png", lambda: _image("PNG", "P", transparency=3)),
        ("photo.jpg", lambda: _image("JPEG", "RGB", exif=True)),
        ("progressive.jpg", lambda: _image("JPEG", progressive=True)),
        ("plain.tif", lambda: _image("TIFF", "RGB")),
        ("pages.tif", lambda: _image("TIFF", pages=3)),
        ("lzma.tif", lambda: _image("TIFF", compression="lzma")),
        ("deflate.tif", lambda: _image("TIFF", "I;16", compression="tiff_adobe_deflate")),
        ("lzw.tif", lambda: _image("TIFF", "RGB", compression="tiff_lzw")),
        ("plain.bmp", lambda: _image("BMP", "RGB")),
        ("lossless.webp", lambda: _image("WEBP", "RGB", lossless=True)),
        ("exif.webp", lambda: _image("WEBP", "RGB", exif=True)),
        ("still.gif", lambda: _image("GIF", "P")),
        ("floats.npy", lambda: _npy(_pixels(3) / 255)),
        ("bytes.npy", lambda: _npy(_pixels())),
    ),
    "audio": (
        ("eight.wav", lambda: _audio("WAV", "PCM_U8")),
        ("plain.wav", lambda: _audio("WAV", "PCM_16", 2)),
        ("deep.wav", lambda: _audio("WAV", "PCM_24")),
        ("whole.wav", lambda: _audio("WAV", "PCM_32")),
        ("floats.wav", lambda: _audio("WAV", "FLOAT", 2)),
        ("adpcm.wav", lambda: _audio("WAV", "IMA_ADPCM")),
        ("long.rf64", lambda: _audio("RF64", "PCM_16")),
        ("long.w64", lambda: _audio("W64", "PCM_16")),
        ("plain.flac", lambda: _audio("FLAC", "PCM_16", 2)),
        ("vorbis.ogg", lambda: _audio("OGG", "VORBIS")),
        ("voice.opus", lambda: _audio("OGG", "OPUS")),
        ("plain.mp3", lambda: _audio("MP3", "MPEG_LAYER_III")),
        ("plain.aiff", lambda: _audio("AIFF", "PCM_16")),
        ("plain.au", lambda: _audio("AU", "PCM_16")),
        ("plain.caf", lambda: _audio("CAF", "PCM_16")),
    ),
}  # fmt: skip


@cache
def seed_bytes(reader: str, name: str) -> bytes:
    """Return the file of that name."""
    return dict(SEEDS[reader])[name]()


def fits(name: str, *endings: str) -> bool:
    """Say whether a seed has one of these endings."""
    return name.endswith(endings)
