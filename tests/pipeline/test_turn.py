"""A stage that several segments share."""

from __future__ import annotations

import threading

import pytest

from vidsr.errors import Interrupted
from vidsr.pipeline.turn import Turn


def test_one_holder_at_a_time_and_the_next_when_it_leaves() -> None:
    turn, log, first_holds = Turn(), [], threading.Event()

    def second() -> None:
        first_holds.wait()
        with turn.taken("second", threading.Event()):
            log.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with turn.taken("first", threading.Event()) as waited:
        assert waited >= 0
        first_holds.set()
        thread.join(0.05)
        log.append("first")
    thread.join()
    assert log == ["first", "second"]


def test_a_stop_ends_the_wait_and_keeps_the_stage_free() -> None:
    turn, stop = Turn(), threading.Event()
    with turn.taken("first", threading.Event()):
        stop.set()
        with pytest.raises(Interrupted), turn.taken("second", stop):
            raise AssertionError("two hold one stage")
    with pytest.raises(Interrupted), turn.taken("second", stop):
        raise AssertionError("stopped before it began")
    with turn.taken("third", threading.Event()):
        pass


def test_a_generator_that_nobody_ends_does_not_keep_the_stage() -> None:
    turn = Turn()

    def frames():  # type: ignore[no-untyped-def]
        with turn.taken("first", threading.Event()):
            yield 1
            yield 2

    suspended = frames()
    assert next(suspended) == 1
    turn.leave("another")
    turn.leave("first")
    with turn.taken("second", threading.Event()):
        suspended.close()  # its own leave must not free what "second" holds
        assert turn._lock.locked()
    assert not turn._lock.locked()
