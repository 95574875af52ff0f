"""Child processes of tests: each has a limit in time, and none outlives its test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: How long a test waits for anything: a child, a thread, an event, a page. Below the time limit of a test.
LIMIT_SECONDS = 240.0
Child = subprocess.Popen[Any]


@contextmanager
def started(command: Sequence[object], *, limit_seconds: float = LIMIT_SECONDS, **options: Any) -> Iterator[Child]:
    """A child in a process group of its own; ``options`` are those of ``subprocess.Popen``.

    The whole group is killed at the end of the block, and after ``limit_seconds``: whoever reads from the child or
    waits for it then sees its end.
    """
    process = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)
    limit = threading.Timer(limit_seconds, _kill_group, [process.pid])
    limit.daemon = True
    limit.start()
    try:
        yield process
    finally:
        limit.cancel()
        _kill_group(process.pid)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait(LIMIT_SECONDS)


def run(
    command: Sequence[object],
    *,
    check: bool = False,
    capture_output: bool = False,
    input: str | bytes | None = None,
    limit_seconds: float = LIMIT_SECONDS,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """``subprocess.run`` within ``limit_seconds``; nothing that the child started goes on afterwards.

    Raises:
        subprocess.CalledProcessError: its exit code is not 0, and ``check`` is set.
        subprocess.TimeoutExpired: it has not ended in time.
    """
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} if capture_output else {}
    if input is not None:
        pipes["stdin"] = subprocess.PIPE
    words = [str(word) for word in command]
    with started(words, limit_seconds=limit_seconds + 10, **pipes, **options) as process:
        out, error = process.communicate(input, timeout=limit_seconds)
    done = subprocess.CompletedProcess(words, process.returncode, out, error)
    if check and done.returncode:
        raise Failed(done.returncode, words, out, error)
    return done


class Failed(subprocess.CalledProcessError):
    """A child that failed; its message ends with what the child wrote."""

    def __str__(self) -> str:
        said = self.stderr.decode(errors="replace") if isinstance(self.stderr, bytes) else self.stderr or ""
        return f"{super().__str__()}\n{said[-3000:]}"


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def wait_until(met: Callable[[], bool], what: str, *, child: Child | None = None, every_seconds: float = 0.01) -> None:
    """Return once ``met()`` holds; fail after :data:`LIMIT_SECONDS`, or as soon as ``child`` has ended without it."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not met():
        if child is not None and child.poll() is not None and not met():
            said = child.stderr.read() if child.stderr is not None else ""
            raise AssertionError(f"the child ended with {child.returncode} before {what}: {said!r}")
        assert time.monotonic() < deadline, f"not within {LIMIT_SECONDS:.0f} s: {what}"
        time.sleep(every_seconds)


def join(thread: threading.Thread) -> None:
    """Wait for a thread, and fail where it does not end."""
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive(), f"{thread.name} has not ended after {LIMIT_SECONDS:.0f} s"


def those_with(**environment: str) -> dict[int, str]:
    """Process id → command line of all other processes that carry these variables in their environment (Linux)."""
    wanted = {f"{name}={value}".encode() for name, value in environment.items()}
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        with contextlib.suppress(OSError):
            if pid != os.getpid() and wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                found[pid] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def open_files(path: Path) -> int:
    """How many descriptors of this process lead to ``path``."""
    folder = Path("/proc/self/fd")
    return sum(os.path.realpath(link) == str(path.resolve()) for link in folder.iterdir())


def below(parent: int) -> Iterator[tuple[int, str]]:
    """(process id, command line) of all descendants of a process, from /proc: ``ps`` cuts lines at ``COLUMNS``."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            above = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if above == parent:
            yield int(folder.name), command
            yield from below(int(folder.name))


def kill_all(pids: Iterable[int]) -> None:
    """Kill these processes; one may have ended already."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
