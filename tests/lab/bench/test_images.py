"""The benchmark on images: tasks from folders, cells with pixel metrics, tables, one folder shared with series."""

import csv
import json
import pickle
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from oddwave.config import preset
from oddwave.errors import ConfigError, DataError
from oddwave.lab.bench import image_methods, runner
from oddwave.lab.bench.image_metrics import image_metrics
from oddwave.lab.bench.image_tables import image_markdown
from oddwave.lab.bench.label_metrics import auroc_by_kind
from oddwave.lab.bench.methods import Outcome, is_seeded, method_names, run_method
from oddwave.lab.bench.protocol import COLUMNS, Cell, load_tasks
from oddwave.lab.bench.run_facts import read_run_facts
from oddwave.lab.bench.tables import write_tables
from oddwave.results import ImageResult
from oddwave.sources.image.reader import read_images
from oddwave.tensors.image_frame import ImageFrame

SIDE = 64


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def draw_category(folder, shape=(SIDE, SIDE), num_train=12):
    """Draw stripes; `spot` has a dark square, `line` a bright row; masks cover exactly what was drawn."""
    rng = np.random.default_rng(0)

    def image():
        stripes = 120 + 40 * np.sin(np.arange(shape[1]) / 3) + rng.normal(0, 3, shape)
        return stripes.clip(0, 255).astype(np.uint8)

    for number in range(num_train):
        save(folder / "train" / "good" / f"{number:03d}.png", image())
    for number in range(4):
        save(folder / "test" / "good" / f"{number:03d}.png", image())
        for kind in ("spot", "line"):
            values, mask = image(), np.zeros(shape, np.uint8)
            part = np.s_[20:32, 8 + 10 * number : 20 + 10 * number] if kind == "spot" else np.s_[40:44, 5:50]
            values[part], mask[part] = (0, 255) if kind == "spot" else (255, 255)
            save(folder / "test" / kind / f"{number:03d}.png", values)
            save(folder / "ground_truth" / kind / f"{number:03d}_mask.png", mask)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    draw_category(root / "mvtec_ad" / "bottle")
    draw_category(root / "mvtec_ad" / "screw", num_train=3)
    draw_category(root / "magnetic_tile", shape=(SIDE, SIDE * 2))
    return root


@pytest.fixture
def bottle(data):
    return load_tasks(data, ["bottle"], "image")[0]


@pytest.fixture
def tile(data):
    return load_tasks(data, ["magnetic_tile"], "image")[0]


@pytest.fixture
def out(tmp_path):
    (tmp_path / "scores").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def small_squares(monkeypatch):
    monkeypatch.setattr(image_methods, "_SIZE_PX", SIDE)


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


def test_every_category_is_a_task(data):
    tasks = load_tasks(data, modality="image")
    assert [(t.dataset, t.item, t.protocol) for t in tasks] == [
        ("mvtec_ad", "bottle", "one_class"),
        ("mvtec_ad", "screw", "one_class"),
        ("magnetic_tile", "magnetic_tile", "one_class"),
    ]
    assert [t.item for t in load_tasks(data, ["mvtec_ad"], "image")] == ["bottle", "screw"]
    with pytest.raises(ConfigError, match=r"'spoon' is not there; data sets: mvtec_ad, magnetic_tile, visa, items"):
        load_tasks(data, ["spoon"], "image")
    with pytest.raises(DataError, match="no image data set under"):
        load_tasks(data / "mvtec_ad" / "bottle" / "test", modality="image")
    with pytest.raises(DataError, match="no series data set under"):
        load_tasks(data)


def test_magnetic_tile_alone_is_no_category_of_mvtec(data):
    (data / "elsewhere").mkdir(exist_ok=True)
    (data / "elsewhere" / "magnetic_tile").symlink_to(data / "magnetic_tile")
    assert [t.dataset for t in load_tasks(data / "elsewhere", modality="image")] == ["magnetic_tile"]


