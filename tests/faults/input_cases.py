"""The list of cases: which file is damaged how, or what else is given to which reader; each one made from its name.

A name such as `images/photo.jpg/JPEG EXIF/3` says all: the same seed makes the same case, in any process and order.
Read `workers.py` next: it gives cases to the readers and judges what comes out.
"""

import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mutations import BYTES, TEXT, Bytes, Rng, one_of
from mutations_audio import AIFF, FLAC, OGG, RIFF
from mutations_images import HEAD, JPEG, PNG, TIFF
from mutations_tables import NPY, NPZ, PACKED, PARQUET
from odd_objects import (
    AUDIO_OBJECTS,
    AUDIO_OPTIONS,
    IMAGE_OBJECTS,
    IMAGE_OPTIONS,
    SERIES_OBJECTS,
    SERIES_OPTIONS,
    odd_array,
)
from odd_places import PLACES
from seeds import SEEDS, seed_bytes

__all__ = ["COUNTS", "Case", "case_names", "make_case"]

# Suite -> how many cases; 2,000 in all.
COUNTS = {
    "series text": 540,
    "series arrays": 340,
    "series objects": 200,
    "images": 400,
    "image objects": 90,
    "audio": 200,
    "audio objects": 70,
    "places": 90,
    "doors": 70,
}
_READERS = {"series text": "series", "series arrays": "series", "series objects": "series", "image objects": "images"}
_READERS |= {"images": "images", "audio": "audio", "audio objects": "audio"}
_FORMATS: dict[tuple[str, ...], dict[str, Bytes]] = {
    (".npy",): NPY,
    (".npz",): NPZ,
    (".gz",): PACKED,
    (".parquet",): PARQUET,
    (".png",): PNG,
    (".jpg",): JPEG,
    (".tif",): TIFF,
    (".bmp", ".gif", ".webp", ".au", ".caf", ".w64", ".mp3"): HEAD,
    (".wav", ".rf64", ".webp"): RIFF,
    (".aiff",): AIFF,
    (".flac",): FLAC,
    (".ogg", ".opus"): OGG,
}
_OBJECTS = {"series objects": SERIES_OBJECTS, "image objects": IMAGE_OBJECTS, "audio objects": AUDIO_OBJECTS}
_OPTIONS = {"series objects": SERIES_OPTIONS, "image objects": IMAGE_OPTIONS, "audio objects": AUDIO_OPTIONS}


@dataclass(frozen=True)
class Case:
    """What is given to a reader, with which options, and what happens before the contents are decoded."""

    reader: str
    source: Any
    options: dict[str, Any] = field(default_factory=dict)
    then: Callable[[], None] | None = None


def case_names(suite: str, number: int) -> list[str]:
    """List a suite's cases: every kind of damage to every file, again and again, until there are enough."""
    kinds, seen, names = _kinds(suite), Counter[str](), []
    for i in range(number):
        kind = kinds[i % len(kinds)]
        names.append(f"{suite}/{kind}/{seen[kind]}")
        seen[kind] += 1
    return names


def _kinds(suite: str) -> list[str]:
    if suite in SEEDS:
        kinds = [f"{name}/{damage}" for name, _ in SEEDS[suite] for damage in _damages(suite, name)]
    elif suite == "places":
        kinds = [f"{place}/{reader}" for place in PLACES for reader in ("series", "images", "audio")]
    elif suite == "doors":
        others = [other for other in COUNTS if other != "doors"]
        kinds = [f"{door}/{other}" for other in others for door in ("detector", "command")]
        return [kind for kind in kinds if not ("command" in kind and "objects" in kind)]
    else:
        kinds = [str(i) for i in range(len(_OBJECTS[suite]))] + ["array"] * 12 + ["options"] * 20
    return [kinds[i] for i in np.random.default_rng(len(kinds)).permutation(len(kinds))]


def _damages(suite: str, name: str) -> dict[str, Any]:
    own = [damages for endings, damages in _FORMATS.items() if name.endswith(endings)]
    text = TEXT if suite == "series text" and not name.endswith(".gz") else {}
    merged: dict[str, Any] = {}
    for damages in (BYTES, text, *own):
        merged |= damages
    return merged


def make_case(name: str, seed: int, folder: Path) -> Case:
    """Make a case in an empty folder."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    suite, *rest = name.split("/")
    if suite in SEEDS:
        return _damaged(suite, rest[0], rest[1], folder, rng)
    if suite == "places":
        return _placed(rest[0], rest[1], folder, rng)
    return _object(suite, rest[0], folder, rng)


def _damaged(suite: str, name: str, damage: str, folder: Path, rng: Rng) -> Case:
    raw, mutate = seed_bytes(suite, name), _damages(suite, name)[damage]
    if damage in TEXT:
        code = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8" if name != "latin.csv" else "latin-1"
        raw = mutate(raw.decode(code), rng).encode(code, "replace")
    else:
        raw = mutate(raw, rng)
    path = folder / name
    path.write_bytes(raw)
    if rng.random() < 0.75:
        return Case(_READERS[suite], path, _few_options(_READERS[suite], rng))
    (folder / f"good_{name}").write_bytes(seed_bytes(suite, name))  # a damaged file beside a good one
    return Case(_READERS[suite], one_of(rng, (folder, [path, folder / f"good_{name}"])))


def _few_options(reader: str, rng: Rng) -> dict[str, Any]:
    """Say how to read, rightly or not: other code runs when the reader need not find out for itself."""
    if rng.random() < 0.8:
        return {}
    if reader == "audio":
        return {"channels": "each"}
    if reader == "images":
        return {"on_error": "stop"}
    some = (
        {"kind": "panel"},
        {"kind": "stream"},
        {"header": False},
        {"header": True},
        {"delimiter": ","},
        {"timestamp": 0},
    )
    return dict(some[int(rng.integers(len(some)))])


def _placed(place: str, reader: str, folder: Path, rng: Rng) -> Case:
    suite = {"series": ("series text", "series arrays")[int(rng.integers(2))]}.get(reader, reader)
    name = SEEDS[suite][int(rng.integers(len(SEEDS[suite])))][0]
    inside = folder / "inside"
    inside.mkdir()
    source, then = PLACES[place](inside, name, seed_bytes(suite, name), rng)
    return Case(reader, source, then=then)


def _object(suite: str, kind: str, folder: Path, rng: Rng) -> Case:
    reader = _READERS[suite]
    if kind == "array":
        return Case(reader, odd_array(rng))
    if kind != "options":
        return Case(reader, _OBJECTS[suite][int(kind)](rng))
    seed_suite = "series text" if reader == "series" else reader
    name = SEEDS[seed_suite][int(rng.integers(len(SEEDS[seed_suite])))][0]
    path = folder / name
    path.write_bytes(seed_bytes(seed_suite, name))
    options = _OPTIONS[suite]
    chosen = {one_of(rng, tuple(options)) for _ in range(int(rng.integers(1, 3)))}
    values = {option: options[option][int(rng.integers(len(options[option])))] for option in sorted(chosen)}
    return Case(reader, path if rng.random() < 0.8 else rng.normal(size=(60, 3)), values)
