"""Where oddwave stands, in words: leads or does not, per data set and over all, and plainly where it loses.

A difference is real where its paired p-value, after Holm for the number of rivals, is below 5 %. p-values per data set
come from resampling the test items (`intervals.py`), those over all items from signed ranks (`ranks.py`). oddwave's own
presets and settings are no rivals and are not ranked. Read `plots.py` next, which draws the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oddwave.lab.bench.intervals import (
    Difference,
    Evidence,
    Interval,
    Place,
    difference_of,
    interval_of,
    mean_evidence,
    read_evidence,
)
from oddwave.lab.bench.markdown import Row
from oddwave.lab.bench.protocol import AnyTask, BenchModality
from oddwave.lab.bench.ranks import (
    OWN_METHOD,
    MeanRanks,
    ScoreTable,
    holm,
    is_rival,
    mean_ranks,
    score_table,
    wilcoxon_against,
)

__all__ = ["Rival", "Standing", "standings", "write_verdict"]

_ALPHA = 0.05
_MOST_NAMED = 5
_ITEM_WORDS: Mapping[BenchModality, str] = {"series": "items", "image": "categories", "audio": "classes"}
_EXPLANATION = """AUROC, mean over items and seeds, in brackets its 95 % bootstrap interval: over test images,
recordings or instances, of streams over blocks of twice as many points as stay alike. Each difference is oddwave minus
a rival on the same resamples; p is two-sided, after Holm for all rivals of the data set. Seeds and items are fixed
there: Wilcoxon's test, further down, is what speaks of other items of the kind."""


@dataclass(frozen=True)
class Rival:
    """One rival on a data set: its figure, and oddwave's difference to it (interval and p NaN without saved scores)."""

    method: str
    figure: Interval
    difference: Difference
    p_holm: float
    num_worse: int

    @property
    def is_real(self) -> bool:
        """Whether the difference is more than chance would give."""
        return self.p_holm < _ALPHA


@dataclass(frozen=True)
class Standing:
    """oddwave among its rivals on one data set under one protocol, rivals from the best to the worst."""

    name: str
    table: ScoreTable
    figure: Interval
    rivals: tuple[Rival, ...]

    @property
    def verdict(self) -> str:
        """Return whether oddwave leads, and how sure that is."""
        best = self.rivals[0]
        losses = [rival.method for rival in self.rivals if rival.is_real and rival.difference.value < 0]
        if best.difference.value <= 0:
            sure = f"loses to {_listed(losses)}" if losses else _doubt(best)
            return f"**does not lead**: {sure}"
        return f"**leads**{'' if best.is_real else f', {_doubt(best)}'}"


def write_verdict(
    out: Path,
    modality: BenchModality,
    rows: Sequence[Row],
    tasks: Sequence[AnyTask],
    evidence: Mapping[Place, Mapping[str, Evidence]] | None = None,
) -> list[str]:
    """Return the lines of Markdown to append to a modality's tables.

    `evidence` is what `read_evidence` gives for these rows, if it is at hand already.
    """
    lines = ["", "## Where oddwave stands", ""]
    if not any(row["method"] == OWN_METHOD and row["auroc"] and not row["error"] for row in rows):
        return [*lines, "Nothing to say: there is no finished cell of oddwave itself."]
    kept = [row for row in rows if row["method"] == OWN_METHOD or is_rival(row["method"])]
    found = standings(kept, read_evidence(out, kept, tasks) if evidence is None else evidence)
    if not found:
        return [*lines, "Nothing to say: no rival has finished cells on the items that oddwave has."]
    table = score_table(kept, anchor=OWN_METHOD)
    parts = [*_overall(modality, table), "", _EXPLANATION, "", *_by_data_set(found), *_losses(modality, found)]
    return [*lines, *parts, *_rank_table(table)]


def standings(rows: Sequence[Row], evidence: Mapping[Place, Mapping[str, Evidence]]) -> list[Standing]:
    """Compare oddwave with each rival, per data set and protocol, over the items that all of them have."""
    found = []
    for dataset, protocol in sorted({(row["dataset"], row["protocol"]) for row in rows}):
        own = [row for row in rows if (row["dataset"], row["protocol"]) == (dataset, protocol)]
        table = score_table(own, anchor=OWN_METHOD)
        if OWN_METHOD in table.methods and len(table.methods) > 1 and table.places:
            found.append(_standing(f"{dataset}, {protocol}", table, evidence))
    return found


def _standing(name: str, table: ScoreTable, evidence: Mapping[Place, Mapping[str, Evidence]]) -> Standing:
    means = {method: _mean(table, method, evidence) for method in table.methods}
    rivals = sorted((m for m in table.methods if m != OWN_METHOD), key=lambda m: -means[m].value)
    differences = [difference_of(means[OWN_METHOD], means[method]) for method in rivals]
    adjusted = holm([difference.p_value for difference in differences])
    own = table.column(OWN_METHOD)
    return Standing(
        name,
        table,
        interval_of(means[OWN_METHOD]),
        tuple(
            Rival(method, interval_of(means[method]), difference, p_holm, int((own < table.column(method)).sum()))
            for method, difference, p_holm in zip(rivals, differences, adjusted, strict=True)
        ),
    )


def _mean(table: ScoreTable, method: str, evidence: Mapping[Place, Mapping[str, Evidence]]) -> Evidence:
    """Return a method's mean over the items; without spread where a cell's scores are not at hand."""
    known = [evidence[place][method] for place in table.places if method in evidence.get(place, {})]
    if len(known) == len(table.places):
        return mean_evidence(known)
    length = next((len(own.replicates) for methods in evidence.values() for own in methods.values()), 1)
    return Evidence(float(table.column(method).mean()), np.full(length, np.nan))


