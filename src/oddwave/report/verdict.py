"""The verdict on a run: what stands at the top of the page and in the first line on the terminal.

All clear is only said of what was looked at: whatever could not be judged is counted beside it. Read `wording.py` for
how single numbers become words.
"""

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np

from oddwave.report import audio_words
from oddwave.report.wording import count_text, event_length_text, evidence_text, moment_text, percent_text, place_text
from oddwave.results import AudioResult, DetectionResult, ImageResult, SeriesResult

__all__ = ["ITEM_NOUNS", "Tone", "unjudged_text", "verdict_sentences", "where_text"]

Tone = Literal["found", "clear", "partial", "empty"]
ITEM_NOUNS = {  # what is given, by the result's kind: singular and plural
    "stream": ("series", "series"),
    "panel": ("instance", "instances"),
    "image": ("image", "images"),
    "recording": ("recording", "recordings"),
}
_FEW = 0.01  # a share of points without a verdict up to which the rest is taken for the whole
_Item = TypeVar("_Item", bound=SeriesResult | ImageResult | AudioResult)


def verdict_sentences(result: DetectionResult) -> tuple[Tone, str, str]:
    """Return the verdict: its tone, the headline, and sentences on the strongest finding and on what was not judged."""
    tone, headline, detail = _verdict(result)
    left = unjudged_text(result)
    if tone == "empty" or not left:
        return tone, headline, detail
    if tone == "clear" and (result.not_judged or np.mean(np.isnan(result.scores)) > _FEW):
        tone, headline = "partial", "Nothing above the threshold in what could be judged"
    return tone, headline, f"{detail} {left}"


def unjudged_text(result: DetectionResult) -> str:
    """Say how many items, and of judged streams how many points, could not be judged; an empty text for none."""
    texts, failed = [], len(result.not_judged)
    if failed:
        texts.append(f"{failed:,} of {count_text(len(result.items), *ITEM_NOUNS[result.kind])} could not be judged.")
    if result.kind == "stream":
        judged = [item.scores for item in result.items if item.status == "judged"]
        points, lost = sum(map(len, judged)), sum(int(np.isnan(scores).sum()) for scores in judged)
        if lost:
            share = percent_text(lost / points)
            texts.append(f"{lost:,} of {count_text(points, 'point')} ({share}) could not be judged.")
    return " ".join(texts)


def _verdict(result: DetectionResult) -> tuple[Tone, str, str]:
    if all(item.status == "not judged" for item in result.items):
        what = "point of the data" if result.kind == "stream" else ITEM_NOUNS[result.kind][0]
        return "empty", "Nothing could be scored", f"No {what} has a score; the notes below say why."
    if result.kind != "stream":
        return _ranking_verdict(result)
    if result.events:
        return _events_verdict(result)
    highest = max(_judged(result.series), key=lambda item: item.score)
    peak = int(np.nanargmax(highest.scores))
    where = f" of {highest.id}" if len(result.items) > 1 else ""
    evidence = evidence_text(highest.score, float(highest.p_values[peak]), result.calibration)
    sentence = f"The highest score is at {moment_text(highest, peak)}{where} ({evidence})."
    return "clear", "Nothing above the threshold", sentence


def _judged(items: Sequence[_Item]) -> list[_Item]:
    return [item for item in items if item.status == "judged"]


def _events_verdict(result: DetectionResult) -> tuple[Tone, str, str]:
    item, strongest = max(
        ((item, event) for item in result.series for event in item.events), key=lambda pair: pair[1].score
    )
    alone = len(result.events) == 1
    verb = "stretch does not belong" if alone else "stretches do not belong"
    subject = "It" if alone else "The strongest"
    where = f" in {item.id}" if len(result.items) > 1 else ""
    moment, length = moment_text(item, strongest.start), event_length_text(item, strongest)
    evidence = evidence_text(strongest.score, strongest.p_value, result.calibration)
    sentence = f"{subject} starts{where} at {moment} and lasts {length} ({evidence})."
    return "found", f"{len(result.events):,} {verb}", sentence


def _ranking_verdict(result: DetectionResult) -> tuple[Tone, str, str]:
    """Out of those that could be judged, say how many do not belong, which is the most abnormal, and where in it."""
    judged, flagged = _judged(result.items), len(result.flagged)
    top = max(judged, key=lambda item: (item.flagged, item.score))
    total = count_text(len(judged), *ITEM_NOUNS[result.kind])
    sentence = f"The most abnormal is {top.id} ({evidence_text(top.score, top.p_value, result.calibration)})"
    if not flagged:
        return "clear", f"None of {total} is above the threshold", f"{sentence}."
    verb, where = "does" if flagged == 1 else "do", where_text(top)
    return "found", f"{flagged:,} of {total} {verb} not belong", sentence + (f": {where}." if where else ".")


def where_text(item: SeriesResult | ImageResult | AudioResult) -> str:
    """Say where in an item its anomaly lies; an empty text for an instance."""
    if isinstance(item, ImageResult):
        return place_text(item)
    return audio_words.place_text(item) if isinstance(item, AudioResult) else ""
