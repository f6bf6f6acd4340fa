"""The tools by the protocol's own client, in this process; one test starts `oddwave mcp` and speaks over its pipes."""

import json
import os
import shutil
import sys

import anyio
import numpy as np
import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters

from oddwave.agents.bounded import bounded
from oddwave.agents.places import Places
from oddwave.agents.server import make_server
from oddwave.agents.tools import Tools
from oddwave.detector import Detector
from oddwave.errors import DataError
from oddwave.service.history import History, new_engine

TOOLS = {"describe_data", "fit", "score", "explain_event", "list_history", "give_feedback"}


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny_models):
    """A folder with a model of two channels, a table with a step in the first, and a secret beside it."""
    folder = tmp_path_factory.mktemp("places")
    own = folder / "allowed"
    own.mkdir()
    shutil.copytree(tiny_models.saved("stream"), own / "pump")
    values = tiny_models.waves(120, 1)
    values[60:70, 0] += 3.0
    np.savetxt(own / "today.csv", values, delimiter=",", header="channel_0,channel_1", comments="")
    (folder / "secret.csv").write_text("a\n1\n2\n")
    (own / "way_out.csv").symlink_to(folder / "secret.csv")
    (own / "far").mkdir()
    (own / "far" / "out").symlink_to(folder)
    return own


def call(root, name, arguments, engine=None, max_bytes=1 << 20):
    """Give (whether it was refused, the answer or the text of the refusal)."""

    async def ask():
        async with Client(make_server(Tools(Places([root], max_bytes), engine))) as client:
            return await client.call_tool(name, arguments)

    answer = anyio.run(ask)
    text = "".join(block.text for block in answer.content)
    return (True, text) if answer.is_error else (False, answer.structured_content or json.loads(text))


def test_the_six_tools_are_listed_with_their_arguments(root) -> None:
    async def ask():
        async with Client(make_server(Tools(Places([root], 1)))) as client:
            return (await client.list_tools()).tools

    listed = {tool.name: tool for tool in anyio.run(ask)}
    assert set(listed) == TOOLS
    assert all(tool.description for tool in listed.values())
    assert set(listed["score"].input_schema["required"]) == {"model", "data"}
    assert {name for name, tool in listed.items() if not tool.annotations.read_only_hint} == {"fit", "give_feedback"}


def test_data_and_models_are_described(root) -> None:
    refused, told = call(root, "describe_data", {"path": "today.csv"})
    assert not refused
    assert told["modality"] == "series"
    [item] = told["items"]
    assert (item["num_points"], item["num_channels"]) == (120, 2)
    assert [channel["num_missing"] for channel in item["channels"]] == [0, 0]
    refused, told = call(root, "describe_data", {"path": "pump"})
    assert not refused
    assert told["threshold"] == pytest.approx(Detector.load(root / "pump").threshold_)


def test_scores_and_events_are_those_of_python(root) -> None:
    expected = Detector.load(root / "pump").score(root / "today.csv", alpha=0.2)
    refused, told = call(root, "score", {"model": "pump", "data": "today.csv", "alpha": 0.2})
    assert not refused
    [item] = told["items"]
    assert item["score"] == pytest.approx(expected.items[0].score)
    assert [event["number"] for event in item["events"]] == list(range(1, len(expected.events) + 1))
    refused, told = call(root, "explain_event", {"model": "pump", "data": "today.csv", "alpha": 0.2, "event": 1})
    assert not refused
    assert (told["start"], told["end"]) == (expected.events[0].start, expected.events[0].end)
    strongest = next(iter(told["values"]["channels"].values()))
    assert len(strongest["measured"]) == len(told["values"]["points"])


def test_a_model_is_fitted_and_not_replaced_unasked(root, monkeypatch) -> None:
    saved = []

    def fit(self, source, **_):
        saved.append(source)
        self.inner = Detector.load(root / "pump").inner
        return self

    monkeypatch.setattr(Detector, "fit", fit)
    refused, told = call(root, "fit", {"data": "today.csv", "model": "models/new"})
    assert not refused, told
    assert told["modality"] == "series"
    assert Detector.load(root / "models" / "new").threshold_ == Detector.load(root / "pump").threshold_
    refused, told = call(root, "fit", {"data": "today.csv", "model": "models/new"})
    assert refused
    assert "replace=true" in told
    assert len(saved) == 1
    assert not call(root, "fit", {"data": "today.csv", "model": "models/new", "replace": True})[0]


def test_feedback_is_kept_in_the_model(root, tmp_path) -> None:
    Detector.load(root / "pump").save(root / "marked")
    given = {"model": "marked", "data": "today.csv", "alpha": 0.2, "event": 1, "verdict": "real", "note": "seen"}
    refused, told = call(root, "give_feedback", given)
    assert not refused, told
    [mark] = Detector.load(root / "marked").corrections
    assert (mark.verdict, mark.note, mark.id) == ("real", "seen", told["id"])


def test_the_history_of_a_service_is_listed(root, tmp_path) -> None:
    from oddwave.service.batching import Judgement
    from oddwave.service.remembered import entries_of

    history = History(str(tmp_path / "history.db"), tmp_path / "spool.jsonl")
    result = Detector.load(root / "pump").score(root / "today.csv", alpha=0.2)
    model = {"name": "pump", "fingerprint": "f", "modality": "series"}
    ids, entries = entries_of(Judgement(result), model, "line 3")
    assert history.record(entries).result(10)
    history.close()
    engine = new_engine(str(tmp_path / "history.db"))
    refused, told = call(root, "list_history", {"label": "anomalous", "since": "2020-01-01"}, engine)
    assert not refused
    assert [item["id"] for item in told["items"]] == ids
    assert call(root, "list_history", {"since": "2999-01-01"}, engine) == (False, {"items": []})
    engine.dispose()
    refused, told = call(root, "list_history", {})
    assert refused
    assert "--history" in told


