"""The verdict on a run, and what it rests on: the top of the page and the first line on the terminal.

All clear is only said of what was looked at: whatever could not be judged is counted beside it. Read `wording.py` for
how single numbers become words, `kinds/base.py` for what each kind of result adds.
"""

import math

import numpy as np

from oddwave.report.drift_words import with_drift
from oddwave.report.kinds import ReportKind, kind_of
from oddwave.report.kinds.base import Verdict
from oddwave.report.wording import (
    count_text,
    evidence_text,
    number_text,
    p_value_text,
    percent_text,
    rate_text,
    score_text,
    with_article,
)
from oddwave.results import CalibrationSummary, DetectionResult

__all__ = ["calibration_sentences", "unjudged_text", "verdict_sentences"]

_FEW = 0.01  # a share of points without a verdict up to which the rest is taken for the whole


def verdict_sentences(result: DetectionResult) -> Verdict:
    """Return the verdict: its tone, the headline, and sentences on the strongest finding and on what was not judged."""
    tone, headline, detail = with_drift(result, _verdict(result))
    if asked := result.calibration.asked:
        detail = f"{detail} {asked[0].upper()}{asked[1:]}."
    if result.whole is not None and result.whole.items > len(result.items):
        items = kind_of(result).items
        detail += (
            f" The {len(result.items):,} strongest of {result.whole.items:,} {items} are told here, all are in shards/."
        )
    left = unjudged_text(result)
    if tone == "empty" or not left:
        return tone, headline, detail
    if tone == "clear" and (result.not_judged or np.mean(np.isnan(result.scores)) > _FEW):
        tone, headline = "partial", "Nothing above the threshold in what could be judged"
    return tone, headline, f"{detail} {left}"


def unjudged_text(result: DetectionResult) -> str:
    """Return how many items, and scores that are verdicts of their own, are missing; an empty text for none."""
    texts, failed, kind = [], result.counts.failed, kind_of(result)
    if failed:
        texts.append(f"{failed:,} of {count_text(result.counts.items, kind.item, kind.items)} could not be judged.")
    if kind.per_score:
        judged = [item.scores for item in result.items if item.status == "judged"]
        total, lost = sum(map(len, judged)), sum(int(np.isnan(scores).sum()) for scores in judged)
        if lost:
            share = percent_text(lost / total)
            texts.append(f"{lost:,} of {count_text(total, kind.noun, kind.nouns)} ({share}) could not be judged.")
    return " ".join(texts)


def _verdict(result: DetectionResult) -> Verdict:
    kind, judged = kind_of(result), [item for item in result.items if item.status == "judged"]
    if not judged:
        what = f"{kind.noun} of the data" if kind.per_score else kind.item
        return "empty", "Nothing could be scored", f"No {what} has a score; the notes below say why."
    counts = result.counts
    if kind.headline is not None and counts.items == len(result.items):
        return kind.headline(result)
    flagged, total = counts.flagged, count_text(counts.items - counts.failed, kind.item, kind.items)
    top = max(judged, key=lambda item: (item.flagged, item.score))
    sentence = f"The most abnormal is {top.id} ({evidence_text(top, result.calibration, kind.noun)})"
    certain = result.calibration.confirmed
    if not flagged:
        clear = certain or top.strength.num_as_high > 0
        return "clear", f"None of {total} is above the threshold" if clear else "Nothing certain", f"{sentence}."
    where = kind.place(top)
    normals = f"beyond anything in {count_text(result.calibration.num_blocks, f'normal {kind.noun}')}"
    headline = f"{flagged:,} of {total} {'is' if flagged == 1 else 'are'} {'anomalous' if certain else normals}"
    return "found", headline, sentence + (f": {where}." if where else ".")


def calibration_sentences(kind: ReportKind, calibration: CalibrationSummary, num_scored: int) -> list[str]:
    """Return where the threshold comes from, what alpha means for this data, and how far p-values reach."""
    noun, nouns, alpha = kind.noun, kind.nouns, percent_text(calibration.alpha)
    size = count_text(calibration.num_points, f"score of normal {nouns}", f"scores of normal {nouns}")
    blocks = ""
    if calibration.block_size > 1:
        independent = count_text(calibration.num_blocks, "independent block")
        per_block = count_text(calibration.block_size, noun, nouns)
        blocks = f" Neighbouring {nouns} resemble one another, so they count as about {independent} of {per_block}."
    scored, expected = count_text(num_scored, noun, nouns), number_text(calibration.alpha * num_scored, 2)
    chance = (
        f"Alpha is {alpha}: among normal {nouns}, {rate_text(calibration.alpha) or 'none'} crosses the threshold by "
        f"chance. If all {scored} here were normal, about {expected} would still be flagged."
    )
    if calibration.block_size > 1:
        expected = number_text(calibration.alpha * num_scored / calibration.block_size, 2)
        chance = (
            f"Alpha is {alpha}: of normal blocks, {rate_text(calibration.alpha) or 'none'} holds an event by chance. "
            f"If all {scored} here were normal, about {expected} events would still be reported."
        )
    if kind.alpha_counts:
        chance = (
            f"Alpha is {alpha}: of normal {kind.alpha_counts}s, {rate_text(calibration.alpha)} has an event by chance."
        )
    sentences = [
        f"The threshold of {score_text(calibration.threshold)} rests on {size} ({calibration.source}).{blocks}",
        chance,
        f"{with_article(noun).capitalize()}'s p-value is the share of normal {nouns} that score at least as high, and "
        f"cannot be smaller than {p_value_text(1 / (calibration.num_points + 1))} here. "
        f"{kind.finding_sentence(calibration)}".rstrip(),
    ]
    if not math.isfinite(calibration.threshold):
        sentences.append("There is no threshold: the calibration data are too few for this alpha. Raise alpha.")
    elif calibration.num_blocks * calibration.alpha < 1:
        sentences.append(
            f"Caution: {count_text(calibration.num_blocks, kind.block_noun)} cannot confirm a rate as low as {alpha}; "
            + (
                "what lies above all of them is reported where their extrapolated tail says it is that rare."
                if calibration.block_size > 1
                else "take it as approximate, or calibrate on more normal data."
            )
        )
    return sentences
