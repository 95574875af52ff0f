"""A real server on a free port, and a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SAMPLE = ROOT / "samples" / "bigbuckbunny-160x90.mp4"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(root: Path, state: Path, *arguments: str, port: int | None = None) -> Iterator[str]:
    """``vidsr serve`` as users start it; the address it answers at."""
    pytest.importorskip("fastapi", reason="the extra web is not installed")
    port = port or free_port()
    command = [sys.executable, "-m", "vidsr", "serve", "--root", str(root), "--port", str(port), *arguments]
    environment = os.environ | {"VIDSR_STATE": str(state), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/v1/about", timeout=5)
                break
            except urllib.error.HTTPError:
                break  # it answers: it wants a token
            except OSError:
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)
        if process.stderr:
            process.stderr.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium through Playwright; skipped with a reason where either is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("VIDSR_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None and os.environ.get("VIDSR_REQUIRE_BROWSER") == "1":
        pytest.fail("VIDSR_REQUIRE_BROWSER is set, but there is no chromium")
    if program is None:
        pytest.skip("no chromium on this machine (scripts/install.sh installs it where it can)")
    with sync_api.sync_playwright() as playwright:
        # No sandbox: it needs rights that containers seldom have; the only page opened is our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where screenshots are kept for people to look at: ``VIDSR_ARTEFACTS``, else ``build/screenshots``."""
    folder = Path(os.environ.get("VIDSR_ARTEFACTS") or ROOT / "build" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
