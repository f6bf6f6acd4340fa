"""How often healthy data are flagged.

    python -m oddwave.lab.studies.false_alarms streams [--draws 2] [--preset fast]
    python -m oddwave.lab.studies.false_alarms drift
    python -m oddwave.lab.studies.false_alarms continuations [--preset balanced]
    python -m oddwave.lab.studies.false_alarms msl --data DIR [--preset fast] [--alpha 0.05]
    python -m oddwave.lab.studies.false_alarms normals --data DIR [--preset fast] [--alpha 0.05]

    streams         autoregressive streams with and without a season, fitted on few or many blocks: events per block of
                    40 further blocks, and the share of points that are flagged
    drift           the alarm of `calibration/drift.py`: false alarms in 100 runs of 10,000 healthy scores, and how many
                    points it takes to find a shift of one deviation
    continuations   ten healthy streams, each fitted on its first 2,000 points and scored on the next 1,000 at default
                    settings: how many get an event, how many a drift
    msl             MSL's training parts are healthy by definition: of each channel the first 60 % to fit on, the rest
                    to score. Drift within a channel is part of it, and named beside it
    normals         the longest stretch without a label of NAB files, split likewise, and the normal instances of UCR
                    sets, fitted on those to train with and scored on those to test with

Shares come with 95 % binomial bounds. Writes false_alarms_<part>.json into `--out` (benchmarks/results); of msl
false_alarms.json.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.calibration.drift import find_drift
from oddwave.config import DetectorConfig, preset
from oddwave.detector import Detector
from oddwave.lab.bench.protocol import Task, load_tasks
from oddwave.lab.datasets.ucr import load_ucr, ucr_names
from oddwave.lab.studies.healthy import healthy_stream, normal_stretches, share_with_bounds
from oddwave.results import DetectionResult

__all__ = ["main", "measure", "shift_course"]

_SHARE = 0.6
_LEAST_POINTS = 600
_BLOCK = 48
_NUM_BLOCKS, _PHIS, _ALPHAS = (5, 10, 20, 41, 50), (0.0, 0.3, 0.6, 0.9, 0.95), (0.01, 0.05)
_NEW_BLOCKS = 40
_RUNS, _RUN, _SHIFTED = 100, 10_000, 200
_MOST_FILES, _MOST_SETS = 9, 9


def measure(values: np.ndarray, config: DetectorConfig, alpha: float | None) -> DetectionResult:
    """Fit on the first part, and return what is found in the second."""
    cut = int(len(values) * _SHARE)
    return Detector(config).fit(values[:cut]).score(values[cut:], alpha=alpha, explain="none")


def streams(given: argparse.Namespace) -> dict[str, Any]:
    """Measure simulated streams: a row for each dependence, season and number of blocks."""
    config = preset(given.preset).with_overrides([f"series.window_sizes=[{_BLOCK - 16}, {_BLOCK}, {_BLOCK + 16}]"])
    rows = []
    for num_blocks in given.blocks:
        for season in (True, False):
            for phi in _PHIS:
                found = [_stream(config, num_blocks, phi, season, draw) for draw in range(given.draws)]
                rows.append(_summed(found) | {"blocks": num_blocks, "phi": phi, "season": season})
                print(json.dumps(rows[-1]), flush=True)
    totals = [_total([row for row in rows if row["blocks"] == num]) | {"blocks": num} for num in given.blocks]
    return {"block": _BLOCK, "new_blocks": _NEW_BLOCKS, "draws": given.draws, "totals": totals, "rows": rows}


def _stream(config: DetectorConfig, num_blocks: int, phi: float, season: bool, draw: int) -> dict[str, Any]:
    cut, num_new = num_blocks * _BLOCK, _NEW_BLOCKS * _BLOCK
    values = healthy_stream(cut + num_new, phi, draw, season=season)
    detector, found = Detector(config).fit(values[:cut]), {}
    assert detector.calibration is not None
    for alpha in _ALPHAS:
        used = max(alpha, detector.calibration.smallest_alpha)
        result = detector.score(values[cut:], alpha=used, explain="none")
        found[f"{alpha:g}"] = {
            "events": len(result.events),
            "flagged": int((result.labels == 1).sum()),
            "drifts": len(result.drift),
        }
    return found


def _summed(found: list[dict[str, Any]]) -> dict[str, Any]:
    new = len(found) * _NEW_BLOCKS
    return {
        alpha: {
            "events_per_block": share_with_bounds(min(new, sum(own[alpha]["events"] for own in found)), new),
            "flagged": sum(own[alpha]["flagged"] for own in found) / (new * _BLOCK),
            "drifts": sum(own[alpha]["drifts"] for own in found),
        }
        for alpha in found[0]
    }


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    told = {}
    for alpha in map("{:g}".format, _ALPHAS):
        num, of = (sum(row[alpha]["events_per_block"][name] for row in rows) for name in ("num", "of"))
        flagged = float(np.mean([row[alpha]["flagged"] for row in rows]))
        told[alpha] = {"events_per_block": share_with_bounds(num, of), "flagged": flagged}
    return told


def drift(given: argparse.Namespace) -> dict[str, Any]:
    """Measure the drift alarm on independent normal scores."""
    alarms, delays = {}, {}
    for num in (20, 50, 100, 1000):
        rng = np.random.default_rng([num, 1])
        runs = [find_drift(rng.normal(size=_RUN), rng.normal(size=num)) for _ in range(_RUNS)]
        alarms[num] = share_with_bounds(sum(own is not None for own in runs), _RUNS)
        delays[num] = {before: shift_course(num, before) for before in (0, 200, 2000)}
        print(num, alarms[num], delays[num], flush=True)
    return {"runs": _RUNS, "points": _RUN, "false_alarms": alarms, "shift_found": delays}


def shift_course(num: int, before: int, runs: int = 50) -> dict[str, float]:
    """Return how many of `runs` shifts of one deviation, after `before` healthy scores, are found within 200 points."""
    rng = np.random.default_rng([num, before])
    found = 0
    for _ in range(runs):
        scores = np.append(rng.normal(size=before), 1.0 + rng.normal(size=_SHIFTED))
        found += find_drift(scores, rng.normal(size=num)) is not None
    return share_with_bounds(found, runs)


def continuations(given: argparse.Namespace) -> dict[str, Any]:
    """Score ten healthy continuations at default settings."""
    files = []
    for draw in range(10):
        values = healthy_stream(3000, 0.6, 100 + draw)
        result = Detector(preset(given.preset)).fit(values[:2000]).score(values[2000:], explain="none")
        files.append({"events": len(result.events), "drifts": len(result.drift), "flagged": _flagged(result)})
        print(files[-1], flush=True)
    told = {name: sum(own[name] > 0 for own in files) for name in ("events", "drifts")}
    return {"files_with_events": told["events"], "files_with_drift": told["drifts"], "files": files}


def msl(given: argparse.Namespace) -> dict[str, Any]:
    """Measure MSL's training parts."""
    channels = {}
    for task in load_tasks(given.data, ["msl/semi"]):
        assert isinstance(task, Task)
        assert task.train is not None
        if len(task.train) >= _LEAST_POINTS:
            channels[task.item] = _told(measure(task.train, preset(given.preset), given.alpha))
            print(task.item, channels[task.item], flush=True)
    return {"alpha": given.alpha, **_rates(channels)}


