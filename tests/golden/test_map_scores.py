"""The scores of a tiny detector for images and one for sound: see `test_detector_scores.py` for what is held here.

Terms, weights and shares of the map are set, not chosen, so that nothing tips over by rounding.
"""

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detector import Detector

pytestmark = pytest.mark.slow  # by default test_golden.py holds the scores of images and audio
COMMON = (
    "seed=3",
    "training.num_steps=8",
    "training.dtype=float32",
    "network.base_channels=8",
    "scoring.memory_size=200",
    "scoring.noise_levels=[0.3]",
    "scoring.reconstruction_weight=0.5",
    "scoring.memory_weight=0.5",
    "maps.top_share=0.05",
)
IMAGE = ("image.size_px=64", "maps.memory_grid=8", "maps.denoiser_grid=8", "maps.pixel_size_px=32")
RATE = 8000
AUDIO = (
    f"audio.sample_rate={RATE}",
    "audio.clip_s=1.0",
    "audio.columns=128",
    "audio.num_rows=64",
    "audio.num_background=24",
    "audio.clip_weight=0.5",
)
IMAGES_BY_RETRIEVAL = [1.6554, 59.8448, 1.6463, 87.0844]
IMAGES = [0.9236, 24.2638, 0.5998, 30.3008]
PIXELS = [
    26.0221, 22.3495, 17.3028, 9.0286, 21.6207, 20.6191, 17.2518, 7.6765,
    17.8778, 17.6458, 15.7659, 6.6849, 12.8242, 10.8579, 8.9642, 6.6188,
]  # fmt: skip
CLIPS = [-0.5298, -0.6006, 0.1342, -1.0086, 5.3027, 5.5079]
TOLERANCE = {"rtol": 0.02, "atol": 0.02}


def grating(seed, blot=0.0):
    rng = np.random.default_rng(seed)
    wave = 0.5 + 0.2 * np.sin(2 * np.pi * (np.mgrid[:64, :64][1] + rng.uniform(0, 2)) / 8)
    image = np.clip(wave + rng.normal(0, 0.02, (64, 64)), 0, 1)
    image[20:32, 20:32] += blot
    return np.clip(image, 0, 1)


def pump(seed, tone=0.0):
    rng, time = np.random.default_rng(seed), np.arange(2 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 60 * h * time + rng.uniform(0, 6)) / h for h in range(1, 9))
    noise = 0.02 * rng.normal(size=len(time))
    return (0.05 * hum + noise + tone * np.sin(2 * np.pi * 2500 * time) * (time > 1.2)).astype(np.float32), RATE


@pytest.fixture(scope="module")
def images():
    settings = [*COMMON, *IMAGE, "calibration.alpha=0.2", "image.method=denoiser"]
    return Detector(preset("fast", "image").with_overrides(settings)).fit([grating(seed) for seed in range(30)])


def test_scores_of_images_have_not_moved(images):
    scores = images.decision_function([grating(100), grating(101, 0.3), grating(102), grating(103, -0.3)])
    np.testing.assert_allclose(scores, IMAGES, **TOLERANCE, err_msg=str(scores.round(4).tolist()))


def test_scores_of_images_by_retrieval_have_not_moved():
    settings = [*COMMON, *IMAGE, "calibration.alpha=0.2"]
    detector = Detector(preset("fast", "image").with_overrides(settings)).fit([grating(seed) for seed in range(30)])
    scores = detector.decision_function([grating(100), grating(101, 0.3), grating(102), grating(103, -0.3)])
    np.testing.assert_allclose(scores, IMAGES_BY_RETRIEVAL, **TOLERANCE, err_msg=str(scores.round(4).tolist()))


def test_anomaly_maps_of_images_have_not_moved(images):
    odd = images.score([grating(101, 0.3)]).images[0].anomaly_map
    pixels = odd[:: odd.shape[0] // 4, :: odd.shape[1] // 4].ravel()
    np.testing.assert_allclose(pixels, PIXELS, **TOLERANCE, err_msg=str(pixels.round(4).tolist()))


def test_scores_of_clips_have_not_moved():
    detector = Detector(preset("fast", "audio").with_overrides([*COMMON, *AUDIO, "calibration.alpha=0.2"]))
    detector.fit({f"healthy_{seed:02d}": pump(seed) for seed in range(12)})
    scores = detector.score({"good": pump(100), "odd": pump(101, 0.15)}).scores
    np.testing.assert_allclose(scores, CLIPS, **TOLERANCE, err_msg=str(scores.round(4).tolist()))
