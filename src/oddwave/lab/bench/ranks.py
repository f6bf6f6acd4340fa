"""Which method is better over many items: mean ranks, Friedman's test with Nemenyi's critical difference, Wilcoxon.

    mean rank            1 is best, ties share; over the items that every compared method has
    Friedman             are all mean ranks the same?
    critical difference  two mean ranks further apart than q sqrt(k (k + 1) / (6 n)) differ (Nemenyi, at 5 %)
    Wilcoxon             signed ranks of one method's differences to each other one, the p-values after Holm

A method with few of the items would shrink what is compared to those few; below four fifths of the items it is left out
and named instead. Items of one data set resemble each other, so these tests speak of items such as these ones.
Source: Demšar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets. Read `verdict.py` next.

Legend: n items (or tables), k methods.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from oddwave.lab.bench.markdown import Row

__all__ = [
    "OWN_METHOD",
    "MeanRanks",
    "PairedTest",
    "ScoreTable",
    "holm",
    "is_rival",
    "mean_ranks",
    "score_table",
    "wilcoxon_against",
]

OWN_METHOD = "oddwave"

_ALPHA = 0.05
_LEAST_SHARE = 0.8

Place = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """A metric (higher is better) of each method on each item, mean over seeds; nothing missing."""

    methods: tuple[str, ...]
    places: tuple[Place, ...]
    values: Float[np.ndarray, "n k"]
    left_out: Mapping[str, int]

    def column(self, method: str) -> Float[np.ndarray, " n"]:
        """Return the values of one method."""
        return self.values[:, self.methods.index(method)]

    def by_table(self) -> "ScoreTable":
        """Average over the items of each data set and protocol, so that a data set of many items counts once."""
        tables = [(dataset, protocol) for dataset, _, protocol in self.places]
        kept = sorted(set(tables))
        rows = [self.values[[own == table for own in tables]].mean(axis=0) for table in kept]
        places = tuple((dataset, "", protocol) for dataset, protocol in kept)
        return ScoreTable(self.methods, places, np.array(rows).reshape(len(kept), len(self.methods)), self.left_out)


@dataclass(frozen=True)
class MeanRanks:
    """Mean rank of each method, the best first; NaN where too little is known for a test.

    Attributes:
        num_items: over how many items.
        p_value: Friedman's, of all methods ranking alike.
        critical_difference: of two mean ranks.
    """

    ranks: Mapping[str, float]
    num_items: int
    p_value: float
    critical_difference: float

    def groups(self) -> list[tuple[str, ...]]:
        """Return the largest sets of methods, two at least, whose mean ranks lie within the critical difference."""
        methods, found = list(self.ranks), []
        last_end = 0
        for first, method in enumerate(methods):
            near = [m for m in methods[first:] if self.ranks[m] - self.ranks[method] <= self.critical_difference]
            if len(near) > 1 and first + len(near) > last_end:
                found.append(tuple(near))
                last_end = first + len(near)
        return found


@dataclass(frozen=True)
class PairedTest:
    """One method against another over items: how often better and worse, Wilcoxon's two-sided p, also after Holm."""

    other: str
    difference: float
    num_better: int
    num_worse: int
    p_value: float
    p_holm: float


def is_rival(method: str) -> bool:
    """Return whether a method is neither oddwave nor one of its presets, settings and ablations."""
    return not method.startswith(OWN_METHOD) and "/" not in method


def score_table(
    rows: Sequence[Row], metric: str = "auroc", *, anchor: str | None = None, least_share: float = _LEAST_SHARE
) -> ScoreTable:
    """Gather a metric of finished cells: the methods that have at least `least_share` of the items, the items all have.

    Items are those of the `anchor`, a method that is never left out, else those that any method has. Methods left out
    are named with their number of items.
    """
    cells: defaultdict[str, defaultdict[Place, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.get(metric) and not row["error"]:
            cells[row["method"]][row["dataset"], row["item"], row["protocol"]].append(float(row[metric]))
    every = (
        set(cells[anchor])
        if anchor is not None and anchor in cells
        else {place for own in cells.values() for place in own}
    )
    kept = [method for method, own in cells.items() if len(every & set(own)) >= least_share * len(every)]
    left_out = {method: len(every & set(own)) for method, own in cells.items() if method not in kept}
    places = sorted(every.intersection(*(cells[method] for method in kept))) if kept else []
    values = np.array([[np.mean(cells[method][place]) for method in kept] for place in places])
    return ScoreTable(tuple(kept), tuple(places), values.reshape(len(places), len(kept)), left_out)


def mean_ranks(table: ScoreTable) -> MeanRanks:
    """Rank the methods on each item and average; test with Friedman and Nemenyi from three methods, two items on."""
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    (num_items, num_methods), values = table.values.shape, table.values
    if not num_items:
        return MeanRanks({}, 0, float("nan"), float("nan"))
    means = rankdata(-values, axis=1).mean(axis=0)
    ranks = {table.methods[index]: float(means[index]) for index in np.argsort(means, kind="stable")}
    if num_methods < 3 or num_items < 2:
        return MeanRanks(ranks, num_items, float("nan"), float("nan"))
    all_tied = bool(np.all(values == values[:, :1]))
    p_value = 1.0 if all_tied else float(friedmanchisquare(*values.T).pvalue)
    quantile = float(studentized_range.ppf(1 - _ALPHA, num_methods, np.inf)) / np.sqrt(2)
    critical = quantile * np.sqrt(num_methods * (num_methods + 1) / (6 * num_items))
    return MeanRanks(ranks, num_items, p_value, float(critical))


def wilcoxon_against(table: ScoreTable, method: str, others: Sequence[str] | None = None) -> list[PairedTest]:
    """Test a method against the others (all, unless told) over items, in the order of the difference, worst first."""
    named = [other for other in table.methods if other != method and (others is None or other in others)]
    if method not in table.methods or not len(table.places):
        return []
    differences = {other: table.column(method) - table.column(other) for other in named}
    p_values = [_signed_rank_p(differences[other]) for other in named]
    tests = [
        PairedTest(
            other,
            float(differences[other].mean()),
            int((differences[other] > 0).sum()),
            int((differences[other] < 0).sum()),
            p_value,
            adjusted,
        )
        for other, p_value, adjusted in zip(named, p_values, holm(p_values), strict=True)
    ]
    return sorted(tests, key=lambda test: test.difference)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number, step-down (Holm 1979); NaN stays NaN and is not counted."""
    known = [index for index, p_value in enumerate(p_values) if not np.isnan(p_value)]
    adjusted, highest = [float("nan")] * len(p_values), 0.0
    for place, index in enumerate(sorted(known, key=lambda index: p_values[index])):
        highest = max(highest, min(1.0, (len(known) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _signed_rank_p(differences: Float[np.ndarray, " n"]) -> float:
    """Return Wilcoxon's p: exact where there are few differences and no ties among them, else by the normal law."""
    from scipy.stats import wilcoxon

    own = np.round(differences[differences != 0], 12)
    if not len(own):
        return 1.0
    is_exact = len(own) <= 50 and len(np.unique(np.abs(own))) == len(own)
    return float(wilcoxon(own, method="exact" if is_exact else "approx").pvalue)
