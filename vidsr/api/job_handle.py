"""``start_job``: a job in the background, as a handle to iterate for events, cancel and wait for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self, Unpack

from vidsr.jobs.enhance import enhance
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event, Progress
from vidsr.jobs.state.result import EnhanceResult
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.keywords import EnhanceKeywords, chosen_options


class JobHandle:
    """A job that runs in a thread of its own; made by :func:`start_job`.

    Iterating gives its :class:`~vidsr.Event` objects as they happen and ends when the job does; :meth:`result` then
    returns the result or raises the job's error. Unread events are kept, except that of successive "frame"
    events only the newest is. Leaving a ``with`` block cancels a job that is still running and waits for it to end;
    its finished segments stay, and the same call resumes it.
    """

    def __init__(self, work: Callable[[Progress, Stop], EnhanceResult]) -> None:
        self._stop = Stop()
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._result: EnhanceResult | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, args=(work,), name="vidsr-job")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if not self.done:
            self.cancel()
        self.wait()

    def __iter__(self) -> Iterator[Event]:
        """Events as they happen, until the job has ended. Each event is delivered once, to the first reader."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._ended)
                if not self._events:
                    return
                event = self._events.popleft()
            yield event

    @property
    def done(self) -> bool:
        """Whether the job has ended: finished, failed or cancelled."""
        with self._changed:
            return self._ended

    def cancel(self, *, finish_segment: bool = False) -> None:
        """Ask the job to stop; returns at once. :meth:`result` then raises ``Interrupted``.

        With ``finish_segment`` the segments in progress are completed first; otherwise they are dropped and made again
        when the job is resumed.
        """
        if finish_segment:
            self._stop.soft.set()
        else:
            self._stop.now()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the job has ended, at most ``timeout`` seconds; whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def result(self, timeout: float | None = None) -> EnhanceResult:
        """Wait for the job and return its result.

        Raises:
            TimeoutError: the job is still running after ``timeout`` seconds.
            Interrupted: the job was cancelled.
            VidsrError: the job failed, see :func:`vidsr.enhance`.
        """
        if not self.wait(timeout):
            raise TimeoutError(f"the job is still running after {timeout:g} seconds")
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def _run(self, work: Callable[[Progress, Stop], EnhanceResult]) -> None:
        try:
            self._result = work(self._hear, self._stop)
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _hear(self, event: Event) -> None:
        with self._changed:
            if event.kind == "frame" and self._events and self._events[-1].kind == "frame":
                self._events.pop()
            self._events.append(event)
            self._changed.notify_all()


def start_job(
    source: Path | str,
    output: Path | str | None = None,
    *,
    options: EnhanceOptions | None = None,
    **keywords: Unpack[EnhanceKeywords],
) -> JobHandle:
    """Start :func:`vidsr.enhance` in the background and return a handle to it.

    >>> with start_job("clip.mp4", scale=2) as job:  # doctest: +SKIP
    ...     for event in job:
    ...         print(event.kind, event.frames, event.total_frames)
    ...     print(job.result().output)

    Args:
        source: as for :func:`vidsr.enhance`.
        output: as for :func:`vidsr.enhance`.
        options: all options in one object. Give either this or keywords.
        keywords: single options by name.

    Raises:
        OptionsError: an option is out of range, options contradict each other, or both ``options`` and keywords were
            given. Every other error comes from :meth:`JobHandle.result`.
    """
    chosen = chosen_options(options, keywords)
    return JobHandle(lambda progress, stop: enhance(source, output, options=chosen, progress=progress, stop=stop))
