"""A person votes: the page in a real browser, served by ``vidsr compare --blind``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import SAMPLE, child_environment
from tests.support.processes import LIMIT_SECONDS, started, wait_until
from tests.support.web import answers, free_port

MakeClip = Callable[..., Path]
SHORT = ("-an", "-frames:v", "6", "-c:v", "ffv1")


@pytest.fixture(scope="module")
def videos(make_clip: MakeClip) -> list[Path]:
    """One clip, and the same blurred."""
    plain = make_clip("blind-sharp.mkv", "-i", str(SAMPLE), *SHORT)
    return [plain, make_clip("blind-soft.mkv", "-i", str(SAMPLE), "-vf", "gblur=2", *SHORT)]


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 390])
def test_voting_by_mouse_and_keyboard(
    chromium: Any, screenshots: Path, videos: list[Path], tmp_path: Path, width: int
) -> None:
    pytest.importorskip("fastapi", reason="the extra web is not installed")
    port, votes, out = free_port(), tmp_path / "votes.json", tmp_path / "out.json"
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "vidsr", "compare", "--blind", *map(str, videos), "--moments", "4", "-q"]
    command += ["--votes", str(votes), "--port", str(port), "--json"]
    with (
        out.open("w") as file,
        started(command, limit_seconds=300, env=child_environment(), stdout=file) as process,
    ):
        wait_until(lambda: process.poll() is not None or answers(address), "the server answers", every_seconds=0.05)
        assert process.poll() is None
        context = chromium.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        trouble: list[str] = []
        page.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: trouble.append(str(e)))
        page.on("request", lambda r: None if r.url.startswith((address, "data:")) else trouble.append(r.url))
        texts: list[str] = []
        page.on("response", lambda r: texts.append(r.text()) if "/api/" in r.url and "png" not in r.url else None)
        page.goto(address)
        page.get_by_text("0 of 4 votes").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=screenshots / f"blind-{width}.png")
        page.keyboard.press("ArrowLeft")
        page.get_by_text("1 of 4 votes").wait_for()
        page.get_by_role("button", name="The right picture is better").click()
        page.get_by_text("2 of 4 votes").wait_for()
        page.keyboard.press("Backspace")
        page.get_by_text("1 of 4 votes").wait_for()
        assert [v["choice"] for v in json.loads(votes.read_text())["votes"]] == ["left"]
        page.keyboard.press("z")
        assert page.locator(".pair.zoomed").count() == 1
        page.reload()
        page.get_by_text("1 of 4 votes").wait_for()
        for count in (2, 3):
            page.keyboard.press(" ")
            page.get_by_text(f"{count} of 4 votes").wait_for()
        assert not any("blind-s" in text for text in texts), "no name before the last vote"
        page.get_by_role("button", name="Right →").click()
        page.get_by_text("All pairs have a vote.").wait_for()
        assert page.locator("#preferences tr").count() == 3
        assert "blind-soft.mkv" in page.locator("#preferences").inner_text()
        page.screenshot(path=screenshots / f"blind-done-{width}.png")
        page.get_by_role("button", name="Finish").click()
        page.get_by_text("You can close this page").wait_for()
        context.close()
        assert process.wait(LIMIT_SECONDS) == 0
        assert trouble == []
    found = json.loads(out.read_text())
    assert [v["choice"] for v in found["votes"]] == ["left", "same", "same", "right"]
    assert found == json.loads(votes.read_text())


def test_nothing_is_served_when_all_votes_are_there(
    videos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vidsr.cli import main
    from vidsr.jobs.compare.blind import BlindTest
    from vidsr.options.span_options import SpanOptions

    votes = tmp_path / "votes.json"
    test = BlindTest(videos, votes, moments=2, span=SpanOptions())
    for number in range(2):
        test.vote(number, "left" if test.trials[number].left == 0 else "right")
    command = ["compare", "--blind", *map(str, videos), "--moments", "2", "--votes", str(votes), "-q"]
    assert main.run(command) == 0
    out = capsys.readouterr().out
    assert "blind-sharp.mkv" in out.splitlines()[1] and "100%" in out.splitlines()[1]
    assert f"2 of 2 votes, kept in {votes}" in out
    assert main.run([*command, "--csv", "x.csv"]) == 2
    assert "leave out" in capsys.readouterr().err
    assert main.run(["compare", *map(str, videos), "--votes", str(votes)]) == 2
    assert "only with --blind" in capsys.readouterr().err


def test_the_api_refuses_others_and_what_does_not_exist(videos: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra web is not installed")
    from fastapi.testclient import TestClient

    from vidsr.jobs.compare.blind import BlindTest
    from vidsr.options.span_options import SpanOptions
    from vidsr.web.blind.blind_app import create_blind_app
    from vidsr.web.server_settings import WebSettings

    ended: list[bool] = []
    test = BlindTest(videos, tmp_path / "votes.json", moments=2, span=SpanOptions())
    app = create_blind_app(test, WebSettings(roots=(tmp_path,), state=tmp_path), lambda: ended.append(True))
    client = TestClient(app, base_url="http://127.0.0.1:8766")
    assert client.get("/api/v1/trial").json() == {"number": 0, "voted": 0, "total": 2}
    assert client.get("/api/v1/trials/0/left.png").content.startswith(b"\x89PNG")
    assert client.get("/api/v1/trials/9/left.png").status_code == 404
    assert client.post("/api/v1/votes", json={"trial": 9, "choice": "left"}).status_code == 404
    assert client.post("/api/v1/votes", json={"trial": 0, "choice": "maybe"}).status_code == 422
    evil = {"origin": "http://evil.example"}
    assert client.post("/api/v1/votes", json={"trial": 0, "choice": "left"}, headers=evil).status_code == 403
    assert TestClient(app, base_url="http://evil.example").get("/api/v1/trial").status_code == 403
    assert not (tmp_path / "votes.json").exists() and not ended
    assert client.post("/api/v1/end").json()["videos"][0]["votes"] == 0 and ended
