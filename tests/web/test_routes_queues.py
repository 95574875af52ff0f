"""Queues of files over HTTP and on the page: started, shown, reordered, stopped, resumed; confined to roots."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.clips import ClipFactory, picture
from tests.support.processes import LIMIT_SECONDS
from tests.support.web import server

httpx = pytest.importorskip("httpx2", reason="httpx2 is not installed")
pytestmark = pytest.mark.timeout(600)
LONG = 240_000


def until(look: Callable[[], Any], reached: Callable[[Any], bool], seconds: float = 200.0) -> Any:
    deadline = time.monotonic() + seconds
    while not reached(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
    return seen


def client_of(address: str) -> Any:
    return httpx.Client(base_url=f"{address}/api/v1", timeout=LIMIT_SECONDS)


@pytest.fixture
def root(clips: ClipFactory, identity: Path, tmp_path: Path) -> Path:
    """A served folder with a folder of tapes: five good ones (one is long), a broken one, a link out of it."""
    root = tmp_path / "served"
    (root / "tapes" / "summer ü").mkdir(parents=True)
    long = clips.make("long.mkv", *picture("64x48", "24", 20), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    shutil.copy(long, root / "tapes" / "a long.mkv")
    for name in ("b.mkv", "c.mkv", "d.mkv", "summer ü/e.mkv"):
        shutil.copy(clips("silent"), root / "tapes" / name)
    (root / "tapes" / "broken.mp4").write_text("no video")
    shutil.copy(clips("silent"), tmp_path / "secret.mkv")
    (root / "tapes" / "link.mkv").symlink_to(tmp_path / "secret.mkv")
    shutil.copy(identity, root / "identity.safetensors")
    return root


def by_name(queue: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {file["name"]: file for file in queue["files"]}


@pytest.mark.long
def test_a_folder_is_a_queue(root: Path, tmp_path: Path) -> None:
    options = {"model": "identity.safetensors", "scale": 1}
    with server(root, tmp_path / "state") as address, client_of(address) as client:
        assert client.post("/jobs", json={"source": ".", "options": options}).status_code == 422
        assert client.post("/jobs", json={"source": "identity.safetensors", "watch": True}).status_code == 422
        outside = client.post("/jobs", json={"source": "tapes", "output": "../out", "options": options})
        assert outside.status_code == 404
        made = client.post("/jobs", json={"source": "tapes", "output": "out", "options": options})
        assert made.status_code == 201, made.text
        (queue,) = until(lambda: client.get("/queues").json(), bool)
        assert (queue["sources"], queue["output"], queue["files"]) == (["tapes"], "out", [])
        place = f"/queues/{queue['id']}"
        at_work = until(
            lambda: client.get(place).json(), lambda q: by_name(q).get("a long.mkv", {}).get("state") == "running"
        )
        files = by_name(at_work)
        moved = client.post(f"{place}/files/{files['d.mkv']['id']}/move", json={"where": "first"})
        assert next(f["name"] for f in moved.json()["files"] if f["state"] == "waiting") == "d.mkv"
        assert client.post(f"{place}/files/{files['c.mkv']['id']}/leave-out").status_code == 200
        assert client.post(f"{place}/files/{files['c.mkv']['id']}/move", json={"where": "up"}).status_code == 409
        stopped = client.post(f"{place}/stop")
        assert stopped.json()["state"] in ("stopping", "stopped"), stopped.text
        until(lambda: client.get(place).json(), lambda q: q["state"] == "stopped")
        assert client.post(f"{place}/stop").status_code == 409
        assert client.post(f"{place}/files/{files['c.mkv']['id']}/take-back").status_code == 200
        assert client.post(f"{place}/resume").status_code == 200
        ended = until(lambda: client.get(place).json(), lambda q: q["state"] == "ended")
        assert ended["counts"] == {"done": 5, "refused": 2}
        files = by_name(ended)
        assert "leads out of the served folders" in files["link.mkv"]["reason"]
        assert str(tmp_path) not in str(ended)
        assert sorted(p.name for p in (root / "out").rglob("*.mkv")) == [
            "a long.mkv",
            "b.mkv",
            "c.mkv",
            "d.mkv",
            "e.mkv",
        ]
        newest, first = client.get("/jobs").json()
        assert newest["result"]["counts"] == {"done": 5, "refused": 2} and first["state"] == "paused"
        assert client.delete(place).status_code == 204
        assert client.get("/queues").json() == [] and client.get(place).status_code == 404
    with server(root / "tapes", tmp_path / "state") as address, client_of(address) as client:
        assert client.get("/queues").json() == [], "its results are outside"


@pytest.mark.parametrize("width", [1280, pytest.param(390, marks=pytest.mark.slow)])
@pytest.mark.long
def test_the_page_shows_and_reorders_a_queue(
    chromium: Any, root: Path, tmp_path: Path, screenshots: Path, width: int
) -> None:
    (root / "tapes" / "link.mkv").unlink()
    with server(root, tmp_path / "state") as address:
        context = chromium.new_context(viewport={"width": width, "height": 900})
        page = context.new_page()
        trouble: list[str] = []
        page.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: trouble.append(str(e)))
        page.goto(address)
        page.get_by_role("button", name=re.compile("^tapes")).click()
        page.get_by_role("button", name=re.compile("a long.mkv")).wait_for()
        page.get_by_role("button", name="Enhance this folder").click()
        page.get_by_role("heading", name="tapes").wait_for()
        assert not page.get_by_role("button", name="Preview").is_visible()
        page.get_by_label(re.compile("Folder for the results")).fill("out")
        assert page.get_by_label(re.compile("Keep watching")).is_visible()
        page.get_by_label("Model").select_option("realesr-animevideov3")
        page.screenshot(path=screenshots / f"queue-chosen-{width}.png", full_page=True)
        page.get_by_role("button", name="Start the job").click()
        queue = page.locator("#queues > li")
        queue.get_by_text(re.compile("^Running")).wait_for(timeout=LONG)
        queue.get_by_text("Files").click()
        queue.get_by_text(re.compile("^running, \\d+ %")).wait_for(timeout=LONG)
        queue.get_by_role("button", name="Do next: d.mkv").click()
        second = "() => document.querySelector('.queue-files li:nth-child(2) .name').textContent === 'd.mkv'"
        page.wait_for_function(second)
        queue.get_by_role("button", name="Leave out: c.mkv").click()
        queue.get_by_text("skipped: left out on request").wait_for()
        page.screenshot(path=screenshots / f"queue-running-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        unnamed = page.evaluate(
            "() => [...document.querySelectorAll('#queues button, #queues progress')]"
            ".filter((e) => e.offsetParent !== null && !e.getAttribute('aria-label')).map((e) => e.outerHTML)"
        )
        assert unnamed == []
        queue.get_by_role("button", name=re.compile("^Stop")).click()
        stop_now = queue.get_by_role("button", name=re.compile("^Stop now"))
        stop_now.wait_for(timeout=LONG)
        stop_now.click()
        queue.get_by_text("Stopped", exact=True).wait_for(timeout=LONG)
        page.screenshot(path=screenshots / f"queue-stopped-{width}.png", full_page=True)
        queue.get_by_role("button", name=re.compile("^Remove")).click()
        queue.wait_for(state="detached")
        context.close()
        assert [t for t in trouble if "status of 409" not in t] == []
