"""The page in a real browser: choose, preview, run, reload, pause, resume, cancel, download, play; wide and narrow."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support import oracle
from tests.support.clips import ClipFactory
from tests.support.places import SAMPLE
from tests.support.web import end_jobs, free_port, server

pytestmark = pytest.mark.timeout(600)
LONG = 240_000
QUICK_MODEL = "realesr-animevideov3"


@contextmanager
def page_of(browser: Any, address: str, width: int, refusals: int = 0) -> Iterator[Any]:
    """A page that must not log an error nor ask anything of another place.

    ``refusals`` is how many answers of 422 the test provokes; a browser logs each of them by itself.
    """
    context = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True)
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: trouble.append(str(e)))
    page.on("request", lambda r: None if r.url.startswith((address, "blob:")) else trouble.append(f"asked {r.url}"))
    page.goto(address)
    try:
        yield page
    finally:
        context.close()
    expected = [t for t in trouble if "status of 422" in t]
    assert len(expected) == refusals
    assert [t for t in trouble if t not in expected] == []


def choose_sample(page: Any) -> None:
    page.get_by_role("button", name=re.compile("bunny")).click()
    page.get_by_role("heading", name=re.compile("bunny")).wait_for()
    page.get_by_label("Model").select_option(QUICK_MODEL)


@pytest.fixture
def folder(tmp_path: Path, clips: ClipFactory) -> Iterator[Path]:
    """Served with the state folder beside it: one short film of 96x54."""
    root = tmp_path / "films"
    root.mkdir()
    shutil.copy(clips("film"), root / "bunny.mp4")
    yield root
    end_jobs(tmp_path / "state")


@pytest.mark.long
@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 390])
def test_from_choosing_to_playing(chromium: Any, folder: Path, screenshots: Path, width: int) -> None:
    with server(folder, folder.parent / "state") as address, page_of(chromium, address, width) as page:
        choose_sample(page)
        assert "96 × 54" in page.locator("#facts").inner_text()
        assert "aac" in page.locator("#facts").inner_text()
        page.get_by_alt_text("The source at this moment").wait_for(timeout=LONG)
        page.get_by_text("No restoration needed.").wait_for(timeout=LONG)
        page.get_by_label("Size").select_option("scale:2")
        page.get_by_role("button", name="Preview").click()
        page.locator("#compare").wait_for(timeout=LONG)
        see_slider_work(page)
        see_the_map(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=screenshots / f"preview-{width}.png", full_page=True)
        page.get_by_role("button", name="Start the job").click()
        job = page.locator(".job")
        job.wait_for()
        page.reload()
        job.wait_for()
        job.get_by_text("Done", exact=True).wait_for(timeout=LONG)
        with page.expect_download() as download:
            job.get_by_role("link", name="Download").click()
        got = folder.parent / "downloaded"
        download.value.save_as(got)
        output = next(p for p in folder.iterdir() if p.name.startswith("bunny.x2") and p.suffix in (".mp4", ".mkv"))
        assert got.read_bytes() == output.read_bytes()
        see_it_play(page)
        see_the_report(page, job, screenshots / f"job-report-{width}.png")
        job.get_by_role("button", name="Record").click()
        page.get_by_role("dialog").get_by_text("vidsr-provenance/1").wait_for()
        page.keyboard.press("Escape")
        page.screenshot(path=screenshots / f"done-{width}.png", full_page=True)
        job.get_by_role("button", name="Remove").click()
        page.get_by_text("No jobs yet.").wait_for()
        assert output.exists()


@pytest.mark.long
def test_a_part_between_two_points_of_the_slider_and_its_master(chromium: Any, folder: Path, screenshots: Path) -> None:
    with server(folder, folder.parent / "state") as address, page_of(chromium, address, 1280) as page:
        choose_sample(page)
        page.get_by_label("Size").select_option("scale:2")
        moment = page.locator("#at")
        moment.fill("0.25")
        page.get_by_role("button", name="Start here").click()
        moment.fill("0.5")
        page.get_by_role("button", name="End here").click()
        assert page.locator("#part-text").inner_text() == "Only from 0.25 s to 0.50 s"
        page.locator("details", has=page.locator("[data-option=masters]")).locator("summary").first.click()
        page.locator("[data-option=masters]").check()
        page.screenshot(path=screenshots / "part.png", full_page=True)
        page.get_by_role("button", name="Start the job").click()
        job = page.locator(".job")
        job.get_by_text("Done", exact=True).wait_for(timeout=LONG)
        made = next(p for p in folder.iterdir() if p.name == "bunny.0.25-0.5.x2.mp4")
        assert len(oracle.frame_pts(made)) == 6
        with page.expect_download() as download:
            job.get_by_role("link", name="Download the master").click()
        got = folder.parent / "master"
        download.value.save_as(got)
        master = folder / "bunny.0.25-0.5.x2.master.mkv"
        assert got.read_bytes() == master.read_bytes() and len(oracle.frame_pts(master)) == 6
        page.get_by_role("button", name="Whole video").click()
        assert page.locator("#part-text").inner_text() == ""
        assert page.locator("[data-option=start]").input_value() == ""


def see_slider_work(page: Any) -> None:
    """At its ends the slider shows one picture, then the other; and it moves by the keyboard."""
    slider = page.get_by_label(re.compile("move to compare"))
    frame = page.locator(".frame")
    slider.fill("0")
    after = frame.screenshot()
    slider.fill("100")
    before = frame.screenshot()
    assert before != after
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert slider.input_value() == "99"
    slider.fill("50")
    box = frame.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 40)
    page.mouse.up()
    assert 20 <= int(slider.input_value()) <= 30, "the cut is dragged over the picture itself"
    slider.fill("50")
    page.get_by_role("button", name="Actual size").click()
    assert page.locator("#after").bounding_box()["width"] == 192
    page.get_by_role("button", name="Actual size").click()


def see_the_map(page: Any) -> None:
    """The switch, by keyboard, lays red over the result, right of the cut, and takes it away again."""
    switch, frame, stage = (
        page.get_by_role("switch", name=re.compile("invented")),
        page.locator(".frame"),
        page.locator("#map"),
    )
    plain = frame.screenshot()
    page.get_by_role("button", name="Actual size").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.locator("#map-text").get_by_text(re.compile(r"\d+ % is invented")).wait_for(timeout=LONG)
    assert switch.is_checked() and stage.is_visible()
    with Image.open(io.BytesIO(frame.screenshot())) as now, Image.open(io.BytesIO(plain)) as then:
        after, before = (np.asarray(picture.convert("RGB")).astype(int) for picture in (now, then))
    middle = before.shape[1] // 2
    assert abs(after - before)[:, : middle - 30].max() <= 2, "the source stays as it is"
    red = after[:, middle + 30 :, 0] - after[:, middle + 30 :, 2]
    assert red.mean() > 5 and red.min() > -5, "grey and red"
    switch.uncheck()
    assert not stage.is_visible() and frame.screenshot() == plain
    switch.check()


def see_the_report(page: Any, job: Any, picture: Path) -> None:
    """The link opens a page of its own that waits for the comparison and then shows it."""
    with page.context.expect_page() as opened:
        job.get_by_role("link", name="Report").click()
    report = opened.value
    report.locator("#charts svg").first.wait_for(timeout=LONG)
    assert report.locator("#charts svg").count() == 2, "PSNR and SSIM"
    assert report.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert report.evaluate("origin") == "null", "the report may not speak for the server"
    report.screenshot(path=picture, full_page=True)
    report.close()


def see_live_picture(page: Any, job: Any) -> None:
    """The picture of the running job is there, and follows the work."""
    picture = job.get_by_alt_text("The most recently finished frame")
    picture.wait_for(timeout=LONG)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 384
    shown = (
        "image => { const c = document.createElement('canvas'); c.width = c.height = 64;"
        "c.getContext('2d').drawImage(image, 0, 0, 64, 64); return c.toDataURL(); }"
    )
    first = picture.evaluate(shown)
    page.wait_for_function(f"([image, first]) => ({shown})(image) !== first", arg=[picture.element_handle(), first],
                           timeout=LONG)  # fmt: skip


def see_it_play(page: Any) -> None:
    """The video element plays the result to a later time."""
    reached = page.evaluate(
        """async () => {
            const video = document.querySelector('.player');
            video.muted = true;
            await video.play();
            for (let i = 0; i < 300 && video.currentTime < 0.2; i += 1) {
                await new Promise((done) => setTimeout(done, 100));
            }
            return video.currentTime;
        }"""
    )
    assert reached >= 0.2
    assert page.evaluate("document.querySelector('.player').videoWidth") == 192


@pytest.mark.long
def test_pause_resume_cancel_and_a_server_that_dies(
    chromium: Any, folder: Path, screenshots: Path, make_clip: Callable[..., Path]
) -> None:
    long = make_clip("long.mp4", "-stream_loop", "127", "-i", str(folder / "bunny.mp4"), "-c", "copy")
    shutil.copy(long, folder / "bunny.mp4")
    port, state = free_port(), folder.parent / "state"
    with server(folder, state, port=port) as address, page_of(chromium, address, 1280) as page:
        choose_sample(page)
        page.get_by_role("button", name="Start the job").click()
        job = page.locator(".job")
        job.get_by_text(re.compile(r"^[1-9]\d* of \d+ frames")).wait_for(timeout=LONG)
        see_live_picture(page, job)
        page.screenshot(path=screenshots / "running-1280.png", full_page=True)
    # The server has ended. The job goes on, and the next server finds it.
    with server(folder, state, port=port) as address, page_of(chromium, address, 390) as page:
        job = page.locator(".job")
        job.get_by_text(re.compile("^Running")).wait_for(timeout=LONG)
        job.get_by_role("button", name="Pause").click()
        job.get_by_text(re.compile("will stop after the current segment")).wait_for(timeout=LONG)
        job.get_by_role("button", name="Pause now").click()
        job.get_by_text("Paused", exact=True).wait_for(timeout=LONG)
        job.get_by_role("button", name="Resume").click()
        job.get_by_text(re.compile("^Running")).wait_for(timeout=LONG)
        job.get_by_role("button", name="Cancel").click()
        job.get_by_text("Cancelled", exact=True).wait_for(timeout=LONG)
        page.screenshot(path=screenshots / "cancelled-390.png", full_page=True)
        assert not [p.name for p in folder.iterdir() if p.name.startswith("bunny.x4") and p.is_file()]


@pytest.mark.long
def test_saving_a_preset(chromium: Any, folder: Path, screenshots: Path) -> None:
    """Save, change an option, be asked before the same name is replaced, choose it again after a reload."""
    config = folder.parent / "state" / "config" / "presets" / "my-tapes.toml"
    with server(folder, folder.parent / "state") as address, page_of(chromium, address, 390) as page:
        choose_sample(page)
        page.get_by_label("Size").select_option("height:720")
        page.get_by_role("button", name="Save these options").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("my-tapes")
        page.keyboard.press("Enter")
        page.get_by_text("Saved as my-tapes.").wait_for()
        assert "height = 720" in config.read_text() and page.locator("#preset").input_value() == "my-tapes"
        page.get_by_label("Size").select_option("height:1080")
        page.get_by_role("button", name="Save these options").click()
        assert dialog.get_by_label("Name").input_value() == "my-tapes"
        dialog.get_by_role("button", name="Save").click()
        dialog.get_by_text("A preset named my-tapes exists. Replace it?").wait_for()
        page.screenshot(path=screenshots / "preset-390.png")
        assert "height = 720" in config.read_text()
        dialog.get_by_role("button", name="Replace it").click()
        dialog.wait_for(state="hidden")
        assert "height = 1080" in config.read_text()
        page.reload()
        page.locator("#preset").select_option("my-tapes")
        assert page.get_by_label("Size").input_value() == "height:1080"
        assert page.get_by_label("Model").input_value() == QUICK_MODEL


@pytest.mark.long
def test_keyboard_alone_and_names_for_screen_readers(chromium: Any, folder: Path) -> None:
    Image.new("RGB", (16, 12), (200, 80, 40)).save(folder / "a small picture.png")
    with server(folder, folder.parent / "state") as address, page_of(chromium, address, 1280) as page:
        page.get_by_role("button", name=re.compile("small picture")).focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=re.compile("small picture")).wait_for()
        page.get_by_label("Model").select_option(QUICK_MODEL)
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, a, video, progress, img')]
                .filter((e) => e.offsetParent !== null)
                .filter((e) => !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim() || e.alt))
                .map((e) => e.outerHTML)"""
        )
        assert unnamed == []
        press_until(page, lambda: page.evaluate("document.activeElement.id") == "start")
        page.keyboard.press("Enter")
        page.locator(".job").get_by_text("Done", exact=True).wait_for(timeout=LONG)
        assert (folder / "a small picture.x4.png").exists()
        page.locator(".job .picture").wait_for()


