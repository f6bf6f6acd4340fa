"""The report of recordings in a real browser: it opens silently and offline, and its players play what is embedded."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from oddwave.report import write_report
from oddwave.report.kinds import audio_files
from oddwave.results import AudioEvent, AudioExcerpt, AudioResult, CalibrationSummary, DetectionResult

pytest.importorskip("jinja2")
playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")

CHROMIUM = os.environ.get("ODDWAVE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"]  # fmt: skip
EVIL = "</script><script>window.broken=1</script><img src=x onerror=window.broken=2>"
RATE, CLIP_S = 8000, 4.0
HZ = np.concatenate(([0.0], np.geomspace(40, 3600, 30), [4000.0]))

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: install it or set ODDWAVE_CHROMIUM to its path"),
]


def recording(place: int) -> AudioResult:
    """Make a recording; the first five are flagged and explained, with a tone from 1 s to 3 s, the first is long."""
    name, found, num_clips = EVIL if place == 1 else f"line 1/{place}", place < 5, 40 if place == 0 else 2
    scores = np.full(num_clips, 0.5)
    scores[1] = 9.0 - place if found else 1 - place / 1000
    time_s = np.arange(round(CLIP_S * RATE)) / RATE
    normal = (0.1 * np.sin(2 * np.pi * 200 * time_s)).astype(np.float32)
    levels = np.full((len(HZ), 80), -60.0)
    levels[20:22, 20:60] = -20.0
    made = AudioExcerpt(
        start_s=CLIP_S,
        sample_rate=RATE,
        samples=normal + (0.05 * np.sin(2 * np.pi * 1000 * time_s)).astype(np.float32),
        normal=normal,
        levels_db=levels,
        normal_levels_db=np.full_like(levels, -60.0),
        anomaly_map=(levels + 60) / 5,
        frequencies_hz=HZ,
    )
    tone = AudioEvent(name, CLIP_S + 1, CLIP_S + 3, 800.0, 1250.0, 1000.0, 14.0, 6.0, 0.02)
    return AudioResult(
        id=name,
        scores=scores,
        p_values=np.where(scores >= 2, 0.02, 0.4),
        labels=(scores >= 2).astype(int),
        starts_s=CLIP_S * np.arange(num_clips),
        clip_s=CLIP_S,
        duration_s=CLIP_S * num_clips,
        sample_rate=RATE,
        excerpt=made if found else None,
        parts={EVIL: scores},
        events=(tone,) if found else (),
        notes=(EVIL,),
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page of 200 recordings, of which the first three are embedded and two are files beside it."""
    path = tmp_path_factory.mktemp("sound") / "report.html"
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, EVIL, np.linspace(0.1, 2.2, 49), pixel_threshold=3.0)
    nan = np.array([np.nan])
    lost = AudioResult("lost", nan, nan, np.array([0]), np.zeros(1), CLIP_S, 0.0, 0, error=EVIL)
    items = (*(recording(place) for place in range(200)), lost)
    result = DetectionResult("audio", "recording", items, calibration, (EVIL,), {"train_source": EVIL})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio_files, "EMBEDDED_BYTES", 3 * 3 * (2 * round(CLIP_S * RATE) + 44) * 4 // 3 + 100)
        write_report(result, path, title=EVIL)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Visit:
    """An open page, what it complained about, and what it asked for."""

    def __init__(self, browser: "playwright.Browser", path: Path, width: int = 1280, **options: object) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 850}, **options)
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def states(self, place: int) -> list[tuple[bool, float, float]]:
        """Give of each player of a recording whether it plays, at which second, and how many there are."""
        audio = self.page.locator(f"#item-{place} audio")
        return audio.evaluate_all("(all) => all.map((one) => [!one.paused, one.currentTime, one.duration])")

    def settle(self, place: int) -> None:
        """Wait until something of a recording plays and has moved on."""
        for _ in range(100):
            if any(plays and at > 0 for plays, at, _ in self.states(place)):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"nothing plays: {self.states(place)}")


