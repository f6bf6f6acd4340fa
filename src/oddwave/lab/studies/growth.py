"""How time and memory of fitting and scoring grow: with items, length, channels, image size, length of a recording.

    python -m oddwave.lab.studies.growth [--axis series-points] [--preset fast] [--repeats 2] [--quick]

Each point is a process of its own (`growth_cell.py`), a line of `growth.jsonl` as soon as it ends; the same command
goes on where it stopped. Only one thing grows at a time: for "fit" what is fitted on, with nothing scored; for "score"
what is scored, by a model of the smallest data of the axis. Generated data; a small part is fitted and scored before
anything is timed.

The exponent is the slope of a straight line through the logarithms, with its 95 % interval by Student's t. Constant
costs bend such a line, so the slope between the two largest points stands beside it. Memory is the peak above what was
resident before; below `_LEAST_MB` nothing is told of it. Where an exponent is above 1.1, `_WHY` says why, and the table
says so; one without a reason is marked. Writes growth.md, .json and growth_plots.html into `--out`
(benchmarks/results).
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from oddwave.files import write_bytes_atomic, write_json_atomic
from oddwave.lab.bench.environment import environment
from oddwave.lab.bench.jobs import Measured, append_row, read_rows, run_job

__all__ = ["AXES", "Axis", "Exponent", "exponent", "main", "summary"]

_MODULE = "oddwave.lab.studies.growth_cell"
_MOST = 1.1
_LEAST_S, _LEAST_MB = 0.02, 8.0  # below, rounding and the allocator are what is measured
_SIDES = ("fit", "score")


@dataclass(frozen=True)
class Axis:
    """What grows: values by plan, in which unit; `power` turns a value into what work should be linear in."""

    modality: str
    values: tuple[int, ...]
    quick: tuple[int, ...]
    unit: str
    power: int = 1


AXES: Mapping[str, Axis] = {
    "series-points": Axis("series", (2000, 8000, 32_000, 128_000), (2000, 6000, 18_000), "points"),
    "series-channels": Axis("series", (1, 4, 16, 64), (1, 4, 16), "channels"),
    "image-items": Axis("image", (20, 40, 80, 160), (16, 32, 64), "images"),
    "image-size": Axis("image", (128, 256, 512), (128, 192, 256), "pixels", 2),
    "audio-items": Axis("audio", (12, 24, 48, 96), (12, 24), "recordings"),
    "audio-length": Axis("audio", (60, 120, 240, 480), (60, 120, 240), "seconds of one recording"),
}

_VIEWS = "up to 16 channels are also looked at one by one: from one view of one channel to 17 of 32; beyond, one view"
_MEMORY = "windows grow, and what each is compared with, until as many are remembered as may be"
_WHY: Mapping[tuple[str, str, str], str] = {
    ("series-points", "fit", "cpu_s"): _MEMORY,
    ("series-channels", "fit", "cpu_s"): _VIEWS,
    ("series-channels", "score", "cpu_s"): _VIEWS,
}


class Exponent(NamedTuple):
    """The slope of the logarithms, its 95 % interval, and the slope between the two largest points."""

    value: float
    low: float
    high: float
    last: float


def exponent(x: Sequence[float], y: Sequence[float]) -> Exponent | None:
    """Fit y = c x^p; None where fewer than two different x have y above 0. With two points there is no interval."""
    from scipy import stats

    known = [(np.log(a), np.log(b)) for a, b in zip(x, y, strict=True) if a > 0 and b > 0]
    places = sorted({a for a, _ in known})
    if len(places) < 2:
        return None
    xs, ys = np.array(known).T
    line = stats.linregress(xs, ys)
    free = len(xs) - 2
    reach = float(stats.t.ppf(0.975, free) * line.stderr) if free > 0 else float("nan")
    means = [float(np.mean(ys[xs == place])) for place in places[-2:]]
    last = (means[1] - means[0]) / (places[-1] - places[-2])
    return Exponent(float(line.slope), float(line.slope) - reach, float(line.slope) + reach, float(last))


def summary(rows: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return for each axis, side and quantity the points (medians over repeats) and the exponent."""
    told = []
    for name, axis in AXES.items():
        for side in _SIDES:
            own = [row for row in rows if (row["axis"], row["side"]) == (name, side) and "error" not in row]
            for quantity, least in (("cpu_s", _LEAST_S), ("peak_mb", _LEAST_MB)):
                told.append(_told(name, axis, side, quantity, least, own))
    return [each for each in told if each["points"]]


def _told(name: str, axis: Axis, side: str, quantity: str, least: float, rows: Sequence[Measured]) -> dict[str, Any]:
    values = sorted({row["value"] for row in rows})
    points = [(value, median(row[quantity] for row in rows if row["value"] == value)) for value in values]
    used = [(row["value"] ** axis.power, row[quantity]) for row in rows if row[quantity] >= least]
    found = exponent([x for x, _ in used], [y for _, y in used]) if used else None
    why = _WHY.get((name, side, quantity), "")
    return {
        "axis": name,
        "side": side,
        "quantity": quantity,
        "unit": axis.unit,
        "points": points,
        "exponent": None if found is None else {k: v for k, v in found._asdict().items() if np.isfinite(v)},
        "above": found is not None and max(found.value, found.last) > _MOST,
        "why": why,
    }


