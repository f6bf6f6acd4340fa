"""The contract of a retired service: JSON in and out as its public description has it, v1.0 and v1.1."""

import numpy as np
import pytest

from oddwave.service.azure_series import AzureError, AzureSeries, change_points, entire, last

URL = "/anomalydetector/{}/timeseries/{}/detect"
CODES = {"InvalidCustomInterval", "BadArgument", "InvalidGranularity", "InvalidPeriod", "InvalidModelArgument",
         "InvalidSeries", "InvalidJsonFormat", "RequiredGranularity", "RequiredSeries", "InvalidImputeMode",
         "InvalidImputeFixedValue"}  # fmt: skip
LISTS = {"expectedValues": float, "upperMargins": float, "lowerMargins": float, "isAnomaly": bool,
         "isNegativeAnomaly": bool, "isPositiveAnomaly": bool, "severity": float}  # fmt: skip
SINGLE = {"expectedValue": float, "upperMargin": float, "lowerMargin": float, "isAnomaly": bool,
          "isNegativeAnomaly": bool, "isPositiveAnomaly": bool, "severity": float}  # fmt: skip


def season(num=60, period=7, seed=0):
    rng, day = np.random.default_rng(seed), np.arange(num)
    return 30 + 5 * np.sin(2 * np.pi * day / period) + 0.3 * rng.normal(size=num)


def body_of(values, start="2026-01-01", **more):
    days = np.datetime64(start) + np.arange(len(values))
    series = [{"timestamp": f"{day}T00:00:00Z", "value": float(v)} for day, v in zip(days, values, strict=True)]
    return {"series": series, "granularity": "daily", **more}


@pytest.fixture
def odd():
    values = season()
    values[40] += 25
    values[20] -= 25
    return values


@pytest.mark.parametrize("version", ["v1.0", "v1.1"])
def test_entire_answers_in_its_form_and_finds_both_directions(client, odd, version):
    answer = client.post(URL.format(version, "entire"), json=body_of(odd))
    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == {"period", *LISTS}
    assert found["period"] == 7
    for name, kind in LISTS.items():
        assert len(found[name]) == 60
        assert {type(value) for value in found[name]} == {kind}
    assert np.flatnonzero(found["isAnomaly"]).tolist() == [20, 40]
    assert np.flatnonzero(found["isPositiveAnomaly"]).tolist() == [40]
    assert np.flatnonzero(found["isNegativeAnomaly"]).tolist() == [20]
    assert [severity > 0 for severity in found["severity"]] == found["isAnomaly"]
    np.testing.assert_allclose(found["expectedValues"], season(), atol=4)


def test_the_last_point_answers_in_its_form(client):
    values = season()
    values[-1] += 25
    found = client.post(URL.format("v1.1", "last"), json=body_of(values)).json()
    assert set(found) == {"period", "suggestedWindow", *SINGLE}
    assert {name: type(found[name]) for name in SINGLE} == SINGLE
    assert (found["isAnomaly"], found["isPositiveAnomaly"], found["isNegativeAnomaly"]) == (True, True, False)
    assert found["suggestedWindow"] == 29
    calm = client.post(URL.format("v1.1", "last"), json=body_of(season())).json()
    assert (calm["isAnomaly"], calm["severity"]) == (False, 0.0)


def test_change_points_answer_in_their_form(client):
    values = season(90)
    values[50:] += 12
    found = client.post(URL.format("v1.1", "changepoint"), json=body_of(values)).json()
    assert set(found) == {"period", "isChangePoint", "confidenceScores"}
    (at,) = np.flatnonzero(found["isChangePoint"])
    assert abs(at - 50) <= 1
    assert all(0 <= score <= 1 for score in found["confidenceScores"])


def test_a_steady_series_has_no_change_point():
    for seed in range(20):
        series = AzureSeries.read(body_of(season(120, seed=seed), granularity="none"), changes=True)
        assert not any(change_points(series)["isChangePoint"])


@pytest.mark.parametrize("sensitivity", [50, 95, 99])
def test_clients_that_compute_the_boundary_find_what_is_flagged(odd, sensitivity):
    """Their rule: expected + (100 - marginScale) * upperMargin, with the sensitivity as the scale."""
    found = entire(AzureSeries.read(body_of(odd, sensitivity=sensitivity)))
    expected, upper, lower = (np.array(found[name]) for name in ("expectedValues", "upperMargins", "lowerMargins"))
    above, below = odd > expected + (100 - sensitivity) * upper, odd < expected - (100 - sensitivity) * lower
    assert (above | below).tolist() == found["isAnomaly"]
    assert above.tolist() == found["isPositiveAnomaly"]


def test_lower_sensitivity_and_ratio_flag_fewer(odd):
    odd[10] += 3.0
    counts = [sum(entire(AzureSeries.read(body_of(odd, sensitivity=own)))["isAnomaly"]) for own in (0, 80, 99)]
    assert counts == sorted(counts)
    assert sum(entire(AzureSeries.read(body_of(odd, maxAnomalyRatio=0.02)))["isAnomaly"]) == 1


@pytest.mark.parametrize("num", [12, 15, 20])
def test_few_points_are_judged_as_there(num):
    values = np.r_[10 + np.random.default_rng(0).normal(0, 0.1, num - 1), 30.0]
    found = last(AzureSeries.read({"series": [{"value": float(value)} for value in values]}))
    assert found["period"] == 0
    assert abs(found["expectedValue"] - 10) < 21


