"""A fitted detector's denoiser, used by samplers: of every modality, with a network that has hardly learnt anything."""

import numpy as np
import pytest

from oddwave.config import preset
from oddwave.detector import Detector
from oddwave.lab.bench.made_data import make_data, make_panel
from oddwave.lab.bench.same_network import denoiser_settings, same_network

SIZES = {"train": 12, "test": 2, "requests": 1, "request_points": 300}
HARDLY = ["training.num_steps=2", "training.num_validation_draws=8"]
SMALL = {"series": [], "image": ["image.size_px=64"], "audio": ["audio.sample_rate=16000", "audio.num_background=20"]}


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["series", "image", "audio"])
def test_every_modality_has_its_network(modality, tmp_path) -> None:
    sizes = SIZES | ({"train": 1200, "test": 600} if modality == "series" else {})
    data = make_data(modality, tmp_path, sizes)
    settings = denoiser_settings(preset("fast", modality)).with_overrides([*HARDLY, *SMALL[modality]])
    network = same_network(Detector(settings).fit(data.train))
    seen = network.encode(data.test)
    errors = network.one_step(seen.x0, (0.1, 0.3))
    assert errors.shape == (len(seen.x0), 2)
    sampled = network.sampled(seen.x0, scheduler="DDPMScheduler", num_steps=2, noise_level=0.5)
    assert np.isfinite(sampled).all()
    again = network.sampled(seen.x0, scheduler="DDPMScheduler", num_steps=2, noise_level=0.5)
    assert (sampled == again).all()
    if modality == "series":
        points = seen.per_point(sampled, network.window_size, 600)
        assert points.shape == (600,)
        assert np.isfinite(points).all()
    else:
        assert seen.per_item(sampled).shape == (2,)
        assert len(seen.x0) == (6 if modality == "audio" else 2)  # 8 s are clips of 4 s at 0, 3 and 4 s


def test_made_data_follow_from_the_seed_and_half_is_faulty(tmp_path) -> None:
    one, other = (make_panel(8, 96, seed=1, faulty=0.5) for _ in range(2))
    assert (one[0] == other[0]).all()
    assert one[0].shape == (8, 1, 96)
    assert one[1].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    data = make_data("series", tmp_path, {"train": 500, "test": 1500, "requests": 3, "request_points": 200})
    assert (len(data.train), len(data.test), len(data.gt_label)) == (500, 1500, 1500)
    assert 0 < data.gt_label.mean() < 0.5
    assert [len(each) for each in data.requests] == [200] * 3
