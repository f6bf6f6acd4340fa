"""Nothing of the test reaches the model: no statistic, no label, no item, for the detector and every baseline.

That order and company of test items do not matter stands in test_contract.py; here are streams, images, what the
benchmark does around a method, and what the loaders hand it.
"""

import hashlib
import inspect
import json
import shutil
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
import soundfile
from PIL import Image

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.lab.bench import audio_methods, image_methods, methods, own_methods, rivals
from oddwave.lab.bench.audio_methods import AUDIO_METHODS
from oddwave.lab.bench.image_methods import IMAGE_METHODS
from oddwave.lab.bench.methods import METHODS, run_method
from oddwave.lab.bench.protocol import AudioTask, ImageTask, Task, load_tasks
from oddwave.lab.datasets.images import ImageSplit
from oddwave.lab.datasets.nab import probation_end
from oddwave.lab.datasets.recordings import ClipSplit
from oddwave.lab.datasets.urbansound8k import URBANSOUND8K_CLASSES
from oddwave.lab.rivals import BASELINES, CLIP_BASELINES, IMAGE_BASELINES

BUDGET = {"num_steps": 4, "num_epochs": 2}  # scores are compared, not judged: any budget shows a leak
WINDOW = 16
EVERY = {"series": BASELINES, "images": IMAGE_BASELINES, "clips": CLIP_BASELINES}
CLASSES = [(kind, name) for kind, baselines in EVERY.items() for name in baselines]
RELATIVES = {
    *("matrix_profile", "autoformer", "ddad", "imdiffusion", "dte_inverse_gamma", "plain_ddpm"),
    *("anogan", "addm", "deco_diff", "diffusionad", "invad", "mdps", "diffad"),
    *("fast_anogan", "patch_svdd", "vae"),
}
TINY_IMAGES = (
    "training.num_steps=4",
    "training.batch_size=4",
    "training.num_validation_draws=4",
    "network.base_channels=8",
    "scoring.memory_size=100",
    "image.size_px=64",
    "maps.taps=[0]",
    "maps.memory_grid=8",
    "maps.denoiser_grid=8",
    "calibration.alpha=0.4",
)
TINY_AUDIO = (
    "audio.clip_s=0.512",
    "audio.columns=128",
    "audio.num_rows=64",
    "audio.num_background=8",
    "maps.memory_grid=8",
    "maps.denoiser_grid=8",
    "maps.taps=[0]",
    "training.num_steps=4",
    "training.batch_size=4",
    "training.num_validation_draws=4",
    "scoring.memory_size=50",
    "network.base_channels=8",
    "calibration.alpha=0.4",
)


def cheap(baselines):
    """Give the same baselines, made with a small budget; what else they are told stays."""
    own = {name: {f.name for f in fields(cls)} & set(BUDGET) for name, cls in baselines.items()}
    return {name: partial(cls, **{key: BUDGET[key] for key in own[name]}) for name, cls in baselines.items()}