@pytest.mark.long
def test_typed_paths_other_roots_and_files_that_are_none(chromium: Any, folder: Path) -> None:
    other = folder.parent / "more films"
    other.mkdir()
    Image.new("RGB", (16, 12), (200, 80, 40)).save(other / "there.png")
    (folder / "broken.mp4").write_text("no video")
    state, second = folder.parent / "state", ("--root", str(other))
    with server(folder, state, *second) as address, page_of(chromium, address, 390, refusals=1) as page:
        choose_sample(page)
        page.get_by_label("Path of a folder or file").fill("broken.mp4")
        page.get_by_role("button", name="Open").click()
        page.locator("#place-text").get_by_text(re.compile("broken.mp4 is not a video")).wait_for(timeout=LONG)
        assert not page.get_by_role("button", name="Start the job").is_visible(), "nothing is chosen now"
        page.get_by_label("Served folder").select_option(str(other))
        page.get_by_role("button", name=re.compile("there.png")).click()
        page.get_by_role("heading", name=re.compile("there.png")).wait_for(timeout=LONG)
        page.get_by_label("Path of a folder or file").fill("bunny.mp4")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=re.compile("bunny")).wait_for(timeout=LONG)
        page.get_by_role("button", name="How long").click()
        page.get_by_text(re.compile("About .* for 16 frames")).wait_for(timeout=LONG)


