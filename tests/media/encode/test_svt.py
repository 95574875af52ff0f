"""SVT-AV1 leaves no mark on the process that opens it."""

from __future__ import annotations

import os
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support import processes
from vidsr.media.encode import codec_trial, codecs
from vidsr.media.encode.svt import tamed


def policies() -> set[tuple[int, int]]:
    """(policy, priority) of every thread of this process."""
    threads = [int(folder.name) for folder in Path("/proc/self/task").iterdir()]
    parameters: list[Any] = [os.sched_getparam(thread) for thread in threads]
    return {(os.sched_getscheduler(t), p.sched_priority) for t, p in zip(threads, parameters, strict=True)}


def open_encoder() -> Any:
    encoder: Any = av.CodecContext.create("libsvtav1", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.open()
    return encoder


@pytest.mark.skipif(
    not hasattr(os, "sched_getscheduler") or os.geteuid() != 0, reason="only root gets real-time priority from SVT-AV1"
)
def test_no_thread_gets_real_time_priority() -> None:
    before, untamed = policies(), set()

    def open_untamed() -> None:
        encoder = open_encoder()
        untamed.update(policies())
        del encoder

    # In a thread that ends with it: whoever opens the encoder keeps the priority.
    thread = threading.Thread(target=open_untamed)
    thread.start()
    processes.join(thread)
    assert untamed > before, "this SVT-AV1 takes no priority: vidsr.media.encode.svt need not give it back"
    with tamed():
        encoder = open_encoder()
    assert policies() == before
    del encoder
    assert codec_trial.try_codec("av1").frames == 6
    assert policies() == before
    assert codecs.trouble.__wrapped__("av1") is None
    assert policies() == before
