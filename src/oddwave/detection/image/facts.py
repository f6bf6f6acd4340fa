"""What `oddwave info` says of a model of images, from what is saved of it."""

from collections.abc import Mapping
from typing import Any

__all__ = ["facts"]


def facts(meta: Mapping[str, Any], constants: Mapping[str, Any]) -> dict[str, str]:
    """Describe in a few words what the model was trained on and how, from `meta.json` and `calibration.json`."""
    frame, fusion = constants["frame"], constants.get("fusion")
    known = {
        "trained on": f"{meta['num_train_images']} images of {frame['channels']} channel(s)",
        "seen as": f"{frame['size_px']} x {frame['size_px']} px, {frame['fit']}",
    }
    if fusion is None:
        return known | {"method": "retrieval", "terms": "nearest remembered patches, Gaussian of each place"}
    return known | {
        "terms": ", ".join(constants["terms"]),
        "weights": f"reconstruction {fusion['reconstruction_weight']:.3g}, memory {fusion['memory_weight']:.3g}",
    }