def markdown(told: Sequence[Mapping[str, Any]], command: str) -> str:
    """Return the table."""
    lines = ["# Growth", "", f"`{command}`. Generated data, one thread; medians over repeats. An exponent of 1 is in",
             "proportion; `image-size` counts pixels.", "",
             "| what grows | side | quantity | points | exponent | 95 % | between the largest | above 1.1 |",
             "|---|---|---|---|---:|---:|---:|---|"]  # fmt: skip
    for each in told:
        found = each["exponent"]
        points = ", ".join(f"{value}: {figure:.3g}" for value, figure in each["points"])
        what = "CPU s" if each["quantity"] == "cpu_s" else "peak, MB"
        if found is None:
            cells = ["too small to tell", "", "", ""]
        else:
            interval = f"{found['low']:.2f} to {found['high']:.2f}" if "low" in found else ""
            word = (each["why"] or "without a known reason") if each["above"] else ""
            cells = [f"{found['value']:.2f}", interval, f"{found['last']:.2f}", word]
        lines.append(f"| {each['axis']} | {each['side']} | {what} | {points} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_plots(out: Path, told: Sequence[Mapping[str, Any]]) -> Path:
    """Write the page of plots. Raises: MissingExtraError without plotly."""
    from oddwave.lab.bench.plot_page import figure_html, write_page

    sections = {}
    for name in dict.fromkeys(each["axis"] for each in told):
        own = [each for each in told if each["axis"] == name]
        pair = [
            figure_html(_figure([each for each in own if each["quantity"] == quantity], title))
            for quantity, title in (("cpu_s", "CPU seconds"), ("peak_mb", "peak above the start, MB"))
        ]
        sections[name] = f'<div class="pair">{"".join(pair)}</div>'
    text = "Both scales are logarithmic; a straight line at 45 degrees is in proportion."
    return write_page(out / "growth_plots.html", "Growth", text, sections or {"Nothing": "<p>No rows.</p>"})


def _figure(told: Sequence[Mapping[str, Any]], title: str) -> Any:
    import plotly.graph_objects as go

    from oddwave.lab.bench.plot_page import OWN_COLOUR, layout

    figure = go.Figure()
    for each in told:
        found = each["exponent"]
        name = each["side"] + ("" if found is None else f", exponent {found['value']:.2f}")
        figure.add_scatter(
            x=[value for value, _ in each["points"]], y=[max(own, 1e-3) for _, own in each["points"]], name=name,
            mode="lines+markers", marker={"color": OWN_COLOUR if each["side"] == "fit" else "#0072b2", "size": 9},
        )  # fmt: skip
    figure.update_layout(**layout(360, title))
    figure.update_xaxes(type="log", title=told[0]["unit"] if told else "")
    figure.update_yaxes(type="log")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axis", choices=list(AXES), action="append")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="smaller values, once each")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args(arguments)
    about, path = {"plan": "quick" if given.quick else "full", "preset": given.preset}, given.out / "growth.jsonl"
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="oddwave-growth-") as folder:
            for job in jobs(given.axis or list(AXES), given.quick, 1 if given.quick else given.repeats):
                same = {**about, **job}
                if any(same.items() <= row.items() and "error" not in row for row in read_rows(path)):
                    continue
                found = run_job(_MODULE, {**same, "folder": folder})
                append_row(path, {**same, **found})
                print(same | found, flush=True)
    finally:
        write(given.out, about)


def write(out: Path, about: Measured) -> None:
    """Write the tables and the page of plots from the rows that there are."""
    rows = [row for row in read_rows(out / "growth.jsonl") if about.items() <= row.items()]
    last = {tuple(row[name] for name in ("axis", "side", "value", "repeat")): row for row in rows}
    told = summary(list(last.values()))
    command = "python -m oddwave.lab.studies.growth" + (" --quick" if about["plan"] == "quick" else "")
    text = markdown(told, f"{command} --preset {about['preset']}")
    write_bytes_atomic(out / "growth.md", text.encode())
    write_json_atomic(out / "growth.json", {**about, "growth": told, "environment": environment(1)})
    write_plots(out, told)
    print(text)


def jobs(axes: Sequence[str], quick: bool, repeats: int) -> list[Measured]:
    """Return what is to be measured: all axes in turn, and again for the next repeat."""
    return [
        {"axis": name, "modality": AXES[name].modality, "side": side, "value": value, "repeat": repeat,
         "smallest": (AXES[name].quick if quick else AXES[name].values)[0]}
        for repeat in range(repeats)
        for name in axes
        for value in (AXES[name].quick if quick else AXES[name].values)
        for side in _SIDES
    ]  # fmt: skip


if __name__ == "__main__":
    main()
