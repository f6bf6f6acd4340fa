"""Choosing weights and noise levels by synthetic anomalies, and when to leave the neutral choice alone."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oddwave.scoring.selection import auroc_error, near_best, select_weights, separation

NEUTRAL = 2 / 3  # with two memory spaces


def groups(n, shift=0.0, seed=0, **own):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=n) + own.get(name, shift) for name in ("recon", "feature", "memory")}


def test_separation_is_the_auroc_with_ties_counting_half():
    rng = np.random.default_rng(0)
    normal, odd = rng.integers(0, 6, size=50).astype(float), rng.integers(2, 8, size=30).astype(float)
    expected = roc_auc_score(np.repeat([0, 1], [50, 30]), np.concatenate([normal, odd]))
    assert separation(normal, odd) == pytest.approx(expected)
    assert separation(np.zeros(3), np.zeros(4)) == 0.5
    assert separation(np.array([0.0]), np.array([1.0])) == 1.0


def test_auroc_error_is_that_of_repeated_draws():
    draws = np.random.default_rng(0)
    measured = [separation(draws.normal(size=60), draws.normal(size=40) + 1) for _ in range(400)]
    assert auroc_error(float(np.mean(measured)), 60, 40) == pytest.approx(np.std(measured), rel=0.15)
    assert auroc_error(1.0, 60, 40) == 0.0


def test_without_evidence_the_neutral_choice_stays():
    kinds = ["spike"] * 150
    alike, odd = (dict.fromkeys(groups(1), groups(150, seed=s)["recon"] + s) for s in (0, 1))
    chosen = select_weights(alike, odd, kinds, num_memory_spaces=2)
    assert (chosen.reconstruction_weight, chosen.memory_weight) == (1.0, NEUTRAL)
    slightly = {**odd, "feature": odd["feature"] + 0.02, "memory": odd["memory"] - 0.02}
    chosen = select_weights(alike, slightly, kinds, num_memory_spaces=2)
    assert (chosen.reconstruction_weight, chosen.memory_weight) == (1.0, NEUTRAL)
    assert chosen.best_auroc > chosen.auroc >= chosen.best_auroc - chosen.standard_error


def test_clear_evidence_overrules_it():
    kinds = ["spike"] * 150
    odd = groups(150, seed=1, recon=4.0, feature=0.0, memory=-2.0)
    by_denoiser = select_weights(groups(150), odd, kinds, num_memory_spaces=2)
    assert by_denoiser.memory_weight == 0.0
    assert by_denoiser.auroc > separation(groups(150)["memory"], odd["memory"]) + 0.4
    by_feature = select_weights(
        groups(150), groups(150, seed=1, recon=0.0, feature=4.0, memory=0.0), kinds, num_memory_spaces=2
    )
    assert by_feature.reconstruction_weight < 1.0


def test_given_weights_are_kept_and_the_other_one_is_still_chosen():
    odd = groups(100, seed=1, recon=4.0, memory=-2.0, feature=0.0)
    chosen = select_weights(groups(100), odd, ["spike"] * 100, reconstruction_weight=0.1, memory_weight=0.9)
    assert (chosen.reconstruction_weight, chosen.memory_weight) == (0.1, 0.9)
    half = select_weights(groups(100), odd, ["spike"] * 100, reconstruction_weight=1.0)
    assert half.reconstruction_weight == 1.0
    assert half.memory_weight == 0.0


def test_the_evidence_names_every_term_and_kind_and_is_json():
    kinds = ["spike", "flat"] * 50
    odd = groups(100, seed=1, recon=3.0, memory=3.0, feature=0.0)
    odd["recon"][1::2] -= 3.0
    odd["memory"][1::2] -= 3.0
    evidence = json.loads(json.dumps(select_weights(groups(100), odd, kinds).to_dict()))
    assert set(evidence["term_auroc"]) == {"recon", "feature", "memory"}
    assert evidence["kind_auroc"]["spike"] > 0.9
    assert 0.3 < evidence["kind_auroc"]["flat"] < 0.7


def test_without_a_memory_the_denoiser_alone_decides():
    normal, odd = ({k: v for k, v in g.items() if k != "memory"} for g in (groups(80), groups(80, 2.0, seed=1)))
    chosen = select_weights(normal, odd, ["spike"] * 80, num_memory_spaces=0)
    assert chosen.memory_weight == 0.0
    assert set(chosen.term_auroc) == {"recon", "feature"}


def test_near_best_drops_only_what_is_clearly_worse():
    values = {"0.1": 0.5, "0.3": 0.75, "0.5": 0.84, "0.7": 0.8}
    assert near_best(values) == ["0.3", "0.5", "0.7"]
    assert near_best(values, tolerance=0.0) == ["0.5"]
