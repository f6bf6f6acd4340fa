"""`--quick`: every method on a few items of each data set, thinned, with a quarter of the training; for a first look.

oddwave looks at images in its neutral grids, without trials of others.

Its tasks have protocols of their own (`one_class-quick`), so that a quick row is never taken for one of the full
benchmark, whichever folder it lies in. Items are thinned evenly; of test items, half are normal where there are enough.
Read `protocol.py` for the tasks.

Legend: n items, m kept.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from oddwave.config import DetectorConfig
from oddwave.lab.bench.protocol import AnyTask, Task

__all__ = ["QUICK_EFFORT", "at_effort", "effort_of", "quick_tasks"]

QUICK_EFFORT = 0.25  # of the training steps
_SUFFIX = "-quick"
_MOST_ITEMS = 2  # of one data set and protocol
_MOST_TRAINED, _MOST_TESTED = 64, 64
_MOST_POINTS = 6000


def quick_tasks(tasks: Sequence[AnyTask]) -> list[AnyTask]:
    """Return the first and the middle one of the items of each data set and protocol, thinned."""
    groups: dict[tuple[str, str], list[AnyTask]] = {}
    for task in tasks:
        if not isinstance(task, Task) or (not task.test_ends and len(task.test) <= _MOST_POINTS):
            groups.setdefault((task.dataset, task.protocol), []).append(task)
    chosen = [own[i] for own in groups.values() for i in sorted({0, len(own) // 2})[:_MOST_ITEMS]]
    return [_thinned(task) for task in chosen]


def effort_of(task: AnyTask) -> float:
    """Return the share of the usual training steps that a method may spend on a task."""
    return QUICK_EFFORT if task.protocol.endswith(_SUFFIX) else 1.0


def at_effort(settings: DetectorConfig, task: AnyTask) -> DetectorConfig:
    """Return oddwave's settings with the share of the training steps that the task allows, and no trials of grids.

    Trials would cost more than the training that is left; `fast` goes without them too.
    """
    effort = effort_of(task)
    if effort == 1.0:
        return settings
    steps = f"training.num_steps={max(1, round(effort * settings.training.num_steps))}"
    if settings.modality == "series":
        return settings.with_overrides([steps])
    memory, denoiser = settings.maps.grids
    return settings.with_overrides([steps, f"maps.memory_grid={memory}", f"maps.denoiser_grid={denoiser}"])


def _thinned(task: AnyTask) -> AnyTask:
    protocol = task.protocol + _SUFFIX
    if isinstance(task, Task):
        return replace(task, protocol=protocol)
    kept = task.only(_evenly(task.num_train, _MOST_TRAINED), _stratified(task.gt_label, _MOST_TESTED))
    return replace(kept, protocol=protocol)


def _stratified(gt_label: Int[np.ndarray, " n"], most: int) -> Int[np.ndarray, " m"]:
    """Give up to `most` of the items, evenly spread within each label, half of them normal where there are enough."""
    normal, odd = np.flatnonzero(gt_label == 0), np.flatnonzero(gt_label != 0)
    num_normal = min(len(normal), max(most // 2, most - len(odd)))
    num_odd = min(len(odd), most - num_normal)
    parts = [own[_evenly(len(own), count)] for own, count in ((normal, num_normal), (odd, num_odd)) if count]
    return np.sort(np.concatenate(parts))


def _evenly(num: int, most: int) -> Int[np.ndarray, " n"]:
    return np.unique(np.linspace(0, num - 1, min(num, most)).round().astype(np.int64))
