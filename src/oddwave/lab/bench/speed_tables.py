"""The tables of `oddwave bench speed`: what each method costs, alone and beside oddwave's figures of the same round.

A figure is the median over rounds; latencies are those of all rounds together. A ratio is the median over rounds of a
method's figure over that of `oddwave` in the same modality, preset and round: rivals, which know no presets, stand
beside each preset. Read `speed_plots.py` next.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from oddwave.lab.bench.jobs import Measured

__all__ = ["UNITS", "ratios_to_own", "speed_markdown", "summary", "table"]

UNITS = {"series": "point", "image": "image", "audio": "s of sound"}
_NO_PRESET, _OWN, _FULL = "-", "oddwave", "ddpm_1000"
_MEGA = 1e6

_FIGURES: Mapping[str, Callable[[Measured], float | None]] = {  # None: not measured in this round
    "fit_cpu_s": lambda row: row["fit"] and row["fit"]["cpu_s"],
    "fit_wall_s": lambda row: row["fit"] and row["fit"]["wall_s"],
    "score_cpu_ms": lambda row: 1000 * row["score"]["cpu_s"] / row["num_scored"],
    "score_wall_ms": lambda row: 1000 * row["score"]["wall_s"] / row["num_scored"],
    "latency_p50_ms": lambda row: float(np.median(row["latency_ms"])),
    "request_cpu_ms": lambda row: float(np.median(row["request_cpu_ms"])),
    "fit_peak_mb": lambda row: row["fit_peak_mb"],
    "score_peak_mb": lambda row: row["score_peak_mb"],
    "size_mb": lambda row: row["size_bytes"] / _MEGA,
}
_RATIOS = ("fit_cpu_s", "score_cpu_ms", "latency_p50_ms", "score_peak_mb")


def summary(rows: Sequence[Measured]) -> dict[str, Any]:
    """Return what was measured of the machine and of each method, ratios, floors and the compute beside 1,000 steps."""
    good = [row for row in rows if "error" not in row]
    machine = _machine([row for row in good if "rates" in row])
    groups: dict[tuple[str, str, str], list[Measured]] = {}
    for row in good:
        if "rates" not in row:
            groups.setdefault((row["modality"], row["preset"], row["method"]), []).append(row)
    methods = [_method(key, own) for key, own in groups.items()]
    return {
        "machine": machine,
        "methods": methods,
        "ratios": [
            {"modality": modality, "preset": preset, "method": name, **ratios_to_own(groups, modality, preset, name)}
            for modality, preset, name in _compared(groups)
        ],
        "floors": [floor for key, own in groups.items() if (floor := _floor(key, own, machine))],
        "networks": [net for key, own in groups.items() if (net := _network(key, own, machine))],
        "compute": [each for key in groups if (each := _compute(groups, key))],
        "errors": [
            f"{row['modality']}, {row['preset']}, `{row['method']}`, round {row['round'] + 1}: {row['error']}"
            for row in rows
            if "error" in row
        ],
    }


def ratios_to_own(
    groups: Mapping[tuple[str, str, str], Sequence[Measured]], modality: str, preset: str, method: str
) -> dict[str, Any]:
    """Return the median over rounds of each figure of a method over oddwave's of the same round."""
    own = {row["round"]: row for row in groups.get((modality, preset, _OWN), ())}
    found = groups.get((modality, preset, method)) or groups.get((modality, _NO_PRESET, method), ())
    pairs = [(row, own[row["round"]]) for row in found if row["round"] in own]
    if not pairs:
        return {}
    told: dict[str, Any] = {}
    for name in _RATIOS:
        both = [(_FIGURES[name](row), _FIGURES[name](beside)) for row, beside in pairs]
        known = [a / max(b, 1e-12) for a, b in both if a is not None and b is not None]
        told[name] = median(known) if known else None
    return told | {"num_rounds": len(pairs)}


def _compared(groups: Mapping[tuple[str, str, str], Any]) -> list[tuple[str, str, str]]:
    """Return (modality, preset of ours, method) of all that is compared with ours, ours first."""
    found = []
    for modality, preset, name in groups:
        if name == _OWN:
            beside = [key for key in groups if key[0] == modality and key[1] in (preset, _NO_PRESET)]
            found += [(modality, preset, key[2]) for key in beside]
    return found


def _machine(rows: Sequence[Measured]) -> dict[str, float]:
    if not rows:
        return {}
    rates = {name: median(row["rates"][name] for row in rows) for name in rows[0]["rates"]}
    return {**rates, "bandwidth": median(row["bandwidth"] for row in rows), "num_rounds": len(rows)}


