"""The house rules that no single module can keep alone: layers, names, sizes, imports, what the documents promise."""

import ast
import importlib
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from oddwave.cli import app

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "oddwave"
MODULES = sorted(p.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py") if "modalities" not in p.parts)

# From the roof to the foundations: a room may import rooms of lower layers, and of its own where no circle comes of it.
LAYERS = (
    {"__main__"},
    {"cli"},
    {"bench", "console", "demo", "report"},
    {"detector"},
    {"detection"},
    {"baselines", "datasets", "metrics", "planted", "scoring", "training"},
    {"tensors"},
    {"sources"},
    {"diffusion", "nets"},
    {"wavelets"},
    {"config", "errors", "files", "folders", "presets", "progress", "results", "stopping", "__init__"}
    | {"result_rows", "result_text", "result_times", "visible"},
)
STRANGERS = {  # room -> rooms it must not know, although they lie no higher
    "nets": {"diffusion"},
    "diffusion": {"nets", "wavelets"},
    "planted": {"scoring", "baselines", "metrics", "datasets", "training"},
    "scoring": {"training", "sources", "tensors", "planted", "baselines", "metrics", "datasets"},
    "training": {"nets", "scoring", "sources", "tensors", "planted", "baselines", "metrics", "datasets"},
    "report": {"nets", "diffusion", "wavelets", "scoring", "sources", "tensors", "detector", "detection"},
}
HEAVY = {"torch", "pandas", "pyarrow", "sklearn", "scipy", "plotly", "jinja2", "diffusers"}
WITHOUT_TORCH = ("config", "datasets", "errors", "metrics", "presets", "progress", "report", "results")
# Written in parts, so that this file does not hold what it forbids.
REGISTRIES = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("download", "pytorch", "org"),
                                            ("anaconda", "org"), ("npmjs", "org"), ("huggingface", "co"))]  # fmt: skip
MACHINE_PATH = re.compile(r"(?<![\w.:/~}*-])/(?:home|root|work|opt|Users|mnt|tmp|usr/local)/\w")


