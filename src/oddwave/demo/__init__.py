"""The demonstration: made-up data with planted faults, what oddwave finds in them, and the two compared.

`series.py` is a cold store's sensors, `images.py` an inspection camera above gears, `audio.py` a microphone beside a
pump, `machine.py` a pump with all three. Read one of them next.
"""

from collections.abc import Callable, Collection
from pathlib import Path

from oddwave.demo.audio import run_audio
from oddwave.demo.images import run_images
from oddwave.demo.machine import run_machine
from oddwave.demo.series import run_series
from oddwave.errors import ConfigError
from oddwave.files import OWN_FOLDER, write_json_atomic
from oddwave.folders import at_work
from oddwave.report.outputs import require_writable

__all__ = ["DEMO_PARTS", "run_demo"]

_NOTE = "demo.json"
DEMO_PARTS = ("series", "images", "audio", "machine")


def run_demo(folder: Path, *, parts: Collection[str] = DEMO_PARTS, show_progress: bool = False) -> None:
    """Run the parts asked for; series are written into `folder`, images into `folder`/images, audio likewise.

    Raises:
        ConfigError: an unknown part, or none.
        CheckpointError: the folder cannot be written, or holds what is not a demonstration's.
    """
    unknown = sorted(set(parts) - set(DEMO_PARTS))
    if unknown or not parts:
        raise ConfigError(f"parts is {sorted(parts)}: give one or more of {', '.join(DEMO_PARTS)}")
    _take(folder)
    runs: dict[str, Callable[[], object]] = {
        "series": lambda: run_series(folder, show_progress=show_progress),
        "images": lambda: run_images(folder / "images", show_progress=show_progress),
        "audio": lambda: run_audio(folder / "sound", show_progress=show_progress),
        "machine": lambda: run_machine(folder / "machine", show_progress=show_progress),
    }
    for number, name in enumerate(name for name in DEMO_PARTS if name in parts):
        if number:
            print()
        runs[name]()


def _take(folder: Path) -> None:
    """Mark the folder as the demonstration's own, which it may replace: data, models and results lie in one there."""
    note = folder / OWN_FOLDER / _NOTE
    require_writable(folder, None if note.is_file() else "results")
    with at_work(folder) as room:
        write_json_atomic(room / _NOTE, {"format": "oddwave demo"})
