"""The page of ``vidsr inspect --report``: a section and a track for each fault, pictures, nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.clips import run_ffmpeg
from tests.support.field_clips import moments, woven
from vidsr import inspect
from vidsr.filters.detect.fault_list import faults_of
from vidsr.filters.detect.inspection import Inspection
from vidsr.jobs.fault_report.fault_page import page


def stored(clip: list[np.ndarray], path: Path) -> Path:
    height, width = clip[0].shape
    run_ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", "25", "-i", "-"),
        *("-c:v", "ffv1", "-pix_fmt", "yuv420p", str(path)),
        stdin=b"".join(np.clip(np.rint(y), 0, 255).astype(np.uint8).tobytes() for y in clip),
    )
    return path


@pytest.fixture(scope="module")
def combed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Inspection, str]:
    """An interlaced clip whose name must be escaped, what was found in it, and the page."""
    folder = tmp_path_factory.mktemp("report")
    source = stored(woven(moments(44, 3), "tff"), folder / "<b>@BODY@.mkv")
    found = inspect(source, report=folder / "page.html")
    return source, found, (folder / "page.html").read_text()


def pictures(text: str) -> Iterator[Image.Image]:
    for data in re.findall(r'src="data:image/\w+;base64,([^"]+)"', text):
        yield Image.open(io.BytesIO(base64.b64decode(data)))


def test_each_fault_has_its_track_and_its_section(combed: tuple[Path, Inspection, str]) -> None:
    _, found, text = combed
    faults = faults_of(found)
    assert "interlaced" in [fault.name for fault in faults]
    for fault in faults:
        assert f'href="#{fault.name}"' in text and f'id="{fault.name}"' in text and fault.flags in text
    assert text.count('class="track"') == len(faults) + 1


def test_the_page_stands_alone_and_escapes_names(combed: tuple[Path, Inspection, str]) -> None:
    _, _, text = combed
    assert "<b>" not in text and "&lt;b&gt;@BODY@.mkv" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text) and "<script" not in text and "url(" not in text


def test_the_magnified_part_of_combing_is_combed(combed: tuple[Path, Inspection, str]) -> None:
    """Three pixels for one, and neighbouring lines lie further apart than every second one."""
    _, _, text = combed
    section = text.split('id="interlaced"')[1].split("</section>")[0]
    shown = list(pictures(section))
    assert len(shown) >= 2
    part = np.asarray(shown[1].convert("L"), float)[1::3, 1::3]
    assert part.shape == (96, 128)
    near = np.abs(np.diff(part, axis=0))[:, 8:-8].mean()
    far = np.abs(part[2:] - part[:-2])[:, 8:-8].mean()
    assert near > far


@pytest.mark.long
def test_marks_lie_where_the_fault_is(tmp_path: Path) -> None:
    """A dropout-free clip in which only the second half is interlaced."""
    clip = moments(50, 3, seed=4) + woven(moments(100, 3), "tff")
    found = inspect(stored(clip, tmp_path / "mixed.mkv"))
    (fault,) = (fault for fault in faults_of(found) if fault.name == "interlaced")
    assert min(float(place.start) for place in fault.places) > 1.5
    assert max(float(place.end) for place in fault.places) == pytest.approx(99 / 25)
    text = page("mixed.mkv", found, [(fault, [])], Fraction(4))
    track = text.split('href="#interlaced"')[1].split("</div>")[0]
    lefts = [float(left) for left in re.findall(r"left:([\d.]+)%", track)]
    assert lefts and min(lefts) > 37


@pytest.mark.long
def test_a_sound_clip_has_a_page_without_faults(tmp_path: Path) -> None:
    source = stored(moments(40, 1), tmp_path / "sound.mkv")
    found = inspect(source, report=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert faults_of(found) == []
    assert "No faults found in sound.mkv" in text and "--restore grey" in text and not list(pictures(text))


@pytest.mark.long
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this machine")
def test_a_browser_shows_the_page_without_a_complaint(combed: tuple[Path, Inspection, str], tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    (tmp_path / "page.html").write_text(combed[2])
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width in (1180, 390):
            shown = browser.new_page(viewport={"width": width, "height": 900})
            trouble: list[str] = []
            shown.on("console", lambda m, into=trouble: into.append(m.text))
            shown.goto((tmp_path / "page.html").as_uri())
            assert shown.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
            assert shown.evaluate("document.documentElement.scrollWidth") <= width
            assert trouble == []
        browser.close()
