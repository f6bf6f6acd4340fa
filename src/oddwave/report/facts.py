"""What is known of a model, and other settings and numbers, as pairs of plain text for the page.

Read `wording.py` next: how single numbers become words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oddwave.report import wording
from oddwave.results import DetectionResult

__all__ = ["BandBar", "Choice", "choices", "model_facts", "pairs"]

MODEL_LABELS = {
    "train_source": "Learned normal from",
    "num_train_points": "Points trained on",
    "preset": "Preset",
    "representation": "Representation",
    "window_sizes": "Window lengths",
    "reconstruction_weight": "Weight of the reconstruction error",
    "memory_weight": "Weight of the memory distance",
    "fit_s": "Time to fit",
    "seed": "Seed",
    "package_version": "oddwave version",
}
PICTURE_LABELS = {
    "train_source": "Learned normal from",
    "num_train_items": "Pictures trained on",
    "num_train_pictures": "Pictures trained on",
    "num_calibration_pictures": "Pictures held back for the threshold",
    "preset": "Preset",
    "space": "Where the diffusion runs",
    "perceptual": "Frozen network",
    "taps": "Layers of the frozen network",
    "picture_size": "Pictures are seen at",
    "grid": "Feature grid",
    "fit_mode": "Other shapes are",
    "tiles": "Tiles of large pictures",
    "num_channels": "Channels",
    "noise_levels": "Noise levels",
    "reconstruction_weight": "Weight of the reconstruction error",
    "memory_weight": "Weight of the memory distance",
    "memory_spaces": "Memory of",
    "memory_size": "Entries in the memory",
    "aggregate": "Score of a picture",
    "top_percent": "Share of the map that makes the score",
    "fit_s": "Time to fit",
    "seed": "Seed",
    "package_version": "oddwave version",
}
_SIZES = ("picture_size", "grid")
_LISTED_ELSEWHERE = ("selection", "warnings")
_CHOSEN = ("chosen", "choice", "value")
_WHY = ("why", "reason", "because")


@dataclass(frozen=True, slots=True)
class BandBar:
    """One wavelet band of an event or a picture, as words and as a share in [0, 1]."""

    label: str
    percent: str
    share: float
    strongest: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting that was chosen automatically: what it became, why, and the evidence as pairs of text."""

    name: str
    chosen: str
    why: str
    evidence: tuple[tuple[str, str], ...]


def pairs(value: Any) -> list[tuple[str, str]]:
    """Return a mapping as pairs of text; nothing where it is none."""
    return [(str(name), _value_text(entry)) for name, entry in value.items()] if _is_mapping(value) else []


def choices(selection: Any) -> list[Choice]:
    """Return a nested mapping of choices, one record a setting; `chosen` and `why` within it are told apart."""
    if not _is_mapping(selection):
        return []
    found = []
    for name, entry in selection.items():
        if not _is_mapping(entry):
            found.append(Choice(_words(name), _value_text(entry), "", ()))
            continue
        chosen = next((key for key in _CHOSEN if key in entry), None)
        why = next((key for key in _WHY if key in entry), None)
        evidence = {_words(key): value for key, value in entry.items() if key not in (chosen, why)}
        found.append(
            Choice(
                name=_words(name),
                chosen="" if chosen is None else _value_text(entry[chosen]),
                why="" if why is None else str(entry[why]),
                evidence=tuple(_unnested(evidence)),
            )
        )
    return found


def model_facts(result: DetectionResult) -> list[tuple[str, str]]:
    """Return what is known of the model, in reading order; settings that have no label of ours come last."""
    model, labels = result.model, PICTURE_LABELS if result.kind == "picture" else MODEL_LABELS
    period_s = next((item.sample_period_s for item in result.series if item.sample_period_s), None)
    facts = []
    for name in [*labels, *(name for name in model if name not in labels)]:
        if name not in model or name in _LISTED_ELSEWHERE:
            continue
        text = _value_text(model[name])
        if name == "seed":
            text = str(model[name])
        if name == "fit_s":
            text = wording.duration_text(float(model[name]))
        if name in _SIZES and isinstance(model[name], Sequence) and not isinstance(model[name], str):
            text = " x ".join(_value_text(side) for side in model[name])
        if name == "window_sizes":
            text = _windows_text(model[name], period_s)
        facts.append((labels.get(name, _words(name)), text))
    return facts


def _windows_text(value: Any, period_s: float | None) -> str:
    sizes = [int(size) for size in np.atleast_1d(value)]
    text = f"{', '.join(f'{size:,}' for size in sizes)} points"
    if period_s:
        text += f" ({', '.join(wording.duration_text(size * period_s) for size in sizes)})"
    return text


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _words(name: Any) -> str:
    return str(name).replace("_", " ")


def _unnested(entries: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return pairs of text; a mapping that holds mappings is unfolded, one of plain values stays one line."""
    found: list[tuple[str, str]] = []
    for name, value in entries.items():
        if _is_mapping(value) and any(_is_mapping(inner) for inner in value.values()):
            found += _unnested(value, prefix if name == "evidence" else f"{prefix}{_words(name)}, ")
        else:
            found.append((prefix + _words(name), _value_text(value)))
    return found


def _value_text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        return wording.number_text(float(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value_text(entry)}" for name, entry in value.items())
    if isinstance(value, np.ndarray):
        return _value_text(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value_text(entry) for entry in value)
    return str(value)
