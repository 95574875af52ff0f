"""What a Ray actor cleans up on its node."""

from __future__ import annotations

import os
import signal

import pytest

from vidsr.jobs.engines import ray_actor


def test_a_process_is_alive_until_it_has_ended() -> None:
    assert ray_actor._alive(os.getpid())
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert not ray_actor._alive(child)


def test_no_process_is_asked_where_signal_0_would_interrupt_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no SIGKILL, and its signal 0 is Ctrl-C."""

    def sent(pid: int, number: int) -> None:
        raise AssertionError(f"signal {number} was sent to {pid}")

    monkeypatch.delattr(signal, "SIGKILL")
    monkeypatch.setattr(os, "kill", sent)
    assert ray_actor._alive(12345)
