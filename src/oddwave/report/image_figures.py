"""The images on the page of images: thumbnails, heat maps, normal versions and differences.

All images become data URIs, scaled down, so that one file holds thousands of images and still opens quickly. Heat
maps have one scale for the whole page: 0 is the normal level, `MapScale.top` the end of the colours. Read
`templates/images.js` next: it switches between these images.

Legend: H, W an image's pixels, h, w those of a smaller map of the whole image, C channels, n entries of the ramp.
"""

import base64
import io
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, features

from oddwave.results import DetectionResult

__all__ = [
    "DETAIL_PX",
    "THUMB_PX",
    "MapScale",
    "channels_text",
    "colour_ramp",
    "detail_size",
    "difference",
    "encoded",
    "heat_map",
    "legend_stops",
    "map_scale",
    "shown",
    "signed_colours",
    "thumbnail",
]

THUMB_PX = 128
THUMB_BYTES = 4_096
DETAIL_PX = 512
SMALLEST_DETAIL_PX = 256  # smaller images are magnified in whole steps, so that their pixels can be told apart
TOP_IN_THRESHOLDS = 3.0
_BILINEAR = Image.Resampling.BILINEAR


@dataclass(frozen=True, slots=True)
class MapScale:
    """Which values of the anomaly maps the colours stand for: 0 to `top`; `threshold` is None where there is none."""

    top: float
    threshold: float | None


def map_scale(result: DetectionResult) -> MapScale:
    """Return the scale common to all heat maps: up to three pixel thresholds, or to the largest value without one."""
    threshold = result.calibration.pixel_threshold
    if threshold is not None and math.isfinite(threshold) and threshold > 0:
        return MapScale(TOP_IN_THRESHOLDS * threshold, threshold)
    maps = [item.anomaly_map for item in result.images]
    maps += [item.excerpt.anomaly_map for item in result.recordings if item.excerpt is not None]
    largest = [each[np.isfinite(each)].max(initial=0.0) for each in maps]
    return MapScale(float(max(largest, default=0.0)) or 1.0, None)


def colour_ramp(num_colours: int = 256) -> UInt8[np.ndarray, "n 3"]:
    """Return the heat map's colours from violet over red and orange to light yellow, as red, green and blue.

    The lightness of OKLab rises evenly from the first to the last, so equal steps of the map look equally large; hue
    and chroma pass through four stops of ours.
    """
    at = np.linspace(0.0, 1.0, num_colours)
    stops = np.array([0.0, 0.33, 0.66, 1.0])
    hue = np.radians(np.interp(at, stops, [300.0, 360.0, 405.0, 460.0]))
    chroma = np.interp(at, stops, [0.14, 0.19, 0.16, 0.11])
    lab = np.stack([0.38 + 0.57 * at, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    return _rgb_of_oklab(lab)


def _rgb_of_oklab(lab: Float[np.ndarray, "n 3"]) -> UInt8[np.ndarray, "n 3"]:
    """Turn OKLab (Ottosson 2020) into 8-bit sRGB, clipped to what a screen can show."""
    to_cones = np.array(
        [
            [1.0, 0.3963377774, 0.2158037573],
            [1.0, -0.1055613458, -0.0638541728],
            [1.0, -0.0894841775, -1.291485548],
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.707614701],
        ]
    )
    linear = np.clip((lab @ to_cones.T) ** 3 @ to_linear.T, 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(255 * srgb), dtype=np.uint8)


def _opacity(values: Float[np.ndarray, "*shape"], scale: MapScale) -> Float[np.ndarray, "*shape"]:
    """Clear at and below the normal level, full from the threshold on; in between it rises slowly."""
    full = scale.top / TOP_IN_THRESHOLDS if scale.threshold is None else scale.threshold
    return np.asarray(np.square(np.clip(values / full, 0.0, 1.0)))


def heat_map(anomaly_map: Float[np.ndarray, "h w"], size: tuple[int, int], scale: MapScale) -> Image.Image:
    """Return an anomaly map as an overlay of `size` (width, height): values interpolated first, then coloured."""
    values = np.nan_to_num(anomaly_map.astype(np.float32), nan=0.0, posinf=scale.top, neginf=0.0)
    smooth = np.asarray(Image.fromarray(values).resize(size, _BILINEAR))
    ramp = colour_ramp()
    place = np.clip(smooth / scale.top, 0.0, 1.0) * (len(ramp) - 1)
    alpha = np.round(255 * _opacity(smooth, scale)).astype(np.uint8)
    return Image.fromarray(np.concatenate([ramp[place.astype(int)], alpha[..., None]], axis=2))


def legend_stops(scale: MapScale, num_stops: int = 25) -> str:
    """Return the colours of the scale as the stops of a CSS gradient, as see-through as the heat map itself."""
    at = np.linspace(0.0, 1.0, num_stops)
    alpha = _opacity(at * scale.top, scale)
    colours = colour_ramp(num_stops)
    return ", ".join(f"rgb({r} {g} {b} / {a:.2f})" for (r, g, b), a in zip(colours.tolist(), alpha, strict=True))


def shown(pixels: Float[np.ndarray, "H W C"]) -> Image.Image:
    """Return what of an image's channels a screen can show; see `channels_text`."""
    num_channels = pixels.shape[2]
    if num_channels in (3, 4):
        chosen = pixels[..., :3]
    else:
        chosen = pixels.mean(axis=2, dtype=np.float32) if num_channels > 1 else pixels[..., 0]
    return Image.fromarray(np.round(255 * np.clip(np.nan_to_num(chosen), 0.0, 1.0)).astype(np.uint8))


def channels_text(num_channels: int) -> str:
    """Say what `shown` leaves out; nothing where it shows all."""
    if num_channels in (1, 3):
        return ""
    return (
        "The first three of four channels are shown."
        if num_channels == 4
        else (f"The mean of {num_channels} channels is shown.")
    )


def detail_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) in which an image of that (width, height) is drawn."""
    longest = max(size)
    if longest > DETAIL_PX:
        return max(1, round(size[0] * DETAIL_PX / longest)), max(1, round(size[1] * DETAIL_PX / longest))
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


def thumbnail(image: Image.Image) -> str:
    """Return a small version of at most 128 px as a data URI of at most 4 KB or so."""
    small = image.copy()
    small.thumbnail((THUMB_PX, THUMB_PX), reducing_gap=2.0)
    data, kind = _bytes(small, quality=60)
    if len(data) > THUMB_BYTES:
        data, kind = _bytes(small, quality=20)
    return _data_uri(data, kind)


def encoded(image: Image.Image) -> str:
    """Return an image as a data URI."""
    return _data_uri(*_bytes(image, quality=80))


def _bytes(image: Image.Image, quality: int) -> tuple[bytes, str]:
    """Encode as WebP; where Pillow was built without it, as JPEG, or PNG for what is see-through."""
    kind = "webp" if features.check("webp") else "png" if image.mode == "RGBA" else "jpeg"
    buffer = io.BytesIO()
    options = {"webp": {"quality": quality, "method": 2}, "jpeg": {"quality": quality}, "png": {}}[kind]
    image.save(buffer, kind, **options)
    return buffer.getvalue(), kind


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
