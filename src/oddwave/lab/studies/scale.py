"""What a billion items cost: seconds per item of each modality on this machine, and the arithmetic from there.

    python -m oddwave.lab.studies.scale [--items 200] [--only image] [-o RESULT.json]

Made-up data: small and usual images, recordings of ten seconds, series of a thousand points and two channels. For each,
a model of the preset `fast` is fitted on few normals (the memory is as full as the data allow), one pass warms up, and
the second is measured, in one process with one thread: processor seconds, which a busy machine inflates less than the
clock. Beside them the bytes of an item, of its row in a shard, and the memory that a process holds. The arithmetic is
`billion`; prices are the reader's.
"""

import argparse
import io
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.dist.fetching import units_of
from oddwave.dist.listing import listed
from oddwave.dist.shards import scored_rows
from oddwave.lab.studies.killed_ray import encoded, small_model, weaves

__all__ = ["MODALITIES", "billion", "main"]

RATE_HZ, SECONDS, POINTS = 16_000, 10, 1_000
_SIDE_PX = 256
_NORMALS = {"image": 60, "audio": 30}
BILLION = 10**9


def billion(cpu_s: float, item_bytes: float, row_bytes: float) -> dict[str, float]:
    """Return the core hours of a billion items, terabytes to be read and written, and what each core reads per second.

    The cost is core hours times the price of one, plus the terabytes' own where a store charges for reading.
    """
    return {
        "core_hours": BILLION * cpu_s / 3600,
        "read_tb": BILLION * item_bytes / 1e12,
        "written_tb": BILLION * row_bytes / 1e12,
        "mb_per_s_and_core": item_bytes / cpu_s / 1e6,
        "items_per_s_and_core": 1 / cpu_s,
    }


def pictures(num: int, seed: int) -> Iterator[Float[np.ndarray, "H W"]]:
    """Yield images of a brushed surface, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:_SIDE_PX, :_SIDE_PX] / _SIDE_PX
    for _ in range(num):
        lines = np.sin(2 * np.pi * (12 * x + rng.uniform(0, 1))) * np.cos(2 * np.pi * (3 * y + rng.uniform(0, 0.2)))
        yield np.clip(0.5 + 0.2 * lines + rng.normal(0, 0.02, x.shape), 0, 1)


def hums(num: int, seed: int) -> Iterator[Float[np.ndarray, " n"]]:
    """Yield ten seconds of a hum in noise."""
    rng, moments = np.random.default_rng(seed), np.arange(RATE_HZ * SECONDS) / RATE_HZ
    for _ in range(num):
        tones = sum(np.sin(2 * np.pi * own * moments + rng.uniform(0, 6)) / own for own in (60, 120, 300, 1_450))
        yield 5 * np.asarray(tones) + 0.02 * rng.normal(size=len(moments))


def readings(n: int, seed: int) -> Float[np.ndarray, "n 2"]:
    """Return two seasonal channels in noise."""
    rng, place = np.random.default_rng(seed), np.arange(n)
    return np.stack([np.sin(2 * np.pi * place / period) for period in (24, 60)], 1) + 0.1 * rng.normal(size=(n, 2))


def _small(folder: Path, num: int) -> Detector:
    for number, image in enumerate(weaves(num, np.random.default_rng(2))):
        (folder / f"{number:05d}.png").write_bytes(encoded(image))
    return Detector.load(small_model(folder.parent, 0))


def _image(folder: Path, num: int) -> Detector:
    for number, image in enumerate(pictures(num, 2)):
        sink = io.BytesIO()
        Image.fromarray(np.uint8(255 * image)).save(sink, "png")
        (folder / f"{number:05d}.png").write_bytes(sink.getvalue())
    return Detector(preset("fast", "image")).fit(list(pictures(_NORMALS["image"], 1)))


def _audio(folder: Path, num: int) -> Detector:
    import soundfile

    for number, samples in enumerate(hums(max(4, num // 8), 2)):
        soundfile.write(folder / f"{number:05d}.wav", samples, RATE_HZ, subtype="PCM_16")
    normals = {f"n{i}": (own.astype(np.float32), RATE_HZ) for i, own in enumerate(hums(_NORMALS["audio"], 1))}
    return Detector(preset("fast", "audio")).fit(normals)


def _series(folder: Path, num: int) -> Detector:
    for number in range(max(4, num // 8)):
        np.savetxt(folder / f"{number:05d}.csv", readings(POINTS, 100 + number), "%.5f", ",", header="a,b", comments="")
    np.savetxt(folder.parent / "normal.csv", readings(4_000, 1), "%.5f", ",", header="a,b", comments="")
    return Detector(preset("fast")).fit(folder.parent / "normal.csv")


MODALITIES: dict[str, Callable[[Path, int], Detector]] = {
    "small image": _small, "image": _image, "audio": _audio, "series": _series,
}  # fmt: skip


def measured(name: str, num: int) -> dict[str, float]:
    """Measure one modality."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "data"
        folder.mkdir()
        began = time.process_time()
        detector = MODALITIES[name](folder, num)
        fit_s = time.process_time() - began
        listing = listed(str(folder), detector.config.modality)
        units = units_of(listing.task(0, listing.pieces[0]))
        scored_rows(detector, units[: max(2, len(units) // 5)], {})
        began, clock = time.process_time(), time.perf_counter()
        rows = scored_rows(detector, units, {})
        cpu_s, wall_s = time.process_time() - began, time.perf_counter() - clock
        item_bytes = sum(path.stat().st_size for path in folder.iterdir()) / len(units)
        row_bytes = _row_bytes(rows) / len(units)
    found = {
        "items": len(units),
        "making_and_fit_cpu_s": fit_s,
        "cpu_s_per_item": cpu_s / len(units),
        "clock_s_per_item": wall_s / len(units),
        "item_bytes": item_bytes,
        "row_bytes": row_bytes,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    return found | billion(found["cpu_s_per_item"], item_bytes, row_bytes)


def _row_bytes(rows: dict[str, list[Any]]) -> int:
    """Return the bytes of rows in a shard."""
    import pyarrow as pa
    from pyarrow import parquet

    sink = io.BytesIO()
    parquet.write_table(pa.table(rows), sink, compression="zstd")
    return sink.tell()


def main(arguments: list[str] | None = None) -> None:
    """Measure all, and print or write the result; what is written grows modality by modality."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--only", choices=tuple(MODALITIES))
    parser.add_argument("-o", type=Path)
    asked = parser.parse_args(arguments)
    found: dict[str, dict[str, float]] = {}
    for name in [asked.only] if asked.only else MODALITIES:
        found[name] = {key: float(f"{value:.4g}") for key, value in measured(name, asked.items).items()}
        print(json.dumps({name: found[name]}, indent=2), flush=True)
        if asked.o:
            asked.o.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
