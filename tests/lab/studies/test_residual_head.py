"""The study of heads on residuals: a head tells changed places from normal ones, and the same seed gives the same."""

import numpy as np
import torch

from oddwave.lab.studies.residual_head import LEFT_OUT, Examples, train
from oddwave.planted.image import IMAGE_ANOMALIES


def made(seed: int, odd: bool = False) -> tuple[Examples, torch.Tensor]:
    """Residuals of two channels; where a place was changed the second is eight times as large."""
    draws = torch.Generator().manual_seed(seed)
    away = torch.randn(6, 2, 8, 8, generator=draws)
    inside = torch.zeros(6, 8, 8, dtype=torch.bool)
    if odd:
        inside[:, 2:5, 3:6] = True
        away[:, 1][inside] *= 8.0
    return Examples(away.half(), away.square().mean(1).sqrt(), torch.zeros(6, 64, 64)), inside


def test_a_head_finds_what_it_was_taught():
    (normal, _), (odd, inside) = made(0), made(1, odd=True)
    head = train(normal, odd, inside, seed=0)
    new, where = made(2, odd=True)
    found = torch.nn.functional.adaptive_avg_pool2d(head(new), 8)
    assert float(found[where].median()) > float(found[~where].quantile(0.9))
    torch.testing.assert_close(train(normal, odd, inside, seed=0)(new), head(new), rtol=0.0, atol=0.0)


def test_every_kind_is_left_out_once():
    assert sorted(LEFT_OUT[0] + LEFT_OUT[1]) == sorted(IMAGE_ANOMALIES)
    assert not np.intersect1d(*LEFT_OUT).size
