"""One point of `growth.py`: fits on data of one size, or scores data of one size, in a process of its own.

Before it is timed a small part is fitted on and scored, so that imports and compilation count for nothing; `peak_mb` is
the process's peak above what was resident then.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from oddwave.config import DetectorConfig, preset
from oddwave.detector import Detector
from oddwave.lab.bench.environment import peak_memory_mb, reset_peak_memory
from oddwave.lab.bench.jobs import Measured, answer
from oddwave.lab.bench.made_data import make_images, make_recordings, make_stream

__all__ = ["measure", "sources"]

_CHANNEL_POINTS, _SIZED_IMAGES = 3000, 16
_SAMPLE_RATE = 16_000
_SHAPES = ("series-channels", "image-size")  # a model knows one number of channels, one size


def measure(job: Mapping[str, Any]) -> Measured:
    """Run a job: `axis`, `modality`, `preset`, `side`, `value`, `smallest`, `folder`."""
    make, folder = sources(job["axis"]), Path(job["folder"])
    small = make(folder, int(job["smallest"]))
    source = make(folder, int(job["value"]))
    if job["side"] == "fit":
        Detector(_settings(job, int(job["smallest"]))).fit(small).decision_function(small)
        return _spent(lambda: Detector(_settings(job, int(job["value"]))).fit(source))
    learnt = make(folder, int(job["value"])) if job["axis"] in _SHAPES else small  # scored is what was learnt
    detector = Detector(_settings(job, int(job["value"]))).fit(learnt)
    detector.decision_function(small if job["axis"] not in _SHAPES else source)
    return _spent(lambda: detector.decision_function(source))


def sources(axis: str) -> Callable[[Path, int], Any]:
    """Return what makes the data of an axis: of a folder and a value."""
    return {
        "series-points": lambda folder, value: make_stream(value, 1, seed=0)[0],
        "series-channels": lambda folder, value: make_stream(_CHANNEL_POINTS, value, seed=0)[0],
        "image-items": lambda folder, value: make_images(folder / "images", value, seed=0, faulty=0.0)[0],
        "image-size": lambda folder, value: make_images(
            folder / f"sized_{value}", _SIZED_IMAGES, seed=0, faulty=0.0, size_px=value
        )[0],
        "audio-items": lambda folder, value: make_recordings(folder / "audio", value, seed=0, faulty=0.0)[0],
        "audio-length": lambda folder, value: make_recordings(
            folder / f"long_{value}", 1, seed=0, faulty=0.0, seconds=float(value)
        )[0],
    }[axis]


def _settings(job: Mapping[str, Any], value: int) -> DetectorConfig:
    settings = preset(job["preset"], job["modality"])
    if job["modality"] == "audio":
        return settings.with_overrides([f"audio.sample_rate={_SAMPLE_RATE}"])
    return settings.with_overrides([f"image.size_px={value}"]) if job["axis"] == "image-size" else settings


def _spent(work: Callable[[], Any]) -> Measured:
    """Do the work, and return the seconds and the memory that it took."""
    reset_peak_memory()
    before_mb, began = peak_memory_mb(), (time.process_time(), time.perf_counter())
    work()
    cpu_s, wall_s = time.process_time() - began[0], time.perf_counter() - began[1]
    return {"cpu_s": cpu_s, "wall_s": wall_s, "peak_mb": peak_memory_mb() - before_mb, "before_mb": before_mb}


if __name__ == "__main__":
    answer(measure)
