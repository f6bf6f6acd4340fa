"""Bootstrap intervals, paired tests, mean ranks, and the words that come of them."""

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from oddwave.errors import DataError
from oddwave.lab.bench.intervals import (
    Resampler,
    block_length,
    difference_of,
    interval_of,
    mean_evidence,
    read_evidence,
)
from oddwave.lab.bench.markdown import section
from oddwave.lab.bench.protocol import Cell, Task
from oddwave.lab.bench.ranks import MeanRanks, ScoreTable, holm, is_rival, mean_ranks, score_table, wilcoxon_against
from oddwave.lab.bench.verdict import standings, write_verdict


def labels(num_normal, num_anomalous):
    return np.repeat([0, 1], [num_normal, num_anomalous])


def delong(label, first, second):
    """Give DeLong's variance of the first AUROC and two-sided p of the difference, from all placements."""

    def placements(scores):
        pairs = np.sign(scores[label == 1][:, None] - scores[label == 0][None, :]) / 2 + 0.5
        return pairs.mean(axis=1), pairs.mean(axis=0)

    sides = [np.stack([placements(first)[side], placements(second)[side]]) for side in (0, 1)]
    covariance = sum(np.cov(side) / side.shape[1] for side in sides)
    difference = sides[0].mean(axis=1) @ [1, -1]
    deviation = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return covariance[0, 0], 2 * norm.sf(abs(difference) / deviation)


def correlated(rng, num, strength=0.97):
    """Make an autoregressive stream of unit variance."""
    return lfilter([np.sqrt(1 - strength**2)], [1, -strength], rng.normal(size=num + 300))[300:]


@pytest.mark.parametrize(("block_points", "ends"), [(1, ()), (7, ()), (1_000, ()), (7, (150, 400))])
def test_the_figure_is_the_auroc_ties_and_blocks_or_not(block_points, ends):
    rng = np.random.default_rng(1)
    label = np.zeros(400, dtype=int)
    label[60:90] = label[140:170] = label[395:] = 1
    seeds = [np.round(rng.normal(size=400) + label, 1) for _ in range(2)]
    found = Resampler(label, block_points, ends, num_resamples=20).evidence(seeds)
    assert found.value == pytest.approx(np.mean([roc_auc_score(label, own) for own in seeds]), abs=1e-12)


def test_a_resample_is_the_auroc_of_the_drawn_items():
    rng = np.random.default_rng(2)
    label, scores = labels(30, 12), np.round(rng.normal(size=42), 1)
    resampler = Resampler(label, num_resamples=25, seed=3)
    drawn = np.random.default_rng(3)
    weights = np.hstack([drawn.multinomial(num, np.full(num, 1 / num), 25) for num in (30, 12)])
    expected = [roc_auc_score(label, scores, sample_weight=own) for own in weights]
    np.testing.assert_allclose(resampler.evidence([scores]).replicates, expected, atol=1e-6)


def test_blocks_of_equal_points_count_as_one_item():
    rng = np.random.default_rng(4)
    label, scores = labels(40, 15), rng.normal(size=55)
    items = Resampler(label, num_resamples=50, seed=5).evidence([scores])
    stream = Resampler(np.repeat(label, 6), 6, num_resamples=50, seed=5).evidence([np.repeat(scores, 6)])
    np.testing.assert_allclose(stream.replicates, items.replicates, atol=1e-6)


def test_blocks_end_where_a_label_or_a_stream_does():
    label = np.zeros(100, dtype=int)
    label[40:60] = 1
    assert Resampler(label, 1_000).num_units == (2, 1)
    assert Resampler(label, 1_000, ends=(50, 100)).num_units == (2, 2)
    assert Resampler(label, 10).num_units == (8, 2)


def test_spread_and_p_value_agree_with_delong():
    rng = np.random.default_rng(6)
    label = labels(150, 90)
    shared = rng.normal(size=240)
    first, second = 1.1 * label + shared, 0.75 * label + 0.8 * shared + 0.6 * rng.normal(size=240)
    resampler = Resampler(label, num_resamples=4_000)
    one, two = resampler.evidence([first]), resampler.evidence([second])
    variance, p_value = delong(label, first, second)
    assert np.var(one.replicates) == pytest.approx(variance, rel=0.1)
    assert 0.001 < p_value < 0.5
    assert difference_of(one, two).p_value == pytest.approx(p_value, rel=0.15)


def test_intervals_cover_the_true_auroc():
    rng, label, truth = np.random.default_rng(7), labels(80, 50), norm.cdf(1 / np.sqrt(2))
    hits = 0
    for seed in range(100):
        found = interval_of(Resampler(label, num_resamples=200, seed=seed).evidence([rng.normal(size=130) + label]))
        hits += found.low <= truth <= found.high
    assert 0.89 <= hits / 100 <= 0.99


