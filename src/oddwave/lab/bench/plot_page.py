"""The offline page that plots of a benchmark lie on: one file that holds plotly's script, a section for each subject.

Read `plots.py` and `ablation_plots.py` for what is drawn.
"""

from collections.abc import Mapping
from html import escape
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

from oddwave.errors import MissingExtraError
from oddwave.files import write_bytes_atomic

__all__ = ["OWN_COLOUR", "VARIANT_COLOUR", "figure_html", "layout", "require_plotly", "write_page"]

OWN_COLOUR, VARIANT_COLOUR = "#d55e00", "#f0a46b"

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>
body { margin: 0; background: #f4f6f8; color: #18222e; font: 15px/1.5 system-ui, Roboto, Arial, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 20px 16px 40px; }
section { background: #fff; border: 1px solid #dce2e9; border-radius: 12px; padding: 20px 22px; margin-top: 16px; }
h1 { font-size: 1.9rem; line-height: 1.15; margin: 0 0 8px; } h2 { font-size: 1.1rem; margin: 0; }
p { color: #566474; margin: 4px 0 0; max-width: 62em; } nav { margin-top: 12px; } nav a { margin-right: 18px; }
a { color: #0072b2; } .pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
@media (max-width: 820px) { .pair { grid-template-columns: minmax(0, 1fr); } section { padding: 14px 8px; } }
</style><script>$script</script></head><body><main>
<h1>$title</h1><p>$introduction</p><nav>$links</nav>
$sections
</main></body></html>
""")


def write_page(path: Path, title: str, introduction: str, sections: Mapping[str, str]) -> Path:
    """Write a page of sections (heading to HTML) with links to them at its head, and return its path.

    Raises: CheckpointError if it cannot be written; MissingExtraError without plotly.
    """
    require_plotly()
    from plotly.offline import get_plotlyjs

    anchors = {name: f"part-{number}" for number, name in enumerate(sections)}
    page = _PAGE.substitute(
        title=title,
        script=get_plotlyjs(),
        introduction=introduction,
        links="".join(f'<a href="#{anchor}">{escape(name)}</a>' for name, anchor in anchors.items()),
        sections="\n".join(
            f'<section id="{anchors[name]}"><h2>{escape(name)}</h2>{body}</section>' for name, body in sections.items()
        ),
    )
    write_bytes_atomic(path, page.encode())
    return path


def require_plotly() -> None:
    """Raises: MissingExtraError if plotly is not installed."""
    if find_spec("plotly") is None:
        raise MissingExtraError("the page of plots", "report")


def layout(height: int, title: str = "") -> dict[str, Any]:
    """Return what all figures of a page have in common; heights are in px."""
    return {
        "template": "plotly_white",
        "height": height,
        "title": {"text": title, "font": {"size": 14}, "x": 0.01},
        "margin": {"l": 10, "r": 16, "t": 44 if title else 10, "b": 40 if title else 10},
        "font": {"family": "system-ui, Segoe UI, Roboto, Arial, sans-serif", "color": "#18222e"},
    }


def figure_html(figure: Any) -> str:
    """Return a figure as HTML that needs the page's script."""
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    text: str = figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False})
    return text
