"""The shard plan: which items are in which shard. It is decided first, kept beside the results, and never changes.

    OUT/shards/plan.json             the plan
    OUT/shards/part-0000000.parquet  a shard: the rows of its items, in the order of the input

Items are numbered from 0 in the order of the input; a shard is a run of them. A shard's file says of which plan it is,
by the plan's digest, and which items it holds: what is missing is found by looking, and a run that was killed goes on
from there. Plans of other data, another model or another question have another digest; their shards are never mixed.
Read `listing.py` next.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oddwave.errors import CheckpointError, ConfigError
from oddwave.files import (
    OWN_FOLDER,
    SHARDS_FOLDER,
    SHARDS_FORMAT,
    SHARDS_PLAN,
    cannot,
    flush_folder,
    read_json,
    temporary_name,
    write_json_atomic,
)

__all__ = ["ShardPlan", "check_same", "cut", "kept_plan", "missing", "shards_folder", "write_plan"]

_VERSION = 1
_MOST_BYTES = 2**30
_WORDS = {  # what a run is of -> how a difference in it is told
    "model": "another model",
    "input": "other data",
    "asked": "another alpha or threshold",
    "reading": "data read in another way",
    "history": "another history",
    "oddwave_version": "another version of oddwave",
}


@dataclass(frozen=True)
class ShardPlan:
    """The shards of a run, each as its first item's number and how many there are; `identity` says what it is a run of.

    `identity` is plain JSON: under "model", "input", "asked", "reading", "oddwave_version" and, where rows
    came before the series, "history".
    """

    identity: Mapping[str, Any]
    shard_size: int
    shards: tuple[tuple[int, int], ...]

    @property
    def num_items(self) -> int:
        """How many items the input holds."""
        return sum(count for _, count in self.shards)

    @cached_property
    def digest(self) -> str:
        """A hash over all of it: shards of the same digest go together."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()

    def file_name(self, number: int) -> str:
        """Return the name of a shard's file; names sort in the order of the input."""
        return f"part-{number:07d}.parquet"

    def _content(self) -> dict[str, Any]:
        return {"run": dict(self.identity), "shard_size": self.shard_size, "shards": [list(own) for own in self.shards]}


def cut(pieces: Sequence[int], shard_size: int) -> tuple[tuple[int, int], ...]:
    """Cut pieces of so many items each into shards of at most `shard_size`; no shard reaches over two pieces.

    The shards of a piece differ by one item at most. Raises: ConfigError for a size that is none.
    """
    if isinstance(shard_size, bool) or not isinstance(shard_size, int) or shard_size < 1:
        raise ConfigError(f"the shard size is {shard_size!r}: give a whole number of items, 1 or more")
    shards, first = [], 0
    for count in pieces:
        num = -(-count // shard_size)
        for i in range(num):
            own = count * (i + 1) // num - count * i // num
            shards.append((first, own))
            first += own
    return tuple(shards)


def missing(plan: ShardPlan, whole: Collection[int]) -> list[int]:
    """Return the numbers of the shards that are still to be scored, in order."""
    there = frozenset(whole)
    return [number for number in range(len(plan.shards)) if number not in there]


def shards_folder(out: Path) -> Path:
    """Return where the shards of a run are kept."""
    return out / SHARDS_FOLDER


def write_plan(plan: ShardPlan, out: Path) -> None:
    """Write the plan, whole or not at all. Raises: CheckpointError where it cannot be written."""
    about = {"format": SHARDS_FORMAT, "format_version": _VERSION, "digest": plan.digest, "items": plan.num_items}
    staged = out / OWN_FOLDER / temporary_name()  # a folder of shards is never there without its plan
    try:
        staged.mkdir(parents=True)
        write_json_atomic(staged / SHARDS_PLAN, {**about, **plan._content()})
        staged.rename(shards_folder(out))
        flush_folder(out)
    except OSError as error:
        cannot("write", shards_folder(out), error)


def kept_plan(out: Path) -> ShardPlan | None:
    """Return the plan that is kept in a results folder, or None. Raises: CheckpointError where it is damaged."""
    path = shards_folder(out) / SHARDS_PLAN
    if not path.exists():
        return None
    content = read_json(path, most=_MOST_BYTES)
    if content.get("format") != SHARDS_FORMAT or content.get("format_version") != _VERSION:
        raise CheckpointError(f"{path} is no shard plan that this oddwave reads: give another output folder")
    try:
        identity, size = dict(content["run"]), int(content["shard_size"])
        plan = ShardPlan(identity, size, tuple((int(first), int(count)) for first, count in content["shards"]))
        ends = [0, *(first + count for first, count in plan.shards)]
        whole = all(own[0] == end and own[1] > 0 for own, end in zip(plan.shards, ends, strict=False))
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole or plan.digest != content.get("digest"):
        raise CheckpointError(f"{path} is damaged: give another output folder, or remove {path.parent} to start anew")
    return plan


def check_same(kept: ShardPlan, identity: Mapping[str, Any], shard_size: int | None, out: Path) -> None:
    """Refuse to go on with the shards of another run. Raises: CheckpointError that says what differs."""
    plain = json.loads(json.dumps(dict(identity)))
    names = dict.fromkeys([*plain, *kept.identity])
    differ = [_WORDS.get(name, name) for name in names if plain.get(name) != kept.identity.get(name)]
    if not differ and shard_size not in (None, kept.shard_size):
        differ = [f"shards of {kept.shard_size:,} items"]
    if differ:
        raise CheckpointError(
            f"{out} holds results of {' and '.join(differ)}: nothing of them is replaced; give another output folder, "
            f"or remove {shards_folder(out)}"
        )
