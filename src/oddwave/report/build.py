"""The report page: a `DetectionResult` in, one offline HTML file out.

`render_report` fills the shell that all pages share (verdict, calibration, model, limits, notes) and adds what one
modality shows (`series.py`, `image.py`, `audio.py`); the templates, which extend `templates/base.html`, escape all
of it, and show what would not show, such as control characters in names. Read one of these next (what is shown), then
`facts.py` and `wording.py` (in which words).
"""

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.errors import CheckpointError, DataError, MissingExtraError
from oddwave.files import write_bytes_atomic
from oddwave.folders import atomic_directory
from oddwave.report import wording
from oddwave.report.audio_files import AUDIO_FOLDER, plan_audio, write_audio
from oddwave.report.facts import model_facts
from oddwave.report.verdict import ITEM_NOUNS, verdict_sentences
from oddwave.results import DetectionResult
from oddwave.visible import visible

__all__ = ["render_report", "write_report"]

_LONGEST_NAME = 255  # bytes, of most file systems
TEMPLATES = Path(__file__).parent / "templates"
MAX_FAILURES = 200
_PAGES = {"image": "images.html", "recording": "audio.html"}  # by the result's kind; all others are series
_STYLES = {"image": ("images.css",), "recording": ("images.css", "audio.css")}
_SCRIPTS = {"image": ("images.js",), "recording": ("images.js", "audio.js")}


def write_report(result: DetectionResult, path: Path, *, title: str | None = None) -> None:
    """Write the report of `result` to `path` as one HTML file that needs no network; replaces a file already there.

    The file appears whole or not at all. Sound that would make it too large goes into a folder beside it.

    Raises:
        MissingExtraError: jinja2, or for series plotly, is not installed.
        DataError: the file cannot be written.
        CheckpointError: the folder beside it cannot be written.
    """
    path = Path(path)
    audio_folder = _beside(path)
    page = render_report(result, title=title, audio_folder=audio_folder)
    if any(not plan.embed for plan in plan_audio(result.recordings).values()):
        with atomic_directory(path.parent / audio_folder) as beside:
            write_audio(result, beside, only_linked=True)
    _write_atomically(path, page)


def render_report(result: DetectionResult, *, title: str | None = None, audio_folder: str | None = None) -> str:
    """Return the report of `result` as the text of one HTML page; `title` stands above the verdict.

    Sound that would make the page too large is linked to below `audio_folder`, where `write_audio` puts it.

    Raises:
        MissingExtraError: jinja2, or for series plotly, is not installed.
    """
    try:
        import jinja2
        import markupsafe

        scripts = _scripts(result)
    except ImportError as error:
        raise MissingExtraError("The report", "report") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = "".join(_template(name) for name in ("report.css", *_STYLES.get(result.kind, ())))
    return environment.get_template(_PAGES.get(result.kind, "series.html")).render(
        **_page_content(result, audio_folder),
        title=title or "What does not belong",
        style=markupsafe.Markup(style),
        scripts=[markupsafe.Markup(script) for script in scripts],
        script_hashes=[_content_hash(script) for script in scripts],
    )


def _shown(value: Any) -> Any:
    """Make plain text visible; what is markup already, such as scripts, stays as it is."""
    return visible(value) if type(value) is str else value


def _scripts(result: DetectionResult) -> list[str]:
    """Return the page's scripts; images and audio need no plotting library, which would be most of their page."""
    if result.kind in _SCRIPTS:
        return [_template(name) for name in ("tables.js", *_SCRIPTS[result.kind])]
    from plotly.offline import get_plotlyjs

    return [_template("tables.js"), get_plotlyjs(), _template("report.js")]


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


def _beside(path: Path) -> str:
    """Return the name of the folder of sounds beside a page, shortened where no file system would take it."""
    stem = path.stem
    while len(os.fsencode(f"{stem}_{AUDIO_FOLDER}")) > _LONGEST_NAME:
        stem = stem[:-1]
    return f"{stem}_{AUDIO_FOLDER}"


