"""The three threads: every frame once and in order, errors from each stage, flat memory, no thread left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from vidsr.errors import Interrupted
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.pipeline.segment import SegmentStats, run_segment

GREY = PixelFormat("gray", "gray", 8)


def source(count: int) -> Iterator[Frame]:
    for index in range(count):
        plane = np.full((4, 6), index % 256, np.uint8)
        yield Frame(
            planes=(plane,), format=GREY, colour=Colour(), index=index, pts=index * 3, time_base=Fraction(1, 72)
        )


def nearest(frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        yield replace(frame, planes=tuple(p.repeat(2, 0).repeat(2, 1) for p in frame.planes))


class Collect:
    def __init__(self, delay_seconds: float = 0.0) -> None:
        self.frames: list[Frame] = []
        self.delay_seconds = delay_seconds

    def write(self, frame: Frame) -> None:
        time.sleep(self.delay_seconds)
        self.frames.append(frame)


def pipeline_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("vidsr-")]


def test_every_frame_arrives_once_in_order_and_enlarged() -> None:
    sink = Collect()
    seen: list[int] = []
    stats = run_segment(source(50), nearest, sink, on_frame=lambda f: seen.append(f.index))
    assert [f.index for f in sink.frames] == list(range(50)) == seen
    assert [f.pts for f in sink.frames] == [3 * i for i in range(50)]
    assert all(f.planes[0].shape == (8, 12) and (f.planes[0] == f.index % 256).all() for f in sink.frames)
    assert stats.frames == 50
    assert not pipeline_threads()


def test_no_frames_is_no_error() -> None:
    assert run_segment(source(0), nearest, Collect()).frames == 0


@pytest.mark.parametrize("stage", ["decode", "infer", "encode"])
def test_an_error_in_any_stage_is_raised_once_and_ends_the_others(stage: str) -> None:
    class BoomError(Exception):
        pass

    def bad_source() -> Iterator[Frame]:
        yield from source(20)
        raise BoomError

    def bad_upscale(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in nearest(frames):
            if frame.index == 20:
                raise BoomError
            yield frame

    class BadSink(Collect):
        def write(self, frame: Frame) -> None:
            if frame.index == 20:
                raise BoomError
            super().write(frame)

    frames = bad_source() if stage == "decode" else source(500)
    upscale = bad_upscale if stage == "infer" else nearest
    sink = BadSink() if stage == "encode" else Collect()
    with pytest.raises(BoomError):
        run_segment(frames, upscale, sink)
    assert not pipeline_threads()


@pytest.mark.parametrize("slow", ["decode", "infer", "encode"])
def test_the_number_of_frames_in_flight_is_bounded_whichever_stage_is_slow(slow: str) -> None:
    born, written, most = [0], [0], [0]

    def counted() -> Iterator[Frame]:
        for frame in source(60):
            born[0] += 1
            most[0] = max(most[0], born[0] - written[0])
            time.sleep(0.002 * (slow == "decode"))
            yield frame

    def upscale(frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in nearest(frames):
            time.sleep(0.002 * (slow == "infer"))
            yield frame

    class Count(Collect):
        def write(self, frame: Frame) -> None:
            time.sleep(0.002 * (slow == "encode"))
            written[0] += 1

    run_segment(counted(), upscale, Count(), capacity=3)
    assert written[0] == 60
    assert most[0] <= 2 * 3 + 3  # two channels, and one frame in the hands of each stage


def test_stop_ends_early_and_says_so() -> None:
    stop = threading.Event()
    sink = Collect()
    with pytest.raises(Interrupted):
        run_segment(source(1000), nearest, sink, on_frame=lambda f: stop.set() if f.index == 5 else None, stop=stop)
    assert len(sink.frames) == 6
    assert not pipeline_threads()


def test_the_times_name_the_slow_stage() -> None:
    stats = run_segment(source(20), nearest, Collect(delay_seconds=0.005), capacity=2)
    assert stats.encode_seconds > stats.infer_seconds
    assert stats.infer_wait_output_seconds > stats.infer_wait_input_seconds


def test_stats_add_up() -> None:
    total = SegmentStats(frames=2, decode_seconds=1.0) + SegmentStats(frames=3, decode_seconds=0.5)
    assert (total.frames, total.decode_seconds) == (5, 1.5)
