"""The quick benchmark: few items, thinned, under protocols of their own."""

from pathlib import Path

import numpy as np

from oddwave.config import preset
from oddwave.lab.bench.protocol import AudioTask, ImageTask, Task
from oddwave.lab.bench.quick import QUICK_EFFORT, at_effort, effort_of, quick_tasks
from oddwave.lab.bench.rivals import make_baseline
from oddwave.lab.datasets.images import ImageSplit
from oddwave.lab.datasets.recordings import ClipSplit
from oddwave.lab.rivals import BASELINES, CLIP_BASELINES


def paths(stem, num):
    return tuple(Path(f"{stem}{i:03d}.png") for i in range(num))


def audio(name, num_normal=40, num_odd=400):
    label = np.array([0] * num_normal + [1] * num_odd)
    kinds = tuple("own" if not own else "other" for own in label)
    return AudioTask("urbansound8k", name, "one_class", ClipSplit(name, paths("a", 200), paths("b", 440), label, kinds))


def images(num_normal=3, num_odd=90):
    label = np.array([1] * num_odd + [0] * num_normal)
    masks = tuple(Path(f"mask{i}.png") if own else None for i, own in enumerate(label))
    kinds = tuple("hole" if own else "good" for own in label)
    split = ImageSplit("screw", paths("a", 30), paths("b", num_normal + num_odd), label, kinds, masks)
    return ImageTask("mvtec_ad", "screw", "one_class", split)


def stream(name, points, ends=()):
    values = np.arange(points, dtype=float)[:, None]
    return Task("nab", name, "semi", values[:50], values, np.zeros(points, int), test_ends=ends)


def test_a_quick_task_has_a_quarter_of_the_training_and_the_seed():
    (quick,) = quick_tasks([stream("pump", 60)])
    learned, forest = (make_baseline(BASELINES[name], quick, seed=7) for name in ("vae", "isolation_forest"))
    assert (learned.num_steps, learned.seed, forest.seed) == (BASELINES["vae"].method.num_steps // 4, 7, 7)
    assert make_baseline(BASELINES["vae"], stream("pump", 60), seed=7).num_steps == 0  # the method's own
    assert make_baseline(CLIP_BASELINES["log_mel_autoencoder"], quick, seed=0).num_epochs == 8
    own = preset("balanced")
    assert at_effort(own, quick).training.num_steps == round(own.training.num_steps / 4)
    assert at_effort(own, stream("pump", 60)) == own
    seen = at_effort(preset("balanced", "image"), quick).maps
    assert (seen.memory_grid, seen.denoiser_grid) == (32, 16)


def test_two_items_of_a_data_set_stay_and_half_of_the_test_items_are_normal():
    tasks = quick_tasks([audio(name) for name in "abcdef"])
    assert [task.item for task in tasks] == ["a", "d"]
    assert [len(task.split.train_paths) for task in tasks] == [64, 64]
    assert [np.bincount(task.gt_label).tolist() for task in tasks] == [[32, 32], [32, 32]]


def test_labels_masks_and_kinds_stay_with_their_images():
    (task,) = quick_tasks([images()])
    assert len(task.split.train_paths) == 30
    assert np.bincount(task.gt_label).tolist() == [3, 61]
    for path, label, mask, kind in zip(
        task.split.test_paths, task.gt_label, task.split.mask_paths, task.split.kinds, strict=True
    ):
        number = int(path.stem[1:])
        assert (number < 90) == bool(label)
        assert mask == (Path(f"mask{number}.png") if label else None)
        assert kind == ("hole" if label else "good")


def test_long_and_joint_series_are_left_out_and_the_others_stay_whole():
    tasks = quick_tasks([stream("long", 9000), stream("short", 300), stream("joint", 400, (200, 400))])
    assert [(task.item, len(task.test)) for task in tasks] == [("short", 300)]


def test_quick_rows_have_protocols_and_an_effort_of_their_own():
    whole = images()
    (quick,) = quick_tasks([whole])
    assert (whole.protocol, quick.protocol) == ("one_class", "one_class-quick")
    assert (effort_of(whole), effort_of(quick)) == (1.0, QUICK_EFFORT)
