"""The report page: a `DetectionResult` in, one offline HTML file out.

`render_report` turns results into rows of plain text and figures of numbers, and hands both to `templates/report.html`,
which escapes all of it. Read `figures.py` next (what is drawn) and `templates/report.js` (how).
"""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.errors import DataError, MissingExtraError
from oddwave.report import wording
from oddwave.report.figures import MAX_CHANNELS, item_figure, point_budget, score_histogram, sparkline
from oddwave.results import DetectionResult, Event, ItemResult

__all__ = ["render_report", "write_report"]

TEMPLATES = Path(__file__).parent / "templates"
MAX_DRAWN_STREAMS = 200
MAX_DRAWN_INSTANCES = 60
MAX_OPEN_INSTANCES = 12
MAX_OPEN_STREAMS = 3
MAX_ROWS = 1_000
MAX_EVENT_ROWS = 300
MAX_EVENT_CARDS = 6

MODEL_LABELS = {
    "train_source": "Learned normal from",
    "num_train_points": "Points trained on",
    "preset": "Preset",
    "representation": "Representation",
    "window_sizes": "Window lengths",
    "reconstruction_weight": "Weight of the reconstruction error",
    "memory_weight": "Weight of the memory distance",
    "fit_s": "Time to fit",
    "seed": "Seed",
    "package_version": "oddwave version",
}


@dataclass(frozen=True, slots=True)
class BandBar:
    """One wavelet band of an event, as words and as a share in [0, 1]."""

    label: str
    percent: str
    share: float
    strongest: bool


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as the page shows it; `rank` 1 is the strongest, `section` and `place` say where it is drawn."""

    event: Event
    rank: int
    section: int
    place: int
    start: str
    end: str
    duration: str
    duration_points: int
    peak: str
    score: str
    p_value: str
    rate: str
    bands: tuple[BandBar, ...]
    parts: tuple[tuple[str, str], ...]

    @property
    def strongest_band(self) -> BandBar | None:
        """The band that carries the largest share, or None where no bands were given."""
        return next((band for band in self.bands if band.strongest), None)


@dataclass(frozen=True, slots=True)
class Section:
    """One stream or instance as the page shows it; `figure` is None where it is listed but not drawn."""

    item: ItemResult
    index: int
    facts: tuple[tuple[str, str], ...]
    events: tuple[EventRow, ...]
    flagged: bool
    peak_score: str
    sort_score: float
    p_value: str
    spark: Mapping[str, Any]
    figure: Mapping[str, Any] | None
    num_rows: int
    thinned: bool


def write_report(result: DetectionResult, path: Path, *, title: str | None = None) -> None:
    """Write the report of `result` to `path` as one HTML file that needs no network; replaces a file already there.

    The file appears whole or not at all.

    Raises:
        MissingExtraError: jinja2 or plotly is not installed.
        DataError: the file cannot be written.
    """
    page = render_report(result, title=title)
    _write_atomically(Path(path), page)


def render_report(result: DetectionResult, *, title: str | None = None) -> str:
    """Return the report of `result` as the text of one HTML page; `title` stands above the verdict.

    Raises:
        MissingExtraError: jinja2 or plotly is not installed.
    """
    try:
        import jinja2
        import markupsafe
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtraError("The report", "report") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = [get_plotlyjs(), (TEMPLATES / "report.js").read_text(encoding="utf-8")]
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        **_page_content(result),
        title=title or "What does not belong",
        style=markupsafe.Markup(style),
        scripts=[markupsafe.Markup(script) for script in scripts],
        script_hashes=[_content_hash(script) for script in scripts],
    )


def _content_hash(script: str) -> str:
    """Return a script's hash for the page's content policy: the browser then runs these scripts and no other."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _write_atomically(path: Path, page: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            temporary.write_text(page, encoding="utf-8", newline="\n")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot write the report to '{path}' ({reason}): give a path in a writable folder") from error


