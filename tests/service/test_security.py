"""Who may ask: tokens, hosts, pages of other sites; and what every answer carries."""

import pytest

from oddwave.errors import ConfigError
from oddwave.service.security import is_loopback, local_hosts, require_safe

TOKEN = "a-secret-of-some-length"


@pytest.fixture(scope="module")
def guarded(serve):
    with serve("parts", token=TOKEN, hosts=local_hosts(["line3.example"])) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/models", "/v1/history", "/v1/now", "/metrics", "/nothing"])
def test_without_the_token_nothing_is_told(guarded, path):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": "Bearer"},
                    {"authorization": f"Basic {TOKEN}"}, {"authorization": f"Bearer {TOKEN}x"}):  # fmt: skip
        answer = guarded.get(path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert TOKEN not in answer.text
    assert guarded.get(path, headers={"authorization": f"Bearer {TOKEN}"}).status_code in (200, 404)


def test_state_page_and_description_are_open(guarded):
    for path in ("/", "/health", "/ready", "/openapi.json"):
        assert guarded.get(path).status_code == 200, path
    assert "database" not in guarded.get("/health").text


def test_bodies_are_not_read_before_the_token(guarded):
    answer = guarded.post("/v1/models/parts/score", content=b"x")
    assert answer.status_code == 401


def test_azure_clients_send_the_token_as_their_key(guarded):
    url = "/anomalydetector/v1.1/timeseries/entire/detect"
    assert guarded.post(url, json={}).status_code == 401
    assert guarded.post(url, json={}, headers={"Ocp-Apim-Subscription-Key": TOKEN}).json()["code"] == "RequiredSeries"


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8000", 200), ("localhost", 200), ("[::1]:8000", 200), ("LINE3.example", 200), ("evil.example", 403),
     ("127.0.0.1.evil.example", 403), ("", 403), ("[", 403)],
)  # fmt: skip
def test_other_names_of_this_computer_are_refused(guarded, host, status):
    """A page of another site may point its own name to this computer."""
    assert guarded.get("/health", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://127.0.0.1", True), ("https://line3.example", True), ("https://evil.example", False), ("null", False),
     ("http://127.0.0.1.evil.example", False)],
)  # fmt: skip
def test_pages_of_other_sites_cannot_send(guarded, origin, allowed):
    headers = {"origin": origin, "authorization": f"Bearer {TOKEN}"}
    answer = guarded.post("/v1/models/parts/score", content=b"", headers=headers)
    assert (answer.status_code == 403) is not allowed
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/static/none.js", "/v1/models/%3Cscript%3E"])
def test_every_answer_has_the_headers(serve, path):
    with serve("parts", history=False) as client:
        answer = client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"


def test_files_of_the_page_are_those_of_the_page_alone(serve):
    with serve("parts", history=False) as client:
        for name in ("..%2Fapp.py", "%2e%2e/app.py", "../app.py", "app.py", "%00", "/etc/passwd"):
            assert client.get(f"/static/{name}").status_code == 404, name


def test_errors_that_nobody_foresaw_show_no_traceback(serve, monkeypatch, images, png, caplog):
    with serve("parts", history=False) as client:

        def fail(*_args, **_options):
            raise RuntimeError("secret /path")

        monkeypatch.setattr(client.service.models["parts"].thread, "submit", fail)
        answer = client.post("/v1/models/parts/score", files=[("f", ("a.png", png(images[0])))])
        assert answer.status_code == 500
        assert "secret" not in answer.text
        number = answer.json()["detail"].split()[-1]
        assert number in caplog.text
        assert client.service.models["parts"].in_flight == 0


def test_addresses_that_only_this_computer_reaches_are_known():
    loopback = ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost")
    assert all(map(is_loopback, loopback))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.5", "example.org", "")))


def test_others_may_ask_only_with_a_token_or_where_that_is_said():
    require_safe("127.0.0.1", None, False)
    require_safe("0.0.0.0", TOKEN, False)
    require_safe("0.0.0.0", None, True)
    with pytest.raises(ConfigError, match="there is no token"):
        require_safe("0.0.0.0", None, False)
    with pytest.raises(ConfigError, match="give one"):
        require_safe("0.0.0.0", TOKEN, True)
    for token in ("short", "with space in it", "käsekäsekäse"):
        with pytest.raises(ConfigError, match="give another"):
            require_safe("127.0.0.1", token, False)
