"""How well the odd part of a recording is isolated: with the model's own map, and with the map of the clean recording.

    python -m oddwave.lab.studies.audio_isolation [--preset fast] [--recordings 4] [--threads 1]

The demonstration's machine is recorded with and without each of its faults; the difference of the two is what should be
heard in the odd part. The figure is the signal-to-distortion ratio within the fault's stretch,
10 log10(|planted|^2 / |odd - planted|^2): 0 dB is as good as silence. A model that has heard 40 healthy recordings
explains the faulty ones; beside it stands what the way back to sound could do if the model's map were right (the levels
of the clean recording). Writes benchmarks/results/audio_isolation.md and .json.
"""

import argparse
import json
from pathlib import Path
from statistics import median

import numpy as np
import torch

from oddwave.config import preset
from oddwave.demo.machine_audio import GRADES, MACHINE_FAULTS, SAMPLE_RATE, PlantedAudio, make_machine_audio
from oddwave.detection.audio.terms import audio_map_of
from oddwave.detector import Detector
from oddwave.tensors.audio_back import OverlapAdd, normal_audio

__all__ = ["main"]

RESULTS = Path("benchmarks/results")
TRAINING_RECORDINGS = 40


def machine(seed: int, fault: str | None = None, grade: str = "clear") -> tuple[np.ndarray, PlantedAudio | None]:
    made = make_machine_audio(np.random.default_rng([11, seed]), fault=fault, grade=grade)
    return made.samples.astype(np.float32), made.planted


def sdr_db(odd: np.ndarray, wanted: np.ndarray, planted: PlantedAudio) -> float:
    inside = slice(round(planted.start_s * SAMPLE_RATE), round(planted.end_s * SAMPLE_RATE))
    rest = np.square(odd[inside] - wanted[inside]).sum()
    return float(10 * np.log10(np.square(wanted[inside]).sum() / max(rest, 1e-20)))


def with_clean_levels(detector: Detector, faulty: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return the odd part by the levels of the clean recording."""
    audio_map = audio_map_of(detector.config.audio)
    size = audio_map.clip_samples
    join, parts = OverlapAdd(size), []
    for start in sorted({*range(0, len(faulty) - size, size * 3 // 4), len(faulty) - size}):
        x, y = (torch.from_numpy(samples[start : start + size])[None] for samples in (faulty, clean))
        normal = normal_audio(audio_map, x, audio_map.levels_db(x), audio_map.levels_db(y))
        parts.append(join.add(start, normal[0].numpy()))
    odd: np.ndarray = faulty - np.concatenate([*parts, join.finish()])
    return odd


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--recordings", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    healthy = {f"healthy_{i:02d}": (machine(i)[0], SAMPLE_RATE) for i in range(TRAINING_RECORDINGS)}
    detector = Detector(preset(given.preset, modality="audio", seed=0)).fit(healthy)
    rows = []
    for fault in MACHINE_FAULTS:
        for grade in GRADES:
            seeds = range(1000, 1000 + given.recordings)
            faulty = {f"{seed}": machine(seed, fault, grade) for seed in seeds}
            found = detector.score({name: (samples, SAMPLE_RATE) for name, (samples, _) in faulty.items()})
            own, oracle, flagged = [], [], 0
            for recording in found.recordings:
                samples, planted = faulty[recording.id]
                assert planted is not None
                clean = machine(int(recording.id))[0]
                wanted = samples - clean
                assert recording.excerpt is not None
                own.append(sdr_db(recording.excerpt.odd, wanted, planted))
                oracle.append(sdr_db(with_clean_levels(detector, samples, clean), wanted, planted))
                flagged += int(recording.labels.any())
            rows.append(
                {
                    "fault": fault,
                    "grade": grade,
                    "flagged": flagged,
                    "recordings": len(own),
                    "own_map_db": round(median(own), 1),
                    "own_map_worst_db": round(min(own), 1),
                    "clean_map_db": round(median(oracle), 1),
                    "clean_map_worst_db": round(min(oracle), 1),
                }
            )
            print(rows[-1], flush=True)
    lines = [
        "# How well the odd part is isolated",
        "",
        f"`python -m oddwave.lab.studies.audio_isolation --preset {given.preset} "
        f"--recordings {given.recordings}`, seed 0.",
        "SDR within the fault's stretch, median and worst; 0 dB is as good as silence. Clean map: the levels of the",
        "same recording without the fault.",
        "",
        "| fault | grade | flagged | own map, dB | worst | clean map, dB | worst |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['fault']} | {row['grade']} | {row['flagged']} of {row['recordings']} | {row['own_map_db']} | "
        f"{row['own_map_worst_db']} | {row['clean_map_db']} | {row['clean_map_worst_db']} |"
        for row in rows
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "audio_isolation.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (RESULTS / "audio_isolation.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
