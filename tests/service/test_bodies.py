"""Bodies of every wrong kind: refused with a reason, without a traceback or a path of this computer."""

import gzip
import io
import zlib

import numpy as np
import pytest
from PIL import Image

SCORE = "/v1/models/{}/score"
JSON = {"content-type": "application/json"}


def refused(answer, *statuses):
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    about = answer.json()
    assert set(about) == {"type", "title", "status", "detail"}
    assert about["status"] == answer.status_code
    assert len(about["detail"]) > 10
    for leak in ("Traceback", "/tmp/", "site-packages", '.py"'):
        assert leak not in answer.text
    return about["detail"]


DEEP = b'{"values": ' + b"[" * 5000 + b"]" * 5000 + b"}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b'{"values": [[NaN, 1.0]]}', "NaN is no JSON number"),
        (b'{"values": [[Infinity, 1.0]]}', "Infinity"),
        (DEEP, "nested too deep"),
        (b"[]", "columns"),
        (b"{}", "columns"),
        (b"null", "columns"),
        (b'{"rows": []}', "columns"),
        (b'{"values": []}', "rows of numbers"),
        (b'{"values": [[1], [1, 2]]}', "rows of numbers"),
        (b'{"values": [["1", "2"]]}', "rows of numbers"),
        (b'{"values": [[true, false]]}', "rows of numbers"),
        (b'{"values": {"a": 1}}', "rows of numbers"),
        (b'{"columns": {}}', "at least one"),
        (b'{"columns": {"a": [1, 2], "b": [1]}}', "one length"),
        (b'{"columns": {"a": [[1]]}}', "expected numbers"),
        (b'{"columns": {"a": [true]}}', "expected numbers"),
        (b'{"columns": {"a": 5}}', "object of name: list"),
        (b'{"items": {}}', "at least one"),
        (b'{"items": {"a": 1}}', "'a' is not"),
        (b'{"columns": {"other": [1, 2, 3]}}', "channel_0"),
        (b'{"values": [[1.0, 2.0]]}', "shortest window"),
    ],
)
def test_json_that_is_no_series_is_refused(client, body, said):
    assert said in refused(client.post(SCORE.format("pump"), content=body, headers=JSON), 400, 422)


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "bomb", "archive", "script"])
def test_files_that_are_no_image_are_refused(client, images, png, kind):
    whole = png(images[0])
    head = b"\x89PNG\r\n\x1a\n"
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    bomb = head + (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big") + whole[33:]
    sent = {
        "empty": b"",
        "text": b"hello",
        "truncated": whole[: len(whole) // 2],
        "bomb": bomb,
        "archive": b"PK\x03\x04" + bytes(100),
        "script": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    }[kind]
    refused(client.post(SCORE.format("parts"), files=[("f", ("a.png", sent))]), 422)


def test_an_image_beyond_the_limit_is_refused_before_it_is_decoded(serve, images, png):
    with serve("parts", max_pixels=1000) as client:
        detail = refused(client.post(SCORE.format("parts"), files=[("f", ("a.png", png(images[0])))]), 422)
    assert "32 x 32 px, more than 1000 pixels" in detail


def test_gzip_that_unpacks_to_too_much_is_refused(client):
    packed = gzip.compress(b"1,2\n" * 10_000_000)
    assert len(packed) < 100_000
    refused(client.post(SCORE.format("pump"), files=[("f", ("a.csv.gz", packed))]), 422)


def test_rows_files_and_bytes_have_limits(serve, waves):
    with serve("pump", max_rows=50, max_files=2, max_body_bytes=20_000) as client:
        url = SCORE.format("pump")
        assert "at most 50" in refused(client.post(url, json={"values": waves.tolist()}), 413)
        text = "channel_0,channel_1\n" + "1,2\n" * 60
        assert "60 rows" in refused(client.post(url, content=text, headers={"content-type": "text/csv"}), 413)
        files = [("f", (f"{n}.csv", text)) for n in range(3)]
        assert "at most 2 files" in refused(client.post(url, files=files), 400)
        many = {"items": {str(n): {"values": [[1.0, 2.0]]} for n in range(3)}}
        assert "at most 2" in refused(client.post(url, json=many), 413)
        huge = b"x" * 30_000
        assert "20,000 bytes" in refused(client.post(url, content=huge), 413)

        def unsized():
            for _ in range(30):
                yield bytes(1000)

        assert "20,000 bytes" in refused(client.post(url, content=unsized()), 413)
        form = {"content-type": "multipart/form-data; boundary=x"}
        assert "20,000 bytes" in refused(client.post(url, content=unsized(), headers=form), 400, 413)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "multipart/form-data"}, b"abc", 400),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--y\r\n", 422),
        ({"content-type": "multipart/form-data; boundary=x"}, b"--x\r\nbroken", 422),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=1", 415),
        ({"content-type": "text/csv"}, b"", 422),
        ({}, b"", 422),
    ],
)
def test_forms_that_are_none_are_refused(client, headers, body, status):
    refused(client.post(SCORE.format("pump"), content=body, headers=headers), 400, status)


