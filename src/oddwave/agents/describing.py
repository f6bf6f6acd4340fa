"""What is said of data before anything is learnt from them, and of a model. Read `tools.py` for who asks."""

from pathlib import Path
from typing import Any

import numpy as np

from oddwave.detection.corrections import newest_first
from oddwave.detection.joint_parts import is_joint
from oddwave.detection.model_folder import read_meta
from oddwave.detection.saved import read_saved
from oddwave.errors import ConfigError
from oddwave.service.answers import plain
from oddwave.sources.audio.reader import read_audio
from oddwave.sources.image.reader import read_images
from oddwave.sources.series.reader import read_series
from oddwave.visible import visible

__all__ = ["described", "described_model"]

_MOST = 20  # items, channels and failures that are named
_ROWS = 5  # first rows that are shown


def described(data: str, modality: str) -> dict[str, Any]:
    """Return what a source holds, as its reader sees it. Raises: DataError."""
    readers: dict[str, Any] = {"series": _series, "image": _images, "audio": _recordings}
    found, more = readers[modality](data)
    failures = [failure.message for failure in found.failures]
    return {
        "modality": modality,
        "num_items": len(found.items),
        "num_unreadable": len(failures),
        **more,
        "unreadable": failures[:_MOST],
        "notes": list(dict.fromkeys([*found.notes, *(note for item in found.items for note in item.notes)]))[:_MOST],
    }


def _series(data: str) -> tuple[Any, dict[str, Any]]:
    found = read_series(data, on_error="skip")
    return found, {"kind": found.kind, "items": [_of_stream(item) for item in found.items[:_MOST]]}


def _of_stream(item: Any) -> dict[str, Any]:
    channels = []
    for name, values in zip(item.channel_names[:_MOST], item.values.T, strict=False):
        known = values[np.isfinite(values)].astype(float)
        about = {"lowest": known.min(), "mean": known.mean(), "highest": known.max()} if len(known) else {}
        channels.append({"name": name, "num_missing": len(values) - len(known), **about})
    times = item.timestamps
    clock = {} if times is None or not len(times) else {"first_time": str(times[0]), "last_time": str(times[-1])}
    return {
        "id": item.id,
        "num_points": len(item.values),
        "num_channels": len(item.channel_names),
        **clock,
        "seconds_between_points": item.sample_period_s,
        "channels": channels,
        "first_rows": item.values[:_ROWS, :_MOST].astype(float),
    }


def _images(data: str) -> tuple[Any, dict[str, Any]]:
    found = read_images(data)
    sizes, counts = np.unique(np.array(found.sizes), axis=0, return_counts=True)
    shapes = [
        {"height_px": int(height), "width_px": int(width), "num_images": int(count)}
        for (height, width), count in list(zip(sizes, counts, strict=True))[:_MOST]
    ]
    return found, {"sizes": shapes, "items": [item.id for item in found.items[:_MOST]]}


def _recordings(data: str) -> tuple[Any, dict[str, Any]]:
    found = read_audio(data)
    lengths = [item.num_samples / item.sample_rate for item in found.items]
    items = [
        {"id": item.id, "duration_s": length, "sample_rate_hz": item.sample_rate, "num_channels": item.num_channels}
        for item, length in list(zip(found.items, lengths, strict=True))[:_MOST]
    ]
    return found, {"total_duration_s": sum(lengths), "items": items}


def described_model(folder: Path) -> dict[str, Any]:
    """Return what a model was trained on and how it judges. Raises: CheckpointError; ConfigError for a joint model."""
    if is_joint(read_meta(folder)):
        raise ConfigError(f"'{visible(folder.name)}' is a model of several modalities: use the Python library for it")
    saved = read_saved(folder)
    about: dict[str, Any] = plain(
        {
            "modality": saved.config.modality,
            "preset": saved.config.preset,
            "facts": saved.facts(),
            "channels": list(saved.meta.get("channel_names", [])),
            "alpha": saved.alpha,
            "smallest_alpha": saved.smallest_alpha,
            "threshold": saved.threshold,
            "warnings": list(saved.meta.get("warnings", [])),
            "feedback": [str(mark) for mark in newest_first(saved.corrections)],
        }
    )
    return about
