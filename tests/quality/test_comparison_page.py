"""The page of ``vidsr compare --report`` in a real browser: it draws, slides, fits a phone, and asks nobody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vidsr.quality.comparison import WorstFrame
from vidsr.quality.comparison_page import page
from vidsr.quality.no_reference.assessment import ASSESSED

HOSTILE = "<img src=x onerror=alert(1)>.mkv"


def party(name: str) -> dict[str, Any]:
    return {
        "path": f"/films/{name}",
        "sha256": "ab" * 32,
        "width": 96,
        "height": 64,
        "frames": 30,
        "format": "yuv420p",
        "codec": "h264",
    }


def result(name: str, base: float) -> dict[str, Any]:
    frames = [{"seconds": i / 25, "psnr": base + i % 5, "lpips": None if i == 0 else 0.1 / base} for i in range(30)]
    means = {"psnr": base + 2, "lpips": 0.1 / base, "compared_frames": 30}
    job = {"model": {"name": "some-model"}, "options": {"encode": {"crf": 18}}, "software": {"vidsr": "0.1.0"}}
    return party(name) | means | {"notes": ["a note"], "per_frame": frames, "job": job}


def sample(shade: int) -> WorstFrame:
    grey = np.full((64, 96, 3), shade, np.uint8)
    return WorstFrame(seconds=0.5, score=0.2, measure="lpips", reference=grey, other=255 - grey)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    settings = {"measures": ["psnr", "lpips"], "align": "pts", "fit": "none", "limit": None}
    comparison = {
        "vidsr": "0.1.0",
        "reference": party("master.mov"),
        "results": [result("plain.mkv", 30), result(HOSTILE, 35)],
        "settings": settings,
    }
    path = tmp_path / "report.html"
    path.write_text(page(comparison, [[sample(40), sample(90)], [sample(120)]]), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page(chromium: Any, screenshots: Path, report: Path, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    view = context.new_page()
    trouble: list[str] = []
    view.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
    view.on("pageerror", lambda e: trouble.append(str(e)))
    view.on("dialog", lambda d: trouble.append(f"dialog {d.message}"))
    view.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else trouble.append(r.url))
    view.goto(report.as_uri())
    assert view.locator("#charts svg").count() == 2, "one chart for each measure that was taken"
    assert view.locator("#charts path").count() == 4, "one line for each video"
    assert view.locator("td.best").all_inner_texts() == ["37.00", "0.0029"], "the better of each measure is marked"
    assert view.evaluate("document.documentElement.scrollWidth") <= width, "nothing hangs over the edge"
    assert HOSTILE in view.locator("#means").inner_text()
    assert view.locator("details").count() == 2 and view.locator("summary").first.is_visible()

    slider = view.get_by_role("slider").first
    box = view.locator(".slider").first
    slider.focus()
    for _ in range(4):
        view.keyboard.press("ArrowRight")
    assert box.evaluate("e => e.style.getPropertyValue('--at')") == "52%"
    slider.fill("0")
    seen = box.screenshot(path=screenshots / f"report-slider-{width}.png")
    assert seen
    with Image.open(screenshots / f"report-slider-{width}.png") as picture:
        shown = np.asarray(picture.convert("RGB"))[picture.height // 2, picture.width // 2]
    assert np.abs(shown.astype(int) - 215).max() <= 3, "at 0 all of the compared video is seen (255 - 40)"
    view.screenshot(path=screenshots / f"report-{width}.png", full_page=True)
    context.close()
    assert trouble == []


@pytest.mark.parametrize("with_source", [True, False])
def test_the_page_without_a_reference(chromium: Any, screenshots: Path, tmp_path: Path, with_source: bool) -> None:
    ranks = {"rank_look": 1.5, "rank_faithful": None}
    videos = [result("a.mkv", 30) | {"niqe": 4.0} | ranks, result("b.mkv", 35) | {"niqe": 5.0} | ranks]
    for video in videos:
        for number, frame in enumerate(video["per_frame"]):
            frame["niqe"] = video["niqe"] + number % 3
    comparison = {
        "vidsr": "0.1.0",
        "source": party("film.mov") if with_source else None,
        "results": videos,
        "settings": {
            "ranked_by": {"rank_look": ["niqe", "sharpness"]},
            "limit": None,
            "align": "pts",
            "span": {"start": None, "frames": "3-9" if with_source else None, "exact_sound": False},
        },
    }
    kept = replace(sample(40), measure="niqe")
    path = tmp_path / "report.html"
    path.write_text(page(comparison, [[kept], [kept]] if with_source else [[], []], ASSESSED), encoding="utf-8")
    view = chromium.new_page(viewport={"width": 1280, "height": 900})
    trouble: list[str] = []
    view.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
    view.on("pageerror", lambda e: trouble.append(str(e)))
    view.goto(path.as_uri())
    assert view.locator("#charts svg").count() == 1
    settings = view.locator("#settings").inner_text()
    assert settings == "Settings: align pts" + ("; span frames 3-9" if with_source else "")
    assert "place, look" in view.locator("#means").inner_text()
    assert view.get_by_role("heading", name="Moments").count() == int(with_source)
    assert view.locator(".slider .l").all_inner_texts() == ["source"] * (2 * with_source)
    assert view.locator("#files tr").count() == 3 + with_source
    view.screenshot(path=screenshots / f"report-no-reference-{with_source}.png", full_page=True)
    view.close()
    assert trouble == []
