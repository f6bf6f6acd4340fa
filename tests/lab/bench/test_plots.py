"""The page of plots: one file, no network, every method with its interval, cost and curve."""

import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oddwave.errors import MissingExtraError
from oddwave.lab.bench import plot_page, plots
from oddwave.lab.bench.plots import critical_difference_figure, mean_roc, write_plots
from oddwave.lab.bench.protocol import Cell, Task
from oddwave.lab.bench.ranks import MeanRanks

pytest.importorskip("plotly")


@pytest.fixture
def results(tmp_path):
    """Save scores of three methods on two streams, the last without a score file."""
    (tmp_path / "scores").mkdir()
    rng, rows, tasks = np.random.default_rng(0), [], []
    label = np.zeros(300, dtype=int)
    label[100:130] = label[200:240] = 1
    for item in ("one", "two"):
        tasks.append(Task("nab", item, "semi", np.zeros((9, 1)), np.zeros((300, 1)), label))
        for method, strength in {"oddwave": 2.0, "oddwave_fast": 1.5, "knn": 1.0, "slow": 0.5}.items():
            scores = strength * label + rng.normal(size=300)
            if method != "slow":
                np.save(tmp_path / "scores" / Cell("nab", item, "semi", method, 0).file_name, scores)
            auroc = str(roc_auc_score(label, scores))
            rows.append(
                {"dataset": "nab", "item": item, "protocol": "semi", "method": method, "seed": "0", "auroc": auroc,
                 "fit_s": "70" if method == "slow" else "0.5", "score_s": "0.5", "error": ""}
            )  # fmt: skip
    return tmp_path, rows, tasks


def test_the_page_is_one_offline_file_with_all_plots(results):
    out, rows, tasks = results
    path = write_plots(out, "series", rows, tasks)
    assert path.name == "series_plots.html"
    page = path.read_text(encoding="utf-8")
    shell = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)=\"(?!#)", shell)
    drawn = page.split("</style>")[1]
    for words in ("Mean ranks", "critical difference", "nab, semi", "AUROC against cost", "ROC, mean over items"):
        assert words in drawn
    assert drawn.count("plotly-graph-div") == 4


def test_bars_start_at_chance_and_only_saved_scores_have_whiskers(results, monkeypatch):
    figures = {}

    def keep(figure):
        figures.setdefault(figure.layout.title.text or "ranks", figure)
        return ""

    out, rows, tasks = results
    monkeypatch.setattr(plots, "figure_html", keep)
    write_plots(out, "series", rows, tasks)
    (bars,) = figures["AUROC, mean over items, with its 95 % interval"].data
    assert list(bars.y) == ["slow", "knn", "oddwave_fast", "oddwave"]  # the last is drawn on top
    means = {m: np.mean([float(row["auroc"]) for row in rows if row["method"] == m]) for m in bars.y}
    assert bars.base == 0.5
    np.testing.assert_allclose(bars.x, [means[method] - 0.5 for method in bars.y])
    assert bars.error_x.array[0] == bars.error_x.arrayminus[0] == 0
    assert min(bars.error_x.array[1:]) > 0
    costs = {trace.name: trace.x[0] for trace in figures["AUROC against cost"].data}
    assert costs == {"oddwave": 1.0, "oddwave_fast": 1.0, "knn": 1.0, "slow": 70.5}
    assert figures["AUROC against cost"].layout.xaxis.type == "log"
    curves = [trace.name for trace in figures["ROC, mean over items and seeds"].data]
    assert curves == ["chance", "oddwave", "oddwave_fast", "knn"]  # of `slow` nothing is known but its figure
    assert list(figures["ranks"].data[0].y) == ["oddwave", "knn", "slow"]  # own variants are not ranked


def test_labels_of_near_points_do_not_cover_each_other():
    places = plots._label_places({"first": (1.0, 0.8), "second": (1.05, 0.8), "far": (90.0, 0.4)})
    assert places["first"] != places["second"]


def test_a_mean_curve_keeps_the_mean_area():
    rng = np.random.default_rng(1)
    label = np.repeat([0, 1], [700, 300])
    seeds = [rng.normal(size=1_000) + strength * label for strength in (0.5, 2.0)]
    curve = mean_roc(label, seeds)
    assert curve[-1] == 1.0
    assert (np.diff(curve) >= 0).all()
    area = np.trapezoid(curve, np.linspace(0, 1, len(curve)))
    assert area == pytest.approx(np.mean([roc_auc_score(label, own) for own in seeds]), abs=0.005)


def test_the_rank_plot_joins_methods_within_the_critical_difference():
    ranks = {"oddwave": 1.2, "knn": 2.0, "pca": 3.4, "random": 4.0}
    dots, *bars = critical_difference_figure(MeanRanks(ranks, 12, 0.01, 1.0)).data
    assert dict(zip(dots.y, dots.x, strict=True)) == ranks
    assert [tuple(bar.y) for bar in bars] == [("oddwave", "knn"), ("pca", "random")]
    assert len({bar.x[0] for bar in bars}) == 2
    untested = critical_difference_figure(MeanRanks({"a": 1.0, "b": 2.0}, 1, float("nan"), float("nan")))
    assert len(untested.data) == 1
    assert not untested.layout.shapes


def test_a_page_comes_of_one_method_alone_or_of_none(results):
    out, rows, tasks = results
    alone = [row for row in rows if row["method"] == "oddwave"]
    assert "Nothing to rank" in write_plots(out, "series", alone, tasks).read_text(encoding="utf-8")
    failed = [row | {"error": "DataError: x"} for row in alone]
    assert "Nothing to rank" in write_plots(out, "series", failed, tasks).read_text(encoding="utf-8")


def test_without_plotly_the_extra_is_named(results, monkeypatch):
    out, rows, tasks = results
    monkeypatch.setattr(plot_page, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="report"):
        write_plots(out, "series", rows, tasks)
