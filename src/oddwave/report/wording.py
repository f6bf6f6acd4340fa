"""How numbers become words, whatever the kind of result: scores, counts, durations, p-values, how rare a finding is.

Everything here returns plain text, never markup; the templates escape it. Read `build.py` next: it places these words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from oddwave.results import CalibrationSummary, Strength

__all__ = [
    "Finding",
    "count_text",
    "duration_text",
    "evidence_text",
    "finding_text",
    "fixed_text",
    "number_text",
    "p_value_text",
    "peaks_sentence",
    "percent_text",
    "rarity_sentence",
    "rarity_text",
    "rate_text",
    "score_text",
    "severity_text",
    "severity_word",
    "shares_sentence",
    "unit_of",
    "with_article",
]

_SEVERITIES = (("weak", 1e-3), ("clear", 1e-5))  # and the least share of normals expected to be as high
_NEAR = 0.5  # of a finding's deviations: what came near it
_UNITS_S = (("days", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
_SPOKEN_VOWEL = re.compile(r"[aeio]|8|1[18](?![\d.,])|1[18][.,]\d", re.IGNORECASE)  # eight, eleven, eighteen


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
    """Prefix a noun or a number with its article as it is spoken: "an instance", "an 8 kHz", "a 1.1 kHz"."""
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
    """Write a p-value as a frequency: "about 1 in 830"; an empty text where there is none."""
    if not math.isfinite(p_value) or p_value <= 0:
        return ""
    if p_value > 0.5:
        return "more than half"
    one_in = 1 / p_value
    step = 10 ** max(0, math.floor(math.log10(one_in)) - 1)
    return f"about 1 in {round(one_in / step) * step:,}"


def rarity_text(p_value: float, num_normals: int, nouns: str, what: str) -> str:
    """Return a sentence on how rare something is among normal `nouns` ("images"); `what` is "score this high"."""
    if not math.isfinite(p_value) or num_normals < 1:
        return ""
    one = what.replace(" ", "s ", 1)
    if round(p_value * (num_normals + 1)) <= 1:  # the smallest p-value there is: no normal one did
        return f"None of the {num_normals:,} normal {nouns} {one}."
    if p_value > 0.5:
        return f"More than half of the normal {nouns} {what}."
    return f"Of normal {nouns}, {rate_text(p_value)} {one}."


def peaks_sentence(calibration: CalibrationSummary, finding: str, nouns: str, map_name: str) -> str:
    """Return what a finding's p-value compares, and from which value of the map on there are findings."""
    smallest = p_value_text(1 / (calibration.num_blocks + 1))
    sentence = (
        f"{with_article(finding).capitalize()}'s p-value compares its peak with the highest peaks of normal {nouns}, "
        f"at least {smallest}."
    )
    level = calibration.pixel_threshold
    if level is None or not math.isfinite(level):
        return sentence
    share = percent_text(calibration.alpha)
    return (
        f"{sentence} {finding.capitalize()}s are where the {map_name} passes {score_text(level)}, which {share} of "
        f"normal {nouns} do anywhere."
    )


def unit_of(seconds: float) -> tuple[str, float]:
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
    name, size = unit_of(seconds)
    return f"{number_text(seconds / size)} {name}"


def shares_sentence(shares: Sequence[tuple[str, float]]) -> str:
    """Return a sentence on the largest one or two of several shares of what differs; an empty text for none."""
    largest = sorted(shares, key=lambda named: -named[1])[:2]
    if not largest:
        return ""
    texts = [f"{name}, {100 * share:.0f} %" for name, share in largest]
    if largest[0][1] >= 0.5:
        return f"Mostly {largest[0][0]}: {100 * largest[0][1]:.0f} % of what differs."
    if len(largest) == 1 or largest[1][1] < 0.5 * largest[0][1]:
        return f"The largest share of what differs: {texts[0]}."
    return f"The largest shares of what differs: {texts[0]}, and {texts[1]}."


def _p_text(p_value: float) -> str:
    return f"p = {p_value_text(p_value)}".replace("= <", "<")


class Finding(Protocol):
    """An item or event: how high its score is, how rare that is among normals, and how far beyond them it lies."""

    @property
    def score(self) -> float: ...
    @property
    def p_value(self) -> float: ...
    @property
    def strength(self) -> Strength: ...


def evidence_text(finding: Finding, calibration: CalibrationSummary, noun: str = "block") -> str:
    """Write the numbers behind a verdict: "score 9.1, threshold 3.6, p = 0.048; 12 times the usual deviation ...".

    `noun` is what the normals are that it is compared with.
    """
    numbers = f"score {score_text(finding.score)}, threshold {score_text(calibration.threshold)}"
    beyond = severity_text(finding.strength, noun)
    return "; ".join(filter(None, (f"{numbers}, {_p_text(finding.p_value)}", beyond)))


def finding_text(finding: Finding) -> str:
    """Write a finding's numbers in short, for a terminal: "score 9.12  p 0.027  extreme, 38 deviations"."""
    own, word = finding.strength, severity_word(finding.strength)
    beyond = f"  {word}, {number_text(own.deviations, 2)} deviations" if word else ""
    return f"score {score_text(finding.score)}  p {p_value_text(finding.p_value)}{beyond}"


def severity_word(strength: Strength) -> str:
    """Return "weak", "clear" or "extreme", by how rare a finding is expected to be; "" where that is unknown."""
    if not math.isfinite(strength.p_tail):
        return ""
    return next((word for word, least in _SEVERITIES if strength.p_tail > least), "extreme")


def severity_text(strength: Strength, noun: str) -> str:
    """Write how far beyond normal a finding is, in units and beside the normals ("blocks") it was compared with.

    "extreme: 38 times the usual deviation, none of 36 normal blocks came near, by extrapolation about 1 in 40,000"
    """
    word, many = severity_word(strength), count_text(strength.num_normals, f"normal {noun}")
    if not math.isfinite(strength.deviations):
        return ""
    if strength.num_as_high:
        beside = f"{strength.num_as_high:,} of {many} {'reaches' if strength.num_as_high == 1 else 'reach'} it"
    elif strength.highest_deviations <= _NEAR * strength.deviations:
        beside = f"none of {many} came near"
    else:
        beside = f"above all of {many}"
    rare = f", by extrapolation {rate_text(strength.p_tail)}" if word and not strength.num_as_high else ""
    away = f"{number_text(max(strength.deviations, 0.0), 2)} times the usual deviation"
    return f"{word}{': ' if word else ''}{away}, {beside}{rare}"


def rarity_sentence(finding: Finding, num_normals: int, nouns: str, what: str) -> str:
    """Return a sentence on how far beyond normal `nouns` a finding lies; where that is unknown, on how rare it is."""
    severity = severity_text(finding.strength, nouns.removesuffix("s"))
    if severity:
        return f"{severity[0].upper()}{severity[1:]}."
    return rarity_text(finding.p_value, num_normals, nouns, what)
