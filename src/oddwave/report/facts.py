"""What is known of a model, and other settings and numbers, as pairs of plain text for the page.

Read `plain_words.py` for what names are called, and `wording.py` for how single numbers become words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from oddwave.report import wording
from oddwave.report.plain_words import CHOICES, ENTRIES, FITS, LABELS, MEASURED, SHARES, VALUES

if TYPE_CHECKING:
    from oddwave.results import DetectionResult

__all__ = ["Choice", "choices", "gathered_notes", "model_facts"]

_SIZES = ("image_size", "grid")
_LISTED_ELSEWHERE = ("choices", "warnings")


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting that was chosen automatically: what it became, why, and the evidence as pairs of text."""

    name: str
    chosen: str
    why: str
    evidence: tuple[tuple[str, str], ...]


def choices(chosen_automatically: Any) -> list[Choice]:
    """Return a nested mapping of choices, one record a setting; `chosen` and `why` within it are told apart."""
    if not isinstance(chosen_automatically, Mapping):
        return []
    found = []
    for name, entry in chosen_automatically.items():
        label = CHOICES.get(name, _words(name))
        if not isinstance(entry, Mapping):
            found.append(Choice(label, _value_text(entry, name), "", ()))
            continue
        evidence = {key: value for key, value in entry.items() if key not in ("chosen", "why")}
        if name in SHARES:
            evidence = {key: _named_by_share(value) for key, value in evidence.items()}
        chosen = _value_text(entry["chosen"], name) if "chosen" in entry else ""
        found.append(Choice(label, chosen, _reason(str(entry.get("why", ""))), tuple(_unnested(evidence))))
    return found


def model_facts(result: "DetectionResult") -> list[tuple[str, str]]:
    """Return what is known of the model, in reading order; settings that have no label of ours come last."""
    from oddwave.report.kinds import kind_of

    model, labels = result.model, {**LABELS, **kind_of(result).labels}
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


def gathered_notes(result: "DetectionResult") -> list[tuple[str, str]]:
    """Return the notes of all items as (whose, what), one line for all that share it."""
    owners: dict[str, list[str]] = {}
    for item in result.items:
        for note in dict.fromkeys(item.notes):
            owners.setdefault(note, []).append(item.id)
    from oddwave.report.kinds import kind_of

    several = kind_of(result).items
    return [(ids[0] if len(ids) == 1 else f"{len(ids):,} {several}", note) for note, ids in owners.items()]


def _windows_text(value: Any, period_s: float | None) -> str:
    sizes = [int(size) for size in (value if isinstance(value, Sequence) else [value])]
    text = f"{', '.join(f'{size:,}' for size in sizes)} points"
    if period_s:
        text += f" ({', '.join(wording.duration_text(size * period_s) for size in sizes)})"
    return text


def _words(name: Any) -> str:
    return str(name).replace("_", " ")


def _reason(text: str) -> str:
    """Return a reason whose first word, a setting's raw value, has become a plain one."""
    first, colon, rest = text.partition(": ")
    return f"{FITS.get(first, first)}{colon}{rest}"


def _named_by_share(value: Any) -> Any:
    return (
        {wording.percent_text(float(name)): inner for name, inner in value.items()}
        if isinstance(value, Mapping)
        else value
    )


def _unnested(entries: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return pairs of text; a mapping that holds mappings is unfolded, one of plain values stays one line."""
    found: list[tuple[str, str]] = []
    for name, value in entries.items():
        label = ENTRIES.get(name, _words(name))
        if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
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
