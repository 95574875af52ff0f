"""Makes docs/images/web.png: the page of `vidsr serve` with the sample clip, before and after under the slider."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.support.places import ROOT, SAMPLE
from tests.support.web import server

PATIENCE_MS = 600_000


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as place:
        films = Path(place) / "Videos"
        films.mkdir()
        for sample in (SAMPLE, SAMPLE.with_name("bigbuckbunny-320x180.png")):
            shutil.copy(sample, films)
        with server(films, Path(place) / "state") as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1180, "height": 1540})
            page.goto(address)
            shot = take(page)
            browser.close()
    target = ROOT / "docs" / "images" / "web.png"
    Image.open(io.BytesIO(shot)).quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)
    print(target)


def take(page: Page) -> bytes:
    """Choose the sample, try a moment, start the job, and take the picture once it is done."""
    page.get_by_role("button", name=re.compile("160x90.mp4")).click()
    page.get_by_text("No restoration needed.").wait_for(timeout=PATIENCE_MS)
    page.get_by_label("Model").select_option("realesr-animevideov3")
    page.get_by_role("button", name="Start the job").click()
    page.locator(".job").get_by_text("Done", exact=True).wait_for(timeout=PATIENCE_MS)
    page.get_by_label("Model").select_option("realesrgan-x4plus")
    page.get_by_label("At", exact=True).fill("1.44")
    page.get_by_role("button", name="Preview").click()
    page.locator("#compare").wait_for(timeout=PATIENCE_MS)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(1000)
    return page.screenshot(full_page=True)


if __name__ == "__main__":
    main()
