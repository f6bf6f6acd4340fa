"""How regions and wavelet bands of images become words.

Everything here returns plain text, never markup. Read `../wording.py` for how single numbers become words.
"""

from oddwave.report.kinds.views import by_score
from oddwave.report.wording import count_text, number_text
from oddwave.results import ImageRegion, ImageResult, WaveletShare

__all__ = ["place_text", "region_text", "wavelet_text"]

_DETAIL = {1: "fine", 2: "medium"}  # wavelet levels; all further ones are broad


def wavelet_text(band: WaveletShare) -> str:
    """Name a band of an image's wavelet pyramid: "fine vertical detail (2 px)", "coarse (8 px and wider)"."""
    size = number_text(band.scale_px, 2)
    if band.orientation == "coarse":
        return f"coarse ({size} px and wider)"
    return f"{_DETAIL.get(band.level, 'broad')} {band.orientation} detail ({size} px)"


def region_text(region: ImageRegion) -> str:
    """Return how large a region's box is and where its upper left corner lies: "40 x 12 px at x 120, y 34"."""
    width, height = region.right_px - region.left_px, region.bottom_px - region.top_px
    off = ", off the part" if region.on_part is False else ""
    return f"{width:,} x {height:,} px at x {region.left_px:,}, y {region.top_px:,}{off}"


def place_text(item: ImageResult) -> str:
    """Return where in an image its anomaly lies: its strongest region, and how many more there are."""
    if not item.events:
        return "no single region stands out"
    more = f" and {count_text(len(item.events) - 1, 'more region')}" if len(item.events) > 1 else ""
    return f"region of {region_text(by_score(item)[0])}{more}"
