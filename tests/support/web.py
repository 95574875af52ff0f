"""A real server on a free port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.places import child_environment


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
    environment = child_environment(VIDSR_STATE=str(state))
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