def test_blocks_are_as_long_as_scores_stay_alike_and_cover_where_points_would_not():
    rng, truth = np.random.default_rng(8), norm.cdf(1 / np.sqrt(2))
    label = np.zeros(1_000, dtype=int)
    for start in range(50, 1_000, 100):
        label[start : start + 40] = 1
    hits = {"points": 0, "blocks": 0}
    for seed in range(25):
        scores = correlated(rng, 1_000, strength=0.9) + label
        for name, length in (("points", 1), ("blocks", block_length([scores], label))):
            found = interval_of(Resampler(label, length, num_resamples=100, seed=seed).evidence([scores]))
            hits[name] += found.low <= truth <= found.high
    assert hits["points"] < 17
    assert hits["blocks"] > 19


def test_block_length_follows_the_longest_memory_and_leaves_four_blocks():
    rng = np.random.default_rng(9)
    label = np.zeros(3_000, dtype=int)
    label[1_000:1_400] = 1
    noise, slow = rng.normal(size=3_000), correlated(rng, 3_000)
    assert block_length([noise], label) == 1
    assert block_length([noise, slow], label) == block_length([slow], label) > 20
    assert block_length([np.arange(3_000.0)], label) == 100
    assert block_length([np.ones(3_000)], label) == 1


def test_a_difference_is_paired_signed_and_certain_of_nothing_without_one():
    rng = np.random.default_rng(10)
    label, shared = labels(100, 60), rng.normal(size=160)
    resampler = Resampler(label)
    one, two = resampler.evidence([label + shared]), resampler.evidence([0.8 * label + shared])
    there, back = difference_of(one, two), difference_of(two, one)
    assert (there.value, there.p_value) == pytest.approx((-back.value, back.p_value))
    assert 0 < there.low < there.value < there.high
    apart = np.hypot(np.std(one.replicates), np.std(two.replicates))
    assert there.high - there.low < 2 * apart  # unpaired, it would be nearly four
    assert difference_of(one, one) == difference_of(one, resampler.evidence([3 * (label + shared)]))
    assert difference_of(one, one).p_value == 1.0


def test_one_unit_of_a_label_is_no_ground_for_an_interval():
    found = Resampler(labels(20, 1)).evidence([np.arange(21.0)])
    assert found.value == 1.0
    assert np.isnan([interval_of(found).low, interval_of(found).high, difference_of(found, found).p_value]).all()


def test_labels_of_one_kind_and_other_lengths_are_refused():
    with pytest.raises(DataError, match="one kind"):
        Resampler(np.zeros(5, dtype=int))
    with pytest.raises(DataError, match="4 scores for 5 labels"):
        Resampler(labels(3, 2)).evidence([np.zeros(4)])


def test_a_mean_over_items_is_surer_than_each():
    rng, label = np.random.default_rng(11), labels(50, 30)
    items = [Resampler(label, seed=seed).evidence([rng.normal(size=80) + label]) for seed in range(9)]
    mean = mean_evidence(items)
    assert mean.value == pytest.approx(np.mean([own.value for own in items]))
    assert np.std(mean.replicates) == pytest.approx(np.mean([np.std(own.replicates) for own in items]) / 3, rel=0.25)


def result(item, method, auroc, seed="0", dataset="ucr", error=""):
    return {
        "dataset": dataset, "item": item, "protocol": "one_class", "method": method, "seed": seed,
        "auroc": str(auroc), "fit_s": "1.0", "score_s": "0.5", "error": error,
    }  # fmt: skip


def saved(out: Path, strengths, num_items=3, seeds=("0", "1")):
    """Save scores that separate by `strengths[method]`, and give the rows and tasks that go with them."""
    (out / "scores").mkdir(parents=True)
    rng, rows, tasks = np.random.default_rng(12), [], []
    for number in range(num_items):
        label = rng.permutation(labels(120, 60))
        name = f"item_{number}"
        tasks.append(Task("ucr", name, "one_class", np.zeros((2, 1, 4)), np.zeros((180, 1, 4)), label))
        shared = rng.normal(size=180)
        for method, strength in strengths.items():
            for seed in seeds:
                scores = strength * label + shared + 0.3 * rng.normal(size=180)
                np.save(out / "scores" / Cell("ucr", name, "one_class", method, int(seed)).file_name, scores)
                rows.append(result(name, method, roc_auc_score(label, scores), seed))
    return rows, tasks


