"""What a fusion leaves in its folder: fused.csv, summary.json and report.html, which leads to each sense's own report.

Read `report/outputs.py` next: it writes what is fused here.
"""

import json
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from oddwave.calibration.combine import Method
from oddwave.calibration.rule import valid_alpha
from oddwave.errors import DataError, MissingExtraError
from oddwave.files import file_table, folder_kind, require_free
from oddwave.folders import atomic_directory
from oddwave.fused import Fused, fused_verdict
from oddwave.report.build import render_page
from oddwave.report.kinds.views import share_bars
from oddwave.report.outputs import summary_text, write_table
from oddwave.report.wording import count_text, p_value_text, percent_text
from oddwave.senses.match import Thing
from oddwave.senses.read import FUSED, Sense
from oddwave.version import __version__
from oddwave.visible import as_text

__all__ = ["FUSED_FILES", "FusedRun", "fused_run", "require_apart", "write_fused"]

FUSED_FILES = ("fused.csv", "summary.json", "report.html")
DEFAULT_ALPHA = 0.01
_MAX_ROWS, _MAX_CARDS, _MAX_LINES = 1_000, 24, 5
_MAX_NAMED = 3
_ASSUMES = {
    "cauchy": "Cauchy's combination: for small p-values the rate of false alarms holds however the senses depend on "
    "one another.",
    "harmonic": "The harmonic mean: the rate of false alarms holds in any case, at the price of a factor.",
    "fisher": "Fisher's method: the rate of false alarms holds only where the senses are independent of one another.",
}


@dataclass(frozen=True)
class FusedRun:
    """All verdicts of a fusion, one for each thing of `things`, and what they rest on."""

    senses: tuple[Sense, ...]
    things: tuple[Thing, ...]
    verdicts: tuple[Fused, ...]
    method: Method
    alpha: float
    matched: str
    notes: tuple[str, ...]

    @property
    def flagged(self) -> tuple[Fused, ...]:
        """What all senses together call anomalous, the smallest p-value first."""
        return tuple(sorted((own for own in self.verdicts if own.label == 1), key=lambda own: own.p_value))

    @property
    def not_judged(self) -> tuple[Fused, ...]:
        """What no sense judged."""
        return tuple(own for own in self.verdicts if own.label == -1)

    @property
    def lines(self) -> list[str]:
        """Return the strongest findings for a terminal, a line each."""
        found = []
        for own in self.flagged[:_MAX_LINES]:
            shares = [f"{name} {share:.0%}" for name, share in own.shares.items()]
            found.append("  ".join([own.id, f"p {p_value_text(own.p_value)}", *shares]))
        more = len(self.flagged) - _MAX_LINES
        return [*found, f"... and {more:,} more, in fused.csv"] if more > 0 else found

    @property
    def verdict(self) -> tuple[str, str, str]:
        """Return the tone, the headline and a sentence on the strongest finding."""
        judged = [own for own in self.verdicts if own.label != -1]
        left = f" {len(self.not_judged):,} could not be judged by any sense." if self.not_judged else ""
        what = "moment" if self.matched == "time" else "item"
        if not self.verdicts:
            return "clear", "No sense has an event", "There is no moment to look at."
        if not judged:
            return "empty", "Nothing could be judged", f"No sense judged any {what}; the table says why."
        top = min(judged, key=lambda own: own.p_value)
        total = count_text(len(judged), what)
        sentence = f"The most abnormal is {top.id} ({_p(top.p_value)}{_mostly(top)}).{left}"
        if not self.flagged:
            return "partial" if left else "clear", f"None of {total} is anomalous by all senses together", sentence
        number = len(self.flagged)
        return "found", f"{number:,} of {total} {'is' if number == 1 else 'are'} anomalous", sentence


