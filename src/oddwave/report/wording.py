"""How numbers become words: moments, durations, regions, wavelet bands, p-values, and the page's plain sentences.

Everything here returns plain text, never markup; the templates escape it. Read `build.py` next: it places these words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from oddwave.results import (
        BandShare,
        CalibrationSummary,
        ImageRegion,
        ImageResult,
        SeriesEvent,
        SeriesResult,
        WaveletShare,
    )

__all__ = [
    "NOUNS",
    "TimeAxis",
    "band_text",
    "calibration_sentences",
    "count_text",
    "duration_s",
    "duration_text",
    "event_length_text",
    "evidence_text",
    "fixed_text",
    "moment_text",
    "number_text",
    "p_value_text",
    "percent_text",
    "place_text",
    "rarity_text",
    "rate_text",
    "region_text",
    "score_text",
    "shares_sentence",
    "time_axis",
    "wavelet_text",
    "with_article",
]

_UNITS_S = (("days", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))

NOUNS = {  # what has one score, by the result's kind
    "stream": "point",
    "panel": "instance",
    "image": "image",
    "recording": "clip",
}
_SPOKEN_VOWEL = re.compile(r"[aeio]|8|1[18](?![\d.,])|1[18][.,]\d", re.IGNORECASE)  # eight, eleven, eighteen
_DETAIL = {1: "fine", 2: "medium"}  # wavelet levels; all further ones are broad

TimeAxis = Literal["time", "number", "index"]


def number_text(value: float, digits: int = 3) -> str:
    """Write a number with `digits` significant digits and thousands separators; "n/a" where it is not finite."""
    if not math.isfinite(value):
        return "n/a"
    if value != 0 and (abs(value) >= 1e7 or abs(value) < 1e-4):
        return f"{value:.{digits}g}"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def fixed_text(value: float, decimals: int) -> str:
    """Write a number with so many decimals, for columns and lists; "n/a" where it is not finite."""
    return f"{value:,.{decimals}f}" if math.isfinite(value) else "n/a"


def score_text(score: float) -> str:
    """Write a score with two decimals; with significant digits instead where those would show nothing, or too much."""
    if score == 0 or 0.005 <= abs(score) < 10_000:
        return fixed_text(score, 2)
    return number_text(score)


def count_text(count: int, singular: str, plural: str | None = None) -> str:
    """Write a count with its noun: "1 stretch", "3 stretches", "12,000 points"."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def with_article(text: str) -> str:
    """Put the article before a noun or a number as it is spoken: "an instance", "an 8 kHz", "a 1.1 kHz"."""
    return f"{'an' if _SPOKEN_VOWEL.match(text) else 'a'} {text}"


def percent_text(share: float) -> str:
    """Write a share in [0, 1] as a percentage; a tiny one that is not zero is never shown as zero."""
    if 0 < share < 1e-4:
        return "< 0.01 %"
    return f"{number_text(100 * share, 2 if share < 0.1 else 3)} %"


def p_value_text(p_value: float) -> str:
    """Write a p-value with two significant digits, "< 0.0001" below that."""
    if not math.isfinite(p_value):
        return "n/a"
    if p_value < 1e-4:
        return "< 0.0001"
    return fixed_text(p_value, max(2, 1 - math.floor(math.log10(p_value))))


def rate_text(p_value: float) -> str:
    """Say a p-value as a frequency: "about 1 in 830"; an empty text where there is none to say."""
    if not math.isfinite(p_value) or p_value <= 0:
        return ""
    if p_value > 0.5:
        return "more than half"
    one_in = 1 / p_value
    step = 10 ** max(0, math.floor(math.log10(one_in)) - 1)
    return f"about 1 in {round(one_in / step) * step:,}"


def rarity_text(p_value: float, num_normals: int, what: str) -> str:
    """Say in a sentence how rare something is among normal images; `what` says it of several: "score this high"."""
    if not math.isfinite(p_value) or num_normals < 1:
        return ""
    if round(p_value * (num_normals + 1)) <= 1:  # the smallest p-value there is: nothing of that kind was seen
        return f"None of the {num_normals:,} normal images held back {what.replace(' ', 's ', 1)}."
    if p_value > 0.5:
        return f"More than half of the normal images {what}."
    return f"Of normal images, {rate_text(p_value)} {what.replace(' ', 's ', 1)}."


def _unit_of(seconds: float) -> tuple[str, float]:
    """Return the unit (name, seconds) in which a duration reads best: the largest that it fills well."""
    for name, size in _UNITS_S:
        if seconds >= (1.0 if name in ("s", "ms") else 1.5) * size:
            return name, size
    return _UNITS_S[-1]