def test_evidence_is_read_per_task_with_seeds_averaged(tmp_path):
    rows, tasks = saved(tmp_path, {"oddwave": 1.0, "knn": 0.5})
    np.save(tmp_path / "scores" / Cell("ucr", "item_1", "one_class", "knn", 0).file_name, np.zeros(3))
    rows = [row | {"error": "DataError: x"} if row["item"] == "item_2" and row["seed"] == "1" else row for row in rows]
    found = read_evidence(tmp_path, rows, tasks, num_resamples=50)
    kept = {
        "item_0": [row for row in rows if row["item"] == "item_0" and row["method"] == "knn"],
        "item_1": [row for row in rows if row["item"] == "item_1" and row["method"] == "knn" and row["seed"] == "1"],
        "item_2": [row for row in rows if row["item"] == "item_2" and row["method"] == "knn" and row["seed"] == "0"],
    }
    for item, own in kept.items():
        value = found["ucr", item, "one_class"]["knn"].value
        assert value == pytest.approx(np.mean([float(row["auroc"]) for row in own]))
    again = read_evidence(tmp_path, rows[::-1], tasks[::-1], num_resamples=50)
    for place, methods in found.items():
        for method, own in methods.items():
            np.testing.assert_allclose(again[place][method].replicates, own.replicates, atol=1e-6)


def table(values, methods=None):
    values = np.asarray(values, dtype=float)
    methods = methods or tuple("abcdefghij"[: values.shape[1]])
    return ScoreTable(methods, tuple(("d", str(place), "p") for place in range(len(values))), values, {})


def test_methods_with_few_items_are_left_out_not_the_items():
    rows = [result(str(item), method, 0.5 + item / 100) for item in range(10) for method in ("a", "b")]
    rows += [result("0", "c", 0.9), result("9", "b", "", seed="1", error="DataError: x")]
    rows += [result("0", "a", 0.7, seed="1")]
    found = score_table(rows)
    assert (found.methods, len(found.places), found.left_out) == (("a", "b"), 10, {"c": 1})
    assert found.column("a")[0] == pytest.approx(0.6)  # mean over seeds
    anchored = score_table(rows, anchor="c")
    assert (anchored.methods, len(anchored.places), anchored.left_out) == (("a", "b", "c"), 1, {})


def test_a_data_set_of_many_items_counts_once_by_table():
    places = (("d", "1", "p"), ("d", "2", "p"), ("e", "1", "p"))
    found = ScoreTable(("a", "b"), places, np.array([[0.9, 0.5], [0.7, 0.5], [0.1, 0.2]]), {}).by_table()
    np.testing.assert_allclose(found.values, [[0.8, 0.5], [0.1, 0.2]])
    assert mean_ranks(found).ranks == {"a": 1.5, "b": 1.5}


