"""One segment through three threads: decode → channel → inference → channel → encode.

The caller's thread encodes (it owns the output file); decoding and inference run in threads of their own. An
error in any of the three stops the others and is raised in the caller, once, after both threads have ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from vidsr.errors import Interrupted
from vidsr.frames import Frame
from vidsr.pipeline.channel import Channel, ChannelAborted

#: Frames that each channel may hold. Enough to keep a batch ready on either side, little enough for 4K.
CHANNEL_FRAMES = 8


class Upscale(Protocol):
    """Frames in, exactly as many frames out, in the same order, with the same pts and index.

    An iterator transformer: batching, double buffering and temporal state live inside it.
    """

    def __call__(self, frames: Iterator[Frame], /) -> Iterator[Frame]: ...


class Sink(Protocol):
    """Where finished frames go, in order; an encoder."""

    def write(self, frame: Frame, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStats:
    """Where the time of a segment went, in seconds; the frame count is the number written.

    ``decode``, ``infer`` and ``encode`` are the times the stages worked; the waits name the stage waited for.
    """

    frames: int = 0
    wall_seconds: float = 0.0
    decode_seconds: float = 0.0
    decode_wait_seconds: float = 0.0
    infer_seconds: float = 0.0
    infer_wait_input_seconds: float = 0.0
    infer_wait_output_seconds: float = 0.0
    encode_seconds: float = 0.0
    encode_wait_seconds: float = 0.0

    def __add__(self, other: SegmentStats) -> SegmentStats:
        """Sum of every figure, for a job of several segments."""
        names = SegmentStats.__dataclass_fields__
        return SegmentStats(**{name: getattr(self, name) + getattr(other, name) for name in names})


def run_segment(
    frames: Iterable[Frame],
    upscale: Upscale,
    sink: Sink,
    *,
    on_frame: Callable[[Frame], None] | None = None,
    stop: threading.Event | None = None,
    capacity: int = CHANNEL_FRAMES,
) -> SegmentStats:
    """Carry every frame through ``upscale`` into ``sink``.

    ``on_frame`` is called in the caller's thread after each frame is written. ``stop`` ends the work early.

    Raises:
        Interrupted: ``stop`` was set.
        Exception: whatever a stage raised first; the other stages have ended by then.
    """
    decoded: Channel[Frame] = Channel(capacity)
    upscaled: Channel[Frame] = Channel(capacity)
    failure = _FirstError(decoded, upscaled)
    begin = time.perf_counter()
    threads = [
        threading.Thread(target=_pump, args=(iter(frames), decoded, failure), name="vidsr-decode"),
        threading.Thread(target=_infer, args=(upscale, decoded, upscaled, failure), name="vidsr-infer"),
    ]
    for thread in threads:
        thread.start()
    written, encode_seconds, last = 0, 0.0, begin
    try:
        for frame in upscaled:
            if stop is not None and stop.is_set():
                raise Interrupted("stopped on request")
            start = time.perf_counter()
            sink.write(frame)
            last = time.perf_counter()
            encode_seconds += last - start
            written += 1
            if on_frame is not None:
                on_frame(frame)
    except ChannelAborted:
        pass  # another stage failed first; its error is raised below
    except BaseException as error:
        failure.report(error)
    finally:
        decoded.abort()
        upscaled.abort()
        for thread in threads:
            thread.join()
    failure.raise_first()
    wall = time.perf_counter() - begin
    return _stats(written, wall, encode_seconds, decoded, upscaled, failure)


class _FirstError:
    """The first error of any stage, and the switch that stops the others; also the stages' end times."""

    def __init__(self, *channels: Channel[Any]) -> None:
        self.seconds: dict[str, float] = {}
        self._channels = channels
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def report(self, error: BaseException) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
        for channel in self._channels:
            channel.abort(error)

    def raise_first(self) -> None:
        if self._error is not None:
            raise self._error


def _pump(frames: Iterator[Frame], out: Channel[Frame], failure: _FirstError) -> None:
    """Thread body: decode into ``out``."""
    begin = time.perf_counter()
    try:
        for frame in frames:
            out.send(frame)
        out.close()
    except ChannelAborted:
        pass
    except BaseException as error:
        failure.report(error)
    finally:
        _close_iterator(frames, failure)
        failure.seconds["decode"] = time.perf_counter() - begin


def _infer(upscale: Upscale, source: Channel[Frame], out: Channel[Frame], failure: _FirstError) -> None:
    """Thread body: run ``upscale`` between the two channels."""
    begin = time.perf_counter()
    results: Iterator[Frame] | None = None
    try:
        results = upscale(iter(source))
        for frame in results:
            out.send(frame)
        out.close()
    except ChannelAborted:
        pass
    except BaseException as error:
        failure.report(error)
    finally:
        if results is not None:
            _close_iterator(results, failure)
        failure.seconds["infer"] = time.perf_counter() - begin


def _close_iterator(items: Iterator[Frame], failure: _FirstError) -> None:
    """End a generator in the thread that ran it, so that it frees its decoder or device memory there."""
    close = getattr(items, "close", None)
    if close is not None:
        try:
            close()
        except ChannelAborted:
            pass
        except BaseException as error:
            failure.report(error)


def _stats(
    written: int,
    wall: float,
    encode_seconds: float,
    decoded: Channel[Frame],
    upscaled: Channel[Frame],
    failure: _FirstError,
) -> SegmentStats:
    infer_waits = decoded.receive_wait_seconds + upscaled.send_wait_seconds
    return SegmentStats(
        frames=written,
        wall_seconds=wall,
        decode_seconds=failure.seconds["decode"] - decoded.send_wait_seconds,
        decode_wait_seconds=decoded.send_wait_seconds,
        infer_seconds=failure.seconds["infer"] - infer_waits,
        infer_wait_input_seconds=decoded.receive_wait_seconds,
        infer_wait_output_seconds=upscaled.send_wait_seconds,
        encode_seconds=encode_seconds,
        encode_wait_seconds=upscaled.receive_wait_seconds,
    )
