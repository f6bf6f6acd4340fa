"""Settings of version 0.1 that have another place or name now: they are taken, with a warning."""

import warnings
from collections.abc import Mapping
from typing import Any

__all__ = ["moved", "with_moved"]

_NOW_OF_MAPS = frozenset(
    (
        *("space", "error", "perceptual", "perceptual_path", "taps", "memory_grid", "denoiser_grid"),
        *("pixel_size_px", "patch_memory", "statistics", "aligned", "top_share"),
    )
)
_RENAMED = {"max_pictures": "max_images"}


def moved(path: list[str]) -> list[str]:
    """Return where a setting of version 0.1 is now, with a warning."""
    if len(path) != 2 or path[0] != "image":
        return path
    section = "maps" if path[1] in _NOW_OF_MAPS else path[0]
    now = [section, _RENAMED.get(path[1], path[1])]
    if now != path:
        warnings.warn(f"setting '{'.'.join(path)}' is '{'.'.join(now)}' since 0.2", DeprecationWarning, stacklevel=3)
    return now


def with_moved(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings with those of version 0.1 where they are now, with a warning for each."""
    image = data.get("image")
    if not isinstance(image, Mapping) or not any(_is_moved(str(key)) for key in image):
        return data
    sections: dict[str, dict[str, Any]] = {
        "image": {},
        "maps": dict(data["maps"]) if isinstance(data.get("maps"), Mapping) else {},
    }
    for key, value in image.items():
        section, name = moved(["image", str(key)])
        sections[section][name] = value
    return {**data, **sections}


def _is_moved(key: str) -> bool:
    return key in _NOW_OF_MAPS or key in _RENAMED