def _method(key: tuple[str, str, str], rows: Sequence[Measured]) -> dict[str, Any]:
    latencies = np.concatenate([row["latency_ms"] for row in rows])
    told: dict[str, Any] = dict(zip(("modality", "preset", "method"), key, strict=True))
    told |= {name: _median_of(rows, name) for name in _FIGURES}
    told |= {"latency_p50_ms": float(np.median(latencies)), "latency_p99_ms": float(np.quantile(latencies, 0.99))}
    known = [row["auroc"] for row in rows if row["auroc"] is not None]
    checks = [row["score"]["check"] for row in rows if row["score"]["check"] is not None]
    told |= {"auroc": median(known) if known else None, "check": median(checks) if checks else None}
    whole = next((row["whole"] for row in rows if "whole" in row), None)
    return told | {"whole": whole, "num_rounds": len(rows), "num_requests": len(latencies)}


def _median_of(rows: Sequence[Measured], name: str) -> float | None:
    known = [value for row in rows if (value := _FIGURES[name](row)) is not None]
    return median(known) if known else None


def _floor(key: tuple[str, str, str], rows: Sequence[Measured], machine: Mapping[str, float]) -> dict[str, Any]:
    """Return the least that a request needs here, beside the seconds of the processor that it took."""
    works = [row["work"] for row in rows if "work" in row]
    if not works or not machine:
        return {}
    units = works[0]["num_units"]
    adds, moved = (median(work[name] for work in works) / units for name in ("multiply_adds", "num_bytes"))
    compute_ms, bytes_ms = 1000 * adds / machine["float32"], 1000 * moved / machine["bandwidth"]
    measured_ms = (_median_of(rows, "request_cpu_ms") or 0.0) / units
    floor_ms = max(compute_ms, bytes_ms)
    told = dict(zip(("modality", "preset", "method"), key, strict=True))
    return told | {
        "multiply_adds": adds, "num_bytes": moved, "compute_floor_ms": compute_ms, "bytes_floor_ms": bytes_ms,
        "measured_cpu_ms": measured_ms, "times_floor": measured_ms / max(floor_ms, 1e-12),
    }  # fmt: skip


def _network(key: tuple[str, str, str], rows: Sequence[Measured], machine: Mapping[str, float]) -> dict[str, Any]:
    nets = [row["unet"] for row in rows if "unet" in row]
    if not nets or not machine or key[2] != "ddim_50":
        return {}
    rate = median(net["multiply_adds"] / net["seconds"] for net in nets)
    told = {"modality": key[0], "preset": key[1], "dtype": nets[0]["dtype"]}
    return told | {
        "multiply_adds": nets[0]["multiply_adds"],
        "ms": 1000 * median(net["seconds"] for net in nets),
        "share_of_rate": rate / machine[nets[0]["dtype"]],
    }


def _compute(groups: Mapping[tuple[str, str, str], Sequence[Measured]], key: tuple[str, str, str]) -> dict[str, Any]:
    """Return how many times the compute of a method 1,000 steps on the same network take, with both AUROCs."""
    modality, preset, name = key
    steps = {row["round"]: row for row in groups.get((modality, preset, _FULL), ())}
    pairs = [(steps[row["round"]], row) for row in groups[key] if row["round"] in steps]
    if not pairs or name == _FULL or "work" not in pairs[0][1]:
        return {}
    whole = next((row for row in steps.values() if "whole" in row), None)
    known = [row["auroc"] for row in groups[key] if row["auroc"] is not None]
    return {
        "modality": modality, "preset": preset, "method": name,
        "multiply_adds": median(a["work"]["multiply_adds"] / b["work"]["multiply_adds"] for a, b in pairs),
        "cpu_s": median(a["score"]["cpu_s"] / b["score"]["cpu_s"] for a, b in pairs),
        "auroc": median(known) if known else None,
        "auroc_1000": None if whole is None else whole["auroc"],
        "measured_over_extrapolated": None if whole is None else
        whole["whole"]["cpu_s"] / whole["whole"]["extrapolated_cpu_s"],
    }  # fmt: skip


