"""One contract over every baseline of every modality: little data, finite scores, a planted anomaly, saving, order.

What single kinds of baseline promise beyond it stands in tests/lab/rivals.
"""

import numpy as np
import pytest

from oddwave.lab.rivals import BASELINES, CLIP_BASELINES, IMAGE_BASELINES

FEW_STEPS = 60  # of the learned ones: enough to see a gross anomaly, seconds for all of them
FEW_EPOCHS = {"log_mel_autoencoder": {"num_epochs": 4, "batch_size": 64}}
PLANTED = 4  # the item that holds something odd


def instances(seed=0, num=40):
    """Draw instances of two channels with a smooth wave each, (num, 2, 32)."""
    rng, time = np.random.default_rng(seed), np.arange(32)
    phase = rng.uniform(0, 0.6, (num, 2, 1))
    return np.sin(time / 4 + phase) + 0.05 * rng.normal(size=(num, 2, 32))


def images(seed=0, num=8):
    """Draw images of 32 px: a soft disc on a gradient, (num, 3, 32, 32)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] / 31 - 0.5
    disc = np.tanh(8 * (0.3 - np.hypot(x, y)))
    shade = np.stack([0.5 * disc + 0.2 * x, 0.4 * disc, 0.3 * disc - 0.2 * y])
    return (shade + 0.02 * rng.normal(size=(num, 3, 32, 32))).astype(np.float32)


def clips(seed=0, num=8):
    """Draw clips of half a second: a hum and noise, (num, 8192)."""
    rng, time = np.random.default_rng(seed), np.arange(8192) / 16000
    phase = rng.uniform(0, 6, (num, 1))
    return (0.1 * np.sin(2 * np.pi * 120 * time + phase) + 0.01 * rng.normal(size=(num, 8192))).astype(np.float32)


def spoiled_instances(items):
    items[PLANTED, :, 6:26] += np.random.default_rng(9).normal(0, 8, (2, 20))
    return items


def spoiled_images(items):
    items[PLANTED, :, 8:20, 8:20] = np.where(np.indices((12, 12)).sum(0) % 4 < 2, 0.9, -0.9)
    return items


def spoiled_clips(items):
    items[PLANTED, 2000:6000] += 0.5 * np.sin(2 * np.pi * 3000 * np.arange(4000) / 16000).astype(np.float32)
    return items


KINDS = {
    "series": (BASELINES, instances, spoiled_instances),
    "images": (IMAGE_BASELINES, images, spoiled_images),
    "clips": (CLIP_BASELINES, clips, spoiled_clips),
}
ALL = [(kind, name) for kind, (baselines, _, _) in KINDS.items() for name in baselines]


def made(kind, name):
    baseline = KINDS[kind][0][name](**FEW_EPOCHS.get(name, {}))
    if hasattr(baseline, "num_steps"):
        baseline = type(baseline)(num_steps=FEW_STEPS)
    return baseline


@pytest.fixture(scope="module", params=ALL, ids=["-".join(pair) for pair in ALL])
def case(request):
    """Give (name, fitted baseline, test items with one planted anomaly, its scores)."""
    kind, name = request.param
    _, draw, spoil = KINDS[kind]
    fitted = made(kind, name).fit(draw())
    test = spoil(draw(seed=1))
    return name, fitted, test, fitted.decision_function(test)


def test_each_item_has_one_finite_score(case):
    _, _, test, scores = case
    assert (scores.shape, scores.dtype) == ((len(test),), np.float64)
    assert np.isfinite(scores).all()


def test_what_is_planted_scores_highest(case):
    name, _, _, scores = case
    if name == "random":
        pytest.skip("a random score knows nothing")
    assert int(np.argmax(scores)) == PLANTED


def test_a_saved_and_loaded_one_gives_the_same_scores(case, tmp_path):
    _, fitted, test, scores = case
    loaded = type(fitted).load(fitted.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.decision_function(test), scores)


def test_order_and_company_do_not_matter(case):
    name, fitted, test, scores = case
    if name == "random":
        pytest.skip("a random score is drawn by position")
    order = np.random.default_rng(0).permutation(len(test))
    np.testing.assert_allclose(fitted.decision_function(test[order]), scores[order], rtol=2e-4)
    np.testing.assert_allclose(fitted.decision_function(test[:1]), scores[:1], rtol=2e-4)


def test_a_second_fit_with_the_same_seed_is_the_same(request):
    for kind, name in ALL:
        if not hasattr(KINDS[kind][0][name](), "num_steps"):
            continue
        first, second = (type(made(kind, name))(num_steps=3).fit(KINDS[kind][1]()) for _ in range(2))
        test = KINDS[kind][1](seed=1)
        np.testing.assert_array_equal(first.decision_function(test), second.decision_function(test), err_msg=name)


@pytest.mark.parametrize("name", [name for name in BASELINES if hasattr(BASELINES[name](), "num_steps")])
def test_four_short_windows_are_enough_for_what_learns(name):
    train = instances(num=4)[..., :8]
    scores = BASELINES[name](num_steps=2).fit(train).decision_function(train)
    assert scores.shape == (4,)
    assert np.isfinite(scores).all()
