"""What the page of images shows: a contact sheet of all, and the most abnormal ones in detail.

Every image is read once, the most abnormal first; one that cannot be read again is listed without an image. Read
`image_figures.py` next: how pixels and maps become images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from oddwave.errors import DataError
from oddwave.report import wording
from oddwave.report.facts import BandBar, choices, part_bars
from oddwave.report.histogram import histogram_figure
from oddwave.report.image_figures import (
    MapScale,
    channels_text,
    detail_size,
    difference,
    encoded,
    heat_map,
    legend_stops,
    map_scale,
    shown,
    thumbnail,
)
from oddwave.results import CalibrationSummary, DetectionResult, ImageRegion, ImageResult
from oddwave.visible import visible

__all__ = ["image_content"]

MAX_THUMBNAILS = 5_000
MAX_DETAILS = 40
LEAST_DETAILS = 12  # shown even where nothing was flagged: the images nearest to the threshold
MAX_OPEN = 3
PAGE_SIZE = 60
MAX_ROWS = 1_000
MAX_REGIONS = 40
THUMB_BOXES = 3

PART_LABELS = {
    "reconstruction": "error of the normal version",
    "recon": "error of the normal version",
    "feature": "error in the features",
    "memory": "distance to normal images",
    "inversion": "density after inversion",
}


@dataclass(frozen=True, slots=True)
class RegionRow:
    """One region as the page shows it; `box` is left, top, width and height in percent of the image."""

    region: ImageRegion
    rank: int
    where: str
    area: str
    peak: str
    score: str
    p_value: str
    rarity: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Layers:
    """The images of one image as data URIs, all of one size; without a normal version the last two are empty."""

    width: int
    height: int
    original: str
    heat: str
    normal: str
    difference: str
    full_difference: str
    channels: str


@dataclass(frozen=True, slots=True)
class ImageView:
    """One image in detail; `layers` is None where it could not be read again, `problem` then says why."""

    item: ImageResult
    index: int
    flagged: bool
    score: str
    p_value: str
    rarity: str
    size: str
    layers: Layers | None
    problem: str
    regions: tuple[RegionRow, ...]
    bands: tuple[BandBar, ...]
    largest_bands: str
    parts: tuple[BandBar, ...]


def image_content(result: DetectionResult) -> dict[str, Any]:
    """Return what `templates/images.html` shows beyond the shell of every page."""
    ranked = _ranked(result.images)
    num_flagged = sum(item.flagged for item in ranked)
    counts = {"total": len(ranked), "flagged": num_flagged, "thumbnails": MAX_THUMBNAILS}
    num_details = min(len(ranked), max(LEAST_DETAILS, min(num_flagged, MAX_DETAILS)))
    scale = map_scale(result)
    entries: list[dict[str, Any]] = []
    views: list[ImageView] = []
    for index, item in enumerate(ranked):
        entry, view = _drawn(item, index, scale, result.calibration, with_view=index < num_details)
        entries.append(entry)
        views += [] if view is None else [view]
    return {
        "views": views,
        "sheets": [entries[start : start + PAGE_SIZE] for start in range(0, len(entries), PAGE_SIZE)],
        "sheet_facts": {**counts, "size": PAGE_SIZE},
        "rows": entries[:MAX_ROWS],
        "legend": _legend(scale),
        "histogram": histogram_figure(result.calibration, result.scores) if result.items else None,
        "choices": choices(result.model.get("choices")),
        "missing": [],
        "max_open": MAX_OPEN,
        "max_regions": MAX_REGIONS,
    }


def _ranked(items: Sequence[ImageResult]) -> list[ImageResult]:
    """Return the images that have a score: flagged ones first, then by score, the highest first."""
    judged = [item for item in items if item.status == "judged"]
    return sorted(judged, key=lambda item: (not item.flagged, -item.score))


def _drawn(
    item: ImageResult, index: int, scale: MapScale, calibration: CalibrationSummary, *, with_view: bool
) -> tuple[dict[str, Any], ImageView | None]:
    """Read one image and return its entry in the contact sheet and, where wanted, its detailed view."""
    pixels, problem = _pixels(item) if with_view or index < MAX_THUMBNAILS else (None, "")
    image = None if pixels is None else shown(pixels)
    regions = tuple(_region_rows(item, calibration.num_blocks))
    score, p_value = float(item.scores[0]), float(item.p_values[0])
    entry: dict[str, Any] = {
        "id": visible(item.id),
        "score": wording.score_text(score),
        "order": score,
        "p": wording.p_value_text(p_value),
        "flagged": item.flagged,
        "where": wording.place_text(item) if item.events else "",
        "view": index if with_view else None,
        "image": None if image is None or index >= MAX_THUMBNAILS else thumbnail(image),
        "boxes": [row.box for row in regions[:THUMB_BOXES]] if item.flagged else [],
    }
    if not with_view:
        return entry, None
    return entry, ImageView(
        item=item,
        index=index,
        flagged=item.flagged,
        score=wording.score_text(score),
        p_value=wording.p_value_text(p_value),
        rarity=wording.rarity_text(p_value, calibration.num_points, "score this high"),
        size=f"{item.size[1]:,} x {item.size[0]:,} px" if min(item.size) > 0 else "unknown",
        layers=None if pixels is None else _layers(item, pixels, scale),
        problem=problem,
        regions=regions,
        bands=tuple(_band_bars(item)),
        largest_bands=wording.shares_sentence([(wording.wavelet_text(band), band.share) for band in item.bands]),
        parts=tuple(part_bars({name: float(values[0]) for name, values in item.parts.items()}, PART_LABELS)),
    )


def _pixels(item: ImageResult) -> tuple[np.ndarray | None, str]:
    """Read an image again, or say why that failed: files may have gone since they were scored."""
    if item.image is None:
        return None, "The result does not say where its pixels are."
    try:
        return item.image.pixels(), ""
    except (DataError, OSError) as error:
        return None, str(error)


def _layers(item: ImageResult, pixels: np.ndarray, scale: MapScale) -> Layers:
    height, width, num_channels = pixels.shape
    size = detail_size((width, height))
    sharp = Image.Resampling.NEAREST if size[0] > width else Image.Resampling.LANCZOS  # magnified pixels stay square
    normal, gap, full = "", "", 0.0
    if item.reconstruction is not None and item.reconstruction.size:
        normal = encoded(shown(item.reconstruction).resize(size, Image.Resampling.BICUBIC))
        drawn, full = difference(pixels, item.reconstruction, size)
        gap = encoded(drawn)
    return Layers(
        width=size[0],
        height=size[1],
        original=encoded(shown(pixels).resize(size, sharp)),
        heat=encoded(heat_map(item.anomaly_map, size, scale)) if item.anomaly_map.size else "",
        normal=normal,
        difference=gap,
        full_difference=wording.fixed_text(full, 2),
        channels=channels_text(num_channels),
    )


def _region_rows(item: ImageResult, num_normals: int) -> Iterator[RegionRow]:
    height, width = item.size
    for rank, region in enumerate(sorted(item.events, key=lambda region: -region.score), start=1):
        share = f" ({wording.percent_text(region.area_px / (height * width))})" if height * width else ""
        yield RegionRow(
            region=region,
            rank=rank,
            where=wording.region_text(region),
            area=f"{region.area_px:,} px{share}",
            peak=f"x {region.peak_x_px:,}, y {region.peak_y_px:,}",
            score=wording.score_text(region.score),
            p_value=wording.p_value_text(region.p_value),
            rarity=wording.rarity_text(region.p_value, num_normals, "peak this high"),
            box=_percent_box(region, max(1, width), max(1, height)),
        )


def _percent_box(region: ImageRegion, width: int, height: int) -> tuple[float, float, float, float]:
    return (
        round(100 * region.left_px / width, 2),
        round(100 * region.top_px / height, 2),
        round(100 * (region.right_px - region.left_px) / width, 2),
        round(100 * (region.bottom_px - region.top_px) / height, 2),
    )


def _band_bars(item: ImageResult) -> Iterator[BandBar]:
    """From fine to coarse, the coarse rest last."""
    strongest = max((band.share for band in item.bands), default=0.0)
    for band in sorted(item.bands, key=lambda band: (band.orientation == "coarse", band.level)):
        yield BandBar(
            wording.wavelet_text(band), f"{100 * band.share:.0f} %", band.share, strongest=band.share == strongest
        )


def _legend(scale: MapScale) -> dict[str, Any]:
    """Return the colour scale common to all heat maps; `mark` is the threshold's place in percent."""
    mark = None if scale.threshold is None else 100 * scale.threshold / scale.top
    return {
        "stops": legend_stops(scale),
        "mark": mark,
        "threshold": "" if scale.threshold is None else wording.score_text(scale.threshold),
        "top": wording.score_text(scale.top),
    }
