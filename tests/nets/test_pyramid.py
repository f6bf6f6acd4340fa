"""The wavelet pyramid module: sizes, borders that stay apart, ports."""

import pytest
import torch

from oddwave.nets.pyramid import WaveletPyramid
from oddwave.wavelets import WAVELETS, dwt


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("grid", [(1,), (2,), (37,), (64,), (1, 1), (2, 33), (16, 12)])
def test_levels_have_the_halved_sizes(wavelet: str, grid: tuple[int, ...]) -> None:
    module = WaveletPyramid({"default": 3}, [5, 7], grid_dims=len(grid), wavelet=wavelet)
    levels = module(torch.randn(2, 3, *grid), "default")
    assert [level.shape for level in levels] == [
        (2, width, *(-(-size // 2**level) for size in grid)) for level, width in ((1, 5), (2, 7))
    ]


@pytest.mark.parametrize("wavelet", ["db2", "db4"])
@pytest.mark.parametrize("grid_dims", [1, 2])
def test_one_border_does_not_leak_into_the_other(wavelet: str, grid_dims: int) -> None:
    x = torch.randn(1, 1, *(64,) * grid_dims, generator=torch.Generator().manual_seed(0))
    touched = x.clone()
    touched[..., -1] += 100.0
    module = WaveletPyramid({"default": 1}, [4, 4], grid_dims=grid_dims, wavelet=wavelet)
    for before, after in zip(module.bands(x), module.bands(touched), strict=True):
        far = before.shape[-1] // 2
        assert torch.equal(before[..., :far], after[..., :far])
        assert not torch.equal(before[..., far:], after[..., far:])
    # The periodic transform does leak, so this test can tell the two apart.
    periodic, moved = dwt(x, wavelet, grid_dims=grid_dims), dwt(touched, wavelet, grid_dims=grid_dims)
    assert (periodic[0][..., 0] - moved[0][..., 0]).abs().max() > 1.0


def test_a_mirrored_border_of_a_flat_signal_shows_no_detail() -> None:
    module = WaveletPyramid({"default": 1}, [4, 4, 4], grid_dims=1, wavelet="db4")
    for level, bands in enumerate(module.bands(torch.ones(1, 1, 50)), start=1):
        approx, detail = bands[0]
        torch.testing.assert_close(detail, torch.zeros_like(detail), rtol=0, atol=1e-5)
        torch.testing.assert_close(approx, torch.full_like(approx, 2 ** (-level / 2)), rtol=1e-5, atol=0)


def test_ports_have_their_own_projection_and_no_saved_filters() -> None:
    module = WaveletPyramid({"image": 3, "audio": 1}, [4], grid_dims=2, wavelet="haar")
    assert module(torch.randn(2, 3, 8, 8), "image")[0].shape == (2, 4, 4, 4)
    assert module(torch.randn(2, 1, 8, 8), "audio")[0].shape == (2, 4, 4, 4)
    assert all("port_image" in name or "port_audio" in name for name in module.state_dict())
    assert all(not parameter.any() for parameter in module.parameters())
