"""One contract over every baseline of sound: scores of clips saved, shuffled, alone, and with something planted."""

import numpy as np
import pytest

from oddwave.lab.rivals import CLIP_BASELINES, ClipBaseline

RATE, LENGTH = 16000, 8192
FEW_EPOCHS = {"log_mel_autoencoder": {"num_epochs": 4, "batch_size": 64}}
PLAIN = [
    name for name in CLIP_BASELINES if not hasattr(CLIP_BASELINES[name], "method")
]  # the others: test_baseline_contract.py
LEARNING = [name for name in PLAIN if name != "random"]


def hum(num, seed=0, length=LENGTH):
    """Draw clips of a motor: three harmonics of about 120 Hz, and noise, (num, length)."""
    rng, time = np.random.default_rng(seed), np.arange(length) / RATE
    pitch, phase = rng.normal(120, 1, (num, 1)), rng.uniform(0, 6, (num, 3, 1))
    tones = sum(np.sin(2 * np.pi * k * pitch * time + phase[:, k - 1]) / k for k in (1, 2, 3))
    return (0.1 * tones + 0.01 * rng.normal(size=(num, length))).astype(np.float32)


@pytest.fixture(scope="module")
def squealing():
    """Eighteen further clips, so two batches; a 3 kHz squeal lies in the second half of clip 7."""
    clips = hum(18, seed=1)
    time = np.arange(LENGTH // 2) / RATE
    clips[7, LENGTH // 2 :] += (0.1 * np.sin(2 * np.pi * 3000 * time)).astype(np.float32)
    return clips


@pytest.fixture(scope="module")
def fitted():
    return {
        name: baseline(**FEW_EPOCHS.get(name, {})).fit(hum(12))
        for name, baseline in CLIP_BASELINES.items()
        if name in PLAIN
    }


@pytest.fixture(params=PLAIN)
def name(request):
    return request.param


def test_the_dict_names_each_class_by_its_own_name(name):
    assert CLIP_BASELINES[name].name == name
    assert issubclass(CLIP_BASELINES[name], ClipBaseline)


def test_one_finite_score_per_clip_and_the_same_twice(name, fitted, squealing):
    scores = fitted[name].decision_function(squealing)
    assert (scores.shape, scores.dtype) == ((18,), np.float64)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(fitted[name].decision_function(squealing), scores)


@pytest.mark.parametrize("name", LEARNING)
def test_a_planted_squeal_scores_highest(name, fitted, squealing):
    assert int(np.argmax(fitted[name].decision_function(squealing))) == 7


def test_a_clip_scores_the_same_in_any_order_and_alone(name, fitted, squealing):
    scores = fitted[name].decision_function(squealing)
    order = np.random.default_rng(0).permutation(len(squealing))
    np.testing.assert_allclose(fitted[name].decision_function(squealing[order]), scores[order], rtol=1e-4)
    alone = [fitted[name].decision_function(squealing[i : i + 1])[0] for i in (3, 7)]
    np.testing.assert_allclose(alone, scores[[3, 7]], rtol=1e-4)


def test_a_second_fit_on_clips_that_come_one_by_one_gives_the_same(name, fitted, squealing):
    again = CLIP_BASELINES[name](**FEW_EPOCHS.get(name, {})).fit(clip for clip in hum(12))
    np.testing.assert_array_equal(
        again.decision_function(iter(squealing[:8])), fitted[name].decision_function(squealing[:8])
    )


def test_a_loaded_baseline_gives_the_same_scores_to_the_last_bit(name, fitted, squealing, tmp_path):
    folder = fitted[name].save(tmp_path / "deep" / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["arrays.safetensors", "baseline.json"]
    loaded = CLIP_BASELINES[name].load(folder)
    np.testing.assert_array_equal(loaded.decision_function(squealing), fitted[name].decision_function(squealing))


def test_one_clip_and_silence_can_be_learned(name):
    quiet = np.zeros((3, LENGTH), np.float32)
    for normal in (hum(1), quiet):
        baseline = CLIP_BASELINES[name](**FEW_EPOCHS.get(name, {})).fit(normal)
        assert np.isfinite(baseline.decision_function(np.concatenate([hum(2, seed=2), quiet]))).all()
