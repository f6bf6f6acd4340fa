"""The page in a real browser: four views, what is dropped, a verdict by one click, phone and desk, light and dark."""

import asyncio
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from oddwave.service.app import make_app
from oddwave.service.history import History
from oddwave.service.limits import Limits
from oddwave.service.models import load_models
from oddwave.service.server import bound

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright")
CHROMIUM = os.environ.get("ODDWAVE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
EVIL = "<img src=x onerror=window.broken=1>"
SHOTS = os.environ.get("ODDWAVE_SHOTS")  # a folder, where somebody wants to look at what is seen here

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: install it or set ODDWAVE_CHROMIUM to its path"),
]


class Running:
    """A service in a thread of this process."""

    def __init__(self, app):
        import uvicorn

        self.socket = bound("127.0.0.1", 0)
        self.socket.listen(100)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", ws="none"))
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve([self.socket])))
        self.thread.start()
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"

    def stop(self):
        self.server.should_exit = True
        self.thread.join(30)
        self.socket.close()


@pytest.fixture(scope="module")
def address(model_folders, tmp_path_factory):
    folder, limits = tmp_path_factory.mktemp("page"), Limits()
    models = load_models([str(model_folders / name) for name in ("parts", "pump")], limits)
    running = Running(make_app(models, limits, history=History(str(folder / "h.db"), folder / "spool.jsonl")))
    yield running.address
    running.stop()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that notes every error, every word on the console, and every request to elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.troubles = []
    opened.on("pageerror", lambda error: opened.troubles.append(str(error)))
    opened.on("console", lambda said: opened.troubles.append(said.text) if said.type == "error" else None)
    opened.on("request", lambda asked: opened.troubles.append(asked.url) if not _own(asked.url) else None)
    yield opened
    context.close()


def _own(url):
    return url.startswith(("http://127.0.0.1", "data:", "blob:"))


@pytest.fixture
def files(images, waves, png, tmp_path):
    """An odd image, a calm one, one that is none, and a table."""
    made = {"odd.png": png(images[1]), "calm.png": png(images[0]), "none.png": b"no image"}
    rows = "\n".join(f"{a!r},{b!r}" for a, b in waves.tolist())
    made["day.csv"] = f"channel_0,channel_1\n{rows}\n".encode()
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    return {name: str(tmp_path / name) for name in made}


def opened(page, address, view):
    page.goto(f"{address}#{view}")
    page.wait_for_selector(f"main[data-ready='{view.partition('?')[0]}']")


def looked(page, address, model, paths, source="line 3"):
    opened(page, address, "look")
    page.select_option("select[name=model]", model)
    page.fill("input[name=alpha]", "0.3")
    page.fill("input[name=source]", source)
    page.set_input_files("input[type=file]", paths)
    page.wait_for_selector("iframe.report, [role=alert]", timeout=30_000)


def test_all_views_open_silently_and_soon(page, address):
    page.goto(address)
    page.wait_for_selector("main[data-ready='now']")
    began = time.monotonic()
    page.goto(f"{address}?again")
    page.wait_for_selector("main[data-ready='now']")
    assert time.monotonic() - began < 2.0
    for view, title in (("look", "Look"), ("history", "History"), ("models", "Models"), ("now", "Now")):
        opened(page, address, view)
        assert page.inner_text("main h1") == title
        assert page.get_attribute(f".tabs a[href='#{view}']", "aria-current") == "page"
    assert page.troubles == []


def test_a_dropped_image_is_shown_by_its_report(page, address, files):
    looked(page, address, "parts", [files["odd.png"], files["calm.png"], files["none.png"]])
    assert "1 of 3 anomalous, 1 not judged; kept in the history" in page.inner_text("main")
    frame = page.frame_locator("iframe.report")
    frame.locator(".verdict h1").wait_for()
    assert "odd.png" in frame.locator("body").inner_text()
    assert frame.locator(".thumbs img").count() > 0  # its scripts run, though cut off from this page
    assert [text for text in page.troubles if "favicon" not in text] == []


