"""Items that are anomalous at a false discovery rate: against scipy, by hand, and what is never one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import false_discovery_control, norm

from oddwave.errors import ConfigError
from oddwave.results import CalibrationSummary, DetectionResult, SeriesEvent, SeriesResult, WholeRun, are_discoveries

NAN = float("nan")


def item(name, p_value, *, num=1, events=()):
    p_values = np.full(num, p_value)
    labels = np.where(np.isnan(p_values), -1, p_values <= 0.05).astype(int)
    scores = np.where(np.isnan(p_values), NAN, 1.0 - p_values)
    return SeriesResult(
        name, scores, p_values, labels, np.zeros((num, 1)), np.ones((num, 1), bool), ("a",), events=events
    )


def result(kind, *items, block_size=1):
    return DetectionResult("series", kind, items, CalibrationSummary(0.05, 1.0, 99, 99, block_size, "", np.zeros(99)))


def found(kind, rate, *items, **settings):
    return [each.id for each in result(kind, *items, **settings).discoveries(rate)]


def test_the_strongest_items_of_a_run_in_shards_are_not_all_of_it():
    held = result("panel", item("a", 0.001), item("b", 0.9))
    told = replace(held, whole=WholeRun(1000, 1, 0, 1000, 1000, 1, 0))
    for ask in (told.discoveries, told.discovered):
        with pytest.raises(ConfigError, match="holds 2 of 1,000"):
            ask(0.1)
    assert replace(told, whole=replace(told.whole, discoveries=("a", "z"))).discovered(0.1) == ("a", "z")
    assert replace(told, whole=replace(told.whole, items=2)).discovered(0.1) == held.discovered(0.1) == ("a",)


def test_they_are_those_that_scipy_adjusts_to_the_rate_or_less():
    p = np.random.default_rng(0).uniform(size=200) ** 3
    np.testing.assert_array_equal(are_discoveries(p, 0.2), false_discovery_control(p) <= 0.2)
    assert 0 < are_discoveries(p, 0.2).sum() < 200


def test_by_hand_and_in_item_order():
    # ranks 1..3 against 0.1 * rank / 5: 0.02, 0.04, 0.06 -> the three smallest pass, the tie among them
    items = [item("a", 0.01), item("b", 0.5), item("c", 0.05), item("d", 0.05), item("not judged", NAN), item("e", 0.9)]
    assert found("instance", 0.1, *items) == ["a", "c", "d"]
    assert found("instance", 0.04, *items) == []


def test_a_p_value_that_fails_alone_passes_in_company():
    p = np.array([0.04, 0.045, 0.049])
    assert are_discoveries(p, 0.05).all()
    assert not are_discoveries(np.array([0.04, 0.5, 0.9]), 0.05).any()


def test_what_was_not_judged_is_never_one():
    assert found("instance", 0.5, item("a", NAN), item("b", NAN)) == []
    assert found("instance", 0.5) == []


def test_a_long_stream_is_not_suspect_for_its_length():
    event = SeriesEvent("long", 3, 4, 3, 0.9, 0.01)
    long = item("long", 0.01, num=200, events=(event,))
    assert found("stream", 0.1, long, block_size=10) == []  # 20 blocks of p = 0.01
    assert found("stream", 0.1, long, block_size=50) == ["long"]
    assert found("stream", 0.1, item("quiet", 0.001, num=200), block_size=50) == []


def _p_values(rng, num, odd, same):
    """Two-sided p-values, those of normal items sharing a part of their noise; `odd` of them are anomalous."""
    noise = np.sqrt(same) * rng.normal() + np.sqrt(1 - same) * rng.normal(size=num)
    noise[1::2] *= -1  # so that some depend negatively
    noise[:odd] += 4.0
    return 2 * norm.sf(np.abs(noise))


@pytest.mark.parametrize(("method", "same"), [("bh", 0.0), ("by", 0.0), ("by", 0.6), ("by", 0.95)])
def test_the_false_discovery_rate_holds_by_simulation(method, same):
    """Of 400 simulated batches of 100 items, 20 of them anomalous; three standard errors are allowed."""
    rng, shares, kept = np.random.default_rng(1), [], []
    for _ in range(400):
        chosen = are_discoveries(_p_values(rng, 100, 20, same), 0.1, method)
        shares.append(chosen[20:].sum() / max(1, chosen.sum()))
        kept.append(chosen[:20].mean())
    assert np.mean(shares) <= 0.1 + 3 * np.std(shares) / 20
    assert np.mean(kept) > 0.3


def test_the_method_for_any_dependence_finds_no_more():
    p = np.random.default_rng(2).uniform(size=300) ** 3
    careful = are_discoveries(p, 0.2, "by")
    np.testing.assert_array_equal(careful, false_discovery_control(p, method="by") <= 0.2)
    assert careful.sum() < are_discoveries(p, 0.2).sum()
    items = [item(str(number), value) for number, value in enumerate(p)]
    assert len(result("instance", *items).discoveries(0.2, method="by")) == careful.sum()
    with pytest.raises(ConfigError, match=r"method of false discovery control is 'holm': give one of \['bh', 'by'\]"):
        are_discoveries(p, 0.2, "holm")


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0, NAN, True])
def test_refuses_a_rate_that_is_none(rate):
    with pytest.raises(ConfigError, match=r"false discovery rate is .* between 0 and 1"):
        result("instance", item("a", 0.01)).discoveries(rate)
