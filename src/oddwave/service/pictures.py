"""Parts of an explained item as files: the map and the normal version as PNG, sounds as WAV, a series as JSON.

They are drawn by the report's own functions. Read `report/kinds/image_figures.py` and `report/kinds/audio_figures.py`.
"""

import io
import json
from dataclasses import dataclass

import numpy as np
from PIL import Image

from oddwave.records import AudioExcerpt, AudioResult, ImageResult, SeriesResult
from oddwave.report.build import render_report
from oddwave.report.kinds.audio_figures import FrequencyAxis, LevelScale, difference_image, heat_image, level_image
from oddwave.report.kinds.audio_files import wav_bytes
from oddwave.report.kinds.image_figures import MapScale, difference, heat_map, map_scale, shown
from oddwave.results import DetectionResult
from oddwave.service.answers import plain, points_of
from oddwave.service.limits import ProblemError

__all__ = ["PARTS", "Part", "part_of", "report_of"]

PARTS = {
    "image": ("map", "overlay", "normal", "difference", "input"),
    "audio": ("map", "normal_map", "difference_map", "input_map", "input", "normal", "odd"),
    "series": ("normal",),
}
_MOST_SIDE = 4096  # of a picture


@dataclass(frozen=True, slots=True)
class Part:
    """A file to send."""

    content: bytes
    media_type: str


def part_of(result: DetectionResult, part: str) -> Part:
    """Return one part of the only item of an explained result. Raises: ProblemError."""
    known = PARTS.get(result.modality, ())
    if part not in known:
        raise ProblemError(
            422, f"part is '{part:.40}': of {result.modality} there are {', '.join(('json', 'report', *known))}"
        )
    (item,) = result.items
    if isinstance(item, ImageResult):
        return _of_image(item, part, map_scale(result, lambda each: each.anomaly_map))
    if isinstance(item, AudioResult):
        if item.excerpt is None:
            raise ProblemError(422, "no part of this recording was explained: it is shorter than a clip")
        return _of_recording(
            item.excerpt, part, map_scale(result, lambda each: each.excerpt and each.excerpt.anomaly_map)
        )
    assert isinstance(item, SeriesResult)
    return _of_series(result, item)


def _of_image(item: ImageResult, part: str, scale: MapScale) -> Part:
    height, width = item.size
    shrink = min(1.0, _MOST_SIDE / max(height, width, 1))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    if part == "map":
        return _png(heat_map(item.anomaly_map, size, scale))
    pixels = item.image.pixels() if item.image is not None else None
    if pixels is None:
        raise ProblemError(422, "the pixels of this image cannot be read again")
    if part == "input":
        return _png(shown(pixels).resize(size))
    if part == "overlay":
        under = shown(pixels).convert("RGBA").resize(size)
        return _png(Image.alpha_composite(under, heat_map(item.anomaly_map, size, scale)).convert("RGB"))
    if item.reconstruction is None or not item.reconstruction.size:
        raise ProblemError(422, "no normal version was made of this image: its model draws none")
    if part == "normal":
        return _png(shown(item.reconstruction).resize(size, Image.Resampling.BICUBIC))
    return _png(difference(pixels, item.reconstruction, size)[0])


def _of_recording(heard: AudioExcerpt, part: str, scale: MapScale) -> Part:
    if part in ("input", "normal", "odd"):
        samples = {"input": heard.samples, "normal": heard.normal, "odd": heard.odd}[part]
        return Part(wav_bytes(samples, heard.sample_rate), "audio/wav")
    axis, levels = FrequencyAxis.of(heard.frequencies_hz), LevelScale.of(heard)
    if part == "map":
        heat = heat_image(axis, heard, scale)
        if heat is None:
            raise ProblemError(422, "this recording has no anomaly map")
        return _png(heat)
    if part == "difference_map":
        return _png(difference_image(axis, heard, levels))
    shown_db = heard.levels_db if part == "input_map" else heard.normal_levels_db
    return _png(level_image(shown_db, axis, heard, levels))


def _of_series(result: DetectionResult, item: SeriesResult) -> Part:
    normal = item.reconstruction
    content = {
        "id": item.id,
        "channels": list(item.channel_names),
        "values": plain(np.where(item.observed, item.values, np.nan)),
        "normal": None if normal is None else plain(normal),
        **plain(points_of(result, item)),
    }
    return Part(json.dumps(content, ensure_ascii=False).encode(), "application/json")


def _png(image: Image.Image) -> Part:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return Part(buffer.getvalue(), "image/png")


def report_of(result: DetectionResult, title: str) -> str:
    """Return the report page of a result: the very one that `oddwave score` writes. Raises: MissingExtraError."""
    return render_report(result, title=title)