def fused_run(
    senses: Sequence[Sense],
    things: Sequence[Thing],
    *,
    method: Method,
    alpha: float | None,
    matched: str,
    notes: Sequence[str] = (),
) -> FusedRun:
    """Combine what the senses say of each thing. Without `alpha` theirs counts, the smallest where they differ.

    Raises: ConfigError for an alpha or a method that is none.
    """
    own = sorted({sense.alpha for sense in senses if sense.alpha})
    told = list(notes)
    rate = valid_alpha(alpha if alpha is not None else own[0] if own else DEFAULT_ALPHA)
    if alpha is None and len(own) > 1:
        listed = ", ".join(f"'{sense.name}' {sense.alpha:g}" for sense in senses if sense.alpha)
        told.append(
            f"the senses were judged at different rates ({listed}): the smallest, {rate:g}, counts here, unless "
            "--alpha says otherwise"
        )
    names = [sense.name for sense in senses]
    verdicts = [fused_verdict(each.name, each.p_values, each.reasons, names, method, rate) for each in things]
    alone = [thing for thing, each in zip(things, verdicts, strict=True) if thing.flagged_by and each.label != 1]
    if alone:
        who = [f"{thing.name}: {' and '.join(dict.fromkeys(thing.flagged_by))}" for thing in alone[:_MAX_NAMED]]
        told.append(
            f"{count_text(len(alone), 'more was', 'more were')} flagged by a sense by itself, but not by all together "
            f"({', '.join(who)}{', ...' if len(alone) > len(who) else ''}): a p-value is never smaller than the number "
            f"of normals behind it allows, and {len(names)} senses share {rate:g}. Calibrate on more, or raise alpha"
        )
    for sense in senses:
        missing = sum(sense.name in each.missing for each in verdicts)
        if missing:
            told.append(f"'{sense.name}' says nothing of {missing:,} of {len(verdicts):,}: they are judged without it")
    return FusedRun(tuple(senses), tuple(things), tuple(verdicts), method, rate, matched, tuple(told))


def require_apart(out: Path, senses: Sequence[Sense]) -> None:
    """Check that nothing that is read would be written over. Raises: DataError, CheckpointError."""
    if folder_kind(out) in ("results", "shards") and not (out / "fused.csv").is_file():
        raise DataError(f"{out} holds the results of a single sense: give another output folder")
    if any(sense.folder.resolve() == out.resolve() for sense in senses):
        raise DataError(f"{out} is one of the folders to fuse: give another output folder")
    require_free(out, FUSED_FILES)


def write_fused(run: FusedRun, out: Path, *, title: str | None = None) -> list[Path]:
    """Write all files of a fusion, all of them or none, and return their paths; older ones are replaced.

    Without jinja2 the report is left out, with a warning.
    Raises: DataError, CheckpointError where the folder cannot be written, or holds something else.
    """
    require_apart(out, run.senses)
    summary, page = _summary(run), ""
    try:
        page = render_page("fused.html", title=title or "Several senses, one verdict", **_page(run, out))
    except MissingExtraError as error:
        warnings.warn(f"{error}; report.html is left out", stacklevel=2)
    with atomic_directory(out, owns=FUSED_FILES) as beside:
        write_table(beside / "fused.csv", _columns(run), _rows(run))
        if page:
            (beside / "report.html").write_text(page, encoding="utf-8", newline="\n")
        summary["files"] = file_table(beside)
        (beside / "summary.json").write_text(summary_text(summary), encoding="utf-8", newline="\n")
    return [out / name for name in FUSED_FILES if page or name != "report.html"]


def _columns(run: FusedRun) -> list[str]:
    names = [sense.name for sense in run.senses]
    parts = [f"{part}_{name}" for part in ("p", "share", "item", "missing") for name in names]
    return ["item", "p_value", "label", "strongest", *parts]


def _rows(run: FusedRun) -> Iterator[list[Any]]:
    names = [sense.name for sense in run.senses]
    for thing, own in zip(run.things, run.verdicts, strict=True):
        parts = [table.get(name) for table in (own.p_values, own.shares, thing.known_as, own.missing) for name in names]
        yield [own.id, own.p_value, own.label, own.strongest, *parts]


