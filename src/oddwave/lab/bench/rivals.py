"""Makes a baseline for a cell: with the cell's seed, with the share of its training that the task allows.

Every baseline is given the same data and the training that its class states (`num_steps`, `num_epochs`); nothing is set
for one method on one data set. Read `methods.py`, `image_methods.py` and `audio_methods.py` for what becomes of it.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from oddwave.lab.bench.protocol import AnyTask
from oddwave.lab.bench.quick import effort_of
from oddwave.lab.rivals import BASELINES, CLIP_BASELINES, IMAGE_BASELINES, Baseline

__all__ = ["make_baseline", "takes_seed"]

AnyBaseline = TypeVar("AnyBaseline", bound=Baseline)

_BUDGETS = ("num_steps", "num_epochs")


def takes_seed(name: str) -> bool:
    """Return whether there is a baseline of this name that draws at random, in any modality."""
    registered: tuple[Mapping[str, type[Baseline]], ...] = (BASELINES, IMAGE_BASELINES, CLIP_BASELINES)
    return any(kinds[name]().is_seeded for kinds in registered if name in kinds)


def make_baseline(
    kind: type[AnyBaseline], task: AnyTask, seed: int, *, share: float = 1.0, **settings: Any
) -> AnyBaseline:
    """Make an unfitted baseline of this class, with a share of its training; `settings` beyond are the caller's."""
    known = _settings(kind)
    told = {"seed": seed} if "seed" in known else {}
    effort = share * effort_of(task)
    if effort < 1.0:
        told |= {name: max(1, round(effort * _usual(kind, name))) for name in _BUDGETS if name in known}
    return kind(**told, **settings)


def _settings(kind: type[Baseline]) -> dict[str, Any]:
    return {each.name: each.default for each in fields(kind)}


def _usual(kind: type[Baseline], name: str) -> int:
    """Return the budget that a class states itself; 0 stands for that of its learned method."""
    stated: int = _settings(kind)[name] or _settings(kind.method)[name]  # type: ignore[attr-defined]
    return stated
