"""Flagged images with what was found drawn on them: PNG files in the image's own size, for whoever looks at files.

The heat map has the colours and the scale of the page; boxes carry the region's rank and score. Large images are drawn
in strips, so that memory is that of the image. Read `../outputs.py` next: it writes them beside the results.
Legend: H, W an image's own pixels.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from oddwave.errors import DataError
from oddwave.report import wording
from oddwave.report.kinds.base import Media
from oddwave.report.kinds.image_figures import MapScale, heat_map, map_scale, shown
from oddwave.report.kinds.views import by_score
from oddwave.results import DetectionResult, ImageResult
from oddwave.visible import visible

__all__ = ["ANNOTATED", "annotated_image"]

_STRIP_ROWS = 512
_STRENGTH = 0.6  # of the heat map upon the image
_BOX, _EDGE, _LABEL, _INK = (255, 157, 77), (0, 0, 0), (168, 67, 0), (255, 255, 255)
_UNSAFE = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_LONGEST_PART = 120  # characters of a name


def annotated_image(item: ImageResult, scale: MapScale) -> Image.Image:
    """Return an image in its own size, in colour, under its heat map and the boxes of its regions.

    Raises: DataError, OSError where its pixels cannot be read again.
    """
    if item.image is None:
        raise DataError("the result does not hold where its pixels are")
    drawn = shown(item.image.pixels()).convert("RGB")
    if item.anomaly_map.size:
        _lay_heat(drawn, item.anomaly_map, scale)
    pen, (width, height) = ImageDraw.Draw(drawn), drawn.size
    line = max(1, round(max(width, height) / 400))
    font = ImageFont.load_default(max(10.0, round(min(width, height) / 36)))
    regions = list(enumerate(by_score(item), start=1))
    for rank, region in reversed(regions):  # the strongest on top
        box = (region.left_px, region.top_px, region.right_px - 1, region.bottom_px - 1)
        pen.rectangle(_wider(box, line), outline=_EDGE, width=1)
        pen.rectangle(box, outline=_BOX, width=line)
        _write_label(pen, (width, height), box, f"{rank}: {wording.score_text(region.score)}", font)
    return drawn


def _wider(box: tuple[int, int, int, int], by: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return left - by, top - by, right + by, bottom + by


def _lay_heat(drawn: Image.Image, anomaly_map: np.ndarray, scale: MapScale) -> None:
    width, height = drawn.size
    for top in range(0, height, _STRIP_ROWS):
        bottom = min(height, top + _STRIP_ROWS)
        heat = heat_map(anomaly_map, (width, height), scale, rows=(top, bottom))
        alpha = heat.getchannel("A").point([round(_STRENGTH * value) for value in range(256)])
        drawn.paste(heat.convert("RGB"), (0, top), alpha)


def _write_label(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: tuple[int, int, int, int],
    text: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    """Write above a box, below where there is no room, always within the image; nothing where it would hide that."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = round(right - left) + 6, round(bottom - top) + 4
    if width > size[0] // 2 or height > size[1] // 3:
        return
    x = max(0, min(box[0], size[0] - width))
    y = box[1] - height if box[1] >= height else min(box[3] + 1, size[1] - height)
    y = max(0, y)
    pen.rectangle((x, y, x + width - 1, y + height - 1), fill=_LABEL)
    pen.text((x + 3 - left, y + 2 - top), text, fill=_INK, font=font)


def _drawable(result: DetectionResult) -> list[ImageResult]:
    return [item for item in result.images if item.flagged and item.image is not None]


def _places(identifiers: Sequence[str]) -> Iterator[str]:
    """Yield where in the folder each image goes: its own path and name, ending in .png; no two alike, none outside."""
    taken: set[str] = set()
    for identifier in identifiers:
        parts = [_UNSAFE.sub("_", part)[-_LONGEST_PART:] for part in identifier.split("/")]
        parts = [part for part in parts if part.strip(". ")] or ["image"]
        name = parts[-1] if parts[-1].lower().endswith(".png") else f"{parts[-1]}.png"
        place, number = "/".join((*parts[:-1], name)), 2
        while place.lower() in taken or any(other.startswith(f"{place.lower()}/") for other in taken):
            place, number = "/".join((*parts[:-1], f"{name[:-4]} ({number}).png")), number + 1
        taken.add(place.lower())
        yield place


def _names(result: DetectionResult) -> dict[str, dict[str, str]]:
    items = _drawable(result)
    return {item.id: {"image": place} for item, place in zip(items, _places([own.id for own in items]), strict=True)}


def _write(result: DetectionResult, folder: Path, only_linked: bool) -> None:
    """Write the flagged images into a new folder; one that cannot be read again is left out, with a warning."""
    scale, names = map_scale(result, lambda item: item.anomaly_map), _names(result)
    for item in _drawable(result):
        try:
            drawn = annotated_image(item, scale)
        except (DataError, OSError) as error:
            warnings.warn(f"{visible(item.id)} is not among the annotated images: {error}", stacklevel=2)
            continue
        place = folder / names[item.id]["image"]
        place.parent.mkdir(parents=True, exist_ok=True)
        drawn.save(place, "png", compress_level=3)


ANNOTATED = Media(folder="annotated", names=_names, linked=lambda result: False, write=_write)