def members(names):
    """Mark as slow what compiles for half a minute, and all but one of those that differ in what they learn only."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in RELATIVES)) for name in names]


# Statistics of the test data


@pytest.mark.parametrize("name", members(name for name in BASELINES if name != "random"))
def test_later_points_change_no_score_before_them(name, waves):
    windowed = "window_size" in {f.name for f in fields(BASELINES[name])}
    scorer = cheap(BASELINES)[name](**({"window_size": WINDOW} if windowed else {})).fit(waves(300))
    test = waves(240, seed=1)
    test[200:] *= 50
    whole, half = scorer.decision_function(test), scorer.decision_function(test[:120])
    reach = WINDOW - 1 if windowed else 0
    np.testing.assert_allclose(whole[: 120 - reach], half[: 120 - reach], rtol=1e-4, atol=1e-6)


def test_later_points_change_no_score_before_them_in_the_detector(tiny_config, waves):
    detector = Detector(tiny_config("calibration.alpha=0.2", f"series.window_sizes=[{WINDOW}]")).fit(waves(300))
    test = waves(240, seed=1)
    test[200:] *= 50
    whole, half = detector.decision_function(test), detector.decision_function(test[:120])
    np.testing.assert_allclose(whole[: 120 - WINDOW + 1], half[: 120 - WINDOW + 1], rtol=1e-3, atol=1e-3)


def test_half_of_the_test_images_score_the_same_in_any_order(images_of):
    good, new = images_of(range(12)), images_of(range(100, 110))
    new[2][10:40, 10:40] = 1.0
    detector = Detector(preset("fast", "image").with_overrides(TINY_IMAGES)).fit(good)
    scores = detector.decision_function(new)
    order = np.random.default_rng(0).permutation(10)[:5]
    np.testing.assert_allclose(detector.decision_function([new[i] for i in order]), scores[order], rtol=1e-4)


@pytest.fixture(scope="session")
def images_of():
    def draw(seeds):
        x = np.arange(64)
        rngs = [np.random.default_rng(seed) for seed in seeds]
        waves = (0.5 + 0.2 * np.sin(2 * np.pi * (x + rng.uniform(0, 2)) / 8) for rng in rngs)
        return [np.clip(wave + rng.normal(0, 0.02, (64, 64)), 0, 1) for wave, rng in zip(waves, rngs, strict=True)]

    return draw


@pytest.fixture
def small_budgets(monkeypatch, tiny_config):
    """Make every method of the benchmark quick, wherever it takes its budget from."""
    monkeypatch.setattr(rivals, "effort_of", lambda task: 0.01)
    monkeypatch.setattr(image_methods, "_SIZE_PX", 64)

    def small_preset(name, modality="series", **sections):
        if modality == "series":
            return tiny_config(*(f"{key}={value}" for key, value in sections.items()))
        texts = TINY_IMAGES if modality == "image" else TINY_AUDIO
        return preset("fast", modality, **sections).with_overrides(texts)

    for module in (methods, own_methods, audio_methods):
        monkeypatch.setattr(module, "preset", small_preset)


def of_its_own(table):
    """Leave out names that run the same lines as another one with another budget, and the random scores."""
    return [name for name in table if not name.startswith(("oddwave_", "plain_ddpm_")) and name != "random"]


def stream_task(waves, n=240, kind=Task):
    values, label = waves(320 + 240, seed=2), np.zeros(240, int)
    values[320 + 200 :] *= 50
    label[200:] = 1
    return kind("fake", "pump", "semi", values[:320], values[320 : 320 + n], label[:n], ((200, 239),))


def panel_task(beats, order=slice(None), kind=Task):
    items, label = (
        beats(num=60, seed=4),
        np.zeros(20, int),
    )  # with seed 3 two neighbours lie equally far, up to rounding
    items[45] += 5
    label[5] = 1
    return kind("fake", "beats", "one_class", items[:40], items[40:][order], label[order])


# Labels


ITEMS_ONLY = {"self", "items"}
ASKED = ("alpha", "threshold", "flag", "false_alarms")
SOURCE_ONLY = {"self", "explain", "source", "history", "show_progress", "checkpoint_dir", "resume", *ASKED}


@pytest.mark.parametrize(("kind", "name"), CLASSES)
def test_no_baseline_can_be_given_labels(kind, name):
    cls = EVERY[kind][name]
    for method in (cls.fit, cls.decision_function, *([cls.fit_predict] if kind == "series" else [])):
        assert set(inspect.signature(method).parameters) == ITEMS_ONLY
    assert {f.name for f in fields(cls)}.isdisjoint({"y", "label", "labels", "gt_label", "masks"})


@pytest.mark.parametrize("method", ["fit", "detect", "score", "decision_function", "predict"])
def test_the_detector_cannot_be_given_labels(method):
    assert set(inspect.signature(getattr(Detector, method)).parameters) <= SOURCE_ONLY


SECRETS = ("gt_label", "windows", "kinds", "mask_paths", "gt_mask", "has_masks")


class Secretive:
    """Hands out nothing that a method must not see."""

    def __getattribute__(self, name):
        if name in SECRETS:
            raise AssertionError(f"a method looked at {name}")
        return super().__getattribute__(name)


class SecretTask(Secretive, Task):
    pass


class SecretImages(Secretive, ImageSplit):
    pass


class SecretClips(Secretive, ClipSplit):
    pass


@pytest.mark.parametrize("name", members(of_its_own(METHODS)))
def test_no_method_looks_at_labels_of_a_stream_or_takes_a_statistic_from_it(name, waves, small_budgets):
    secret, half = stream_task(waves, kind=SecretTask), stream_task(waves, 120)
    with pytest.raises(AssertionError, match="looked at gt_label"):
        _ = secret.gt_label
    whole, half = (run_method(name, task, 0).scores for task in (secret, half))
    reach = 3 * WINDOW if name == "knn_256" else WINDOW
    np.testing.assert_allclose(whole[: 120 - reach], half[: 120 - reach], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", members(of_its_own(METHODS)))
def test_no_method_looks_at_labels_of_instances_or_takes_a_statistic_from_them(name, beats, small_budgets):
    order = np.random.default_rng(0).permutation(20)[:10]
    secret, half = panel_task(beats, kind=SecretTask), panel_task(beats, order)
    whole, half = (run_method(name, task, 0).scores for task in (secret, half))
    np.testing.assert_allclose(half, whole[order], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["oddwave", "knn", "zscore"])
def test_no_method_of_unlabelled_streams_looks_at_labels(name, waves, small_budgets):
    values, label = waves(300, seed=2), np.arange(300) > 280
    tasks = [kind("fake", "pump", "unsupervised", None, values, label.astype(int)) for kind in (Task, SecretTask)]
    scores = [run_method(name, task, 0).scores for task in tasks]
    np.testing.assert_array_equal(*scores)


def nameless(paths, folder, seed):
    """Copy files to names that say nothing, so that no folder's name gives away what is in it."""
    folder.mkdir()
    numbers = np.random.default_rng(seed).permutation(len(paths))
    return tuple(
        shutil.copy(path, folder / f"{n:03d}{path.suffix}") for n, path in sorted(zip(numbers, paths, strict=True))
    ), np.argsort(numbers)


