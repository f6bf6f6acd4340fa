"""The one rule from evidence to verdict: what is anomalous, in results, files, report and console alike.

Read `conformal.py` next: it applies the rule. `budget.py` makes one of what a person asked for.
"""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from oddwave.errors import ConfigError

__all__ = ["Rule", "valid_alpha"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Anomalous is what is as rare as `alpha` among normals or, where one was given, scores at least `threshold`.

    Beside a threshold, `alpha` is the rate at which normals reach it. `asked` says, in plain words, what was asked for
    where it was something else than this alpha.
    """

    alpha: float
    threshold: float | None = None
    asked: str = ""


def valid_alpha(alpha: object) -> float:
    """Return a false-alarm rate as a plain number.

    Raises:
        ConfigError: it is no number (a text, a truth value), or not within (0, 1).
    """
    value = alpha.item() if isinstance(alpha, np.ndarray) and alpha.size == 1 else alpha
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        given = f"{value!r:.60}"
        raise ConfigError(f"alpha is {given}: expected a number between 0 and 1, for example 0.01")
    try:
        rate = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        rate = np.inf
    if not 0.0 < rate < 1.0:
        raise ConfigError(f"alpha is {rate:g}: expected a false-alarm rate between 0 and 1, for example 0.01")
    return rate