def normals(given: argparse.Namespace) -> dict[str, Any]:
    """Measure what NAB and UCR hold of normal data."""
    config, files, sets = preset(given.preset), {}, {}
    for name, values in normal_stretches(given.data, _MOST_FILES):
        files[name] = _told(measure(values, config, given.alpha))
        print(name, files[name], flush=True)
    names = ucr_names(given.data)
    for name in [names[place] for place in np.unique(np.linspace(0, len(names) - 1, _MOST_SETS).round().astype(int))]:
        panel = load_ucr(given.data, name).without_copies()
        test = panel.test[panel.gt_label == 0][:200]
        if min(len(panel.train_normal), len(test)) >= 20:
            labels = Detector(config, read_options={"kind": "panel"}).fit(panel.train_normal).predict(test)
            sets[name] = share_with_bounds(int((np.asarray(labels) == 1).sum()), len(test))
            print(name, sets[name], flush=True)
    num, of = (sum(int(own[key]) for own in sets.values()) for key in ("num", "of"))
    total = share_with_bounds(num, of) if of else None
    return {"alpha": given.alpha, "nab": _rates(files), "ucr": {"total": total, "sets": sets}}


def _flagged(result: DetectionResult) -> float:
    return float(np.mean(result.labels == 1))


def _told(result: DetectionResult) -> dict[str, Any]:
    drifts = [{"since": own.since, "moved": own.moved, "share": own.share} for own in result.drift]
    return {"flagged": _flagged(result), "events": len(result.events), "drift": drifts}


def _rates(channels: dict[str, Any]) -> dict[str, Any]:
    rates = [own["flagged"] for own in channels.values()]
    steady = [own["flagged"] for own in channels.values() if not own["drift"]]
    means = {"mean": float(np.mean(rates)), "median": float(np.median(rates))}
    return {**means, "mean_without_drift": float(np.mean(steady)) if steady else None, "channels": channels}


_PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "streams": streams,
    "drift": drift,
    "continuations": continuations,
    "msl": msl,
    "normals": normals,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(_PARTS), nargs="?", default="msl")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--blocks", type=int, nargs="+", default=list(_NUM_BLOCKS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    if given.part in ("msl", "normals") and given.data is None:
        parser.error(f"{given.part} needs --data DIR")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # alphas that few blocks do not support are what is measured
        told = {"part": given.part, "preset": given.preset, **_PARTS[given.part](given)}
    given.out.mkdir(parents=True, exist_ok=True)
    name = "false_alarms.json" if given.part == "msl" else f"false_alarms_{given.part}.json"
    (given.out / name).write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