@pytest.mark.parametrize("method", ["patch_knn", "padim", "random"])
def test_baselines_judge_every_image_and_pixel(method, tile):
    outcome = run_method(method, tile, seed=1)
    assert outcome.scores.shape == (12,)
    assert {own.shape for own in outcome.maps} == {(SIDE, SIDE)}
    assert outcome.fit_s >= 0
    assert outcome.fit_wall_s > 0
    metrics = image_metrics(tile, outcome.scores, outcome.maps)
    if method == "random":
        assert abs(metrics["pixel_auroc"] - 0.5) < 0.05
    else:
        assert metrics["auroc"] > 0.9
        assert metrics["pixel_auroc"] > 0.9


def test_a_seed_reaches_the_methods_that_have_one(bottle):
    one, same, other = (run_method("random", bottle, seed).scores for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert [name for name in method_names("image") if not is_seeded(name)] == ["padim"]
    assert "oddwave_accurate" not in method_names("image")
    with pytest.raises(ConfigError, match="method 'knn' does not exist; choose from oddwave, "):
        run_method("knn", bottle, 0)


def test_bars_of_a_letterbox_are_no_part_of_a_map(tmp_path):
    draw_category(tmp_path / "magnetic_tile", shape=(SIDE, SIDE * 2))
    wide = np.full((SIDE // 2, SIDE * 2), 120, np.uint8)
    save(tmp_path / "magnetic_tile" / "train" / "good" / "wide.png", wide)
    (task,) = load_tasks(tmp_path, modality="image")
    assert {own.shape for own in run_method("padim", task, 0).maps} == {(SIDE // 2, SIDE)}


def test_framed_images_are_decoded_when_asked_for(bottle, monkeypatch):
    items = read_images(list(bottle.split.test_paths)).items
    squares = image_methods.FramedImages(items, ImageFrame(SIDE, "stretch", 1))
    assert len(squares) == 12
    np.testing.assert_array_equal(squares[2], ImageFrame(SIDE, "stretch", 1).prepare(items[2].pixels()))


@dataclass
class FakeDetector:
    """The detector's two words; its map is the true mask at half size where it has been told the paths of the task."""

    config: object
    error: str = ""
    num_parameters: int = 7
    seen: list = field(default_factory=list)

    def fit(self, paths):
        self.seen.append(paths)
        return self

    def score(self, paths):
        size = (SIDE // 2, SIDE // 2)
        one = np.ones(1)
        images = [
            ImageResult(
                path.stem, float("good" not in str(path)) * one, one, one.astype(int), size, np.full(size, 0.5),
                error=self.error,
            )
            for path in paths
        ]  # fmt: skip
        return SimpleNamespace(images=tuple(images))


@pytest.mark.parametrize("method", ["oddwave", "oddwave_fast", "oddwave_accurate", "oddwave_pixel", "plain_ddpm_pixel"])
def test_our_own_method_gets_its_settings_and_only_the_paths(method, bottle, monkeypatch):
    made = []
    monkeypatch.setattr("oddwave.detector.Detector", lambda config: made.append(FakeDetector(config)) or made[-1])
    outcome = run_method(method, bottle, seed=5)
    (detector,) = made
    assert detector.seen == [list(bottle.split.train_paths)]
    assert (detector.config.modality, detector.config.seed) == ("image", 5)
    network = detector.config.network
    switches = {network.wavelet_pyramid, network.attention, network.shared_adapter, network.hybrid_embedding}
    assert switches == {method != "plain_ddpm_pixel"}
    assert (detector.config.maps.space == "pixel") == method.endswith("pixel")
    assert detector.config.preset == {"oddwave_fast": "fast", "oddwave_accurate": "accurate"}.get(method, "balanced")
    if not method.endswith("pixel"):
        assert detector.config == preset(detector.config.preset, modality="image", seed=5)
    assert image_metrics(bottle, outcome.scores, outcome.maps)["auroc"] == 1.0


def test_images_that_could_not_be_judged_are_an_error(bottle, out, monkeypatch):
    monkeypatch.setattr("oddwave.detector.Detector", lambda config: FakeDetector(config, error="'x' is empty"))
    row = runner.run_cell(Cell("mvtec_ad", "bottle", "one_class", "oddwave", 0), bottle, out)
    assert row["error"] == "DataError: 12 of 12 test items could not be judged, the first: 'x' is empty"


def true_masks(task, height, width):
    return [task.split.gt_mask(i, height, width).astype(np.float32) for i in range(len(task.gt_label))]


def test_a_perfect_map_is_perfect_at_any_size(tile):
    scores = tile.gt_label.astype(float)
    for size in ((SIDE, SIDE * 2), (SIDE * 4, SIDE * 8)):
        metrics = image_metrics(tile, scores, true_masks(tile, *size))
        assert metrics == pytest.approx(dict.fromkeys(("auroc", "auprc", "f1_max", "pixel_auroc", "aupro"), 1.0))
    half = image_metrics(tile, scores, true_masks(tile, SIDE // 2, SIDE))
    assert 0.95 < half["aupro"] < 1.0


def test_large_images_are_judged_at_256_px(tmp_path):
    for name in ("train/good/0", "test/good/0", "test/cut/0"):
        save(tmp_path / "magnetic_tile" / f"{name}.png", np.zeros((300, 600), np.uint8))
    mask = np.zeros((300, 600), np.uint8)
    mask[:150] = 255
    save(tmp_path / "magnetic_tile" / "ground_truth" / "cut" / "0_mask.png", mask)
    (task,) = load_tasks(tmp_path, modality="image")
    own = np.zeros((128, 256), np.float32)
    own[:64] = 1
    assert image_metrics(task, np.array([1.0, 0.0]), [own, np.zeros((128, 256))])["pixel_auroc"] == 1.0


def test_wrong_numbers_are_errors_and_one_kind_of_label_has_no_metric(bottle, tmp_path):
    with pytest.raises(DataError, match="3 scores and 0 maps for 12 images"):
        image_metrics(bottle, np.zeros(3), [])
    with pytest.raises(DataError, match="12 scores and 1 maps for 12 images"):
        image_metrics(bottle, np.zeros(12), [np.zeros((4, 4))])
    draw_category(tmp_path / "magnetic_tile")
    for kind in ("spot", "line"):
        for path in (tmp_path / "magnetic_tile" / "test" / kind).iterdir():
            path.unlink()
    (task,) = load_tasks(tmp_path, modality="image")
    assert image_metrics(task, np.zeros(4), [np.zeros((4, 4))] * 4) == {}
    assert auroc_by_kind(task, np.zeros(4)) == {}


def test_kinds_of_defects_are_judged_one_by_one(bottle):
    kinds = np.array(bottle.split.kinds)
    scores = np.select([kinds == "spot", kinds == "line"], [2.0, 0.0], 1.0)
    assert auroc_by_kind(bottle, scores) == {"line": 0.0, "spot": 1.0}


def test_a_cell_is_a_full_row_with_scores_and_facts_beside_it(bottle, out):
    cell = Cell("mvtec_ad", "bottle", "one_class", "padim", 0)
    row = runner.run_cell(cell, bottle, out)
    assert tuple(row) == COLUMNS
    assert all(isinstance(value, str) for value in row.values())
    assert row["error"] == row["vus_pr"] == ""
    assert float(row["aupro"]) > 0.7
    assert float(row["peak_mb"]) > 1
    assert np.load(out / "scores" / cell.file_name).shape == (12,)
    facts = json.loads((out / "scores" / cell.facts_name).read_text())
    assert facts["f1_max"] > 0.9
    assert facts["fit_wall_s"] > 0
    assert set(facts["auroc_by_kind"]) == {"line", "spot"}
    assert facts["num_scored"] == 12


def test_series_and_images_share_a_folder_without_mixing(data, tmp_path, one_process, monkeypatch):
    out = tmp_path / "b"
    rows = runner.run_benchmark(data, out, modality="image", methods=["random"], seeds=[0, 1])
    assert [(r["item"], r["seed"]) for r in rows] == [
        (item, seed) for seed in "01" for item in ("bottle", "screw", "magnetic_tile")
    ]
    series = dict.fromkeys(COLUMNS, "") | {"dataset": "ucr", "item": "ECG200", "protocol": "one_class"}
    series |= {"method": "random", "seed": "0", "auroc": "0.5"}
    runner._append(out, series)
    one_process.clear()
    again = runner.run_benchmark(data, out, modality="image", methods=["random"], seeds=[0, 1])
    assert again == rows
    assert one_process == []
    monkeypatch.setattr(runner, "load_tasks", lambda *_: [])
    assert runner.run_benchmark(data, out, methods=["random"]) == [series]
    assert json.loads((out / "image_environment.json").read_text())["threads_per_cell"] == 1
    table = write_tables(out, rows, [], "image")
    assert table.name == "image.md"
    assert "ECG200" not in table.read_text()
    with (out / "image.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    known = read_run_facts(out / "image.jsonl.gz")
    assert {"f1_max", "auroc_by_kind"} <= set(known["cell"][0])


def test_a_task_travels_to_a_worker(bottle, out):
    cell = Cell("mvtec_ad", "bottle", "one_class", "random", 0)
    sent = pickle.loads(pickle.dumps((cell, bottle, out)))
    there, here = runner.run_cell(*sent), runner.run_cell(cell, bottle, out)
    assert (there["auroc"], there["pixel_auroc"]) == (here["auroc"], here["pixel_auroc"])


def row(item, method, seed=0, dataset="mvtec_ad", **values):
    place = {"dataset": dataset, "item": item, "protocol": "one_class", "method": method, "seed": str(seed)}
    return dict.fromkeys(COLUMNS, "") | place | {name: str(value) for name, value in values.items()}


def test_tables_show_means_deviations_kinds_and_the_paper(out):
    rows = [
        row("bottle", "oddwave", 0, auroc=0.9, aupro=0.5),
        row("bottle", "oddwave", 1, auroc=0.8, aupro=0.5),
        row("bottle", "padim", auroc=0.95, aupro=0.4),
        row("screw", "oddwave", auroc=0.7),
        row("screw", "padim", error="DataError: no luck"),
    ]
    facts = [{"f1_max": 0.6, "auroc_by_kind": {"cut": 0.4, "dent": 0.6}}, {"f1_max": 0.8}, {}, {}, {}]
    text = image_markdown(rows, facts)
    bottle = text[text.index("## mvtec_ad, bottle\n") : text.index("## mvtec_ad, screw\n")]
    assert "| method | AUROC | AUPRO | best F1 | cells |" in bottle
    assert (
        "| padim | **0.950** | 0.400 |  | 1 |\n| oddwave | 0.850 ± 0.071 | **0.500 ± 0.000** | **0.700 ± 0.141** | 2 |"
        in bottle
    )
    assert "| method | cut | dent | cells |" in bottle
    assert "## mvtec_ad: mean over 2 categories" in text
    assert "| bottle (mvtec_ad, one_class) | 0.891 / – | 0.878 / – | 0.903 / – | 0.915 / – | 0.946 / 0.850 |" in text
    assert "Cells with an error: 1\n- mvtec_ad/screw one_class padim seed 0: DataError: no luck" in text


def test_without_the_papers_categories_the_tables_say_so():
    text = image_markdown([row("magnetic_tile", "oddwave", dataset="magnetic_tile", auroc=0.9)], [{}])
    assert "Nothing to set beside it: the paper has bottle, cable" in text
    assert "## magnetic_tile\n" in text


def test_outcomes_of_series_have_no_maps():
    assert Outcome(np.zeros(2), 0.0, 0.0).maps == ()
