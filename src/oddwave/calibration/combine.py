"""Several p-values of one thing, combined into one: what each way assumes, and what each part contributed.

    cauchy     T = mean of tan((1/2 - p) pi),  p = 1/2 - arctan(T) / pi       small p: however they depend, nearly
    harmonic   a K / sum of 1/p,  a = e ln K, 2 of two                        however they depend, at a price
    fisher     -2 sum of ln p is chi-squared with 2 K degrees of freedom      independent ones only

Sources: Liu and Xie 2020, Cauchy combination test, J. Am. Stat. Assoc. 115; Vovk and Wang 2020, Combining p-values via
averaging, Biometrika 107 (the factor of the harmonic mean); Fisher 1932, by scipy. Legend: K p-values.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from oddwave.errors import ConfigError

__all__ = ["METHODS", "Method", "combined", "shares"]

Method = Literal["cauchy", "harmonic", "fisher"]
METHODS: tuple[Method, ...] = get_args(Method)

_SMALLEST = 1e-300
_LARGEST = 1.0 - 1e-12  # the Cauchy value of 1 is minus infinity


def combined(p_values: Sequence[float], method: Method = "cauchy") -> float:
    """Return one p-value for several; of one, itself.

    Raises: ConfigError for no p-value, one outside [0, 1] or no number, and an unknown method.
    """
    checked = _checked(p_values, method)
    if len(checked) == 1:
        return float(p_values[0])
    if method == "fisher":
        from scipy.stats import combine_pvalues

        return float(combine_pvalues(checked, "fisher").pvalue)
    if method == "harmonic":
        factor = 2.0 if len(checked) == 2 else math.e * math.log(len(checked))
        return float(min(1.0, factor * len(checked) / (1.0 / checked).sum()))
    total = float(_cauchy(_no_vetoes(checked)).mean())
    return min(1.0, math.atan2(1.0, total) / math.pi)  # 1/2 - arctan(T) / pi, exact where T is large


def shares(p_values: Sequence[float], method: Method = "cauchy") -> list[float]:
    """Return how much each p-value contributed to the combined one, 1 in all; alike where none says anything.

    Raises: as `combined`.
    """
    checked = _checked(p_values, method)
    weight = {"cauchy": lambda p: np.maximum(_cauchy(p), 0.0), "harmonic": lambda p: 1.0 / p, "fisher": _surprise}
    said: np.ndarray = weight[method](checked)
    total = float(said.sum())
    return (said / total if total > 0.0 else np.full(len(said), 1.0 / len(said))).tolist()


def _no_vetoes(p_values: np.ndarray) -> np.ndarray:
    """Bound p-values by 1 - 1/K where one of them is below that.

    A sense that sees nothing at all (a stream without any event has p = 1) would otherwise silence all others, its
    Cauchy value being minus infinity. Liu and others (2019, ACAT) put 1 - 1/K in the place of 1.
    """
    most = 1.0 - 1.0 / len(p_values)
    return np.asarray(np.minimum(p_values, most)) if p_values.min() < most else p_values


def _cauchy(p_values: np.ndarray) -> np.ndarray:
    """Return tan((1/2 - p) pi), which is 1 / tan(p pi): so it is exact for small p."""
    return np.asarray(1.0 / np.tan(np.pi * np.minimum(p_values, _LARGEST)))


def _surprise(p_values: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log(p_values))


def _checked(p_values: Sequence[float], method: str) -> np.ndarray:
    if method not in METHODS:
        raise ConfigError(f"the method of combining is {method!r:.40}: give one of {', '.join(METHODS)}")
    values = np.asarray(p_values, float)
    if values.ndim != 1 or not len(values) or not ((values >= 0.0) & (values <= 1.0)).all():
        raise ConfigError(f"the p-values are {values!s:.80}: give one or more numbers between 0 and 1")
    return np.asarray(np.maximum(values, _SMALLEST))
