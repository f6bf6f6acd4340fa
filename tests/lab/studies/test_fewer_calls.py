"""The knee of accuracy over network calls, and that the same network is asked in every way."""

import numpy as np
import pytest
import torch

from oddwave.config import preset
from oddwave.diffusion.schedule import make_schedule
from oddwave.errors import ConfigError
from oddwave.lab.bench.same_network import Encoded, SameNetwork, denoiser_settings, same_network
from oddwave.lab.studies.fewer_calls import WAYS, knee, summary


def told(family, num_calls, auroc):
    return {"modality": "image", "family": family, "num_calls": num_calls, "auroc": auroc, "standard_error": 0.02}


def test_the_knee_is_the_fewest_calls_within_an_error_of_the_best() -> None:
    ways = [told("one step", 1, 0.80), told("one step", 4, 0.895), told("DDIM", 50, 0.91)]
    assert knee(ways, "image")["num_calls"] == 4
    assert knee([*ways, told("as it ships", 0, 0.99)], "image")["num_calls"] == 4
    assert knee(ways, "audio") is None


def test_seeds_are_averaged_way_by_way() -> None:
    rows = [
        {"modality": "audio", "family": "DDIM", "key": 5, "num_calls": 5, "auroc": auroc, "error_of_auroc": 0.02,
         "cpu_s": 1.0, "num_items": 10}
        for auroc in (0.6, 0.8)
    ]  # fmt: skip
    (mean,) = summary(rows)
    assert (mean["auroc"], mean["cpu_ms"], mean["num_seeds"]) == pytest.approx((0.7, 100.0, 2))
    assert mean["standard_error"] == pytest.approx(0.02 / np.sqrt(2))


@pytest.mark.slow
def test_every_way_asks_the_network_as_often_as_it_says() -> None:
    """A net that always knows the noise-free item (here: nothing) leaves the item itself as the error."""
    asked = []

    def net(x_t, t):
        asked.append(int(t[0]))
        return torch.zeros_like(x_t)

    settings = preset("fast", "image").with_overrides(["training.prediction_type=sample"])
    schedule = make_schedule("linear", 1000)
    network = SameNetwork(None, net, schedule, settings, None, None)
    x0 = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    seen = Encoded(x0, np.array([0, 0, 1]), np.zeros(3, np.int64))
    expected = x0.square().mean((1, 2, 3)).double().numpy()
    for way in WAYS[:8]:
        asked.clear()
        scores, num_calls = way.scores(network, seen, Encoded(x0 * 2, seen.owner, seen.start))
        assert len(scores) == 2
        assert num_calls == way.num_calls
        assert len(asked) == num_calls * (1 if way.scheduler else 2)  # standardising asks as well
        if way.scheduler:
            assert scores == pytest.approx([expected[:2].max(), expected[2]], rel=1e-5)


def test_a_detector_without_a_denoiser_is_refused() -> None:
    bare = type("Bare", (), {"inner": type("Inner", (), {"model": None})()})()
    with pytest.raises(ConfigError, match="no denoiser"):
        same_network(bare)
    assert denoiser_settings(preset("fast", "image")).image.method == "denoiser"
    assert denoiser_settings(preset("fast", "audio")) == preset("fast", "audio")