def duration_text(seconds: float) -> str:
    """Write a duration in one or two human units: "1.2 days", "2 h 10 min", "35 s", "12 ms"."""
    if seconds >= 1.5 * 86400:
        return f"{number_text(seconds / 86400, 2 if seconds < 10 * 86400 else 3)} days"
    for (large, large_s), (small, small_s) in ((_UNITS_S[1], _UNITS_S[2]), (_UNITS_S[2], _UNITS_S[3])):
        rest = round(seconds / small_s)
        per_large = round(large_s / small_s)
        if rest >= per_large:
            whole, part = divmod(rest, per_large)
            return f"{whole} {large} {part} {small}" if part else f"{whole} {large}"
    name, size = _unit_of(seconds)
    return f"{number_text(seconds / size)} {name}"


def time_axis(item: SeriesResult) -> TimeAxis:
    """Say what the horizontal axis of an item is: calendar time, its own numbers, or the point index."""
    import numpy as np

    stamps = item.timestamps
    if stamps is None or len(stamps) != len(item.values):
        return "index"
    if np.issubdtype(stamps.dtype, np.datetime64):
        return "index" if np.isnat(stamps).any() else "time"
    if np.issubdtype(stamps.dtype, np.number) and np.isfinite(stamps).all():
        return "number"
    return "index"


def moment_text(item: SeriesResult, index: int) -> str:
    """Write where a point lies: its timestamp, local with its offset where known, as short as it is; or its index."""
    from oddwave.result_times import local_times, offset_text

    axis = time_axis(item)
    if axis == "index" or item.timestamps is None:
        return f"point {index:,}"
    stamp, first, offset = item.timestamps[index], item.timestamps[:1000], ""
    if axis == "number":
        return f"{float(stamp):.10g}"
    if item.timezone is not None:
        (stamp,), (minutes,) = local_times(item.timestamps[index : index + 1], item.timezone)
        first, offset = local_times(first, item.timezone)[0], f" {offset_text(int(minutes))}"
    return str(stamp.astype(f"datetime64[{_resolution(first)}]")).replace("T", " ") + offset


def _resolution(first: np.ndarray) -> str:
    """Return the coarsest unit (days, minutes, seconds, milliseconds) that the first timestamps need."""
    return next((unit for unit in ("D", "m", "s") if (first.astype(f"datetime64[{unit}]") == first).all()), "ms")


def duration_s(item: SeriesResult, start: int, end: int) -> float | None:
    """Return the seconds from the first to the last point, both included, or None where the item has no time axis."""
    import numpy as np

    period_s = item.sample_period_s or 0.0
    if time_axis(item) == "time" and item.timestamps is not None:
        return float((item.timestamps[end] - item.timestamps[start]) / np.timedelta64(1, "s")) + period_s
    return (end - start + 1) * period_s if period_s > 0 else None


def event_length_text(item: SeriesResult, event: SeriesEvent) -> str:
    """Write how long an event lasts, in time where there is a time axis, otherwise in points."""
    seconds = duration_s(item, event.start, event.end)
    return duration_text(seconds) if seconds else count_text(event.end - event.start + 1, "point")


def _range_text(low: float, high: float, unit: str) -> str:
    return f"{number_text(low, 2)} to {number_text(high, 2)} {unit}"


def band_text(band: BandShare, sample_period_s: float | None = None) -> str:
    """Name a wavelet band by its periods in human units, by Hz where it is faster than once a second, or by samples."""
    slowest = math.isinf(band.period_max)
    if band.low_hz is None and band.high_hz is None:
        if sample_period_s is None:
            if slowest:
                return f"over {number_text(band.period_min, 2)} samples"
            return _range_text(band.period_min, band.period_max, "samples")
        shortest_s, longest_s = band.period_min * sample_period_s, band.period_max * sample_period_s
    else:
        shortest_s = 1 / band.high_hz if band.high_hz else math.inf
        longest_s = 1 / band.low_hz if band.low_hz else math.inf
    if math.isinf(longest_s):
        name, size = _unit_of(shortest_s)
        slow = f"over {number_text(shortest_s / size, 2)} {name}"
        return slow if shortest_s >= 1 else f"below {number_text(1 / shortest_s, 2)} Hz"
    if shortest_s < 1:
        return _range_text(1 / longest_s, 1 / shortest_s, "Hz")
    name, size = _unit_of(longest_s)
    return _range_text(shortest_s / size, longest_s / size, name)


def wavelet_text(band: WaveletShare) -> str:
    """Name a band of an image's wavelet pyramid: "fine vertical detail (2 px)", "coarse (8 px and wider)"."""
    size = number_text(band.scale_px, 2)
    if band.orientation == "coarse":
        return f"coarse ({size} px and wider)"
    return f"{_DETAIL.get(band.level, 'broad')} {band.orientation} detail ({size} px)"


