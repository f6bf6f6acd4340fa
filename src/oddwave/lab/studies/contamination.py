"""What happens to detection and to false alarms where a share of the "healthy" data is faulty.

    python -m oddwave.lab.studies.contamination [--modalities series,image,audio] [--shares 0,0.01,0.05,0.1,0.2]

Generated data with planted faults: streams (a season with dependent noise), drawn images of a gear, the sound of a
machine. Of the data to learn from, a share of the points, images or recordings has a fault planted in it. Compared are
oddwave as it is, oddwave with `calibration.trim`, and nearest neighbours and an isolation forest: on windows of the
stream, or on plain vectors of images (16 x 16 grey values) and recordings (64 band levels), calibrated on the last 30 %
of the same data. Reported are the AUROC of planted test faults (of points, images, recordings), and at alpha 0.05 the
shares of the faulty and of clean test data that are flagged. Writes contamination_<modality>.json into `--out`
(benchmarks/results).
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from oddwave.calibration.conformal import conformal_p_values
from oddwave.config import preset
from oddwave.demo.gear_defects import GEAR_DEFECTS
from oddwave.demo.gear_image import draw_part
from oddwave.demo.machine_audio import MACHINE_FAULTS, SAMPLE_RATE, make_machine_audio
from oddwave.detector import Detector
from oddwave.lab.datasets.injection import inject_anomalies
from oddwave.lab.metrics import auroc
from oddwave.lab.rivals import BASELINES
from oddwave.lab.studies.healthy import healthy_stream

__all__ = ["Case", "audio_case", "image_case", "main", "series_case", "with_faulty"]

_ALPHA, _SHARES = 0.05, (0.0, 0.01, 0.05, 0.1, 0.2)
_POINTS, _TEST_RATE, _WINDOW = 3000, 0.1, 48
_ITEMS, _TEST_ITEMS, _SIDE_PX, _DURATION_S = 80, 40, 192, 4.0
_CALIBRATION_SHARE = 0.3
_RIVALS = ("knn", "isolation_forest")
_LIGHTER: dict[str, tuple[str, ...]] = {
    "series": (),
    "image": ("image.size_px=192",),
    "audio": ("training.num_steps=50", "audio.num_background=100"),
}


class Case(NamedTuple):
    """Data to learn from, clean and faulty data to test by, the latter's labels, and vectors of all for the rivals."""

    train: Any
    clean: Any
    faulty: Any
    label: Int[np.ndarray, " n"]
    vectors: Callable[[Any], np.ndarray]


def with_faulty(good: list[Any], bad: list[Any], share: float, seed: int) -> list[Any]:
    """Return the good items with a share of them, at random places, replaced by their faulty twins."""
    places = np.random.default_rng([seed, 7]).permutation(len(good))[: round(share * len(good))]
    return [bad[n] if n in set(places.tolist()) else own for n, own in enumerate(good)]


def series_case(share: float, seed: int) -> Case:
    """Return streams of a season with dependent noise."""
    train, clean, new = (healthy_stream(_POINTS, 0.6, 1000 * seed + n) for n in range(3))
    times = int(np.ceil(share / _TEST_RATE))  # there is room for no more at once
    for number in range(times):
        planted = inject_anomalies(train[:, None], rate=share / times, seed=seed + 10 * number, window_size=_WINDOW)
        train = planted.values[:, 0]
    planted = inject_anomalies(new[:, None], rate=_TEST_RATE, seed=seed + 1, window_size=_WINDOW)
    return Case(train[:, None], clean[:, None], planted.values, planted.gt_label, lambda x: x)


def image_case(share: float, seed: int, side_px: int = _SIDE_PX) -> Case:
    """Return images of the demo's drawn part."""
    kinds, num = list(GEAR_DEFECTS), _ITEMS + 2 * _TEST_ITEMS
    good = [draw_part(np.random.default_rng([seed, 1, n]), side_px).image for n in range(num)]
    bad = [draw_part(np.random.default_rng([seed, 1, n]), side_px, kinds[n % len(kinds)]).image for n in range(num)]
    train = with_faulty(good[:_ITEMS], bad[:_ITEMS], share, seed)
    clean, faulty = good[_ITEMS : _ITEMS + _TEST_ITEMS], bad[_ITEMS + _TEST_ITEMS :]
    return Case(train, clean, [*clean, *faulty], np.repeat([0, 1], _TEST_ITEMS), _small_images)


