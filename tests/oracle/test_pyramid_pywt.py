"""Our discrete wavelets, and the bands that the network sees, against PyWavelets."""

import numpy as np
import pytest
import pywt
import torch

from oddwave.nets.pyramid import WaveletPyramid
from oddwave.wavelets import WAVELETS, dwt, idwt, wavedec

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-13}


def _signal(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    # Within [-1, 1], as every modality's tensors are: the tolerances are absolute.
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul(2).sub(1).to(dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("length", [2, 4, 6, 10, 64, 250])
def test_one_level_equals_pywt_1d(wavelet: str, length: int, dtype: torch.dtype) -> None:
    x = _signal(3, 2, length, dtype=dtype)
    expected = pywt.dwt(x.double().numpy(), wavelet, mode="periodization")
    for ours, theirs in zip(dwt(x, wavelet, grid_dims=1), expected, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("grid", [(2, 2), (2, 12), (6, 4), (32, 18)])
def test_one_level_equals_pywt_2d(wavelet: str, grid: tuple[int, int], dtype: torch.dtype) -> None:
    x = _signal(2, 3, *grid, dtype=dtype)
    approx, details = pywt.dwt2(x.double().numpy(), wavelet, mode="periodization", axes=(-2, -1))
    for ours, theirs in zip(dwt(x, wavelet, grid_dims=2), (approx, *details), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=2 * TOLERANCE[dtype])


@pytest.mark.parametrize("wavelet", WAVELETS)
def test_inverse_equals_pywt(wavelet: str) -> None:
    bands = _signal(4, 5, 7, 6).unbind(0)
    ours = idwt(bands, wavelet, grid_dims=2)
    approx, *details = (band.numpy() for band in bands)
    theirs = pywt.idwt2((approx, tuple(details)), wavelet, mode="periodization", axes=(-2, -1))
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.filterwarnings("ignore:Level value of:UserWarning")
def test_levels_equal_pywt(wavelet: str) -> None:
    x = _signal(2, 48)
    ours = wavedec(x, 4, wavelet, grid_dims=1)
    approx, *details = pywt.wavedec(x.numpy(), wavelet, mode="periodization", level=4)
    np.testing.assert_allclose(ours.approx.numpy(), approx, rtol=0, atol=1e-12)
    for (detail,), theirs in zip(ours.details, reversed(details), strict=True):
        np.testing.assert_allclose(detail.numpy(), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("length", [1, 3, 8, 61, 64])
@pytest.mark.filterwarnings("ignore:Level value of:UserWarning")
def test_network_bands_equal_pywt_of_the_mirrored_signal_1d(wavelet: str, length: int) -> None:
    levels, margin = 3, 64
    x = _signal(2, 3, length)
    module = WaveletPyramid({"default": 3}, [4] * levels, grid_dims=1, wavelet=wavelet).double()
    module.bank = module.bank.new_tensor(np.stack([pywt.Wavelet(wavelet).dec_lo, pywt.Wavelet(wavelet).dec_hi]))
    module.bank = module.bank.flip(1)[:, None]
    mirrored = np.pad(x.numpy(), [(0, 0), (0, 0), (margin, margin + -length % 8)], mode="reflect")
    ours = module.bands(x)
    for level in range(1, levels + 1):
        approx, detail, *_ = pywt.wavedec(mirrored, wavelet, mode="periodization", level=level)
        kept = slice(margin // 2**level, margin // 2**level + -(-length // 2**level))
        expected = np.stack([approx[..., kept] / 2**level, detail[..., kept]], axis=2).reshape(2, 6, -1)
        np.testing.assert_allclose(ours[level - 1].numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.filterwarnings("ignore:Level value of:UserWarning")
def test_network_bands_equal_pywt_of_the_mirrored_signal_2d(wavelet: str) -> None:
    x = _signal(2, 1, 13, 20, dtype=torch.float32)
    module = WaveletPyramid({"default": 1}, [4, 4], grid_dims=2, wavelet=wavelet)
    mirrored = np.pad(x.double().numpy(), [(0, 0), (0, 0), (16, 19), (16, 16)], mode="reflect")
    approx, details, _ = pywt.wavedec2(mirrored, wavelet, mode="periodization", level=2, axes=(-2, -1))
    expected = np.concatenate([approx / 4, *details], axis=1)[..., 4:8, 4:9]
    np.testing.assert_allclose(module.bands(x)[1].numpy(), expected, rtol=0, atol=3e-6)
