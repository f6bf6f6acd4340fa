"""How often healthy data are flagged, before and after what calibrated joins the memory.

    python benchmarks/false_alarms.py --data DIR [--preset fast] [--alpha 0.05]

MSL's training parts are healthy by definition: of each channel the first 60 % to fit on, the rest to score. Printed
are the share of points with p <= alpha and the median shift of the scores, in robust deviations, over channels. Drift
within a channel is part of what is measured. Writes false_alarms.json into `--out` (benchmarks/results).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

from oddwave.bench.protocol import Task, load_tasks
from oddwave.config import preset
from oddwave.detection.series_detection import SeriesDetection
from oddwave.detection.series_work import SeriesWork
from oddwave.detection.streams import Stream
from oddwave.detector import Detector
from oddwave.scoring.memory import Memory

_SHARE = 0.6


def measure(values: np.ndarray, name: str, alpha: float) -> dict[str, float]:
    """Fit on the first part, score the second with the memory as it is and as it was while it calibrated."""
    cut = int(len(values) * _SHARE)
    earlier: list[dict[str, Memory]] = []
    remember = SeriesDetection.remember

    def watched(engine: SeriesDetection, streams: Sequence[Stream]) -> None:
        earlier.extend(scorer.memories for scorer in engine.scorers)
        remember(engine, streams)

    with patch.object(SeriesDetection, "remember", watched):
        detector = Detector(preset(name)).fit(values[:cut])
    work = detector.work
    assert isinstance(work, SeriesWork)
    assert work.engine is not None
    assert work.calibration is not None
    after = detector.decision_function(values[cut:])
    for scorer, memories in zip(work.engine.scorers, earlier, strict=True):
        scorer.memories = memories
    before = detector.decision_function(values[cut:])
    rates = {
        key: float((work.calibration.p_values(own) <= alpha).mean())
        for key, own in (("before", before), ("after", after))
    }
    return {**rates, "shift": float(np.nanmedian(after - before))}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    channels = {}
    for task in load_tasks(given.data, ["msl/semi"]):
        assert isinstance(task, Task)
        assert task.train is not None
        if len(task.train) >= 600:
            channels[task.item] = measure(task.train, given.preset, given.alpha)
            print(task.item, channels[task.item], flush=True)
    means = {key: float(np.mean([own[key] for own in channels.values()])) for key in ("before", "after", "shift")}
    medians = {key: float(np.median([own[key] for own in channels.values()])) for key in ("before", "after", "shift")}
    told = {"preset": given.preset, "alpha": given.alpha, "means": means, "medians": medians, "channels": channels}
    (given.out / "false_alarms.json").write_text(json.dumps(told, indent=1) + "\n")
    print(means, medians)


if __name__ == "__main__":
    main()
