"""`oddwave bench speed`: who takes turns with whom, what is compared with what, what is resumed, what floors are."""

import json

import pytest
import torch
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.errors import CheckpointError, ConfigError
from oddwave.lab.bench import speed
from oddwave.lab.bench.jobs import append_row, read_rows, run_job
from oddwave.lab.bench.machine_rate import Work, floor_s, work_of
from oddwave.lab.bench.speed import QUICK, run_speed, speed_jobs
from oddwave.lab.bench.speed_cell import extrapolated
from oddwave.lab.bench.speed_methods import SpeedMethod, missing
from oddwave.lab.bench.speed_tables import ratios_to_own, summary


def row(number, method, score_s, preset="fast", **more):
    cost = {"cpu_s": score_s, "wall_s": 2 * score_s, "check": None}
    found = {"fit": {**cost, "cpu_s": 1.0}, "score": cost, "num_scored": 10.0, "num_fitted": 10.0, "auroc": 0.75}
    found |= {"latency_ms": [1.0, 3.0], "request_cpu_ms": [1.0, 2.0], "fit_peak_mb": 300.0, "score_peak_mb": 200.0}
    return {"round": number, "modality": "image", "preset": preset, "method": method, "size_bytes": 10**6, **found,
            **more}  # fmt: skip


def grouped(rows):
    groups = {}
    for each in rows:
        groups.setdefault((each["modality"], each["preset"], each["method"]), []).append(each)
    return groups


