"""What `oddwave info` says of a model of series, from what is saved of it."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["facts"]


def facts(meta: Mapping[str, Any], constants: Mapping[str, Any]) -> dict[str, str]:
    """Describe in a few words what the model was trained on and how, from `meta.json` and `calibration.json`."""
    plan, fusion = constants["plan"], constants.get("fusion")
    if fusion:
        weights = f"reconstruction {fusion['reconstruction_weight']:.3g}, memory {fusion['memory_weight']:.3g}"
        how = {"method": "denoiser", "weights": weights}
    else:
        how = {"method": "retrieval", "remembered": f"{_listed(constants['num_remembered'])} windows"}
    return {
        "channels": ", ".join(meta["channel_names"]),
        "trained on": f"{meta['num_train_items']} item(s), {meta['num_train_points']:,} points",
        "windows": f"{_listed(plan['sizes'])} points" + (f", period {plan['period']}" if plan["period"] else ""),
        **how,
    }


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(f"{number:,}" for number in numbers)
