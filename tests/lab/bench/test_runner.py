"""Cells become rows: metrics, errors that do not stop the others, and runs that go on where they stopped."""

import csv
import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError
from oddwave.lab.bench import methods as methods_module
from oddwave.lab.bench import runner
from oddwave.lab.bench.methods import METHODS, Outcome, is_seeded, run_method
from oddwave.lab.bench.protocol import COLUMNS, Cell, Task
from oddwave.lab.rivals import BASELINES


def stream_task(n=240, train=True, item="pump"):
    rng, time = np.random.default_rng(0), np.arange(2 * n)
    values = np.sin(time / 3)[:, None] + 0.05 * rng.normal(size=(2 * n, 1))
    values[n + 100 : n + 110] += 4
    label = np.zeros(n, int)
    label[100:110] = 1
    return Task("fake", item, "semi", values[:n] if train else None, values[n:], label, ((100, 109),))


def panel_task():
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(16) / 3 + rng.uniform(0, 0.3, size=(40, 1, 1))) + 0.05 * rng.normal(size=(40, 1, 16))
    waves[30:, :, 5:9] += 3
    return Task("fake", "beats", "one_class", waves[:20], waves[20:], np.repeat([0, 1], 10))


class Deadly:
    """Kills the process that it is handed to."""

    def __reduce__(self):
        return os._exit, (9,)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_killed_process_is_a_row_and_the_other_cells_run(tmp_path, monkeypatch, start):
    if start == "forkserver":  # workers forked off one process that has imported everything, not importing it each
        context = get_context(start)
        context.set_forkserver_preload([runner.__name__])
        monkeypatch.setattr(runner, "_workers", lambda jobs: ProcessPoolExecutor(jobs, context))
    killed = replace(stream_task(item="killed"), test=Deadly())
    tasks = [stream_task(), killed, stream_task(item="fan")]
    rows = runner.run_benchmark(tmp_path, tmp_path / "b", tasks=tasks, methods=["zscore"], jobs=2)
    errors = {row["item"]: row["error"] for row in rows}
    assert errors.pop("killed").startswith("BrokenProcessPool: its process was killed twice")
    assert errors == {"pump": "", "fan": ""}


