"""One verdict on a thing that several models looked at: its picture, its sound, its readings.

    fused = fuse({"camera": images, "microphone": recordings, "sensors": series}, alpha=0.01)

Results are matched by the names of their items without folder and ending (`pump_7.png`, `pump_7.wav`, `pump_7.csv`).
A sense that did not judge a thing is left out of its verdict and named; it weighs nothing, for or against. Read
`calibration/combine.py` for how p-values are combined, and what each way assumes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from oddwave.calibration.combine import Method, combined, shares
from oddwave.calibration.rule import valid_alpha
from oddwave.errors import DataError
from oddwave.results import DetectionResult

__all__ = ["Fused", "fuse", "fused_verdict"]


@dataclass(frozen=True)
class Fused:
    """What all senses together say of one thing; `shares` and `p_values` are of those that judged it.

    `missing` are the senses that did not, each with the reason. `p_value` is NaN, and `label` -1, where none did.
    """

    id: str
    p_value: float
    label: int
    p_values: Mapping[str, float]
    shares: Mapping[str, float]
    missing: Mapping[str, str]

    @property
    def strongest(self) -> str | None:
        """The sense that contributed most; None where none judged it."""
        return max(self.shares, key=lambda name: self.shares[name], default=None)


def fuse(
    results: Mapping[str, DetectionResult] | Sequence[DetectionResult],
    *,
    method: Method = "cauchy",
    alpha: float = 0.01,
    name_of: Callable[[str], str] | None = None,
) -> tuple[Fused, ...]:
    """Combine the results of several models of the same things; return one verdict for each, in order of appearance.

    `name_of` says which thing an item's id is of: by default its name without folder and ending.

    Raises:
        DataError: less than two results are given, or an item stands for the same thing as another of its sense.
        ConfigError: there is no such method, or `alpha` is none.
    """
    named = dict(results) if isinstance(results, Mapping) else _named(results)
    if len(named) < 2:
        raise DataError(f"{len(named)} results are given to fuse: give two or more, of different senses")
    rate, thing = valid_alpha(alpha), name_of or (lambda item: PurePath(item).stem)
    judged: dict[str, dict[str, float]] = {}
    reasons: dict[str, dict[str, str]] = {}
    for sense, result in named.items():
        for item in result.items:
            name = thing(item.id)
            if sense in judged.setdefault(name, {}) or sense in reasons.setdefault(name, {}):
                raise DataError(f"'{sense}' has more than one item for '{name}', the second is '{item.id}': say by "
                                "name_of which thing each is of")  # fmt: skip
            p_value = result.whole_p_value(item)
            if np.isfinite(p_value):
                judged[name][sense] = p_value
            else:
                reasons[name][sense] = item.reason or "not judged"
    return tuple(
        fused_verdict(name, own, reasons.get(name, {}), list(named), method, rate) for name, own in judged.items()
    )


def fused_verdict(
    name: str,
    p_values: Mapping[str, float],
    reasons: Mapping[str, str],
    senses: Sequence[str],
    method: Method,
    alpha: float,
) -> Fused:
    """Return the verdict on one thing: the p-values of the senses that judged it, the reasons of those that did not.

    Raises: ConfigError for what is no p-value, and an unknown method.
    """
    missing = {sense: reasons.get(sense, "has no item of this name") for sense in senses if sense not in p_values}
    if not p_values:
        return Fused(name, float("nan"), -1, {}, {}, missing)
    own = list(p_values.values())
    p_value = combined(own, method)
    parts: Any = dict(zip(p_values, shares(own, method), strict=True))
    return Fused(name, p_value, int(p_value <= alpha), dict(p_values), parts, missing)


def _named(results: Sequence[DetectionResult]) -> dict[str, DetectionResult]:
    """Name results by their modality, the second of one with its number."""
    named: dict[str, DetectionResult] = {}
    for result in results:
        count = sum(own.modality == result.modality for own in named.values())
        named[result.modality if not count else f"{result.modality} {count + 1}"] = result
    return named
