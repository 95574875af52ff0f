"""Progress as a tqdm bar and plain lines on stderr, or as JSON lines on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from vidsr.errors import Interrupted, VidsrError
from vidsr.jobs.state.events import Event, Progress
from vidsr.storage import readable


class Bar:
    """Draws :class:`~vidsr.jobs.state.events.Event` objects: frames, frames per second, time left.

    Use as a context manager, so that the bar is closed however the work ends.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event.kind == "warning":
            self._line(f"warning: {event.text}")
        elif self._quiet:
            return
        elif event.kind == "note":
            self._line(event.text)
        elif event.kind == "frame":
            self._advance(event)
        elif event.kind == "file" and self._bar is not None:
            self._bar.set_postfix_str(f"{event.files}/{event.total_files} files")
        elif event.kind == "stage" and self._bar is not None:
            self._bar.set_postfix_str(event.text)

    def _line(self, text: str) -> None:
        tqdm.write(f"vidsr: {readable(text)}", file=sys.stderr)

    def _advance(self, event: Event) -> None:
        if self._bar is None:
            # Frames of an earlier run count as done but not towards speed: tqdm's `initial`.
            pace = 0.2 if sys.stderr.isatty() else 10.0  # a log file gets an occasional line, not one per frame
            self._bar = tqdm(
                total=event.total_frames,
                initial=event.resumed_frames,
                unit="frame",
                file=sys.stderr,
                dynamic_ncols=True,
                mininterval=pace,
                maxinterval=max(10.0, 2 * pace),
                smoothing=0.1,
            )
        if event.total_frames != self._bar.total:  # a queue, whose total grows as it finds more
            self._bar.total = event.total_frames
        self._bar.update(event.frames - self._bar.n)


class JsonLines:
    """Prints one JSON object per event on stdout; frame counts at most ten times a second, and always the last one.

    As a context manager it also prints a failure event: ``error`` or ``interrupted``.
    """

    EVERY_SECONDS = 0.1

    def __init__(self) -> None:
        self._last = 0.0
        self._job = ""

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, VidsrError):
            event = "interrupted" if isinstance(error, Interrupted) else "error"
            failure = {"event": event, "job": self._job, "kind": type(error).__name__, "text": str(error)}
            print(json.dumps(failure), flush=True)

    def __call__(self, event: Event) -> None:
        """Print one event."""
        now = time.monotonic()
        if event.kind == "frame":
            if now - self._last < self.EVERY_SECONDS and event.frames < event.total_frames:
                return
            self._last = now
        self._job = event.job
        print(json.dumps(event.to_json()), flush=True)


@contextmanager
def reporter(style: str) -> Iterator[Progress]:
    """Where events go for ``--progress``: "bar", "json", or "none", which still shows warnings."""
    if style == "json":
        with JsonLines() as lines:
            yield lines
        return
    with Bar(quiet=style == "none") as bar:
        yield bar
