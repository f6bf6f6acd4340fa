"""What the baselines of sound compute, against a plain way to compute it, and what they refuse."""

import numpy as np
import pytest
import torch

from oddwave.errors import CheckpointError, ConfigError, DataError, NotFittedError, ShapeError
from oddwave.lab.rivals import CLIP_BASELINES, FrozenKNN, FrozenMelKNN, LogMelAutoencoder, LogMelKNN, RandomClips
from oddwave.nets.perceptual import load_perceptual
from oddwave.tensors.audio_map import AudioMap

LENGTH = 8192


def noise(num, seed=0, length=LENGTH):
    rng = np.random.default_rng(seed)
    return (0.05 * rng.normal(size=(num, length)) * rng.uniform(0.2, 1, (num, 1))).astype(np.float32)


def levels(clips, transform="stft-mel"):
    return AudioMap(clip_samples=LENGTH, transform=transform).levels_db(torch.from_numpy(clips)).numpy()


def mean_of_nearest(known, asked, k):
    return [np.sort([np.linalg.norm(a - r) for r in known])[:k].mean() for a in asked]


def test_log_mel_neighbours_are_those_of_means_and_deviations():
    train, test = noise(9), noise(4, seed=1)
    known, asked = (np.hstack([levels(x).mean(2), levels(x).std(2)]).astype(float) for x in (train, test))
    unit = known.std(0)
    expected = mean_of_nearest(known / unit, asked / unit, 3)
    np.testing.assert_allclose(LogMelKNN(num_neighbors=3).fit(train).decision_function(test), expected, rtol=1e-5)


@pytest.mark.parametrize(("baseline", "transform"), [(FrozenKNN, "cwt"), (FrozenMelKNN, "stft-mel")])
def test_frozen_neighbours_are_those_of_pooled_features_of_the_map(baseline, transform):
    train, test, network = noise(7), noise(3, seed=1), load_perceptual("efficientnet_lite0")

    def pooled(clips):
        x = torch.from_numpy(((levels(clips, transform) + 65) / 45).clip(-1, 1))[:, None]
        with torch.inference_mode():
            return np.hstack([tap.flatten(2).mean(2).numpy() for tap in network(x)]).astype(float)

    known = pooled(train)
    assert known.shape == (7, 24 + 40 + 112)
    expected = mean_of_nearest(known, pooled(test), 5)
    np.testing.assert_allclose(baseline().fit(train).decision_function(test), expected, rtol=1e-4)


def test_fewer_clips_than_neighbours_are_all_neighbours():
    two = LogMelKNN().fit(noise(2)).decision_function(noise(1, seed=1))
    np.testing.assert_array_equal(LogMelKNN(num_neighbors=2).fit(noise(2)).decision_function(noise(1, seed=1)), two)


def test_the_autoencoder_has_the_widths_of_its_form_and_scores_by_its_error():
    train, test = noise(6), noise(3, seed=1)
    baseline = LogMelAutoencoder(num_epochs=2, batch_size=256).fit(train)
    arrays = baseline._arrays()
    widths = [arrays[key].shape for key in arrays if key.endswith("weight") and arrays[key].ndim == 2]
    inner = [(128, 128)] * 3
    assert widths == [(128, 640), *inner, (8, 128), (128, 8), *inner, (640, 128)]
    frames = levels(train)[:, :, ::2]
    np.testing.assert_allclose(arrays["scale"], [frames.mean(), frames.std()], rtol=1e-4)
    asked = (levels(test)[:, :, ::2] - arrays["scale"][0]) / arrays["scale"][1]
    stacked = np.stack([asked[:, :, t : t + 5].reshape(3, -1) for t in range(128 - 4)], 1).astype(np.float32)
    with torch.inference_mode():
        made = baseline._network(torch.from_numpy(stacked).flatten(0, 1)).reshape(3, 124, 640).numpy()
    np.testing.assert_allclose(baseline.decision_function(test), ((made - stacked) ** 2).mean((1, 2)), rtol=1e-4)


def test_the_autoencoder_learns_and_its_seed_counts():
    train = noise(4)
    short, long, other = (
        LogMelAutoencoder(num_epochs=epochs, batch_size=64, seed=seed).fit(train).decision_function(train)
        for epochs, seed in ((1, 0), (8, 0), (1, 1))
    )
    assert long.mean() < 0.7 * short.mean()
    assert not np.array_equal(short, other)


def test_training_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    LogMelAutoencoder(num_epochs=1).fit(noise(2))
    assert torch.equal(torch.rand(3), expected)


def test_random_scores_depend_on_the_seed():
    one, other = (RandomClips(seed=seed).fit(noise(1)).decision_function(noise(200)) for seed in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.3
    assert 0.4 < one.mean() < 0.6


@pytest.mark.parametrize("name", CLIP_BASELINES)
def test_refuses_bad_items(name):
    clips, baseline = noise(3), CLIP_BASELINES[name]()
    with pytest.raises(NotFittedError, match=f"'{name}' has no fitted state: call fit"):
        baseline.decision_function(clips)
    with pytest.raises(NotFittedError, match="to save"):
        baseline.save("nowhere")
    for value in (np.nan, np.inf):
        bad = clips.copy()
        bad[1, 40] = value
        with pytest.raises(DataError, match="clip 1 has values that are NaN or infinite"):
            baseline.fit(bad)
    with pytest.raises(NotFittedError):
        baseline.decision_function(clips)  # a fit that failed leaves nothing behind
    with pytest.raises(DataError, match="dtype int16: give floats"):
        baseline.fit((clips * 32768).astype(np.int16))
    with pytest.raises(ShapeError, match=r"x\[None\] for one clip"):
        baseline.fit(clips[0])
    with pytest.raises(ShapeError, match="no clip was given"):
        baseline.fit(clips[:0])
    with pytest.raises(ShapeError, match=r"clips have shape \(100,\)"):
        baseline.fit(clips[:, :100])
    with pytest.raises(ShapeError, match=r"clip 1 has shape \(4096,\), the first \(8192,\)"):
        baseline.fit([clips[0], clips[1, :4096]])
    with pytest.raises(DataError, match="of type str"):
        baseline.fit("sound.wav")


def test_clips_of_another_length_than_those_fitted_are_refused():
    with pytest.raises(ShapeError, match=r"\(n, 4096\), fitted on \(n, 8192\)"):
        RandomClips().fit(noise(1)).decision_function(noise(1, length=4096))


def test_settings_that_cannot_work_are_refused_and_those_that_can_survive_saving(tmp_path):
    for settings in ({"num_neighbors": 0}, {"sample_rate": 0}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            LogMelKNN(**settings)
    with pytest.raises(ConfigError, match="batch_size 1"):
        LogMelAutoencoder(batch_size=1)
    LogMelKNN(num_neighbors=2, sample_rate=8000).fit(noise(2)).save(tmp_path)
    loaded = LogMelKNN.load(tmp_path)
    assert (loaded.num_neighbors, loaded.sample_rate) == (2, 8000)
    with pytest.raises(CheckpointError, match="holds baseline 'log_mel_knn'"):
        FrozenKNN.load(tmp_path)
