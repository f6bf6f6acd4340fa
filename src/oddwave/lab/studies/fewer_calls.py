"""How many network calls accuracy takes: one-step estimates against samplers, on the same denoiser of each modality.

    python -m oddwave.lab.studies.fewer_calls [--modality image] [--preset fast] [--seeds 0,1,2] [--quick]

Generated data with planted anomalies (`lab/bench/made_data.py`): parts and recordings of the demonstration, instances
of a panel for series. A detector with a denoiser is fitted once for each modality and seed; then its network alone
judges, in one of these ways, each of which is a line of `fewer_calls.jsonl` as soon as it is done:

    one step       1, 2, 4 and 8 noise levels; each level's error in deviations of held-out normals, then the mean
    DDIM           noised to half of the way, 5, 10, 20 and 50 steps back
    ancestral      noised to half of the way and 500 steps back (every one), and all the way and 1,000 steps back
    as it ships    the whole detector, with and without a denoiser: its memory and its errors fused, for comparison

Calls are those for one part. The same command goes on where it stopped. `knee` is the fewest calls whose AUROC lies
within one standard error of the best. Writes fewer_calls.md, .json and fewer_calls_plots.html into `--out`
(benchmarks/results).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from oddwave.config import DetectorConfig, preset
from oddwave.detector import Detector
from oddwave.files import write_bytes_atomic, write_json_atomic
from oddwave.lab.bench.environment import environment
from oddwave.lab.bench.jobs import Measured, append_row, read_rows
from oddwave.lab.bench.made_data import make_images, make_panel, make_recordings
from oddwave.lab.bench.same_network import SameNetwork, denoiser_settings, same_network
from oddwave.lab.metrics import auroc
from oddwave.scoring.selection import auroc_error

__all__ = ["WAYS", "Way", "knee", "main", "summary"]

MODALITIES = ("series", "image", "audio")
_SAMPLE_RATE = 16_000
_INSTANCE = 256  # points
_LEVELS = {1: (0.3,), 2: (0.3, 0.5), 4: (0.1, 0.3, 0.5, 0.7), 8: (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}
_HALF = 0.5
_TINY = 1e-12


@dataclass(frozen=True)
class Sizes:
    """Numbers of items: to fit on, normal ones to standardise by, and to judge (half of them with an anomaly)."""

    fitted: int
    held: int
    judged: int


_FULL = {"series": Sizes(100, 40, 200), "image": Sizes(80, 30, 80), "audio": Sizes(30, 15, 60)}
_QUICK = {"series": Sizes(60, 20, 40), "image": Sizes(24, 8, 16), "audio": Sizes(12, 6, 16)}


@dataclass(frozen=True)
class Way:
    """A way of judging by the network: by one-step estimates, or by a scheduler of diffusers."""

    family: str
    num_calls: int
    scheduler: str = ""
    noise_level: float = 0.0

    def scores(self, network: SameNetwork, seen: Any, held: Any) -> tuple[Float[np.ndarray, " N"], int]:
        """Return the score of each item, and the network calls that each part took."""
        if self.scheduler:
            scores = network.sampled(
                seen.x0, scheduler=self.scheduler, num_steps=self.num_calls, noise_level=self.noise_level
            )
            return seen.per_item(scores), self.num_calls
        levels = _LEVELS[self.num_calls]
        usual, found = (network.one_step(x0, levels) for x0 in (held.x0, seen.x0))
        deviations = (found - usual.mean(0)) / np.maximum(usual.std(0), _TINY)
        num_draws = max(1, network.config.scoring.num_noise_draws)
        return seen.per_item(deviations.mean(1)), len(levels) * num_draws


WAYS = (
    *(Way("one step", num) for num in _LEVELS),
    *(Way("DDIM", num, "DDIMScheduler", _HALF) for num in (5, 10, 20, 50)),
    Way("ancestral", 500, "DDPMScheduler", _HALF),
    Way("ancestral", 1000, "DDPMScheduler", 1.0),
)


@dataclass(frozen=True, eq=False)
class Data:
    """What is fitted on, standardised by, and judged."""

    fitted: Any
    held: Any
    judged: Any
    gt_label: Int[np.ndarray, " N"]
    read_options: dict[str, Any]


def made(modality: str, folder: Path, sizes: Sizes, seed: int) -> Data:
    """Make the data of a modality."""
    makers: dict[str, Callable[..., Any]] = {
        "series": lambda folder, num, **how: make_panel(num, _INSTANCE, **how),
        "image": make_images,
        "audio": partial(make_recordings, seconds=4.0),
    }
    make = makers[modality]
    parts = [
        make(folder / name, num, seed=3 * seed + number, faulty=faulty)
        for number, (name, num, faulty) in enumerate(
            (("fitted", sizes.fitted, 0.0), ("held", sizes.held, 0.0), ("judged", sizes.judged, 0.5))
        )
    ]
    options = {"kind": "panel"} if modality == "series" else {}
    (fitted, _), (held, _), (judged, label) = parts
    return Data(fitted, held, judged, label, options)


def measured(modality: str, name: str, seed: int, sizes: Sizes, done: set[tuple[str, int]]) -> Iterator[Measured]:
    """Fit, and judge in each way that is not done yet."""
    with tempfile.TemporaryDirectory(prefix="oddwave-calls-") as folder:
        data = made(modality, Path(folder), sizes, seed)
        plain = preset(name, modality, seed=seed)
        if modality == "audio":
            plain = plain.with_overrides([f"audio.sample_rate={_SAMPLE_RATE}"])
        trained = denoiser_settings(plain)
        detector = Detector(trained, read_options=data.read_options).fit(data.fitted)
        yield from _shipped(plain, detector, data, done)
        network = same_network(detector)
        seen, held = network.encode(data.judged), network.encode(data.held)
        for scheduler in sorted({way.scheduler for way in WAYS if way.scheduler}):  # loaded before anything is timed
            network.sampled(seen.x0[:1], scheduler=scheduler, num_steps=2, noise_level=_HALF)
        for way in WAYS:
            if (way.family, way.num_calls) in done:
                continue
            began = time.process_time()
            scores, num_calls = way.scores(network, seen, held)
            spent = time.process_time() - began
            yield _row(data, scores, way.family, way.num_calls) | {"num_calls": num_calls, "cpu_s": spent}


def _shipped(plain: DetectorConfig, fitted: Detector, data: Data, done: set[tuple[str, int]]) -> Iterator[Measured]:
    """Judge with whole detectors: that with the denoiser, and the one that ships where it is another."""
    num_levels = len(fitted.config.scoring.noise_levels) * max(1, fitted.config.scoring.num_noise_draws)
    kinds = {"as it ships, denoiser": (fitted.config, num_levels)}
    if plain != fitted.config and denoiser_settings(plain) != plain:
        kinds["as it ships"] = (plain, 0)
    for family, (settings, num_calls) in kinds.items():
        if (family, num_calls) in done:
            continue
        own = fitted if num_calls else Detector(settings, read_options=data.read_options).fit(data.fitted)
        began = time.process_time()
        scores = own.decision_function(data.judged)
        yield _row(data, scores, family, num_calls) | {"num_calls": num_calls, "cpu_s": time.process_time() - began}


def _row(data: Data, scores: Float[np.ndarray, " N"], family: str, key: int) -> Measured:
    value = float(auroc(data.gt_label, scores))
    odd = int(data.gt_label.sum())
    error = auroc_error(value, len(data.gt_label) - odd, odd)
    return {"family": family, "key": key, "auroc": value, "error_of_auroc": float(error), "num_items": len(scores)}


def summary(rows: Sequence[Measured]) -> list[Measured]:
    """Return for each modality and way the mean over seeds of AUROC and CPU seconds for one item."""
    groups: dict[tuple[str, str, int], list[Measured]] = {}
    for row in rows:
        groups.setdefault((row["modality"], row["family"], row["key"]), []).append(row)
    told = []
    for (modality, family, _), own in groups.items():
        error = np.sqrt(np.mean([row["error_of_auroc"] ** 2 for row in own]) / len(own))
        told.append(
            {
                "modality": modality,
                "family": family,
                "num_calls": own[0]["num_calls"],
                "auroc": float(np.mean([row["auroc"] for row in own])),
                "standard_error": float(error),
                "cpu_ms": float(np.mean([1000 * row["cpu_s"] / row["num_items"] for row in own])),
                "num_seeds": len(own),
            }
        )
    return sorted(told, key=lambda each: (MODALITIES.index(each["modality"]), each["family"], each["num_calls"]))


def knee(told: Sequence[Measured], modality: str) -> Measured | None:
    """Return the fewest calls of the network alone whose AUROC is within one standard error of the best."""
    own = [each for each in told if each["modality"] == modality and not each["family"].startswith("as it ships")]
    if not own:
        return None
    best = max(own, key=lambda each: each["auroc"])
    near = [each for each in own if each["auroc"] >= best["auroc"] - best["standard_error"]]
    return min(near, key=lambda each: each["num_calls"])


def markdown(told: Sequence[Measured], command: str) -> str:
    """Return the table."""
    lines = ["# Fewer calls", "", f"`{command}`. Generated data, planted anomalies; mean over seeds. The same network",
             "judges in every way; milliseconds are of the processor, for one item.", "",
             "| modality | way | calls | AUROC | CPU ms | seeds |", "|---|---|---:|---:|---:|---:|"]  # fmt: skip
    lines += [
        f"| {each['modality']} | {each['family']} | {each['num_calls']} | {each['auroc']:.3f} ± "
        f"{each['standard_error']:.3f} | {each['cpu_ms']:.3g} | {each['num_seeds']} |"
        for each in told
    ]
    knees = {modality: knee(told, modality) for modality in MODALITIES}
    lines += [""] + [
        f"- {modality}: the knee is at {found['num_calls']} call(s), {found['family']}."
        for modality, found in knees.items()
        if found is not None
    ]
    return "\n".join(lines) + "\n"


def write_plots(out: Path, told: Sequence[Measured]) -> Path:
    """Write the page of plots. Raises: MissingExtraError without plotly."""
    from oddwave.lab.bench.plot_page import figure_html, write_page

    text = "AUROC against network calls for one part, with one standard error; the dotted lines are whole detectors."
    sections = {
        modality: figure_html(_figure([each for each in told if each["modality"] == modality]))
        for modality in dict.fromkeys(each["modality"] for each in told)
    }
    return write_page(out / "fewer_calls_plots.html", "Fewer calls", text, sections)


def _figure(told: Sequence[Measured]) -> Any:
    import plotly.graph_objects as go

    from oddwave.lab.bench.plot_page import OWN_COLOUR, layout

    colours = {"one step": OWN_COLOUR, "DDIM": "#0072b2", "ancestral": "#4d5a66"}
    figure = go.Figure()
    for family, colour in colours.items():
        own = [each for each in told if each["family"] == family]
        figure.add_scatter(
            x=[each["num_calls"] for each in own], y=[each["auroc"] for each in own], mode="lines+markers", name=family,
            marker={"color": colour, "size": 9},
            error_y={"array": [each["standard_error"] for each in own], "thickness": 1.2},
            customdata=[[each["cpu_ms"]] for each in own],
            hovertemplate="%{x} calls: %{y:.3f}, %{customdata[0]:.3g} CPU ms<extra></extra>",
        )  # fmt: skip
    for each in told:
        if each["family"].startswith("as it ships"):
            figure.add_hline(y=each["auroc"], line={"dash": "dot", "color": OWN_COLOUR},
                             annotation_text=f"{each['family']}, {each['num_calls']} calls")  # fmt: skip
    figure.update_layout(**layout(420, "AUROC against network calls"))
    figure.update_xaxes(type="log", title="network calls")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is not measured yet, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modality", choices=MODALITIES, action="append")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--quick", action="store_true", help="few items, one seed")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args(arguments)
    plan, sizes = ("quick", _QUICK) if given.quick else ("full", _FULL)
    seeds = [0] if given.quick else [int(seed) for seed in given.seeds.split(",")]
    about, path = {"plan": plan, "preset": given.preset}, given.out / "fewer_calls.jsonl"
    given.out.mkdir(parents=True, exist_ok=True)
    try:
        for seed in seeds:
            for modality in given.modality or MODALITIES:
                same = {**about, "modality": modality, "seed": seed}
                rows = [row for row in read_rows(path) if same.items() <= row.items()]
                done = {(row["family"], row["key"]) for row in rows}
                if done >= {(way.family, way.num_calls) for way in WAYS}:
                    continue
                for found in measured(modality, given.preset, seed, sizes[modality], done):
                    append_row(path, {**same, **found})
                    print(same | found, flush=True)
    finally:
        write(given.out, about)


def write(out: Path, about: Measured) -> None:
    """Write the tables and the page of plots from the rows that there are."""
    told = summary([row for row in read_rows(out / "fewer_calls.jsonl") if about.items() <= row.items()])
    command = "python -m oddwave.lab.studies.fewer_calls" + (" --quick" if about["plan"] == "quick" else "")
    text = markdown(told, f"{command} --preset {about['preset']}")
    write_bytes_atomic(out / "fewer_calls.md", text.encode())
    write_json_atomic(out / "fewer_calls.json", {**about, "ways": told, "environment": environment(1)})
    write_plots(out, told)
    print(text)


if __name__ == "__main__":
    main()
