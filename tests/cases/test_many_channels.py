"""A fit that cannot fit into memory is refused before it begins, with the estimate and what to do."""

import time

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.errors import DataError


@pytest.mark.parametrize(
    ("channels", "rows"), [(60, 2500), (240, 10080), pytest.param(100, 3000, marks=pytest.mark.slow)]
)
def test_too_many_channels_are_refused_at_once(channels, rows):
    values = np.random.default_rng(0).normal(size=(rows, channels))
    started = time.process_time()
    for work in ("fit", "detect")[: 1 if channels > 100 else 2]:
        with pytest.raises(DataError, match=rf"{channels} channels .* would take about \d+\.\d GB .* columns="):
            getattr(Detector(preset("fast", series={"method": "denoiser"})), work)(values)
    assert time.process_time() - started < 60


@pytest.mark.parametrize("method", ["retrieval", "denoiser"])
def test_the_limit_is_a_setting(tiny_config, waves, method):
    by = f"series.method={method}"
    with pytest.raises(DataError, match=r"allowed are 0\.1 GB"):
        Detector(tiny_config(by, "series.max_memory_gb=0.1")).fit(waves(400))
    Detector(tiny_config(by, "series.max_memory_gb=4")).fit(waves(400))


@pytest.mark.slow
def test_twenty_channels_are_no_matter(tiny_config, waves):
    values = waves(200, channels=20)
    scores = Detector(tiny_config("training.num_steps=1")).fit(values).decision_function(values)
    assert scores.shape == (200,)
    assert np.isfinite(scores).all()