def _page_content(result: DetectionResult) -> dict[str, Any]:
    sections = _sections(result)
    events = sorted((row for section in sections for row in section.events), key=lambda row: row.rank)
    tone, headline, detail = wording.verdict_sentences(result)
    num_scored = int(np.isfinite(result.scores).sum()) if result.items else 0
    return {
        "kind": result.kind,
        "tone": tone,
        "headline": headline,
        "detail": detail,
        "tiles": _tiles(result, num_scored),
        "sections": sections[:MAX_ROWS],
        "num_sections": len(sections),
        "events": events[:MAX_EVENT_ROWS],
        "num_events": len(events),
        "with_channels": any(row.event.channel is not None for row in events),
        "with_bands": any(row.bands for row in events),
        "with_missing": any(not item.observed.all() for item in result.items),
        "with_normal": any(item.reconstruction is not None for item in result.items),
        "calibration": wording.calibration_sentences(result.calibration, result.kind, num_scored),
        "histogram": score_histogram(result.calibration, result.scores) if result.items else None,
        "model": _model_facts(result),
        "selection": _pairs(result.model.get("selection")),
        "not_monitored": _not_monitored(result, num_scored),
        "notes": _notes(result),
        "max_open": MAX_OPEN_STREAMS if result.kind == "stream" else MAX_OPEN_INSTANCES,
        "max_cards": MAX_EVENT_CARDS,
    }


def _peak_score(item: ItemResult) -> float:
    return float(np.nanmax(item.scores)) if np.isfinite(item.scores).any() else float("-inf")


def _sections(result: DetectionResult) -> list[Section]:
    """Return the items as sections, the most abnormal first; only so many are drawn that the page stays quick."""
    limit = MAX_DRAWN_STREAMS if result.kind == "stream" else MAX_DRAWN_INSTANCES
    items = sorted(result.items, key=_peak_score, reverse=True)
    strengths = [event.score for item in items for event in item.events]
    order = np.argsort([-score for score in strengths], kind="stable")
    rank_of = {int(at): rank + 1 for rank, at in enumerate(order)}
    budget = point_budget(result, min(limit, len(items)))
    sections, at = [], 0
    for index, item in enumerate(items):
        ranks = {place: rank_of[at + place] for place in range(len(item.events))}
        at += len(item.events)
        sections.append(_section(result, item, index, ranks, budget if index < limit else 0))
    return sections


def _section(result: DetectionResult, item: ItemResult, index: int, ranks: Mapping[int, int], budget: int) -> Section:
    peak = int(np.nanargmax(item.scores)) if np.isfinite(item.scores).any() else None
    rows = sorted((_event_row(item, place, ranks[place], index) for place in ranks), key=lambda row: row.rank)
    threshold, with_score = result.calibration.threshold, result.kind == "stream"
    return Section(
        item=item,
        index=index,
        facts=_item_facts(item),
        events=tuple(rows),
        flagged=bool(np.any(item.labels == 1)) or bool(item.events),
        peak_score=wording.number_text(_peak_score(item)),
        sort_score=_peak_score(item) if peak is not None else -1e300,
        p_value="n/a" if peak is None else wording.p_value_text(float(item.p_values[peak])),
        spark=sparkline(item) if index < MAX_ROWS else {},
        figure=item_figure(item, threshold, ranks, budget, with_score=with_score) if budget else None,
        num_rows=min(item.values.shape[1], MAX_CHANNELS),
        thinned=0 < budget < len(item.values),
    )


def _event_row(item: ItemResult, place: int, rank: int, section: int) -> EventRow:
    event = item.events[place]
    strongest = max((band.share for band in event.bands), default=0.0)
    return EventRow(
        event=event,
        rank=rank,
        section=section,
        place=place,
        start=wording.moment_text(item, event.start),
        end=wording.moment_text(item, event.end),
        duration=wording.event_length_text(item, event),
        duration_points=event.end - event.start + 1,
        peak=wording.moment_text(item, event.peak),
        score=wording.number_text(event.score),
        p_value=wording.p_value_text(event.p_value),
        rate=wording.rate_text(event.p_value),
        bands=tuple(
            BandBar(
                label=wording.band_text(band, item.sample_period_s),
                percent=f"{100 * band.share:.0f} %",
                share=band.share,
                strongest=band.share == strongest,
            )
            for band in sorted(event.bands, key=lambda band: -band.period_max)
        ),
        parts=tuple((name, wording.number_text(float(part[event.peak]))) for name, part in item.parts.items()),
    )


