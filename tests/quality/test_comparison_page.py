"""The page of ``vidsr compare --report`` in a real browser: it draws, slides, fits a phone, and asks nobody."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vidsr.quality.comparison import WorstFrame
from vidsr.quality.comparison_page import page
from vidsr.quality.invention.overlay import layer_png
from vidsr.quality.invention.tally import FrameInvention, InventionTally
from vidsr.quality.invention.time_line import ShownInvention
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


@pytest.mark.parametrize("width", [1280, 390])
def test_the_map_of_invention(chromium: Any, screenshots: Path, tmp_path: Path, width: int) -> None:
    frame = {"expected": 6.0, "low": 2.0, "high": 14.0, "within": 0.5, "supported": 0.3, "invented": 0.4}
    frames = [FrameInvention(seconds=n / 25, **frame, cut=n == 12) for n in range(30)]
    figures = {"measured": {"rule": "every frame"}, **InventionTally(frames).to_json()}
    expected = torch.zeros(1, 1, 16, 24)
    expected[..., 12:] = 40
    shown = ShownInvention.of(figures, [layer_png(expected), None])
    settings = {"measures": ["psnr", "lpips"], "align": "pts", "fit": "none", "limit": None}
    names = ["plain.mkv", "@DATA@.mkv", HOSTILE]
    comparison = {
        "vidsr": "0.1.0",
        "reference": party("film.mov"),
        "results": [result(name, 30) for name in names],
        "settings": settings,
    }
    path = tmp_path / "report.html"
    kept = [[sample(40), sample(90)], [sample(40)], []]
    path.write_text(page(comparison, kept, inventions=[shown, None, replace(shown, layers=())]), encoding="utf-8")
    view = chromium.new_page(viewport={"width": width, "height": 900})
    trouble: list[str] = []
    view.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
    view.on("pageerror", lambda e: trouble.append(str(e)))
    view.on("dialog", lambda d: trouble.append(f"dialog {d.message}"))
    view.goto(path.as_uri())
    section = view.locator("#invention")
    assert section.locator("h3").all_inner_texts() == ["plain.mkv", HOSTILE]
    assert section.locator("svg").count() == 4 and section.locator("line.shot").count() == 4
    assert "30 % supported, 40 % invented" in section.inner_text() and "2 shots" in section.inner_text()
    assert view.evaluate("document.documentElement.scrollWidth") <= width, "nothing hangs over the edge"
    switch = view.get_by_role("checkbox", name="Show what was invented in plain.mkv at 0.500 s")
    assert view.get_by_role("checkbox").count() == 1 == switch.count(), "one for each picture with a map"
    box = view.locator(".slider").first
    view.get_by_role("slider").first.fill("0")

    def middles() -> list[Any]:
        with Image.open(io.BytesIO(box.screenshot())) as picture:
            rgb = np.asarray(picture.convert("RGB")).astype(int)
        return [rgb[rgb.shape[0] // 2, rgb.shape[1] * part // 8] for part in (2, 6)]

    assert all(abs(side - 215).max() <= 3 for side in middles())
    switch.focus()
    view.keyboard.press("Space")
    left, right = middles()
    assert np.ptp(left) <= 6 and right[0] - right[2] > 120, "red on the right only"
    view.screenshot(path=screenshots / f"report-invention-{width}.png", full_page=True)
    view.close()
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
