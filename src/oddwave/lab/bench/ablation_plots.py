"""The page of the ablation: what each switch is worth, as a bar from its reference with the interval of the difference.

The paper's own differences stand beside ours as open diamonds. Read `ablation_tables.py` for the figures.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oddwave.lab.bench.ablation import GROUNDS, is_variant
from oddwave.lab.bench.ablation_tables import GROUND_TITLES, MODALITY_TITLES, Comparison, compare
from oddwave.lab.bench.markdown import Row
from oddwave.lab.bench.plot_page import OWN_COLOUR, VARIANT_COLOUR, figure_html, layout, write_page

__all__ = ["difference_figure", "write_ablation_plots"]

_INTRODUCTION = (
    "AUROC of a variant minus that of its reference, mean over items and seeds, with the 95 % bootstrap interval over "
    "(item, seed) pairs. Full colour: the interval leaves 0 out. Diamonds: the paper's own difference, which has no "
    "error bar."
)


def write_ablation_plots(out: Path, rows: Sequence[Row]) -> Path:
    """Write `ablation_plots.html` from the rows of the variants, passing over all others, and return it.

    Raises: CheckpointError if it cannot be written; MissingExtraError without plotly.
    """
    compared = compare([row for row in rows if is_variant(row["method"])])
    sections = {}
    for modality, title in MODALITY_TITLES.items():
        for ground in GROUNDS:
            own = [each for each in compared if (each.modality, each.ground) == (modality, ground)]
            if any(each.delta is not None for each in own):
                sections[f"{title}, {GROUND_TITLES[ground]}"] = _section(own)
    return write_page(out / "ablation_plots.html", "Ablation", _INTRODUCTION, sections)


def _section(compared: Sequence[Comparison]) -> str:
    reference = next((each for each in compared if each.variant == each.reference), None)
    known = "" if reference is None or reference.auroc is None else f", AUROC {reference.auroc:.3f}"
    text = f"<p>Reference: {compared[0].reference}{known}.</p>"
    return text + figure_html(difference_figure([each for each in compared if each.variant != each.reference]))


def difference_figure(compared: Sequence[Comparison]) -> Any:
    """Draw the variants' differences, the first on top."""
    import plotly.graph_objects as go

    drawn = [each for each in reversed(compared) if each.delta is not None]
    deltas = [each.delta or 0.0 for each in drawn]
    ends = [each.interval or (delta, delta) for each, delta in zip(drawn, deltas, strict=True)]
    sure = [each.interval is not None and not low <= 0 <= high for each, (low, high) in zip(drawn, ends, strict=True)]
    figure = go.Figure(
        go.Bar(
            x=deltas,
            y=[each.variant for each in drawn],
            orientation="h",
            marker={"color": [OWN_COLOUR if certain else VARIANT_COLOUR for certain in sure]},
            error_x={
                "array": [high - delta for delta, (_, high) in zip(deltas, ends, strict=True)],
                "arrayminus": [delta - low for delta, (low, _) in zip(deltas, ends, strict=True)],
                "color": "#18222e",
                "thickness": 1.4,
            },
            customdata=[[*pair, each.num_pairs] for each, pair in zip(drawn, ends, strict=True)],
            hovertemplate="%{y}: %{x:+.3f} [%{customdata[0]:+.3f}, %{customdata[1]:+.3f}], %{customdata[2]} pairs"
            "<extra></extra>",
        )
    )
    told = [each for each in drawn if each.paper_delta is not None]
    figure.add_scatter(x=[each.paper_delta for each in told], y=[each.variant for each in told], mode="markers",
                       marker={"symbol": "diamond-open", "size": 11, "color": "#18222e"},
                       hovertemplate="%{y}, the paper: %{x:+.3f}<extra></extra>")  # fmt: skip
    figure.update_layout(**layout(96 + 26 * len(drawn), "difference in AUROC"), showlegend=False)
    figure.update_xaxes(zerolinecolor="#18222e")
    return figure
