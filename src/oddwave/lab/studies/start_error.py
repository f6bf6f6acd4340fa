"""How well events find the beginning and the end of what they are of.

    python -m oddwave.lab.studies.start_error --data DIR [--preset fast] [--seed 0]

On streams with planted anomalies, whose every changed point is known (`lab/datasets/planted.py`): fitted on the clean
head, scored on the rest at default alpha. Of each planted anomaly that any event overlaps, the error is that of the
first such event's start and of the last one's end, in points; below 0 is too early. Events that overlap no planted
anomaly are counted. Writes start_error.json into `--out` (benchmarks/results).
"""

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.lab.datasets.planted import load_planted
from oddwave.lab.datasets.records import LabelledSeries
from oddwave.lab.studies.healthy import share_with_bounds

__all__ = ["errors_of", "main"]

Span = tuple[int, int]


def errors_of(planted: list[Span], events: list[Span]) -> tuple[list[int], list[int], int]:
    """Return the errors of starts and ends of the planted spans that were found, and how many events are of none."""
    starts, ends = [], []
    for first, last in planted:
        own = [event for event in events if event[0] <= last and event[1] >= first]
        if own:
            starts.append(min(event[0] for event in own) - first)
            ends.append(max(event[1] for event in own) - last)
    false = [event for event in events if not any(event[0] <= last and event[1] >= first for first, last in planted)]
    return starts, ends, len(false)


def measured(series: LabelledSeries, name: str) -> dict[str, Any]:
    """Fit on a stream's head, and compare the events of the rest with what was planted."""
    cut = int(series.train_end or 0)
    result = Detector(preset(name)).fit(series.values[:cut]).score(series.values[cut:], explain="none")
    events = [(cut + event.start, cut + event.end) for event in result.series[0].events]
    planted = [(int(first), int(last)) for first, last in series.windows]
    starts, ends, false = errors_of(planted, events)
    return {
        "planted": len(planted),
        "points": len(series.values) - cut,
        "start": starts,
        "end": ends,
        "false_events": false,
        "drift": [own.moved or "scores" for own in result.drift],
    }


def _spread(errors: list[int]) -> dict[str, float]:
    away = np.abs(errors)
    told = {"median": float(np.median(errors)), "median_abs": float(np.median(away))}
    return told | {"q90_abs": float(np.quantile(away, 0.9)), "within_5": float(np.mean(away <= 5))}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    streams = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a default alpha that the head does not support
        for series in load_planted(given.data, given.seed).streams:
            streams[series.name] = measured(series, given.preset)
            print(series.name, streams[series.name], flush=True)
    own = list(streams.values())
    starts, ends = ([error for each in own for error in each[name]] for name in ("start", "end"))
    points = sum(each["points"] for each in own)
    told = {
        "preset": given.preset,
        "seed": given.seed,
        "found": share_with_bounds(len(starts), sum(each["planted"] for each in own)),
        "start": _spread(starts),
        "end": _spread(ends),
        "false_events_per_1000": 1000 * sum(each["false_events"] for each in own) / points,
        "streams": streams,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "start_error.json").write_text(json.dumps(told, indent=1) + "\n")
    print({name: told[name] for name in ("found", "start", "end", "false_events_per_1000")})


if __name__ == "__main__":
    main()
