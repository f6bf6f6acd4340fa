"""What the documents promise holds: commands, links, figures; nothing of anybody's machine is in the repository.

`test_documents_run.py` runs the README and the tutorials.
"""

import importlib
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
from typer.main import get_command

from oddwave.cli import app
from oddwave.lab.bench.figures import with_figures

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "oddwave"
# Written in parts, so that this file does not hold what it forbids.
REGISTRIES = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("download", "pytorch", "org"),
                                            ("anaconda", "org"), ("npmjs", "org"), ("huggingface", "co"))]  # fmt: skip
MACHINE_PATH = re.compile(r"(?<![\w.:/~}*-])/(?:home|root|work|opt|Users|mnt|tmp|usr/local)/\w")


def dotted(module: Path) -> str:
    """Give `oddwave.nets.unet` for nets/unet.py and `oddwave.nets` for nets/__init__.py."""
    parts = module.with_suffix("").parts
    return ".".join(("oddwave", *(parts[:-1] if parts[-1] == "__init__" else parts)))


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


HOW_TO = sorted((ROOT / "docs" / "howto").glob("*.md"))
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *HOW_TO,
]


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


def test_documented_make_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set()
    for document in DOCUMENTS:
        named |= set(re.findall(r"^make ([a-z-]+)", "".join(fenced(document, "console")), re.MULTILINE))
        named |= set(re.findall(r"`make ([a-z-]+)", document.read_text(encoding="utf-8")))
    assert named <= targets


def documented_commands() -> list[str]:
    """Give every `oddwave ...` line of the documents, and those within a text that name an output."""
    blocks = "".join(block for document in DOCUMENTS for block in fenced(document, "console"))
    blocks += "".join(block for document in HOW_TO for block in fenced(document, "text"))  # parsed here, not run
    texts = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    return sorted(
        {*re.findall(r"^oddwave .*", blocks, re.MULTILINE), *re.findall(r"`(oddwave [^`]* -o [^`]*)`", texts)}
    )


def test_documented_oddwave_commands_are_understood() -> None:
    """Parsing refuses unknown options and missing arguments; nothing is run."""
    refused = []
    for line in documented_commands():
        command, words = get_command(app), shlex.split(line)[1:]
        try:
            while hasattr(command, "commands"):
                command = command.commands[words.pop(0)]
            command.make_context(str(command.name), words)
        except Exception as error:
            refused.append(f"{line}: {error}")
    assert refused == []


def test_documents_show_the_command_line() -> None:
    shown = {line.split()[1] for line in documented_commands()}
    assert shown >= {"detect", "fit", "score", "info", "bench"}


def test_the_index_lists_every_page() -> None:
    """Each page is in the table of contents and linked in the text, but for those that others link."""
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(
        re.findall(r"^([\w/]+)$", "".join(re.findall(r"```{toctree}\n(.*?)```", text, re.DOTALL)), re.MULTILINE)
    )
    linked = {link.removesuffix(".md") for link in re.findall(r"\]\(([\w/]+\.md)\)", text)}
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert listed == linked == pages - {"index", "lab_notebook"}


def test_readme_opens_with_its_two_commands() -> None:
    assert fenced(ROOT / "README.md", "console")[0].split("\n")[:2] == ["make demo", "make test"]


def test_readme_is_short_and_its_figures_are_those_of_the_results() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == with_figures(text, ROOT / "benchmarks" / "results"), "run `make figures`"
    assert text.count("\n") <= 130


def test_ci_runs_the_documented_commands() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^make ([a-z-]+)$", script, re.MULTILINE) == ["lint", "test"]


def test_links_between_documents_lead_somewhere() -> None:
    missing = []
    for document in [*DOCUMENTS, ROOT / "CHANGELOG.md"]:
        links = re.findall(r"\]\(([^)#\s]+)\)", document.read_text(encoding="utf-8"))
        missing += [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == []


def named_parts(page: str) -> list[tuple[str, str]]:
    """Give (file, name) for each name in a page's tables: rows are | what | equation | file | names | ..."""
    pairs = []
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 4 and (file := re.fullmatch(r"`([\w/]+\.py)`", cells[2])):
            pairs += [(file[1], name) for name in re.findall(r"`([\w.]+)`", cells[3])]
    return pairs


def test_the_method_page_maps_every_part() -> None:
    rooms = {file.partition("/")[0] for file, _ in named_parts("method.md")}
    assert rooms >= {
        "sources",
        "tensors",
        "planted",
        "wavelets",
        "diffusion",
        "nets",
        "training",
        "scoring",
        "detection",
    }


@pytest.mark.parametrize("page", ["method.md", "architecture.md"])
def test_pages_name_what_exists(page: str) -> None:
    """Each name is in its file, and lives there rather than being imported."""
    offenders = []
    assert named_parts(page)
    for file, name in named_parts(page):
        found: object = importlib.import_module(dotted(Path(file)))
        for part in name.split("."):
            found = getattr(found, part, None)
        module = getattr(found, "__module__", None) or dotted(Path(file))
        if found is None or module != dotted(Path(file)):
            offenders.append(f"{name} in {file}" + (f" lives in {module}" if found is not None else ""))
    assert offenders == []
