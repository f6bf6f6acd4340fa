"""The methods under comparison: oddwave's presets, and the baselines with the very windows that oddwave uses.

A method is a function of (task, seed) to scores of the test items, higher = more anomalous. Windowed baselines score with
each of oddwave's window sizes for that series; their scores are standardised per size and averaged, as oddwave's are, so
that a difference is the method's and not the window's. `knn_256` is the single fixed window that did best in hindsight.

Streams that are pooled over items are divided by what held-out normals score, by every method in the same way: fit on the
first 80 % of the training part, calibrate on the last 20 %.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from oddwave.baselines import BASELINES
from oddwave.bench.protocol import Task
from oddwave.config import preset
from oddwave.errors import ConfigError

__all__ = ["METHODS", "Outcome", "is_seeded", "run_method"]

_CALIBRATION_SHARE = 0.2
_HINDSIGHT_WINDOW = 256


@dataclass(frozen=True, eq=False)
class Outcome:
    """Scores of the test items and the CPU seconds of fitting and of scoring."""

    scores: Float[np.ndarray, " n"]
    fit_s: float
    score_s: float


def run_method(name: str, task: Task, seed: int) -> Outcome:
    """Run one method on one task.

    Raises:
        ConfigError: no such method.
    """
    if name not in METHODS:
        raise ConfigError(f"method '{name}' does not exist; choose from {', '.join(METHODS)}")
    return METHODS[name](name, task, seed)


def is_seeded(name: str) -> bool:
    """Say whether a method's scores depend on the seed."""
    return name.startswith("oddwave") or name in ("random", "isolation_forest")


def _oddwave(name: str, task: Task, seed: int) -> Outcome:
    from oddwave.detector import Detector

    started = time.process_time()
    detector = Detector(preset(name.removeprefix("oddwave").lstrip("_") or "balanced", seed=seed))
    if task.train is None:
        scores = np.concatenate([s.scores for s in detector.fit_scores(task.test)])
        return Outcome(scores, time.process_time() - started, 0.0)
    detector.fit(task.train)
    fitted = time.process_time()
    scores = detector.decision_function(task.test)
    return Outcome(scores, fitted - started, time.process_time() - fitted)


def _baseline(name: str, task: Task, seed: int) -> Outcome:
    started = time.process_time()
    settings = {"seed": seed} if is_seeded(name) else {}
    base = "knn" if name == "knn_256" else name
    if name in ("random", "zscore"):
        sizes: tuple[int | None, ...] = (None,)
    elif name == "knn_256":
        sizes = (min(_HINDSIGHT_WINDOW, len(task.test if task.train is None else task.train) // 3),)
    else:
        sizes = (None,) if task.is_panel else _window_sizes(task)
    layers = []
    for size in sizes:
        scorer = BASELINES[base](**settings, **({"window_size": size} if size else {}))
        if task.train is None:
            scores = scorer.fit_predict(task.test)
            layers.append((scores - scores.mean()) / _safe(scores.std()))
        elif task.is_panel:
            layers.append(scorer.fit(task.train).decision_function(task.test))
        else:
            cut = max(len(task.train) - round(len(task.train) * _CALIBRATION_SHARE), 1)
            scorer.fit(task.train[:cut])
            usual = scorer.decision_function(task.train[cut:])
            layers.append((scorer.decision_function(task.test) - usual.mean()) / _safe(usual.std()))
    return Outcome(np.mean(layers, axis=0), time.process_time() - started, 0.0)


def _window_sizes(task: Task) -> tuple[int, ...]:
    """Give the sizes that oddwave would use on this task."""
    from oddwave.detector import Detector

    share = 0.0 if task.train is None else preset("balanced").calibration.calibration_share
    return Detector().plan(task.test if task.train is None else task.train, held_back=share).sizes


def _safe(deviation: float) -> float:
    return float(deviation) if deviation > 1e-12 else 1.0


METHODS: dict[str, Callable[[str, Task, int], Outcome]] = {
    "oddwave": _oddwave,
    "oddwave_fast": _oddwave,
    "oddwave_accurate": _oddwave,
    "knn": _baseline,
    "knn_256": _baseline,
    "pca": _baseline,
    "isolation_forest": _baseline,
    "zscore": _baseline,
    "random": _baseline,
}