def _summary(run: FusedRun) -> dict[str, Any]:
    tone, headline, detail = run.verdict
    content = {
        "oddwave_version": __version__,
        "modality": FUSED,
        "kind": FUSED,
        "verdict": {"found": tone == "found", "headline": headline, "detail": detail},
        "counts": {
            "items": len(run.verdicts),
            "anomalous": len(run.flagged),
            "failed": len(run.not_judged),
        },
        "alpha": run.alpha,
        "method": run.method,
        "matched_by": run.matched,
        "senses": [
            {"name": own.name, "modality": own.modality, "folder": str(own.folder), "alpha": own.alpha,
             "items": len(own.items), "headline": own.headline}
            for own in run.senses
        ],
        "items": [
            {"id": own.id, "p_value": own.p_value if math.isfinite(own.p_value) else None, "label": own.label,
             "strongest": own.strongest, "p_values": own.p_values, "shares": own.shares, "missing": own.missing,
             "items": thing.known_as}
            for thing, own in zip(run.things, run.verdicts, strict=True)
        ],
        "notes": list(run.notes),
    }  # fmt: skip
    return dict(json.loads(as_text(json.dumps(content))))


def _page(run: FusedRun, out: Path) -> dict[str, Any]:
    tone, headline, detail = run.verdict
    order = sorted(
        range(len(run.verdicts)),
        key=lambda n: (-run.verdicts[n].label, run.verdicts[n].p_value if run.verdicts[n].label >= 0 else 2.0),
    )
    links = {sense.name: _link(sense, out) for sense in run.senses}
    what = "moment" if run.matched == "time" else "item"
    return {
        "what": what,
        "tone": tone,
        "headline": headline,
        "detail": detail,
        "tiles": [
            (f"{len(run.verdicts) - len(run.not_judged):,}", f"{what}s judged"),
            *([(f"{len(run.not_judged):,}", f"{what}s not judged by any sense")] if run.not_judged else []),
            (f"{len(run.senses)}", "senses"),
            (percent_text(run.alpha), f"alpha: false alarms expected among normal {what}s"),
        ],
        "senses": [
            {"name": own.name, "modality": own.modality, "link": links[own.name], "headline": own.headline,
             "told": sum(own.name in each.p_values for each in run.verdicts), "alpha": percent_text(own.alpha or 0.0)}
            for own in run.senses
        ],
        "rows": [_row(run, number) for number in order[:_MAX_ROWS]],
        "num_rows": len(run.verdicts),
        "cards": [_row(run, number) for number in order[:_MAX_CARDS] if run.verdicts[number].label == 1],
        "method": _ASSUMES[run.method],
        "notes": [("", note) for note in run.notes],
    }  # fmt: skip


def _row(run: FusedRun, number: int) -> dict[str, Any]:
    own, thing = run.verdicts[number], run.things[number]
    return {
        "id": own.id,
        "p": p_value_text(own.p_value),
        "order": own.p_value if own.label >= 0 else 2.0,
        "label": own.label,
        "strongest": own.strongest if own.label == 1 else "",
        "cells": [
            {"name": name, "p": p_value_text(own.p_values[name]) if name in own.p_values else "",
             "order": own.p_values.get(name, 2.0), "why": own.missing.get(name, "")}
            for name in (sense.name for sense in run.senses)
        ],
        "bars": share_bars(list(own.shares.items())),
        "parts": [f"{name}: {known}" for name, known in thing.known_as.items()],
        "missing": [f"{name}: {why}" for name, why in own.missing.items()],
    }  # fmt: skip


def _link(sense: Sense, out: Path) -> str:
    """Return the way from the page to a sense's own report, an empty text where it has none."""
    report = sense.folder / "report.html"
    if not report.is_file():
        return ""
    try:
        return quote(Path(os.path.relpath(report.resolve(), out.resolve())).as_posix())
    except ValueError:  # another drive
        return report.resolve().as_uri()


def _p(p_value: float) -> str:
    return f"p = {p_value_text(p_value)}".replace("= <", "<")


def _mostly(own: Fused) -> str:
    if own.strongest is None or len(own.shares) < 2:
        return ""
    return f"; {percent_text(own.shares[own.strongest])} of it by {own.strongest}"
