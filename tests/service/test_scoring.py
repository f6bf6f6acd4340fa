"""What the routes of models answer is what the detector says of the same data, in whatever form it is sent."""

import io

import numpy as np
import pytest
from PIL import Image

from oddwave.report.kinds.image_figures import heat_map, map_scale

SCORE = "/v1/models/{}/score"


def csv_of(values):
    rows = ["a,b", *(f"{float(x)!r},{float(y)!r}" for x, y in values)]
    return "\n".join(rows).encode()


def test_models_are_listed_with_their_facts(client, detectors):
    found = {model["name"]: model for model in client.get("/v1/models").json()}
    assert list(found) == ["pump", "parts"]
    assert (found["pump"]["modality"], found["parts"]["modality"]) == ("series", "image")
    assert found["pump"]["channels"] == ["channel_0", "channel_1"]
    assert found["parts"]["threshold"] == pytest.approx(detectors["parts"].threshold_, rel=1e-12)
    assert client.get("/v1/models/parts").json()["fingerprint"] == found["parts"]["fingerprint"]
    assert client.get("/v1/models/none").status_code == 404


def test_images_get_the_scores_of_python(client, detectors, images, png):
    expected = detectors["parts"].score([(255 * own).round().astype(np.uint8) for own in images], alpha=0.3)
    files = [("files", (f"part_{number}.png", png(own))) for number, own in enumerate(images)]
    answer = client.post(SCORE.format("parts") + "?alpha=0.3", files=files).json()
    assert [item["id"] for item in answer["items"]] == [f"part_{number}.png" for number in range(4)]
    assert [item["label"] for item in answer["items"]] == expected.labels.tolist()
    np.testing.assert_allclose([item["score"] for item in answer["items"]], expected.scores, rtol=1e-6)
    assert answer["alpha"] == 0.3
    (region,) = answer["items"][1]["events"]
    assert (region["left_px"], region["bottom_px"]) == (expected.events[0].left_px, expected.events[0].bottom_px)


def test_one_image_may_be_the_body(client, images, png):
    headers = {"content-type": "image/png"}
    answer = client.post(SCORE.format("parts") + "?name=a/b/../part.png", content=png(images[0]), headers=headers)
    assert [item["id"] for item in answer.json()["items"]] == ["part.png"]


@pytest.mark.parametrize("form", ["values", "columns", "items", "csv", "file"])
def test_series_get_the_scores_of_python_in_every_form(client, detectors, waves, form):
    expected = detectors["pump"].score(waves, alpha=0.3)
    url = SCORE.format("pump") + "?alpha=0.3&points=true"
    table = {"columns": {"channel_0": waves[:, 0].tolist(), "channel_1": waves[:, 1].tolist()}}
    text = csv_of(waves).replace(b"a,b", b"channel_0,channel_1", 1)
    sent = {
        "values": {"json": {"values": waves.tolist()}},
        "columns": {"json": table},
        "items": {"json": {"items": {"one": table}}},
        "csv": {"content": text, "headers": {"content-type": "text/csv"}},
        "file": {"files": [("files", ("day.csv", text))]},
    }[form]
    (item,) = client.post(url, **sent).json()["items"]
    np.testing.assert_allclose(item["points"]["score"], expected.scores, rtol=1e-9)
    assert item["points"]["label"] == expected.labels.tolist()
    assert [(event["start"], event["end"], event["channel"]) for event in item["events"]] == [(30, 35, "channel_0")]


def test_missing_values_are_null_in_both_forms(client, detectors, waves):
    expected = detectors["pump"].score(np.where(np.arange(60)[:, None] == 10, np.nan, waves), alpha=0.3)
    rows = [[None, None] if n == 10 else row for n, row in enumerate(waves.tolist())]
    columns = {f"channel_{c}": [row[c] for row in rows] for c in range(2)}
    for body in ({"values": rows}, {"columns": columns}):
        (item,) = client.post(SCORE.format("pump") + "?alpha=0.3&points=true", json=body).json()["items"]
        scores = [np.nan if score is None else score for score in item["points"]["score"]]
        np.testing.assert_allclose(scores, expected.scores, rtol=1e-9)


def test_an_unreadable_file_keeps_its_place_among_others_and_is_refused_alone(client, images, png):
    good, bad = ("good.png", png(images[0])), ("bad.png", b"")
    together = client.post(SCORE.format("parts"), files=[("f", bad), ("f", good)])
    assert together.status_code == 200
    assert [(item["id"], item["label"]) for item in together.json()["items"]] == [("bad.png", -1), ("good.png", 0)]
    assert "is empty (0 bytes)" in together.json()["items"][0]["reason"]
    alone = client.post(SCORE.format("parts"), files=[("f", bad)])
    assert (alone.status_code, alone.headers["content-type"]) == (422, "application/problem+json")
    assert "'bad.png' is empty (0 bytes)" in alone.json()["detail"]
    both = client.post(SCORE.format("parts"), files=[("f", bad), ("f", ("worse.png", b"no image"))])
    assert [item["label"] for item in both.json()["items"]] == [-1, -1]
    assert both.json()["items"][1]["reason"].startswith("'worse.png' is no image")


