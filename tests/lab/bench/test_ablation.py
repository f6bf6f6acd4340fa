"""The ablation: every switch changes what is computed, cells run and resume like others, deltas are what they say."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.errors import ConfigError, DataError
from oddwave.lab.bench import ablation, runner
from oddwave.lab.bench.ablation import (
    ABSENT,
    GROUNDS,
    REFERENCES,
    VARIANTS,
    ablation_tasks,
    ablation_work,
    variant_applies,
    variant_methods,
    variant_settings,
)
from oddwave.lab.bench.ablation_plots import difference_figure, write_ablation_plots
from oddwave.lab.bench.ablation_tables import ablation_markdown, bootstrap_interval, compare, write_ablation_tables
from oddwave.lab.bench.methods import is_seeded, method_names, run_method
from oddwave.lab.bench.protocol import COLUMNS, AudioTask, Task, load_tasks
from oddwave.lab.bench.run_facts import read_run_facts
from oddwave.lab.datasets.recordings import ClipSplit

PAPERS = ("no_wavelet_pyramid", "no_attention", "no_shared_adapter", "no_hybrid_embedding")
SMALL = {
    "series": (
        "training.num_steps=4",
        "training.batch_size=8",
        "training.warmup_steps=1",
        "training.learning_rate=0.02",
        "training.ema_decay=0",
        "training.num_validation_draws=8",
        "network.base_channels=8",
        "network.channel_mult=[1, 2]",
        "series.max_windows=60",
        "series.tensor_length=16",
        "series.window_sizes=[16]",
        "calibration.alpha=0.4",
    ),
    "image": (
        "training.num_steps=4",
        "training.batch_size=4",
        "training.warmup_steps=1",
        "training.learning_rate=0.02",
        "training.ema_decay=0",
        "training.num_validation_draws=2",
        "training.dtype=float32",
        "network.base_channels=8",
        "network.channel_mult=[1, 2]",
        "scoring.memory_size=50",
        "image.size_px=64",
        "maps.pixel_size_px=16",
        "maps.memory_grid=8",
        "maps.denoiser_grid=4",
        "calibration.alpha=0.4",
    ),
}


def stream_task(n=200):
    rng, time = np.random.default_rng(0), np.arange(n)
    values = np.sin(2 * np.pi * time / 16)[:, None] + 0.1 * rng.normal(size=(n, 1))
    values[120:130] += 3
    label = np.zeros(n, int)
    label[120:130] = 1
    return Task("nab", "real/nyc_taxi", "unsupervised", None, values, label, ((120, 129),))


def panel_task():
    rng = np.random.default_rng(0)
    beats = np.sin(np.arange(24) / 3 + rng.uniform(0, 0.4, size=(40, 1, 1))) + 0.05 * rng.normal(size=(40, 1, 24))
    test = beats[20:].copy()
    test[3] += 2 * rng.normal(size=(1, 24))
    return Task("ucr", "ECG200", "one_class", beats[:20], test, (np.arange(20) == 3).astype(int))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Give a folder with one category, magnetic tile, and one category that the default set leaves out."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("data")

    def save(path, values):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path)

    for folder in ("mvtec_ad/bottle", "mvtec_ad/zipper", "magnetic_tile"):
        for number in range(14):
            stripes = 120 + 40 * np.sin(np.arange(64) / 3) + rng.normal(0, 3, (64, 64))
            kind = "train/good" if number < 10 else "test/good" if number < 12 else "test/spot"
            if kind == "test/spot":
                stripes[20:32, 20:32] = 0
                mask = np.zeros((64, 64))
                mask[20:32, 20:32] = 255
                save(root / folder / "ground_truth" / "spot" / f"{number:03d}_mask.png", mask)
            save(root / folder / kind / f"{number:03d}.png", stripes)
    return root


@pytest.fixture
def small(monkeypatch):
    """Make every ground small; what a variant changes is applied after it."""
    few = {("own", "series"): ('scoring.memory_spaces=["input", "feature"]',)}
    grounds = {
        ground: {name: (*texts, *SMALL[name], *few.get((ground, name), ())) for name, texts in of.items()}
        for ground, of in GROUNDS.items()
    }
    monkeypatch.setattr(ablation, "GROUNDS", grounds)


@pytest.fixture
def one_process(monkeypatch):
    seen = []

    def rows(work, jobs, num_threads, show):
        for cell, task, folder in work:
            seen.append(cell)
            yield runner.run_cell(cell, task, folder)

    monkeypatch.setattr(runner, "_rows", rows)
    return seen


@pytest.mark.parametrize("modality", ["image", "series"])
def test_every_variant_is_there_or_has_a_reason_not_to_be(modality):
    names = [method.removeprefix("ablation/") for method in variant_methods(modality)]
    assert set(names) | set(ABSENT[modality]) == set(VARIANTS)
    assert not set(names) & set(ABSENT[modality])
    assert {*PAPERS, *REFERENCES.values()} <= set(names)


@pytest.mark.parametrize("modality", ["image", "series"])
def test_a_variant_differs_from_its_reference_in_its_own_settings_alone(modality):
    for method in variant_methods(modality):
        variant = VARIANTS[method.removeprefix("ablation/")]
        texts = variant.changes[modality]
        reference = variant_settings(REFERENCES[variant.ground], modality, 3)
        own = variant_settings(method, modality, 3)
        assert own.seed == 3
        sections = ("network", "training", "scoring", "series", "maps", "image", "reconstruction")
        different = {
            f"{name}.{key}"
            for name in sections
            for key, value in getattr(own, name).model_dump().items()
            if value != getattr(reference, name).model_dump()[key]
        }
        named = {text.partition("=")[0] for text in texts}
        assert different <= named, method
        assert different or variant.sampled or variant.name in REFERENCES.values(), method


def test_the_papers_ground_remembers_nothing_and_has_what_the_paper_has():
    image, series = (variant_settings("full", modality, 0) for modality in ("image", "series"))
    assert (image.maps.space, image.maps.patch_memory, image.maps.statistics) == ("pixel", False, False)
    assert image.training.feature_loss_weight == 1.0
    assert (series.scoring.memory_spaces, series.scoring.memory_weight) == ((), 0.0)
    for settings in (image, series):
        assert settings.training.prediction_type == "epsilon"
        switches = (settings.network.model_dump()[name.removeprefix("no_")] for name in PAPERS)
        assert all(switches)
        assert settings.scoring.num_noise_draws >= 1


def scores_of(modality, ground, task, leaving_out=()):
    """Run the variants of a ground; check that each gives one finite score per item."""
    names = [name for name, variant in VARIANTS.items() if variant.ground == ground and modality in variant.changes]
    names = [name for name in names if name not in leaving_out and variant_applies(f"ablation/{name}", task)]
    scores = {name: run_method(f"ablation/{name}", task, 0).scores for name in names}
    for own in scores.values():
        assert np.isfinite(own).all()
        assert own.shape == task.gt_label.shape
    return scores


def alike(scores, reference):
    return [n for n, own in scores.items() if n != reference and np.allclose(own, scores[reference], rtol=1e-4)]


# Longer training is the same switch as any other number of steps, and the one that costs.
LONG = ("steps_quarter", "steps_fourfold")


@pytest.mark.slow
def test_every_switch_of_the_papers_setting_changes_the_scores_of_series(small):
    scores = scores_of("series", "paper", stream_task())
    assert alike(scores, "full") == []
    assert alike({name: own for name, own in scores.items() if name.startswith("sampled")}, "sampled_50") == []


@pytest.mark.slow
def test_every_switch_of_the_papers_setting_changes_the_scores_of_images(small, data):
    scores = scores_of("image", "paper", load_tasks(data, ["bottle"], "image")[0], ("sampled_50",))
    assert alike(scores, "full") == []
    assert alike({name: own for name, own in scores.items() if name.startswith("sampled")}, "sampled_10") == []


@pytest.mark.slow
def test_every_switch_of_the_defaults_changes_the_scores_of_series(small):
    assert alike(scores_of("series", "own", stream_task(), (*LONG, "space_scalogram")), "own") == []


@pytest.mark.slow
def test_the_switches_of_the_defaults_that_cost_change_the_scores(small, data):
    assert alike(scores_of("image", "own", load_tasks(data, ["bottle"], "image")[0], ("steps_fourfold",)), "own") == []
    series = [name for name in VARIANTS if VARIANTS[name].ground == "own" and name not in ("own", "space_scalogram")]
    assert alike(scores_of("series", "own", stream_task(), series), "own") == []


def test_a_sampled_score_is_the_squared_error_of_the_reconstruction(small, data, monkeypatch):
    from oddwave.detection.series import denoiser_model
    from oddwave.lab.bench import ablation_sampled

    spot = np.zeros(200)
    spot[100] = 4.0  # in scaled units, at one point
    monkeypatch.setattr(
        denoiser_model, "reconstruct_streams", lambda _, streams: [s.values + spot[: len(s), None] for s in streams]
    )
    scores = run_method("ablation/sampled_1", stream_task(), 0).scores
    np.testing.assert_allclose(scores[93:109], 1.0, rtol=1e-5)  # 16 over the window's 16 points
    assert np.abs(np.delete(scores, slice(93, 109))).max() < 1e-9
    monkeypatch.setattr(denoiser_model, "reconstruct_streams", lambda _, streams: [s.values + s.group for s in streams])
    np.testing.assert_allclose(run_method("ablation/sampled_1", panel_task(), 0).scores, np.arange(20) ** 2, rtol=1e-4)
    monkeypatch.setattr(ablation_sampled, "_sampled_version", lambda scorer, x0: x0 - 0.5)
    outcome = run_method("ablation/sampled_1", load_tasks(data, ["bottle"], "image")[0], 0)
    np.testing.assert_allclose(outcome.scores, 0.25, rtol=1e-5)
    np.testing.assert_allclose(outcome.maps, 0.25, rtol=1e-5)


def test_errors_of_single_points_are_not_asked_of_whole_instances():
    assert not variant_applies("ablation/aggregate_point", panel_task())
    assert variant_applies("ablation/aggregate_point", stream_task())
    cells = runner._all_cells([panel_task(), stream_task()], ["ablation/aggregate_blend", "ablation/own"], [0, 1])
    assert [(cell.item, cell.method, cell.seed) for cell in cells] == [
        ("real/nyc_taxi", "ablation/aggregate_blend", 0),
        ("ECG200", "ablation/own", 0),
        ("real/nyc_taxi", "ablation/own", 0),
        ("real/nyc_taxi", "ablation/aggregate_blend", 1),
        ("ECG200", "ablation/own", 1),
        ("real/nyc_taxi", "ablation/own", 1),
    ]


def test_variants_are_methods_of_their_modality_but_no_rivals():
    assert not any(name.startswith("ablation") for m in ("series", "image", "audio") for name in method_names(m))
    assert is_seeded("ablation/full")
    nothing = ClipSplit("dog", (), (), np.zeros(0, int), ())
    assert method_names("image", ["ablation/gamma_0"]) == ("ablation/gamma_0",)
    with pytest.raises(ConfigError, match="no variant 'gamma_0' for modality 'series': the frozen network"):
        method_names("series", ["ablation/gamma_0"])
    with pytest.raises(ConfigError, match="no variant 'full' for modality 'audio'"):
        run_method("ablation/full", AudioTask("esc10", "dog", "one_class", nothing), 0)
    with pytest.raises(ConfigError, match="variant 'no_brain' does not exist; choose from full, "):
        method_names("series", ["ablation/no_brain"])


def test_named_variants_bring_what_they_are_compared_with():
    assert variant_methods("series", ["noise_low", "no_attention"]) == (
        "ablation/full",
        "ablation/no_attention",
        "ablation/own",
        "ablation/noise_low",
    )
    assert variant_methods("image", ["own"]) == ("ablation/own",)


def test_the_default_items_are_few_and_others_can_be_named(data):
    assert [task.item for task in ablation_tasks(data, "image")] == ["bottle", "magnetic_tile"]
    assert [task.item for task in ablation_tasks(data, "image", ["zipper"])] == ["zipper"]
    assert [(m, len(tasks), methods[:1]) for m, tasks, methods in ablation_work(data, None)] == [
        ("image", 2, ("ablation/full",))
    ]
    with pytest.raises(DataError, match="no series data set"):
        ablation_work(data, "series")
    with pytest.raises(ConfigError, match="'audio' has no ablation: give image or series"):
        ablation_work(data, "audio")
    with pytest.raises(ConfigError, match="variant 'no_brain' does not exist"):
        ablation_work(data, None, None, ["no_brain"])


def test_streams_of_nab_are_scored_without_labels_unless_told_otherwise(tmp_path):
    hours = np.datetime64("2014-07-01T00:00:00") + np.arange(60) * np.timedelta64(1, "h")
    (tmp_path / "nab" / "labels").mkdir(parents=True)
    window = [str(hours[20]).replace("T", " "), str(hours[25]).replace("T", " ")]
    (tmp_path / "nab" / "labels" / "combined_windows.json").write_text(json.dumps({"real/nyc_taxi.csv": [window]}))
    (tmp_path / "nab" / "data" / "real").mkdir(parents=True)
    rows = [f"{str(hour).replace('T', ' ')},{i}" for i, hour in enumerate(hours)]
    (tmp_path / "nab" / "data" / "real" / "nyc_taxi.csv").write_text("\n".join(["timestamp,value", *rows]) + "\n")
    for only, protocols in ((None, ["unsupervised"]), (["nyc_taxi"], ["unsupervised"]), (["nab/semi"], ["semi"])):
        assert [task.protocol for task in ablation_tasks(tmp_path, "series", only)] == protocols


@pytest.mark.slow
def test_the_command_runs_goes_on_and_leaves_other_tables_alone(small, data, tmp_path, one_process):
    out = tmp_path / "out"
    common = ["--data", str(data), "-o", str(out), "--only", "bottle", "-q"]
    command = ["ablation", *common, "--variants", "no_attention", "--seeds", "0,1"]
    for cells in (4, 0):
        one_process.clear()
        done = CliRunner().invoke(app, ["bench", *command], catch_exceptions=False)
        assert done.exit_code == 0
        assert f"4 cells. Written: {out}" in done.output
        assert len(one_process) == cells
    with (out / "ablation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["num_seeds"], row["num_pairs"]) for row in rows] == [
        ("full", "2", "2"),
        ("no_attention", "2", "2"),
    ]
    assert float(rows[1]["paper_delta"]) == pytest.approx(0.915 - 0.941)
    known = read_run_facts(out / "ablation.jsonl.gz")
    assert [cell["method"] for cell in known["cell"]] == ["ablation/full", "ablation/no_attention"] * 2
    assert (out / "scores").joinpath("mvtec_ad__bottle__one_class__ablation-full__0.json").exists()
    CliRunner().invoke(app, ["bench", "image", *common, "--methods", "random"], catch_exceptions=False)
    assert "ablation" not in (out / "image.md").read_text()
    assert "random" not in ablation_markdown([r for r in runner.read_results(out) if r["method"] != "random"])


def row(method, item, seed, auroc, error="", dataset="ucr"):
    values = {"dataset": dataset, "item": item, "protocol": "one_class", "method": f"ablation/{method}", "seed": seed}
    return {**dict.fromkeys(COLUMNS, ""), **values, "auroc": auroc, "error": error, "fit_s": "2", "score_s": "1"}


def test_a_delta_is_over_the_cells_that_both_have_first_over_items_then_over_seeds():
    rows = [
        *(row("full", i, s, v) for i, s, v in (("a", "0", "0.9"), ("b", "0", "0.7"), ("a", "1", "0.8"))),
        *(row("no_attention", i, s, v) for i, s, v in (("a", "0", "0.8"), ("b", "0", "0.7"), ("a", "1", "0.9"))),
        row("no_attention", "b", "1", "0.1"),  # has no partner
        row("no_attention", "c", "1", "", "DataError: no"),
        row("noise_low", "a", "0", "0.5"),  # its reference was not run at all
    ]  # fmt: skip
    full, attention, noise = compare(rows)
    assert (full.variant, full.delta, full.interval, full.num_pairs) == ("full", None, None, 3)
    assert full.auroc == pytest.approx((0.8 + 0.8) / 2)
    assert attention.delta == pytest.approx((-0.05 + 0.1) / 2)
    assert attention.delta_sd == pytest.approx(np.std([-0.05, 0.1], ddof=1))
    assert (attention.num_pairs, attention.num_items, attention.num_seeds, attention.num_errors) == (3, 2, 2, 1)
    assert attention.interval == bootstrap_interval(np.array([0.8 - 0.9, 0.7 - 0.7, 0.9 - 0.8]))
    assert attention.paper_delta == pytest.approx(0.883 - 0.919)
    assert (noise.delta, noise.interval, noise.paper_delta) == (None, None, None)


def test_the_interval_agrees_with_the_normal_one_where_that_holds():
    differences = np.random.default_rng(1).normal(0.02, 0.05, 200)
    low, high = bootstrap_interval(differences)
    half = 1.96 * differences.std(ddof=1) / np.sqrt(200)
    assert (low, high) == pytest.approx((differences.mean() - half, differences.mean() + half), abs=0.001)
    assert bootstrap_interval(differences) == (low, high)
    assert bootstrap_interval(differences[:1]) is None


def test_tables_say_what_is_sure_what_failed_and_what_is_not_there(tmp_path):
    rows = [
        *(row("full", item, "0", value) for item, value in (("a", "0.9"), ("b", "0.8"), ("c", "0.85"))),
        *(row("no_attention", item, "0", value) for item, value in (("a", "0.7"), ("b", "0.6"), ("c", "0.66"))),
        *(row("no_shared_adapter", item, "0", value) for item, value in (("a", "0.7"), ("b", "0.99"))),
        row("no_shared_adapter", "c", "0", "", "DataError: too short"),
    ]
    text = ablation_markdown(rows)
    assert "## Series, the paper's setting" in text
    adapter = next(line for line in text.splitlines() if line.startswith("| no_shared_adapter"))
    assert "| **-0.197** [-0.200, -0.190] | 0.883 | -0.036 | 2.0 | 3 | `network.attention=false` |" in text
    assert "**" not in adapter
    assert "2 (1 failed)" in text
    assert "too short" in text
    assert "- `gamma_0`: the frozen network knows images" in text
    assert "Images" not in text
    write_ablation_tables(tmp_path, [*rows, {**rows[0], "method": "knn"}])
    assert "knn" not in (tmp_path / "ablation.md").read_text()
    assert (tmp_path / "ablation.csv").read_text().count("\n") == 4


def test_the_page_draws_each_variant_against_its_reference_with_the_papers_difference(tmp_path):
    rows = [row(name, "a", seed, value) for name, value in (("full", "0.9"), ("no_attention", "0.8")) for seed in "01"]
    page = write_ablation_plots(tmp_path, [*rows, row("own", "a", "0", "0.7")]).read_text()
    assert page.count("<section") == 1  # of oddwave's own ground nothing is compared
    assert "Reference: full, AUROC 0.900." in page
    drawn = page[page.index("<section") :]
    assert "no_attention" in drawn
    assert "diamond-open" in drawn
    (bars, papers) = difference_figure(compare(rows)[1:]).data
    np.testing.assert_allclose(bars.x, [-0.1])
    assert list(papers.x) == pytest.approx([0.883 - 0.919])
