"""The ladder of fallbacks of a segment that fails; and where two segments meet: order of events, memory, leftovers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import oracle
from tests.support.clips import ClipFactory, picture
from tests.support.cuda_simulation import CudaSimulation
from tests.support.processes import open_files
from tests.support.small_job import SmallJob
from vidsr import Event, enhance
from vidsr.errors import DeviceMemoryError, EncodeError, InferenceError, Interrupted
from vidsr.filters.after.propagation import Propagation
from vidsr.frames import Frame
from vidsr.inference.backends import cuda_backend
from vidsr.inference.backends.cuda_backend import CudaBackend
from vidsr.inference.forms import cuda_graphs
from vidsr.jobs import segment_worker
from vidsr.jobs.engines.overlap import Load
from vidsr.jobs.messages import Read
from vidsr.jobs.recipe.recipe_run import RecipeRun
from vidsr.jobs.segment_worker import ALONE, FALLBACK_TILE_PX, RUNGS, SegmentWorker, next_rung, on_rung
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.manifest import Manifest
from vidsr.jobs.state.segments import Segment
from vidsr.media.encode.encoder import SegmentEncoder
from vidsr.options.enhance_options import ModelOptions
from vidsr.pipeline.segment import run_segment

#: Far longer than any of these jobs takes.
LONG_SECONDS = 120.0


@pytest.mark.parametrize(
    ("asked", "rungs"),
    [
        ({}, [1, 2, 3]),
        ({"batch": 1}, [2, 3]),
        ({"batch": 1, "tile": FALLBACK_TILE_PX}, [3]),
        ({"batch": 4, "tile": 64}, [1, 3]),
        ({"batch": 1, "tile": 64, "precision": "fp32"}, []),
    ],
)
def test_only_rungs_that_change_something_are_tried(asked: dict[str, Any], rungs: list[int]) -> None:
    options = ModelOptions(**asked)
    tried = [next_rung(options, 0)]
    while tried[-1] < len(RUNGS):
        tried.append(next_rung(options, tried[-1]))
    assert tried == [*rungs, len(RUNGS)]


def test_what_each_rung_computes_with() -> None:
    options = ModelOptions(batch=4, tile=512, precision="fp16", compile=True)
    found = [(o.batch, o.tile, o.precision, o.compile) for o in (on_rung(options, rung) for rung in range(len(RUNGS)))]
    ladder = [(4, 512, "fp16", True), (1, 512, "fp16", True), (1, 128, "fp16", True), (1, 128, "fp32", False)]
    assert found == [*ladder, (1, 512, "fp16", True)]
    assert next_rung(options, 3, windows=True) == ALONE and next_rung(options, ALONE, windows=True) == len(RUNGS)


def test_without_memory_for_windows_the_frames_are_enlarged_alone(
    clips: ClipFactory, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips.make("alone.mkv", *picture("32x24", seconds=0.5), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    flat: dict[str, Any] = {"model": str(tiny_model), "codec": "ffv1", "scale": 4, "segment_frames": 6}

    def lacking(*_: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    plain = enhance(source, tmp_path / "plain.mkv", **flat)
    with monkeypatch.context() as patch:
        patch.setattr(Propagation, "through", lacking)
        made = enhance(source, tmp_path / "made.mkv", multiframe=0.5, **flat)
    assert oracle.digest(made.output) == oracle.digest(plain.output)
    assert made.neighbours == ((0, 12, "out of memory"),)
    assert any(RUNGS[ALONE] in note for note in made.notes)


class Journal:
    """What the stages of a job did, in order: ("read", 0, "begin")…"""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, int, str]] = []
        self.first_read = {number: threading.Event() for number in range(4)}
        journal, frames, upscale = self, RecipeRun.frames, RecipeRun.upscale

        def reading(run: RecipeRun, segment: Segment, watch: Any = None, changes: Any = None) -> Iterator[Frame]:
            journal.events.append(("read", segment.number, "begin"))
            for frame in frames(run, segment, watch, changes):
                journal.first_read[segment.number].set()
                yield frame
            journal.events.append(("read", segment.number, "end"))

        def enlarging(run: RecipeRun, segment: Segment, upscaler: Any = None, format: Any = None) -> Any:
            def results(given: Iterator[Frame]) -> Iterator[Frame]:
                journal.events.append(("network", segment.number, "begin"))
                yield from upscale(run, segment, upscaler, format)(given)
                journal.events.append(("network", segment.number, "end"))

            return results

        monkeypatch.setattr(RecipeRun, "frames", reading)
        monkeypatch.setattr(RecipeRun, "upscale", enlarging)

    def of(self, stage: str) -> list[tuple[int, str]]:
        return [(number, moment) for what, number, moment in list(self.events) if what == stage]


def test_the_next_segment_is_read_while_the_last_frame_is_encoded(
    small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, write, seen = Journal(monkeypatch), SegmentEncoder.write, []

    def waiting(encoder: SegmentEncoder, frame: Frame) -> None:
        if frame.index % 6 == 5 and frame.index < 18:  # the last of a segment
            seen.append(journal.first_read[frame.index // 6 + 1].wait(LONG_SECONDS))
        write(encoder, frame)

    monkeypatch.setattr(SegmentEncoder, "write", waiting)
    small_job.run()
    assert seen == [True] * 3, "no frame of the next segment was read before the last one was encoded"
    one_after_the_other = [(number, moment) for number in range(4) for moment in ("begin", "end")]
    assert journal.of("read") == journal.of("network") == one_after_the_other, "a stage never works on two"
    small_job.check()


def test_what_the_network_freed_is_given_back_before_the_next_segment(
    small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each segment has threads of its own, which cannot use what the threads of another freed."""
    journal = Journal(monkeypatch)
    given = ("memory", -1, "given back")
    monkeypatch.setattr(segment_worker, "give_back_free_memory", lambda: journal.events.append(given))
    small_job.run()
    stages = [event for event in journal.events if event[0] != "read"]
    assert stages == [s for n in range(4) for s in (("network", n, "begin"), ("network", n, "end"), given)]


