"""Stopping in two steps: first let the segments in work end, then at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vidsr.errors import Interrupted

#: After the second signal, how long threads and workers may take to end before the process ends without them.
GRACE_SECONDS = 3.0

FIRST = b"\nvidsr: finishing what is in work; once more to stop at once\n"
SECOND = b"\nvidsr: stopping at once; the same command goes on later\n"


class Stop:
    """A wish to stop. ``soft``: begin no further segment. ``hard``: drop the segments in work, too."""

    def __init__(self) -> None:
        self.soft = threading.Event()
        self.hard = threading.Event()
        self._gently = False

    @classmethod
    def of(cls, wish: Stop | threading.Event | None) -> Stop:
        """``wish`` as a Stop; a plain event asks for the hard stop when it is set."""
        if isinstance(wish, Stop):
            return wish
        stop = cls()
        if wish is not None:
            stop.soft = stop.hard = wish
        return stop

    def now(self) -> None:
        """Ask for the hard stop."""
        self.soft.set()
        self.hard.set()

    def check(self) -> None:
        """Raise if a stop is wished for.

        Raises:
            Interrupted: it is.
        """
        if self.soft.is_set():
            raise Interrupted("stopped on request")

    @contextmanager
    def gently(self) -> Iterator[None]:
        """Inside the block a first signal only sets ``soft``; outside, it raises in the main thread."""
        self._gently = True
        try:
            yield
        finally:
            self._gently = False

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGINT and SIGTERM. State on disk is sound at every moment, so that ending is safe.

        Raises:
            Interrupted: nothing is in work that is worth waiting for.
        """
        if not self.soft.is_set():
            self.soft.set()
            if self._gently:
                os.write(2, FIRST)  # not print: the handler may run inside a print
                return
            self.hard.set()
            raise Interrupted("stopped on request")
        if not self.hard.is_set():
            os.write(2, SECOND)
            self.hard.set()
            timer = threading.Timer(GRACE_SECONDS, os._exit, args=(Interrupted.exit_code,))
            timer.daemon = True
            timer.start()
            return
        os._exit(Interrupted.exit_code)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A :class:`Stop` that SIGINT and SIGTERM work, where this is the main thread; the old handlers come back."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
