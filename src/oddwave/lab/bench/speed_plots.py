"""The page of plots of `oddwave bench speed`: cost of scoring against AUROC, and of each method beside oddwave.

Read `plot_page.py` for what all such pages have in common.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from oddwave.lab.bench.plot_page import OWN_COLOUR, VARIANT_COLOUR, figure_html, layout, write_page
from oddwave.lab.bench.speed_tables import UNITS

__all__ = ["cost_figure", "write_speed_plots"]

_RIVAL_COLOUR = "#0072b2"
_INTRODUCTION = (
    "Generated data. Seconds are of the processor, medians over rounds in which all methods took turns. oddwave is "
    "orange, its own network used otherwise light orange, others are blue. Scales of cost are logarithmic."
)


def write_speed_plots(out: Path, told: Mapping[str, Any]) -> Path:
    """Write `speed_plots.html` and return it.

    Raises: CheckpointError if it cannot be written; MissingExtraError without plotly.
    """
    sections = {}
    for modality in dict.fromkeys(each["modality"] for each in told["methods"]):
        own = [each for each in told["methods"] if each["modality"] == modality]
        unit = UNITS[modality]
        figures = [
            figure_html(cost_figure(own, "score_cpu_ms", f"score, CPU ms per {unit}")),
            figure_html(cost_figure(own, "fit_cpu_s", "fit, CPU s")),
            figure_html(cost_figure(own, "latency_p50_ms", "one request, ms on the clock (median)")),
            figure_html(cost_figure(own, "score_peak_mb", "peak while scoring, MB")),
        ]
        sections[modality] = f'<div class="pair">{"".join(figures)}</div>'
    return write_page(out / "speed_plots.html", "Speed", _INTRODUCTION, sections or {"Nothing": "<p>No rows.</p>"})


def cost_figure(methods: Sequence[Mapping[str, Any]], figure_name: str, title: str) -> Any:
    """Draw one figure of all methods as bars on a logarithmic scale, the cheapest on top."""
    import plotly.graph_objects as go

    drawn = sorted((each for each in methods if each[figure_name] is not None), key=lambda each: -each[figure_name])
    names = [escape(each["method"] + ("" if each["preset"] == "-" else f", {each['preset']}")) for each in drawn]
    figure = go.Figure(
        go.Bar(
            x=[max(each[figure_name], 1e-6) for each in drawn],
            y=names,
            orientation="h",
            marker={"color": [_colour(each) for each in drawn]},
            text=[f"{each[figure_name]:.3g}" for each in drawn],
            textposition="outside",
            hovertemplate="%{y}: %{x:.4g}<extra></extra>",
        )
    )
    figure.update_layout(**layout(96 + 24 * len(drawn), title))
    values = [each[figure_name] for each in drawn if each[figure_name] > 0] or [1.0]
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(high - low, 0.2)  # for the least bar, and for the figure beside the longest
    figure.update_xaxes(type="log", dtick=1 if room > 1 else None, range=[low - 0.15 * room, high + 0.35 * room])
    return figure


def _colour(each: Mapping[str, Any]) -> str:
    if each["method"] == "oddwave":
        return OWN_COLOUR
    return _RIVAL_COLOUR if each["preset"] == "-" else VARIANT_COLOUR
