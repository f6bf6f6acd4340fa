"""What a person asks for, and the rule that follows: a rate, "1 per week", a threshold, the ten strongest findings.

One verdict covers a block of a stream, an instance, an image or a recording; `Verdict` says how long that is. A budget
of false alarms is a count over a number of these: a stream of 5-minute points with blocks of 12 has 168 verdicts a
week, so "1 per week" is alpha = 1 / 168. Read `rule.py` for what a rule says.
"""

import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

from oddwave.calibration.conformal import Calibration
from oddwave.calibration.rule import Rule, valid_alpha
from oddwave.errors import ConfigError

__all__ = ["Asked", "Budget", "Verdict", "asked_for", "settled"]

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0, "month": 2629746.0,
            "year": 31556952.0}  # fmt: skip
_ADVERBS = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}
_POINTS = ("point", "row", "sample", "value", "reading")
_WORDS = {
    "a": 1.0,
    "an": 1.0,
    "one": 1.0,
    "once": 1.0,
    "two": 2.0,
    "twice": 2.0,
    "three": 3.0,
    "five": 5.0,
    "ten": 10.0,
}
_BUDGET = re.compile(
    r"(?P<count>\S+?)(?: times)? ?(?:\bper\b|\bin\b|\bevery\b|\ban?\b|/) ?(?P<per>[\d.,_]*|an?) ?(?P<unit>[a-z]+)"
)
_EXAMPLES = "'1 per week', '2 per 1000 images' or '1 per 10000 points'"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one verdict covers: an item of this name, or so many points of a stream; its seconds where known."""

    noun: str
    points: int = 1
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """So many false alarms per so many seconds, points or items, as they were asked for."""

    count: float
    per: float
    unit: str
    text: str

    @classmethod
    def parse(cls, text: object) -> "Budget":
        """Read "1 per week", "2 per 1000 images", "once a day", "weekly". Raises: ConfigError."""
        given = " ".join(text.lower().split()) if isinstance(text, str) else ""
        if given in _ADVERBS:
            given = f"1 per {_ADVERBS[given]}"
        found = _BUDGET.fullmatch(given)
        count = _number(found["count"]) if found else math.nan
        per = _number(found["per"] or "1") if found else math.nan
        if found is None or not 0.0 < count < math.inf or not 0.0 < per < math.inf:
            raise ConfigError(f"false_alarms is {text!r:.60}: expected a count and what it is per, such as {_EXAMPLES}")
        unit = found["unit"]
        return cls(count, per, unit if unit in _SECONDS else unit.removesuffix("s"), given)

    def alpha(self, verdict: Verdict) -> float:
        """Return the rate of false alarms per verdict. Raises: ConfigError for a unit that verdicts do not have."""
        if self.unit in _SECONDS:
            if verdict.seconds is None:
                raise ConfigError(
                    f"false alarms '{self.text}' need to know when things were measured, and the {verdict.noun}s have "
                    f"no times: say how many of them instead, '1 per 1000 {verdict.noun}s'"
                )
            return self.count * verdict.seconds / (self.per * _SECONDS[self.unit])
        if verdict.points > 1 and self.unit in (*_POINTS, verdict.noun):
            return self.count * verdict.points / self.per
        if verdict.points == 1 and self.unit in (verdict.noun, "item"):
            return self.count / self.per
        raise ConfigError(
            f"false alarms '{self.text}' count {self.unit}s, and what is judged here are {verdict.noun}s: say "
            f"'1 per 1000 {verdict.noun}s'" + (" or '1 per week'" if verdict.seconds else "")
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """At most one of: a false-alarm rate, a threshold, how many of the strongest findings to flag, a budget.

    Raises: ConfigError where more than one is given, or one is out of its range.
    """

    alpha: float | None = None
    threshold: float | None = None
    flag: int | None = None
    false_alarms: str | Budget | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be met before any work is done."""
        given = [name for name in ("alpha", "threshold", "flag", "false_alarms") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} are given, each of which decides what is anomalous: give one")
        if self.alpha is not None:
            object.__setattr__(self, "alpha", valid_alpha(self.alpha))
        if self.threshold is not None and not (_is_number(self.threshold) and math.isfinite(self.threshold)):
            raise ConfigError(f"threshold is {self.threshold!r:.60}: expected a score, a number such as 3.5")
        if self.flag is not None and (
            isinstance(self.flag, bool) or not isinstance(self.flag, Integral) or self.flag < 1
        ):
            raise ConfigError(
                f"flag is {self.flag!r:.60}: expected how many findings to flag, a whole number such as 10"
            )
        if self.false_alarms is not None and not isinstance(self.false_alarms, Budget):
            object.__setattr__(self, "false_alarms", Budget.parse(self.false_alarms))


def asked_for(alpha: Any) -> Asked:
    """Return what was asked for, given as such or as a plain rate. Raises: ConfigError, as `Asked`."""
    return alpha if isinstance(alpha, Asked) else Asked(alpha)


def settled(
    asked: Asked, calibration: Calibration, default: float, verdict: Verdict, peaks: Iterable[float] = ()
) -> Rule:
    """Return the rule that was asked for; a rate that items cannot support is lifted, and the rule says so.

    `peaks` are the scores of everything that could be found, of which the strongest may be asked for.

    Raises:
        ConfigError: a rate was given that lies below 1 / (n + 1), or a budget in units that these verdicts do not have,
            or of more than one false alarm per verdict.
    """
    if asked.flag is not None:
        strongest = sorted(peaks, reverse=True)[: asked.flag]
        last = strongest[-1] if strongest else math.inf
        return Rule(calibration.event_p_value(last), last, f"the {asked.flag} strongest findings were asked for")
    if asked.threshold is not None:
        given = float(asked.threshold)
        return Rule(calibration.event_p_value(given), given, f"a threshold of {given:g} was given")
    lowest = calibration.smallest_alpha
    if asked.alpha is not None:
        if asked.alpha < lowest:
            needed = math.ceil(1 / asked.alpha) - 1
            raise ConfigError(
                f"alpha {asked.alpha:g} needs at least {needed:.12g} calibration scores, this model has "
                f"{len(calibration.scores)}: use alpha >= {lowest:.3g} or fit on more normal data"
            )
        return Rule(asked.alpha)
    if isinstance(asked.false_alarms, Budget):
        return _of_budget(asked.false_alarms, calibration, verdict)
    if default >= lowest:
        return Rule(default)
    told = (
        f"alpha raised from {default:g} to {lowest:.3g}: {len(calibration.scores)} calibration scores support no less"
    )
    warnings.warn(told, stacklevel=2)
    return Rule(lowest, asked=told)


def _of_budget(budget: Budget, calibration: Calibration, verdict: Verdict) -> Rule:
    rate = budget.alpha(verdict)
    if rate >= 1.0:
        raise ConfigError(
            f"false alarms '{budget.text}' are {rate:.3g} per {verdict.noun if verdict.points == 1 else 'block'}, more "
            "than there are verdicts: ask for fewer"
        )
    rule = Rule(rate, asked=f"{budget.text} was asked for, which is alpha {rate:.3g}")
    if verdict.points > 1 or rate >= calibration.smallest_alpha:
        return rule
    lowest, size = calibration.smallest_alpha, len(calibration.scores)
    return replace(
        rule, alpha=lowest, asked=f"{rule.asked}; {size} calibration scores support no less than {lowest:.3g}"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(text: str) -> float:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return float(text.replace(",", "").replace("_", ""))
    except ValueError:
        return math.nan