def test_json_is_for_series_alone(client):
    refused(client.post(SCORE.format("parts"), json={"values": [[1.0]]}), 415)


NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\windows\\x.png": "x.png",
    "<script>alert(1)</script>.png": "script_.png",
    "a\x00b.png": "a_b.png",
    "....": "file_0",
    "": None,
    "\u202egnp.exe.png": "_gnp.exe.png",
    "z" * 400 + ".png": None,
    "CON.png": "CON.png",
    "bücher 7.png": "bücher 7.png",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_made_harmless(client, images, png, name):
    boundary = b"----b"
    quoted = name.encode("utf-8", "surrogatepass").replace(b'"', b"%22")
    head = b'Content-Disposition: form-data; name="f"; filename="' + quoted + b'"\r\nContent-Type: image/png\r\n\r\n'
    body = b"--" + boundary + b"\r\n" + head + png(images[0]) + b"\r\n--" + boundary + b"--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=----b"}
    answer = client.post(SCORE.format("parts"), content=body, headers=headers)
    if answer.status_code != 200:
        assert name in ("", "a\x00b.png")  # no file at all, or no form
        return refused(answer, 400, 422)
    (item,) = answer.json()["items"]
    assert item["id"] == (NAMES[name] or item["id"])
    assert len(item["id"]) <= 130
    assert not set(item["id"]) & set('/\\<>"\x00\u202e')
    return None


def test_two_files_of_one_name_are_two_items(client, images, png):
    files = [("f", ("a.png", png(images[0]))), ("f", ("a.png", png(images[2])))]
    ids = [item["id"] for item in client.post(SCORE.format("parts"), files=files).json()["items"]]
    assert ids == ["a.png", "a (2).png"]


def test_temporary_files_go(client, images, png, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    client.post(SCORE.format("parts"), files=[("f", ("a.png", png(images[0])))])
    client.post(SCORE.format("parts"), files=[("f", ("a.png", b""))])
    assert list((tmp_path / "temporary").iterdir()) == []


def test_other_types_of_pixels_are_read_as_from_the_disk(client, images, detectors):
    buffer = io.BytesIO()
    np.save(buffer, images[1])
    (item,) = client.post(SCORE.format("parts"), files=[("f", ("a.npy", buffer.getvalue()))]).json()["items"]
    assert item["score"] == pytest.approx(float(detectors["parts"].decision_function([images[1]])[0]), rel=1e-6)
    buffer = io.BytesIO()
    Image.fromarray(np.round(255 * images[1]).astype(np.uint8)).save(buffer, "gif", save_all=True)
    assert client.post(SCORE.format("parts"), files=[("f", ("a.gif", buffer.getvalue()))]).status_code == 200


def test_wrong_addresses_and_methods_are_told(client):
    refused(client.get("/v1/nothing"), 404)
    refused(client.get(SCORE.format("pump")), 405)
    refused(client.delete("/v1/history"), 405)
    refused(client.post(SCORE.format("none"), json={}), 404)
