"""Standardising terms on normals, and the weighted sum of what remains."""

import json

import numpy as np
import pytest

from oddwave.errors import DataError
from oddwave.scoring.fusion import Fusion, Standardiser, combined_scores, fuse_groups

RNG = np.random.default_rng(0)


def raw_terms(n=400):
    return {
        "recon": RNG.gamma(2.0, [0.02, 5.0, 20.0], size=(n, 3)),
        "feature": RNG.gamma(2.0, 0.1, size=(n, 3)),
        "memory.input": RNG.gamma(3.0, 7.0, size=n),
        "memory.feature": RNG.gamma(3.0, 1e4, size=n),
    }


def test_every_group_has_mean_0_and_deviation_1_on_the_normals():
    terms = raw_terms()
    groups = Standardiser.fit(terms).transform(terms)
    assert set(groups) == {"recon", "feature", "memory"}
    for values in groups.values():
        assert values.shape == (400,)
        assert values.mean() == pytest.approx(0.0, abs=1e-9)
        assert values.std() == pytest.approx(1.0)


def test_levels_and_memory_spaces_count_alike_whatever_their_units():
    terms = raw_terms()
    plain = Standardiser.fit(terms).transform(terms)
    scaled = {**terms, "recon": terms["recon"] * [1e6, 1.0, 0.01], "memory.feature": terms["memory.feature"] * 1e-5}
    for name, values in Standardiser.fit(scaled).transform(scaled).items():
        np.testing.assert_allclose(values, plain[name], rtol=1e-6, atol=1e-9)


def test_transform_equals_the_formula_by_hand():
    terms = {"recon": np.array([[0.0, 10.0], [2.0, 30.0]]), "memory.a": np.array([1.0, 3.0])}
    standardiser = Standardiser.fit(terms)
    new = standardiser.transform({"recon": np.array([[3.0, 20.0]]), "memory.a": np.array([4.0])})
    assert new["recon"] == pytest.approx([(2.0 + 0.0) / 2])  # levels at +2 and 0 deviations
    assert new["memory"] == pytest.approx([2.0])


@pytest.mark.parametrize("noise", [0.0, 1e-12])
def test_a_term_that_hardly_moved_does_not_blow_up_a_score(noise):
    terms = {"recon": 4.0 + noise * RNG.normal(size=(50, 1))}
    standardiser = Standardiser.fit(terms)
    np.testing.assert_allclose(standardiser.transform(terms)["recon"], np.zeros(50), atol=1e-3)
    later = standardiser.transform({"recon": np.array([[4.0 + 1e-6], [6.5]])})["recon"]
    assert abs(later[0]) < 10 < later[1]


def test_terms_that_are_not_finite_are_refused_by_name():
    with pytest.raises(DataError, match=r"'memory.input' is not finite"):
        Standardiser.fit({"recon": np.ones((3, 1)), "memory.input": np.array([1.0, np.inf, 0.0])})


def test_standardiser_survives_json_to_the_last_bit():
    terms = raw_terms()
    standardiser = Standardiser.fit(terms)
    again = Standardiser.from_dict(json.loads(json.dumps(standardiser.to_dict())))
    for name, values in again.transform(terms).items():
        np.testing.assert_array_equal(values, standardiser.transform(terms)[name])


GROUPS = {"recon": np.array([1.0, 2.0]), "feature": np.array([10.0, 0.0]), "memory": np.array([100.0, -100.0])}


@pytest.mark.parametrize(
    ("reconstruction_weight", "memory_weight", "expected"),
    [
        (1.0, 0.0, [1.0, 2.0]),
        (0.0, 0.0, [10.0, 0.0]),
        (0.3, 1.0, [100.0, -100.0]),
        (0.25, 0.5, [0.5 * (0.25 + 7.5) + 50, 0.5 * 0.5 - 50]),
    ],
)
def test_weights_follow_the_formula(reconstruction_weight, memory_weight, expected):
    np.testing.assert_allclose(Fusion(reconstruction_weight, memory_weight).score(GROUPS), expected)


def test_groups_that_were_not_computed_are_absent_not_zero():
    without_memory = {name: GROUPS[name] for name in ("recon", "feature")}
    np.testing.assert_allclose(fuse_groups(without_memory, 0.5, 0.9), [5.5, 1.0])
    np.testing.assert_allclose(fuse_groups({"recon": GROUPS["recon"]}, 0.2, 0.9), GROUPS["recon"])


def test_the_score_is_brought_to_robust_deviations_that_anomalies_hardly_move():
    normal = RNG.normal(3.0, 0.5, size=4000)
    scores = np.concatenate([normal, np.full(80, 1e4)])
    standardiser = Standardiser({}, {}).with_score(scores)
    own = standardiser.standardised_score(normal)
    assert np.median(own) == pytest.approx(0.0, abs=0.05)
    assert own.std() == pytest.approx(1.0, abs=0.05)
    assert np.isnan(standardiser.standardised_score(np.array([np.nan, 3.0]))).tolist() == [True, False]


def test_where_half_of_the_normals_score_alike_the_plain_deviation_stands_in():
    scores = np.concatenate([np.zeros(90), np.full(10, 5.0)])
    assert Standardiser({}, {}).with_score(scores).score == pytest.approx((0.0, 1.5))
    assert Standardiser({}, {}).with_score(np.zeros(9)).score == (0.0, 1.0)  # in its own unit already


def test_scores_that_agree_are_averaged_and_one_that_stands_out_counts_alone():
    scores = np.array([[2.0, 1.0, 500.0, np.nan, np.nan], [2.0, 1.2, 0.0, 7.0, np.nan], [2.0, 0.8, -1.0, 7.0, np.nan]])
    combined, shares = combined_scores(scores)
    assert combined[:2] == pytest.approx([2.0, 1.0], abs=0.01)
    assert combined[2] == pytest.approx(500.0 - 4.0 * np.log(3))
    assert combined[3] == pytest.approx(7.0)
    assert np.isnan(combined[4])
    np.testing.assert_allclose(shares[:, 0], 1 / 3)
    np.testing.assert_allclose(shares[:, 2], [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(shares[:, 3], [0, 0.5, 0.5])
    np.testing.assert_array_equal(shares[:, 4], np.zeros(3))


def test_the_combination_equals_its_formula_and_lies_between_mean_and_largest():
    scores = RNG.normal(0.0, 10.0, size=(3, 200))
    combined, shares = combined_scores(scores)
    np.testing.assert_allclose(combined, 4.0 * np.log(np.exp(scores / 4.0).mean(0)))
    np.testing.assert_allclose(shares.sum(0), 1.0)
    assert (combined <= scores.max(0) + 1e-9).all()
    assert (combined >= scores.mean(0) - 1e-9).all()
