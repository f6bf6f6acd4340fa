"""What adding healthy data promises, of every modality: a new kind is known, little else changes, all is saved."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.errors import DataError, NotFittedError

KINDS = ("stream", "panel", "image", "audio")
RATE = 16000
MEMORY = {"stream": 500, "panel": 40}  # enough for the windows of one fit, too few for those of two more
TINY = {
    "image": (
        "training.num_steps=4",
        "training.batch_size=4",
        "training.num_validation_draws=4",
        "network.base_channels=8",
        "scoring.memory_size=400",
        "image.size_px=64",
        "maps.taps=[0]",
        "maps.memory_grid=8",
        "maps.denoiser_grid=8",
        "calibration.alpha=0.3",
    ),
    "audio": (
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
        "scoring.memory_size=400",
        "network.base_channels=8",
        "calibration.alpha=0.3",
    ),
}


def normals(kind, num=14, seed=0, new=False):
    """Healthy data, and with `new` those of a kind that the model has not seen."""
    rng = np.random.default_rng(seed)
    if kind == "stream":
        time = np.arange(22 * num)
        wave = np.sign(np.sin(2 * np.pi * time / 8)) if new else np.sin(2 * np.pi * time / 16)
        return (wave + 0.1 * rng.normal(size=len(time)))[:, None] * [[1.0, 0.7]]
    if kind == "panel":
        time = np.arange(32)
        wave = np.sin((time if new else time / 4) + rng.uniform(0, 0.6, (2 * num, 2, 1)))
        return wave + 0.05 * rng.normal(size=(2 * num, 2, 32))
    if kind == "image":
        y, x = np.mgrid[:64, :64] / 63 - 0.5
        shape = np.sign(np.sin(40 * x)) if new else np.tanh(8 * (0.3 - np.hypot(x, y)))
        return [np.clip(0.5 + 0.3 * (shape + 0.05 * rng.normal(size=(64, 64))), 0, 1)[..., None] for _ in range(num)]
    time = np.arange(8192) / RATE
    tone = 2500 if new else 120
    return [
        ((0.1 * np.sin(2 * np.pi * tone * time + rng.uniform(0, 6)) + 0.01 * rng.normal(size=8192)).astype("f4"), RATE)
        for _ in range(num)
    ]


def levels(detector, source):
    scores = detector.decision_function(source)
    return scores[np.isfinite(scores)]


@pytest.fixture(scope="module", params=KINDS)
def fitted(request, tmp_path_factory, tiny_config):
    """A saved model of each kind; tests load it, and change what they loaded."""
    kind = request.param
    if kind in TINY:
        config = preset("fast", kind).with_overrides(TINY[kind])
    else:
        config = tiny_config("calibration.alpha=0.2", f"scoring.memory_size={MEMORY[kind]}")
    folder = tmp_path_factory.mktemp(kind) / "model"
    Detector(config).fit(normals(kind)).save(folder)
    return kind, folder


def test_a_new_kind_is_known_afterwards_and_the_old_one_still_is(fitted, tmp_path):
    kind, folder = fitted
    detector = Detector.load(folder)
    old, new = normals(kind, 4, seed=5), normals(kind, 4, seed=6, new=True)
    before = levels(detector, old), levels(detector, new)
    flagged = np.mean(np.ma.filled(detector.predict(new, alpha=0.1), 0) == 1)
    assert flagged > 0.5
    num_scores = len(detector.calibration.scores)
    with pytest.warns(UserWarning, match="score as anomalous at alpha .* they are added as you allow it"):
        added = detector.add(normals(kind, seed=7, new=True), allow_flagged=True)
    after = levels(detector, old), levels(detector, new)
    assert after[1].mean() < before[1].mean() - 0.1 * before[1].std()
    assert np.mean(np.ma.filled(detector.predict(new, alpha=0.1), 0) == 1) < flagged
    np.testing.assert_allclose(after[0].mean(), before[0].mean(), atol=0.25 * (before[1].mean() - before[0].mean()))
    assert len(detector.calibration.scores) - num_scores == added.num_calibration > 0
    assert added.num_remembered > 0
    assert added.left_out == {}
    loaded = Detector.load(detector.save(tmp_path / "deep" / "model"))
    np.testing.assert_array_equal(levels(loaded, new), after[1])
    assert loaded.meta["added"] == detector.meta["added"]
    assert loaded.threshold_ == detector.threshold_


def test_what_scores_as_anomalous_is_named_and_left_out(fitted):
    kind, folder = fitted
    detector = Detector.load(folder)
    if kind == "stream":
        source = normals(kind, seed=8)
        source[150:190] += 3 * np.random.default_rng(1).normal(size=(40, 2))
        name = "series"
    elif kind == "panel":
        source = normals(kind, seed=8)
        source[3] += 3 * np.random.default_rng(1).normal(size=(2, 32))
        name = None
    else:
        source = [*normals(kind, 3, seed=8), *normals(kind, 1, seed=8, new=True)]
        name = "_0003"
    before = detector.decision_function(source)
    with pytest.warns(UserWarning, match=r"left out.*--allow-flagged"):
        added = detector.add(source)
    assert any("anomalous" in reason for reason in added.left_out.values())
    assert name is None or any(name in item for item in added.left_out)
    assert added.num_items > 0
    odd = slice(155, 185) if kind == "stream" else 3
    assert np.nanmean(detector.decision_function(source)[odd]) > 0.7 * np.nanmean(before[odd])  # it was not learnt


def test_nothing_to_add_is_refused_and_changes_nothing(fitted):
    kind, folder = fitted
    detector = Detector.load(folder)
    meta, scores = json.dumps(detector.meta), detector.calibration.scores
    with pytest.raises(DataError, match="these very data were learnt from"):
        detector.add(normals(kind))
    with pytest.raises(DataError):
        detector.add(np.zeros((0, 2)) if kind in ("stream", "panel") else [])
    if kind != "stream":
        with pytest.warns(UserWarning, match="allow_flagged"), pytest.raises(DataError, match=r"none of the .* can be"):
            detector.add(normals(kind, 3, seed=9, new=True))
    assert json.dumps(detector.meta) == meta
    assert detector.calibration.scores is scores


def test_data_of_another_shape_are_refused(fitted):
    kind, folder = fitted
    detector = Detector.load(folder)
    wrong = {
        "stream": lambda: normals("stream", seed=3)[:, :1],
        "panel": lambda: normals("panel", seed=3)[:, :1],
        "image": lambda: ["no/such/image.png"],
        "audio": lambda: ["no/such/sound.wav"],
    }[kind]()
    with pytest.raises(DataError):
        detector.add(wrong)
    with pytest.raises(NotFittedError):
        Detector(detector.config).add(normals(kind))


@pytest.mark.parametrize("kind", ["image", pytest.param("audio", marks=pytest.mark.slow)])
def test_an_item_that_cannot_be_read_or_is_known_is_skipped_with_the_reason(kind, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for number, item in enumerate(normals(kind, 16)):
        if kind == "image":
            Image.fromarray(np.uint8(255 * item[..., 0])).save(folder / f"item_{number:02d}.png")
        else:
            wavfile.write(folder / f"item_{number:02d}.wav", item[1], item[0])
    files = sorted(folder.iterdir())
    detector = Detector(preset("fast", kind).with_overrides(TINY[kind])).fit(files[:13])
    files[13].write_bytes(files[13].read_bytes()[:30])
    meta = dict(detector.meta)
    added = detector.add(files[12:], allow_flagged=True) if not _odd(detector, files[14:]) else _added(detector, files)
    assert sorted(added.left_out) == sorted(item for item in added.left_out if "12" in item or "13" in item)
    assert added.num_items == 2
    assert [reason for item, reason in added.left_out.items() if "12" in item] == ["was learnt from before"]
    count = "num_train_images" if kind == "image" else "num_train_recordings"
    assert detector.meta[count] > meta[count]
    assert detector.meta["added"][0]["num_left_out"] == 2


def _odd(detector, files):
    return detector.score(files).labels.any()


def _added(detector, files):
    with pytest.warns(UserWarning, match="as you allow it"):
        return detector.add(files[12:], allow_flagged=True)


def test_the_memory_stays_within_its_bound(fitted):
    kind, folder = fitted
    detector = Detector.load(folder)
    size = detector.config.scoring.memory_size
    for seed in (11, 12):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            detector.add(normals(kind, seed=seed, new=seed == 12), allow_flagged=True)
    model = detector.inner.model
    if kind in MEMORY:
        held = [own.memory.windows for own in model.sizes]
        held += [space.vectors for own in model.sizes for space in own.spaces.values()]
        assert max(map(len, held)) == size  # more were added than it holds
    else:
        held = [model.learnt.memory.vectors if kind == "image" else model.terms.learnt["memory"].vectors]
    assert all(len(vectors) <= size for vectors in held)
    assert len(detector.meta["added"]) == 2
    assert detector.calibration.source.count("data added since") == 1
