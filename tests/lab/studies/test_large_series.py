"""What a long and a wide series take: the figures agree with each other."""

import pytest

from oddwave.lab.studies.large_series import measured


@pytest.mark.slow
@pytest.mark.parametrize("num_channels", [1, 3])
def test_figures_are_of_what_was_scored(num_channels):
    found = measured(600, 300, num_channels, "fast")
    assert (found["num_train"], found["num_scores"], found["num_channels"]) == (600, 300, num_channels)
    assert found["points_per_cpu_s"] == pytest.approx(300 / found["score_cpu_s"], rel=0.3)
    assert found["peak_mb"] > 100
    assert "points" in found["windows"]
