"""The benchmark on sound: tasks from folders, cells with pAUC, tables with a column per class, one folder for all."""

import csv
import json
import pickle
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from oddwave.cli import app
from oddwave.config import AudioConfig, preset
from oddwave.errors import ConfigError, DataError
from oddwave.lab.bench import runner
from oddwave.lab.bench.audio_methods import ClipsOfFiles
from oddwave.lab.bench.audio_tables import audio_markdown
from oddwave.lab.bench.label_metrics import audio_metrics, auroc_by_kind
from oddwave.lab.bench.methods import is_seeded, method_names, run_method
from oddwave.lab.bench.protocol import COLUMNS, AudioTask, Cell, load_tasks, modality_of
from oddwave.lab.bench.run_facts import read_run_facts
from oddwave.lab.bench.tables import write_tables
from oddwave.lab.datasets.recordings import ClipSplit
from oddwave.lab.datasets.urbansound8k import URBANSOUND8K_CLASSES
from oddwave.results import AudioResult

RATE = 16000
PITCHES_HZ = dict(zip(URBANSOUND8K_CLASSES, np.geomspace(100, 6000, 10), strict=True))


def save(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


def tone(name, seed, seconds=0.5):
    """Give a tone at the class's pitch in noise."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    wave = np.sin(2 * np.pi * PITCHES_HZ[name] * rng.uniform(0.97, 1.03) * time + rng.uniform(0, 6))
    return 0.2 * wave + 0.01 * rng.normal(size=len(time))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """UrbanSound8K with four clips of each class in folds 1 and 2, two in fold 10; DCASE with one machine."""
    root = tmp_path_factory.mktemp("data")
    rows = ["slice_file_name,fold,class"]
    for fold, num in ((1, 2), (2, 2), (10, 2)):
        for number, name in enumerate(URBANSOUND8K_CLASSES):
            for copy in range(num):
                file = f"{fold}-{number}-{copy}.wav"
                save(
                    root / "urbansound8k" / "audio" / f"fold{fold}" / file, tone(name, 100 * fold + 10 * number + copy)
                )
                rows.append(f"{file},{fold},{name}")
    (root / "urbansound8k" / "metadata").mkdir()
    (root / "urbansound8k" / "metadata" / "UrbanSound8K.csv").write_text("\n".join(rows))
    for part, label, pitch in (
        ("train", "normal", "siren"),
        ("test", "normal", "siren"),
        ("test", "anomaly", "drilling"),
    ):
        for number in range(2):
            file = f"section_00_source_{part}_{label}_{number:04d}.wav"
            save(root / "dcase" / "dev_data" / "fan" / part / file, tone(pitch, number, seconds=10))
    return root


@pytest.fixture
def siren(data):
    return load_tasks(data, ["siren"], "audio")[0]


@pytest.fixture
def out(tmp_path):
    (tmp_path / "scores").mkdir()
    return tmp_path


@pytest.fixture
def one_process(monkeypatch):
    """Run cells here instead of in spawned workers; count them."""
    seen = []

    def rows(work, jobs, num_threads, show):
        for cell, task, folder in work:
            seen.append(cell)
            yield runner.run_cell(cell, task, folder)

    monkeypatch.setattr(runner, "_rows", rows)
    return seen


def test_every_class_and_section_is_a_task(data, tmp_path):
    tasks = load_tasks(data, modality="audio")
    assert [(t.dataset, t.item, t.protocol) for t in tasks] == [
        *(("urbansound8k", name, "one_class") for name in URBANSOUND8K_CLASSES),
        ("dcase", "fan/section_00", "one_class"),
    ]
    assert [t.item for t in load_tasks(data, ["section_00", "siren"], "audio")] == ["siren", "fan/section_00"]
    with pytest.raises(ConfigError, match=r"'cat' is not there; data sets: urbansound8k, esc10, esc50, dcase, items"):
        load_tasks(data, ["cat"], "audio")
    with pytest.raises(DataError, match="no sound data set under"):
        load_tasks(tmp_path, modality="audio")


def test_esc_tables_give_ten_and_fifty_classes(tmp_path):
    rows = ["filename,fold,category,esc10"]
    for fold in range(1, 6):
        for number in range(50):
            rows.append(f"{fold}-{number}.wav,{fold},class{number:02d},{number < 10}")
            (tmp_path / "esc50" / "audio").mkdir(parents=True, exist_ok=True)
            (tmp_path / "esc50" / "audio" / f"{fold}-{number}.wav").touch()
    (tmp_path / "esc50" / "meta").mkdir()
    (tmp_path / "esc50" / "meta" / "esc50.csv").write_text("\n".join(rows))
    datasets = [task.dataset for task in load_tasks(tmp_path, modality="audio")]
    assert (datasets.count("esc10"), datasets.count("esc50")) == (10, 50)


def test_data_sets_know_their_modality():
    assert [modality_of(name) for name in ("nab", "fake", "visa", "urbansound8k", "dcase")] == [
        "series", "series", "image", "audio", "audio",
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["log_mel_knn", "frozen_knn_mel", "random"])
def test_baselines_score_every_test_recording(method, siren):
    outcome = run_method(method, siren, seed=0)
    assert outcome.scores.shape == (20,)
    assert outcome.fit_wall_s > 0
    assert outcome.settings["clip_s"] == 4.0
    if method != "random":
        assert audio_metrics(siren, outcome.scores) == pytest.approx({"auroc": 1.0, "auprc": 1.0, "pauc": 1.0})


def test_recordings_longer_than_a_clip_have_the_score_of_their_worst(tmp_path):
    whole = np.concatenate([tone("siren", seed, 4.0) for seed in range(3)])[: 10 * RATE]
    whole[9 * RATE :] = tone("drilling", 0, 1.0)
    save(tmp_path / "long.wav", whole)
    save(tmp_path / "short.wav", tone("siren", 5, 3.0))
    clips = ClipsOfFiles([tmp_path / "long.wav", tmp_path / "short.wav"], AudioConfig())
    cut = list(clips)
    assert [len(clip) for clip in cut] == [4 * RATE] * 4
    assert clips.counts == [3, 1]  # from 0, 3 and 6 s
    np.testing.assert_allclose(cut[2], whole[6 * RATE :] - whole[6 * RATE :].mean(), atol=1e-4)
    np.testing.assert_array_equal(clips.worst(np.array([0.1, 0.2, 0.9, 0.5])), [0.9, 0.5])


def test_an_unreadable_recording_is_named(tmp_path):
    save(tmp_path / "whole.wav", tone("siren", 0))
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"broken\.wav"):
        ClipsOfFiles([tmp_path / "whole.wav", tmp_path / "broken.wav"], AudioConfig())


def test_a_seed_reaches_the_methods_that_have_one(siren):
    one, same, other = (run_method("random", siren, seed).scores for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert [name for name in method_names("audio") if not is_seeded(name)] == [
        "log_mel_knn", "frozen_knn_mel", "frozen_knn",
    ]  # fmt: skip
    assert "oddwave_accurate" not in method_names("audio")
    with pytest.raises(ConfigError, match="method 'padim' does not exist; choose from oddwave, "):
        run_method("padim", siren, 0)


@dataclass
class FakeDetector:
    """The detector's two words; it gives a score of 1 to every recording that is not of class 8, the siren."""

    config: object
    error: str = ""
    num_parameters: int = 7
    seen: list = field(default_factory=list)

    def fit(self, paths):
        self.seen.append(paths)
        return self

    def score(self, paths):
        one = np.ones(1)
        found = [
            AudioResult(
                path.stem, float(path.stem.split("-")[1] != "8") * one, one, one.astype(int), 0 * one, 4.0, 0.5, RATE,
                error=self.error,
            )
            for path in paths
        ]  # fmt: skip
        return SimpleNamespace(recordings=tuple(found))


OWN = ["oddwave", "oddwave_fast", "oddwave_accurate", "oddwave_audio_pixel", "plain_ddpm_audio"]


@pytest.mark.parametrize("method", OWN)
def test_our_own_method_gets_its_settings_and_only_the_paths(method, siren, monkeypatch):
    made = []
    monkeypatch.setattr("oddwave.detector.Detector", lambda config: made.append(FakeDetector(config)) or made[-1])
    outcome = run_method(method, siren, seed=5)
    (detector,) = made
    assert detector.seen == [list(siren.split.train_paths)]
    assert (detector.config.modality, detector.config.seed) == ("audio", 5)
    network, in_pixels = detector.config.network, method in ("oddwave_audio_pixel", "plain_ddpm_audio")
    switches = {network.wavelet_pyramid, network.attention, network.shared_adapter, network.hybrid_embedding}
    assert switches == {method != "plain_ddpm_audio"}
    assert (detector.config.maps.space == "pixel") == in_pixels
    assert bool(detector.config.audio.clip_spaces) != in_pixels
    assert detector.config.maps.patch_memory != in_pixels
    assert detector.config.preset == {"oddwave_fast": "fast", "oddwave_accurate": "accurate"}.get(method, "balanced")
    if not in_pixels:
        own = preset(detector.config.preset, modality="audio", seed=5)
        assert detector.config == own.with_overrides(["audio.sample_rate=16000"])  # as the baselines hear it
    assert audio_metrics(siren, outcome.scores)["pauc"] == 1.0
    assert outcome.settings == detector.config.model_dump(mode="json")


def test_recordings_that_could_not_be_judged_are_an_error(siren, out, monkeypatch):
    monkeypatch.setattr("oddwave.detector.Detector", lambda config: FakeDetector(config, error="'x' is empty"))
    row = runner.run_cell(Cell("urbansound8k", "siren", "one_class", "oddwave", 0), siren, out)
    assert row["error"] == "DataError: 20 of 20 test items could not be judged, the first: 'x' is empty"


def test_wrong_numbers_are_errors_and_one_kind_of_label_has_no_metric(siren):
    with pytest.raises(DataError, match="3 scores for 20 recordings"):
        audio_metrics(siren, np.zeros(3))
    split = ClipSplit("x", (), (), np.zeros(2, int), ("a", "a"))
    normal = AudioTask("urbansound8k", "x", "one_class", split)
    assert audio_metrics(normal, np.zeros(2)) == {}
    assert auroc_by_kind(normal, np.zeros(2)) == {}


def test_kinds_of_anomalies_are_judged_one_by_one():
    label, kinds = np.array([0, 0, 1, 1, 1]), ("normal, source", "normal, target", "b", "a", "a")
    task = AudioTask("dcase", "fan", "one_class", ClipSplit("fan", (), (), label, kinds))
    assert auroc_by_kind(task, np.array([1.0, 2.0, 1.5, 3.0, 0.0])) == {"a": 0.5, "b": 0.5}
    assert auroc_by_kind(task, np.array([1.0, 2.0, 3.0, 0.5, 0.0])) == {"a": 0.0, "b": 1.0}


def test_a_cell_is_a_full_row_with_settings_and_surroundings_beside_it(siren, out):
    cell = Cell("urbansound8k", "siren", "one_class", "log_mel_knn", 0)
    row = runner.run_cell(*pickle.loads(pickle.dumps((cell, siren, out))))  # as a task travels to a worker
    assert tuple(row) == COLUMNS
    assert row["error"] == row["vus_pr"] == row["pixel_auroc"] == ""
    assert (row["auroc"], row["pauc"]) == ("1.0", "1.0")
    assert float(row["peak_mb"]) > 1
    assert np.load(out / "scores" / cell.file_name).shape == (20,)
    facts = json.loads((out / "scores" / cell.facts_name).read_text())
    assert facts["settings"] == {"sample_rate": 16000, "num_neighbors": 5, "clip_s": 4.0, "overlap": 0.25}
    assert facts["environment"]["versions"].keys() == {"torch", "numpy", "scipy", "scikit-learn"}
    assert (facts["num_train"], facts["num_scored"], facts["num_normal"]) == (4, 20, 2)
    assert set(facts["auroc_by_kind"]) == set(URBANSOUND8K_CLASSES) - {"siren"}


def test_all_modalities_share_a_folder_without_mixing(data, tmp_path, one_process):
    out = tmp_path / "b"
    arguments = {"modality": "audio", "only": ["siren", "drilling"], "methods": ["random"], "seeds": [0, 1]}
    rows = runner.run_benchmark(data, out, **arguments)
    assert [(r["item"], r["seed"]) for r in rows] == [(item, seed) for seed in "01" for item in ("drilling", "siren")]
    for dataset, item in (("ucr", "ECG200"), ("mvtec_ad", "screw")):
        other = {"dataset": dataset, "item": item, "protocol": "one_class", "method": "random", "seed": "0"}
        runner._append(out, dict.fromkeys(COLUMNS, "") | other)
    one_process.clear()
    assert runner.run_benchmark(data, out, **arguments) == rows
    assert one_process == []
    assert json.loads((out / "audio_environment.json").read_text())["threads_per_cell"] == 1
    table = write_tables(out, rows, [], "audio")
    assert table.name == "audio.md"
    with (out / "audio.csv").open(newline="") as file:
        assert {row["item"] for row in csv.DictReader(file)} == {"siren", "drilling"}
    known = read_run_facts(out / "audio.jsonl.gz")
    assert {"settings", "environment", "auroc_by_kind", "fit_wall_s", "seed"} <= set(known["cell"][0])
    assert isinstance(known["cell"][0]["settings"], dict)


def test_the_command_writes_the_tables(data, tmp_path, one_process):
    arguments = ["--data", str(data), "-o", str(tmp_path), "--only", "dcase", "--methods", "log_mel_knn", "--quiet"]
    done = CliRunner().invoke(app, ["bench", "audio", *arguments])
    assert done.exception is None, done.exception
    assert (done.exit_code, done.output) == (0, f"1 cells. Written: {tmp_path / 'audio.md'}\n")
    assert [(cell.item, cell.method) for cell in one_process] == [("fan/section_00", "log_mel_knn")]
    assert "| log_mel_knn | **1.000** |" in (tmp_path / "audio.md").read_text()


def row(item, method, seed=0, dataset="urbansound8k", **values):
    place = {"dataset": dataset, "item": item, "protocol": "one_class", "method": method, "seed": str(seed)}
    return dict.fromkeys(COLUMNS, "") | place | {name: str(value) for name, value in values.items()}


def test_tables_have_a_column_per_class_and_macro_means_over_all_of_them():
    rows = [
        row("siren", "oddwave", 0, auroc=0.9, pauc=0.6),
        row("drilling", "oddwave", 0, auroc=0.7, pauc=0.6),
        row("siren", "oddwave", 1, auroc=0.8, pauc=0.5),
        row("drilling", "oddwave", 1, auroc=0.6, pauc=0.7),
        row("siren", "frozen_knn", auroc=0.95),
        row("drilling", "frozen_knn", error="DataError: no luck"),
    ]
    text = audio_markdown(rows, [{"num_train": 177, "num_scored": 837, "num_normal": 83}, *[{}] * 5])
    assert "## urbansound8k: mean over 2 classes" in text
    by_class = text[text.index("## urbansound8k: AUROC") : text.index("## urbansound8k: pAUC")]
    assert "| method | macro mean | drilling | siren | cells |" in by_class
    assert "| oddwave | **0.750 ± 0.071** | **0.650 ± 0.071** | 0.850 ± 0.071 | 4 |" in by_class
    assert "| frozen_knn |  |  | **0.950** | 1 of 2 |" in by_class  # a mean over fewer classes would not compare
    assert "Train: the class's clips in folds 1 and 2." in text
    assert "| siren | 177 | 83 | 754 |" in text
    assert "Cells with an error: 1\n- urbansound8k/drilling one_class frozen_knn seed 0: DataError: no luck" in text


def test_many_classes_are_spread_over_several_tables():
    rows = [row(f"class{number:02d}", "oddwave", dataset="esc50", auroc=number / 50) for number in range(25)]
    text = audio_markdown(rows, [{}] * 25)
    for part in ("1 to 10", "11 to 20", "21 to 25"):
        assert f"## esc50: AUROC by normal class, {part} of 25" in text
    assert text.count("| oddwave | **0.240** |") == 4  # the macro mean, over all 25, stands in each
