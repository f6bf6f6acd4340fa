"""What is drawn of images: thumbnails, heat maps, normal versions and differences, as data URIs.

They are scaled down, so that one file holds thousands of images and still opens quickly. Heat
maps have one scale for the whole page: 0 is the normal level, `MapScale.top` the end of the colours. Read
`../templates/items.js` next: it switches between these images.

Legend: H, W an image's pixels, h, w those of a smaller map of the whole image, C channels, n entries of the ramp.
"""

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter, features

from oddwave.report import wording
from oddwave.results import DetectionResult

__all__ = [
    "DETAIL_PX",
    "QUALITY",
    "SMALL_QUALITY",
    "MapScale",
    "channels_text",
    "detail_size",
    "difference",
    "encoded",
    "heat_map",
    "interpolated",
    "map_legend",
    "map_scale",
    "outline",
    "shown",
    "signed_colours",
    "thumbnail",
]

THUMB_PX = 128
THUMB_BYTES = 4_096
DETAIL_PX = 512
QUALITY, SMALL_QUALITY = 80, 60
SMALLEST_DETAIL_PX = 256  # smaller images are magnified in whole steps, so that their pixels can be told apart
TOP_IN_THRESHOLDS = 3.0
_BILINEAR = Image.Resampling.BILINEAR
_RAMP = np.array([(79, 41, 128), (125, 45, 136), (172, 48, 128), (211, 63, 109), (235, 95, 95), (253, 129, 84),
                  (255, 167, 85), (255, 205, 110), (255, 241, 152)])  # fmt: skip


@dataclass(frozen=True, slots=True)
class MapScale:
    """Which values of the anomaly maps the colours stand for: 0 to `top`; `threshold` is None where there is none."""

    top: float
    threshold: float | None


def map_scale(result: DetectionResult, map_of: Callable[[Any], np.ndarray | None]) -> MapScale:
    """Return the scale common to all heat maps: up to three pixel thresholds, or to the largest value without one."""
    threshold = result.calibration.pixel_threshold
    if threshold is not None and math.isfinite(threshold) and threshold > np.finfo(np.float32).tiny:  # of equal images
        return MapScale(TOP_IN_THRESHOLDS * threshold, threshold)
    maps = [map_of(item) for item in result.items]
    largest = [each[np.isfinite(each)].max(initial=0.0) for each in maps if each is not None]
    return MapScale(float(max(largest, default=0.0)) or 1.0, None)


def colour_ramp(num_colours: int = 256) -> UInt8[np.ndarray, "n 3"]:
    """Return the heat map's colours from violet over red and orange to light yellow, as red, green and blue.

    Their lightness in OKLab (Ottosson 2020) rises evenly, so equal steps of the map look equally large.
    """
    return interpolated(_RAMP, np.linspace(0.0, 1.0, num_colours))


def interpolated(stops: np.ndarray, place: np.ndarray) -> UInt8[np.ndarray, "*shape 3"]:
    """Return the colours at places in [0, 1] between even stops, the first at 0 and the last at 1."""
    at = np.linspace(0.0, 1.0, len(stops))
    channels = [np.interp(np.clip(place, 0.0, 1.0), at, stops[:, channel]) for channel in range(3)]
    return np.asarray(np.round(np.stack(channels, axis=-1)), dtype=np.uint8)


def _opacity(values: Float[np.ndarray, "*shape"], scale: MapScale) -> Float[np.ndarray, "*shape"]:
    """Clear at and below the normal level, full from the threshold on; in between it rises slowly."""
    full = scale.top / TOP_IN_THRESHOLDS if scale.threshold is None else scale.threshold
    return np.asarray(np.square(np.clip(values, 0.0, full) / full))


def heat_map(
    anomaly_map: Float[np.ndarray, "h w"], size: tuple[int, int], scale: MapScale, rows: tuple[int, int] | None = None
) -> Image.Image:
    """Return an anomaly map as an overlay of `size` (width, height): values interpolated first, then coloured.

    With `rows`, only those from the first to before the second come back.
    """
    width, height = size
    first, end = rows or (0, height)
    share = anomaly_map.shape[0] / height
    box = (0.0, first * share, float(anomaly_map.shape[1]), end * share)
    values = np.nan_to_num(anomaly_map.astype(np.float32), nan=0.0, posinf=scale.top, neginf=0.0)
    smooth = np.asarray(Image.fromarray(values).resize((width, end - first), _BILINEAR, box=box))
    ramp = colour_ramp()
    place = np.clip(smooth, 0.0, scale.top) / scale.top * (len(ramp) - 1)
    alpha = np.round(255 * _opacity(smooth, scale)).astype(np.uint8)
    return Image.fromarray(np.concatenate([ramp[place.astype(int)], alpha[..., None]], axis=2))