def _item_facts(item: ItemResult) -> tuple[tuple[str, str], ...]:
    num_points, num_channels = item.values.shape
    facts = [("Points", f"{num_points:,}")]
    if num_channels > 1:
        facts.append(("Channels", f"{num_channels:,}"))
    span_s = wording.duration_s(item, 0, num_points - 1) if num_points else None
    if span_s:
        facts.append(("Covers", wording.duration_text(span_s)))
    if item.sample_period_s:
        facts.append(("One point every", wording.duration_text(item.sample_period_s)))
    missing = 1 - float(item.observed.mean()) if item.observed.size else 0.0
    if missing > 0:
        facts.append(("Missing", wording.percent_text(missing)))
    return tuple(facts)


def _tiles(result: DetectionResult, num_scored: int) -> list[tuple[str, str]]:
    """Return the few numbers that stand under the verdict, as (value, caption)."""
    flagged = float(np.mean(result.labels == 1)) if result.items else 0.0
    noun = "point" if result.kind == "stream" else "instance"
    several = f" in {len(result.items):,} streams" if result.kind == "stream" and len(result.items) > 1 else ""
    return [
        (f"{num_scored:,}", f"{noun}s scored{several}"),
        (wording.percent_text(flagged), f"of {noun}s above the threshold"),
        (wording.number_text(result.calibration.threshold), "threshold on the score"),
        (wording.percent_text(result.calibration.alpha), "alpha: false alarms expected among normal data"),
    ]


def _pairs(value: Any) -> list[tuple[str, str]]:
    return [(str(name), _value_text(entry)) for name, entry in value.items()] if isinstance(value, Mapping) else []


def _value_text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        return wording.number_text(float(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value_text(entry)}" for name, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value_text(entry) for entry in value)
    return str(value)


def _model_facts(result: DetectionResult) -> list[tuple[str, str]]:
    """Return what is known of the model, in reading order; settings that have no label of ours come last."""
    model = result.model
    period_s = next((item.sample_period_s for item in result.items if item.sample_period_s), None)
    facts = []
    for name in [*MODEL_LABELS, *(name for name in model if name not in MODEL_LABELS)]:
        if name not in model or name in ("selection", "warnings"):
            continue
        text = _value_text(model[name])
        if name == "seed":
            text = str(model[name])
        if name == "fit_s":
            text = wording.duration_text(float(model[name]))
        if name == "window_sizes":
            sizes = [int(size) for size in np.atleast_1d(model[name])]
            text = f"{', '.join(f'{size:,}' for size in sizes)} points"
            if period_s:
                text += f" ({', '.join(wording.duration_text(size * period_s) for size in sizes)})"
        facts.append((MODEL_LABELS.get(name, str(name).replace("_", " ")), text))
    return facts


def _not_monitored(result: DetectionResult, num_scored: int) -> list[str]:
    """Return what the scores cannot speak about: what the scorer said, and what the data themselves lack."""
    lines = [str(line) for line in result.not_monitored]
    unscored = sum(len(item.scores) for item in result.items) - num_scored
    if unscored:
        lines.append(f"{wording.count_text(unscored, 'point')} without a score.")
    missing = sum(int((~item.observed).sum()) for item in result.items)
    total = sum(item.observed.size for item in result.items)
    if missing:
        share = wording.percent_text(missing / total)
        lines.append(f"Missing readings ({missing:,} of {total:,}, {share}): what is not there cannot be judged.")
    return lines


def _notes(result: DetectionResult) -> list[tuple[str, str]]:
    """Return warnings and notes as (whose, what); the model's own warnings first."""
    warnings = result.model.get("warnings", ())
    notes = [("Model", str(text)) for text in ([warnings] if isinstance(warnings, str) else warnings)]
    return notes + [(item.id, note) for item in result.items for note in item.notes]
