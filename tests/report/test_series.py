"""The report page: what it says, what it draws, that it is safe to open, and that it is written whole or not at all."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oddwave.errors import DataError, MissingExtraError
from oddwave.report import render_report, write_report
from oddwave.report.kinds import series_figures as figures
from oddwave.results import BandShare, CalibrationSummary, DetectionResult, SeriesEvent, SeriesResult

pytest.importorskip("jinja2")
pytest.importorskip("plotly")

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"
BANDS = (
    BandShare(2.0, 4.0, None, None, 0.1),
    BandShare(4.0, 8.0, None, None, 0.7),
    BandShare(8.0, np.inf, None, None, 0.2),
)


def calibration(**changes: object) -> CalibrationSummary:
    scores = np.linspace(0.1, 2.0, 200)
    made = CalibrationSummary(0.05, 1.9, 200, 20, 10, "held-out normals", scores)
    return replace(made, **changes)


def stream(name: str = "pump", num_points: int = 400, num_channels: int = 1, events: int = 1) -> SeriesResult:
    """Make a sine stream whose events are bumps of 11 points, the first one the strongest."""
    steps = np.arange(num_points)
    normal = np.stack([np.sin(steps / 9 + channel) for channel in range(num_channels)], axis=1)
    values, scores, found = normal.copy(), np.full(num_points, 0.5), []
    for place in range(events):
        start = 50 + 100 * place
        values[start : start + 11, 0] += 3
        scores[start : start + 11] = 8.0 - place
        found.append(SeriesEvent(name, start, start + 10, start + 5, 8.0 - place, 0.005, BANDS))
    return SeriesResult(
        id=name,
        scores=scores,
        p_values=np.where(scores > 1.9, 0.005, 0.8),
        labels=(scores > 1.9).astype(int),
        values=values,
        observed=np.ones(values.shape, dtype=bool),
        channel_names=tuple(f"channel {channel}" for channel in range(num_channels)),
        reconstruction=normal,
        parts={"memory": scores / 2},
        events=tuple(found),
    )


def timed(item: SeriesResult, step: str = "5m") -> SeriesResult:
    period = np.timedelta64(int(step[:-1]), step[-1])
    stamps = np.datetime64("2024-03-04T00:00", "ns") + period * np.arange(len(item.values))
    return replace(item, timestamps=stamps, sample_period_s=float(period / np.timedelta64(1, "s")))


def result_of(*items: SeriesResult, **changes: object) -> DetectionResult:
    return replace(DetectionResult("series", "stream", items, calibration()), **changes)


def panel_of(scores: list[float]) -> DetectionResult:
    items = [
        replace(
            stream(f"beat {place}", 60, events=0),
            scores=np.array([score]),
            p_values=np.array([0.01]),
            labels=np.array([int(score > 1.9)]),
            parts={},
        )
        for place, score in enumerate(scores)
    ]
    return result_of(*items, kind="panel")


def visible(page: str) -> str:
    """Return the page without its scripts and style: what a person can read, one line."""
    text = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def figure_of(page: str, section: int) -> dict:
    match = re.search(rf'<script type="application/json" id="figure-{section}">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    return json.loads(match.group(1))


def unpack(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text[3:]), dtype=f"<{text[:2]}")


# -- what the page says ------------------------------------------------------------------------------------------------


def test_headline_counts_events_and_places_the_strongest() -> None:
    text = visible(render_report(result_of(timed(stream(events=3))), title="Plant"))
    assert "3 anomalous stretches" in text
    assert "The strongest starts at 2024-03-04 04:10 and lasts 55 min (score 8.00, threshold 1.90, p = 0.0050)" in text
    assert "Plant" in text


def test_headline_of_one_event_names_its_stream_among_several() -> None:
    text = visible(render_report(result_of(stream("a", events=0), stream("b"))))
    assert "1 anomalous stretch" in text
    assert "It starts in b at point 50 and lasts 11 points" in text


def test_clear_result_says_so_with_the_highest_score() -> None:
    text = visible(render_report(result_of(stream(events=0))))
    assert "Nothing above the threshold" in text
    assert "The highest score is at point 0 (score 0.50, threshold 1.90, p = 0.80)" in text
    assert "Show event" not in text


def test_panel_ranks_the_most_abnormal_first() -> None:
    page = render_report(panel_of([0.3, 5.0, 2.5, 0.1]))
    text = visible(page)
    assert "2 of 4 instances are anomalous" in text
    ranking = text[text.index("Ranking The most") :]
    assert [ranking.index(f"beat {place}") for place in (1, 2, 0, 3)] == sorted(
        ranking.index(f"beat {place}") for place in range(4)
    )
    assert figure_of(page, 0)["id"] == "beat 1"


def test_panel_without_findings() -> None:
    assert "None of 2 instances is above the threshold" in visible(render_report(panel_of([0.1, 0.2])))


def test_result_without_items_still_makes_a_page() -> None:
    assert "Nothing could be scored" in visible(render_report(result_of()))


def test_item_without_points_scores_or_readings_still_makes_a_page() -> None:
    whole = stream(num_channels=2)
    blind = replace(
        whole,
        id="blind",
        scores=np.full(400, np.nan),
        p_values=np.full(400, np.nan),
        labels=np.zeros(400, dtype=int),
        values=np.full((400, 2), np.nan),
        observed=np.zeros((400, 2), dtype=bool),
        events=(),
    )
    none, no_labels = np.zeros(0), np.zeros(0, dtype=int)
    empty = SeriesResult("empty", none, none, no_labels, none[:, None], none[:, None] > 0, ("value",))
    text = visible(render_report(result_of(whole, blind, empty)))
    assert "400 points without a score" in text
    assert "Missing readings (800 of 1,600, 50 %)" in text


def test_model_facts_limits_and_warnings_are_listed() -> None:
    model = {
        "train_source": "week_09.csv",
        "window_sizes": [12, 288],
        "num_train_points": 5760,
        "seed": 1234,
        "choices": {"window": 0.93, "weights": {"term_auroc": {"recon": 0.5}}},
        "warnings": ["few normals"],
    }
    item = replace(timed(stream()), notes=("two rows were out of order",))
    text = visible(render_report(result_of(item, model=model, not_monitored=("channel 'door': constant",))))
    for part in (
        "Trained on week_09.csv",
        "12, 288 points (1 h, 24 h)",
        "Training points 5,760",
        "Seed 1234",
        "window: 0.93",
        "Weights of the terms AUROC of each term alone denoiser&#39;s error: 0.500",
        "Model few normals",
        "pump two rows were out of order",
        "channel &#39;door&#39;: constant",
    ):
        assert part in text, part


def test_calibration_is_explained_with_its_size() -> None:
    text = visible(render_report(result_of(stream())))
    assert "The threshold of 1.90 rests on 200 scores of normal points (held-out normals)." in text
    assert "about 20 independent blocks of 10 points" in text
    assert "of normal blocks, about 1 in 20 holds an event by chance." in text
    assert "If all 400 points here were normal, about 2 events would still be reported." in text
    assert "Caution" not in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_blocks": 4}, "Caution: 4 independent blocks cannot confirm a rate as low as 5 %"),
        ({"threshold": np.inf}, "There is no threshold: the calibration data are too few for this alpha"),
    ],
)
def test_weak_calibration_is_admitted(changes: dict, sentence: str) -> None:
    page = render_report(result_of(stream(events=0), calibration=calibration(**changes)))
    assert sentence in visible(page)
    assert "Infinity" not in json.dumps(figure_of(page, 0))


# -- safe to open -----------------------------------------------------------------------------------------------------


def test_nothing_from_the_data_becomes_markup() -> None:
    item = replace(stream(EVIL, num_channels=2), channel_names=(EVIL, "b"), notes=(EVIL,), parts={EVIL: np.ones(400)})
    item = replace(item, events=tuple(replace(event, channel=EVIL) for event in item.events))
    model = {"train_source": EVIL, EVIL: EVIL, "choices": {EVIL: EVIL}, "warnings": [EVIL]}
    changes = {"model": model, "not_monitored": (EVIL,), "calibration": calibration(source=EVIL)}
    page = render_report(result_of(item, **changes), title=EVIL)
    assert "<script>alert" not in page
    assert "<img" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "&lt;script&gt;alert(1)" in page
    assert figure_of(page, 0)["rows"][0]["name"] == EVIL


def test_content_policy_allows_exactly_its_own_scripts_and_no_network() -> None:
    page = render_report(result_of(stream()))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy.group(1).startswith("default-src 'none'; script-src ")
    assert re.findall(r"'sha256-([^']*)'", policy.group(1)) == hashes
    without_scripts = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](https?:)?//""", without_scripts)


