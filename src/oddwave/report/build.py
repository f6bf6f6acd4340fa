"""The report page: a `DetectionResult` in, one offline HTML file out.

`render_report` fills the shell that all pages share (verdict, calibration, model, limits, notes) and adds what the kind
of result shows; the templates, which extend `templates/base.html`, escape all of it, and show what would not show, such
as control characters in names. Read `kinds/base.py` next (what a kind adds), then `facts.py` and `wording.py`.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oddwave.errors import CheckpointError, DataError, MissingExtraError
from oddwave.files import write_bytes_atomic
from oddwave.folders import atomic_directory
from oddwave.report import wording
from oddwave.report.facts import choices, gathered_notes, model_facts
from oddwave.report.histogram import histogram_figure
from oddwave.report.kinds import ReportKind, kind_of
from oddwave.report.kinds.views import items_content
from oddwave.report.verdict import calibration_sentences, verdict_sentences
from oddwave.results import DetectionResult
from oddwave.visible import visible

if TYPE_CHECKING:
    import jinja2

__all__ = ["TEMPLATES", "render_page", "render_report", "write_report"]

_LONGEST_NAME = 255  # bytes, of most file systems
TEMPLATES = Path(__file__).parent / "templates"
MAX_FAILURES = 200


def write_report(result: DetectionResult, path: Path, *, title: str | None = None) -> None:
    """Write the report of `result` to `path` as one HTML file that needs no network; replaces a file already there.

    The file appears whole or not at all. What would make it too large, such as audio, goes into a folder beside it.

    Raises:
        MissingExtraError: jinja2, or for series plotly, is not installed.
        DataError: the file cannot be written.
        CheckpointError: the folder beside it cannot be written.
    """
    path, media = Path(path), kind_of(result).media
    folder = None if media is None else _beside(path, media.folder)
    page = render_report(result, title=title, media_folder=folder)
    if media is not None and folder is not None and media.linked(result):
        with atomic_directory(path.parent / folder) as beside:
            media.write(result, beside, True)
    _write_atomically(path, page)


def render_report(result: DetectionResult, *, title: str | None = None, media_folder: str | None = None) -> str:
    """Return the report of `result` as the text of one HTML page; `title` stands above the verdict.

    What would make the page too large, such as audio, is linked to below `media_folder`, where its kind writes it.

    Raises:
        MissingExtraError: jinja2, or for series plotly, is not installed.
    """
    kind = kind_of(result)
    return render_page(
        kind.template,
        styles=kind.styles,
        scripts=kind.scripts,
        plots=kind.plots,
        title=title or "Anomaly report",
        **_page_content(result, kind, media_folder),
    )


def render_page(
    template: str,
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    plots: bool = False,
    **content: Any,
) -> str:
    """Return a page of one of the templates as text; with `plots`, Plotly is in it.

    Raises: MissingExtraError where jinja2, or plotly for plots, is not installed.
    """
    try:
        import jinja2
        import markupsafe

        texts = _scripts(scripts, plots)
        page = _environment(jinja2.Environment).get_template(template)
    except ImportError as error:
        raise MissingExtraError("The report", "report") from error
    style = "".join(_template(name) for name in ("report.css", *styles))
    return page.render(
        **{"media_sources": "", **content},
        style=markupsafe.Markup(style),
        scripts=[markupsafe.Markup(text) for text in texts],
        script_hashes=[_content_hash(text) for text in texts],
    )


@cache
def _environment(kind: "type[jinja2.Environment]") -> "jinja2.Environment":
    """Return what fills templates, made once per process: it keeps those that it has compiled."""
    from jinja2 import FileSystemLoader, StrictUndefined

    from oddwave.report.template_cache import kept_templates

    return kind(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=kept_templates(TEMPLATES),
    )


def _shown(value: Any) -> Any:
    """Make plain text visible; what is markup already, such as scripts, stays as it is."""
    return visible(value) if type(value) is str else value


def _scripts(own: Sequence[str], plots: bool) -> list[str]:
    """Return the page's scripts; only plots need the plotting library, which is most of their page."""
    names = ["tables.js", *own]
    if not plots:
        return [_template(name) for name in names]
    from plotly.offline import get_plotlyjs

    return [get_plotlyjs(), *map(_template, names)]


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _content_hash(script: str) -> str:
    """Return a script's hash for the page's content policy: the browser then runs these scripts and no other."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _write_atomically(path: Path, page: str) -> None:
    try:
        write_bytes_atomic(path, page.encode("utf-8"))
    except CheckpointError as error:
        reason = getattr(error.__cause__, "strerror", None) or error
        raise DataError(f"cannot write the report to '{path}' ({reason}): give a path in a writable folder") from error


def _beside(path: Path, name: str) -> str:
    """Return the name of a folder beside a page, shortened where no file system would take it."""
    stem = path.stem
    while len(os.fsencode(f"{stem}_{name}")) > _LONGEST_NAME:
        stem = stem[:-1]
    return f"{stem}_{name}"


def _page_content(result: DetectionResult, kind: ReportKind, media_folder: str | None) -> dict[str, Any]:
    """Return the shell's words and, from the kind's own module, all the rest."""
    tone, headline, detail = verdict_sentences(result)
    num_scored = result.counts.scored
    content = kind.content(result, media_folder) if kind.content else items_content(result, kind.place)
    failures = [(item.id, item.reason) for item in result.not_judged]
    told = {f"{name}: {reason}" for name, reason in failures}
    unmonitored = [line for line in map(str, result.not_monitored) if line not in told]
    all_scored = kind.all_scored.format(every="every other" if failures else "every")
    warnings = result.model.get("warnings", ())
    return {
        "media_sources": "",
        "histogram": histogram_figure(result.calibration, result.scores) if result.items else None,
        "limit": "",
        **content,
        "kind": kind,
        "tone": tone,
        "headline": headline,
        "detail": detail,
        "tiles": _tiles(result, kind, num_scored),
        "calibration": calibration_sentences(kind, result.calibration, num_scored),
        "model": model_facts(result),
        "choices": choices(result.model.get("choices")),
        "not_monitored": [*unmonitored, *content.get("missing", ())],
        "all_scored": all_scored[0].upper() + all_scored[1:],
        "failures": failures[:MAX_FAILURES],
        "num_failures": result.counts.failed,
        "notes": [
            *(("Model", str(text)) for text in ([warnings] if isinstance(warnings, str) else warnings)),
            *gathered_notes(result),
        ],
    }


def _tiles(result: DetectionResult, kind: ReportKind, num_scored: int) -> list[tuple[str, str]]:
    """Return the few numbers that stand under the verdict, as (value, caption)."""
    counts = result.counts
    judged, failed = counts.items - counts.failed, counts.failed
    several = f" in {judged:,} {kind.items}" if kind.noun != kind.item and judged > 1 else ""
    flagged = counts.anomalous / max(1, num_scored)  # of what was judged
    lost = counts.scores - counts.scored
    unjudged = []
    if failed or lost:
        what = kind.items if failed > 1 else kind.item if failed else kind.nouns if lost > 1 else kind.noun
        unjudged = [(f"{failed or lost:,}", f"{what} not judged")]
    blocks = wording.count_text(result.calibration.num_blocks, "block")
    doubt = "" if result.calibration.confirmed else f"; {blocks} cannot confirm so low a rate"
    return [
        (f"{num_scored:,}", f"{kind.nouns} scored{several}"),
        *unjudged,
        (wording.percent_text(flagged), f"of {kind.nouns} {kind.flagged_words}"),
        (wording.score_text(result.calibration.threshold), "threshold on the score"),
        (wording.percent_text(result.calibration.alpha), f"alpha: false alarms expected among normal data{doubt}"),
    ]
