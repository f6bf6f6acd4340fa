"""How a fit is asked to run."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["QUIET", "FitJob"]


@dataclass(frozen=True)
class FitJob:
    """How a fit is to run: with its progress shown or not, where its state is kept, whether it goes on from there."""

    show_progress: bool = False
    checkpoint_dir: Path | None = None
    resume: bool = False


QUIET = FitJob()
