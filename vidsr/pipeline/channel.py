"""A bounded channel between two threads: back-pressure, orderly close, and errors that reach the other end.

It differs from ``queue.Queue`` in three ways that a pipeline needs: the sender can say that nothing more comes,
either side can abort and wake the other at once, and the error that caused an abort is raised where the other
side waits. Waiting times are added up, since they show which stage is the slow one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class ChannelAborted(Exception):  # noqa: N818 - a signal between threads, never shown to a user
    """The other side gave up; its error, if there was one, is the ``__cause__``."""


class Channel(Generic[T]):
    """A first-in, first-out channel that holds at most ``capacity`` items.

    One thread sends and one receives. ``send_wait_seconds`` and ``receive_wait_seconds`` are the times that the
    two sides spent waiting for each other.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a channel holds at least one item, not {capacity}")
        self.capacity = capacity
        self.send_wait_seconds = 0.0
        self.receive_wait_seconds = 0.0
        self._items: deque[T] = deque()
        self._condition = threading.Condition()
        self._closed = False
        self._aborted = False
        self._error: BaseException | None = None

    def send(self, item: T) -> None:
        """Put an item in, waiting while the channel is full.

        Raises:
            ChannelAborted: the channel was aborted.
            ValueError: the channel was closed by its sender before.
        """
        with self._condition:
            start = time.perf_counter()
            while len(self._items) >= self.capacity and not self._aborted:
                self._condition.wait()
            self.send_wait_seconds += time.perf_counter() - start
            self._raise_if_aborted()
            if self._closed:
                raise ValueError("send on a closed channel")
            self._items.append(item)
            self._condition.notify_all()

    def close(self) -> None:
        """Say that nothing more will be sent; the receiver still gets what is inside."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def abort(self, error: BaseException | None = None) -> None:
        """Drop what is inside and wake both sides with :class:`ChannelAborted`; the first error is kept."""
        with self._condition:
            if not self._aborted:
                self._aborted, self._error = True, error
                self._items.clear()
            self._condition.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Receive until the channel is closed and empty.

        Raises:
            ChannelAborted: the channel was aborted.
        """
        while True:
            with self._condition:
                start = time.perf_counter()
                while not self._items and not self._closed and not self._aborted:
                    self._condition.wait()
                self.receive_wait_seconds += time.perf_counter() - start
                self._raise_if_aborted()
                if not self._items:
                    return
                item = self._items.popleft()
                self._condition.notify_all()
            yield item

    def _raise_if_aborted(self) -> None:
        if self._aborted:
            raise ChannelAborted from self._error