@pytest.mark.parametrize(("num_methods", "q"), [(3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_difference_is_that_of_the_published_table(num_methods, q):
    values = np.random.default_rng(13).normal(size=(14, num_methods))
    expected = q * np.sqrt(num_methods * (num_methods + 1) / (6 * 14))
    assert mean_ranks(table(values)).critical_difference == pytest.approx(expected, abs=1e-3)


def test_mean_ranks_share_ties_and_put_the_best_first():
    ranked = mean_ranks(table([[0.5, 0.9, 0.9], [0.1, 0.8, 0.2], [0.3, 0.7, 0.5]]))
    assert list(ranked.ranks) == ["b", "c", "a"]
    assert list(ranked.ranks.values()) == pytest.approx([3.5 / 3, 5.5 / 3, 3.0])
    assert ranked.p_value < 0.1
    assert mean_ranks(table(np.full((4, 3), 0.5))).p_value == 1.0
    assert np.isnan(mean_ranks(table([[0.5, 0.4]])).critical_difference)
    assert mean_ranks(table(np.empty((0, 2)))).ranks == {}


def test_groups_are_the_largest_within_the_critical_difference():
    ranked = MeanRanks({"a": 1.0, "b": 1.9, "c": 2.1, "d": 4.0}, 9, 0.01, 1.1)
    assert ranked.groups() == [("a", "b", "c")]
    assert MeanRanks({"a": 1.0, "b": 1.9, "c": 2.2}, 9, 0.01, 1.0).groups() == [("a", "b"), ("b", "c")]
    assert MeanRanks({"a": 1.0, "b": 2.0}, 9, float("nan"), float("nan")).groups() == []


def test_holm_steps_down_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, float("nan"), 0.6]) == pytest.approx([1.0, float("nan"), 1.0], nan_ok=True)
    assert holm([]) == []


def test_signed_ranks_say_who_is_better_and_how_surely():
    rng = np.random.default_rng(14)
    own = rng.normal(size=12)
    tests = wilcoxon_against(table(np.column_stack([own, own - 0.1 - 0.01 * np.arange(12), own + 1e-4, own])), "a")
    assert [test.other for test in tests] == ["c", "d", "b"]
    worse, same, better = tests
    assert (better.num_better, better.num_worse) == (12, 0)
    assert better.p_value == pytest.approx(2 / 2**12)  # all of twelve signs alike
    assert better.p_holm == pytest.approx(3 * 2 / 2**12)
    assert (same.num_better, same.num_worse, same.p_value) == (0, 0, 1.0)
    assert worse.num_worse == 12
    assert wilcoxon_against(table([[0.1, 0.2]]), "z") == []


def test_oddwaves_own_variants_are_no_rivals():
    assert [is_rival(name) for name in ("knn", "plain_ddpm_pixel", "random")] == [True] * 3
    assert [is_rival(name) for name in ("oddwave", "oddwave_fast", "ablation/no_attention")] == [False] * 3


def test_the_verdict_says_that_oddwave_leads(tmp_path):
    rows, tasks = saved(tmp_path, {"oddwave": 1.4, "oddwave_fast": 2.0, "knn": 0.6, "random": 0.0})
    text = "\n".join(write_verdict(tmp_path, "series", rows, tasks))
    assert "**oddwave leads** with 1.00, before knn (2.00)" in text
    (line,) = [line for line in text.splitlines() if line.startswith("| ucr, one_class")]
    assert line.endswith("| **leads** |")
    assert "knn 0." in line
    assert "oddwave_fast" not in text
    assert "On no data set is a rival's mean ahead" in text


def test_the_verdict_says_plainly_where_oddwave_loses(tmp_path):
    rows, tasks = saved(tmp_path, {"oddwave": 0.6, "knn": 1.4, "pca": 0.62, "random": 0.0})
    (standing,) = standings(rows, read_evidence(tmp_path, rows, tasks))
    knn, *_, last = standing.rivals
    assert (knn.method, last.method) == ("knn", "random")
    assert knn.difference.high < 0 < last.difference.low
    assert knn.is_real
    text = "\n".join(write_verdict(tmp_path, "series", rows, tasks))
    assert "**oddwave does not lead**, with " in text
    assert "**does not lead**: loses to knn" in text
    losses = text.split("### Where oddwave loses")[1]
    assert "- ucr, one_class: behind knn, -0." in losses
    assert "(beyond chance); worse on 3 of 3 items" in losses
    assert "item_0 (" in losses


def test_without_saved_scores_the_verdict_tests_no_data_set(tmp_path):
    rows, tasks = saved(tmp_path, {"oddwave": 0.6, "knn": 1.4})
    text = "\n".join(write_verdict(tmp_path / "elsewhere", "series", rows, tasks))
    assert "**does not lead**: not tested, for want of saved scores" in text
    assert "[" not in text.split("| data set |")[1].split("###")[0]


@pytest.mark.parametrize(
    ("method", "said"), [("knn", "no finished cell of oddwave"), ("oddwave", "no rival has finished cells")]
)
def test_the_verdict_is_silent_without_oddwave_or_rivals(tmp_path, method, said):
    assert said in write_verdict(tmp_path, "audio", [result("a", method, 0.7)], [])[-1]


def test_a_mean_over_fewer_items_stands_last_and_is_never_the_best():
    def row(item, method, auroc):
        return {"item": item, "method": method, "seed": "0", "auroc": auroc, "error": ""}

    rows = [
        row("a", "lucky", "0.9"),
        *(row(item, "knn", "0.7") for item in "ab"),
        *(row(i, "pca", "0.6") for i in "ab"),
    ]
    lines = section("two items", rows)
    assert lines[-3:] == ["| knn | **0.700** | 2 |", "| pca | 0.600 | 2 |", "| lucky | 0.900 | 1, only 1 item(s) |"]


def test_of_errors_the_smallest_is_the_best_and_an_undefined_one_is_none():
    rows = [
        result("beats", "knn", "0.9") | {"event_f1": "0.8", "start_error": "0.5"},
        result("beats", "pca", "0.8") | {"event_f1": "0.4", "start_error": "0.25"},
        result("beats", "zscore", "0.7") | {"event_f1": "0.0", "start_error": ""},
    ]
    assert section("one item", [row | {"fit_s": "", "score_s": ""} for row in rows])[-5:] == [
        "| method | AUROC | event F1 | start error | cells |",
        "|---|---:|---:|---:|---:|",
        "| knn | **0.900** | **0.800** | 0.500 | 1 |",
        "| pca | 0.800 | 0.400 | **0.250** | 1 |",
        "| zscore | 0.700 | 0.000 |  | 1 |",
    ]
