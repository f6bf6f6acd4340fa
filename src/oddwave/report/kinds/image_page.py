"""What the page of images shows: a contact sheet of all, the most abnormal in detail, other flagged ones on request.

Every image is read once, the most abnormal first; one that cannot be read again is listed without an image. Read
`image_figures.py` next: how pixels and maps become what is drawn.
"""

from typing import Any

import numpy as np
from PIL import Image

from oddwave.errors import DataError
from oddwave.report import wording
from oddwave.report.kinds.image_figures import (
    DETAIL_PX,
    QUALITY,
    SMALL_QUALITY,
    MapScale,
    channels_text,
    detail_size,
    difference,
    encoded,
    heat_map,
    map_legend,
    map_scale,
    outline,
    shown,
    thumbnail,
)
from oddwave.report.kinds.image_words import place_text, region_text, wavelet_text
from oddwave.report.kinds.views import (
    MORE_BYTES,
    NOT_DRAWN,
    Box,
    by_score,
    item_row,
    item_view,
    items_content,
    layer_bytes,
    num_details,
    num_opened,
    ranked,
    share_bars,
)
from oddwave.results import CalibrationSummary, DetectionResult, ImageRegion, ImageResult

__all__ = ["image_content"]

MAX_THUMBNAILS = 5_000
LEAST_DETAILS = 12  # shown even where nothing was flagged: the images nearest to the threshold
PAGE_SIZE = 60
SMALL_PX = 320  # of flagged images beyond those in detail
_SMALLER = "Smaller than the most abnormal images are shown, and without a normal version, to keep the page small."
THUMB_BOXES = 3

PART_LABELS = {
    "reconstruction": "error of the normal version",
    "recon": "error of the normal version",
    "feature": "error in the features",
    "memory": "distance to normal images",
    "position": "distance from normal at the place",
    "inversion": "density after inversion",
}


def image_content(result: DetectionResult) -> dict[str, Any]:
    """Return what the page of images shows beyond the shell of every page."""
    items, scale = ranked(result.items), map_scale(result, lambda item: item.anomaly_map)
    num_views, num_all = num_details(items, LEAST_DETAILS), num_opened(items, LEAST_DETAILS)
    entries: list[dict[str, Any]] = []
    views: list[dict[str, Any]] = []
    more: list[dict[str, Any]] = []
    left = MORE_BYTES
    for index, item in enumerate(items):
        pixels, problem = _pixels(item) if index < max(num_views, MAX_THUMBNAILS) else (None, "")
        entries.append(_entry(item, index, pixels, index < num_all))
        if index < num_views:
            views.append(_view(item, index, pixels, problem, scale, result.calibration))
        elif index < num_all:
            drawn, why = (pixels, problem) if left > 0 else (None, NOT_DRAWN)
            more.append(_view(item, index, drawn, why, scale, result.calibration, small=True))
            left -= layer_bytes(more[-1]["layers"])
    facts = {"total": len(items), "flagged": len(result.flagged), "thumbnails": MAX_THUMBNAILS, "size": PAGE_SIZE}
    return items_content(
        result,
        place_text,
        views,
        more,
        overview="Contact sheet",
        sheets=[entries[start : start + PAGE_SIZE] for start in range(0, len(entries), PAGE_SIZE)],
        sheet_facts=facts,
        legend=map_legend(scale, "Heat map", "region"),
        nothing="No single region stands out.",
    )


def _pixels(item: ImageResult) -> tuple[np.ndarray | None, str]:
    """Read an image again, or return why that failed: files may have gone since they were scored."""
    if item.image is None:
        return None, "The image cannot be shown: the result does not hold where its pixels are."
    try:
        return item.image.pixels(), ""
    except (DataError, OSError) as error:
        return None, f"The image cannot be shown: {error}"


