"""What one network for images, audio and series together is worth, and what its shared adapter is.

    python -m oddwave.lab.studies.joint [--steps 100] [--seeds 0,1,2] [--data DIR]

Four ways to train the paper's denoiser (`PAPER_SETTING` on maps of 32 x 32 places, 8 base channels, two stages, scored
in one step at noise level 0.4: minutes on a processor's core) on the same data, each
modality in as many steps of as many items: by itself or jointly, each with the shared adapter and without it (an
ordinary first and last convolution, of a joint network one per port: `no_shared_adapter` of the ablation). Whichever
way, a modality is scored by a network of as many weights; jointly there is one network instead of three. Data:
generated (the demonstrations' gear and machine, and streams with a season), with faults planted in the test data; with
`--data` instead screw, the class engine_idling of UrbanSound8K and ECG200. Reported by modality are the AUROC, and the
loss on held-out normals, which needs no faults. Writes joint.json or joint_real.json into `--out` (benchmarks/results).
"""

import argparse
import json
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from oddwave.config import DetectorConfig, preset
from oddwave.detector import Detector
from oddwave.joint import JointDetector
from oddwave.lab.bench.own_methods import PAPER_SETTING
from oddwave.lab.bench.protocol import BenchModality, Task, load_tasks
from oddwave.lab.bench.quick import quick_tasks
from oddwave.lab.metrics import auroc
from oddwave.lab.studies.contamination import audio_case, image_case, series_case

__all__ = ["WAYS", "Data", "compared", "main", "settings_of"]

WAYS: Mapping[str, tuple[bool, bool]] = {  # jointly, with the shared adapter
    "separate": (False, True),
    "separate, own convolutions": (False, False),
    "joint": (True, True),
    "joint, own convolutions": (True, False),
}
_SIZE = ("network.base_channels=8", "network.channel_mult=[1, 2]", "network.max_tokens=64", "training.batch_size=8")
_SCORE = ("scoring.estimate=one_step", "scoring.noise_levels=[0.4]")
_MAPS = ("maps.top_share=0.002", "maps.memory_grid=32", "maps.denoiser_grid=16", "maps.pixel_size_px=32")
_SERIES = ("series.tensor_length=32", "series.num_window_sizes=1", "series.max_windows=400")
_MOST = 40  # images and recordings to learn from, and to judge
_REAL: Mapping[BenchModality, str] = {"image": "screw", "audio": "engine_idling", "series": "ECG200"}


@dataclass(frozen=True, eq=False)
class Data:
    """What is learnt from, what is judged, and which of that is faulty."""

    train: Any
    test: Any
    label: Int[np.ndarray, " n"]


def settings_of(modality: str, seed: int, steps: int, *, shared: bool) -> DetectorConfig:
    """Return the paper's setting at a processor's size."""
    of_maps = modality != "series"
    paper = [text for text in PAPER_SETTING if of_maps or not text.startswith(("maps.", "training.feature"))]
    changes = [*paper, *_SIZE, *_SCORE, *(_MAPS if of_maps else _SERIES), f"training.num_steps={steps}"]
    config = preset("paper", modality, seed=seed)
    return config.with_overrides([*changes, f"network.shared_adapter={str(shared).lower()}"])


def compared(data: Mapping[str, Data], seed: int, steps: int, way: str) -> dict[str, Any]:
    """Fit in one of the ways, and return by modality the AUROC and the loss on held-out normals."""
    started, (jointly, shared) = time.process_time(), WAYS[way]
    configs = {modality: settings_of(modality, seed, steps, shared=shared) for modality in data}
    if jointly:
        joint = JointDetector(configs).fit({modality: own.train for modality, own in data.items()})
        detectors, weights = {name: joint.detector(name) for name in data}, joint.num_parameters
    else:
        detectors = {modality: Detector(configs[modality]).fit(own.train) for modality, own in data.items()}
        weights = sum(detector.num_parameters for detector in detectors.values())
    fit_s = time.process_time() - started
    found: dict[str, Any] = {"way": way, "seed": seed, "fit_cpu_s": round(fit_s, 1), "num_weights": weights}
    for modality, detector in detectors.items():
        scores = detector.decision_function(data[modality].test)
        judged = np.isfinite(scores)
        training = detector.choices["training"]
        found[modality] = {
            "auroc": auroc(data[modality].label[judged], scores[judged]),
            "val_loss": training.get("pixel", training)["val_loss"],
            "num_weights": detector.num_parameters,
        }
    return {**found, "cpu_s": round(time.process_time() - started, 1)}


def generated(seed: int) -> dict[str, Data]:
    """Return generated data of the three modalities, clean to learn from, with faults to judge."""
    cases = {"image": image_case(0.0, seed), "audio": audio_case(0.0, seed)}
    every = {name: slice(None, None, len(case.label) // _MOST) for name, case in cases.items()}
    found = {
        name: Data(own.train[:_MOST], own.faulty[every[name]], own.label[every[name]]) for name, own in cases.items()
    }
    streams = series_case(0.0, seed)
    return {**found, "series": Data(streams.train, streams.faulty, streams.label)}


def real(root: Path) -> dict[str, Data]:
    """Return one real data set of each modality, thinned as `oddwave bench --quick` does. Raises: as `load_tasks`."""
    found = {}
    for modality, name in _REAL.items():
        task = quick_tasks([each for each in load_tasks(root, [name], modality) if each.protocol == "one_class"])[0]
        if isinstance(task, Task):
            found[modality] = Data(task.train, task.test, task.gt_label)
        else:
            found[modality] = Data(list(task.split.train_paths), list(task.split.test_paths), task.gt_label)
    return {str(modality): own for modality, own in found.items()}


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return by way and modality the mean over seeds, and how it differs from training separately, seed by seed."""
    told: dict[str, Any] = {}
    for modality in _REAL:
        for measure in ("auroc", "val_loss"):
            by_way = {way: [row[modality][measure] for row in rows if row["way"] == way] for way in WAYS}
            base = by_way["separate"]
            told[f"{modality}, {measure}"] = {
                way: {
                    "mean": float(np.mean(own)),
                    "minus_separate": [round(a - b, 4) for a, b in zip(own, base, strict=False)],
                }
                for way, own in by_way.items()
                if own
            }
    return told


def main() -> None:
    """Measure, print, write after every fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    name = "joint.json" if given.data is None else "joint_real.json"
    given.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a default alpha that so few do not support
        for seed in map(int, given.seeds.split(",")):
            data = generated(seed) if given.data is None else real(given.data)
            for way in WAYS:
                rows.append(compared(data, seed, given.steps, way))
                print(json.dumps(rows[-1]), flush=True)
                told = {"steps": given.steps, "summary": _summary(rows), "rows": rows}
                (given.out / name).write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
