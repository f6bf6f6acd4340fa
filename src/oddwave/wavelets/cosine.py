"""The orthonormal cosine transform (DCT-II): the spectrum of a real signal that is reflected at both of its ends.

Filtering in this domain pads a signal with its own mirror image (edge samples repeated), without storing the padding
and without letting one end leak into the other, as an ordinary FFT would. Both directions cost one real FFT of the
signal's own length.

Legend: n samples (and as many bins); bin k of a signal sampled at f_s sits at k f_s / (2 n) hertz.
Read `frame.py` next, which filters with it.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["cosine_spectrum", "inverse_cosine_spectrum"]


@lru_cache(maxsize=64)
def _twiddles(n: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the quarter-sample rotations exp(-i pi k / 2n) and the bin weights that make the transform orthonormal."""
    with torch.inference_mode(False):  # cached tensors must stay usable under autograd
        angle = torch.arange(n // 2 + 1, dtype=torch.float64) * (-math.pi / (2 * n))
        weight = torch.full((n,), math.sqrt(2 / n), dtype=torch.float64)
        weight[0] = math.sqrt(1 / n)
        rotation = torch.polar(torch.ones_like(angle), angle)
        return rotation.to(device=device, dtype=dtype.to_complex()), weight.to(device=device, dtype=dtype)


def cosine_spectrum(x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """Return C_k = a_k sum_t x_t cos(pi k (2t + 1) / 2n), a_0 = sqrt(1/n) and a_k = sqrt(2/n), so that ||C|| = ||x||.

    Source: Makhoul, A fast cosine transform in one and two dimensions, IEEE TASSP 28(1), 1980.
    """
    n = x.shape[-1]
    rotation, weight = _twiddles(n, x.dtype, x.device)
    folded = torch.cat((x[..., ::2], x[..., 1::2].flip(-1)), dim=-1)
    half = torch.fft.rfft(folded) * rotation
    upper = -half.imag[..., 1 : (n + 1) // 2].flip(-1)
    return torch.cat((half.real, upper), dim=-1) * weight


def inverse_cosine_spectrum(spectrum: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """Return the signal of an orthonormal cosine spectrum; inverse and transpose of `cosine_spectrum`."""
    n = spectrum.shape[-1]
    rotation, weight = _twiddles(n, spectrum.dtype, spectrum.device)
    scaled = spectrum / weight
    real = scaled[..., : n // 2 + 1]
    imag = torch.nn.functional.pad(scaled[..., n - n // 2 :].flip(-1), (1, 0))
    folded = torch.fft.irfft(torch.complex(real, -imag) * rotation.conj(), n=n)
    x = torch.empty_like(spectrum)
    middle = (n + 1) // 2
    x[..., ::2] = folded[..., :middle]
    x[..., 1::2] = folded[..., middle:].flip(-1)
    return x