def shares_sentence(shares: Sequence[tuple[str, float]]) -> str:
    """Name the largest one or two of several shares of what differs; an empty text where there are none."""
    largest = sorted(shares, key=lambda named: -named[1])[:2]
    if not largest:
        return ""
    texts = [f"{name}, {100 * share:.0f} %" for name, share in largest]
    if largest[0][1] >= 0.5:
        return f"Mostly {largest[0][0]}: {100 * largest[0][1]:.0f} % of what differs."
    if len(largest) == 1 or largest[1][1] < 0.5 * largest[0][1]:
        return f"The largest share of what differs: {texts[0]}."
    return f"The largest shares of what differs: {texts[0]}, and {texts[1]}."


def region_text(region: ImageRegion) -> str:
    """Say how large a region's box is and where its upper left corner lies: "40 x 12 px at x 120, y 34"."""
    width, height = region.right_px - region.left_px, region.bottom_px - region.top_px
    return f"{width:,} x {height:,} px at x {region.left_px:,}, y {region.top_px:,}"


def place_text(item: ImageResult) -> str:
    """Say where in an image its anomaly lies: its strongest region, and how many more there are."""
    if not item.events:
        return "no single region stands out"
    strongest = max(item.events, key=lambda region: region.score)
    more = f" and {count_text(len(item.events) - 1, 'more region')}" if len(item.events) > 1 else ""
    return f"region of {region_text(strongest)}{more}"


def _p_text(p_value: float) -> str:
    return f"p = {p_value_text(p_value)}".replace("= <", "<")


def evidence_text(score: float, p_value: float, calibration: CalibrationSummary) -> str:
    """Write the numbers behind a verdict: "score 9.12, threshold 3.57, p = 0.048"."""
    return f"score {score_text(score)}, threshold {score_text(calibration.threshold)}, {_p_text(p_value)}"


def calibration_sentences(calibration: CalibrationSummary, kind: str, num_scored: int) -> list[str]:
    """Say in plain words where the threshold comes from, what alpha means for this data, and how far p-values reach."""
    noun = NOUNS[kind]
    size = count_text(calibration.num_points, f"score of normal {noun}s", f"scores of normal {noun}s")
    blocks = ""
    if calibration.block_size > 1:
        per_block = count_text(calibration.block_size, noun)
        blocks = (
            f" Neighbouring {noun}s resemble one another, so they count as about "
            f"{count_text(calibration.num_blocks, 'independent block')} of {per_block}."
        )
    alpha = percent_text(calibration.alpha)
    expected = number_text(calibration.alpha * num_scored, 2)
    sentences = [
        f"The threshold of {score_text(calibration.threshold)} rests on {size} ({calibration.source}).{blocks}",
        f"Alpha is {alpha}: among normal {noun}s, {rate_text(calibration.alpha) or 'none'} crosses the threshold by "
        f"chance. Were all {count_text(num_scored, noun)} here normal, about {expected} would still be flagged.",
        f"{with_article(noun).capitalize()}'s p-value is the share of normal {noun}s that score at least as high, and "
        f"cannot be smaller than {p_value_text(1 / (calibration.num_points + 1))} here. "
        f"{_finding_p_sentence(calibration, kind)}",
    ]
    if not math.isfinite(calibration.threshold):
        sentences.append("There is no threshold: the calibration data are too few for this alpha. Raise alpha.")
    elif calibration.num_blocks * calibration.alpha < 1:
        blocks_text = count_text(calibration.num_blocks, "image" if kind == "image" else "independent block")
        sentences.append(
            f"Caution: {blocks_text} cannot confirm a rate as low as {alpha}; take it as approximate, "
            f"or calibrate on more normal data."
        )
    return sentences


def _finding_p_sentence(calibration: CalibrationSummary, kind: str) -> str:
    """Say what the p-value of an event or a region compares, and from where on an image has regions."""
    if kind == "recording":
        return _recording_p_sentence(calibration)
    smallest = p_value_text(1 / (calibration.num_blocks + 1))
    if kind != "image":
        return (
            "An event's p-value compares its peak with those of independent normal stretches, and cannot be smaller "
            f"than {smallest}."
        )
    sentence = f"A region's p-value compares its peak with the highest peaks of normal images, at least {smallest}."
    level = calibration.pixel_threshold
    if level is not None and math.isfinite(level):
        sentence += (
            f" Regions are where the heat map passes {score_text(level)}, which {percent_text(calibration.alpha)} of "
            "normal images do anywhere."
        )
    return sentence


def _recording_p_sentence(calibration: CalibrationSummary) -> str:
    """Say what the p-values of an event and of a recording compare, and from where on a recording has events."""
    smallest = p_value_text(1 / (calibration.num_blocks + 1))
    level, begins = calibration.pixel_threshold, ""
    if level is not None and math.isfinite(level):
        begins = (
            f" Events are where the anomaly map passes {score_text(level)}, which "
            f"{percent_text(calibration.alpha)} of normal clips do anywhere."
        )
    return (
        "A recording's p-value is the smallest of its clips' times their number, so that long recordings are not "
        "suspect for their length. An event's p-value compares its peak with the highest peaks of normal clips, at "
        f"least {smallest}.{begins}"
    )
