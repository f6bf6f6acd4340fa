"""The demonstration: made-up data with planted faults, what oddwave finds in them, and the two compared.

`series.py` is a cold store's sensors, `pictures.py` an inspection camera above gears. Read either next.
"""

from collections.abc import Collection
from pathlib import Path

from oddwave.demo.pictures import run_pictures
from oddwave.demo.series import run_series
from oddwave.errors import ConfigError

__all__ = ["DEMO_PARTS", "run_demo"]

DEMO_PARTS = ("series", "images")


def run_demo(folder: Path, *, parts: Collection[str] = DEMO_PARTS, show_progress: bool = False) -> None:
    """Run the parts asked for; the series part writes into `folder`, the picture part into `folder`/pictures.

    Raises:
        ConfigError: an unknown part, or none.
        CheckpointError: the folder cannot be written.
    """
    unknown = sorted(set(parts) - set(DEMO_PARTS))
    if unknown or not parts:
        raise ConfigError(f"parts is {sorted(parts)}: give one or more of {', '.join(DEMO_PARTS)}")
    if "series" in parts:
        run_series(folder, show_progress=show_progress)
    if "images" in parts:
        if "series" in parts:
            print()
        run_pictures(folder / "pictures", show_progress=show_progress)
