"""Recordings for `run_onnx.py`: WAV files to overlapping clips, as `oddwave score` cuts them.

What that does and this does not: other sample rates than the model's, channels that cancel each other, other formats
than whole-number WAV (with the package soundfile, all that it reads).
"""

import wave
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["scored"]


def scored(
    item: str, spec: dict[str, Any], known: Mapping[str, np.ndarray], run: Callable[..., list[np.ndarray]]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the scores of a recording's clips."""
    make = spec["preparation"]
    samples, rate = read(item)
    if rate != make["sample_rate"]:
        raise ValueError(f"is at {rate} Hz: resample it to {make['sample_rate']} Hz, as the model hears")
    if not len(samples):
        raise ValueError("holds no samples")
    mix = samples @ np.full(samples.shape[1], 1 / samples.shape[1], np.float32)
    length, hop = make["clip_samples"], make["hop_samples"]
    starts = list(range(0, max(len(mix) - length, 0) + 1, hop))
    if starts[-1] + length < len(mix):
        starts.append(len(mix) - length)
    scores = []
    for start in starts:
        clip = mix[start : start + length]
        mean = np.float32(clip.mean(dtype=np.float64))
        clip = np.pad(clip, (0, length - len(clip)), mode="symmetric") - mean
        scores.append(run(clip[None].astype(np.float32))[0])
    yield item, np.concatenate(scores)


def read(item: str) -> tuple[np.ndarray, int]:
    """Return samples (n, C), 1 being full scale, and the sample rate."""
    try:
        import soundfile
    except (ImportError, OSError):
        soundfile = None
    if soundfile is not None:
        try:
            found: tuple[np.ndarray, int] = soundfile.read(item, dtype="float32", always_2d=True)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        return found
    try:
        with wave.open(item, "rb") as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            data = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
    except (wave.Error, EOFError) as error:
        raise ValueError(f"is no WAV file of whole numbers ({error}): install soundfile, or convert it") from error
    if width == 1:
        values = (data.astype(np.float64) - 128.0) / 128.0
    else:  # little-endian whole numbers of 16, 24 or 32 bits, as the upper bytes of 32
        wide = np.zeros((len(data) // width, 4), np.uint8)
        wide[:, 4 - width :] = data[: len(wide) * width].reshape(-1, width)
        values = wide.view("<i4")[:, 0] / 2.0**31
    return values.astype(np.float32).reshape(-1, channels), rate