@pytest.mark.parametrize("name", members(of_its_own(IMAGE_METHODS)))
def test_no_method_of_images_looks_at_labels_masks_or_names(name, layouts, small_budgets, tmp_path):
    (task,) = load_tasks(layouts, ["bottle"], "image")
    hidden, order = nameless(task.split.test_paths, tmp_path / "hidden", 1)
    nothing = (None,) * len(hidden)
    split = SecretImages("x", task.split.train_paths, hidden, np.zeros(len(hidden), int), nothing, ("",) * len(hidden))
    scores = run_method(name, ImageTask("fake", "x", "one_class", split), 0).scores
    np.testing.assert_allclose(scores, run_method(name, task, 0).scores[order], rtol=1e-4)


@pytest.mark.parametrize("name", members(of_its_own(AUDIO_METHODS)))
def test_no_method_of_audio_looks_at_labels_or_names(name, layouts, small_budgets, tmp_path):
    (task,) = load_tasks(layouts, ["siren"], "audio")
    hidden, order = nameless(task.split.test_paths, tmp_path / "hidden", 1)
    split = SecretClips("x", task.split.train_paths, hidden, np.zeros(len(hidden), int), ("",) * len(hidden))
    scores = run_method(name, AudioTask("fake", "x", "one_class", split), 0).scores
    np.testing.assert_allclose(scores, run_method(name, task, 0).scores[order], rtol=1e-4, atol=1e-5)


# Items