def map_legend(scale: MapScale, name: str, finding: str, background: str = "") -> dict[str, Any]:
    """Return the colour scale that all maps share; `mark` is the threshold's place in percent.

    The stops are those of a CSS gradient, as see-through as the map itself; a `background` may lie under them.
    """
    at = np.linspace(0.0, 1.0, 25)
    colours = zip(colour_ramp(25).tolist(), _opacity(at * scale.top, scale), strict=True)
    return {
        "name": name,
        "finding": finding,
        "stops": ", ".join(f"rgb({r} {g} {b} / {a:.2f})" for (r, g, b), a in colours),
        "background": background,
        "mark": None if scale.threshold is None else 100 * scale.threshold / scale.top,
        "threshold": "" if scale.threshold is None else wording.score_text(scale.threshold),
        "top": wording.score_text(scale.top),
    }


def shown(pixels: Float[np.ndarray, "H W C"]) -> Image.Image:
    """Return what of an image's channels a screen can show; see `channels_text`."""
    num_channels = pixels.shape[2]
    if num_channels in (3, 4):
        chosen = pixels[..., :3]
    else:
        chosen = pixels.mean(axis=2, dtype=np.float32) if num_channels > 1 else pixels[..., 0]
    return Image.fromarray(np.round(255 * np.clip(np.nan_to_num(chosen), 0.0, 1.0)).astype(np.uint8))


def channels_text(num_channels: int) -> str:
    """Return what `shown` leaves out; nothing where it shows all."""
    if num_channels in (1, 3):
        return ""
    if num_channels == 4:
        return "The first three of four channels are shown."
    return f"The mean of {num_channels} channels is shown."


def detail_size(size: tuple[int, int], most: int = DETAIL_PX) -> tuple[int, int]:
    """Return the (width, height) in which an image of that (width, height) is drawn, of at most `most` px a side."""
    longest = max(size)
    if longest > most:
        return max(1, round(size[0] * most / longest)), max(1, round(size[1] * most / longest))
    factor = math.ceil(SMALLEST_DETAIL_PX / longest) if longest < SMALLEST_DETAIL_PX else 1
    return size[0] * factor, size[1] * factor


def difference(
    pixels: Float[np.ndarray, "H W C"], normal: Float[np.ndarray, "h w C2"], size: tuple[int, int]
) -> tuple[Image.Image, float]:
    """Return where an image is brighter (orange) or darker (blue) than its normal version, and what full colour means.

    The two are compared at the normal version's own resolution, so that its missing fine detail is no difference.
    """
    grey = shown(pixels).convert("L").resize((normal.shape[1], normal.shape[0]), Image.Resampling.BOX)
    gap = (np.asarray(grey, dtype=np.float32) - np.asarray(shown(normal).convert("L"), dtype=np.float32)) / 255
    full = max(0.1, float(np.quantile(np.abs(gap), 0.999)))
    smooth = np.asarray(Image.fromarray(gap).resize(size, _BILINEAR))
    return signed_colours(smooth, full), full


def signed_colours(values: Float[np.ndarray, "h w"], full: float) -> Image.Image:
    """Return values above 0 in orange, those below in blue, and 0 in light grey; full colour from `full` on."""
    strength = np.clip(np.abs(values) / full, 0.0, 1.0)[..., None]
    equal, above, below = np.array([236.0] * 3), np.array([196.0, 78.0, 0.0]), np.array([0.0, 92.0, 160.0])
    colours = equal + strength * (np.where(values[..., None] > 0, above, below) - equal)
    return Image.fromarray(np.round(colours).astype(np.uint8))


def outline(part: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Return the edge of a part (h, w) as an overlay of `size` (width, height), light upon dark."""
    mask = Image.fromarray(np.asarray(part, np.uint8) * 255).resize(size, _BILINEAR).point([0] * 128 + [255] * 128)
    wide = mask.filter(ImageFilter.MaxFilter(5))
    edge = np.asarray(mask.filter(ImageFilter.MaxFilter(3))) != np.asarray(mask)
    ring = np.asarray(wide) != np.asarray(mask.filter(ImageFilter.MinFilter(3)))
    drawn = np.zeros((size[1], size[0], 4), np.uint8)
    drawn[ring] = (0, 0, 0, 110)
    drawn[edge] = (120, 220, 255, 255)
    return Image.fromarray(drawn)


def thumbnail(image: Image.Image) -> str:
    """Return a small version of at most 128 px as a data URI of at most 4 KB or so."""
    small = image.copy()
    small.thumbnail((THUMB_PX, THUMB_PX), reducing_gap=2.0)
    data, kind = _bytes(small, quality=60)
    if len(data) > THUMB_BYTES:
        data, kind = _bytes(small, quality=20)
    return _data_uri(data, kind)


def encoded(image: Image.Image, quality: int = QUALITY) -> str:
    """Return an image as a data URI."""
    return _data_uri(*_bytes(image, quality=quality))


def _bytes(image: Image.Image, quality: int) -> tuple[bytes, str]:
    """Encode as WebP; where Pillow was built without it, as JPEG, or PNG for what is see-through."""
    kind = "webp" if features.check("webp") else "png" if image.mode == "RGBA" else "jpeg"
    buffer = io.BytesIO()
    options = {"webp": {"quality": quality, "method": 2}, "jpeg": {"quality": quality}, "png": {}}[kind]
    image.save(buffer, kind, **options)
    return buffer.getvalue(), kind


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
