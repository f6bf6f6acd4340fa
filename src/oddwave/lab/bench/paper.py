"""The figures of the paper that a run can be set beside, from `paper_tables.json`: AUC, without any error bars.

Source: Chen 2025, Research on Anomaly Detection Methods Based on Diffusion Models (arXiv 2505.05137), Tables I to III.
The paper does not say how it split NAB's files, so each of our protocols stands in a line of its own. Its "Ours" is set
beside oddwave and beside oddwave with the paper's own setting; its rivals beside ours of the same name.

Read `image_tables.py` next, which shows Table I, or `ablation_tables.py` for Table III.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np

from oddwave.lab.bench.markdown import Row

__all__ = [
    "PAPER_SOURCE",
    "PaperModality",
    "beside_the_paper",
    "paper_ablation",
    "paper_auc",
]

PaperModality = Literal["image", "series"]

_OWN = "Ours"
_OUR_NAMES: Mapping[PaperModality, Mapping[str, tuple[str, ...]]] = {
    "image": {
        "VAE": ("vae",),
        "AnoGAN": ("anogan",),
        "PatchSVDD": ("patch_svdd",),
        "DDPM": ("plain_ddpm_pixel", "plain_ddpm"),
        _OWN: ("oddwave",),
    },
    "series": {
        "VAE": ("vae",),
        "Transformer-AD": ("transformer",),
        "Autoformer": ("autoformer",),
        "DDPM": ("plain_ddpm",),
        _OWN: ("oddwave",),
    },
}
_PAPER_SETTING: Mapping[PaperModality, str] = {"image": "oddwave_pixel"}
_SERIES_PLACES: Mapping[str, tuple[str, str | None]] = {  # the paper's item -> data set and item here, None for all
    "nyc_taxi": ("nab", "realKnownCause/nyc_taxi"),
    "machine_temperature": ("nab", "realKnownCause/machine_temperature_system_failure"),
    "ecg200": ("ucr", "ECG200"),
    "wafer": ("ucr", "Wafer"),
    "pems_bay": ("pems_bay", None),
}
_TITLES: Mapping[PaperModality, str] = {
    "image": "Beside the paper (Chen 2025, Table I, image AUC)",
    "series": "Beside the paper (Chen 2025, Table II, series AUC)",
}


def paper_auc(modality: PaperModality) -> dict[str, dict[str, float]]:
    """Return the paper's AUC of each item by each method, in its own names: Table I for image, Table II for series."""
    table = dict(_tables()[modality])
    methods = table.pop("methods")
    return {item: dict(zip(methods, values, strict=True)) for item, values in table.items()}


def paper_ablation(modality: PaperModality) -> dict[str, float]:
    """Return Table III: the AUC of the full model and of each switch turned off."""
    table = dict(_tables()["ablation"])
    column = table.pop("columns").index(f"{modality}_auc")
    return {variant: values[column] for variant, values in table.items()}


def beside_the_paper(modality: PaperModality, rows: Sequence[Row]) -> list[str]:
    """Return the lines of a table: the paper's AUC and, after a stroke, ours, for the items that both have.

    Ours are means over seeds (and over the items of a data set of which the paper has one figure); a dash where there
    is no cell. Methods that the paper has stand in its order, then its "Ours" in the paper's own setting.
    """
    lines = ["", f"## {_TITLES[modality]}", ""]
    figures = paper_auc(modality)
    places = [(item, place) for item in figures for place in _places(modality, item, rows)]
    if not places:
        return [*lines, f"Nothing to set beside it: the paper has {', '.join(figures)}, which were not run here."]
    methods = list(next(iter(figures.values())))
    lines += [f"Paper / here. {PAPER_SOURCE}; the paper has no error bars.", ""]
    setting = [m for m in (_PAPER_SETTING.get(modality),) if any(row["method"] == m for row in rows)]
    titles = [_title(modality, method, rows) for method in methods]
    titles += [f"{method} (the paper's setting)" for method in setting]
    lines += ["| item | " + " | ".join(titles) + " |", "|---|" + "---:|" * len(titles)]
    for item, (dataset, name, protocol) in places:
        here = [r for r in rows if _is_at(r, dataset, name, protocol)]
        cells = [f"{figures[item][method]:.3f} / {_ours(here, _OUR_NAMES[modality][method])}" for method in methods]
        cells += [_ours(here, (str(method),)) for method in setting]
        lines.append(f"| {item} ({dataset}, {protocol}) | " + " | ".join(cells) + " |")
    return lines


@cache
def _tables() -> dict[str, Any]:
    text = files("oddwave.lab.bench").joinpath("paper_tables.json").read_text(encoding="utf-8")
    tables: dict[str, Any] = json.loads(text)
    return tables


def _title(modality: PaperModality, method: str, rows: Sequence[Row]) -> str:
    names = _OUR_NAMES[modality][method]
    name = next((name for name in names if any(row["method"] == name for row in rows)), names[0])
    return f"the paper's / {name}" if method == _OWN else f"{method} / {name}"


def _places(modality: PaperModality, item: str, rows: Sequence[Row]) -> list[tuple[str, str | None, str]]:
    """Return (data set, item or None for all, protocol) of the rows that the paper has under this name."""
    dataset, name = _SERIES_PLACES[item] if modality == "series" else ("mvtec_ad", item)
    protocols = sorted({row["protocol"] for row in rows if _is_at(row, dataset, name, None)})
    return [(dataset, name, protocol) for protocol in protocols]


def _is_at(row: Row, dataset: str, item: str | None, protocol: str | None) -> bool:
    return row["dataset"] == dataset and item in (None, row["item"]) and protocol in (None, row["protocol"])


def _ours(rows: Sequence[Row], names: Sequence[str]) -> str:
    """Return the mean AUROC of the first of these methods that has one."""
    for name in names:
        found = [float(r["auroc"]) for r in rows if r["method"] == name and r["auroc"] and not r["error"]]
        if found:
            return f"{np.mean(found):.3f}"
    return "–"


PAPER_SOURCE: str = _tables()["source"]