def _entry(item: ImageResult, index: int, pixels: np.ndarray | None, has_view: bool) -> dict[str, Any]:
    """Return an image's entry in the contact sheet."""
    image = None if pixels is None or index >= MAX_THUMBNAILS else thumbnail(shown(pixels))
    boxes = [_box(item, region) for region in by_score(item)[:THUMB_BOXES]] if item.flagged else []
    return item_row(item, index, place_text, has_view) | {"image": image, "boxes": boxes}


def _view(
    item: ImageResult,
    index: int,
    pixels: np.ndarray | None,
    problem: str,
    scale: MapScale,
    normal: CalibrationSummary,
    *,
    small: bool = False,
) -> dict[str, Any]:
    size = f"{item.size[1]:,} x {item.size[0]:,} px" if min(item.size) > 0 else "unknown"
    bands = sorted(item.bands, key=lambda band: (band.orientation == "coarse", band.level))  # from fine to coarse
    shares = [(wavelet_text(band), band.share) for band in bands]
    return item_view(
        item,
        index,
        PART_LABELS,
        lambda region: _finding(item, region, normal.num_blocks),
        rarity=wording.rarity_sentence(item, normal.num_points, "images", "score this high"),
        facts=[("Size", size)],
        layers=None if pixels is None else _layers(item, pixels, scale, small=small),
        problem=problem,
        bands=share_bars(shares),
        largest_bands=wording.shares_sentence(shares),
    )


def _layers(item: ImageResult, pixels: np.ndarray, scale: MapScale, *, small: bool) -> dict[str, Any]:
    height, width, num_channels = pixels.shape
    size = detail_size((width, height), SMALL_PX if small else DETAIL_PX)
    quality = SMALL_QUALITY if small else QUALITY
    sharp = Image.Resampling.NEAREST if size[0] > width else Image.Resampling.LANCZOS  # magnified pixels stay square
    normal, gap, full = "", "", 0.0
    if not small and item.reconstruction is not None and item.reconstruction.size:
        normal = encoded(shown(item.reconstruction).resize(size, Image.Resampling.BICUBIC))
        drawn, full = difference(pixels, item.reconstruction, size)
        gap = encoded(drawn)
    unmade = _SMALLER if small else "No normal version was made of this image."
    lined = "" if item.part is None else "The blue line surrounds the part; regions off it are named so."
    hints = ["" if normal else unmade, channels_text(num_channels), lined]
    return {
        "width": size[0],
        "height": size[1],
        "original": encoded(shown(pixels).resize(size, sharp), quality),
        "normal": normal,
        "difference": gap,
        "heat": encoded(heat_map(item.anomaly_map, size, scale), quality) if item.anomaly_map.size else "",
        "outline": "" if item.part is None else encoded(outline(item.part, size)),
        "difference_hint": (
            "Orange is brighter than normal, blue darker; full colour from a difference of "
            f"{wording.fixed_text(full, 2)} (1 is black to white)."
        ),
        "hint": " ".join(filter(None, hints)),
        "axes": None,
    }


def _finding(item: ImageResult, region: ImageRegion, num_normals: int) -> dict[str, Any]:
    pixels = item.size[0] * item.size[1]
    share = f" ({wording.percent_text(region.area_px / pixels)})" if pixels else ""
    facts = (
        f"area {region.area_px:,} px{share}, peak {wording.score_text(region.score)} at x {region.peak_x_px:,}, "
        f"y {region.peak_y_px:,}; p {wording.p_value_text(region.p_value)}. "
        f"{wording.rarity_sentence(region, num_normals, 'images', 'peak this high')}"
    )
    return {"text": region_text(region), "facts": facts, "box": _box(item, region), "start_s": None}


def _box(item: ImageResult, region: ImageRegion) -> Box:
    height, width = (max(1, side) for side in item.size)
    return (
        round(100 * region.left_px / width, 2),
        round(100 * region.top_px / height, 2),
        round(100 * (region.right_px - region.left_px) / width, 2),
        round(100 * (region.bottom_px - region.top_px) / height, 2),
    )
