"""What is known of a model, and other settings and numbers, as pairs of plain text for the page.

Read `plain_words.py` for what names are called, and `wording.py` for how single numbers become words.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from oddwave.report import wording
from oddwave.report.plain_words import CHOICES, ENTRIES, FITS, MEASURED, SHARES, VALUES

if TYPE_CHECKING:
    from oddwave.results import DetectionResult

__all__ = ["BandBar", "Choice", "choices", "model_facts", "part_bars"]

MODEL_LABELS = {
    "train_source": "Learned normal from",
    "num_train_points": "Points trained on",
    "preset": "Preset",
    "representation": "What is made of a window",
    "window_sizes": "Window lengths",
    "reconstruction_weight": "Weight of the reconstruction error",
    "memory_weight": "Weight of the memory distance",
    "memory_spaces": "Memory of",
    "noise_levels": "Noise levels",
    "kind": "Kind of data",
    "channel_names": "Channels",
    "num_train_items": "Items trained on",
    "fit_s": "Time to fit",
    "seed": "Seed",
    "package_version": "oddwave version",
    "data_fingerprint": "Fingerprint of the data",
}
IMAGE_LABELS = {
    "train_source": "Learned normal from",
    "num_train_items": "Images trained on",
    "num_train_images": "Images trained on",
    "num_calibration_images": "Images held back for the threshold",
    "preset": "Preset",
    "space": "Where the diffusion runs",
    "perceptual": "Frozen network",
    "taps": "Layers of the frozen network",
    "image_size": "Images are seen at",
    "grid": "Feature grid",
    "fit_mode": "Other shapes are",
    "tiles": "Tiles of large images",
    "num_channels": "Channels",
    "noise_levels": "Noise levels",
    "reconstruction_weight": "Weight of the reconstruction error",
    "memory_weight": "Weight of the memory distance",
    "memory_spaces": "Memory of",
    "memory_size": "Entries in the memory",
    "aggregate": "Score of an image",
    "top_percent": "Share of the map that makes the score",
    "fit_s": "Time to fit",
    "seed": "Seed",
    "package_version": "oddwave version",
}
AUDIO_LABELS = {
    "train_source": "Learned normal from",
    "num_train_recordings": "Recordings trained on",
    "train_duration_s": "Sound trained on",
    "num_train_clips": "Clips trained on",
    "num_calibration_clips": "Clips held back for the threshold",
    "preset": "Preset",
    "sample_rate": "Heard at (Hz)",
    "clip_s": "Length of a clip",
    "transform": "Map of a clip",
    "frequencies_hz": "Frequencies of the map (Hz)",
    "space": "Where the diffusion runs",
    "perceptual": "Frozen network",
    "noise_levels": "Noise levels",
    "reconstruction_weight": "Weight of the reconstruction error",
    "memory_weight": "Weight of the memory distance",
    "clip_weight": "Weight of the whole clip",
    "top_percent": "Share of the map that makes the score",
    "fit_s": "Time to fit",
    "seed": "Seed",
    "package_version": "oddwave version",
    "data_fingerprint": "Fingerprint of the data",
}
_LABELS = {"image": IMAGE_LABELS, "recording": AUDIO_LABELS}  # by the result's kind; all others are series
_SIZES = ("image_size", "grid")
_LISTED_ELSEWHERE = ("choices", "warnings")
_CHOSEN = ("chosen", "choice", "value")
_WHY = ("why", "reason", "because")


@dataclass(frozen=True, slots=True)
class BandBar:
    """One wavelet band of an event or an image, or one term of its score, as words and as a share in [0, 1]."""

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


def choices(chosen_automatically: Any) -> list[Choice]:
    """Return a nested mapping of choices, one record a setting; `chosen` and `why` within it are told apart."""
    if not _is_mapping(chosen_automatically):
        return []
    found = []
    for name, entry in chosen_automatically.items():
        label = CHOICES.get(name, _words(name))
        if not _is_mapping(entry):
            found.append(Choice(label, _value_text(entry, name), "", ()))
            continue
        chosen = next((key for key in _CHOSEN if key in entry), None)
        why = next((key for key in _WHY if key in entry), None)
        evidence = {key: value for key, value in entry.items() if key not in (chosen, why)}
        if name in SHARES:
            evidence = {key: _named_by_share(value) for key, value in evidence.items()}
        found.append(
            Choice(
                name=label,
                chosen="" if chosen is None else _value_text(entry[chosen], name),
                why="" if why is None else _reason(str(entry[why])),
                evidence=tuple(_unnested(evidence)),
            )
        )
    return found


def part_bars(parts: Mapping[str, float], labels: Mapping[str, str]) -> Iterator[BandBar]:
    """Yield the terms of a score, the largest first; the length of a bar is relative to the largest."""
    largest = max((value for value in parts.values() if math.isfinite(value)), default=0.0)
    for name, value in sorted(parts.items(), key=lambda part: math.inf if math.isnan(part[1]) else -part[1]):
        share = max(0.0, value / largest) if largest > 0 and math.isfinite(value) else 0.0
        yield BandBar(labels.get(name, _words(name)), wording.score_text(value), share, strongest=value == largest)


def model_facts(result: "DetectionResult") -> list[tuple[str, str]]:
    """Return what is known of the model, in reading order; settings that have no label of ours come last."""
    model, labels = result.model, _LABELS.get(result.kind, MODEL_LABELS)
    period_s = next((item.sample_period_s for item in result.series if item.sample_period_s), None)
    facts = []
    for name in [*labels, *(name for name in model if name not in labels)]:
        if name not in model or name in _LISTED_ELSEWHERE:
            continue
        text = _value_text(model[name], name)
        if name == "seed":
            text = str(model[name])
        if name in _SIZES and isinstance(model[name], Sequence) and not isinstance(model[name], str):
            text = " x ".join(_value_text(side) for side in model[name]) + " px" * (name == "image_size")
        if name == "window_sizes":
            text = _windows_text(model[name], period_s)
        facts.append((labels.get(name, _words(name)), text))
    return facts


def _windows_text(value: Any, period_s: float | None) -> str:
    sizes = [int(size) for size in (value if isinstance(value, Sequence) else [value])]
    text = f"{', '.join(f'{size:,}' for size in sizes)} points"
    if period_s:
        text += f" ({', '.join(wording.duration_text(size * period_s) for size in sizes)})"
    return text


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _words(name: Any) -> str:
    return str(name).replace("_", " ")


def _reason(text: str) -> str:
    """Return a reason whose first word, a setting's raw value, has become a plain one."""
    first, colon, rest = text.partition(": ")
    return f"{FITS.get(first, first)}{colon}{rest}"