def test_a_stop_drops_what_is_only_read_ahead(small_job: SmallJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network still works on the first segment when the second is read; then the user stops."""
    stop, real = Stop(), Load.follow

    def follow(load: Load, news: Any) -> None:
        real(load, news)
        if isinstance(news, Read) and news.number == 1:
            stop.soft.set()

    monkeypatch.setattr(Load, "follow", follow)
    journal, held = Journal(monkeypatch), SegmentEncoder.write

    def slow(encoder: SegmentEncoder, frame: Frame) -> None:
        if frame.index == 0 and threading.current_thread() is not threading.main_thread():  # where the preflight runs
            stop.soft.wait(LONG_SECONDS)
        held(encoder, frame)

    monkeypatch.setattr(SegmentEncoder, "write", slow)
    with pytest.raises(Interrupted):
        small_job.run(stop=stop)
    begun = [number for number, moment in journal.of("network") if moment == "begin"]
    done = sorted(Manifest.load(small_job.job).finished)
    assert done == begun, "what was begun was finished, and nothing else"
    assert 3 not in done
    assert not [p for p in (small_job.job / "segments").iterdir() if p.suffix != ".nut"], "half a segment was left"
    small_job.run()
    small_job.check()


def test_a_hard_stop_with_two_in_work_leaves_nothing_half_done(
    small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, journal, write = Stop(), Journal(monkeypatch), SegmentEncoder.write

    def stopping(encoder: SegmentEncoder, frame: Frame) -> None:
        if frame.index == 5:
            assert journal.first_read[1].wait(LONG_SECONDS)
            stop.now()
        write(encoder, frame)

    before = set(threading.enumerate())
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match=r"[01] of 4 segments are done"):
        patch.setattr(SegmentEncoder, "write", stopping)
        small_job.run(stop=stop)
    assert set(threading.enumerate()) == before, "a thread was left behind"
    assert not [p for p in (small_job.job / "segments").iterdir() if p.suffix != ".nut"]
    small_job.run()
    small_job.check()


def test_two_segments_that_begin_at_once_do_not_wait_for_each_other(
    small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when both are tried again: the first has the turn at reading, and the second asks for the network first."""
    read, enlarge, has_turn = SegmentWorker._read, SegmentWorker._enlarge, threading.Event()

    def reading(worker: SegmentWorker, attempt: Any) -> Iterator[Frame]:
        assert attempt.segment.number == 0 or has_turn.wait(LONG_SECONDS)
        for frame in read(worker, attempt):
            has_turn.set()
            yield frame

    def enlarging(worker: SegmentWorker, attempt: Any, frames: Iterator[Frame]) -> Iterator[Frame]:
        if attempt.segment.number == 0:
            time.sleep(0.3)
        yield from enlarge(worker, attempt, frames)

    monkeypatch.setattr(SegmentWorker, "_read", reading)
    monkeypatch.setattr(SegmentWorker, "_enlarge", enlarging)
    monkeypatch.setattr(Load, "has_room", lambda load: len(load.orders) < 2)
    few = partial(run_segment, capacity=2)  # fewer frames than a segment has
    monkeypatch.setattr(segment_worker, "run_segment", few)
    stop = Stop()
    timer = threading.Timer(LONG_SECONDS, stop.now)
    timer.start()
    try:
        small_job.run(stop=stop)
    finally:
        timer.cancel()
    small_job.check()


def test_an_error_while_the_next_segment_is_in_progress_loses_nothing_else(
    small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, write = Journal(monkeypatch), SegmentEncoder.write

    def failing(encoder: SegmentEncoder, frame: Frame) -> None:
        if frame.index == 5:
            assert journal.first_read[1].wait(LONG_SECONDS)
            raise EncodeError("the encoder fell over")
        write(encoder, frame)

    with monkeypatch.context() as patch, pytest.raises(EncodeError, match="segment 0, frames 0 to 5"):
        patch.setattr(SegmentEncoder, "write", failing)
        small_job.run()
    assert 0 not in Manifest.load(small_job.job).finished
    small_job.run()
    small_job.check()


@pytest.mark.long
def test_a_lack_of_memory_is_remembered_and_the_failed_network_is_freed(
    clips: ClipFactory, tiny_model: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clips.make(
        "six.mkv", *picture("32x24", seconds=0.25, extra=",noise=alls=40:allf=t"), "-c:v", "ffv1", "-pix_fmt", "yuv420p"
    )
    out = tmp_path / "out.mkv"
    flat: dict[str, Any] = {"scale": 4, "segment_frames": 3, "fidelity": 0, "batch": 3, "keep_segments": True}
    monkeypatch.setattr(cuda_graphs, "_failed", False)
    monkeypatch.setattr(cuda_backend, "compiled_forms", lambda *given, asked: {})  # no process to try them in
    attempts: list[int] = []
    left: list[int] = []
    run, init = CudaBackend.__call__, CudaBackend.__init__

    def failing(backend: CudaBackend, rgb: Tensor) -> Tensor:
        kept = rgb * 2  # noqa: F841 - held by the traceback of the error
        attempts.append(len(rgb))
        if len(rgb) > 1:
            raise DeviceMemoryError("out of memory on cuda:0")
        return run(backend, rgb)

    with CudaSimulation() as cuda:

        def counted(backend: CudaBackend, *args: Any, **kwargs: Any) -> None:
            left.append(cuda.live_bytes[torch.device("cuda:0")])
            init(backend, *args, **kwargs)

        monkeypatch.setattr(CudaBackend, "__call__", failing)
        monkeypatch.setattr(CudaBackend, "__init__", counted)
        enhance(source, out, model=str(tiny_model), device="cuda", **flat)
    assert [count for count in attempts if count > 1] == [3], "rung 0 was tried in one segment only"
    fallbacks = {n: f.fallback for n, f in Manifest.load(job_folders.job_folder(out)).finished.items()}
    assert set(fallbacks.values()) == {RUNGS[1]}
    assert left[0] == 0 and len(left) == 2
    # Neither a picture nor the weights (30 kB) of the failed attempt are left when the next network is loaded: only
    # constants, a matrix of nine numbers for example.
    assert left[1] < 200, f"{left[1]} bytes of the failed attempt are left"


def test_after_a_network_failure_the_next_segment_begins_as_asked_for(
    small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a lack of memory concerns the segments that follow: others would be computed in tiles for one bad frame."""
    upscale, failed = RecipeRun.upscale, []

    def failing(run: RecipeRun, segment: Segment, upscaler: Any = None, format: Any = None) -> Any:
        if segment.number == 1 and not failed:
            failed.append(segment.number)
            raise InferenceError("frame 6: the network fell over")
        return upscale(run, segment, upscaler, format)

    monkeypatch.setattr(RecipeRun, "upscale", failing)
    result = small_job.run()
    assert failed == [1]
    assert [note for note in result.notes if "segment" in note] == [f"segment 1 was made {RUNGS[1]}"]


@pytest.mark.parametrize("stopped", [False, True])
def test_the_source_is_closed_when_a_job_ends(
    stopped: bool, clips: ClipFactory, tiny_model: Path, tmp_path: Path
) -> None:
    """Also while the error of a job that was stopped is still held."""
    source = tmp_path / "basic.mp4"
    source.write_bytes(clips("basic").read_bytes())
    stop = Stop()

    def at(event: Event) -> None:
        assert open_files(source) <= 2, "no more decoders than the job's own and the one of its segments"
        if stopped and event.kind == "segment":
            stop.hard.set()

    held = None
    try:
        enhance(source, tmp_path / "out.mkv", model=str(tiny_model), scale=2, segment_frames=4, progress=at, stop=stop)
    except Interrupted as error:
        held = error
    assert (held is not None) == stopped
    assert open_files(source) == 0
