"""A real server on a free port."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.places import child_environment
from tests.support.processes import LIMIT_SECONDS, kill_all, started, those_with, wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(root: Path, state: Path, *arguments: str, port: int | None = None) -> Iterator[str]:
    """``vidsr serve`` as users start it; the address it answers at.

    Jobs go on after their server has ended, as they should; :func:`end_jobs` ends them.
    """
    pytest.importorskip("fastapi", reason="the extra web is not installed")
    address = f"http://127.0.0.1:{port or free_port()}"
    command = [sys.executable, "-m", "vidsr", "serve", "--root", root, "--port", address.rpartition(":")[2], *arguments]
    environment = child_environment(VIDSR_STATE=str(state), VIDSR_CONFIG=str(state / "config"))
    state.mkdir(parents=True, exist_ok=True)
    log = state / "server.log"
    # To a file: a full pipe that nobody reads would block the server.
    with log.open("a") as file, started(command, limit_seconds=600, env=environment, stderr=file) as process:
        wait_until(lambda: process.poll() is not None or answers(address), "the server answers", every_seconds=0.05)
        assert process.poll() is None, log.read_text()
        yield address
        process.terminate()
        process.wait(LIMIT_SECONDS)


def answers(address: str) -> bool:
    """Whether a server is there."""
    try:
        urllib.request.urlopen(f"{address}/api/v1/about", timeout=5).close()
    except urllib.error.HTTPError:
        return True  # it wants a token
    except OSError:
        return False
    return True


def end_jobs(state: Path) -> None:
    """Kill what servers with this state folder have started and left running."""
    kill_all(those_with(VIDSR_STATE=str(state)))
