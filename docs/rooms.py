"""The package's own imports: which rooms there are, and which room imports which; draws `docs/rooms.svg`.

    python docs/rooms.py            # write docs/rooms.svg
    python docs/rooms.py --check    # exit status 1 where the drawing is not that of the code

The rules that the tests hold (imports point downwards, no circles) stand on `own_imports` and `LAYERS` as well.
"""

import ast
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

__all__ = ["LAYERS", "PACKAGE", "circle", "layer_of", "modules", "own_imports", "room_of", "rooms"]

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src" / "oddwave"
DRAWING = HERE / "rooms.svg"

GROUND = "ground"
# The lowest first. A room may import rooms of lower layers; those of one layer know nothing of each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    (GROUND,),
    ("wavelets", "sources", "calibration"),
    ("diffusion", "nets"),
    ("tensors", "training"),
    ("planted", "scoring"),
    ("detection",),
    ("stream",),
    ("detector",),
    ("report", "watch", "export"),
    ("console", "senses", "dist"),
    ("service",),
    ("agents",),
    ("demo",),
    ("lab",),
    ("public",),
    ("cli",),
)
WORDS = {  # what a room holds, for the drawing
    GROUND: "settings, results, errors, files",
    "wavelets": "transforms, exact both ways",
    "sources": "readers: paths to items",
    "diffusion": "schedules, samplers",
    "nets": "U-Net, frozen networks",
    "tensors": "items to tensors and back",
    "training": "minimising a loss",
    "planted": "synthetic anomalies",
    "calibration": "p-values, tails, thresholds",
    "scoring": "errors, memory, fusion",
    "detection": "a detector per modality",
    "stream": "scores while it is measured",
    "detector": "the public door",
    "report": "HTML, CSV, JSON",
    "watch": "sources that go on, alarms",
    "export": "graphs for other programs",
    "console": "what is printed",
    "senses": "several results, one verdict",
    "dist": "shards, on many machines",
    "service": "HTTP, history, page",
    "agents": "tools by MCP",
    "demo": "synthetic data with faults",
    "lab": "rivals, metrics, benchmarks",
    "public": "oddwave, oddwave.metrics, ...",
    "cli": "the command line",
}
# Single modules beside the rooms: the doors, and everything else on the ground floor.
SINGLE = {
    "detector": "detector",
    "joint": "detector",
    "fused": "detector",
    "console": "console",
    "baselines": "public",
    "metrics": "public",
    "modalities": "public",
    "__init__": "public",
    "__main__": "cli",
}


def modules() -> dict[str, Path]:
    """Return dotted name -> path of every module."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("oddwave", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def own_imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (module, names) of each import of the package's own, wherever it stands: in functions and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "oddwave":
            target, names = str(node.module), [alias.name for alias in node.names]
            submodules = [each for each in names if f"{target}.{each}" in known]
            yield from ((f"{target}.{each}", ()) for each in submodules)
            if rest := tuple(each for each in names if each not in submodules):
                yield target, rest
        elif isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names if alias.name.partition(".")[0] == "oddwave")


def room_of(name: str) -> str:
    """Return the room of a module: its folder, or what `SINGLE` says of it, or the ground floor."""
    parts = name.split(".")
    first = parts[1] if len(parts) > 1 else "__init__"
    return SINGLE.get(first, first if (PACKAGE / first).is_dir() else GROUND)


def layer_of(room: str) -> int:
    """Return how high a room lies. Raises: StopIteration for a room that `LAYERS` does not name."""
    return next(height for height, row in enumerate(LAYERS) if room in row)


def rooms() -> dict[str, dict[str, int]]:
    """Return how many imports lead from each room to each other."""
    known = modules()
    counts: dict[str, dict[str, int]] = {}
    for name, path in known.items():
        own = counts.setdefault(room_of(name), {})
        for target, _ in own_imports(name, path, known):
            if (other := room_of(target)) != room_of(name):
                own[other] = own.get(other, 0) + 1
    return counts


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the nodes of a circle in the graph, or nothing."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph.get(node, ())):
            if found := walk(target, [*way, node]):
                return found
        done.add(node)
        return []

    return next((found for start in sorted(graph) if (found := walk(start, []))), [])


def lines_of(room: str) -> int:
    """Return how many lines of Python a room holds."""
    return sum(
        len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items() if room_of(name) == room
    )


def drawing() -> str:
    """Return the rooms as an SVG drawing: a box each, on its layer, lines to the rooms that it imports."""
    counts, width, height = rooms(), 860, 66
    places: dict[str, tuple[float, float]] = {}
    for depth, row in enumerate(reversed(LAYERS)):
        for number, room in enumerate(row):
            places[room] = ((number + 1) * width / (len(row) + 1), 40 + depth * height)
    shapes = []
    for room, targets in sorted(counts.items()):
        for target, count in sorted(targets.items()):
            (x1, y1), (x2, y2) = places[room], places[target]
            if target != GROUND:
                bend = (layer_of(room) - layer_of(target) - 1) * 44
                side = 1 if (x1 + x2) / 2 >= width / 2 else -1
                control = f"{(x1 + x2) / 2 + side * bend:.0f},{(y1 + y2) / 2:.0f}"
                shapes.append(
                    f'<path class="line" d="M{x1:.0f},{y1 + 18:.0f} Q{control} {x2:.0f},{y2 - 20:.0f}" '
                    f'stroke-width="{min(0.8 + count / 15, 5):.1f}"><title>{room} imports {target}</title></path>'
                )
    for room, (x, y) in places.items():
        words = f"{WORDS.get(room, '')} · {lines_of(room):,} lines".lstrip(" ·")
        shapes.append(
            f'<rect x="{x - 125:.0f}" y="{y - 20:.0f}" width="250" height="38" rx="7"/>'
            f'<text x="{x:.0f}" y="{y - 3:.0f}">{escape(room)}</text>'
            f'<text x="{x:.0f}" y="{y + 12:.0f}" class="small">{escape(words)}</text>'
        )
    style = (
        "rect{fill:#f4f6fa;stroke:#51617d}text{font:14px system-ui,sans-serif;text-anchor:middle;fill:#1d2733}"
        ".small{font-size:11px;fill:#5b6675}.line{fill:none;stroke:#7a8bab;opacity:.55}"
    )
    total = 40 + (len(LAYERS) - 1) * height + 40
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" role="img">'
    note = "<title>The rooms of oddwave: each imports only what lies below it; all stand on the ground floor</title>"
    background = f'<rect x="0" y="0" width="{width}" height="{total}" style="fill:#fff;stroke:none"/>'
    return "\n".join([head, note, f"<style>{style}</style>", background, *shapes, "</svg>", ""])


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(not DRAWING.exists() or DRAWING.read_text(encoding="utf-8") != drawing())
    DRAWING.write_text(drawing(), encoding="utf-8")
