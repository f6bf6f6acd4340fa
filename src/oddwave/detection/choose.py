"""The choices that every model makes on planted anomalies: which noise levels count, and how much each group does.

Read `scoring/selection.py` for the rules. Legend: K noise levels, N normal and M planted items.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from oddwave.config import ScoringConfig
from oddwave.scoring.fusion import Fusion
from oddwave.scoring.selection import near_best, select_weights, separation

__all__ = ["choose_fusion", "choose_noise_levels"]

Groups = Mapping[str, Float[np.ndarray, "_ *map"]]


def choose_noise_levels(
    levels: Sequence[float], normal: Float[np.ndarray, "N K"], planted: Float[np.ndarray, "M K"]
) -> tuple[list[int], dict[str, Any]]:
    """Return the positions of the levels that tell planted anomalies from normal items, and the evidence for them."""
    values = {f"{t:g}": separation(normal[:, k], planted[:, k]) for k, t in enumerate(levels)}
    close = near_best(values)
    kept = [k for k, t in enumerate(levels) if f"{t:g}" in close]
    return kept, {"chosen": [levels[k] for k in kept], "synthetic_auroc": values}


def choose_fusion(
    scoring: ScoringConfig,
    normal: Groups,
    planted: Groups,
    kinds: Sequence[str],
    *,
    num_memory_spaces: int,
    neutral_reconstruction_weight: float = 1.0,
    aggregate: Callable[[Float[np.ndarray, "N *map"]], Float[np.ndarray, " N"]] = np.asarray,
) -> tuple[Fusion, dict[str, Any]]:
    """Return the weights of the groups, as set or chosen, and the evidence for them; see `select_weights`."""
    chosen = select_weights(
        normal,
        planted,
        kinds,
        reconstruction_weight=None if scoring.reconstruction_weight == "auto" else scoring.reconstruction_weight,
        memory_weight=None if scoring.memory_weight == "auto" else scoring.memory_weight,
        num_memory_spaces=num_memory_spaces,
        neutral_reconstruction_weight=neutral_reconstruction_weight,
        aggregate=aggregate,
    )
    return Fusion(chosen.reconstruction_weight, chosen.memory_weight), chosen.to_dict()