def _named_by_share(value: Any) -> Any:
    return {wording.percent_text(float(name)): inner for name, inner in value.items()} if _is_mapping(value) else value


def _unnested(entries: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return pairs of text; a mapping that holds mappings is unfolded, one of plain values stays one line."""
    found: list[tuple[str, str]] = []
    for name, value in entries.items():
        label = ENTRIES.get(name, _words(name))
        if _is_mapping(value) and any(_is_mapping(inner) for inner in value.values()):
            found += _unnested(value, prefix if name == "evidence" else f"{prefix}{label}, ")
        else:
            found.append((prefix + label, _value_text(value, name)))
    return found


def _value_text(value: Any, name: str = "") -> str:
    """Write a value in words; `name` says whose it is, by which numbers have their units and decimals."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, Real):
        return _number_text(value, name)
    if isinstance(value, Mapping):
        if "auroc" in name:  # its entries are named by what was measured
            return "; ".join(f"{_measured(str(inner))}: {_value_text(entry, name)}" for inner, entry in value.items())
        return ", ".join(_part_text(str(inner), entry) for inner, entry in value.items())
    if hasattr(value, "tolist"):  # an array
        return _value_text(value.tolist(), name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_value_text(entry, name) for entry in value)
    return VALUES.get(name, {}).get(str(value), str(value))


def _measured(inner: str) -> str:
    return MEASURED.get(inner, _words(inner))


def _part_text(inner: str, entry: Any) -> str:
    return f"{ENTRIES.get(inner, _words(inner))} {_value_text(entry, inner)}".strip()


def _number_text(value: Any, name: str) -> str:
    if name.endswith("_s"):
        return wording.duration_text(float(value))
    if name in SHARES:
        return wording.percent_text(float(value))
    if "auroc" in name or "loss" in name or name == "standard_error":
        return wording.fixed_text(float(value), 3)
    if "weight" in name or name == "aspect":
        return wording.fixed_text(float(value), 2)
    if name == "size_px":
        return f"{value:,} x {value:,} px"
    return f"{int(value):,}" if isinstance(value, Integral) else wording.number_text(float(value))
