"""Results as a Python user holds them: printed, as a frame, in local time, and told apart by what each was given."""

from dataclasses import replace

import numpy as np
import pytest

from oddwave.report import wording
from oddwave.report.kinds.series_figures import item_figure
from oddwave.report.kinds.series_words import moment_text
from oddwave.report.outputs import write_outputs
from oddwave.result_times import clock_text, local_times
from oddwave.results import AudioResult, CalibrationSummary, DetectionResult, ImageResult, SeriesEvent, SeriesResult

pytest.importorskip("pandas")

NAN = float("nan")
CALIBRATION = CalibrationSummary(0.05, 5.0, 40, 40, 1, "held-out normals", np.linspace(0, 4, 40))
HOUR = np.timedelta64(1, "h")
# three hours around the end of summer time in Berlin, which is at 01:00 UTC
STAMPS = np.datetime64("2024-10-27T00:00", "ns") + HOUR * np.arange(3)


def stream(timezone: str | None = None) -> SeriesResult:
    return SeriesResult(
        "pump.csv", np.array([0.5, NAN, 9.0]), np.array([0.9, NAN, 0.01]), np.array([0, 0, 1]), np.zeros((3, 1)),
        np.array([[True], [False], [True]]), ("flow",), STAMPS, events=(SeriesEvent("pump.csv", 2, 2, 2, 9.0, 0.01),),
        row_index=np.array([0, 1, -1, 2]), row_timestamps=np.insert(STAMPS, 2, np.datetime64("NaT")),
        timezone=timezone,
    )  # fmt: skip


def result_of(kind: str, *items: SeriesResult | ImageResult | AudioResult) -> DetectionResult:
    return DetectionResult("series", kind, items, CALIBRATION)  # type: ignore[arg-type]


def image(name: str, score: float, error: str = "") -> ImageResult:
    one = np.array([score])
    return ImageResult(name, one, one / 100, np.array([int(score > 5)]), (500, 500), np.zeros((500, 500)), error=error)


def test_print_is_a_verdict_the_counts_and_the_findings() -> None:
    lines = str(result_of("stream", stream())).splitlines()
    assert lines == [
        "1 stream: 1 anomalous; 1 event (threshold 5 at alpha 0.05)",
        "  2024-10-27 02:00:00 to 2024-10-27 02:00:00  score 9  p 0.01",
    ]
    many = [image(f"{n}.png", float(n)) for n in range(20)]
    lines = str(result_of("image", *many, image("x.png", NAN, "is empty"))).splitlines()
    assert lines[0] == "21 images: 14 anomalous, 6 normal, 1 not judged (threshold 5 at alpha 0.05)"
    assert lines[1] == "  19.png  score 19  p 0.19"
    assert lines[-2:] == ["  x.png  not judged  is empty", "  ... and 9 more"]


def test_items_print_in_a_line_without_arrays() -> None:
    assert repr(image("a.png", 9.0)) == "ImageResult('a.png': anomalous, score 9, p 0.09, 0 events)"
    assert repr(image("b.png", NAN, "is\nempty")) == "ImageResult('b.png': not judged, is empty)"
    assert repr(stream()) == "SeriesResult('pump.csv': anomalous, score 9, p 0.01, 1 event, 3 scores)"


def test_a_recordings_p_value_is_that_of_its_highest_clip_among_as_long_stretches() -> None:
    scores, p_values = np.array([1.0, NAN, 3.0]), np.array([0.5, NAN, 0.02])
    item = AudioResult(
        "a.wav", scores, p_values, np.array([0, 0, 0]), np.arange(3.0), 1.0, 3.0, 8000, peak_p_value=0.05
    )
    assert (item.score, item.p_value, item.label) == (3.0, 0.05, 0)
    assert item.labels.tolist() == [0, -1, 0]


def test_a_frame_has_the_rows_and_columns_of_the_table(tmp_path) -> None:
    import pandas as pd

    for result in (result_of("stream", stream(), stream()), result_of("image", image("a", 9.0), image("b", NAN))):
        write_outputs(result, tmp_path)
        table, frame = pd.read_csv(tmp_path / "scores.csv"), result.to_frame()
        assert list(frame.columns) == list(table.columns)
        for name in ("item", "score", "label", "status"):
            pd.testing.assert_series_equal(frame[name], table[name], check_dtype=False)
    assert str(result_of("stream", stream()).to_frame()["timestamp"].dtype) == "datetime64[ns]"


