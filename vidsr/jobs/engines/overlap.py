"""Two segments at a time in one worker: the second begins when the first is decoded, so that no device waits between
them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vidsr.errors import Interrupted
from vidsr.jobs.messages import Dropped, Failed, Made, News, Order, Progressed, Read, Remark, SendNews
from vidsr.jobs.segment_worker import Listener, SegmentWorker


class Load:
    """What one worker has in progress: at most two segments, the second from when the first is decoded."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self._read: set[int] = set()
        self._alone = False

    def busy(self) -> bool:
        """Whether any order is in progress."""
        return bool(self.orders)

    def has_room(self) -> bool:
        """Whether the worker would begin another order at once."""
        return not self.orders or (len(self.orders) < 2 and not self._alone and self._read.issuperset(self.orders))

    def take(self, order: Order, *, alone: bool = False) -> None:
        """An order is handed to the worker; with ``alone`` no other joins it."""
        self.orders[order.segment.number] = order
        self._alone = alone

    def follow(self, news: News) -> None:
        """Note what the worker reports about its orders."""
        if isinstance(news, Read):
            self._read.add(news.number)
        elif isinstance(news, Made | Failed | Dropped):
            self.remove(news.number)

    def remove(self, number: int) -> None:
        """The worker does not have this segment any more."""
        self.orders.pop(number, None)
        self._read.discard(number)

    def clear(self) -> list[Order]:
        """Remove all orders; they are returned, the oldest first."""
        orders = list(self.orders.values())
        for order in orders:
            self.remove(order.segment.number)
        return orders


class Overlapped:
    """Segments made by one worker, each in a thread of its own.

    ``report`` gets the news in the threads of the segments. A segment whose network has not begun when ``stopping``
    becomes true is dropped.
    """

    def __init__(self, worker: SegmentWorker, report: SendNews, stopping: Callable[[], bool]) -> None:
        self._worker = worker
        self._report = report
        self._stopping = stopping
        self._halt = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, order: Order) -> None:
        """Start to make a segment."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._make, args=(order,), name=f"vidsr-segment-{order.segment.number}")
        self._threads.append(thread)
        thread.start()

    def end(self) -> None:
        """Drop what is in progress, and wait until it has ended."""
        self._halt.set()
        for thread in self._threads:
            thread.join()

    def _make(self, order: Order) -> None:
        try:
            news = make(self._worker, order, self._halt, self._report, may_begin=lambda: not self._stopping())
        except BaseException as error:  # whoever waits for this segment must not wait for ever
            news = Failed.of(order.segment.number, error)
        self._report(news)


def make(
    worker: SegmentWorker,
    order: Order,
    stop: threading.Event,
    report: SendNews,
    *,
    may_begin: Callable[[], bool] = lambda: True,
) -> Made | Failed | Dropped:
    """Let a worker make one segment; its progress and remarks go to ``report``.

    It is dropped if ``stop`` is set, or if ``may_begin`` is false when the network is about to begin.
    """
    number = order.segment.number
    last = 0.0

    def on_frames(frames: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.1 or frames == order.segment.frames:
            last = now
            report(Progressed(number=number, frames=frames))

    listener = Listener(
        on_frames=on_frames,
        remark=lambda text: report(Remark(text=text)),
        on_read=lambda: report(Read(number=number)),
        may_begin=may_begin,
    )
    try:
        return Made(number=number, finished=worker.make(order, listener, stop))
    except Interrupted:
        return Dropped(number=number)
    except Exception as error:
        return Failed.of(number, error)
