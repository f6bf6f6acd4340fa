"""Draw `docs/report.png`, the picture in the README: the top of the demo's report, as a browser shows it.

    python docs/screenshot.py [DEMO]      # DEMO: the folder that `oddwave demo` wrote, `demo` by default

Needs playwright and Chromium (installed, or named by ODDWAVE_CHROMIUM), as the browser tests do.
"""

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("report.png")
SIZE_PX = (1100, 760)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--force-color-profile=srgb"]
NUM_COLOURS = 128  # a report has few: a palette makes the file a third as large


def main(demo: Path) -> None:
    """Open `demo/report.html`, wait for its plot, and write what the first screen shows."""
    chromium = os.environ.get("ODDWAVE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    report = (demo / "report.html").resolve()
    if not report.is_file():
        sys.exit(f"there is no report in '{demo}': run `oddwave demo -o {demo} --only series` first")
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=dict(zip(("width", "height"), SIZE_PX, strict=True)))
        page.goto(report.as_uri())
        page.wait_for_selector(".plot.drawn")
        page.wait_for_timeout(500)
        shot = page.screenshot()
        browser.close()
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(NUM_COLOURS, dither=Image.Dither.NONE)
    picture.save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
