"""What must hold of every ranking metric, whatever the labels and scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oddwave.lab.metrics import auprc, auroc, misleading_point_adjusted_f1, nab_score, pauc, vus


@st.composite
def labelled_scores(draw):
    n = draw(st.integers(4, 60))
    label = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    label[draw(st.integers(0, n - 2))] = 1
    zero = draw(st.integers(0, n - 1))
    label[zero] = 0
    if not label.any():
        label[(zero + 1) % n] = 1
    score = np.array(draw(st.lists(st.integers(-6, 6), min_size=n, max_size=n)), dtype=float)  # many ties
    return label, score


METRICS = {
    "auroc": auroc,
    "auprc": auprc,
    "pauc": pauc,
    "vus_pr": lambda label, score: vus(label, score, 12).pr,
    "vus_roc": lambda label, score: vus(label, score, 12).roc,
    "point_adjusted": lambda label, score: misleading_point_adjusted_f1(label, score).value,
}


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=40, deadline=None)
@given(case=labelled_scores())
def test_lies_in_0_1_and_ignores_rising_transforms(name, case):
    label, score = case
    value = METRICS[name](label, score)
    assert -1e-12 <= value <= 1 + 1e-12
    assert METRICS[name](label, np.exp(score / 3) * 7 - 100) == pytest.approx(value, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(case=labelled_scores())
def test_auroc_of_negated_scores_is_the_complement(case):
    label, score = case
    assert auroc(label, -score) == pytest.approx(1 - auroc(label, score))


@settings(max_examples=40, deadline=None)
@given(case=labelled_scores(), window_size=st.integers(0, 30))
def test_vus_is_the_same_backwards(case, window_size):
    label, score = case
    forward, backward = vus(label, score, window_size), vus(label[::-1], score[::-1], window_size)
    assert (backward.pr, backward.roc) == pytest.approx((forward.pr, forward.roc), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(case=labelled_scores())
def test_vus_ranks_the_label_itself_at_the_top(case):
    label, score = case
    best = vus(label, label.astype(float), 0)
    assert best.pr == pytest.approx(1.0)
    assert best.roc == pytest.approx(1.0)
    assert vus(label, score, 0).pr <= best.pr + 1e-12


@settings(max_examples=40, deadline=None)
@given(case=labelled_scores(), threshold=st.integers(-7, 7))
def test_no_fixed_threshold_beats_the_nab_rule(case, threshold):
    _, score = case
    windows = [[(len(score) - 2, len(score) - 1)]]
    best = nab_score([score], windows)
    assert 0.0 <= best.value <= 100.0 + 1e-9
    assert nab_score([score], windows, threshold=float(threshold)).value <= best.value + 1e-9