def test_a_frame_keeps_local_time() -> None:
    frame = result_of("stream", stream("Europe/Berlin")).to_frame()
    assert [str(stamp) for stamp in frame["timestamp"]] == [
        "2024-10-27 02:00:00+02:00", "2024-10-27 02:00:00+01:00", "NaT", "2024-10-27 03:00:00+01:00",
    ]  # fmt: skip


def test_panels_frames_have_no_times() -> None:
    frame = result_of("panel", replace(stream(), scores=np.ones(1), p_values=np.ones(1), labels=np.zeros(1))).to_frame()
    assert list(frame.columns) == ["item", "score", "p_value", "label", "status", "reason", "p_tail", "deviations"]


@pytest.mark.parametrize(
    ("timezone", "texts"),
    [
        ("Europe/Berlin", ["2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00", "2024-10-27T03:00:00+01:00"]),
        ("+05:30", ["2024-10-27T05:30:00+05:30", "2024-10-27T06:30:00+05:30", "2024-10-27T07:30:00+05:30"]),
        ("-0330", ["2024-10-26T20:30:00-03:30", "2024-10-26T21:30:00-03:30", "2024-10-26T22:30:00-03:30"]),
        ("UTC", ["2024-10-27T00:00:00+00:00", "2024-10-27T01:00:00+00:00", "2024-10-27T02:00:00+00:00"]),
        (None, ["2024-10-27T00:00:00", "2024-10-27T01:00:00", "2024-10-27T02:00:00"]),
    ],
)
def test_times_are_written_as_local_ones_with_their_offset(timezone: str | None, texts: list[str]) -> None:
    assert clock_text(STAMPS, timezone) == texts


def test_missing_times_stay_missing_and_clocks_change_at_half_hours_too() -> None:
    assert clock_text(np.array(["NaT", "2024-04-06T15:00"], "datetime64[ns]"), "Australia/Lord_Howe") == [
        "", "2024-04-07T01:30:00+10:30",
    ]  # fmt: skip
    before, after = np.array(["2024-10-05T15:29", "2024-10-05T15:30"], "datetime64[ns]")
    assert local_times(np.array([before, after]), "Australia/Lord_Howe")[1].tolist() == [630, 660]


def test_tables_page_and_terminal_show_local_time(tmp_path) -> None:
    item = stream("Europe/Berlin")
    write_outputs(result_of("stream", item), tmp_path)
    assert (tmp_path / "scores.csv").read_text().splitlines()[1].startswith("pump.csv,0,2024-10-27T02:00:00+02:00,0.5")
    assert (tmp_path / "events.csv").read_text().splitlines()[1].startswith("pump.csv,2024-10-27T03:00:00+01:00,")
    assert moment_text(item, 2) == "2024-10-27 03:00 +01:00"
    assert moment_text(replace(item, timezone=None), 2) == "2024-10-27 02:00"


def test_days_that_begin_at_local_midnight_are_written_as_days() -> None:
    days = np.datetime64("2024-01-01T23:00", "ns") + np.timedelta64(24, "h") * np.arange(3)
    item = replace(stream("+01:00"), timestamps=days)
    assert moment_text(item, 1) == "2024-01-03 +01:00"


def test_the_drawn_axis_is_local_and_never_jumps() -> None:
    import base64

    def drawn(timezone: str | None) -> np.ndarray:
        item = replace(stream(timezone), values=np.zeros((3, 1)))
        kind, _, data = item_figure(item, 5.0, {0: 1}, 1000, with_score=True)["x"].partition(":")
        return np.frombuffer(base64.b64decode(data), f"<{kind}")

    assert np.all(drawn("Europe/Berlin") - drawn(None) == 2 * 3_600_000)


@pytest.mark.parametrize(
    ("text", "article"),
    [("8 kHz", "an"), ("11 kHz", "an"), ("18 Hz", "an"), ("80 Hz", "an"), ("1.8 kHz", "a"), ("110 Hz", "a"),
     ("180 Hz", "a"), ("3.1 kHz", "a"), ("instance", "an"), ("point", "a")],
)  # fmt: skip
def test_articles_are_as_spoken(text: str, article: str) -> None:
    assert wording.with_article(text) == f"{article} {text}"
