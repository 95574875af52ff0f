"""``start_job``: events, cancelling, waiting, and that nothing runs on after the block."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle
from tests.support.clips import ClipFactory
from vidsr import Event, InputError, Interrupted, JobHandle, OptionsError, enhance, start_job


def options(model: Path) -> dict[str, Any]:
    return {"model": str(model), "scale": 2, "segment_frames": 6, "device": "cpu"}


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("vidsr")]


def test_events_then_the_result(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    with start_job(clips("basic"), tmp_path / "out.mkv", **options(tiny_model)) as job:
        kinds = [event.kind for event in job]
        result = job.result()
    assert kinds.count("segment") == 4 and kinds[-1] == "done" and "frame" in kinds
    assert (result.frames, result.output) == (24, tmp_path / "out.mkv")
    assert job.done and list(job) == [] and threads() == []


@pytest.mark.usefixtures("one_segment_at_a_time")
def test_cancel_and_resume(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    with start_job(clips("basic"), output, **options(tiny_model)) as job:
        for event in job:
            if event.kind == "segment":
                job.cancel(finish_segment=True)
        with pytest.raises(Interrupted, match="of 4 segments are done"):
            job.result()
    assert not output.exists()
    again = start_job(clips("basic"), output, **options(tiny_model)).result()
    assert 6 <= again.resumed_frames < 24
    whole = enhance(clips("basic"), tmp_path / "whole.mkv", **options(tiny_model))
    assert oracle.digest(output) == oracle.digest(whole.output)


def test_leaving_the_block_early_cancels(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    with start_job(clips("basic"), tmp_path / "out.mkv", **options(tiny_model)) as job:
        next(iter(job))
    assert job.done and threads() == []
    with pytest.raises(Interrupted):
        job.result()


def test_errors_come_from_the_result(tmp_path: Path) -> None:
    job = start_job(tmp_path / "absent.mp4")
    assert job.wait(60)
    with pytest.raises(InputError, match="does not exist"):
        job.result()
    with pytest.raises(OptionsError, match="--scale 99"):
        start_job(tmp_path / "absent.mp4", scale=99)


def test_unread_frame_events_are_merged_and_others_kept() -> None:
    go = threading.Event()

    def work(progress: Any, stop: Any) -> Any:
        for number in range(1000):
            progress(Event(kind="frame", frames=number))
        progress(Event(kind="note", text="n"))
        progress(Event(kind="frame", frames=1000))
        go.wait(60)
        raise InputError("made up")

    job = JobHandle(work)
    with pytest.raises(TimeoutError, match="still running"):
        job.result(timeout=0.2)
    go.set()
    assert [(e.kind, e.frames) for e in job] == [("frame", 999), ("note", 0), ("frame", 1000)]
    with pytest.raises(InputError):
        job.result()
