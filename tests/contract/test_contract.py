"""One contract over the detector and every rival, on every kind of data that each of them takes.

A score for each item, higher where something is planted, the same when asked again, after saving, in any order, alone
and from the same seed; and what cannot be read stays in its place (the detector) or is refused by its number (the
rivals, which take arrays). A member of each family runs by default, its relatives with the slow tests. What single
rivals promise beyond it stands in tests/lab/rivals, what series promise in test_series_contract.py.
"""

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.errors import DataError
from oddwave.lab.rivals import BASELINES, CLIP_BASELINES, IMAGE_BASELINES

PLANTED = 4  # the item that holds something odd
BURST = slice(150, 170)  # of a stream
RATE = 16000
TABLES = {"stream": BASELINES, "panel": BASELINES, "image": IMAGE_BASELINES, "clip": CLIP_BASELINES}
SLOW = {
    ("stream", "matrix_profile"),  # stumpy compiles for half a minute
    *(("panel", name) for name in ("autoformer", "ddad", "imdiffusion", "dte_inverse_gamma", "plain_ddpm")),
    *(("image", name) for name in ("anogan", "addm", "deco_diff", "diffusionad", "invad", "mdps", "dte_inverse_gamma")),
    *(("image", "ddad"), ("clip", "vae"), ("panel", "diffad")),
}
BUDGETS = {"log_mel_autoencoder": {"num_epochs": 4, "batch_size": 64}}
FEW_STEPS = 40  # enough to see a gross anomaly
TINY = {
    "image": (
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
    ),
    "clip": (
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
    ),
}


def is_learned(kind, name):
    return name != "oddwave" and hasattr(TABLES[kind][name], "method")


def cases(leaving_out=()):
    """Give the kinds of data with the members that take them, but for those (kind, name) or (kind, None) left out.

    pytest keeps what was fitted by its place in this list: whatever a test may leave out stands last.
    """
    found = [("streams", "oddwave"), *((kind, "oddwave") for kind in TABLES)]
    for kind, table in TABLES.items():
        found += [(kind, name) for name in table if kind != "stream" or not is_learned(kind, name)]
    found = [case for case in found if case not in leaving_out and (case[0], None) not in leaving_out]
    found.sort(key=lambda case: (case[1] == "random", case[0] == "stream"))
    return [pytest.param(case, id="-".join(case), marks=[pytest.mark.slow] * (case in SLOW)) for case in found]


def each_fitted(*leaving_out):
    return pytest.mark.parametrize("fitted", cases(leaving_out), indirect=True, scope="session")


CASES = each_fitted()


# Data


def waves(num=300, seed=0):
    """Two noisy sines of period 16, (num, 2)."""
    rng, time = np.random.default_rng(seed), np.arange(num)
    return np.stack([np.sin(2 * np.pi * time / 16 + c) + 0.1 * rng.normal(size=num) for c in range(2)], axis=1)


def instances(seed=0, num=40):
    """Instances of two channels with a smooth wave each, (num, 2, 32)."""
    rng, time = np.random.default_rng(seed), np.arange(32)
    phase = rng.uniform(0, 0.6, (num, 2, 1))
    return np.sin(time / 4 + phase) + 0.05 * rng.normal(size=(num, 2, 32))


