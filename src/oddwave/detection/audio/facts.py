"""What `oddwave info` says of a model of audio, from what is saved of it."""

from collections.abc import Mapping
from typing import Any

from oddwave.tensors.audio_settings import AudioMapSettings

__all__ = ["facts"]


def facts(meta: Mapping[str, Any], constants: Mapping[str, Any]) -> dict[str, str]:
    """Describe in a few words what the model was trained on and how, from `meta.json` and `calibration.json`."""
    audio_map, fusion = AudioMapSettings.from_dict(constants["audio_map"]), constants["fusion"]
    minutes = meta["train_duration_s"] / 60
    return {
        "trained on": f"{meta['num_train_recordings']} recordings, {minutes:.1f} minutes",
        "heard as": f"clips of {audio_map.clip_s:g} s at {audio_map.sample_rate} Hz, {audio_map.transform}",
        "terms": ", ".join(constants["terms"]),
        "weights": f"reconstruction {fusion['reconstruction_weight']:.3g}, memory {fusion['memory_weight']:.3g}, "
        f"whole clip {constants['clip_weight']:.3g}",
    }
