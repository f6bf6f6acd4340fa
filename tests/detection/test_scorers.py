"""One scorer per modality: a fixed graph that torch.export takes whole, and the scores that the detector gives."""

import numpy as np
import pytest
import torch

from oddwave.config import preset
from oddwave.detector import Detector

RATE = 8000
TINY = (
    *("training.num_steps=4", "training.batch_size=4", "training.num_validation_draws=4", "training.dtype=float32"),
    *("network.base_channels=8", "scoring.memory_size=100"),
)
GRIDS = ("maps.memory_grid=8", "maps.denoiser_grid=8", "maps.pixel_size_px=32", "maps.taps=[0, 1]")


def exported(scorer, *args):
    """Export, and return what graph and scorer give of the same parts."""
    with torch.no_grad():
        expected = scorer(*args)
        program = torch.export.export(scorer.eval(), args)
    found = program.module()(*args)
    for one, other in zip((found.score, found.map), (expected.score, expected.map), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert found.groups.keys() == expected.groups.keys()
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert not [name for name in names if "rand" in name]
    return expected


@pytest.mark.parametrize(
    ("channels", "exclusion"),  # more than 16 channels: the prior looks at those that lack most
    [(2, 16), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((1, 0), (1, 16), (2, 0), (20, 0), (20, 16)))],
)
def test_series_by_retrieval(tiny_config, waves, channels, exclusion):
    model = Detector(tiny_config()).fit(waves(300, channels=channels)).inner.model
    own, rng = model.sizes[0], np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(5, channels, 64)).astype(np.float32))
    places = torch.zeros(5, dtype=torch.long), torch.arange(5) * 20
    found = exported(model.scorer(own), x, {}, *places, exclusion)
    assert (found.score.shape, found.map.shape) == ((5,), (5, 64))
    assert found.groups.keys() == {"memory", "residual", "prior"}


def test_instances_by_retrieval(tiny_config, beats):
    model = Detector(tiny_config()).fit(beats()).inner.model
    own, values = model.sizes[0], beats(5, seed=1).astype(np.float32)
    places = torch.full((5,), -1), torch.zeros(5, dtype=torch.long)
    found = exported(model.scorer(own), torch.zeros(5, 1, 64), own.vectors(values), *places)
    assert found.groups.keys() == {"memory"}


@pytest.mark.slow
def test_series_by_denoiser(tiny_config, waves):
    detector = Detector(tiny_config("training.dtype=float32", "series.method=denoiser")).fit(waves(300, channels=2))
    model = detector.inner.model
    window = model.scorers[0]
    values = np.random.default_rng(0).normal(size=(4, 2, window.window_size)).astype(np.float32)
    vectors = {
        space: torch.from_numpy(window._vectors(space, values)) for space in window.memories if space != "feature"
    }
    found = exported(window.scorer(model.fusion), window.representation.encode(values), vectors)
    assert found.score.shape == (4,)


def gratings(num, seed=0):
    rng = np.random.default_rng(seed)
    wave = 0.5 + 0.2 * np.sin(2 * np.pi * np.mgrid[:64, :64][1] / 8)
    return [np.clip(wave + rng.normal(0, 0.02, (64, 64)), 0, 1) for _ in range(num)]


def test_images_by_retrieval():
    detector = Detector(preset("fast", "image").with_overrides([*TINY, *GRIDS, "image.size_px=64"])).fit(gratings(20))
    model = detector.inner.model
    image = gratings(1, seed=5)[0]
    x = torch.from_numpy(np.stack([model.cutter.cut(image[..., None]).tensors[0]]))
    found = exported(model.scorer, x, torch.ones(1, 64, 64, dtype=torch.bool))
    assert found.groups.keys() == {"memory", "position"}
    np.testing.assert_allclose(found.score, detector.decision_function([image]), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("space", ["feature", pytest.param("pixel", marks=pytest.mark.slow)])
def test_images_by_denoiser(space):
    settings = [*TINY, *GRIDS, "image.size_px=64", f"maps.space={space}", "scoring.num_noise_draws=2"]
    settings.append("image.method=denoiser")
    detector = Detector(preset("fast", "image").with_overrides(settings)).fit(gratings(12))
    model = detector.inner.model
    image = gratings(1, seed=5)[0]
    x = torch.from_numpy(np.stack([model._cut(image[..., None]).tensors[0]]))
    found = exported(model.scorer, x, torch.ones(1, 64, 64, dtype=torch.bool))
    np.testing.assert_allclose(found.score, detector.decision_function([image]), rtol=1e-5)


@pytest.mark.slow
def test_audio():
    sizes = (f"audio.sample_rate={RATE}", "audio.clip_s=1.0", "audio.columns=128", "audio.num_rows=64")
    settings = [*TINY, *GRIDS, *sizes, "audio.num_background=12"]
    rng = np.random.default_rng(0)
    recordings = {f"r{i}": (0.1 * rng.normal(size=2 * RATE).astype(np.float32), RATE) for i in range(10)}
    detector = Detector(preset("fast", "audio").with_overrides(settings)).fit(recordings)
    model = detector.inner.model
    samples = np.stack([recordings["r0"][0][: model.audio.audio_map.clip_samples]])
    found = exported(model.scorer, model.audio.levels(samples))
    np.testing.assert_allclose(found.score, model.score(samples).scores, rtol=1e-5)
