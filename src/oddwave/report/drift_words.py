"""How drift becomes words: a headline of its own where most of the data are unlike what was learnt, else a sentence.

Where most items are unlike normal ones but nothing measured of them as a whole has moved, they may as well be as many
anomalies: the headline counts these then, and a sentence leaves both open. Read `verdict.py` next.
"""

import math

from oddwave.report.kinds import kind_of
from oddwave.report.kinds.base import Tone, Verdict
from oddwave.report.kinds.series_words import moment_text
from oddwave.report.wording import number_text
from oddwave.results import DetectionResult, Drift, SeriesResult

__all__ = ["drift_sentence", "with_drift"]

_MOST = 0.5


def with_drift(result: DetectionResult, verdict: Verdict) -> Verdict:
    """Return the verdict with what drifted: as the headline where that is most of the data, else as a sentence."""
    if not result.drift:
        return verdict
    tone, headline, detail = verdict
    first = max(result.drift, key=lambda drift: drift.share)
    told = " ".join(drift_sentence(result, drift) for drift in sorted(result.drift, key=lambda own: -own.share)[:3])
    if len(result.drift) > 3:
        told += f" {len(result.drift) - 3:,} more drift, too: see summary.json."
    whole: list[Drift] = [drift for drift in result.drift if drift.share > _MOST]
    judged = sum(item.status == "judged" for item in result.items)
    streams = result.kind == "stream"
    if not whole or (streams and 2 * len(whole) <= judged) or not (streams or first.moved):
        return tone, headline, f"{detail} {told}"
    kept: Tone = "partial" if tone == "clear" else tone
    what = f": {moved_text(first)}" if first.moved else ""
    since = f"drift since {_where(result, first)}{what}" if first.since else f"from the beginning{what}"
    kind = kind_of(result)
    advice = (
        f"Verdicts on single {kind.nouns} say little then: fit on data like these, or find out what changed. "
        f"{headline}. {detail}"
    )
    return kept, f"These data do not resemble what was learned ({since})", f"{told} {advice}"


def drift_sentence(result: DetectionResult, drift: Drift) -> str:
    """Return where a drift begins, what moved, and how many of the data are unlike normal ones."""
    kind = kind_of(result)
    nouns = kind.nouns if result.kind == "stream" else kind.items
    share = f"{100 * drift.share_since:.0f} %"
    begin = f"From {_where(result, drift)} on" if drift.since else "From the beginning"
    several = f" of {drift.item}" if result.kind == "stream" and len(result.items) > 1 else ""
    sentence = f"{begin}, about {share} of the {nouns}{several} are unlike normal ones"
    if drift.moved:
        return f"{sentence}: {moved_text(drift)}."
    return f"{sentence}: as many anomalies, or, if these {nouns} were expected to be normal, other data than learned."


def moved_text(drift: Drift) -> str:
    """Return what moved: "level of flow lies 4.2 usual deviations lower"."""
    if not drift.moved or not math.isfinite(drift.shift):
        return ""
    size, side = number_text(abs(drift.shift), 2), "higher" if drift.shift > 0 else "lower"
    return f"{drift.moved} lies {size} usual deviations {side}"


def _where(result: DetectionResult, drift: Drift) -> str:
    if result.kind != "stream":
        return drift.item
    item = next((own for own in result.items if own.id == drift.item), None)
    return moment_text(item, drift.since) if isinstance(item, SeriesResult) else f"point {drift.since:,}"