def test_as_many_cells_at_once_as_cores_and_memory_hold(monkeypatch):
    monkeypatch.setattr(runner.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(runner, "available_memory_mb", lambda: 7000.0)
    assert [runner._jobs("series", 1), runner._jobs("series", 4), runner._jobs("image", 1)] == [4, 2, 2]
    monkeypatch.setattr(runner, "available_memory_mb", lambda: 100.0)
    assert runner._jobs("image", 1) == 1


@pytest.fixture
def out(tmp_path):
    (tmp_path / "scores").mkdir()
    return tmp_path


@pytest.fixture
def one_process(monkeypatch):
    """Run cells here instead of in spawned workers, which know nothing of what a test has replaced; count them."""
    seen = []

    def rows(work, jobs, num_threads, show):
        for cell, task, folder in work:
            seen.append(cell)
            yield runner.run_cell(cell, task, folder)

    monkeypatch.setattr(runner, "_rows", rows)
    monkeypatch.setattr(runner, "load_tasks", lambda root, only, modality: [stream_task(), stream_task(item="fan")])
    return seen


@pytest.mark.parametrize("method", ["zscore", "knn", "pca", "isolation_forest", "knn_max", "knn_256", "random"])
@pytest.mark.parametrize(
    "task", [stream_task(), stream_task(train=False), panel_task()], ids=["semi", "unsup", "panel"]
)
def test_baselines_score_every_test_item(method, task):
    outcome = run_method(method, task, seed=0)
    assert outcome.scores.shape == (len(task.test),)
    assert np.isfinite(outcome.scores).all()
    if method in ("knn", "knn_max", "pca", "isolation_forest", "knn_256"):
        odd = task.gt_label.astype(bool)
        assert np.median(outcome.scores[odd]) > np.median(outcome.scores[~odd])


def test_baselines_learn_from_all_once_a_held_out_part_has_standardised_them():
    task, baseline = stream_task(), BASELINES["zscore"]()
    cut = round(0.8 * len(task.train))
    usual = baseline.fit(task.train[:cut]).decision_function(task.train[cut:])
    scores = baseline.fit(task.train).decision_function(task.test)
    expected = (scores - usual.mean()) / usual.std()
    np.testing.assert_allclose(run_method("zscore", task, seed=0).scores, expected)


def test_baselines_are_standardised_by_all_of_training_where_its_held_out_part_is_at_rest():
    task = stream_task()
    train = task.train.copy()
    train[round(0.8 * len(train)) :] = train[0]
    usual = BASELINES["zscore"]().fit_predict(train)
    scores = BASELINES["zscore"]().fit(train).decision_function(task.test)
    expected = (scores - usual.mean()) / usual.std()
    np.testing.assert_allclose(run_method("zscore", replace(task, train=train), seed=0).scores, expected)


@pytest.mark.parametrize(
    "task", [stream_task(), stream_task(train=False), panel_task()], ids=["semi", "unsup", "panel"]
)
def test_our_own_method_scores_every_test_item(task, tiny_config, monkeypatch):
    monkeypatch.setattr(methods_module, "preset", lambda name, seed=0: tiny_config(f"seed={seed}", f"preset={name}"))
    outcome = run_method("oddwave_fast", task, seed=1)
    odd = task.gt_label.astype(bool)
    assert outcome.scores.shape == (len(task.test),)
    assert outcome.scores[odd].mean() > outcome.scores[~odd].mean()
    assert outcome.fit_s > 0


def test_methods_have_plain_names_and_say_whether_they_have_a_seed():
    assert all(name == name.lower() and " " not in name and "-" not in name for name in METHODS)
    assert [name for name in METHODS if not is_seeded(name)] == [
        "zscore", "knn", "pca", "one_class_svm", "lof", "matrix_profile", "knn_max", "knn_256",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="method 'lstm' does not exist; choose from oddwave, "):
        run_method("lstm", stream_task(), 0)


def test_a_cell_is_a_full_row_and_its_scores_a_file(out):
    cell = Cell("fake", "pump", "semi", "zscore", 0)
    row = runner.run_cell(cell, stream_task(), out)
    assert tuple(row) == COLUMNS
    assert all(isinstance(value, str) for value in row.values())
    assert float(row["auroc"]) > 0.9
    assert 0 <= float(row["vus_pr"]) <= 1
    assert float(row["event_f1"]) == 1.0
    assert float(row["start_error"]) <= 0.2
    assert row["pixel_auroc"] == row["error"] == ""
    assert float(row["peak_mb"]) > 1
    scores = np.load(out / "scores" / cell.file_name)
    assert (scores.shape, scores.dtype) == ((240,), np.float64)
    facts = json.loads((out / "scores" / cell.facts_name).read_text())
    assert (facts["num_train"], facts["num_scored"], facts["num_parameters"]) == (240, 240, 0)
    assert {"settings", "environment"} <= facts.keys()


def test_a_panel_has_no_volume_metrics(out):
    row = runner.run_cell(Cell("fake", "beats", "one_class", "knn", 0), panel_task(), out)
    assert float(row["auroc"]) == 1.0
    assert row["vus_pr"] == row["vus_roc"] == row["event_f1"] == row["start_error"] == ""


def test_edges_are_not_defined_where_no_event_is_found(out, monkeypatch):
    task = stream_task()
    monkeypatch.setitem(METHODS, "zscore", lambda *_: Outcome(np.ones(len(task.test)), 0.0, 0.0))
    row = runner.run_cell(Cell("fake", "pump", "semi", "zscore", 0), task, out)
    assert (row["event_f1"], row["start_error"], row["end_error"]) == ("0.0", "", "")


def test_a_table_of_an_older_version_is_read_and_goes_on(tmp_path, one_process):
    runner.run_benchmark(tmp_path, tmp_path / "b", methods=["zscore"])
    path, new = tmp_path / "b" / "results.csv", {"event_f1", "start_error", "end_error"}
    rows = runner.read_results(tmp_path / "b")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in COLUMNS if name not in new], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    old = [row | dict.fromkeys(new, "") for row in rows]
    assert runner.read_results(tmp_path / "b") == old
    one_process.clear()
    again = runner.run_benchmark(tmp_path, tmp_path / "b", methods=["zscore", "random"])
    assert [cell.method for cell in one_process] == ["random", "random"]
    assert again[:2] == old
    assert float(again[2]["event_f1"]) >= 0
    with path.open(newline="") as file:
        assert tuple(next(csv.reader(file))) == COLUMNS