def test_methods_take_turns_round_by_round() -> None:
    jobs = list(speed_jobs(["image"], ["fast", "balanced"], ["patch_knn", "ddim_50"], 2))
    first = [(job.preset, job.method) for job in jobs if job.round == 0]
    assert first == [
        ("-", "machine"), ("fast", "oddwave"), ("fast", "ddim_50"), ("balanced", "oddwave"), ("balanced", "ddim_50"),
        ("-", "patch_knn"),
    ]  # fmt: skip
    assert [(job.preset, job.method) for job in jobs if job.round == 1] == first
    assert [job.round for job in jobs] == [0] * 6 + [1] * 6


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("video", "fast", "oddwave"), "modality 'video'"),
        (("image", "slow", "oddwave"), "preset 'slow'"),
        (("image", "fast", "patchcore"), "method 'patchcore'"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(given, named) -> None:
    with pytest.raises(ConfigError, match=named):
        list(speed_jobs([given[0]], [given[1]], [given[2]], 1))


def test_a_ratio_is_the_median_of_the_ratios_of_the_same_round() -> None:
    """The machine was ten times slower in the second round, for both: that must not show."""
    rows = [row(n, "oddwave", s) for n, s in enumerate((1.0, 10.0, 1.0))]
    rows += [row(n, "patch_knn", s, preset="-") for n, s in enumerate((2.0, 20.0, 30.0))]
    assert ratios_to_own(grouped(rows), "image", "fast", "patch_knn")["score_cpu_ms"] == pytest.approx(2.0)
    lone = grouped([row(0, "oddwave", 1.0), row(1, "patch_knn", 5.0, preset="-")])
    assert ratios_to_own(lone, "image", "fast", "patch_knn") == {}


def test_the_summary_compares_compute_with_a_thousand_steps_and_keeps_errors() -> None:
    work = {"multiply_adds": 5e6, "num_bytes": 1e6, "num_units": 1.0}
    thousand = {"work": {**work, "multiply_adds": 5e9}, "auroc": 0.6}
    whole = {"cpu_s": 90.0, "extrapolated_cpu_s": 100.0, "num_items": 4}
    machine = {"round": 0, "modality": "-", "preset": "-", "method": "machine", "bandwidth": 1e10}
    rows = [
        {**machine, "rates": {"float32": 1e9, "bfloat16": 2e9}},
        row(0, "oddwave", 1.0, work=work),
        row(0, "ddpm_1000", 200.0, whole=whole, **thousand),
        {"round": 0, "modality": "image", "preset": "-", "method": "pyod_knn", "error": "no memory"},
    ]
    told = summary(rows)
    assert told["errors"] == ["image, -, `pyod_knn`, round 1: no memory"]
    (compute,) = told["compute"]
    assert (compute["multiply_adds"], compute["cpu_s"]) == (1000.0, 200.0)
    assert (compute["auroc"], compute["auroc_1000"], compute["measured_over_extrapolated"]) == (0.75, 0.6, 0.9)
    floor = next(each for each in told["floors"] if each["method"] == "oddwave")
    assert floor["compute_floor_ms"] == pytest.approx(5.0)
    assert floor["times_floor"] == pytest.approx(1.5 / 5.0)


@pytest.mark.slow  # what counts the work takes seconds to load
def test_work_of_a_known_product() -> None:
    a, b = torch.ones(64, 32), torch.ones(32, 16)
    work = work_of(lambda: (a @ b) @ torch.ones(16, 8))
    assert work.multiply_adds == 64 * 32 * 16 + 64 * 16 * 8
    assert work.num_bytes == 4 * (64 * 32 + 32 * 16 + 64 * 16 + 16 * 8 + 64 * 8)
    assert work_of(lambda: a.T[:2].reshape(-1) + 0).multiply_adds == 0


def test_the_floor_is_the_larger_of_compute_and_bytes() -> None:
    assert floor_s(Work(2e9, 1e9), rate=1e9, bytes_per_s=1e9) == 2.0
    assert floor_s(Work(1e9, 4e9), rate=1e9, bytes_per_s=1e9) == 4.0


def test_a_sampler_is_told_by_a_straight_line_that_is_checked_between() -> None:
    told, check = extrapolated((5, 10, 20), (1.5, 2.5, 4.5), 1000)
    assert (told, check) == (pytest.approx(200.5), pytest.approx(1.0))
    assert extrapolated((5, 10, 20), (1.5, 5.0, 4.5), 1000)[1] == pytest.approx(0.5)


def test_rows_survive_a_torn_line_and_a_broken_file_is_refused(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    assert read_rows(path) == []
    append_row(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a": ')
    assert read_rows(path) == [{"a": 1}]
    path.write_text(path.read_text() + "\n" + json.dumps({"a": 2}) + "\n")
    with pytest.raises(CheckpointError, match="line 2: expected a row"):
        read_rows(path)


def test_a_job_that_fails_is_a_row_with_its_last_words() -> None:
    assert "No module named" in run_job("oddwave.no_such_module", {})["error"]


def test_a_run_goes_on_where_it_stopped_and_tries_errors_again(tmp_path, monkeypatch) -> None:
    asked = []

    def told(module, job, *, num_threads):
        asked.append(job["method"])
        if len(asked) == 3:
            raise KeyboardInterrupt
        if job["method"] == "machine":
            return {"rates": {"float32": 1e9, "bfloat16": 1e9}, "bandwidth": 1e9}
        return {"error": "lost"} if len(asked) == 2 else row(0, job["method"], 1.0, preset=job["preset"])

    monkeypatch.setattr(speed, "run_job", told)
    how = {"modalities": ["image"], "presets": ["fast"], "methods": ["patch_knn"], "plan": QUICK, "num_rounds": 1}
    with pytest.raises(KeyboardInterrupt):
        run_speed(tmp_path, **how)
    table = run_speed(tmp_path, **how)
    assert asked == ["machine", "oddwave", "patch_knn", "oddwave", "patch_knn"]
    text = table.read_text()
    assert "| `patch_knn` | fast | 1 x | 1 x |" in text
    assert "lost" not in text
    assert json.loads((tmp_path / "speed.json").read_text())["machine"]["float32"] == 1e9
    run_speed(tmp_path, **how)
    assert len(asked) == 5


def test_what_is_not_installed_is_named_with_the_way_to_get_it() -> None:
    absent = type("Absent", (SpeedMethod,), {"needs": ("no_such_package",)})
    assert missing(absent) == "no_such_package not installed: pip install 'oddwave[bench]'"
    assert missing(SpeedMethod) == ""


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["speed", "--only", "nab"], "--only is for"),
        (["speed", "--jobs", "2"], "--jobs is for"),
        (["series", "--preset", "fast"], "--preset is for speed"),
        (["ablation", "--rounds", "2"], "--rounds is for speed"),
    ],
)
def test_options_of_other_benchmarks_are_refused(tmp_path, options, named) -> None:
    done = CliRunner().invoke(app, ["bench", *options, "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert named in done.output
