"""How the report says numbers: bands, durations, p-values and moments, as tables of values and their words."""

import numpy as np
import pytest

from oddwave.report import wording
from oddwave.report.kinds.series_words import band_text, moment_text
from oddwave.results import BandShare, SeriesResult


@pytest.mark.parametrize(
    ("band", "period_s", "text"),
    [
        (BandShare(4.0, 8.0, None, None, 1.0), None, "4 to 8 samples"),
        (BandShare(8.0, np.inf, None, None, 1.0), None, "over 8 samples"),
        (BandShare(288.0, 576.0, None, None, 1.0), 300.0, "1 to 2 days"),
        (BandShare(2.0, 4.0, 1 / 7200, 1 / 3600, 1.0), 1800.0, "1 to 2 h"),
        (BandShare(576.0, 1152.0, 1 / 345600, 1 / 172800, 1.0), 300.0, "2 to 4 days"),
        (BandShare(2.0, 4.0, 10.0, 20.0, 1.0), 0.025, "10 to 20 Hz"),
        (BandShare(32.0, np.inf, 0.0, 1 / 9600, 1.0), 300.0, "over 2.7 h"),
        (BandShare(32.0, np.inf, 0.0, 1.25, 1.0), 0.025, "below 1.2 Hz"),
    ],
)
def test_bands_are_named_in_human_units(band: BandShare, period_s: float | None, text: str) -> None:
    assert band_text(band, period_s) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0035, "3.5 ms"),
        (0.2, "200 ms"),
        (35.0, "35 s"),
        (60.0, "1 min"),
        (3599.9, "1 h"),
        (7800.0, "2 h 10 min"),
        (86400.0, "24 h"),
        (3.5 * 86400, "3.5 days"),
        (400.0 * 86400, "400 days"),
    ],
)
def test_durations_read_like_speech(seconds: float, text: str) -> None:
    assert wording.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (9.713, "9.71"), (12345.6, "12,346"), (-0.00321, "-0.00321"), (3e-7, "3e-07"), (np.nan, "n/a")],
)
def test_numbers_keep_three_digits(value: float, text: str) -> None:
    assert wording.number_text(value) == text


@pytest.mark.parametrize(
    ("score", "text"),
    [(9.0, "9.00"), (-0.126, "-0.13"), (0.0, "0.00"), (1234.5, "1,234.50"), (3e-4, "0.0003"), (1e6, "1,000,000")],
)
def test_scores_have_two_decimals_unless_those_say_nothing(score: float, text: str) -> None:
    assert wording.score_text(score) == text


@pytest.mark.parametrize(
    ("p_value", "text", "rate"),
    [
        (0.0012, "0.0012", "about 1 in 830"),
        (0.5, "0.50", "about 1 in 2"),
        (1.0, "1.00", "more than half"),
        (1e-6, "< 0.0001", "about 1 in 1,000,000"),
    ],
)
def test_p_values_are_said_as_frequencies(p_value: float, text: str, rate: str) -> None:
    assert (wording.p_value_text(p_value), wording.rate_text(p_value)) == (text, rate)


def item_at(timestamps: np.ndarray | None) -> SeriesResult:
    count = 400 if timestamps is None else len(timestamps)
    zeros = np.zeros(count)
    labels, observed = np.zeros(count, dtype=int), np.ones((count, 1), dtype=bool)
    return SeriesResult("pump", zeros, zeros, labels, zeros[:, None], observed, ("value",), timestamps)


def stamps(step: np.timedelta64) -> np.ndarray:
    return np.datetime64("2024-03-04", "ns") + step * np.arange(400)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (np.timedelta64(1, "D"), "2024-03-07"),
        (np.timedelta64(5, "m"), "2024-03-04 00:15"),
        (np.timedelta64(5, "s"), "2024-03-04 00:00:15"),
        (np.timedelta64(5, "ms"), "2024-03-04 00:00:00.015"),
    ],
)
def test_moments_show_what_the_timestamps_carry(step: np.timedelta64, text: str) -> None:
    assert moment_text(item_at(stamps(step)), 3) == text


def test_unusable_timestamps_fall_back_to_the_index() -> None:
    broken = stamps(np.timedelta64(5, "m"))
    broken[7] = np.datetime64("NaT")
    assert moment_text(item_at(broken), 3) == "point 3"
    assert moment_text(item_at(None), 3) == "point 3"
    assert moment_text(item_at(np.arange(400) * 0.5), 3) == "1.5"
