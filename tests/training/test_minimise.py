"""Minimising a loss: against torch's own Adam, one side of a game at a time, rates, clipping."""

import numpy as np
import pytest
import torch

from oddwave.training.minimise import Descent, minimise, warm_cosine


def test_steps_are_those_of_torchs_adam_with_clipped_gradients():
    target = torch.randn(6, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.zeros(6, requires_grad=True) for _ in range(2))
    rates = warm_cosine(0.1, 12, 3)
    assert list(minimise(lambda _: (ours - target).pow(4).sum(), [ours], rates, clip=0.5)) == list(range(1, 13))
    adam = torch.optim.Adam([theirs])
    for rate in rates:
        adam.zero_grad()
        (theirs - target).pow(4).sum().backward()
        torch.nn.utils.clip_grad_norm_([theirs], 0.5)
        adam.param_groups[0]["lr"] = rate
        adam.step()
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=1e-5, atol=1e-7)


def test_only_the_given_weights_move_and_collect_gradients():
    mine, other = (torch.ones(2, requires_grad=True) for _ in range(2))
    Descent([mine]).down((mine * other).sum(), 0.1)
    assert other.grad is None
    assert torch.equal(other, torch.ones(2))
    assert (mine < 1.0).all()


def test_the_loss_hears_its_step_within_the_precision():
    weight, steps, within = torch.ones(1, requires_grad=True), [], []

    class Precision:
        def __enter__(self):
            within.append(len(steps))

        def __exit__(self, *_):
            within.append(len(steps))

    def loss(step):
        steps.append(step)
        return weight.sum()

    for _ in minimise(loss, [weight], [0.1, 0.1], precision=Precision):
        pass
    assert (steps, within) == ([0, 1], [0, 1, 1, 2])


@pytest.mark.parametrize(("num_steps", "warm"), [(10, 2), (10, 0), (3, 3), (1, 1), (0, 1)])
def test_rates_rise_to_the_rate_and_fall_towards_nothing(num_steps, warm):
    rates = warm_cosine(0.2, num_steps, warm)
    assert len(rates) == num_steps
    assert rates[:warm] == [0.2 * (step + 1) / warm for step in range(min(warm, num_steps))]
    assert all(0 < rate <= 0.2 * (1 + 1e-12) for rate in rates)
    falling = rates[warm:]
    assert falling == sorted(falling, reverse=True)
    assert not falling or falling[0] == 0.2
