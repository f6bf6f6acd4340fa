"""The prior: what it says, window by window and channel by channel, and the weights that are shipped."""

import hashlib
from importlib.resources import files

import pytest
import torch

from oddwave.scoring.prior import PriorSays, load_prior, normal_windows, prior_sha256
from oddwave.scoring.retrieval import NUM_EVIDENCE, Evidence

LENGTH = 64


def windows(num, channels, seed=0):
    return torch.randn(num, channels, NUM_EVIDENCE, LENGTH, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def said():
    with torch.inference_mode():
        return load_prior()(windows(5, 3))


def test_every_point_of_every_channel_is_told_of(said):
    for part in said:
        assert part.shape == (5, 3, LENGTH)
        assert torch.isfinite(part).all()
    assert said.log_variance.abs().max() <= 8.0


def test_a_window_is_told_the_same_alone_and_beside_others(said):
    with torch.inference_mode():
        alone = [load_prior()(windows(5, 3)[row : row + 1]) for row in range(5)]
    for name in PriorSays._fields:
        together = torch.cat([getattr(own, name) for own in alone])
        torch.testing.assert_close(together, getattr(said, name), rtol=1e-4, atol=1e-4)


def test_channels_share_the_network(said):
    with torch.inference_mode():
        swapped = load_prior()(windows(5, 3)[:, [2, 0, 1]])
    torch.testing.assert_close(swapped.log_odds, said.log_odds[:, [2, 0, 1]], rtol=1e-4, atol=1e-4)


def test_more_windows_than_a_batch_are_told_as_few(monkeypatch, said):
    monkeypatch.setattr("oddwave.scoring.prior._BATCH", 4)
    with torch.inference_mode():
        again = load_prior()(windows(5, 3))
    torch.testing.assert_close(again.mean, said.mean, rtol=1e-4, atol=1e-4)


def test_the_noise_level_is_heard():
    x = windows(2, 1)
    with torch.inference_mode():
        none, zero, much = (load_prior()(x, t).mean for t in (None, torch.tensor([0, 0]), torch.tensor([0, 400])))
    assert torch.equal(none, zero)
    torch.testing.assert_close(much[0], none[0], rtol=1e-4, atol=1e-4)
    assert (much[1] - none[1]).abs().max() > 1e-3


def test_a_normal_window_is_in_the_windows_own_units():
    x, centre, unit = torch.tensor([[[2.0, 3.0]]]), torch.tensor([[[1.0, 1.0]]]), torch.tensor([[[0.5]]])
    z = torch.asinh((x - centre) / unit)
    seen = Evidence(torch.zeros(1, 1, NUM_EVIDENCE, 2), centre, unit)
    torch.testing.assert_close(normal_windows(PriorSays(z, z, z), seen), x)


def test_the_shipped_prior_is_read_once_and_does_not_learn():
    prior = load_prior()
    assert load_prior() is prior
    assert not prior.training
    assert not any(weight.requires_grad for weight in prior.parameters())
    assert all(weight.dtype == torch.float32 for weight in prior.parameters())
    assert all(torch.isfinite(weight).all() for weight in prior.parameters())


def test_the_digest_is_that_of_the_shipped_file():
    file = files("oddwave.scoring").joinpath("weights/series_prior.safetensors")
    assert prior_sha256() == hashlib.sha256(file.read_bytes()).hexdigest()
    card = file.parent.joinpath("series_prior.md").read_text()
    assert f"{sum(weight.numel() for weight in load_prior().parameters()):,} weights" in card
