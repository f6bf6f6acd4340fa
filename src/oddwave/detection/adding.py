"""Adding healthy data to a fitted model: which of them are taken, which are held back, and what calibrates afterwards.

Nothing is trained. The memories grow by the new parts, and a share of them is held back and joins the calibration:

    scores that are there    stay. They were taken under the smaller memory, and a memory that grows only lowers
                             distances: what they were taken of would score lower now, so they err on the safe side
    scores of the new parts  are taken under the memory as it is afterwards, which does not hold them

What is learnt as weights or sums (the denoisers, Gaussians of places, scales) stays as it was, so a new kind may keep
some of its high scores; they calibrate, and raise the threshold for all. Where it rises much, fit again on all data.
Left out is what scores as anomalous under the model as it was, unless it is allowed. That takes the highest scores from
those that join: with m new scores beside n, a nominal alpha means at most alpha (1 + m / (n + m)) of false alarms.

Legend: N scores of one item. Read `base.py` next: `ModalityDetector.add`.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from oddwave.calibration.conformal import Calibration, block_maxima
from oddwave.detection.scored import Scored, Unjudged
from oddwave.errors import DataError
from oddwave.version import __version__

__all__ = [
    "Added",
    "Extension",
    "SortedOut",
    "Taken",
    "added_record",
    "fingerprints",
    "held_back",
    "joined",
    "sorted_out",
]

_MOST_NAMED = 5


@dataclass(frozen=True)
class Added:
    """What came of `add`: how many items, how many of their parts are remembered and calibrate, what was left out.

    Parts are points of streams, instances, images and clips. `left_out` gives the reason for each item, by its id; of
    streams and recordings it may be a part only.
    """

    num_items: int
    num_remembered: int
    num_calibration: int
    left_out: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Taken:
    """An item to be added, and which of its scores are of parts that may be learnt from."""

    scored: Scored
    kept: Bool[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class Extension:
    """What a modality did with new data: scores of what it held back, stream by stream, and facts for `meta.json`."""

    scores: Sequence[Float[np.ndarray, " _"]]
    num_remembered: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class SortedOut:
    """What is taken, what is left out and why, by id, and the ids of what scores as anomalous."""

    taken: list[Taken]
    left_out: dict[str, str]
    odd: list[str]

    def tell(self, noun: str, alpha: float, *, allowed: bool) -> None:
        """Warn of what scores as anomalous. Raises: DataError where nothing is left that can be added."""
        if self.odd:
            warnings.warn(self._warning(noun, alpha, allowed=allowed), stacklevel=4)
        if not self.taken:
            name, reason = next(iter(self.left_out.items()))
            raise DataError(f"none of the {noun} can be added, the first: '{name}': {reason}")

    def _warning(self, noun: str, alpha: float, *, allowed: bool) -> str:
        """Return, in one line, what scores as anomalous and what becomes of it."""
        named = ", ".join(f"'{name}'" for name in self.odd[:_MOST_NAMED])
        more = len(self.odd) - _MOST_NAMED
        named += f" and {more} more" if more > 0 else ""
        fate = (
            "they are added as you allow it"
            if allowed
            else "what does is left out; where it is healthy, add it with allow_flagged (--allow-flagged)"
        )
        return f"{len(self.odd)} of the {noun} score as anomalous at alpha {alpha:.3g} ({named}): {fate}"


def sorted_out(
    judged: Iterable[Scored | Unjudged],
    flags: Callable[[Scored], Bool[np.ndarray, " N"]],
    is_known: Callable[[Any], bool],
    *,
    allow_flagged: bool,
) -> SortedOut:
    """Decide item by item what may be learnt from; `flags` says which parts are anomalous, `is_known` what is learnt.

    What is there already is left out: its scores are flattered, and must not calibrate.
    """
    found = SortedOut([], {}, [])
    for own in judged:
        if isinstance(own, Unjudged) or own.fault:
            name, reason = (own.id, own.reason) if isinstance(own, Unjudged) else (own.item.id, own.fault)
            found.left_out[name] = reason
            continue
        if is_known(own.item):
            found.left_out[own.item.id] = "was learnt from before"
            continue
        seen, flagged = np.isfinite(own.scores), flags(own)
        if flagged.any():
            found.odd.append(own.item.id)
        kept = seen if allow_flagged else seen & ~flagged
        if kept.any():
            found.taken.append(Taken(own, kept))
        if not allow_flagged and flagged.any():
            share = "scores" if not kept.any() else f"{flagged.sum()} of its {seen.sum()} scores are"
            found.left_out[own.item.id] = f"{share} anomalous"
    return found


def held_back(num: int, share: float, rng: np.random.Generator) -> Bool[np.ndarray, " num"]:
    """Choose at random which of `num` items calibrate: a share of them, one at least, but of a single one none."""
    chosen = np.zeros(num, bool)
    if num > 1:
        chosen[rng.permutation(num)[: max(1, round(share * num))]] = True
    return chosen


def joined(calibration: Calibration, more: Sequence[Float[np.ndarray, " _"]], num_before: int) -> Calibration:
    """Return a calibration with these scores beside those that it has; `num_before` of those were added earlier."""
    streams = [own[np.isfinite(own)] for own in more]
    streams = [own for own in streams if len(own)]
    if not streams:
        return calibration
    total = num_before + sum(map(len, streams))
    return Calibration(
        np.concatenate([calibration.scores, *streams]),
        np.concatenate([calibration.blocks, *(block_maxima(own, calibration.block_size) for own in streams)]),
        calibration.block_size,
        f"{calibration.source.partition('; of data added')[0]}; of data added since {total}",
    )


def added_record(fingerprint: str, added: Added) -> dict[str, Any]:
    """Return what `meta.json` says of one addition."""
    return {
        "package_version": __version__,
        "data_fingerprint": fingerprint,
        "num_items": added.num_items,
        "num_remembered": added.num_remembered,
        "num_calibration": added.num_calibration,
        "num_left_out": len(added.left_out),
    }


def fingerprints(meta: Mapping[str, Any]) -> set[str]:
    """Return those of all data that a model was fitted on or extended by."""
    return {own["data_fingerprint"] for own in meta.get("added", ())} | {meta.get("data_fingerprint", "")}
