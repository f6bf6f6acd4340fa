"""Where the time goes: fit and score of each modality on generated data, by the function of oddwave it is spent in.

    python -m oddwave.lab.studies.profile [--modalities series,image,audio] [--preset balanced] [--top 10] [-o OUT.md]

One thread, CPU time. What a function of oddwave spends in numpy, torch and Python's own modules counts as its own, not
what it spends in other functions of oddwave; what several functions call is shared out by their calls. Series: 4,000
points of two channels, scored 60 at a time, as a service does; images: pictures of a gear of 256 px; audio: clips of a
machine of 10 s at 16 kHz. Under the profiler calls cost more: the shares are of what it saw, the seconds above them are
measured without it.
"""

import argparse
import cProfile
import pstats
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oddwave.config import preset
from oddwave.demo.gear_image import draw_part
from oddwave.detector import Detector
from oddwave.planted.normal_streams import normal_stream

__all__ = ["Work", "main", "own_time", "profiled", "work"]

_NUM = {"series": 4_000, "image": 40, "audio": 24}
_REPEATS, _DEPTH = 5, 12
_PACKAGE = "/oddwave/"
Function = tuple[str, int, str]


@dataclass(frozen=True)
class Work:
    """What to learn from, what to score at once, and how many of it that is."""

    train: Any
    query: Any
    what: str


def work(modality: str, num: int | None = None) -> Work:
    """Generate data, the same each time. Raises: ValueError for an unknown modality."""
    rng, num = np.random.default_rng(0), num or _NUM.get(modality, 0)
    if modality == "series":
        values = normal_stream(rng, num, 2)
        return Work(values, values[:60], f"fit {num:,} points of 2 channels; score 60 of them")
    if modality == "image":
        images = [np.asarray(draw_part(rng).image) for _ in range(num)]
        return Work(images, images[:1], f"fit {num} pictures of 256 px; score one")
    if modality == "audio":
        hum = np.sin(2 * np.pi * 120 * np.arange(160_000) / 16_000)
        clips = [((0.2 * hum + 0.05 * rng.normal(size=len(hum))).astype(np.float32), 16_000) for _ in range(num)]
        return Work(clips, clips[:1], f"fit {num} clips of 10 s at 16 kHz; score one")
    raise ValueError(f"modality is {modality!r}: choose {', '.join(_NUM)}")


def own_time(stats: pstats.Stats) -> dict[str, float]:
    """Return the time spent in each function of oddwave and in what is not oddwave's below it."""
    table: dict[Function, Any] = stats.stats  # type: ignore[attr-defined]
    found: dict[str, float] = defaultdict(float)

    def hand_up(function: Function, seconds: float, depth: int) -> None:
        callers = table[function][4]
        if _PACKAGE in function[0]:
            found[f"{function[0].rpartition(_PACKAGE)[2].removesuffix('.py')}: {function[2]}"] += seconds
        elif not callers or depth > _DEPTH:
            found["elsewhere"] += seconds
        else:
            shares = {caller: max(counts[2], 1e-12) for caller, counts in callers.items()}
            for caller, share in shares.items():
                hand_up(caller, seconds * share / sum(shares.values()), depth + 1)

    for function, (_, _, seconds, _, _) in table.items():
        if seconds > 0:
            hand_up(function, seconds, 0)
    return found


def profiled(task: Callable[[], object], repeats: int = 1) -> tuple[float, dict[str, float]]:
    """Return the median CPU seconds of a task, and the shares of its time by function."""
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        task()
        spent.append(time.process_time() - started)
    profile = cProfile.Profile(time.process_time)
    profile.runcall(task)
    found = own_time(pstats.Stats(profile))
    whole = sum(found.values()) or 1.0
    return float(np.median(spent)), {name: seconds / whole for name, seconds in found.items()}


def table_of(title: str, seconds: float, shares: dict[str, float], top: int) -> str:
    """Return one task as a table."""
    lines = [f"**{title}: {seconds:.3g} CPU s**", "", "| share | where |", "|---:|---|"]
    most = sorted(shares.items(), key=lambda own: -own[1])[:top]
    lines += [f"| {100 * share:.1f} % | `{name}` |" for name, share in most]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and write them where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modalities", default=",".join(_NUM))
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--num", type=int, help="points, pictures or clips to learn from")
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    tables = []
    for modality in given.modalities.split(","):
        data, detector = work(modality, given.num), Detector(preset(given.preset, modality))
        tables.append(f"### {modality}: {data.what}")
        tables.append(table_of("fit", *profiled(partial(detector.fit, data.train)), given.top))
        detector.score(data.query, explain="none")
        scored = profiled(partial(detector.score, data.query, explain="none"), _REPEATS)
        tables.append(table_of("score", *scored, given.top))
        print("\n\n".join(tables[-3:]), end="\n\n", flush=True)
    if given.output is not None:
        given.output.write_text("\n\n".join(tables) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
