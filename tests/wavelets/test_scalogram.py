"""Series scalograms: layout, level and polarity rows, context, inverses, batching in parts, refusals."""

import numpy as np
import pytest
import torch

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.wavelets import scalogram as module
from oddwave.wavelets.scalogram import SeriesScalogram

KINDS = ["complex", "mexican_hat", "log_magnitude"]


def mapped(x: torch.Tensor, **settings: object) -> torch.Tensor:
    return SeriesScalogram(x.shape[-1], **settings).transform(x)


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("columns", [None, 16])
@pytest.mark.parametrize(("kind", "per_channel"), [("complex", 2), ("mexican_hat", 1), ("log_magnitude", 1)])
def test_shapes_and_channels_apart(kind: str, per_channel: int, columns: int | None) -> None:
    x = _noise(4, 3, 50)
    maps = mapped(x, num_bands=14, kind=kind, columns=columns)
    assert maps.shape == (4, 3 * per_channel, 16, columns or 50)
    one = mapped(x[1:2, 2:], num_bands=14, kind=kind, columns=columns)
    assert torch.allclose(maps[1:2, 2 * per_channel :], one, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_row_0_keeps_the_signed_level(kind: str) -> None:
    low, high = (mapped(torch.full((1, 1, 64), level), kind=kind) for level in (-1.0, 2.0))
    assert torch.allclose(high[0, 0, 0], -2 * low[0, 0, 0], rtol=1e-4)
    assert (high[0, 0, 0] > 0).all()
    assert torch.allclose(high[:, :, 1:], low[:, :, 1:], atol=1e-4)


def test_mexican_hat_keeps_polarity_and_log_magnitude_does_not() -> None:
    spike = torch.zeros(1, 1, 65, dtype=torch.float64)
    spike[..., 32] = 1.0
    hat = SeriesScalogram(65, kind="mexican_hat").transform(spike)
    assert (hat[0, 0, 1:-1, 32] > 0).all()
    assert torch.allclose(mapped(-spike, kind="mexican_hat"), -hat)
    magnitude = mapped(spike, kind="log_magnitude")
    assert torch.allclose(mapped(-spike, kind="log_magnitude")[:, :, 1:], magnitude[:, :, 1:])


def test_rows_have_equal_power_on_white_noise() -> None:
    power = mapped(_noise(500, 1, 96)).square().mean((0, 3)).view(2, 32).sum(0)
    np.testing.assert_allclose(power, 1.0, rtol=0.15)


def test_context_is_what_a_longer_window_sees() -> None:
    """With the true neighbours, a window's map is the same part of the stream's map; reflection gives another."""
    stream = _noise(1, 1, 400)
    window, context = stream[..., 150:214], (stream[..., 22:150], stream[..., 214:342])
    scalogram = SeriesScalogram(64, num_bands=14)
    maps = scalogram.transform(window, context)
    wider = scalogram.transform(window, (stream[..., :150], stream[..., 214:]))
    reflected = scalogram.transform(window)
    assert (maps - wider).abs().max() < 0.05 * maps.abs().max()
    assert (maps - reflected)[..., 0].abs().max() > 0.2 * maps.abs().max()
    one_sided = scalogram.transform(window, (context[0], None))
    assert (one_sided - maps)[..., 1:-2, :10].abs().max() < (reflected - maps)[..., 1:-2, :10].abs().max()


@pytest.mark.parametrize("kind", ["complex", "mexican_hat"])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("length", [32, 33, 96, 257])
def test_full_rate_maps_are_exactly_invertible(length: int, dtype: torch.dtype, limit: float, kind: str) -> None:
    scalogram = SeriesScalogram(length, kind=kind)
    x = _noise(3, 2, length).to(dtype)
    back = scalogram.inverse(scalogram.transform(x))
    assert back.dtype == dtype
    assert (back - x).norm() <= limit * x.norm()


def test_fewer_columns_lose_what_is_fast_and_no_more() -> None:
    scalogram = SeriesScalogram(96, kind="mexican_hat", columns=24)
    slow = torch.cos(torch.arange(96, dtype=torch.float64) * 0.2)[None, None] + 0.5
    assert (scalogram.inverse(scalogram.transform(slow)) - slow).norm() < 1e-2 * slow.norm()
    kept = scalogram.inverse(scalogram.transform(_noise(200, 1, 96)))
    assert 24 < torch.linalg.matrix_rank(kept[:, 0], rtol=1e-6) < 96
    assert torch.allclose(scalogram.inverse(scalogram.transform(kept)), kept, atol=1e-8)


def test_columns_average_equal_spans() -> None:
    full, pooled = (
        SeriesScalogram(50, num_bands=14, columns=columns).transform(_noise(2, 1, 50)) for columns in (None, 20)
    )
    assert torch.allclose(pooled.mean(-1), full.mean(-1))
    assert torch.allclose(pooled[..., 0], (full[..., 0] + full[..., 1] + 0.5 * full[..., 2]) / 2.5)


def test_log_magnitude_takes_the_phase_of_a_reference() -> None:
    scalogram = SeriesScalogram(64, kind="log_magnitude", columns=16)
    x = _noise(2, 1, 64)
    maps = scalogram.transform(x)
    assert torch.allclose(scalogram.inverse(maps, reference=x), x, atol=1e-10)
    loud = scalogram.transform(3 * x)
    assert torch.nn.functional.cosine_similarity(scalogram.inverse(loud, reference=x), x, dim=-1).min() > 0.99
    assert scalogram.inverse(loud, reference=x).norm() == pytest.approx(3 * x.norm().item(), rel=0.05)
    with pytest.raises(DataError, match="reference"):
        scalogram.inverse(maps)


def test_large_batches_are_done_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    x = _noise(37, 2, 40)
    whole = mapped(x, num_bands=14)
    monkeypatch.setattr(module, "WORKING_SET", 2 * 16 * 80 * 5)
    assert torch.allclose(mapped(x, num_bands=14), whole, atol=1e-12)
    assert mapped(x[:0], num_bands=14).shape == (0, 4, 16, 40)
    assert SeriesScalogram(40, num_bands=14).inverse(torch.zeros(0, 4, 16, 40)).shape == (0, 2, 40)


def test_gradients_flow_and_survive_a_first_call_under_inference_mode() -> None:
    scalogram = SeriesScalogram(17, num_bands=8, columns=9)
    with torch.inference_mode():
        scalogram.inverse(scalogram.transform(_noise(1, 1, 17)))
    x = _noise(1, 2, 17).requires_grad_()
    assert torch.autograd.gradcheck(scalogram.transform, (x,))
    assert torch.autograd.gradcheck(scalogram.inverse, (scalogram.transform(x).detach().requires_grad_(),))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="'phase' is not known"):
        SeriesScalogram(64, kind="phase")
    with pytest.raises(ConfigError, match=r"not in 1\.\.64"):
        SeriesScalogram(64, columns=65)
    with pytest.raises(ConfigError, match="at least 8"):
        SeriesScalogram(7)
    scalogram = SeriesScalogram(64)
    with pytest.raises(ShapeError, match="cut it into windows"):
        scalogram.transform(torch.zeros(2, 1, 63))
    with pytest.raises(ShapeError, match="context has shapes"):
        scalogram.transform(torch.zeros(2, 1, 64), (torch.zeros(1, 1, 5), None))
    with pytest.raises(ShapeError, match="what transform returned"):
        scalogram.inverse(torch.zeros(2, 1, 32, 64))
