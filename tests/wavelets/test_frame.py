"""WaveletFrame: exact round trips, Parseval, what the rows mean, gradients, refusals."""

import math

import numpy as np
import pytest
import torch

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.wavelets.frame import WaveletFrame
from oddwave.wavelets.frame_filters import build_responses, centre_frequencies, wavelet_response

LIMITS = {torch.float32: 1e-5, torch.float64: 1e-12}


def _signal(name: str, n: int, dtype: torch.dtype) -> torch.Tensor:
    x = torch.zeros(n, dtype=dtype)
    if name == "noise":
        x = torch.randn(n, dtype=dtype, generator=torch.Generator().manual_seed(0))
    elif name == "impulse":
        x[n // 3] = 1.0
    elif name == "edge_impulses":
        x[0], x[-1] = 1.0, -0.5
    elif name == "square":
        x = torch.where(torch.arange(n) // 25 % 2 == 0, 1.0, -1.0).to(dtype)
    elif name == "level":
        x += 3.0
    return x


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("n", [1000, 1021])
@pytest.mark.parametrize("name", ["noise", "impulse", "edge_impulses", "square", "level"])
def test_both_forms_give_the_signal_back(name: str, n: int, dtype: torch.dtype) -> None:
    frame = WaveletFrame(n, 8000.0, f_min=40.0, num_bands=30, columns=64)
    x = _signal(name, n, dtype)
    for back in (frame.icwt(frame.cwt(x)), frame.synthesise(frame.analyse(x))):
        assert back.dtype == dtype
        assert (back - x).norm() <= LIMITS[dtype] * x.norm()


def test_silence_stays_silent() -> None:
    frame = WaveletFrame(501, 1.0, f_min=0.01, num_bands=20, columns=32)
    x = torch.zeros(2, 501)
    assert torch.equal(frame.icwt(frame.cwt(x)), x)
    assert torch.equal(frame.synthesise(frame.analyse(x)), x)
    assert not frame.power_map(frame.analyse(x)).any()


@pytest.mark.parametrize("spacing", ["log", "mel", "linear"])
@pytest.mark.parametrize("wavelet", ["morse", "morlet"])
def test_every_spacing_and_wavelet_is_exact(spacing: str, wavelet: str) -> None:
    frame = WaveletFrame(999, 16000.0, f_min=60.0, num_bands=40, spacing=spacing, wavelet=wavelet, columns=50)
    x = _signal("noise", 999, torch.float64)
    assert (frame.synthesise(frame.analyse(x)) - x).norm() <= 1e-12 * x.norm()
    np.testing.assert_allclose((frame.responses**2).sum(0), 1.0, atol=1e-12)


def test_mexican_hat_is_real_exact_and_has_no_decimated_form() -> None:
    frame = WaveletFrame(301, 1.0, f_min=0.01, num_bands=20, wavelet="mexican_hat")
    x = _signal("noise", 301, torch.float64)
    coefficients = frame.cwt(x)
    assert not coefficients.is_complex()
    assert torch.allclose(frame.cwt(-x), -coefficients)
    assert (frame.icwt(coefficients) - x).norm() <= 1e-12 * x.norm()
    with pytest.raises(ConfigError, match="no decimated form"):
        frame.analyse(x)


def test_few_wide_columns_and_more_columns_than_samples_are_exact() -> None:
    x = _signal("noise", 90, torch.float64)
    for columns in (1, 7, 256):
        frame = WaveletFrame(90, 1.0, f_min=0.03, num_bands=12, columns=columns)
        assert (frame.synthesise(frame.analyse(x)) - x).norm() <= 1e-12 * x.norm()


def test_decimated_coefficients_are_samples_of_the_full_rate_ones() -> None:
    frame = WaveletFrame(80, 1.0, f_min=0.03, num_bands=12, columns=32)
    x = _signal("noise", 80, torch.float64)
    full, block = frame.cwt(x), frame.analyse(x)[0]
    rows = list(frame.block_rows[0])
    assert block.shape == (len(rows), 33)
    odd = torch.arange(1, 33, 2)  # with 2.5 samples between them, every other one falls on a sample: 2.5 m - 1/2
    assert torch.allclose(block[:, odd], full[rows][:, (5 * odd - 1) // 2], atol=1e-12)


def test_power_map_shares_out_the_mean_square() -> None:
    frame = WaveletFrame(3001, 8000.0, f_min=40.0, num_bands=30, columns=64)
    x = torch.randn(2, 3, 3001, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    power = frame.power_map(frame.analyse(x))
    assert power.shape == (2, 3, 32, 64)
    assert torch.allclose(power.mean(-1).sum(-1), x.square().mean(-1), rtol=1e-12)
    coarse = frame.power_map(frame.analyse(x), columns=16)
    assert torch.allclose(coarse, power.unflatten(-1, (16, 4)).mean(-1))
    with pytest.raises(ConfigError, match="does not divide"):
        frame.power_map(frame.analyse(x), columns=24)


def test_power_map_places_a_tone_and_a_click() -> None:
    frame = WaveletFrame(8000, 8000.0, f_min=50.0, num_bands=62, columns=80)
    t = torch.arange(8000) / 8000
    row = 40
    tone = torch.sin(2 * math.pi * frame.frequencies_hz[row] * t) * ((t > 0.25) & (t < 0.5))
    power = frame.power_map(frame.analyse(tone))
    assert int(power.sum(-1).argmax()) == row
    assert power[row, 20:40].sum() > 0.98 * power[row].sum()
    click = torch.zeros(8000)
    click[5250] = 1.0
    assert int(frame.power_map(frame.analyse(click))[50:].sum(0).argmax()) == 52


def test_frequencies_name_every_row() -> None:
    frame = WaveletFrame(4000, 8000.0, f_min=50.0, num_bands=40)
    assert frame.num_rows == 42
    assert frame.frequencies_hz[[0, 1, -2, -1]] == pytest.approx([0, 50, 0.47 * 8000, 4000])
    peaks = frame.responses.argmax(1) * 8000.0 / (2 * 4000)
    np.testing.assert_allclose(peaks[1:-3], frame.frequencies_hz[1:-3], rtol=0.02, atol=2)
    assert (peaks[0], peaks[-1]) == (0, 3999)


def test_one_border_does_not_leak_into_the_other() -> None:
    frame = WaveletFrame(512, 1.0, f_min=0.05, num_bands=30)
    x = torch.zeros(512, dtype=torch.float64)
    x[:4] = 1.0
    power = frame.cwt(x).abs().square()[1:-1]
    assert power[:, 256:].sum() < 1e-6 * power.sum()


def test_noise_gain_is_the_rms_of_white_noise() -> None:
    frame = WaveletFrame(600, 1.0, f_min=0.02, num_bands=10)
    x = torch.randn(400, 600, generator=torch.Generator().manual_seed(2))
    measured = frame.cwt(x).abs().square().mean((0, 2)).sqrt().numpy()
    np.testing.assert_allclose(measured, frame.noise_gain, rtol=0.05)


def test_altered_coefficients_give_the_nearest_signal() -> None:
    frame = WaveletFrame(200, 1.0, f_min=0.02, num_bands=12, columns=40)
    x = _signal("noise", 200, torch.float64)
    altered = tuple(block * 0.5 for block in frame.analyse(x))
    assert torch.allclose(frame.synthesise(altered), x / 2)
    bent = frame.cwt(x) * torch.linspace(0, 1, 200, dtype=torch.float64)
    once = frame.icwt(bent)
    rest = bent - frame.cwt(once)
    assert frame.icwt(rest).abs().max() < 1e-12  # what is left is orthogonal to every transform


@pytest.mark.parametrize("n", [pytest.param(16, marks=pytest.mark.slow), 17])
def test_gradients_of_both_forms(n: int) -> None:
    frame = WaveletFrame(n, 1.0, f_min=0.12, num_bands=4, columns=4)
    x = torch.randn(2, n, dtype=torch.float64, generator=torch.Generator().manual_seed(3), requires_grad=True)
    assert torch.autograd.gradcheck(frame.cwt, (x,))
    assert torch.autograd.gradcheck(frame.analyse, (x,))
    assert torch.autograd.gradcheck(lambda v: frame.power_map(frame.analyse(v)), (x,))
    coefficients = frame.cwt(x).detach().requires_grad_()
    assert torch.autograd.gradcheck(frame.icwt, (coefficients,))
    blocks = tuple(block.detach().resolve_conj().requires_grad_() for block in frame.analyse(x))
    assert torch.autograd.gradcheck(lambda *parts: frame.synthesise(parts), blocks)


def test_a_first_call_under_inference_mode_does_not_spoil_gradients() -> None:
    frame = WaveletFrame(64, 1.0, f_min=0.05, num_bands=8, columns=16)
    with torch.inference_mode():
        frame.icwt(frame.cwt(torch.ones(64)))
        frame.synthesise(frame.analyse(torch.ones(64)))
    x = torch.ones(64, requires_grad=True)
    (frame.icwt(frame.cwt(x)).sum() + frame.synthesise(frame.analyse(x)).sum()).backward()
    assert torch.allclose(x.grad, torch.full((64,), 2.0), atol=1e-5)


@pytest.mark.parametrize(("wavelet", "width"), [("morse", 7.75), ("morse", 3.0), ("morlet", 6.0), ("mexican_hat", 2.0)])
def test_responses_peak_at_one_with_the_stated_width(wavelet: str, width: float) -> None:
    h = 1e-3
    low, peak, high = wavelet_response(wavelet, np.array([1 - h, 1.0, 1 + h]), width)
    assert peak == pytest.approx(1.0, abs=1e-6)
    curvature = (np.log(high) - 2 * np.log(peak) + np.log(low)) / h**2
    assert curvature == pytest.approx(-(width**2), rel=0.02)
    assert wavelet_response(wavelet, np.array([0.0]), width)[0] == pytest.approx(0.0, abs=1e-12)


def test_supports_are_compact_and_wide_gaps_widen_the_bands() -> None:
    centres = centre_frequencies("log", 60, 40.0, 1880.0)
    rows = build_responses(2000, centres, "morse", 7.75)
    assert all(len(row.values) < 2 * centre for row, centre in zip(rows[1:-1], centres, strict=True))
    sparse = centre_frequencies("log", 6, 40.0, 1880.0)
    assert len(build_responses(2000, sparse, "morse", 20.0)[3].values) > sparse[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_samples": 7}, "at least 8"),
        ({"sample_rate": 0.0}, "above 0"),
        ({"f_min": 0.001}, "at least one cycle"),
        ({"f_max": 0.6}, "half the sample rate"),
        ({"num_bands": 1}, "at least 2 bands"),
        ({"columns": 0}, "1 column"),
        ({"wavelet": "haar"}, "'haar' is not known"),
        ({"spacing": "bark"}, "'bark' is not known"),
        ({"width": 0.5}, "at least 1"),
        ({"width": 3.0, "wavelet": "mexican_hat"}, "fixed"),
        ({"num_bands": 2, "wavelet": "mexican_hat", "num_samples": 4000, "f_min": 0.001}, "leave a gap"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"num_samples": 100, "sample_rate": 1.0, "f_min": 0.05, "num_bands": 10}
    with pytest.raises(ConfigError, match=message):
        WaveletFrame(**(good | settings))


def test_inputs_that_do_not_fit_are_refused() -> None:
    frame = WaveletFrame(100, 1.0, f_min=0.05, num_bands=10)
    with pytest.raises(ShapeError, match="num_samples=100"):
        frame.cwt(torch.zeros(99))
    with pytest.raises(DataError, match=r"float32 or float64"):
        frame.analyse(torch.zeros(100, dtype=torch.float16))
    with pytest.raises(ShapeError, match="rows, samples"):
        frame.icwt(torch.zeros(11, 100, dtype=torch.complex64))
    with pytest.raises(ShapeError, match="analyse of the same frame"):
        frame.synthesise(frame.analyse(torch.zeros(100))[1:])


@pytest.mark.gpu
def test_the_gpu_gives_the_same() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    frame = WaveletFrame(1001, 1.0, f_min=0.01, num_bands=30, columns=64)
    x = _signal("noise", 1001, torch.float64)
    there = frame.analyse(x.cuda())
    for ours, theirs in zip(frame.analyse(x), there, strict=True):
        assert torch.allclose(ours, theirs.cpu(), atol=1e-10)
    assert torch.allclose(frame.synthesise(there).cpu(), x, atol=1e-10)
    assert torch.allclose(frame.icwt(frame.cwt(x.cuda())).cpu(), x, atol=1e-10)