def _small_images(images: list[np.ndarray]) -> np.ndarray:
    cell = len(images[0]) // 16
    cells = np.stack(images).mean(3).reshape(len(images), 16, cell, 16, cell) / 255.0
    return np.asarray(cells.mean((2, 4)).reshape(len(images), 1, -1))


def audio_case(share: float, seed: int) -> Case:
    """Return recordings of a machine."""
    rng, kinds = np.random.default_rng([seed, 2]), list(MACHINE_FAULTS)
    good = [make_machine_audio(rng, _DURATION_S).samples for _ in range(_ITEMS + _TEST_ITEMS)]
    num_bad = _ITEMS + _TEST_ITEMS
    bad = [make_machine_audio(rng, _DURATION_S, kinds[n % len(kinds)], "faint").samples for n in range(num_bad)]
    train = with_faulty(good[:_ITEMS], bad[:_ITEMS], share, seed)
    clean, faulty = good[_ITEMS:], bad[_ITEMS:]
    label = np.repeat([0, 1], _TEST_ITEMS)
    return Case(_rated(train), _rated(clean), _rated([*clean, *faulty]), label, _band_levels)


def _rated(recordings: list[np.ndarray]) -> list[tuple[np.ndarray, int]]:
    return [(samples, SAMPLE_RATE) for samples in recordings]


def _band_levels(recordings: list[tuple[np.ndarray, int]]) -> np.ndarray:
    power = np.abs(np.fft.rfft(np.stack([samples for samples, _ in recordings]))) ** 2
    edges = np.unique(np.geomspace(50, power.shape[1] - 1, 65).astype(int))
    return np.log(np.add.reduceat(power, edges[:-1], axis=1) + 1e-9)[:, None, :]


_CASES: dict[str, Callable[[float, int], Case]] = {"series": series_case, "image": image_case, "audio": audio_case}


def own(case: Case, modality: str, *, trim: bool) -> dict[str, float]:
    """Measure oddwave, preset `fast`; of recordings with less training, so that it takes minutes."""
    config = preset("fast", modality).with_overrides([f"calibration.trim={str(trim).lower()}", *_LIGHTER[modality]])
    started = time.process_time()
    detector = Detector(config).fit(case.train)
    cpu_s = time.process_time() - started
    assert detector.calibration is not None
    alpha = max(_ALPHA, detector.calibration.smallest_alpha)
    clean, faulty = (np.asarray(detector.predict(data, alpha=alpha)) == 1 for data in (case.clean, case.faulty))
    return _told(case, np.asarray(detector.decision_function(case.faulty)), clean, faulty, cpu_s)


def rival(case: Case, name: str) -> dict[str, float]:
    """Measure a rival, calibrated on the last part of what there is to learn from."""
    started = time.process_time()
    vectors = case.vectors(case.train)
    cut = round((1 - _CALIBRATION_SHARE) * len(vectors))
    fitted = BASELINES[name]().fit(vectors[:cut])
    cpu_s = time.process_time() - started
    calibration = fitted.decision_function(vectors[cut:])
    clean, faulty = (fitted.decision_function(case.vectors(data)) for data in (case.clean, case.faulty))
    on_clean, on_faulty = (conformal_p_values(scores, calibration) <= _ALPHA for scores in (clean, faulty))
    return _told(case, faulty, on_clean, on_faulty, cpu_s)


def _told(case: Case, scores: np.ndarray, clean: np.ndarray, faulty: np.ndarray, cpu_s: float) -> dict[str, float]:
    kept = np.isfinite(scores)
    told = {
        "auroc": float(auroc(case.label[kept], scores[kept])),
        "found": float(faulty[case.label == 1].mean()),
        "false_alarms": float(clean.mean()),
        "fit_cpu_s": cpu_s,
    }
    return {name: round(value, 4) for name, value in told.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modalities", default="series,image,audio")
    parser.add_argument("--shares", default=",".join(map(str, _SHARES)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for modality in given.modalities.split(","):
        rows = []
        for share in map(float, given.shares.split(",")):
            case = _CASES[modality](share, given.seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is trimmed is named in one
                found = {"oddwave": own(case, modality, trim=False), "oddwave trimmed": own(case, modality, trim=True)}
            found |= {name: rival(case, name) for name in _RIVALS}
            rows.append({"share": share, "methods": found})
            print(modality, json.dumps(rows[-1]), flush=True)
        told = {"modality": modality, "alpha": _ALPHA, "seed": given.seed, "preset": "fast", "rows": rows}
        (given.out / f"contamination_{modality}.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
