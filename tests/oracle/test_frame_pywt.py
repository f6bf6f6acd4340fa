"""WaveletFrame's filters against PyWavelets' continuous transforms, its cosine spectrum against SciPy's.

Normalisations, as documented: PyWavelets' response is sqrt(s) H(f) on a one-sided spectrum of weight 1 and a scale of s
samples; ours is H(f) / sqrt(sum H^2) on a one-sided spectrum of weight sqrt(2).
"""

import math

import numpy as np
import pytest
import pywt
import scipy.fft
import torch

from oddwave.wavelets.cosine import cosine_spectrum, inverse_cosine_spectrum
from oddwave.wavelets.frame import WaveletFrame
from oddwave.wavelets.frame_filters import wavelet_response

N = 1024
INSIDE = slice(300, 724)  # PyWavelets pads with zeros, so its ends are not comparable


def _noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(N)


def _aligned_error(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Return the least relative error over delays within one sample, and that delay.

    PyWavelets cuts its convolution to whole samples, so each of its rows is late or early by a part of a sample; and it
    averages the wavelet over each sample, which is the sinc.
    """
    frequencies = np.fft.fftfreq(N)
    delays = np.linspace(-1, 1, 401)
    spectrum = np.fft.fft(ours) * np.sinc(frequencies)
    shifted = np.fft.ifft(spectrum * np.exp(-2j * math.pi * frequencies * delays[:, None]))
    errors = np.linalg.norm((shifted - theirs)[:, INSIDE], axis=1) / np.linalg.norm(theirs[INSIDE])
    return float(errors.min()), float(delays[errors.argmin()])


@pytest.mark.parametrize(("bandwidth", "centre"), [(1.5, 1.0), (2.5, 1.0), (1.5, 1.5)])
def test_morlet_rows_equal_cmor(bandwidth: float, centre: float) -> None:
    width = centre * math.pi * math.sqrt(2 * bandwidth)
    frame = WaveletFrame(N, 1.0, f_min=0.02, num_bands=60, wavelet="morlet", width=width)
    rows = np.arange(20, 45)
    scales = centre / frame.frequencies_hz[rows]
    theirs, frequencies = pywt.cwt(_noise(), scales, f"cmor{bandwidth}-{centre}", precision=14)
    np.testing.assert_allclose(frequencies, frame.frequencies_hz[rows], rtol=1e-3)
    ours = frame.cwt(torch.from_numpy(_noise())).numpy()[rows]
    ours = ours / frame.responses[rows].max(1, keepdims=True) / math.sqrt(2)
    theirs = theirs / np.sqrt(scales)[:, None]
    for mine, other in zip(ours, theirs, strict=True):
        error, delay = _aligned_error(mine, other)
        assert error < 0.015
        assert abs(delay) < 0.8


def test_mexican_hat_rows_equal_mexh() -> None:
    frame = WaveletFrame(N, 1.0, f_min=0.004, num_bands=80, wavelet="mexican_hat")
    rows = np.arange(30, 55)
    scales = math.sqrt(2) / (2 * math.pi * frame.frequencies_hz[rows])
    theirs, _ = pywt.cwt(_noise(), scales, "mexh", precision=14)
    ours = frame.cwt(torch.from_numpy(_noise())).numpy()[rows] / frame.responses[rows].max(1, keepdims=True)
    peak = math.sqrt(2 * math.pi) * 2 / math.sqrt(3) / math.pi**0.25 * 2 / math.e  # of the Fourier transform of mexh
    for mine, other in zip(ours, theirs / (peak * np.sqrt(scales))[:, None], strict=True):
        error, delay = _aligned_error(mine, other)
        assert error < 0.015
        assert abs(delay) < 0.8


@pytest.mark.parametrize(
    ("name", "wavelet", "centre_hz"), [("cmor1.5-1.0", "morlet", 1.0), ("mexh", "mexican_hat", None)]
)
def test_response_shapes_equal_the_fourier_transforms_of_the_wavelets(
    name: str, wavelet: str, centre_hz: float | None
) -> None:
    psi, t = pywt.ContinuousWavelet(name).wavefun(level=12)
    step = t[1] - t[0]
    spectrum = np.abs(np.fft.fft(psi, 2**18)) * step
    frequencies = np.fft.fftfreq(2**18, step)
    centre = centre_hz or math.sqrt(2) / (2 * math.pi)
    near = (frequencies > 0.05 * centre) & (frequencies < 3 * centre)
    width = math.pi * math.sqrt(3.0) if wavelet == "morlet" else 2.0
    ours = wavelet_response(wavelet, frequencies[near] / centre, width)
    np.testing.assert_allclose(ours, spectrum[near] / spectrum[near].max(), atol=2e-3)


@pytest.mark.parametrize("n", [2, 3, 8, 9, 96, 637, 1000, 1021])
def test_cosine_spectrum_equals_scipy(n: int) -> None:
    x = np.random.default_rng(n).standard_normal((3, n))
    spectrum = cosine_spectrum(torch.from_numpy(x))
    np.testing.assert_allclose(spectrum.numpy(), scipy.fft.dct(x, norm="ortho"), atol=1e-12)
    back = inverse_cosine_spectrum(torch.from_numpy(x))
    np.testing.assert_allclose(back.numpy(), scipy.fft.idct(x, norm="ortho"), atol=1e-12)
