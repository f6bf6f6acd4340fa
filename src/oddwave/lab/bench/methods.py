"""The methods under comparison: oddwave's presets, and the baselines with the very windows that oddwave uses.

Here are the methods for series; read `image_methods.py` and `audio_methods.py` for the others, and `ablation.py` for
the variants of oddwave that `oddwave bench ablation` runs as methods `ablation/name`. A method is a function
of (task, seed) to scores of the test items, higher = more anomalous. Windowed baselines score with each of oddwave's
window sizes for that series, standardised per size and averaged; those that train a network have its strides too and
divide their training steps among the sizes, the others see a window at every point. `knn_max` takes the largest instead
of the mean. oddwave's combination lies between the two, so a difference to both is the method's alone. `knn_256` is the
window that did best in hindsight.

Where there is a training part, every method standardises its scores in the same way, by what held-out normals score:
fit on the first 80 %, calibrate on the last 20 %. Then baselines are fitted again, on all of it, and oddwave adds to
its memory what it held back. In a joint task baselines see the training streams end to end; windows across two of them
are few.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from oddwave.config import preset
from oddwave.errors import ConfigError
from oddwave.lab.bench.ablation import is_variant, run_variant, variant_applies, variant_methods, variant_of
from oddwave.lab.bench.audio_methods import AUDIO_METHODS
from oddwave.lab.bench.clock import Clock
from oddwave.lab.bench.image_methods import IMAGE_METHODS
from oddwave.lab.bench.own_methods import run_own_method, streams_of
from oddwave.lab.bench.protocol import AnyTask, BenchModality, Outcome, Task
from oddwave.lab.bench.rivals import make_baseline, takes_seed
from oddwave.lab.rivals import BASELINES, SeriesBaseline
from oddwave.lab.rivals.learned.items import ByMethod

if TYPE_CHECKING:
    from oddwave.detection.series.plan import WindowPlan

__all__ = ["METHODS", "Outcome", "applies", "is_seeded", "method_names", "run_method"]

_CALIBRATION_SHARE = 0.2
_HINDSIGHT_WINDOW = 256


def run_method(name: str, task: AnyTask, seed: int) -> Outcome:
    """Run one method on one task.

    Raises:
        ConfigError: no such method for tasks of this kind.
    """
    _require(name, task.modality)
    if is_variant(name):
        return run_variant(name, task, seed)
    return _methods(task.modality)[name](name, task, seed)


def method_names(modality: BenchModality, chosen: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the chosen methods, else all that a benchmark runs unless told otherwise.

    Raises:
        ConfigError: one of the chosen does not exist.
    """
    for name in chosen or ():
        _require(name, modality)
    return tuple(chosen or (name for name in _methods(modality) if name != "oddwave_accurate"))


def is_seeded(name: str) -> bool:
    """Return whether a method's scores depend on the seed."""
    return name.startswith(("oddwave", "plain_ddpm")) or takes_seed(name) or is_variant(name)


def applies(name: str, task: AnyTask) -> bool:
    """Return whether a method means something for this task: all do, but for some variants of the ablation."""
    return not is_variant(name) or variant_applies(name, task)


def _methods(modality: BenchModality) -> Mapping[str, Callable[[str, Any, int], Outcome]]:
    tables: dict[BenchModality, Mapping[str, Callable[[str, Any, int], Outcome]]] = {
        "series": METHODS,
        "image": IMAGE_METHODS,
        "audio": AUDIO_METHODS,
    }
    return tables[modality]


def _require(name: str, modality: BenchModality) -> None:
    if is_variant(name):
        variant_methods(modality, [variant_of(name).name])
    elif name not in _methods(modality):
        raise ConfigError(f"method '{name}' does not exist; choose from {', '.join(_methods(modality))}")


def _baseline(name: str, task: Task, seed: int) -> Outcome:
    kind = BASELINES["knn" if name.startswith("knn") else name]
    windows = _windows(name, kind, task)
    baselines = [make_baseline(kind, task, seed, share=1 / len(windows), **window) for window in windows]
    clock, layers = Clock(), []
    for number, baseline in enumerate(baselines):
        if number:
            clock.lap()
        layers.append(_standardised_scores(baseline, task, clock))
    combined = np.max(layers, axis=0) if name == "knn_max" else np.mean(layers, axis=0)
    settings = baselines[0].settings | {"windows": windows}
    return clock.outcome(combined, settings=settings, num_parameters=sum(own.num_parameters for own in baselines))


def _windows(name: str, kind: type[SeriesBaseline], task: Task) -> list[dict[str, int]]:
    """Return the window settings that a baseline is run with, once each."""
    if not hasattr(kind, "window_size"):
        return [{}]
    if name == "knn_256":
        room = len(task.test) // 3 if task.train is None else round(len(task.train) * _CALIBRATION_SHARE) // 2
        return [{"window_size": max(1, min(_HINDSIGHT_WINDOW, room))}]
    if task.is_panel:
        return [{}]
    plan = _plan(task)
    if not issubclass(kind, ByMethod):
        return [{"window_size": size} for size in plan.sizes]
    return [{"window_size": size, "stride": stride} for size, stride in zip(plan.sizes, plan.strides, strict=True)]


def _standardised_scores(baseline: SeriesBaseline, task: Task, clock: Clock) -> Float[np.ndarray, " n"]:
    """Fit, lap the clock, score; in units of what held-out normals score, or of all scores where there are none."""
    if task.train is None:
        scores = baseline.fit_predict(task.test)
        clock.lap()
        return _in_units_of(scores, scores)
    if task.is_panel:
        baseline.fit(task.train)
        clock.lap()
        return baseline.decision_function(task.test)
    cut = max(len(task.train) - round(len(task.train) * _CALIBRATION_SHARE), 1)
    held = task.train[cut:]
    if (held == held[:1]).all():  # at rest: nothing is told of how scores vary, as oddwave sees it too
        usual = baseline.fit_predict(task.train)
    else:
        usual = baseline.fit(task.train[:cut]).decision_function(held)
    baseline.fit(task.train)
    clock.lap()
    parts = np.split(task.test, task.test_ends[:-1]) if task.test_ends else [task.test]
    scores = np.concatenate([baseline.decision_function(part) for part in parts])
    return _in_units_of(usual, scores)


def _plan(task: Task) -> "WindowPlan":
    """Return the windows that oddwave would use on this task."""
    from oddwave.detection.series.detector import SeriesDetector

    share = 0.0 if task.train is None else preset("balanced").calibration.calibration_share
    data = task.test if task.train is None else streams_of(task.train, task.train_ends)
    return SeriesDetector(preset("balanced"), {}).plan(data, held_back=share)


def _in_units_of(usual: Float[np.ndarray, " m"], scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    deviation = float(usual.std())
    standardised: np.ndarray = (scores - usual.mean()) / (deviation if deviation > 1e-12 else 1.0)
    return standardised


METHODS: dict[str, Callable[[str, Task, int], Outcome]] = {
    "oddwave": run_own_method,
    "oddwave_fast": run_own_method,
    "oddwave_accurate": run_own_method,
    **dict.fromkeys([*BASELINES, "knn_max", "knn_256"], _baseline),
}