def dotted(module: Path) -> str:
    """Give `oddwave.nets.unet` for nets/unet.py and `oddwave.nets` for nets/__init__.py."""
    parts = module.with_suffix("").parts
    return ".".join(("oddwave", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def room(name: str) -> str:
    """Give the first part below the package: `nets` for `oddwave.nets.unet`, `__init__` for the package itself."""
    return name.split(".")[1] if "." in name else "__init__"


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def runtime_nodes(node: ast.AST) -> list[ast.AST]:
    """Give all nodes below, without those that only a type checker sees."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            found += [below for other in child.orelse for below in (other, *runtime_nodes(other))]
        else:
            found += [child, *runtime_nodes(child)]
    return found


def own_imports(module: Path) -> list[tuple[str, tuple[str, ...], bool]]:
    """Give (module, names, at import time) for each import of the package's own modules."""
    names = {dotted(other) for other in MODULES}
    at_top = set(map(id, tree(module).body))
    found: list[tuple[str, tuple[str, ...], bool]] = []
    for node in runtime_nodes(tree(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "oddwave":
            target = str(node.module)
            submodules = [alias.name for alias in node.names if f"{target}.{alias.name}" in names]
            found += [(f"{target}.{name}", (), id(node) in at_top) for name in submodules]
            rest = tuple(alias.name for alias in node.names if alias.name not in submodules)
            found += [(target, rest, id(node) in at_top)] if rest else []
        elif isinstance(node, ast.Import):
            own = [alias.name for alias in node.names if alias.name.partition(".")[0] == "oddwave"]
            found += [(name, (), id(node) in at_top) for name in own]
    return found


def other_rooms(module: Path) -> set[str]:
    """Give the rooms a module imports; the package's front door may open any, once somebody asks for a name."""
    own = room(dotted(module))
    at_the_door = module == Path("__init__.py")
    return {room(target) for target, _, at_top in own_imports(module) if at_top or not at_the_door} - {own}


def layer(name: str) -> int:
    return next(depth for depth, rooms in enumerate(LAYERS) if name in rooms)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Give the nodes of a circle in the graph, or nothing."""
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


@cache
def kept_files() -> tuple[Path, ...]:
    """Give the files of the repository: tracked, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout: its list of files is not known")
    return tuple(path for name in listed.split("\0") if name and (path := ROOT / name).is_file())


def fenced(path: Path, language: str) -> list[str]:
    """Give the code blocks of a Markdown file in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_room_has_a_layer() -> None:
    known = set().union(*LAYERS)
    assert {room(dotted(module)) for module in MODULES} <= known


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_downwards(module: Path) -> None:
    own = room(dotted(module))
    for other in other_rooms(module):
        assert layer(other) >= layer(own), f"{dotted(module)} imports {other}, which lies above it"
        assert other not in STRANGERS.get(own, ()), f"{own} must not know {other}, but {dotted(module)} imports it"


def test_no_circles_between_rooms() -> None:
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        graph.setdefault(room(dotted(module)), set()).update(other_rooms(module))
    assert not circle(graph)


def test_no_circles_between_modules_at_import_time() -> None:
    graph = {dotted(module): {target for target, _, at_top in own_imports(module) if at_top} for module in MODULES}
    assert not circle(graph)


def test_circle_is_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


@pytest.mark.parametrize("module", [m for m in MODULES if m.name != "__main__.py"], ids=str)
def test_public_names_are_declared_and_exist(module: Path) -> None:
    loaded = importlib.import_module(dotted(module))
    declared = getattr(loaded, "__all__", None)
    assert declared is not None, f"{dotted(module)} has no __all__"
    assert len(set(declared)) == len(declared)
    assert [name for name in declared if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_only_public_names_are_imported_from_elsewhere(module: Path) -> None:
    for target, names, _ in own_imports(module):
        public = {*getattr(importlib.import_module(target), "__all__", ()), "__version__"}
        assert set(names) <= public, f"{dotted(module)} imports names that {target} does not declare"


def test_files_stay_readable() -> None:
    lengths = {str(m): len((PACKAGE / m).read_text(encoding="utf-8").splitlines()) for m in MODULES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_modules_say_what_they_hold(module: Path) -> None:
    assert ast.get_docstring(tree(module)), f"{module} has no docstring"


def loaded_after(statement: str) -> set[str]:
    """Give the heavy packages that a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return {name.partition(".")[0] for name in done.stdout.split()} & HEAVY


def test_importing_the_package_is_light() -> None:
    assert loaded_after("import oddwave") == set()


def test_readers_metrics_and_report_need_no_torch() -> None:
    statement = "; ".join(f"import oddwave.{name}" for name in WITHOUT_TORCH)
    assert "torch" not in loaded_after(statement)


def test_no_registries_or_machine_paths_in_the_repository() -> None:
    found = []
    for path in kept_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.name}: {name}" for name in REGISTRIES if name in text]
        found += [f"{path.name}: {match.group()}" for match in MACHINE_PATH.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_machine_path"),
    [
        ("see /" + "home/me/data", True),
        ('open("/' + 'opt/wheels")', True),
        ("x = a /" + "work/b", True),
        ("../shared/data", False),
        ("https://example.com/" + "home/page", False),
        ("https://example.com/~me/" + "home/x", False),
    ],
)
def test_machine_paths_are_recognised(text: str, is_machine_path: bool) -> None:
    assert bool(MACHINE_PATH.search(text)) is is_machine_path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_make_commands_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = document.read_text(encoding="utf-8")
    named = set(re.findall(r"^make ([a-z-]+)", "".join(fenced(document, "console")), re.MULTILINE))
    named |= set(re.findall(r"`make ([a-z-]+)", text))
    assert named <= targets


def documented_commands() -> list[str]:
    """Give every `oddwave ...` line of the documents."""
    text = "".join(block for document in DOCUMENTS for block in fenced(document, "console"))
    return sorted(set(re.findall(r"^oddwave .*", text, re.MULTILINE)))


@pytest.mark.parametrize("line", documented_commands())
def test_documented_oddwave_commands_are_understood(line: str) -> None:
    command, words = get_command(app), shlex.split(line)[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context(str(command.name), words)  # refuses unknown options and missing arguments; runs nothing


def test_documents_show_the_command_line() -> None:
    shown = {line.split()[1] for line in documented_commands()}
    assert shown >= {"detect", "fit", "score", "info", "bench"}


def test_readme_opens_with_its_two_commands() -> None:
    assert fenced(ROOT / "README.md", "console")[0].split("\n")[:2] == ["make demo", "make test"]


def test_ci_runs_the_documented_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^make ([a-z-]+)$", script, re.MULTILINE) == ["lint", "test"]


def test_links_between_documents_lead_somewhere() -> None:
    missing = []
    for document in [*DOCUMENTS, ROOT / "CHANGELOG.md"]:
        links = re.findall(r"\]\(([^)#\s]+)\)", document.read_text(encoding="utf-8"))
        missing += [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


def method_table() -> list[tuple[str, str]]:
    """Give (file, name) for each name in the method page's tables: rows are | what | equation | file | names | ..."""
    pairs = []
    for line in (ROOT / "docs" / "method.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 4 and (file := re.fullmatch(r"`([\w/]+\.py)`", cells[2])):
            pairs += [(file[1], name) for name in re.findall(r"`([\w.]+)`", cells[3])]
    return pairs


def test_the_method_page_maps_every_part() -> None:
    rooms = {file.partition("/")[0] for file, _ in method_table()}
    assert rooms >= {"sources", "tensors", "planted"}
    assert rooms >= {"wavelets", "diffusion", "nets", "training", "scoring", "detection"}


@pytest.mark.parametrize(("file", "name"), method_table())
def test_the_method_page_names_what_exists(file: str, name: str) -> None:
    found: object = importlib.import_module(dotted(Path(file)))
    for part in name.split("."):
        assert hasattr(found, part), f"docs/method.md names {name} in {file}, which is not there"
        found = getattr(found, part)
    module = getattr(found, "__module__", None) or dotted(Path(file))
    assert module == dotted(Path(file)), f"{name} lives in {module}: name that file in docs/method.md"


@pytest.mark.slow
def test_readme_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    values = np.sin(np.arange(6000) / 8) + 0.1 * rng.normal(size=6000)
    values[5500:5560] = 0.0
    for name, part in (("healthy", values[:5000]), ("today", values[5000:])):
        lines = "\n".join(f"{value:.4f}" for value in part)
        (tmp_path / f"{name}.csv").write_text(f"temperature\n{lines}\n", encoding="utf-8")
    (example,) = fenced(ROOT / "README.md", "python")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(example, names)
    assert "score" in capsys.readouterr().out
    scores = names["scores"]
    assert isinstance(scores, np.ndarray)
    assert 450 <= int(np.nanargmax(scores)) <= 610
