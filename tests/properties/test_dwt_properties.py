"""Properties of the discrete wavelets: exact inverse, energy, sizes, gradients, refusals."""

import math

import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.wavelets import WAVELETS, WaveletCoefficients, dwt, idwt, max_level, wavedec, waverec


@st.composite
def signals(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> tuple[Tensor, int, int]:
    """A signal of any leading axes on a grid that halves `levels` times, its grid_dims, and the levels."""
    grid_dims = draw(st.sampled_from([1, 2]))
    levels = draw(st.integers(1, 3))
    lead = draw(st.lists(st.integers(1, 3), max_size=3))
    grid = [2**levels * draw(st.integers(1, 6)) for _ in range(grid_dims)]
    seed = draw(st.integers(0, 2**20))
    x = torch.randn(*lead, *grid, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.to(dtype), grid_dims, levels


@settings(deadline=None, max_examples=60)
@given(signals(), st.sampled_from(WAVELETS))
def test_reconstruction_is_perfect(case: tuple[Tensor, int, int], wavelet: str) -> None:
    x, grid_dims, levels = case
    coefficients = wavedec(x, levels, wavelet, grid_dims=grid_dims)
    torch.testing.assert_close(waverec(coefficients, wavelet, grid_dims=grid_dims), x, rtol=0, atol=1e-11)


@settings(deadline=None, max_examples=30)
@given(signals(torch.float32), st.sampled_from(WAVELETS))
def test_reconstruction_is_perfect_in_float32(case: tuple[Tensor, int, int], wavelet: str) -> None:
    x, grid_dims, _ = case
    back = idwt(dwt(x, wavelet, grid_dims=grid_dims), wavelet, grid_dims=grid_dims)
    assert back.dtype == torch.float32
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(signals(), st.sampled_from(WAVELETS))
def test_energy_is_kept_and_sizes_halve(case: tuple[Tensor, int, int], wavelet: str) -> None:
    x, grid_dims, levels = case
    coefficients = wavedec(x, levels, wavelet, grid_dims=grid_dims)
    energy = coefficients.approx.square().sum()
    for level, bands in enumerate(coefficients.details, start=1):
        assert len(bands) == 2**grid_dims - 1
        for band in bands:
            assert band.shape == (*x.shape[:-grid_dims], *(size // 2**level for size in x.shape[-grid_dims:]))
            energy = energy + band.square().sum()
    assert math.isclose(energy.item(), x.square().sum().item(), rel_tol=1e-10)


def test_a_constant_has_no_detail_and_bands_know_their_direction() -> None:
    rows = torch.tensor([1.0, -1.0]).repeat(4)[:, None].expand(8, 8)
    low, horizontal, vertical, diagonal = dwt(rows, "db4", grid_dims=2)
    assert horizontal.abs().min() > 1.0
    for band in (low, vertical, diagonal):
        torch.testing.assert_close(band, torch.zeros(4, 4), rtol=0, atol=1e-5)
    for detail in wavedec(torch.ones(3, 32), 3, "db2", grid_dims=1).details:
        torch.testing.assert_close(detail[0], torch.zeros_like(detail[0]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("grid", [(6,), (4, 2)])
def test_gradients_are_exact(wavelet: str, grid: tuple[int, ...]) -> None:
    x = torch.randn(2, *grid, dtype=torch.float64, requires_grad=True)
    dims = len(grid)
    assert torch.autograd.gradcheck(lambda v: dwt(v, wavelet, grid_dims=dims), (x,))
    bands = [band.detach().requires_grad_() for band in dwt(x, wavelet, grid_dims=dims)]
    assert torch.autograd.gradcheck(lambda *b: idwt(b, wavelet, grid_dims=dims), bands)


@pytest.mark.parametrize("shape", [(0, 3, 8), (3, 0, 8)])
def test_empty_batches_pass_through(shape: tuple[int, ...]) -> None:
    bands = dwt(torch.zeros(shape), grid_dims=1)
    assert [tuple(band.shape) for band in bands] == [(*shape[:2], 4)] * 2
    assert idwt(bands, grid_dims=1).shape == shape


@pytest.mark.parametrize(("grid", "level"), [((8,), 3), ((12, 8), 2), ((7,), 0), ((0, 4), 0)])
def test_max_level(grid: tuple[int, ...], level: int) -> None:
    assert max_level(grid) == level


def test_refusals_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the suite runs with shape checks, they would refuse the wrong type before our own message is reached.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    x = torch.zeros(2, 8)
    with pytest.raises(ConfigError, match=r"wavelet is 'db3', expected one of haar"):
        dwt(x, "db3", grid_dims=1)
    with pytest.raises(ConfigError, match=r"grid_dims is 3"):
        dwt(x, grid_dims=3)
    with pytest.raises(ShapeError, match=r"even sizes above 0; pad"):
        dwt(x[:, :7], grid_dims=1)
    with pytest.raises(ShapeError, match=r"at least 2 axes"):
        dwt(x[0], grid_dims=2)
    with pytest.raises(DataError, match=r"float\(\)"):
        dwt(x.long(), grid_dims=1)
    with pytest.raises(ShapeError, match=r"expected 4 of one shape"):
        idwt((x, x), grid_dims=2)
    with pytest.raises(ShapeError, match=r"fewer levels"):
        wavedec(x, 4, grid_dims=1)
    with pytest.raises(ConfigError, match=r"0 or more"):
        wavedec(x, -1, grid_dims=1)
    with pytest.raises(ShapeError, match=r"of one shape"):
        waverec(WaveletCoefficients(x, ((x[:, :4],),)), grid_dims=1)
