"""Images in the report: their rows in the tables, and their record; `image_page.py` makes the page.

Read `image_words.py` next: how regions and wavelet bands become words.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from oddwave.report.kinds.base import FINDING_COLUMNS, Media, ReportKind, finding_fields
from oddwave.report.kinds.image_words import place_text
from oddwave.report.kinds.views import peak_parts
from oddwave.report.wording import peaks_sentence
from oddwave.results import DetectionResult, ImageResult

__all__ = ["IMAGE"]

_BOX_COLUMNS = ("left_px", "top_px", "right_px", "bottom_px", "peak_x_px", "peak_y_px", "area_px", "on_part")


def _annotated_names(result: DetectionResult) -> dict[str, dict[str, str]]:
    from oddwave.report.kinds.image_annotated import ANNOTATED  # opens Pillow

    return ANNOTATED.names(result)


def _write_annotated(result: DetectionResult, folder: Path, only_linked: bool) -> None:
    from oddwave.report.kinds.image_annotated import ANNOTATED  # opens Pillow

    ANNOTATED.write(result, folder, only_linked)


def _content(result: DetectionResult, _: str | None) -> dict[str, Any]:
    from oddwave.report.kinds.image_page import image_content  # opens Pillow

    return image_content(result)


def _region_rows(item: ImageResult) -> Iterator[dict[str, Any]]:
    """Yield an image's rows of events.csv: start and end are corners of the box, both within it, as "x y"."""
    for region in item.events:
        yield {
            "start": f"{region.left_px} {region.top_px}",
            "end": f"{region.right_px - 1} {region.bottom_px - 1}",
            "peak": f"{region.peak_x_px} {region.peak_y_px}",
            **finding_fields(region),
        }


def _summary(item: ImageResult) -> dict[str, Any]:
    return {
        "size_px": {"height": item.size[0], "width": item.size[1]},
        "error": item.error,
        "parts": peak_parts(item),
        "regions": [finding_fields(region) for region in item.events],
        "bands": list(item.bands),
    }


IMAGE = ReportKind(
    name="image",
    noun="image",
    block_noun="image",
    has_map=True,
    place=place_text,
    finding_sentence=partial(peaks_sentence, finding="region", nouns="images", map_name="heat map"),
    all_scored="The whole area of {every} image was scored.",
    content=_content,
    noscript=(
        "The contact sheet and the switches need JavaScript, which is off. The verdict, the most abnormal images with "
        "their heat maps, and the tables are complete without it."
    ),
    event_columns=(*FINDING_COLUMNS, *_BOX_COLUMNS),
    event_rows=_region_rows,
    item_summary=_summary,
    annotated=Media("annotated", _annotated_names, lambda result: False, _write_annotated),
)