def press_until(page: Any, reached: Callable[[], bool]) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if reached():
            return
    pytest.fail("the control cannot be reached with the Tab key")


def test_upload_and_names_with_html(chromium: Any, folder: Path) -> None:
    nasty = folder.parent / "<img src=x onerror=alert(1)>&.mp4"
    shutil.copy(SAMPLE, nasty)
    shutil.copy(SAMPLE, folder / "<b>bold.mp4")
    with server(folder, folder.parent / "state") as address, page_of(chromium, address, 390, refusals=1) as page:
        page.on("dialog", lambda d: pytest.fail("a script in a file name ran"))
        page.get_by_role("button", name="<b>bold.mp4").wait_for()
        assert page.locator("#files b").count() == 0
        page.get_by_label("Upload a file").set_input_files(nasty)
        page.get_by_role("heading", name=re.compile("onerror")).wait_for(timeout=LONG)
        assert page.locator("main img[src=x]").count() == 0
        assert len(list((folder / "vidsr-uploads").iterdir())) == 1
        text = folder.parent / "text.mp4"
        text.write_text("no video")
        page.get_by_label("Upload a file").set_input_files(text)
        page.locator("#upload-text").get_by_text(re.compile("not a video")).wait_for(timeout=LONG)
        assert len(list((folder / "vidsr-uploads").iterdir())) == 1