def test_points_without_a_score_count_as_the_least_anomalous(out, monkeypatch):
    task = stream_task()
    scores = np.where(task.gt_label > 0, 5.0, 1.0)
    scores[:50] = np.nan
    monkeypatch.setitem(METHODS, "zscore", lambda *_: Outcome(scores, 0.0, 0.0))
    assert runner.run_cell(Cell("fake", "pump", "semi", "zscore", 0), task, out)["auroc"] == "1.0"


@pytest.mark.parametrize(
    "error", [DataError("too short\nsecond line"), KeyError("memory"), AssertionError(), MemoryError()]
)
def test_any_error_becomes_a_row_of_one_line(out, monkeypatch, error):
    def fail(name, task, seed):
        raise error

    monkeypatch.setitem(METHODS, "zscore", fail)
    row = runner.run_cell(Cell("fake", "pump", "semi", "zscore", 0), stream_task(), out)
    assert row["error"].startswith(type(error).__name__)
    assert "\n" not in row["error"]
    assert row["auroc"] == ""
    assert row["fit_s"] != ""


def test_a_wrong_number_of_scores_is_an_error_not_a_metric(out, monkeypatch):
    monkeypatch.setitem(METHODS, "zscore", lambda *_: Outcome(np.zeros(3), 0.0, 0.0))
    row = runner.run_cell(Cell("fake", "pump", "semi", "zscore", 0), stream_task(), out)
    assert row["error"] == "DataError: 3 scores for 240 labels"


def test_a_run_goes_on_where_it_stopped_and_tries_errors_again(tmp_path, one_process, monkeypatch):
    failing = {"knn"}
    knn = METHODS["knn"]

    def sometimes(name, task, seed):
        if name in failing:
            raise DataError("no luck")
        return knn(name, task, seed)

    monkeypatch.setitem(METHODS, "knn", sometimes)
    rows = runner.run_benchmark(tmp_path, tmp_path / "b", methods=["zscore", "knn"], seeds=[0])
    assert [(r["method"], r["item"], bool(r["error"])) for r in rows] == [
        ("zscore", "pump", False),
        ("zscore", "fan", False),
        ("knn", "pump", True),
        ("knn", "fan", True),
    ]
    failing.clear()
    one_process.clear()
    rows = runner.run_benchmark(tmp_path, tmp_path / "b", methods=["zscore", "knn"], seeds=[0])
    assert [(cell.method, cell.item) for cell in one_process] == [("knn", "pump"), ("knn", "fan")]
    assert len(rows) == 4
    assert not any(row["error"] for row in rows)
    one_process.clear()
    runner.run_benchmark(tmp_path, tmp_path / "b", methods=["zscore", "knn"], seeds=[0])
    assert one_process == []
    with (tmp_path / "b" / "results.csv").open(newline="") as file:
        assert tuple(next(csv.reader(file))) == COLUMNS


def test_methods_without_a_seed_run_once_and_others_once_a_seed(tmp_path, one_process):
    runner.run_benchmark(tmp_path, tmp_path / "b", methods=["zscore", "random"], seeds=[3, 4])
    pump = [(cell.method, cell.seed) for cell in one_process if cell.item == "pump"]
    assert pump == [("zscore", 3), ("random", 3), ("random", 4)]


def test_the_machine_is_written_beside_the_results(tmp_path, one_process):
    runner.run_benchmark(tmp_path, tmp_path / "b", methods=["random"], seeds=[0])
    about = json.loads((tmp_path / "b" / "environment.json").read_text())
    assert about["threads_per_cell"] == 1
    assert {"torch", "numpy", "scipy", "scikit-learn"} == set(about["versions"])


def test_wrong_methods_and_folders_are_refused_before_any_work(tmp_path, one_process):
    with pytest.raises(ConfigError, match="method 'lstm' does not exist"):
        runner.run_benchmark(tmp_path, tmp_path / "b", methods=["zscore", "lstm"])
    assert not (tmp_path / "b").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write benchmark results to .*choose another -o"):
        runner.run_benchmark(tmp_path, tmp_path / "file", methods=["zscore"])
    assert one_process == []


@pytest.mark.slow  # a worker of its own imports everything anew
def test_workers_compute_on_one_thread_and_leave_the_environment_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "load_tasks", lambda root, only, modality: [stream_task()])
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    (row,) = runner.run_benchmark(tmp_path, tmp_path / "b", methods=["zscore"], jobs=1)
    assert row["error"] == ""
    assert runner.os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in runner.os.environ
