"""Where the tables of an exported file lie. Read one of the modules beside this one next."""

from dataclasses import dataclass

__all__ = ["Block", "Layout"]


@dataclass(frozen=True)
class Block:
    """One table in a file: the lines from `start` to before `stop`; the first is its header, unless `names` has one."""

    start: int
    stop: int
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Layout:
    """What a file is known to hold: its tables, their delimiter, columns without meaning, and columns that are labels.

    `drop` names columns that only serve the tool. `labels` names those that tell the tables' series apart; None: the
    general rules find them.
    """

    blocks: tuple[Block, ...]
    delimiter: str | None = None
    drop: frozenset[str] = frozenset()
    labels: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
