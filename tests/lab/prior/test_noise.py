"""What a noisy window lets the prior see."""

import torch

from oddwave.diffusion.schedule import make_schedule
from oddwave.lab.prior.noise import BLIND, noisy
from oddwave.scoring.retrieval import NUM_EVIDENCE

ALPHAS = make_schedule("linear", 1000).alphas_cumprod.float()
LENGTH = 64


def windows(num, channels, seed=0):
    return torch.randn(num, channels, NUM_EVIDENCE, LENGTH, generator=torch.Generator().manual_seed(seed))


def test_noise_hides_the_window_and_what_tells_of_it():
    x, other = windows(3, 2), windows(3, 2, seed=1)
    t, noise = torch.tensor([0, 300, 999]), torch.randn(3, 2, LENGTH, generator=torch.Generator().manual_seed(2))
    found = noisy(x, t, noise, ALPHAS)
    assert torch.equal(found[0], x[0])
    assert (found[1:, :, BLIND] == 0.0).all()
    kept = ALPHAS[300]
    torch.testing.assert_close(found[1, :, 0], kept.sqrt() * x[1, :, 0] + (1 - kept).sqrt() * noise[1])
    shown = [own for own in range(NUM_EVIDENCE) if own not in (0, *BLIND)]
    assert torch.equal(found[:, :, shown], x[:, :, shown])
    hidden = x.clone()
    hidden[:, :, list(BLIND)] = other[:, :, list(BLIND)]
    assert torch.equal(noisy(hidden, t, noise, ALPHAS)[1:], found[1:])  # what is hidden has no say
    assert torch.equal(x, windows(3, 2))