def images(seed=0, num=8, side=32):
    """Images of a soft disc on a gradient, (num, 3, side, side), in [-1, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / (side - 1) - 0.5
    disc = np.tanh(8 * (0.3 - np.hypot(x, y)))
    shade = np.stack([0.5 * disc + 0.2 * x, 0.4 * disc, 0.3 * disc - 0.2 * y])
    return (shade + 0.02 * rng.normal(size=(num, 3, side, side))).astype(np.float32)


def clips(seed=0, num=8):
    """Clips of half a second: a hum and noise, (num, 8192)."""
    rng, time = np.random.default_rng(seed), np.arange(8192) / RATE
    phase = rng.uniform(0, 6, (num, 1))
    return (0.1 * np.sin(2 * np.pi * 120 * time + phase) + 0.01 * rng.normal(size=(num, 8192))).astype(np.float32)


def normal(kind, name, seed=0):
    if kind == "image" and name == "oddwave":
        return [(np.moveaxis(image, 0, -1) + 1) / 2 for image in images(seed, 12, 64)]
    if kind == "clip" and name == "oddwave":
        return [(clip, RATE) for clip in clips(seed, 12)]
    return {
        "stream": lambda: waves(seed=seed),
        "streams": lambda: [waves(240, seed)[:, :1], waves(280, seed + 50)[:, :1]],
        "panel": lambda: instances(seed),
        "image": lambda: images(seed),
        "clip": lambda: clips(seed),
    }[kind]()


def planted(kind, name):
    """Give data with an anomaly, and which of the scores lie in it."""
    items = normal(kind, name, seed=1)
    rng = np.random.default_rng(9)
    if kind in ("stream", "streams"):
        last = items[-1] if kind == "streams" else items
        last[BURST] += 1.5 * rng.normal(size=(20, last.shape[1]))
        before = len(items[0]) if kind == "streams" else 0
        place = np.arange(before + len(last)) - before
        return items, (place >= BURST.start) & (place < BURST.stop)
    if kind == "panel":
        items[PLANTED, :, 6:26] += rng.normal(0, 8, (2, 20))
    elif kind == "image":
        block = np.where(np.indices((12, 12)).sum(0) % 4 < 2, 0.9, -0.9)
        if name == "oddwave":
            items[PLANTED][20:32, 20:32] = (block[..., None] + 1) / 2
        else:
            items[PLANTED, :, 8:20, 8:20] = block
    else:
        samples = items[PLANTED][0] if name == "oddwave" else items[PLANTED]
        samples[2000:6000] += 0.5 * np.sin(2 * np.pi * 3000 * np.arange(4000) / RATE).astype(np.float32)
    return items, np.arange(len(items)) == PLANTED


# Members


def made(kind, name, num_steps=FEW_STEPS, config=None):
    if name == "oddwave":
        return Detector(preset("fast", {"clip": "audio"}.get(kind, kind)).with_overrides(TINY[kind]) if kind in TINY
                        else config("calibration.alpha=0.2"))  # fmt: skip
    rival = TABLES[kind][name]
    settings = dict(BUDGETS.get(name, {}))
    if is_learned(kind, name):
        settings["num_steps"] = num_steps
        if kind == "image" and rival.space == "pixel":
            settings["size_px"] = 32
    if kind == "stream" and hasattr(rival, "window_size"):
        settings["window_size"] = 16
    return rival(**settings)


class Fitted:
    """A member fitted once for all tests, with data to score and their scores."""

    def __init__(self, kind, name, config):
        self.kind, self.name, self.config = kind, name, config
        self.member = made(kind, name, config=config)
        self.member.fit(normal(kind, name))
        self.items, self.odd = planted(kind, name)
        self.scores = self.member.decision_function(self.items)


@pytest.fixture(scope="session")
def fitted(request, tiny_config):
    return Fitted(*request.param, tiny_config)


@CASES
def test_scores_are_finite_one_per_item_and_the_same_twice(fitted):
    assert (fitted.scores.shape, fitted.scores.dtype) == (fitted.odd.shape, np.float64)
    assert np.isfinite(fitted.scores).all()
    np.testing.assert_array_equal(fitted.member.decision_function(fitted.items), fitted.scores)


@each_fitted(*((kind, "random") for kind in TABLES))
def test_what_is_planted_scores_highest(fitted):
    scores, odd = fitted.scores, fitted.odd
    if fitted.kind in ("stream", "streams"):
        weak = fitted.name in ("zscore", "isolation_forest")
        assert np.median(scores[odd]) > np.quantile(scores[~odd], 0.5 if weak else 0.9)
    else:
        assert int(np.argmax(scores)) == PLANTED


@CASES
def test_a_saved_and_loaded_one_gives_the_same_scores(fitted, tmp_path):
    fitted.member.save(tmp_path / "deep" / "model")
    loaded = type(fitted.member).load(tmp_path / "deep" / "model")
    np.testing.assert_array_equal(loaded.decision_function(fitted.items), fitted.scores)


@each_fitted(("stream", None), ("panel", "random"))  # points are no items; this random score is drawn by position
def test_order_and_company_do_not_matter(fitted):
    sizes = [len(item) if fitted.kind == "streams" else 1 for item in fitted.items]
    parts = np.split(fitted.scores, np.cumsum(sizes)[:-1])
    order = np.random.default_rng(0).permutation(len(parts))
    turned = [fitted.items[i] for i in order]
    if isinstance(fitted.items, np.ndarray):
        turned = np.stack(turned)
    near = {"rtol": 1e-3, "atol": 1e-3} if fitted.name == "oddwave" else {"rtol": 2e-4}
    shuffled = fitted.member.decision_function(turned)
    np.testing.assert_allclose(shuffled, np.concatenate([parts[i] for i in order]), **near)
    alone = fitted.member.decision_function(fitted.items[1:2])
    np.testing.assert_allclose(alone, parts[1], **near)


@CASES
def test_the_same_seed_gives_the_same_scores(fitted):
    quick = is_learned(fitted.kind, fitted.name)  # two steps show it as well as all
    again = [made(fitted.kind, fitted.name, num_steps=2, config=fitted.config) for _ in range(1 + quick)]
    scores = [one.fit(normal(fitted.kind, fitted.name)).decision_function(fitted.items) for one in again]
    np.testing.assert_array_equal(scores[0], scores[1] if quick else fitted.scores)


@CASES
def test_an_unreadable_item_in_the_middle(fitted, tmp_path):
    if fitted.name == "oddwave":
        detector_keeps_its_place(fitted, tmp_path)
    else:
        items = fitted.items.copy()
        items[2] = np.nan
        with pytest.raises(DataError, match=r"NaN or infinite|2 has values that are not within"):
            fitted.member.decision_function(items)


def detector_keeps_its_place(fitted, folder):
    """What is damaged has no score, the others have theirs: a file, of arrays what holds nothing but missing values."""
    if isinstance(fitted.items, np.ndarray):
        items, gone = fitted.items.copy(), slice(217, 243) if fitted.kind == "stream" else slice(2, 3)
        if fitted.kind == "stream":
            items[200:260] = np.nan
        else:
            items[2, :, 1:] = np.nan  # with no value at all, an instance of an array is refused
        scores = fitted.member.decision_function(items)
        assert np.isnan(scores[gone]).all()
        np.testing.assert_allclose(scores[:2], fitted.scores[:2], rtol=1e-3, atol=1e-3)
        return
    for number, item in enumerate(fitted.items[:3]):
        name = folder / f"item_{number}"
        if fitted.kind == "streams":
            np.save(name.with_suffix(".npy"), item)
        elif fitted.kind == "image":
            Image.fromarray(np.uint8(255 * np.clip(item, 0, 1))).save(name.with_suffix(".png"))
        else:
            wavfile.write(name.with_suffix(".wav"), item[1], item[0])
    files = sorted(folder.iterdir())
    whole = fitted.member.score(files)
    content = files[1].read_bytes()
    files[1].write_bytes(content[:20])
    files = sorted(folder.iterdir())
    result = fitted.member.score(files)
    assert [item.id for item in result.items] == [item.id for item in whole.items]
    assert [np.isnan(item.scores).all() for item in result.items] == [n == 1 for n in range(len(files))]
    assert result.items[1].reason
    for before, after in zip(whole.items, result.items, strict=True):
        if after.label != -1:
            np.testing.assert_allclose(after.scores, before.scores, rtol=1e-3, atol=1e-3)