def test_page_opens_silently_without_network(browser, report) -> None:
    visit = Visit(browser, report)
    visit.page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    visit.page.wait_for_timeout(300)
    broken = "[...document.images].filter((image) => image.complete && !image.naturalWidth).length"
    assert visit.page.evaluate(broken) == 0
    assert visit.page.evaluate("window.broken") is None
    assert visit.messages == []
    beside = report.parent.as_uri()
    assert all(url.startswith(("data:", beside)) for url in visit.requests)
    assert visit.page.locator("#overview tbody tr").count() == 200
    visit.page.close()


def test_all_three_players_load_embedded_or_beside_the_page(browser, report) -> None:
    visit = Visit(browser, report)
    for place in (0, 4):
        players = visit.page.locator(f"#item-{place} audio")
        visit.page.locator(f"#item-{place}").evaluate("(box) => { box.open = true; }")
        source = players.first.get_attribute("src") or ""
        assert source.startswith("data:audio/wav" if place == 0 else "report_audio/")
        for number in range(3):
            players.nth(number).evaluate("(one) => { one.currentTime = 0; return one.play(); }")
            visit.settle(place)
            plays = [plays for plays, _, _ in visit.states(place)]
            assert plays == [number == other for other in range(3)]  # one at a time
        assert [length for _, _, length in visit.states(place)] == pytest.approx([CLIP_S] * 3)
    assert visit.messages == []
    visit.page.close()


def test_a_click_into_the_map_plays_from_there_and_the_cursor_follows(browser, report) -> None:
    visit = Visit(browser, report)
    stage = visit.page.locator("#item-0 .stage")
    visit.page.locator("#item-0 input[value=normal]").check()
    assert visit.page.locator("#item-0 .layer.normal").is_visible()
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    visit.page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.9 * box["height"])
    visit.settle(0)
    visit.page.locator("#item-0 audio").first.evaluate("(one) => one.pause()")
    at = visit.states(0)[0][1]
    assert 0.5 * CLIP_S <= at <= CLIP_S
    cursor = visit.page.locator("#item-0 .cursor").bounding_box()
    assert cursor is not None
    assert (cursor["x"] + 1 - box["x"]) / box["width"] == pytest.approx(at / CLIP_S, abs=0.06)
    assert visit.messages == []
    visit.page.close()


def test_an_event_is_framed_pointed_out_and_heard(browser, report) -> None:
    visit = Visit(browser, report)
    stage, box = (visit.page.locator(f"#item-0 {part}").bounding_box() for part in (".stage", ".box"))
    assert stage is not None
    assert box is not None
    assert (box["x"] - stage["x"]) / stage["width"] == pytest.approx(0.25, abs=0.01)
    assert box["width"] / stage["width"] == pytest.approx(0.5, abs=0.01)
    visit.page.locator("#item-0 [data-region='1']").click()
    assert visit.page.locator("#item-0 .box.current").count() == 1
    visit.page.locator("#item-0 [data-hear]").click()
    visit.settle(0)
    assert 0.7 <= visit.states(0)[0][1] <= 2.5  # a little before the event begins
    visit.page.close()


def test_a_row_opens_its_recording_and_a_name_is_found(browser, report) -> None:
    visit = Visit(browser, report)
    assert not visit.page.locator("#item-4 .stage").is_visible()
    visit.page.fill("input[type=search]", "line 1/4")
    rows = visit.page.locator("#overview tbody tr:visible")
    assert rows.count() == 11
    rows.first.locator("button").click()
    assert visit.page.locator("#item-4 .stage").is_visible()
    visit.page.close()


def test_phone_width_never_scrolls_sideways(browser, report) -> None:
    visit = Visit(browser, report, width=390, has_touch=True, is_mobile=True)
    visit.page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.page.close()


def test_without_scripts_the_maps_players_and_tables_stand(browser, report) -> None:
    visit = Visit(browser, report, java_script_enabled=False)
    assert visit.page.get_by_role("heading", name="5 of 200 recordings are anomalous").is_visible()
    assert visit.page.locator("#item-0 .stage img").first.is_visible()
    assert visit.page.locator("#item-0 audio").count() == 3
    visit.page.close()
