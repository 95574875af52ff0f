"""A pytest plugin: a test that nothing else can stop ends its process, and its children end with it.

pytest-timeout stops a test by an exception in the main thread. It cannot where that thread is blocked in C, and after a
failure both pytest and pytest-timeout cancel their timers, so that nothing bounds the teardown. A minute after the
test's own limit, faulthandler writes the stack of every thread and ends the process; under xdist the test is then
reported as failed, and a new worker goes on.
"""

from __future__ import annotations

import faulthandler
import os
from typing import Any

import pytest

from tests.support.processes import kill_all, those_with

_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real stderr: while a test runs, descriptor 2 is pytest's capture file."""
    config.stash[_STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close what :func:`pytest_configure` opened."""
    os.close(config.stash[_STDERR])


def _arm(item: pytest.Item) -> None:
    """Replaces the timer of pytest's own ``faulthandler_timeout``, which is the same for every test."""
    mark = item.get_closest_marker("timeout")
    seconds = float(mark.args[0] if mark else item.config.getini("timeout"))
    faulthandler.dump_traceback_later(seconds + 60, file=item.config.stash[_STDERR], exit=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _arm(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    _arm(item)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """In xdist's controller: a worker has ended, so whatever it started and left running is killed."""
    left = those_with(PYTEST_XDIST_TESTRUNUID=node.workerinput["testrunuid"], PYTEST_XDIST_WORKER=node.gateway.id)
    for pid, command in left.items():
        print(f"\n{node.gateway.id} left process {pid} running: {command[:200]}")
    kill_all(left)
