"""AUROC, AUPRC and partial AUROC on small cases with values known by counting."""

import numpy as np
import pytest

from oddwave.errors import ConfigError, DataError, ShapeError
from oddwave.lab.metrics import auprc, auroc, pauc


def test_auroc_counts_ordered_pairs_and_halves_ties():
    label, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.5, 0.5, 0.3])
    # pairs (anomaly, normal): (0.5, 0.1) won, (0.5, 0.5) half, (0.3, 0.1) won, (0.3, 0.5) lost
    assert auroc(label, score) == pytest.approx(2.5 / 4)


def test_auprc_is_average_precision():
    label, score = np.array([1, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    assert auprc(label, score) == pytest.approx(0.5 * 1.0 + 0.5 * 2 / 3)


def test_pauc_looks_at_the_low_false_positive_end_only():
    label = np.array([0] * 100 + [1] * 10)
    early = np.concatenate([np.linspace(0, 1, 100), np.full(10, 0.95)])  # 5 of 100 normals lie above every anomaly
    late = np.concatenate([np.linspace(0, 1, 100), np.full(10, 0.6)])
    assert pauc(label, early) > 0.6 > 0.5 > pauc(label, late)
    assert auroc(label, late) > 0.55
    assert pauc(label, early, max_fpr=1.0) == pytest.approx(auroc(label, early))
    assert pauc(label, label.astype(float)) == 1.0


def test_pauc_is_mcclishs_standardised_area():
    label = np.array([0] * 20 + [1] * 4)
    score = np.concatenate([np.arange(20.0), [19.5, 18.5, 17.5, 3.5]])
    # the curve rises to 1/4 at once, to 2/4 at 1/20, to 3/4 at 2/20: below 0.1 lie (1/4 + 2/4) / 20
    area, chance = 0.75 / 20, 0.1**2 / 2
    assert pauc(label, score) == pytest.approx((1 + (area - chance) / (0.1 - chance)) / 2)


@pytest.mark.parametrize("metric", [auroc, auprc, pauc])
def test_refuses_bad_input(metric):
    with pytest.raises(DataError, match="needs both kinds"):
        metric(np.zeros(3, dtype=int), np.arange(3.0))
    with pytest.raises(ShapeError, match="one shape"):
        metric(np.array([[0, 1]]), np.array([[0.1, 0.2]]))
    with pytest.raises(DataError, match="1 of 2 values NaN or infinite"):
        metric(np.array([0, 1]), np.array([0.1, np.inf]))


@pytest.mark.parametrize("max_fpr", [0.0, -0.1, 1.5])
def test_pauc_refuses_an_impossible_rate(max_fpr):
    with pytest.raises(ConfigError, match="max_fpr"):
        pauc(np.array([0, 1]), np.array([0.1, 0.2]), max_fpr)
