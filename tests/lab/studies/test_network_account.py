"""The account of a network: multiply-adds by kind, and shares of what a call takes."""

import pytest
import torch
from torch import nn

from oddwave.lab.studies.network_account import account


def test_multiply_adds_stand_with_their_kind_and_times_add_up():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Flatten(), nn.Linear(512, 5)
    )
    *parts, (_, whole, products) = account(network, torch.randn(4, 3, 8, 8))
    found = {kind: multiply_adds for kind, _, multiply_adds in parts}
    assert {"convolution", "matrix product", "norm", "activation"} <= set(found)
    assert found["convolution"] == 4 * 64 * 8 * 27
    assert found["matrix product"] == 4 * 512 * 5
    assert found["norm"] == found["activation"] == 0
    assert products == sum(found.values())
    assert sum(seconds for _, seconds, _ in parts) == pytest.approx(whole)
