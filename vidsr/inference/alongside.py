"""One call at a time alongside the caller, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

import torch

T = TypeVar("T")

_LOCK = threading.Lock()


class Alongside(Generic[T]):
    """Runs calls in the order in which they are started, at most one at a time.

    In the thread PyTorch uses one core: the others are busy with the network, and two teams of threads that wait for
    each other on the same cores are slower than one. A context manager; when it exits, the thread has ended, and an
    error that was never collected is dropped.

    Args:
        threaded: whether there is a thread; without one, each call runs when it is started.
    """

    def __init__(self, threaded: bool) -> None:
        self.is_threaded = threaded
        self._pool: ThreadPoolExecutor | None = None
        self._running: Future[T] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    @property
    def is_busy(self) -> bool:
        """Whether a call was started whose result has not been taken."""
        return self._running is not None

    def start(self, call: Callable[[], T]) -> None:
        """Start a call; the result of the previous one must have been taken.

        Raises:
            Exception: without a thread, what the call raises.
        """
        assert self._running is None
        if self.is_threaded:
            self._running = self._thread().submit(call)
        else:
            self._running = Future()
            self._running.set_result(call())

    def result(self) -> T:
        """Wait for the call that was started, and give its result.

        Raises:
            Exception: what the call raised.
        """
        assert self._running is not None
        running, self._running = self._running, None
        return running.result()

    def _thread(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="vidsr-finish")
            with _LOCK:
                threads = torch.get_num_threads()
                self._pool.submit(_take_one_core).result()
                # That also set the default of threads that have not computed yet: restore it.
                torch.set_num_threads(threads)
        return self._pool


def _take_one_core() -> None:
    torch.get_num_threads()  # a thread takes its number at its first use; later that would undo what is set here
    torch.set_num_threads(1)