def test_an_unreadable_series_keeps_its_place_too(client, waves):
    text = csv_of(waves).replace(b"a,b", b"channel_0,channel_1", 1)
    answer = client.post(SCORE.format("pump"), files=[("f", ("a.csv", text)), ("f", ("b.csv", b"\x00\x01"))])
    assert [item["label"] >= 0 for item in answer.json()["items"]] == [True, False]
    assert client.post(SCORE.format("pump"), files=[("f", ("b.csv", b"\x00\x01"))]).status_code == 422


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("alpha=2", "alpha"),
        ("alpha=x", "alpha"),
        ("alpha=0.000001", "calibration scores"),
        ("alpha=0.1&threshold=2", "each of which decides"),
        ("false_alarms=often", "false_alarms"),
        ("false_alarms=1 per week", "have no times"),
        ("threshold=nan", "threshold"),
        ("flag=0", "flag"),
        ("explain=most", "explain"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(client, images, png, query, said):
    answer = client.post(f"{SCORE.format('parts')}?{query}", files=[("f", ("a.png", png(images[0])))])
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_rules_decide_as_in_python(client, detectors, images, png):
    files = [("f", (f"{number}.png", png(own))) for number, own in enumerate(images)]
    labels = [item["label"] for item in client.post(SCORE.format("parts") + "?flag=2", files=files).json()["items"]]
    assert labels == detectors["parts"].score(images, flag=2).labels.tolist()
    budget = client.post(SCORE.format("parts") + "?false_alarms=1 per 4 images", files=files).json()
    assert budget["alpha"] == 0.25
    strict = client.post(SCORE.format("parts") + "?threshold=1000", files=files).json()
    assert [item["label"] for item in strict["items"]] == [0, 0, 0, 0]


PARTS = [("map", "RGBA"), ("overlay", "RGB"), ("normal", "L"), ("difference", "RGB"), ("input", "L")]


@pytest.mark.parametrize(("part", "mode"), PARTS)
def test_parts_of_an_explained_image_are_pictures_of_its_size(client, detectors, images, png, part, mode):
    url = f"/v1/models/parts/explain?alpha=0.3&part={part}"
    answer = client.post(url, content=png(images[1]), headers={"content-type": "image/png"})
    picture = Image.open(io.BytesIO(answer.content))
    assert (answer.headers["content-type"], picture.size, picture.mode) == ("image/png", (32, 32), mode)
    if part == "map":
        explained = detectors["parts"].score([(255 * images[1]).round().astype(np.uint8)], alpha=0.3, explain="all")
        drawn = heat_map(explained.items[0].anomaly_map, (32, 32), map_scale(explained, lambda own: own.anomaly_map))
        np.testing.assert_allclose(np.asarray(picture, int), np.asarray(drawn, int), atol=1)


def test_a_series_is_explained_by_its_normal_version(client, detectors, waves):
    answer = client.post("/v1/models/pump/explain?alpha=0.3&part=normal", json={"values": waves.tolist()}).json()
    expected = detectors["pump"].explain(waves, alpha=0.3)
    np.testing.assert_allclose(answer["normal"], expected.reconstruction, rtol=1e-6)
    np.testing.assert_allclose(answer["values"], waves)


def test_a_report_is_the_one_of_the_command_line_and_is_shown_apart(client, images, png):
    files = [("f", ("part.png", png(images[1])))]
    page = client.post("/v1/models/parts/explain?part=report", files=files)
    assert page.headers["content-type"].startswith("text/html")
    assert "Calibration of the threshold" in page.text
    looked = client.post("/v1/models/parts/look?alpha=0.3", files=files).json()
    shown = client.get("/" + looked["report"])
    assert "part.png" in shown.text
    assert "/tmp" not in shown.text
    assert shown.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert client.get("/reports/guessed").status_code == 404
    assert client.post("/v1/models/parts/explain?part=sound", files=files).status_code == 422
    assert "send one" in client.post("/v1/models/parts/explain", files=[*files, *files]).json()["detail"]


def test_the_api_is_described_with_examples(client):
    described = client.get("/openapi.json").json()
    body = described["paths"]["/v1/models/{name}/score"]["post"]["requestBody"]["content"]
    assert {"multipart/form-data", "application/json", "text/csv"} <= set(body)
    for example in body["application/json"]["examples"].values():
        assert client.post(SCORE.format("pump"), json=example["value"]).status_code in (200, 422)
    assert "example" in described["components"]["schemas"]["ScoreAnswer"]
    for path, routes in described["paths"].items():
        for about in routes.values():
            assert about["summary"], path


def test_metrics_count_requests_and_items(serve, images, png):
    with serve("parts", history=False) as client:
        client.post(SCORE.format("parts") + "?alpha=0.3", files=[("f", ("a.png", png(images[1])))])
        client.get("/v1/models/none")
        lines = client.get("/metrics").text.splitlines()
        assert client.get("/ready").json() == {"ready": True, "models": ["parts"]}
    assert 'oddwave_items_total{label="anomalous",model="parts"} 1.0' in lines
    assert 'oddwave_requests_total{route="/v1/models/{name}/score",status="200"} 1.0' in lines
    assert 'oddwave_requests_total{route="/v1/models/{name}",status="404"} 1.0' in lines
    assert 'oddwave_scoring_seconds_count{model="parts"} 1.0' in lines