@pytest.mark.parametrize(
    "path",
    ["../secret.csv", "{outside}/secret.csv", "way_out.csv", "far", "far/out/secret.csv", "../*.csv", "far/*/../*.csv",
     "*.csv", "far/*/secret.csv", "/etc/passwd", "~root/x.csv", "", "a\0b", "x" * 5000],
)  # fmt: skip
@pytest.mark.parametrize("tool", ["describe_data", "score"])
def test_nothing_outside_is_opened(root, path, tool) -> None:
    path = path.format(outside=root.parent)
    refused, told = call(root, tool, {"path": path} if tool == "describe_data" else {"model": "pump", "data": path})
    assert refused
    assert "\n" not in told
    assert "Traceback" not in told
    assert any(words in told for words in ("outside", "no such", "no path", "cannot be looked up", "behind a wildcard"))


@pytest.mark.parametrize("model", ["..", "../elsewhere", ".", "far/out/new", "{outside}/new", "way_out.csv"])
def test_no_model_is_written_outside(root, model) -> None:
    before = sorted(root.parent.rglob("*"))
    refused, told = call(root, "fit", {"data": "today.csv", "model": model.format(outside=root.parent)})
    assert refused
    assert "outside" in told or "of its own" in told
    assert sorted(root.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("score", {"model": "nowhere", "data": "today.csv"}, "does not exist"),
        ("score", {"model": "pump", "data": "gone.csv"}, "no such file"),
        ("score", {"model": "pump", "data": "today.csv", "alpha": 7}, "alpha"),
        ("score", {"model": "pump", "data": "today.csv", "alpha": 0.2, "flag": 3}, "one"),
        ("score", {"model": "pump", "data": "today.csv", "max_items": 0}, "max_items"),
        ("score", {"model": "pump"}, "data: Field required"),
        ("score", {"model": "pump", "data": ["a", {}]}, "data: "),
        ("explain_event", {"model": "pump", "data": "today.csv", "alpha": 0.2, "event": 999}, "event is 999"),
        ("explain_event", {"model": "pump", "data": "today.csv", "item": "other"}, "there is no item"),
        ("fit", {"data": "today.csv", "model": "m", "preset": "best"}, "preset 'best'"),
        ("fit", {"data": "today.csv", "model": "pump"}, "replace=true"),
        ("describe_data", {"path": "pump/meta.json", "modality": "smell"}, "modality: "),
        ("give_feedback", {"model": "pump", "data": "today.csv", "verdict": "perhaps"}, "verdict: "),
        ("list_history", {"since": "yesterday"}, "no history"),
        ("no_such_tool", {}, "no_such_tool"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_in_one_line(root, name, given, words) -> None:
    refused, told = call(root, name, given)
    assert refused
    assert words in told
    assert "\n" not in told
    assert len(told) <= 700


def test_what_is_too_large_is_not_read(root) -> None:
    (root / "huge.csv").write_bytes(b"")
    os.truncate(root / "huge.csv", 3 << 20)  # holds no byte on the disk
    refused, told = call(root, "describe_data", {"path": "huge.csv"})
    (root / "huge.csv").unlink()
    assert refused
    assert "1 MB" in told


def test_many_items_and_long_names_are_cut() -> None:
    answer = {"verdict": "v", "items": [{"id": "x" * 10_000, "events": list(range(500))} for _ in range(300)]}
    cut = bounded(answer, 5_000)
    assert len(json.dumps(cut)) < 5_200
    assert cut["verdict"] == "v"
    assert cut["left_out"]["items"] + len(cut["items"]) == 300
    assert bounded({"items": [1, 2]}) == {"items": [1, 2]}


def test_a_fault_of_ours_tells_no_secrets(root, monkeypatch) -> None:
    monkeypatch.setattr(Tools, "score", lambda self, **_: 1 / 0)
    refused, told = call(root, "score", {"model": "pump", "data": "today.csv"})
    assert (refused, told) == (True, "Error executing tool score")


def test_long_work_says_that_it_goes_on(root, monkeypatch) -> None:
    import time

    from oddwave.agents import server

    monkeypatch.setattr(server, "NEWS_S", 0.05)
    monkeypatch.setattr(Tools, "describe_data", lambda self, **_: time.sleep(0.3) or {"done": True})
    news = []

    async def ask():
        async def heard(progress, total, message):
            news.append(message)

        async with Client(make_server(Tools(Places([root], 1)))) as client:
            return await client.call_tool("describe_data", {"path": "today.csv"}, progress_callback=heard)

    assert not anyio.run(ask).is_error
    assert news
    assert news[0].startswith("reading, ")


def test_links_within_the_folders_are_followed(root) -> None:
    (root / "today_link.csv").symlink_to(root / "today.csv")
    assert Places([root], 1 << 20).data("today_link.csv") == str((root / "today.csv").resolve())
    (root / "today_link.csv").unlink()
    with pytest.raises(DataError, match="outside"):
        Places([root / "far"], 1 << 20).data("../today.csv")


@pytest.mark.slow
def test_over_standard_input_and_output(root) -> None:
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "oddwave", "mcp", "--root", str(root)], env=dict(os.environ)
    )

    async def ask():
        async with Client(server) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            given = {"model": "pump", "data": "today.csv", "alpha": 0.2}
            return names, await client.call_tool("score", given), await client.call_tool("score", {"model": "x"})

    names, scored, wrong = anyio.run(ask)
    assert names == TOOLS
    assert not scored.is_error
    assert scored.structured_content["items"]
    assert wrong.is_error
