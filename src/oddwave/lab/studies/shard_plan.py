"""How large shards should be: a simulation of slow workers, workers that die, and what a shard costs by itself.

    python -m oddwave.lab.studies.shard_plan [--items 100000000] [--workers 100] [--item-s 0.02] [-o TABLE.md]

Workers take the next shard from one queue, as Ray Data hands them out. A shard costs `--shard-s` (being handed over,
opened, written and flushed) plus its items, whose costs are spread log-normally; of the workers a share is slow. A
worker that dies loses the shard it was at, which another one begins anew, and is back after `--restart-s` (a process,
the model). Reported for each shard size: the time against items spread evenly over all workers without any loss, the
share of computing that was lost by deaths, the time from the first idle worker to the end, and how many files there
are.
"""

import argparse
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Outcome", "Workers", "main", "simulated"]

SIZES = (64, 256, 512, 2_048, 8_192, 32_768, 131_072)
_SPREAD = 1.0  # deviation of the logarithm of an item's cost


@dataclass(frozen=True)
class Workers:
    """A fleet: its size, the share that is slow and by how much, hours between deaths of one, seconds to be back."""

    num: int
    slow_share: float = 0.0
    slow_by: float = 1.0
    hours_between_deaths: float = np.inf
    restart_s: float = 60.0

    def slowness(self) -> np.ndarray:
        """Return how many times as long each worker takes."""
        slow = np.arange(self.num) < round(self.slow_share * self.num)
        return np.where(slow, self.slow_by, 1.0)


@dataclass(frozen=True)
class Outcome:
    """What a run took: against the even spread, computing lost by deaths, seconds of the end, deaths, files."""

    relative: float
    lost: float
    tail_s: float
    deaths: int
    shards: int


def simulated(
    items: int, size: int, fleet: Workers, item_s: float, shard_s: float, rng: np.random.Generator
) -> Outcome:
    """Play one run, shard by shard, in the order in which workers become free."""
    num = -(-items // size)
    spread = np.sqrt(np.expm1(_SPREAD**2) / size)  # of the mean over a shard's items
    costs = item_s * size * np.maximum(0.05, 1 + spread * rng.normal(size=num))
    slowness, life_s = fleet.slowness(), 3600.0 * fleet.hours_between_deaths
    dies = rng.exponential(life_s, fleet.num) if np.isfinite(life_s) else np.full(fleet.num, np.inf)
    free = [(0.0, worker) for worker in range(fleet.num)]
    again: list[float] = []
    done, lost, spent, deaths, first_idle, end = 0, 0.0, 0.0, 0, np.inf, 0.0
    while done < num or again:
        now, worker = heapq.heappop(free)
        if again:
            cost = again.pop()
        else:
            cost, done = float(costs[done]), done + 1
        until = now + shard_s + cost * slowness[worker]
        if dies[worker] < until:  # amid the shard, or while it was idle before it
            gone = max(now, float(dies[worker]))
            lost, deaths = lost + gone - now, deaths + 1
            again.append(cost)
            heapq.heappush(free, (gone + fleet.restart_s, worker))
            dies[worker] = gone + fleet.restart_s + rng.exponential(life_s)
            continue
        spent += until - now
        end = max(end, until)
        if done < num or again:
            heapq.heappush(free, (until, worker))
        else:
            first_idle = min([first_idle, until, *(moment for moment, _ in free if moment >= now)])
    even = float(costs.sum()) / float((1 / slowness).sum())
    return Outcome(end / even, lost / (spent + lost), end - min(first_idle, end), deaths, num)


def table(items: int, num: int, item_s: float, shard_s: float, restart_s: float, seed: int) -> list[list[str]]:
    """Return a row per shard size: on a calm fleet, one with slow workers, and two on which workers die."""
    fleets = (
        Workers(num, restart_s=restart_s),
        Workers(num, 0.02, 5.0, restart_s=restart_s),
        Workers(num, 0.02, 5.0, 24.0, restart_s),
        Workers(num, 0.02, 5.0, 1.0, restart_s),
    )
    names = ("calm", "2 % slow by 5", "and a death a day", "and a death an hour")
    rows = [["items per shard", "files per billion", *(f"{name}: time (lost)" for name in names), "last minutes"]]
    for size in SIZES:
        played = [simulated(items, size, own, item_s, shard_s, np.random.default_rng([seed, size])) for own in fleets]
        cells = [f"{own.relative:.3f} ({100 * own.lost:.2f} %)" for own in played]
        rows.append([f"{size:,}", f"{-(-(10**9) // size):,}", *cells, f"{played[-1].tail_s / 60:.1f}"])
    return rows


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a table in Markdown."""
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, f"|{'---|' * len(rows[0])}", *rest, ""])


def main(arguments: list[str] | None = None) -> None:
    """Simulate, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000_000)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--item-s", type=float, default=0.02)
    parser.add_argument("--shard-s", type=float, default=0.1)
    parser.add_argument("--restart-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", type=Path)
    asked = parser.parse_args(arguments)
    text = as_text(table(asked.items, asked.workers, asked.item_s, asked.shard_s, asked.restart_s, asked.seed))
    print(text)
    if asked.o:
        asked.o.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
