"""Point adjustment: right by its own definition, and shown to flatter noise."""

import numpy as np
import pytest

from oddwave.lab.metrics import auroc, misleading_point_adjusted_f1


def _slow_best_f1(label, score, adjust):
    best = 0.0
    for threshold in set(score.tolist()):
        flagged = score >= threshold
        if adjust:
            runs = np.flatnonzero(np.diff(np.concatenate(([0], label, [0]))))
            for start, stop in zip(runs[::2], runs[1::2], strict=True):
                flagged[start:stop] |= flagged[start:stop].any()
        hits = (flagged & (label == 1)).sum()
        best = max(best, 2 * hits / (flagged.sum() + label.sum()))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_literal_adjustment(seed):
    rng = np.random.default_rng(seed)
    label = np.zeros(60, dtype=int)
    label[:3] = label[20:32] = label[58:] = 1
    score = rng.integers(0, 9, 60).astype(float)
    got = misleading_point_adjusted_f1(label, score)
    assert got.value == pytest.approx(_slow_best_f1(label, score.copy(), adjust=True))
    assert got.plain_value == pytest.approx(_slow_best_f1(label, score.copy(), adjust=False))


def test_noise_looks_excellent_on_a_long_anomaly():
    label = np.zeros(4000, dtype=int)
    label[2000:2400] = 1
    noise = np.random.default_rng(7).random(4000)
    got = misleading_point_adjusted_f1(label, noise)
    assert got.value > 0.9
    assert got.random_value > 0.9
    assert got.plain_value < 0.25
    assert auroc(label, noise) == pytest.approx(0.5, abs=0.05)


def test_random_value_depends_on_the_seed_only():
    label = np.array([0, 1, 1, 0, 0, 0, 1, 0])
    first = misleading_point_adjusted_f1(label, np.arange(8.0), seed=1)
    assert first.random_value == misleading_point_adjusted_f1(label, -np.arange(8.0), seed=1).random_value
