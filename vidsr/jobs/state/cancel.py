"""Cancelling in two steps: first let the segments in progress end, then stop at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vidsr.errors import Interrupted
from vidsr.stop_signals import handled_by

#: After the second signal, how long threads and workers may take to end before the process ends without them.
GRACE_SECONDS = 3.0

FIRST = b"\nvidsr: finishing what is in progress; interrupt again to stop at once\n"
SECOND = b"\nvidsr: stopping at once; run the same command again to resume\n"


class Stop:
    """A request to stop. ``soft``: begin no further segment. ``hard``: drop the segments in progress, too."""

    def __init__(self) -> None:
        self.soft = threading.Event()
        self.hard = threading.Event()
        self._gently = False

    @classmethod
    def of(cls, request: Stop | threading.Event | None) -> Stop:
        """``request`` as a Stop; a plain event asks for the hard stop when it is set."""
        if isinstance(request, Stop):
            return request
        stop = cls()
        if request is not None:
            stop.soft = stop.hard = request
        return stop

    def now(self) -> None:
        """Ask for the hard stop."""
        self.soft.set()
        self.hard.set()

    def check(self) -> None:
        """Raise if a stop was requested.

        Raises:
            Interrupted: it was.
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
        """The handler of SIGINT and SIGTERM. The state on disk is consistent at every moment, so ending is always safe.

        Raises:
            Interrupted: no segment is in progress that is worth waiting for.
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
    """A :class:`Stop` that SIGINT and SIGTERM set off, if this is the main thread."""
    stop = Stop()
    with handled_by(stop.on_signal):
        yield stop
