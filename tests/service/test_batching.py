"""Requests that meet at the scorer: scored together, answered as if alone; too many are told to come back."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from oddwave.calibration.budget import Asked
from oddwave.errors import DataError
from oddwave.service.app import make_app
from oddwave.service.batching import Job, ScoringThread
from oddwave.service.limits import Limits, ProblemError
from oddwave.service.models import load_models

SCORE = "/v1/models/parts/score"


@pytest.fixture
def saved(images, png, tmp_path):
    """The images as files."""
    paths = {}
    for number, image in enumerate(images):
        paths[f"{number}.png"] = tmp_path / f"{number}.png"
        paths[f"{number}.png"].write_bytes(png(image))
    return paths


class Held:
    """A scoring thread whose first job waits, so that others gather behind it."""

    def __init__(self, detector, first, **limits):
        self.counts, self.go = [], threading.Event()
        self.thread = ScoringThread(detector, Limits(**limits), jobs_together=self.counts.append)
        usual = self.thread.limits.check
        self.thread.limits = Gate(self.thread.limits, usual, self.go)
        self.first = self.thread.submit(first)
        while not self.first.running():
            time.sleep(0.001)

    def results(self, jobs):
        waiting = [self.thread.submit(job) for job in jobs]
        self.go.set()
        return [own.exception() or own.result() for own in [self.first, *waiting]]


class Gate:
    def __init__(self, limits, check, go):
        self.max_together, self._check, self._go = limits.max_together, check, go
        self.entered = threading.Event()

    def check(self, modality, data):
        self.entered.set()
        assert self._go.wait(20)
        self._check(modality, data)


def test_jobs_scored_together_get_the_results_of_jobs_alone(detectors, saved):
    detector, rule = detectors["parts"], Asked(alpha=0.3)
    jobs = [Job({name: path}, rule) for name, path in saved.items()]
    held = Held(detector, jobs[0])
    judged = held.results(jobs[1:])
    for name, judgement in zip(saved, judged, strict=True):
        (item,), alone = judgement.result.items, detector.score({name: saved[name]}, alpha=0.3)
        (expected,) = alone.items
        assert item.id == name
        np.testing.assert_allclose([item.score, item.p_value], [expected.score, expected.p_value], rtol=1e-6)
        assert (item.label, len(item.events)) == (expected.label, len(expected.events))
        assert [event.item for event in item.events] == [name] * len(item.events)
        assert judgement.result.calibration.threshold == alone.calibration.threshold
    held.thread.stop(5)
    assert held.counts == [1, 3]


def test_what_is_wrong_with_one_job_is_told_to_it_alone(detectors, saved, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    jobs = [Job({"bad.png": tmp_path / "bad.png"}), Job({"0.png": saved["0.png"]}),
            Job({"1.png": saved["1.png"], "bad.png": tmp_path / "bad.png"})]  # fmt: skip
    held = Held(detectors["parts"], Job({"2.png": saved["2.png"]}))
    _, bad, good, mixed = held.results(jobs)
    held.thread.stop(5)
    assert isinstance(bad, DataError)
    assert [item.label for item in good.result.items] == [0]
    assert [item.label for item in mixed.result.items] == [1, -1]
    assert "is empty" in mixed.result.items[1].reason


def test_other_rules_and_large_jobs_are_not_mixed(detectors, saved):
    first = Job({"0.png": saved["0.png"]}, Asked(alpha=0.3))
    jobs = [first, Job(dict(first.sources), Asked(alpha=0.4)), Job(saved | {"9.png": saved["0.png"]}, Asked(alpha=0.3)),
            first]  # fmt: skip
    held = Held(detectors["parts"], first)
    judged = held.results(jobs)
    held.thread.stop(5)
    assert held.counts == [1, 2, 1, 1]
    assert [own.result.calibration.alpha for own in judged] == [0.3, 0.3, 0.4, 0.3, 0.3]


def test_a_stopped_thread_finishes_what_it_took_and_takes_no_more(detectors, saved):
    job = Job({"0.png": saved["0.png"]})
    held = Held(detectors["parts"], job)
    waiting = held.thread.submit(job)
    held.go.set()
    held.thread.stop(20)
    assert waiting.result(0).result.items[0].label == 0
    with pytest.raises(ProblemError, match="stopping"):
        held.thread.submit(job)


def test_cancelled_jobs_are_passed_over(detectors, saved):
    held = Held(detectors["parts"], Job({"0.png": saved["0.png"]}))
    dropped, kept = (held.thread.submit(Job({"1.png": saved["1.png"]})) for _ in range(2))
    assert dropped.cancel()
    held.go.set()
    assert kept.result(20).result.items[0].label == 1
    held.thread.stop(5)
    assert sum(held.counts) == 2


def test_many_clients_get_the_answers_of_one(serve, images, png):
    sent = [[("f", (f"{n}.png", png(image)))] for n, image in enumerate(images)]
    with serve("parts") as client:
        alone = [client.post(SCORE + "?alpha=0.3", files=files).json()["items"][0]["score"] for files in sent]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: client.post(SCORE + "?alpha=0.3", files=sent[n % 4]), range(16)))
        kept = client.get("/v1/history?limit=500").json()["items"]
    assert {answer.status_code for answer in answers} == {200}
    for number, answer in enumerate(answers):
        (item,) = answer.json()["items"]
        assert item["id"] == f"{number % 4}.png"
        assert item["score"] == pytest.approx(alone[number % 4], rel=1e-6)
    assert len(kept) == 20
    assert len({item["id"] for item in kept}) == 20


def test_beyond_what_may_wait_clients_are_told_when_to_come_back(model_folders, images, png):
    async def ask():
        limits = Limits(max_waiting=3)
        models = load_models([str(model_folders / "parts")], limits)
        app, go = make_app(models, limits), threading.Event()
        thread = models["parts"].thread
        thread.limits = Gate(limits, limits.check, go)
        files = [("f", ("a.png", png(images[0])))]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            first = [asyncio.ensure_future(client.post(SCORE, files=files)) for _ in range(3)]
            while models["parts"].in_flight < 3:
                await asyncio.sleep(0.01)
            late = await asyncio.gather(*(client.post(SCORE, files=files) for _ in range(20)))
            others = await client.get("/v1/models")
            go.set()
            served = await asyncio.gather(*first)
        thread.stop(5)
        return served, late, others, models["parts"].in_flight

    served, late, others, left = asyncio.run(asyncio.wait_for(ask(), 30))
    assert [answer.status_code for answer in served] == [200] * 3
    assert {answer.status_code for answer in late} == {429}
    assert int(late[0].headers["retry-after"]) >= 1
    assert others.status_code == 200
    assert left == 0


def test_a_client_that_hangs_up_frees_its_place(model_folders, images, png):
    """Nobody waits for its answer: what has not begun is dropped, what has is let through."""

    async def ask():
        limits = Limits(max_waiting=5)
        models = load_models([str(model_folders / "parts")], limits)
        app, go = make_app(models, limits), threading.Event()
        counts = []
        thread, gate = models["parts"].thread, Gate(limits, limits.check, go)
        thread.limits, thread.jobs_together = gate, counts.append
        body = png(images[0])
        scope = {"type": "http", "method": "POST", "path": SCORE, "raw_path": SCORE.encode(), "query_string": b"",
                 "headers": [(b"content-type", b"image/png"), (b"host", b"localhost")], "http_version": "1.1",
                 "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}  # fmt: skip
        gone = asyncio.Event()

        def client():
            messages = [{"type": "http.request", "body": body, "more_body": False}]

            async def receive():
                if messages:
                    return messages.pop()
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message):
                sent.append(message)

            sent = []
            return asyncio.ensure_future(app(dict(scope), receive, send))

        asked = [client()]
        while not gate.entered.is_set():
            await asyncio.sleep(0.01)
        asked += [client() for _ in range(3)]
        while len(thread.waiting) < 3:
            await asyncio.sleep(0.01)
        gone.set()
        while models["parts"].in_flight > 1:  # the one that has begun stays
            await asyncio.sleep(0.01)
        go.set()
        await asyncio.gather(*asked)
        thread.stop(5)
        return counts, models["parts"].in_flight

    counts, left = asyncio.run(asyncio.wait_for(ask(), 30))
    assert sum(counts) == 1
    assert left == 0