def test_without_scripts_the_page_says_what_is_lacking() -> None:
    (note,) = re.findall(r"<noscript>(.*?)</noscript>", render_report(result_of(stream())), re.DOTALL)
    assert "The plots need JavaScript" in note


def test_page_stays_small_for_large_data() -> None:
    long = replace(stream("long", 200_000, num_channels=4), events=())
    many = result_of(*(stream(f"s{place}", 500, events=0) for place in range(300)))
    plain = len(render_report(result_of(stream())))
    assert len(render_report(result_of(long))) - plain < 4_000_000
    page = render_report(many)
    assert len(page) - plain < 12_000_000
    assert page.count('class="plot"') == 200
    assert visible(page).count("s299") >= 1


# -- numbers behind the plots -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_points", [20_001, 100_003, 250_000])
def test_thinning_keeps_extremes_and_events_within_budget(num_points: int) -> None:
    rng = np.random.default_rng(num_points)
    column = rng.normal(size=num_points)
    column[[777, num_points // 2, num_points - 5]] = 50, -60, 70
    event = SeriesEvent("a", 5_000, 5_100, 5_050, 9.0, 0.01)
    starts = figures.bucket_starts(num_points, figures.detail_regions([event], num_points, 10_000), 10_000)
    positions, values = figures.envelope(column, starts)
    assert len(positions) == len(values) <= 10_100
    assert np.all(np.diff(positions) > 0)
    assert {50, -60, 70} <= set(values)
    exact = (positions >= 5_000) & (positions <= 5_100)
    assert np.array_equal(positions[exact], np.arange(5_000, 5_101))
    assert np.array_equal(values[exact], column[5_000:5_101])


def test_short_stream_is_drawn_point_for_point() -> None:
    item = stream(num_points=300)
    figure = figures.item_figure(item, 1.9, {0: 1}, 20_000, with_score=True)
    assert np.array_equal(unpack(figure["x"]), np.arange(300))
    np.testing.assert_allclose(unpack(figure["rows"][0]["values"]), item.values[:, 0], rtol=1e-6)
    np.testing.assert_allclose(unpack(figure["score"]), item.scores, rtol=1e-6)
    assert figure["events"] == [{"from": 49.5, "to": 60.5, "rank": 1}]


def test_event_longer_than_the_budget_is_kept_around_its_peak() -> None:
    (region,) = figures.detail_regions([SeriesEvent("a", 0, 90_000, 40_000, 9.0, 0.01)], 100_000, 1_000)
    assert region == (39_750, 40_250)


def test_envelope_of_gaps_is_missing_only_where_nothing_was_read() -> None:
    column = np.array([1.0, np.nan, 3.0, np.nan, np.nan, np.nan, 2.0, 5.0, 4.0])
    positions, values = figures.envelope(column, np.array([0, 3, 6]))
    assert positions.tolist() == [0, 1, 3, 4, 6, 7]
    np.testing.assert_array_equal(values, [1, 3, np.nan, np.nan, 2, 5])


def test_envelope_keeps_the_order_of_lowest_and_highest() -> None:
    assert figures.envelope(np.array([1.0, 9.0, 5.0, 8.0, 2.0, 3.0]), np.array([0, 3]))[1].tolist() == [1, 9, 8, 2]


def test_missing_values_are_shaded_and_never_drawn() -> None:
    item = stream(num_points=300)
    item.observed[100:110] = False
    item.values[200] = np.inf
    row = figures.item_figure(item, 1.9, {0: 1}, 20_000, with_score=True)["rows"][0]
    assert row["missing"] == [[99.5, 109.5], [199.5, 200.5]]
    assert np.flatnonzero(np.isnan(unpack(row["values"]))).tolist() == [*range(100, 110), 200]


def test_timestamps_survive_to_the_millisecond() -> None:
    figure = figures.item_figure(timed(stream()), 1.9, {0: 1}, 20_000, with_score=True)
    assert figure["axis"] == "time"
    assert unpack(figure["x"])[:2].tolist() == [1709510400000, 1709510700000]


@pytest.mark.parametrize(("offset", "kind"), [(0.0, "f4"), (1e6, "f8"), (1e39, "f8")])
def test_pack_keeps_small_differences_on_a_large_level(offset: float, kind: str) -> None:
    values = offset + np.sin(np.arange(50))
    packed = figures.pack(values)
    assert packed.startswith(kind)
    np.testing.assert_allclose(unpack(packed), values, atol=1e-6)


def test_longest_missing_runs_come_in_order_of_time() -> None:
    missing = np.array([1, 0, 1, 1, 1, 0, 0, 1, 1], dtype=bool)
    assert figures.missing_runs(missing) == [(0, 0), (2, 4), (7, 8)]
    assert figures.missing_runs(missing, limit=2) == [(2, 4), (7, 8)]


def test_channels_with_the_largest_residual_come_first() -> None:
    item = stream(num_channels=4, events=2)
    item.values[150:161, 2] += 9  # the second event is stronger, and in another channel
    item.values[300:, 3] += 99  # outside all events
    assert figures.channel_order(item)[:2] == [2, 0]
    assert figures.channel_order(replace(item, reconstruction=None)) == [0, 1, 2, 3]


def test_sparkline_lifts_the_pen_over_gaps() -> None:
    item = stream(num_points=100, events=0)
    item.observed[40:60] = False
    assert figures.sparkline(item)["path"].count("M") == 2


@pytest.mark.parametrize(
    ("peak", "threshold", "scale"), [(8.0, 1.9, "linear"), (900.0, 1.9, "log"), (900.0, 0.0, "linear")]
)
def test_score_axis_is_logarithmic_only_under_a_towering_peak(peak: float, threshold: float, scale: str) -> None:
    item = stream()
    item.scores[55] = peak
    assert figures.item_figure(item, threshold, {0: 1}, 20_000, with_score=True)["scale"] == scale


# -- writing ----------------------------------------------------------------------------------------------------------


def test_report_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")
    write_report(result_of(stream()), target)
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"cannot write the report to '.*nowhere.*' \(No such file.*\): give a path in a writable"
    ) as caught:
        write_report(result_of(stream()), tmp_path / "nowhere" / "report.html")
    assert "\n" not in str(caught.value)


def test_failed_write_keeps_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(DataError, match="No space left on device"):
        write_report(result_of(stream()), target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("module", ["jinja2", "plotly.offline"])
def test_missing_extra_names_what_to_install(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'oddwave\[report\]'"):
        render_report(result_of(stream()))


def test_importing_the_report_needs_neither_torch_nor_the_extra() -> None:
    code = "import sys, oddwave.report; print([name for name in ('torch', 'jinja2', 'plotly') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
