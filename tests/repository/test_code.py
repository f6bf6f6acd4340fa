"""The house rules that no single module can keep alone: layers, circles, names, sizes; each test lists offenders."""

import ast
import importlib
import importlib.util
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("rooms", ROOT / "docs" / "rooms.py")
rooms = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(rooms)

MODULES = rooms.modules()
DOOR = "oddwave"  # opens any room, once somebody asks for a name
OLD_ADDRESSES = "oddwave.modalities"  # warn when they are imported
PRODUCT_STRANGERS = {  # room -> rooms it must not know, although they lie lower
    "tensors": {"nets", "diffusion"},
    "planted": {"training", "diffusion", "nets"},
    "scoring": {"training", "sources", "tensors"},
    "training": {"nets", "sources"},
    "report": {"nets", "diffusion", "wavelets", "scoring", "sources", "tensors", "planted", "detection", "detector"},
    "lab": {"console", "report"},
}
HEAVY = {"torch", "pandas", "pyarrow", "sklearn", "scipy", "plotly", "jinja2", "diffusers"}
WITHOUT_TORCH = ("config", "errors", "presets", "progress", "results", "report", "sources", "metrics", "lab.datasets")
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
MAX_LINES = {"algorithm": 6_000}  # wavelets, diffusion, nets, training, scoring
ALGORITHM = {"wavelets", "diffusion", "nets", "training", "scoring"}


@cache
def imports() -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Return each module's imports of the package's own; read once, by the process that runs these tests."""
    return {name: list(rooms.own_imports(name, path, MODULES)) for name, path in MODULES.items()}


@cache
def texts() -> dict[str, tuple[str, ast.Module]]:
    """Return each module's text and tree, read once."""
    found = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
    return {name: (text, ast.parse(text)) for name, text in found.items()}


def test_imports_point_downwards() -> None:
    """Imports inside functions and those for types count."""
    upward = [
        f"{name} imports {target}"
        for name in MODULES
        for target, _ in imports()[name]
        if name != DOOR and (own := rooms.room_of(name)) != (other := rooms.room_of(target))
        if rooms.layer_of(other) >= rooms.layer_of(own) or other in PRODUCT_STRANGERS.get(own, ())
    ]
    assert upward == []


def test_the_product_never_imports_the_laboratory() -> None:
    users = {name for name in MODULES for target, _ in imports()[name] if rooms.room_of(target) == "lab"}
    outside = {name for name in users if rooms.room_of(name) != "lab"}
    assert outside <= {"oddwave.baselines", "oddwave.metrics", "oddwave.cli.bench"}


def test_no_circles_between_modules() -> None:
    graph = {name: {target for target, _ in imports()[name]} for name in MODULES if name != DOOR}
    assert rooms.circle(graph) == []


def test_circle_is_seen() -> None:
    assert rooms.circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert rooms.circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_public_names_are_declared_and_exist() -> None:
    offenders = []
    for name in MODULES:
        if name.startswith(OLD_ADDRESSES) or name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        declared = getattr(module, "__all__", None)
        if declared is None or len(set(declared)) != len(declared):
            offenders.append(f"{name} has no __all__, or one that names something twice")
        offenders += [f"{name}.{each} does not exist" for each in declared or () if not hasattr(module, each)]
    assert offenders == []


def test_only_public_names_are_imported_from_elsewhere() -> None:
    offenders = []
    for name, found in imports().items():
        for target, names in found:
            public = {*getattr(importlib.import_module(target), "__all__", ()), "__all__", "*"}
            offenders += [f"{name}: {target}.{each}" for each in names if each not in public]
    assert offenders == []


def test_sizes() -> None:
    """No file over 400 lines, no function over 60, and an algorithm that can be read in an afternoon."""
    offenders, algorithm = [], 0
    for name, (text, tree) in texts().items():
        length = len(text.splitlines())
        algorithm += length * (rooms.room_of(name) in ALGORITHM)
        offenders += [f"{name}: {length} lines"] * (length > LONGEST_FILE)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (size := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION:
                offenders.append(f"{name}.{node.name}: {size} lines")
    assert offenders == []
    assert algorithm <= MAX_LINES["algorithm"]


def test_modules_say_what_they_hold() -> None:
    assert [name for name, (_, tree) in texts().items() if not ast.get_docstring(tree)] == []


def test_the_drawing_of_the_rooms_is_that_of_the_code() -> None:
    drawn = rooms.DRAWING.read_text(encoding="utf-8")
    for room, targets in rooms.rooms().items():
        assert f">{room}<" in drawn, f"python docs/rooms.py draws {room}"
        for target in set(targets) - {"ground"}:
            assert f"<title>{room} imports {target}</title>" in drawn, "python docs/rooms.py draws the rooms anew"


def loaded_after(statement: str) -> set[str]:
    """Give the heavy packages that a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()} & HEAVY


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import oddwave", HEAVY),
        ("import oddwave.cli", HEAVY),
        ("; ".join(f"import oddwave.{name}" for name in WITHOUT_TORCH), {"torch"}),
    ],
)
def test_imports_stay_light(statement: str, forbidden: set[str]) -> None:
    assert loaded_after(statement) & forbidden == set()


@pytest.mark.parametrize("name", ["series", "images", "audio"])
def test_the_readers_are_found_at_their_old_address(name: str) -> None:
    module = f"{OLD_ADDRESSES}.{name.removesuffix('s') if name == 'images' else name}_source"
    sys.modules.pop(module, None)
    with pytest.warns(DeprecationWarning, match=f"read_{name}"):
        old = importlib.import_module(module)
    assert getattr(old, f"read_{name}") is getattr(importlib.import_module("oddwave"), f"read_{name}")
