"""Counts that are nearly always zero: bursts can be told, silence cannot, and that is said."""

import numpy as np
import pytest

from oddwave.detector import Detector


@pytest.mark.parametrize(("rate", "said"), [(0.02, True), (3.0, False)])
def test_rare_events_are_named_as_judged_for_bursts_only(tiny_config, rate, said):
    def counts(n, seed):
        return np.random.default_rng(seed).poisson(rate, (n, 1)).astype(float)

    new = counts(400, 1)
    new[200:] = 0
    result = Detector(tiny_config()).fit(counts(900, 0)).score(new)
    assert any("events so rare" in line and "channel_0" in line for line in result.not_monitored) == said


def test_a_constant_or_a_moving_channel_has_no_rare_events(tiny_config, waves):
    for values in (waves(500), np.full((500, 1), 4.0)):
        result = Detector(tiny_config()).fit(values).score(values[:200])
        assert not any("events so rare" in line for line in result.not_monitored)
