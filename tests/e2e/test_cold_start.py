"""What the commands that only tell something do not load; what they cost: `oddwave.lab.studies.cold_start`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = {"torch", "scipy", "sklearn", "pandas", "numpy", "jinja2", "plotly", "PIL"}
RUN = """
import sys
from oddwave.cli import app
try:
    app(sys.argv[1:], prog_name="oddwave")
finally:
    print("LOADED", *sys.modules, file=sys.stderr)
"""


def run(*arguments: object) -> tuple[str, set[str]]:
    """Run a command in an interpreter of its own; return what it printed and the heavy packages that it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=120
    )
    loaded = done.stderr.rpartition("LOADED ")[2].split()
    return done.stdout, {name.partition(".")[0] for name in loaded} & HEAVY


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    shown, loaded = run(*arguments)
    assert shown
    assert loaded == set()


def test_info_reads_a_model_without_torch(stream_detector: Any, tmp_path: Path) -> None:
    shown, loaded = run("info", stream_detector.save(tmp_path / "model"))
    assert loaded == set()
    for name, value in stream_detector.work.facts().items():
        assert f"{name} " in shown
        assert f"  {value}\n" in shown
    assert f"{stream_detector.threshold_:.4g} at alpha 0.05" in shown
