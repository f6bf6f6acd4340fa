"""One offline page of plots per modality: AUROC with intervals, ROC curves, accuracy against cost, mean ranks.

    intervals            bars from chance (0.5), over the items that the methods drawn have in common
    ROC curves           true-positive rate at each false-positive rate, mean over items and seeds
    accuracy and cost    AUROC against the CPU seconds of an item, fit and score together, on a logarithmic scale
    critical difference  mean ranks; an upright bar joins methods that do not differ beyond chance (Demšar 2006)

oddwave has one colour, its own variants a lighter one, rivals have greys and blues; whatever is drawn for a data set
has the same colour everywhere. The page holds plotly's script, so it opens without a network. Read `tables.py` next.

Legend: n items, R false-positive rates.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from oddwave.lab.bench.intervals import Evidence, Place, interval_of, mean_evidence, read_evidence, saved_scores
from oddwave.lab.bench.markdown import Row
from oddwave.lab.bench.plot_page import OWN_COLOUR, VARIANT_COLOUR, figure_html, layout, require_plotly, write_page
from oddwave.lab.bench.protocol import AnyTask, BenchModality
from oddwave.lab.bench.ranks import OWN_METHOD, MeanRanks, ScoreTable, is_rival, mean_ranks, score_table

__all__ = ["critical_difference_figure", "mean_roc", "write_plots"]

_RIVALS = ("#0072b2", "#009e73", "#7a5195", "#56b4e9", "#8a6d00", "#4d5a66", "#cc79a7", "#2f4b7c", "#6a9a5b", "#a05d56")
_DASHES = ("solid", "dash", "dot", "dashdot")
_MOST_CURVES = 8  # shown at first; the others by a click on their name
_RATES = np.linspace(0, 1, 201)
_TITLES: Mapping[BenchModality, str] = {"series": "Series", "image": "Image", "audio": "Sound"}
_INTRODUCTION = (
    "AUROC: 0.5 is chance, 1 perfect. Intervals are 95 % bootstrap intervals over test items, of streams over blocks "
    "of points; a bar without one has no saved scores. oddwave is orange, its own variants light orange. Click a name "
    "in a legend to hide or show its curve, twice to see it alone."
)


def write_plots(
    out: Path,
    modality: BenchModality,
    rows: Sequence[Row],
    tasks: Sequence[AnyTask],
    evidence: Mapping[Place, Mapping[str, Evidence]] | None = None,
) -> Path:
    """Write `<modality>_plots.html` and return it.

    `evidence` is what `read_evidence` gives for these rows, if it is at hand already.

    Raises:
        MissingExtraError: plotly is not installed.
        CheckpointError: `out` cannot be written.
    """
    require_plotly()
    kept = [row for row in rows if row["auroc"] and not row["error"] and "/" not in row["method"]]
    known = read_evidence(out, kept, tasks) if evidence is None else evidence
    colours = _colours(sorted({row["method"] for row in kept}))
    curves = _curves(out, kept, tasks)
    parts = {"Mean ranks": _rank_section(kept)}
    for place in sorted({(row["dataset"], row["protocol"]) for row in kept}):
        own = [row for row in kept if (row["dataset"], row["protocol"]) == place]
        parts[f"{place[0]}, {place[1]}"] = _data_set_section(own, known, curves.get(place, {}), colours)
    return write_page(out / f"{modality}_plots.html", f"{_TITLES[modality]} benchmark", _INTRODUCTION, parts)


def mean_roc(gt_label: Int[np.ndarray, " n"], scores: Sequence[Float[np.ndarray, " n"]]) -> Float[np.ndarray, " R"]:
    """Return the true-positive rate at false-positive rates 0, 0.005 to 1, as a mean over several scorings (seeds)."""
    from sklearn.metrics import roc_curve

    mean: np.ndarray = np.mean([np.interp(_RATES, *roc_curve(gt_label, own)[:2]) for own in scores], axis=0)
    return mean


def critical_difference_figure(ranked: MeanRanks) -> Any:
    """Draw mean ranks, the best on top, with upright bars beside those that do not differ beyond chance."""
    import plotly.graph_objects as go

    methods, groups, figure = list(ranked.ranks), ranked.groups(), go.Figure()
    figure.add_scatter(
        x=list(ranked.ranks.values()), y=[escape(method) for method in methods], mode="markers+text",
        text=[f"{rank:.2f}" for rank in ranked.ranks.values()], textposition="middle right",
        marker={"size": 11, "color": [OWN_COLOUR if method == OWN_METHOD else "#4d5a66" for method in methods]},
        hovertemplate="%{y}: mean rank %{x:.2f}<extra></extra>",
    )  # fmt: skip
    step = 0.035 * len(methods)
    for level, group in enumerate(groups):
        side, ends = len(methods) + 3 * step + level * step, [escape(group[0]), escape(group[-1])]
        figure.add_scatter(x=[side, side], y=ends, mode="lines", line={"width": 6, "color": "#8593a3"},
                           hovertext=escape(", ".join(group)), hoverinfo="text")  # fmt: skip
    if np.isfinite(ranked.critical_difference):
        figure.add_shape(type="line", x0=1, x1=1 + ranked.critical_difference, y0=-0.8, y1=-0.8, line={"width": 3})
        figure.add_annotation(x=1, y=-0.8, text=f"critical difference {ranked.critical_difference:.2f}",
                              showarrow=False, xanchor="left", yshift=11)  # fmt: skip
    figure.update_layout(**layout(110 + 26 * len(methods)), showlegend=False)
    figure.update_xaxes(range=[0.8, len(methods) + (3.5 + len(groups)) * step], tickmode="array", title="mean rank",
                        tickvals=list(range(1, len(methods) + 1)))  # fmt: skip
    figure.update_yaxes(range=[len(methods) - 0.4, -1.9], categoryorder="array",
                        categoryarray=[escape(method) for method in methods])  # fmt: skip
    return figure


def _rank_section(rows: Sequence[Row]) -> str:
    """Draw oddwave among its rivals, without its own variants, as the verdict ranks them."""
    compared = [row for row in rows if row["method"] == OWN_METHOD or is_rival(row["method"])]
    table = score_table(compared, anchor=OWN_METHOD)
    if len(table.methods) < 2 or not table.places:
        return "<p>Nothing to rank: fewer than two methods have items in common.</p>"
    ranked = mean_ranks(table)
    few = "".join(f" {escape(method)} is left out, with {num} items." for method, num in table.left_out.items())
    text = f"Mean rank over {len(table.places)} items, 1 is best. Methods beside one upright bar differ no more than "
    text += f"chance would have it (Nemenyi, 5 %).{few}"
    return f"<p>{text}</p>{figure_html(critical_difference_figure(ranked))}"


def _data_set_section(
    rows: Sequence[Row],
    evidence: Mapping[Place, Mapping[str, Evidence]],
    curves: Mapping[str, Float[np.ndarray, " R"]],
    colours: Mapping[str, tuple[str, str]],
) -> str:
    table = score_table(rows)
    if not table.places:
        return "<p>The methods have no items in common.</p>"
    few = "".join(f" {escape(method)} is left out, with {num}." for method, num in table.left_out.items())
    plural = "s" if len(table.places) > 1 else ""
    parts = [f"<p>Over {len(table.places)} item{plural} that all drawn methods have.{few}</p>"]
    parts.append(figure_html(_interval_figure(table, evidence, colours)))
    drawn = {method: curve for method, curve in curves.items() if method in table.methods}
    pair = [figure_html(_cost_figure(table, rows, colours))]
    pair += [figure_html(_roc_figure(drawn, table, colours))] if drawn else []
    return "".join([*parts, '<div class="pair">', *pair, "</div>"])


def _interval_figure(
    table: ScoreTable, evidence: Mapping[Place, Mapping[str, Evidence]], colours: Mapping[str, tuple[str, str]]
) -> Any:
    import plotly.graph_objects as go

    means = {method: float(table.column(method).mean()) for method in table.methods}
    order = sorted(table.methods, key=lambda method: means[method])
    ends = {method: _interval_ends(table, method, evidence) for method in order}
    figure = go.Figure(
        go.Bar(
            x=[means[method] - 0.5 for method in order],
            base=0.5,
            y=[escape(method) for method in order],
            orientation="h",
            marker={"color": [colours[method][0] for method in order]},
            error_x={
                "array": [max(0.0, ends[method][1] - means[method]) for method in order],
                "arrayminus": [max(0.0, means[method] - ends[method][0]) for method in order],
                "color": "#18222e",
                "thickness": 1.4,
            },
            customdata=[[means[method], *ends[method]] for method in order],
            hovertemplate="%{y}: %{customdata[0]:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]<extra></extra>",
        )
    )
    for method in order:
        figure.add_annotation(x=max(ends[method][1], means[method], 0.5), y=escape(method), xanchor="left", xshift=6,
                              text=f"{means[method]:.3f}", showarrow=False)  # fmt: skip
    figure.update_layout(**layout(96 + 26 * len(order), "AUROC, mean over items, with its 95 % interval"))
    low = min(0.48, *(min(ends[method][0], means[method]) for method in order))
    figure.update_xaxes(range=[max(0.0, low - 0.02), 1.06])
    return figure


def _interval_ends(
    table: ScoreTable, method: str, evidence: Mapping[Place, Mapping[str, Evidence]]
) -> tuple[float, float]:
    """Return low and high; where scores are not at hand for every item, the mean itself twice: no whisker."""
    known = [evidence[place][method] for place in table.places if method in evidence.get(place, {})]
    mean = float(table.column(method).mean())
    if len(known) < len(table.places):
        return mean, mean
    interval = interval_of(mean_evidence(known))
    return (mean, mean) if np.isnan(interval.low) else (interval.low, interval.high)


def _cost_figure(table: ScoreTable, rows: Sequence[Row], colours: Mapping[str, tuple[str, str]]) -> Any:
    import plotly.graph_objects as go

    spots = {m: (_seconds(rows, table, m), float(table.column(m).mean())) for m in table.methods}
    figure, places = go.Figure(), _label_places(spots)
    for method, (seconds, accuracy) in spots.items():
        colour = colours[method][0]
        figure.add_scatter(
            x=[seconds], y=[accuracy], mode="markers+text", text=[escape(method)], name=escape(method),
            textposition=places[method], textfont={"color": colour, "size": 11}, cliponaxis=False,
            marker={"size": 13 if method == OWN_METHOD else 9, "color": colour},
            hovertemplate="%{text}: AUROC %{y:.3f}, %{x:.3g} CPU s an item<extra></extra>",
        )  # fmt: skip
    figure.update_layout(**layout(430, "AUROC against cost"), showlegend=False)
    costs, accuracies = np.array(list(spots.values())).T
    powers, room = np.log10([costs.min(), costs.max()]), max(0.03, 0.12 * float(np.ptp(accuracies)))
    margin = max(0.3, 0.25 * float(np.ptp(powers)))
    marks = [mark * 10.0**power for power in range(-2, 7) for mark in ((1,) if np.ptp(powers) > 1.5 else (1, 2, 5))]
    figure.update_xaxes(type="log", range=[powers[0] - margin, powers[1] + margin], tickvals=marks,
                        ticktext=[f"{mark:g}" for mark in marks], title="CPU s of an item, fit and score")  # fmt: skip
    figure.update_yaxes(title="AUROC", range=[accuracies.min() - room, accuracies.max() + room])
    return figure


def _label_places(spots: Mapping[str, tuple[float, float]]) -> dict[str, str]:
    """Choose on which side of its point each label stands, so that few cover each other or a point."""
    values = np.array(list(spots.values()))
    scale = np.column_stack([np.log10(values[:, 0]), values[:, 1]])
    pixels = (scale - scale.min(axis=0)) / np.maximum(np.ptp(scale, axis=0), [0.6, 0.06]) * [270, 270]  # of the plot
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in pixels]
    places = {}
    for (method, _), (x, y) in zip(spots.items(), pixels, strict=True):
        width = 6.2 * len(method)
        boxes = {
            f"{side} {end}": (left, y + up, left + width, y + up + 13)
            for side, up in (("top", 7), ("bottom", -20), ("middle", -6))
            for end, left in (("center", x - width / 2), ("right", x + 9), ("left", x - 9 - width))
            if (side, end) != ("middle", "center")
        }
        places[method] = min(boxes, key=lambda name: sum(_overlap(boxes[name], other) for other in taken))
        taken.append(boxes[places[method]])
    return places


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, wide) * max(0.0, high)


def _roc_figure(
    curves: Mapping[str, Float[np.ndarray, " R"]], table: ScoreTable, colours: Mapping[str, tuple[str, str]]
) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": "#b9c2cc", "dash": "dot"}, name="chance")
    ordered = sorted(curves, key=lambda method: -float(table.column(method).mean()))
    for place, method in enumerate(ordered):
        colour, dash = colours[method]
        figure.add_scatter(
            x=_RATES, y=curves[method], mode="lines", name=escape(method),
            visible=True if place < _MOST_CURVES or method == OWN_METHOD else "legendonly",
            line={"color": colour, "dash": dash, "width": 3 if method == OWN_METHOD else 1.6},
        )  # fmt: skip
    legend: dict[str, Any] = {"font": {"size": 11}, "bgcolor": "rgba(255, 255, 255, 0.75)"}
    if len(curves) <= _MOST_CURVES + 2:  # more would cover the curves
        legend |= {"x": 0.98, "y": 0.02, "xanchor": "right", "yanchor": "bottom"}
    else:
        legend |= {"orientation": "h", "y": -0.16, "yanchor": "top"}
    height = 430 if "x" in legend else 440 + 9 * len(curves)
    figure.update_layout(**layout(height, "ROC, mean over items and seeds"), legend=legend)
    figure.update_xaxes(title="false-positive rate", range=[0, 1])
    figure.update_yaxes(title="true-positive rate", range=[0, 1.01])
    return figure


def _curves(
    out: Path, rows: Sequence[Row], tasks: Sequence[AnyTask]
) -> dict[tuple[str, str], dict[str, Float[np.ndarray, " R"]]]:
    """Average ROC curves over the items of each data set and protocol, of methods that have every item with scores."""
    found: defaultdict[tuple[str, str], defaultdict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for task, methods in saved_scores(out, rows, tasks):
        for method, scores in methods.items():
            found[task.dataset, task.protocol][method].append(mean_roc(task.gt_label, scores))
    return {
        place: {
            method: np.mean(own, axis=0)
            for method, own in methods.items()
            if len(own) == max(len(others) for others in methods.values())
        }
        for place, methods in found.items()
    }


def _seconds(rows: Sequence[Row], table: ScoreTable, method: str) -> float:
    places = set(table.places)
    own = [r for r in rows if r["method"] == method and (r["dataset"], r["item"], r["protocol"]) in places]
    return max(0.01, float(np.mean([float(r["fit_s"] or 0) + float(r["score_s"] or 0) for r in own])))


def _colours(methods: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return each method a colour and a dash that stays the same over the page."""
    rivals = [method for method in methods if is_rival(method)]
    variants = [method for method in methods if not is_rival(method) and method != OWN_METHOD]
    found = {OWN_METHOD: (OWN_COLOUR, "solid")}
    found |= {method: (VARIANT_COLOUR, _DASHES[number % len(_DASHES)]) for number, method in enumerate(variants)}
    return found | {
        method: (_RIVALS[number % len(_RIVALS)], _DASHES[number // len(_RIVALS) % len(_DASHES)])
        for number, method in enumerate(rivals)
    }