def _page_content(result: DetectionResult, audio_folder: str | None) -> dict[str, Any]:
    """Return the shell's words and, from the modality's own module, all the rest."""
    tone, headline, detail = verdict_sentences(result)
    num_scored = int(np.isfinite(result.scores).sum()) if result.items else 0
    own = _own_content(result, audio_folder)
    failures = [(item.id, item.reason) for item in result.not_judged]
    told = {f"{name}: {reason}" for name, reason in failures}
    return {
        **own,
        "kind": result.kind,
        "tone": tone,
        "headline": headline,
        "detail": detail,
        "tiles": _tiles(result, num_scored),
        "calibration": wording.calibration_sentences(result.calibration, result.kind, num_scored),
        "model": model_facts(result),
        "not_monitored": [*(line for line in map(str, result.not_monitored) if line not in told), *own["missing"]],
        "failures": failures[:MAX_FAILURES],
        "num_failures": len(failures),
        "failed_noun": ITEM_NOUNS[result.kind][len(failures) != 1],
        "notes": _notes(result),
    }


def _own_content(result: DetectionResult, audio_folder: str | None) -> dict[str, Any]:
    if result.kind == "image":
        from oddwave.report.image import image_content  # opens Pillow, as does the next

        return image_content(result)
    if result.kind == "recording":
        from oddwave.report.audio import audio_content

        return audio_content(result, audio_folder)
    from oddwave.report.series import series_content

    return series_content(result)


def _tiles(result: DetectionResult, num_scored: int) -> list[tuple[str, str]]:
    """Return the few numbers that stand under the verdict, as (value, caption)."""
    noun, (whole, wholes) = wording.NOUNS[result.kind], ITEM_NOUNS[result.kind]
    judged = len(result.items) - len(result.not_judged)
    several = f" in {judged:,} {wholes}" if noun != whole and judged > 1 else ""
    flagged = float(np.sum(result.labels == 1)) / max(1, num_scored) if result.items else 0.0  # of what was judged
    return [
        (f"{num_scored:,}", f"{noun}s scored{several}"),
        *_unjudged_tile(result),
        (wording.percent_text(flagged), f"of {noun}s above the threshold"),
        (wording.score_text(result.calibration.threshold), "threshold on the score"),
        (wording.percent_text(result.calibration.alpha), "alpha: false alarms expected among normal data"),
    ]


def _unjudged_tile(result: DetectionResult) -> list[tuple[str, str]]:
    """Return the number of items, or else of points, that were not judged; nothing where all were."""
    failed = len(result.not_judged)
    lost = int(np.isnan(result.scores).sum()) if result.items and not failed else 0
    if lost:
        return [(f"{lost:,}", f"{wording.NOUNS[result.kind]}{'s' * (lost > 1)} not judged")]
    return [(f"{failed:,}", f"{ITEM_NOUNS[result.kind][failed > 1]} not judged")] if failed else []


def _notes(result: DetectionResult) -> list[tuple[str, str]]:
    """Return warnings and notes as (whose, what); the model's own warnings first."""
    warnings = result.model.get("warnings", ())
    notes = [("Model", str(text)) for text in ([warnings] if isinstance(warnings, str) else warnings)]
    if result.kind in _PAGES:
        return notes + _gathered(result)
    return notes + [(item.id, note) for item in result.items for note in item.notes]


def _gathered(result: DetectionResult) -> list[tuple[str, str]]:
    """Return the notes of images or recordings, one line for all that share it."""
    owners: dict[str, list[str]] = {}
    for item in result.items:
        for note in dict.fromkeys(item.notes):
            owners.setdefault(note, []).append(item.id)
    return [(ids[0] if len(ids) == 1 else f"{len(ids):,} {result.kind}s", note) for note, ids in owners.items()]