def _overall(modality: BenchModality, table: ScoreTable) -> list[str]:
    """Return in a sentence or two who leads the mean rank, over items and over tables."""
    words, by_table = _ITEM_WORDS[modality], table.by_table()
    lines = [f"Mean rank over {len(table.places)} {words}: {_place_of(mean_ranks(table))}."]
    if 1 < len(by_table.places) < len(table.places):
        lines.append(f"Mean rank over {len(by_table.places)} tables: {_place_of(mean_ranks(by_table))}.")
    if table.left_out:
        few = ", ".join(f"{method} ({num})" for method, num in table.left_out.items())
        lines.append(f"Not ranked, with too few of these {words}: {few}.")
    return lines


def _place_of(ranked: MeanRanks) -> str:
    own = ranked.ranks[OWN_METHOD]
    better = [f"{method} ({rank:.2f})" for method, rank in ranked.ranks.items() if rank < own]
    even = [method for method, rank in ranked.ranks.items() if rank == own and method != OWN_METHOD]
    shared = f", level with {_listed(even)}" if even else ""
    if better:
        return f"**oddwave does not lead**, with {own:.2f} it comes after {_listed(better)}{shared}"
    if even:
        return f"**oddwave does not lead alone**, with {own:.2f}{shared}"
    rest = [f"{method} ({rank:.2f})" for method, rank in ranked.ranks.items() if method != OWN_METHOD][:1]
    return f"**oddwave leads** with {own:.2f}, before {_listed(rest)}"


def _by_data_set(found: Sequence[Standing]) -> list[str]:
    lines = [
        "| data set | items | oddwave | best rival | difference | p | oddwave |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for standing in found:
        best = standing.rivals[0]
        lines.append(
            f"| {standing.name} | {len(standing.table.places)} | {_figure(standing.figure)} | "
            f"{best.method} {_figure(best.figure)} | {_figure(best.difference, '+.3f')} | {_p(best.p_holm)} | "
            f"{standing.verdict} |"
        )
    return lines


def _losses(modality: BenchModality, found: Sequence[Standing]) -> list[str]:
    """Name every rival that is ahead of oddwave on a data set, and the items furthest behind the best of them."""
    lines = ["", "### Where oddwave loses", ""]
    words = _ITEM_WORDS[modality]
    for standing in found:
        for rival in standing.rivals:
            if rival.difference.value < 0:
                sure = "beyond chance" if rival.is_real else _doubt(rival)
                lines.append(
                    f"- {standing.name}: behind {rival.method}, {_figure(rival.difference, '+.3f')}, p "
                    f"{_p(rival.p_holm)} ({sure}); worse on {rival.num_worse} of {len(standing.table.places)} {words}"
                )
        lines += _worst_items(standing)
    return (
        lines if len(lines) > 3 else [*lines, "On no data set is a rival's mean ahead of oddwave's, nor on any item."]
    )


def _worst_items(standing: Standing) -> list[str]:
    table = standing.table
    own, others = table.column(OWN_METHOD), [m for m in table.methods if m != OWN_METHOD]
    best = np.max([table.column(method) for method in others], axis=0)
    if not (own < best).any() or len(own) < 2:
        return []
    shown = []
    for index in np.argsort(own - best)[:_MOST_NAMED]:
        if own[index] < best[index]:
            winner = next(method for method in others if table.column(method)[index] == best[index])
            shown.append(f"{table.places[index][1]} ({own[index]:.3f}, {winner} {best[index]:.3f})")
    behind = f"ahead on {int((own < best).sum())} of {len(own)}"
    hindsight = f"the best of {len(others)} rivals, picked per item in hindsight, is {behind}"
    return [f"- {standing.name}: {hindsight}; furthest: {', '.join(shown)}"]


def _rank_table(table: ScoreTable) -> list[str]:
    """Return mean ranks with Wilcoxon's test of oddwave against each rival."""
    ranked = mean_ranks(table)
    tests = {test.other: test for test in wilcoxon_against(table, OWN_METHOD)}
    lines = ["", f"### Mean ranks over {ranked.num_items} items", ""]
    if np.isnan(ranked.p_value):
        lines.append("Too few methods or items for Friedman's test.")
    else:
        lines.append(
            f"Friedman: p {_p(ranked.p_value)} for no difference among all. Two mean ranks differ beyond chance from "
            f"{ranked.critical_difference:.2f} on (Nemenyi, 5 %). p: signed ranks against oddwave (Wilcoxon), Holm."
        )
    lines += [
        "",
        "| method | mean rank | oddwave minus it | oddwave better | worse | p |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for method, rank in ranked.ranks.items():
        test = tests.get(method)
        cells = (
            ["", "", "", ""]
            if test is None
            else [f"{test.difference:+.3f}", str(test.num_better), str(test.num_worse), _p(test.p_holm)]
        )
        lines.append(f"| {f'**{method}**' if method == OWN_METHOD else method} | {rank:.2f} | {' | '.join(cells)} |")
    return lines


def _figure(figure: Interval | Difference, form: str = ".3f") -> str:
    text = f"{figure.value:{form}}"
    return text if np.isnan(figure.low) else f"{text} [{figure.low:{form}}, {figure.high:{form}}]"


def _p(p_value: float) -> str:
    if np.isnan(p_value):
        return "–"
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _doubt(rival: Rival) -> str:
    return "not tested, for want of saved scores" if np.isnan(rival.p_holm) else "not beyond chance"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