def test_a_dropped_table_is_shown_with_its_figure(page, address, files):
    looked(page, address, "pump", [files["day.csv"]])
    frame = page.frame_locator("iframe.report")
    frame.locator(".plot").first.scroll_into_view_if_needed()
    frame.locator(".plot svg.main-svg").first.wait_for()
    assert "channel_0" in frame.locator("body").inner_text()


def test_what_is_refused_says_why(page, address, files):
    looked(page, address, "parts", [files["none.png"]])
    assert "none.png' is no image" in page.inner_text("[role=alert]")


def test_a_wrong_verdict_is_corrected_by_one_click(page, address, files):
    looked(page, address, "parts", [files["odd.png"]], source="verdicts")
    opened(page, address, "history?source=verdicts&model=parts")
    first = page.locator(".item").first
    first.locator("img").wait_for()
    button = first.get_by_role("button", name="False alarm")
    button.click()
    page.wait_for_selector("#status:has-text('Kept.')")
    assert button.get_attribute("aria-pressed") == "true"
    opened(page, address, "now")
    opened(page, address, "history?source=verdicts&verdict=false_alarm")
    assert page.locator(".item").count() == 1
    page.locator(".item button[aria-pressed=true]").click()
    page.wait_for_selector("#status:has-text('Taken back.')")
    page.locator(".item summary").click()
    page.wait_for_selector(".item dl.facts dd")
    assert page.locator(".trend").count() == 1
    assert page.troubles == []


def test_names_and_sources_are_text(page, address, files):
    looked(page, address, "parts", [files["odd.png"]], source=EVIL)
    for view in ("now", "history", "models"):
        opened(page, address, view)
        assert page.evaluate("window.broken") is None
    opened(page, address, "now")
    assert EVIL in page.inner_text("main")


def test_all_of_it_is_reached_by_the_keyboard(page, address, files):
    looked(page, address, "parts", [files["odd.png"]])
    opened(page, address, "now")
    page.reload()
    page.wait_for_selector("main[data-ready='now']")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(4):
        page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("main[data-ready='history']")
    assert page.evaluate("document.activeElement.id") == "view"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Unsure":
            break
    page.keyboard.press("Space")
    page.wait_for_selector("#status:has-text('Kept.')")


CONTRAST = """() => {
  const linear = (x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const lum = (c) => { const v = c.map((x) => linear(x / 255));
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    if (e.closest("svg, iframe, .skip") || e.disabled) continue;
    const a = lum(rgb(getComputedStyle(e).color).slice(0, 3)), b = lum(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${e.tagName}.${e.className} '${e.textContent.slice(0, 30)}' ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_phone_and_desk_in_light_and_dark(browser, address, files, scheme, width):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    looked(page, address, "pump", [files["day.csv"]], source="press 7")
    looked(page, address, "parts", [files["odd.png"], files["calm.png"]])
    page.frame_locator("iframe.report").locator(".verdict h1").wait_for()
    _shot(page, f"looked_{scheme}_{width}")
    for view in ("now", "history", "models", "look"):
        opened(page, address, view)
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert page.evaluate(CONTRAST) == [], view
        small = page.evaluate("""() => [...document.querySelectorAll("button, select, .tabs a")].filter((e) =>
            e.checkVisibility() && e.getBoundingClientRect().height < 32).map((e) => e.outerHTML.slice(0, 80))""")
        assert small == [], view
        _shot(page, f"{view}_{scheme}_{width}")
    context.close()


def _shot(page, name):
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_a_token_is_asked_for_once(browser, model_folders):
    limits = Limits()
    models = load_models([str(model_folders / "parts")], limits)
    running = Running(make_app(models, limits, token="a-secret-token"))
    try:
        page = browser.new_page()
        page.goto(running.address)
        page.fill("#token input", "wrong-token")
        page.click("#token button")
        page.wait_for_selector("#token .flag:not([hidden])")
        page.fill("#token input", "a-secret-token")
        page.click("#token button")
        page.wait_for_selector("main[data-ready='now']")
        opened(page, running.address, "models")
        assert page.inner_text("article h2") == "parts"
        page.close()
    finally:
        running.stop()
