"""What SVT-AV1 does to its process when it opens, undone."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_lock = threading.Lock()


@contextlib.contextmanager
def tamed() -> Iterator[None]:
    """Within the block SVT-AV1 may open: it prints nothing but errors, and takes no real-time priority.

    Of itself it prints a page on stderr, and heeds only the environment variable ``SVT_LOG``. A choice of the user's
    stays; the variable is there only while an encoder opens.

    Run by root, it also gives the thread that opens it the policy ``SCHED_FIFO`` with priority 99, the highest there
    is, for good. Every thread and process started by that thread inherits it, and whatever computes at that priority
    takes its core from everything else, the kernel's own threads included. A thread that spins until another one has
    done its part (as ONNX Runtime's and OpenMP's do) then waits forever if that one is pinned to the same core.
    """
    with _lock, _policy_kept(), _quiet():
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    if "SVT_LOG" in os.environ:
        yield
        return
    os.environ["SVT_LOG"] = "1"  # errors only
    try:
        yield
    finally:
        del os.environ["SVT_LOG"]


@contextlib.contextmanager
def _policy_kept() -> Iterator[None]:
    """The scheduling policy of this thread, and of all threads that start within the block, stays as it was."""
    if not hasattr(os, "sched_getscheduler"):  # Linux and FreeBSD have it
        yield
        return
    own = threading.get_native_id()
    policy, threads = _policy_of(own), _threads()
    try:
        yield
    finally:
        for thread in {own, *(_threads() - threads)}:
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                if _policy_of(thread) != policy:
                    os.sched_setscheduler(thread, policy[0], os.sched_param(policy[1]))


def _policy_of(thread: int) -> tuple[int, int]:
    """(policy, priority) of a thread of this process."""
    parameters: Any = os.sched_getparam(thread)
    return os.sched_getscheduler(thread), parameters.sched_priority


def _threads() -> set[int]:
    """All threads of this process, where the system lists them."""
    try:
        return {int(folder.name) for folder in Path("/proc/self/task").iterdir()}
    except OSError:
        return set()