@pytest.fixture(scope="module")
def layouts(tmp_path_factory, images_of):
    """Every layout that a benchmark reads, each file with contents of its own."""
    root = tmp_path_factory.mktemp("layouts")
    seeds = iter(range(10_000))

    def image(path, odd=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        values = 255 * images_of([next(seeds)])[0]
        values[20:40, 20:40] = 0 if odd else values[20:40, 20:40]
        Image.fromarray(values.astype(np.uint8)).save(path)

    for folder in (root / "mvtec_ad" / "bottle", root / "magnetic_tile"):
        for number in range(16):
            part = "train/good" if number < 12 else "test/good" if number < 14 else "test/hole"
            image(folder / part / f"{number:03d}.png", odd=part == "test/hole")
            if part == "test/hole":
                image(folder / "ground_truth" / "hole" / f"{number:03d}_mask.png")
    rows = ["object,split,label,image,mask"]
    for number, (split, label) in enumerate((("train", "normal"), ("test", "normal"), ("test", "anomaly"))):
        names = [f"candle/Data/Images/{number}.png", f"candle/Data/Masks/{number}.png"]
        for name in names:
            image(root / "visa" / name)
        rows.append(f"candle,{split},{label},{names[0]},{names[1] if label == 'anomaly' else ''}")
    (root / "visa" / "split_csv").mkdir()
    (root / "visa" / "split_csv" / "1cls.csv").write_text("\n".join(rows) + "\n")
    _draw_audio(root, seeds)
    _draw_series(root)
    return root


def _draw_audio(root, seeds):
    def audio(path, category=0):
        path.parent.mkdir(parents=True, exist_ok=True)
        rng, time = np.random.default_rng(next(seeds)), np.arange(8192) / 16000
        wave = 0.2 * np.sin(2 * np.pi * 150 * (category + 1) * time + rng.uniform(0, 6))
        soundfile.write(path, wave + 0.01 * rng.normal(size=8192), 16000)

    rows, esc = ["slice_file_name,fsID,fold,class"], ["filename,fold,target,category,esc10"]
    for fold in range(1, 11):
        for number, name in enumerate(URBANSOUND8K_CLASSES):
            for copy in range(6 if fold in (1, 2) and name == "siren" else 1):
                file = f"{fold}{number}-{number}-0-{copy}.wav"
                rows.append(f"{file},{fold}{number},{fold},{name}")
                if fold in (1, 2, 10):
                    audio(root / "urbansound8k" / "audio" / f"fold{fold}" / file, number)
    for fold in range(1, 6):
        for number, name in enumerate(("dog", "rain")):
            esc.append(f"{fold}-{number}.wav,{fold},{number},{name},True")
            audio(root / "esc50" / "audio" / f"{fold}-{number}.wav", number)
    for folder, table in (("urbansound8k/metadata/UrbanSound8K.csv", rows), ("esc50/meta/esc50.csv", esc)):
        (root / folder).parent.mkdir(parents=True, exist_ok=True)
        (root / folder).write_text("\n".join(table) + "\n")
    for part, label in (("train", "normal"), ("test", "normal"), ("test", "anomaly")):
        for number in range(2):
            audio(root / "dcase" / "dev_data" / "fan" / part / f"section_00_source_{part}_{label}_{number:04d}.wav")


def _draw_series(root):
    rng = np.random.default_rng(0)
    times = np.datetime64("2014-07-01T00:00:00") + np.arange(200) * np.timedelta64(1, "h")
    shown = [str(time).replace("T", " ") for time in times]
    for folder in ("nab/labels", "nab/data/real", "ucr/ECG200", "msl/data/train", "msl/data/test"):
        (root / folder).mkdir(parents=True)
    (root / "nab/labels/combined_windows.json").write_text(json.dumps({"real/taxi.csv": [[shown[90], shown[99]]]}))
    lines = [f"{time},{value}" for time, value in zip(shown, rng.normal(size=200), strict=True)]
    (root / "nab/data/real/taxi.csv").write_text("\n".join(["timestamp,value", *lines]) + "\n")
    for part in ("TRAIN", "TEST"):
        lines = ["\t".join(map(str, (label, *rng.normal(size=8)))) for label in (1, -1, 1)]
        (root / f"ucr/ECG200/ECG200_{part}.tsv").write_text("\n".join(lines) + "\n")
    (root / "msl/labeled_anomalies.csv").write_text(
        'chan_id,spacecraft,anomaly_sequences,class,num_values\nT-2,MSL,"[[2, 4]]",[point],10\n'
    )
    for part, length in (("train", 6), ("test", 10)):
        np.save(root / f"msl/data/{part}/T-2.npy", rng.normal(size=(length, 2)))


def contents(paths):
    return {hashlib.sha256(path.read_bytes()).digest() for path in paths}


@pytest.mark.parametrize(
    ("modality", "datasets"),
    [("image", {"mvtec_ad", "magnetic_tile", "visa"}), ("audio", {"urbansound8k", "esc10", "esc50", "dcase"})],
)
def test_no_file_is_trained_on_and_tested(layouts, modality, datasets):
    tasks = load_tasks(layouts, None, modality)
    assert {task.dataset for task in tasks} == datasets
    for task in tasks:
        train, test = task.split.train_paths, task.split.test_paths
        assert len(set(train)) == len(train) > 0
        assert len(set(test)) == len(test) > 0
        assert not {path.resolve() for path in train} & {path.resolve() for path in test}
        assert not contents(train) & contents(test)


def test_no_point_or_instance_is_trained_on_and_tested(layouts):
    tasks = [task for task in load_tasks(layouts) if task.train is not None]
    assert {task.dataset for task in tasks} == {"nab", "ucr", "msl"}
    for task in tasks:
        assert not np.shares_memory(task.train, task.test)
        assert not {row.tobytes() for row in task.train} & {row.tobytes() for row in task.test}


def test_nab_trains_on_its_probationary_part_and_on_no_more(layouts):
    whole, semi = load_tasks(layouts, ["nab"])
    head = probation_end(len(whole.test))
    assert head == 30  # 15 %
    np.testing.assert_array_equal(semi.train, whole.test[:head])
    np.testing.assert_array_equal(semi.test, whole.test[head:])
    assert whole.train is None


def test_folds_of_audio_are_kept_apart(layouts):
    for task in load_tasks(layouts, ["urbansound8k"], "audio"):
        train, test = (
            [path.name.split("-")[0] for path in part] for part in (task.split.train_paths, task.split.test_paths)
        )
        assert {path.parent.name for path in task.split.train_paths} == {"fold1", "fold2"}
        assert {path.parent.name for path in task.split.test_paths} == {"fold10"}
        assert not set(train) & set(test)  # recordings that clips were cut from
    for task in load_tasks(layouts, ["esc50"], "audio"):
        assert {path.name[0] for path in task.split.train_paths} == set("1234")
        assert {path.name[0] for path in task.split.test_paths} == {"5"}
