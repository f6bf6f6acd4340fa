"""The report in a real browser: it opens silently and offline, shows events and regions, and fits a phone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from oddwave.report import write_report
from oddwave.results import (
    BandShare,
    CalibrationSummary,
    DetectionResult,
    ImageRegion,
    ImageResult,
    SeriesEvent,
    SeriesResult,
    WaveletShare,
)

pytest.importorskip("jinja2")
pytest.importorskip("plotly")
playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")

CHROMIUM = os.environ.get("ODDWAVE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EVIL = "</script><script>window.broken=1</script><img src=x onerror=window.broken=2>"
BANDS = (BandShare(2.0, 4.0, None, None, 0.2), BandShare(4.0, 8.0, None, None, 0.8))

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: install it or set ODDWAVE_CHROMIUM to its path"),
]


def stream(name: str, starts: tuple[int, ...], num_points: int = 2_000, num_channels: int = 1) -> SeriesResult:
    """Make a sine stream with timestamps and one event of 21 points at each of `starts`, the first the strongest."""
    steps = np.arange(num_points)
    normal = np.stack([np.sin(steps / 20 + channel) for channel in range(num_channels)], axis=1)
    values, scores = normal.copy(), np.full(num_points, 0.5)
    observed = np.ones(values.shape, dtype=bool)
    observed[900:950] = False
    for place, start in enumerate(starts):
        values[start : start + 21] += 3
        scores[start : start + 21] = 8.0 - place
    events = [
        SeriesEvent(name, start, start + 20, start + 10, 8.0 - place, 0.005, BANDS, EVIL)
        for place, start in enumerate(starts)
    ]
    return SeriesResult(
        id=name,
        scores=scores,
        p_values=np.full(num_points, 0.5),
        labels=(scores > 2).astype(int),
        values=values,
        observed=observed,
        channel_names=(EVIL, *(f"channel {channel}" for channel in range(1, num_channels))),
        timestamps=np.datetime64("2024-03-04", "ns") + np.timedelta64(5, "m") * steps,
        reconstruction=normal,
        events=tuple(events),
        notes=(EVIL,),
        sample_period_s=300.0,
    )


def panel() -> tuple[SeriesResult, ...]:
    items = []
    for place in range(20):
        values = np.sin(np.arange(80) / 6)[:, None]
        score = np.array([float(place)])
        shape, names = np.ones(values.shape, dtype=bool), ("value",)
        labels = np.array([int(place > 15)])
        items.append(
            SeriesResult(f"beat {place}", score, score * 0 + 0.05, labels, values, shape, names, None, values * 0.9)
        )
    return tuple(items)


class Pixels:
    def pixels(self) -> np.ndarray:
        return np.broadcast_to(np.linspace(0.2, 0.9, 300, dtype=np.float32)[None, :, None], (200, 300, 3))


def image(place: int, name: str) -> ImageResult:
    """Make an image of 300 x 200 px; the first five are flagged, with two regions and a normal version each."""
    found = place < 5
    score = np.array([9.0 - place if found else 1 - place / 1000])
    spots = ((30, 120), (220, 0)) if found else ()
    regions = [ImageRegion(name, x, y, x + 40, y + 30, x + 9, y + 9, 800, 6.0 - y / 100, 0.02) for x, y in spots]
    return ImageResult(
        id=name,
        scores=score,
        p_values=score * 0 + 0.05,
        labels=np.array([int(found)]),
        size=(200, 300),
        anomaly_map=np.linspace(-1, 9, 600, dtype=np.float32).reshape(20, 30),
        image=Pixels(),
        reconstruction=np.full((100, 150, 3), 0.5, dtype=np.float32) if found else None,
        parts={EVIL: score},
        events=tuple(regions),
        bands=(WaveletShare(1, "vertical", 2.0, 0.7), WaveletShare(2, "coarse", 4.0, 0.3)),
        notes=(EVIL,),
    )


RESULTS = {
    "single": ("stream", lambda: (stream("pump", (400, 1_500)),)),
    "channels": ("stream", lambda: (stream(EVIL, (400, 1_500), num_channels=8),)),
    "many": ("stream", lambda: tuple(stream(f"server {place}", (400,) if place < 2 else ()) for place in range(15))),
    "panel": ("panel", panel),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    calibration = CalibrationSummary(0.05, 2.0, 300, 30, 10, "held-out normals", np.linspace(0.1, 2.2, 300))
    for name, (kind, items) in RESULTS.items():
        model = {"train_source": EVIL, "window_sizes": [48], "warnings": [EVIL]}
        result = DetectionResult("series", kind, items(), calibration, (EVIL,), model)
        write_report(result, folder / f"{name}.html", title=EVIL)
    return {name: folder / f"{name}.html" for name in RESULTS}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images") / "report.html"
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, EVIL, np.linspace(0.1, 2.2, 49), pixel_threshold=3.0)
    items = tuple(image(place, EVIL if place == 1 else f"tray 1/part {place}.png") for place in range(150))
    nan = np.array([np.nan])
    lost = ImageResult("lost.png", nan, nan, np.array([0]), (0, 0), np.zeros((0, 0), dtype=np.float32), error=EVIL)
    model = {"train_source": EVIL, "choices": {"space": {"chosen": EVIL, "why": EVIL}}}
    result = DetectionResult("image", "image", (*items, lost), calibration, (EVIL,), model)
    write_report(result, path, title=EVIL)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Visit:
    """An open report and everything that went wrong or out while it was open."""

    def __init__(self, browser: "playwright.Browser", path: Path, width: int = 1280, **options: object) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 850}, **options)
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def draw_everything(self) -> None:
        """Open all folded parts and wait until every plot on the page is drawn."""
        self.page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
        for _ in range(60):
            left = self.page.query_selector(".plot:not(.drawn)")
            if left is None:
                return
            left.scroll_into_view_if_needed()
            self.page.wait_for_timeout(30)
        raise AssertionError("a plot was never drawn")

    def view(self, section: int = 0) -> list[float]:
        """Return the visible range of a plot in points, as the plot itself reports it."""
        edges = self.page.evaluate(
            f"document.querySelector('[data-figure=\"{section}\"]')._fullLayout.xaxis.range.map((edge) =>"
            " new Date(typeof edge === 'string' ? edge.replace(' ', 'T') + 'Z' : edge).getTime())"
        )
        start = np.datetime64("2024-03-04", "ms").astype(int)
        return [(edge - start) / 300_000 for edge in edges]


@pytest.mark.parametrize("name", RESULTS)
def test_page_opens_silently_without_network_light_and_dark(browser, reports, name: str) -> None:
    visit = Visit(browser, reports[name], color_scheme="light")
    visit.draw_everything()
    stroke = "document.querySelector('.plot.drawn .js-line').style.stroke"
    light = visit.page.evaluate(stroke)
    visit.page.emulate_media(color_scheme="dark")
    for _ in range(100):  # the page's policy forbids the evaluated conditions that waiting would need
        if visit.page.evaluate(stroke) != light:
            break
        visit.page.wait_for_timeout(100)
    assert visit.page.evaluate(stroke) != light
    assert visit.page.locator(".plot.drawn .scatterlayer .trace").count() > 0
    assert visit.messages == []
    assert visit.requests == [reports[name].as_uri()]
    assert visit.page.evaluate("window.broken") is None
    visit.page.close()


@pytest.mark.parametrize("name", RESULTS)
def test_phone_width_never_scrolls_sideways(browser, reports, name: str) -> None:
    visit = Visit(browser, reports[name], width=390, has_touch=True, is_mobile=True)
    visit.draw_everything()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visit.page.evaluate("innerWidth") == 390
    visit.page.close()


def test_event_row_zooms_to_its_event(browser, reports) -> None:
    visit = Visit(browser, reports["single"])
    visit.page.locator(".event-row").nth(1).locator("td").nth(3).click()
    visit.page.wait_for_selector(".plot[data-view]")
    first, last = visit.view()
    assert 1_400 < first < 1_500
    assert 1_520 < last < 1_620
    assert visit.page.locator(".event-row[aria-current]").get_attribute("data-place") == "1"
    assert visit.page.locator(".status").first.inner_text() == "Event 2"
    visit.page.close()


def test_keyboard_alone_reaches_events_and_zoom(browser, reports) -> None:
    visit = Visit(browser, reports["single"])
    visit.page.locator(".event-row button").first.focus()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector(".plot[data-view]")
    near = visit.view()
    assert 300 < near[0] < 400 < 420 < near[1] < 520
    visit.page.locator(".plot").first.focus()
    visit.page.keyboard.press("ArrowRight")
    assert visit.view()[0] > near[0]
    visit.page.keyboard.press("0")
    assert visit.view() == pytest.approx([-0.5, 1_999.5], abs=0.01)
    visit.page.close()


def test_dragging_zooms_and_fits_the_height(browser, reports) -> None:
    visit = Visit(browser, reports["single"])
    visit.page.wait_for_selector(".plot.drawn")
    box = visit.page.locator(".plot .nsewdrag").first.bounding_box()
    assert box is not None
    before = visit.page.evaluate("document.querySelector('.plot')._fullLayout.yaxis.range")
    visit.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
    visit.page.mouse.up()
    visit.page.wait_for_selector(".plot[data-view]")
    assert visit.view() == pytest.approx([1_000, 1_200], abs=15)
    after = visit.page.evaluate("document.querySelector('.plot')._fullLayout.yaxis.range")
    assert after[1] < before[1] - 1
    visit.page.close()


def test_all_channels_can_be_shown(browser, reports) -> None:
    visit = Visit(browser, reports["channels"])
    visit.page.wait_for_selector(".plot.drawn")
    assert visit.page.evaluate("document.querySelector('.plot').data.length") == 2 * 4 + 1
    visit.page.get_by_role("button", name="All 8 channels").click()
    assert visit.page.evaluate("document.querySelector('.plot').data.length") == 2 * 8 + 1
    assert visit.messages == []
    visit.page.close()


def test_streams_are_drawn_only_when_opened(browser, reports) -> None:
    visit = Visit(browser, reports["many"])
    assert visit.page.locator(".stream .plot.drawn").count() == 0
    visit.page.fill("input[type=search]", "server 7")
    assert visit.page.locator("#streams-table tbody tr:visible").count() == 1
    visit.page.locator("#streams-table tbody tr:visible .link").click()
    visit.page.wait_for_selector(".stream .plot.drawn")
    assert visit.page.locator(".stream .plot.drawn").count() == 1
    assert "server 7" in visit.page.locator("details.stream[open] summary").inner_text()
    visit.page.close()


def test_table_sorts_by_a_header(browser, reports) -> None:
    visit = Visit(browser, reports["panel"])
    cells = visit.page.locator("#ranking tbody td:nth-child(4)")
    visit.page.get_by_role("button", name="Score", exact=True).click()
    scores = [float(text) for text in cells.all_inner_texts()]
    assert scores == sorted(scores)
    visit.page.get_by_role("button", name="Score", exact=True).click()
    assert [float(text) for text in cells.all_inner_texts()] == sorted(scores, reverse=True)
    visit.page.close()


def test_without_scripts_the_verdict_and_tables_stand(browser, reports) -> None:
    visit = Visit(browser, reports["single"], java_script_enabled=False)
    assert visit.page.get_by_role("heading", name="2 anomalous stretches").is_visible()
    assert visit.page.locator(".event-row").count() == 2
    visit.page.close()


def test_page_of_images_opens_silently_without_network(browser, images) -> None:
    visit = Visit(browser, images)
    visit.page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    broken = "[...document.images].filter((image) => image.complete && !image.naturalWidth).length"
    assert visit.page.evaluate(broken) == 0
    assert visit.page.evaluate("window.broken") is None
    assert visit.messages == []
    assert [url for url in visit.requests if not url.startswith("data:")] == [images.as_uri()]
    visit.page.close()


def test_page_of_images_fits_a_phone(browser, images) -> None:
    visit = Visit(browser, images, width=390, has_touch=True, is_mobile=True)
    visit.page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    visit.page.locator("[data-only=all]").click()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.page.close()


def test_contact_sheet_pages_filters_and_leads_to_the_details(browser, images) -> None:
    visit = Visit(browser, images)
    thumbs, status = visit.page.locator(".thumb"), visit.page.locator("#overview .status")
    assert thumbs.count() == visit.page.locator(".thumb.flagged").count() == 5
    visit.page.locator("[data-only=all]").click()
    assert (thumbs.count(), status.inner_text()) == (60, "1 to 60 of 150")
    visit.page.get_by_role("button", name="Last page").click()
    assert (thumbs.count(), status.inner_text()) == (30, "121 to 150 of 150")
    assert visit.page.get_by_role("button", name="Next page").is_disabled()
    visit.page.get_by_label("Find").fill("PART 14")
    shown = [name.split("/") for name in thumbs.locator(".name").all_inner_texts()[:2]]
    assert [name for _, name in shown] == ["part 14.png", "part 140.png"]
    assert all(tray.startswith("tray ") for tray, _ in shown)  # the folder tells parts of one name apart
    visit.page.get_by_label("Find").fill("part 4.png")
    assert not visit.page.locator("#item-4 .viewer").is_visible()
    thumbs.first.focus()
    visit.page.keyboard.press("Enter")
    assert visit.page.locator("#item-4 .viewer").is_visible()
    assert visit.page.evaluate("document.activeElement.closest('details').id") == "item-4"
    visit.page.close()


def test_flagged_images_beyond_the_first_open_in_their_places(browser, tmp_path: Path) -> None:
    calibration = CalibrationSummary(0.05, 2.0, 49, 49, 1, "", np.linspace(0.1, 2.2, 49), pixel_threshold=3.0)
    items = [image(place % 5, f"part {place}.png") for place in range(60)]
    write_report(DetectionResult("image", "image", tuple(items), calibration), tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html")
    for number in (55, 44, 55):
        visit.page.locator(f".thumb[data-view='{number}']").click()
        assert visit.page.locator(f"#item-{number} .viewer .heat").is_visible()
        assert visit.page.evaluate("document.activeElement.closest('details').id") == f"item-{number}"
        assert visit.page.locator(f"#item-{number} .box.under").count() == 1
    shown = visit.page.evaluate("[...document.querySelectorAll('#details > .detail')].map((box) => box.id)")
    assert shown == [f"item-{number}" for number in (*range(40), 44, 55)]
    visit.page.locator("#item-55 [data-region='1']").click()
    assert visit.page.locator("#item-55 .box.current").count() == 1
    assert visit.messages == []
    visit.page.close()


def test_keyboard_switches_between_the_images_and_moves_the_sliders(browser, images) -> None:
    visit = Visit(browser, images)
    viewer = visit.page.locator("#item-0 .viewer")
    layer = {name: viewer.locator(f".layer.{name}") for name in ("heat", "normal", "difference")}
    assert [name for name in layer if layer[name].is_visible()] == ["heat"]
    viewer.locator("input[value=heat]").focus()
    visit.page.keyboard.press("Tab")  # to the boxes
    visit.page.keyboard.press("Space")
    assert viewer.locator(".box:visible").count() == 0
    visit.page.keyboard.press("Tab")  # to the strength
    visit.page.keyboard.press("Home")
    assert layer["heat"].evaluate("(image) => getComputedStyle(image).opacity") == "0"
    viewer.locator("input[value=heat]").focus()
    visit.page.keyboard.press("ArrowRight")
    assert [name for name in layer if layer[name].is_visible()] == ["normal"]
    visit.page.keyboard.press("ArrowRight")
    assert [name for name in layer if layer[name].is_visible()] == ["difference"]
    visit.page.close()


def test_dragging_moves_the_border_to_the_normal_version(browser, images) -> None:
    visit = Visit(browser, images)
    viewer = visit.page.locator("#item-0 .viewer")
    viewer.locator("input[value=normal]").check()
    viewer.locator(".stage").scroll_into_view_if_needed()
    box = viewer.locator(".stage").bounding_box()
    assert box is not None
    visit.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40, steps=3)
    visit.page.mouse.up()
    assert viewer.locator("[data-sets='--split']").input_value() == "25"
    handle = viewer.locator(".handle").bounding_box()
    assert handle is not None
    assert handle["x"] - box["x"] == pytest.approx(box["width"] * 0.25, abs=3)
    visit.page.close()


def test_regions_lie_where_they_belong_and_can_be_pointed_out(browser, images) -> None:
    visit = Visit(browser, images)
    parts = (".stage", ".box[data-rank='2']")
    stage, box = (visit.page.locator(f"#item-0 {part}").bounding_box() for part in parts)
    assert stage is not None
    assert box is not None
    assert (box["x"] - stage["x"]) / stage["width"] == pytest.approx(30 / 300, abs=0.01)
    assert (box["y"] + box["height"] - stage["y"]) / stage["height"] == pytest.approx(150 / 200, abs=0.01)
    visit.page.locator("#item-0 [data-region='2']").click()
    assert visit.page.locator("#item-0 .box.current").get_attribute("data-rank") == "2"
    visit.page.close()


def test_without_scripts_the_images_and_their_heat_maps_stand(browser, images) -> None:
    visit = Visit(browser, images, java_script_enabled=False)
    assert visit.page.get_by_role("heading", name="5 of 150 images are anomalous").is_visible()
    assert visit.page.locator("#item-0 .layer.heat").is_visible()
    assert visit.page.locator("#overview tbody tr").count() == 150
    visit.page.close()