def test_a_constant_series_has_no_anomaly():
    found = entire(AzureSeries.read(body_of(np.full(40, 5.0))))
    assert not any(found["isAnomaly"])
    assert found["expectedValues"] == [5.0] * 40


@pytest.mark.parametrize("mode", ["auto", "previous", "linear", "fixed", "zero", "notFill"])
def test_missing_days_are_filled_as_asked_and_answers_keep_to_what_was_sent(odd, mode):
    body = body_of(odd, imputeMode=mode, imputeFixedValue=30.0)
    del body["series"][30:33]
    found = entire(AzureSeries.read(body))
    assert len(found["isAnomaly"]) == 57
    flagged = np.flatnonzero(found["isAnomaly"])
    if mode != "zero":  # zeros are anomalies of their own making, beside which these may pale
        assert {20, 37} <= set(flagged.tolist())
    filled = AzureSeries.read(body).values[30:33]
    expected = {"fixed": [30.0] * 3, "zero": [0.0] * 3, "previous": [odd[29]] * 3,
                "linear": np.interp([30, 31, 32], [29, 33], odd[[29, 33]])}.get(mode, [np.nan] * 3)  # fmt: skip
    np.testing.assert_allclose(filled, expected)


GRIDS = [
    ("hourly", 1, ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"]),
    ("minutely", 5, ["2026-01-01T00:00:00Z", "2026-01-01T00:05:00+00:00"]),
    ("perMinute", 5, ["2026-01-01T00:00:00", "2026-01-01T00:05:00"]),
    ("secondly", 30, ["2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z"]),
    ("weekly", 1, ["2026-01-01", "2026-01-08"]),
    ("monthly", 1, ["2026-01-31", "2026-02-28"]),
    ("monthly", 3, ["2026-01-01", "2026-04-01"]),
    ("yearly", 1, ["2025-01-01", "2026-01-01"]),
]


@pytest.mark.parametrize(("granularity", "interval", "two"), GRIDS)
def test_granularities_make_the_grid(granularity, interval, two):
    from oddwave.service import azure_series

    series = [{"timestamp": stamp, "value": 1.0} for stamp in two]
    known = {"perMinute": "minutely"}.get(granularity, granularity)
    grid, place = azure_series._on_grid(series, np.ones(2), known, interval, ("auto", 0.0))
    assert (len(grid), place.tolist()) == (2, [0, 1])


def wrong(**changes):
    return {**body_of(season(20)), **changes}


def at(place, **changes):
    body = body_of(season(20))
    body["series"][place] = {**body["series"][place], **changes}
    return body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "RequiredSeries"),
        ([], "InvalidJsonFormat"),
        (wrong(series="x"), "InvalidSeries"),
        (wrong(series=[{"value": 1}] * 11), "InvalidSeries"),
        (wrong(series=[{"value": 1}] * 8641), "InvalidSeries"),
        (wrong(series=[1] * 20), "InvalidSeries"),
        (at(3, value="5"), "InvalidSeries"),
        (at(3, value=None), "InvalidSeries"),
        (at(3, value=True), "InvalidSeries"),
        (at(3, timestamp="soon"), "InvalidSeries"),
        (at(3, timestamp=None), "InvalidSeries"),
        (at(3, timestamp="2026-01-03T00:00:00Z"), "InvalidSeries"),  # a repeated day
        (at(3, timestamp="2026-01-04T05:00:00Z"), "InvalidSeries"),  # off the grid
        (at(19, timestamp="2026-09-01T00:00:00Z"), "InvalidSeries"),  # most are missing
        (wrong(granularity="often"), "InvalidGranularity"),
        (wrong(granularity=5), "InvalidGranularity"),
        (wrong(customInterval=0), "InvalidCustomInterval"),
        (wrong(customInterval="5"), "InvalidCustomInterval"),
        (wrong(period=-1), "InvalidPeriod"),
        (wrong(period=2.5), "InvalidPeriod"),
        (wrong(maxAnomalyRatio=0.6), "InvalidModelArgument"),
        (wrong(maxAnomalyRatio=0), "InvalidModelArgument"),
        (wrong(sensitivity=100), "InvalidModelArgument"),
        (wrong(sensitivity=-1), "InvalidModelArgument"),
        (wrong(imputeMode="guess"), "InvalidImputeMode"),
        (wrong(imputeMode="fixed"), "InvalidImputeFixedValue"),
    ],
)
def test_what_is_wrong_has_its_code(client, body, code):
    assert code in CODES
    with pytest.raises(AzureError) as raised:
        AzureSeries.read(body)
    assert raised.value.code == code
    if body in ({}, []) or body.get("customInterval") == 0:
        answer = client.post(URL.format("v1.1", "entire"), json=body)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, code)
        assert set(answer.json()) == {"code", "message"}


def test_change_points_need_a_granularity(client):
    body = {"series": [{"value": float(value)} for value in season()]}
    assert client.post(URL.format("v1.1", "changepoint"), json=body).json()["code"] == "RequiredGranularity"
    assert client.post(URL.format("v1.1", "entire"), content=b"{").json()["code"] == "InvalidJsonFormat"
    assert client.post(URL.format("v3.0", "entire"), json=body).status_code == 404