def speed_markdown(told: Mapping[str, Any], about: Mapping[str, Any], left_out: Sequence[str]) -> str:
    """Return all tables as one document."""
    where = about["environment"]
    machine = told["machine"]
    lines = [
        "# Speed",
        "",
        f"Plan `{about['plan']}`, {about['num_threads']} thread(s), {where['processor']}, oddwave {where['package']}, "
        f"torch {where['versions']['torch']}. Generated data; medians over rounds; seconds of the processor unless "
        '"on the clock" is said.',
    ]
    if machine:
        lines += ["", f"The machine, median of {machine['num_rounds']} rounds: {machine['float32'] / 1e9:.1f} billion "
                  f"multiply-adds/s in float32, {machine['bfloat16'] / 1e9:.1f} in bfloat16; "
                  f"{machine['bandwidth'] / 1e9:.1f} GB/s."]  # fmt: skip
    for modality in dict.fromkeys(each["modality"] for each in told["methods"]):
        lines += _cost_table(modality, [each for each in told["methods"] if each["modality"] == modality])
        lines += _ratio_table(modality, [each for each in told["ratios"] if each["modality"] == modality])
    lines += _compute_table(told["compute"]) + _floor_table(told["floors"]) + _network_table(told["networks"])
    lines += ["", "## Left out", "", *(f"- {line}" for line in left_out)] if left_out else []
    lines += ["", "## Errors", "", *(f"- {line}" for line in told["errors"])] if told["errors"] else []
    return "\n".join(lines) + "\n"


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, of which the first two columns are words; nothing where there are no rows."""
    if not rows:
        return []
    lines = ["", f"## {title}", "", "| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _cost_table(modality: str, methods: Sequence[Mapping[str, Any]]) -> list[str]:
    unit = UNITS[modality]
    head = ["method", "preset", "fit, s", "fit, s on the clock", f"score, ms per {unit}", f"{unit}s per s", "p50, ms",
            "p99, ms", "fit peak, MB", "score peak, MB", "model, MB", "AUROC", "rounds"]  # fmt: skip
    rows = [
        [
            f"`{each['method']}`" + (" (by the line)" if each["check"] is not None else ""), each["preset"],
            _short(each["fit_cpu_s"]), _short(each["fit_wall_s"]), _short(each["score_cpu_ms"]),
            _short(1000 / max(each["score_cpu_ms"], 1e-9)), _short(each["latency_p50_ms"]),
            _short(each["latency_p99_ms"]), _short(each["fit_peak_mb"]), _short(each["score_peak_mb"]),
            _short(each["size_mb"]), "" if each["auroc"] is None else f"{each['auroc']:.3f}", str(each["num_rounds"]),
        ]
        for each in methods
    ]  # fmt: skip
    return table(f"{modality}: what it costs", head, rows)


def _ratio_table(modality: str, ratios: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["method", "beside oddwave", "fit", "score", "latency, p50", "score peak", "rounds"]
    rows = [
        [f"`{each['method']}`", each["preset"], *(_times(each[name]) for name in _RATIOS),
         str(each["num_rounds"])]
        for each in ratios
        if each.get("num_rounds") and each["method"] != _OWN
    ]  # fmt: skip
    return table(f"{modality}: times oddwave, median of the rounds' ratios", head, rows)


def _compute_table(compute: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["modality", "method", "preset", "multiply-adds", "CPU", "AUROC", "AUROC of 1,000 steps",
            "1,000 steps measured / by the line"]  # fmt: skip
    rows = [
        [each["modality"], f"`{each['method']}`", each["preset"], _times(each["multiply_adds"]), _times(each["cpu_s"]),
         *(("" if each[name] is None else f"{each[name]:.3f}") for name in
         ("auroc", "auroc_1000", "measured_over_extrapolated"))]
        for each in compute
    ]  # fmt: skip
    return table("Scoring: how many times as much 1,000 steps of DDPM on the same network take", head, rows)


def _floor_table(floors: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["modality", "method", "preset", "million multiply-adds", "MB moved", "floor by compute, ms",
            "floor by bytes, ms", "measured, CPU ms", "times the floor"]  # fmt: skip
    rows = [
        [f"{each['modality']}, per {UNITS[each['modality']]}", f"`{each['method']}`", each["preset"],
         *(_short(value) for value in (each["multiply_adds"] / 1e6, each["num_bytes"] / _MEGA,
           each["compute_floor_ms"], each["bytes_floor_ms"], each["measured_cpu_ms"], each["times_floor"]))]
        for each in floors
    ]  # fmt: skip
    return table("The floor of one request", head, rows)


def _network_table(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    head = ["modality", "preset", "computes in", "million multiply-adds", "ms", "share of the matrix rate"]
    rows = [
        [each["modality"], each["preset"], each["dtype"], _short(each["multiply_adds"] / 1e6), _short(each["ms"]),
         f"{100 * each['share_of_rate']:.0f} %"]
        for each in networks
    ]  # fmt: skip
    return table("The denoiser's U-Net, one call of 16 items", head, rows)


def _times(value: float | None) -> str:
    return "" if value is None else f"{_short(value)} x"


def _short(value: float | None) -> str:
    """Return three digits that count; nothing of what was not measured."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
