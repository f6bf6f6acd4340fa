"""The methods under comparison: oddwave's presets, and the baselines with the very windows that oddwave uses.

Here are the methods for series; read `picture_methods.py` and `sound_methods.py` for the others, and `ablation.py` for
the variants of oddwave that `oddwave bench ablation` runs as methods `ablation/name`. A method is a function
of (task, seed) to scores of the test items, higher = more anomalous. Windowed baselines score with each of oddwave's
window sizes for that series, standardised per size and averaged; `knn_max` takes the largest instead. oddwave's
combination lies between the two, so a difference to both is the method's alone. `knn_256` is the window that did best
in hindsight.

Where there is a training part, every method standardises its scores in the same way, by what held-out normals score:
fit on the first 80 %, calibrate on the last 20 %. In a joint task baselines see the training streams end to end;
windows across two of them are few.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oddwave.baselines import BASELINES
from oddwave.bench.ablation import is_variant, run_variant, variant_applies, variant_methods, variant_of
from oddwave.bench.own_methods import score_series, streams_of
from oddwave.bench.picture_methods import PICTURE_METHODS
from oddwave.bench.protocol import AnyTask, BenchModality, Outcome, Task
from oddwave.bench.sound_methods import SOUND_METHODS
from oddwave.config import preset
from oddwave.errors import ConfigError

__all__ = ["METHODS", "Outcome", "applies", "is_seeded", "method_names", "run_method"]

_CALIBRATION_SHARE = 0.2
_HINDSIGHT_WINDOW = 256
_SEEDED = ("random", "isolation_forest", "patch_knn", "log_mel_autoencoder")


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
    """Give the chosen methods, else all that a benchmark runs unless told otherwise.

    Raises:
        ConfigError: one of the chosen does not exist.
    """
    for name in chosen or ():
        _require(name, modality)
    return tuple(chosen or (name for name in _methods(modality) if name != "oddwave_accurate"))


def is_seeded(name: str) -> bool:
    """Say whether a method's scores depend on the seed."""
    return name.startswith(("oddwave", "plain_ddpm")) or name in _SEEDED or is_variant(name)


def applies(name: str, task: AnyTask) -> bool:
    """Say whether a method means something for this task: all do, but for some variants of the ablation."""
    return not is_variant(name) or variant_applies(name, task)


def _methods(modality: BenchModality) -> Mapping[str, Callable[[str, Any, int], Outcome]]:
    tables: dict[BenchModality, Mapping[str, Callable[[str, Any, int], Outcome]]] = {
        "series": METHODS,
        "image": PICTURE_METHODS,
        "audio": SOUND_METHODS,
    }
    return tables[modality]


def _require(name: str, modality: BenchModality) -> None:
    if is_variant(name):
        variant_methods(modality, [variant_of(name).name])
    elif name not in _methods(modality):
        raise ConfigError(f"method '{name}' does not exist; choose from {', '.join(_methods(modality))}")


def _oddwave(name: str, task: Task, seed: int) -> Outcome:
    return score_series(preset(name.removeprefix("oddwave").lstrip("_") or "balanced", seed=seed), task)


def _baseline(name: str, task: Task, seed: int) -> Outcome:
    started = time.process_time()
    settings = {"seed": seed} if is_seeded(name) else {}
    base = name.partition("_")[0] if name.startswith("knn") else name
    if name in ("random", "zscore"):
        sizes: tuple[int | None, ...] = (None,)
    elif name == "knn_256":
        room = len(task.test) // 3 if task.train is None else round(len(task.train) * _CALIBRATION_SHARE) // 2
        sizes = (max(1, min(_HINDSIGHT_WINDOW, room)),)
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
            parts = np.split(task.test, task.test_ends[:-1]) if task.test_ends else [task.test]
            scores = np.concatenate([scorer.decision_function(part) for part in parts])
            layers.append((scores - usual.mean()) / _safe(usual.std()))
    combined = np.max(layers, axis=0) if name == "knn_max" else np.mean(layers, axis=0)
    return Outcome(combined, time.process_time() - started, 0.0)


def _window_sizes(task: Task) -> tuple[int, ...]:
    """Give the sizes that oddwave would use on this task."""
    from oddwave.detection.series_work import SeriesWork

    share = 0.0 if task.train is None else preset("balanced").calibration.calibration_share
    data = task.test if task.train is None else streams_of(task.train, task.train_ends)
    return SeriesWork(preset("balanced"), {}).plan(data, held_back=share).sizes


def _safe(deviation: float) -> float:
    return float(deviation) if deviation > 1e-12 else 1.0


METHODS: dict[str, Callable[[str, Task, int], Outcome]] = {
    "oddwave": _oddwave,
    "oddwave_fast": _oddwave,
    "oddwave_accurate": _oddwave,
    "knn": _baseline,
    "knn_max": _baseline,
    "knn_256": _baseline,
    "pca": _baseline,
    "isolation_forest": _baseline,
    "zscore": _baseline,
    "random": _baseline,
}
