"""What breaks in the middle of the work: killed processes, a full disk, failing segments. The job survives it."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.support import oracle, processes
from tests.support.places import child_environment
from tests.support.small_job import SmallJob
from vidsr import enhance
from vidsr.errors import DiskFullError, InferenceError
from vidsr.inference.backends.backend import TorchBackend
from vidsr.jobs import segment_worker
from vidsr.jobs.segment_worker import RUNGS
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.events import Event
from vidsr.jobs.state.manifest import Manifest

# Where to die, as the name of a function that a job calls just then, and which call of it.
MOMENTS = {
    "the first manifest is written": ("vidsr.jobs.state.manifest", "write_atomically", 1),
    "a manifest is written under another name only": ("vidsr.storage", "os.fsync", "1@manifest.json."),
    "a segment is finished, the manifest does not know yet": ("vidsr.jobs.state.manifest", "write_atomically", 3),
    "a segment is being written": ("vidsr.jobs.segment_worker", "digest", 2),
    "the segments are being joined": ("vidsr.media.mux.assemble", "_mux", 30),
    "the joined file is whole but has no name": ("vidsr.media.mux.assemble", "publish", 1),
    "the result gets its name": ("vidsr.jobs.finish", "os.replace", 1),
    "the result has its name, the folder entry is not synced": ("vidsr.jobs.finish", "sync_folder", 1),
    "the job folder is removed": ("vidsr.jobs.state.job_folders", "shutil.rmtree", 1),
}
DIE = """
import importlib, os, signal, sys
from vidsr import enhance
import vidsr.jobs.run_video, vidsr.jobs.finish, vidsr.jobs.segment_worker

source, model, *rest = sys.argv[1:]
for moment in rest:
    output, module, name, count = moment.split("|")
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else "ended", flush=True)
        continue
    count, _, of_file = count.partition("@")
    left = int(count)
    place = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        place = getattr(place, part)
    real = getattr(place, last)

    def die(*args, **kwargs):
        global left
        left -= not of_file or of_file in os.readlink(f"/proc/self/fd/{args[0]}")
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(place, last, die)
    enhance(source, output, model=model, scale=2, segment_frames=6)
    os._exit(0)
"""


@pytest.mark.long
def test_killed_at_every_delicate_moment(small_job: SmallJob, tmp_path: Path) -> None:
    folders = {name: tmp_path / f"moment{n}" for n, name in enumerate(MOMENTS)}
    arguments = []
    for name, (module, function, count) in MOMENTS.items():
        folders[name].mkdir()
        arguments.append(f"{folders[name] / 'out.mkv'}|{module}|{function}|{count}")
    done = processes.run(
        [sys.executable, "-c", DIE, str(small_job.source), str(small_job.model), *arguments],
        capture_output=True,
        text=True,
        env=child_environment(),
        check=True,
    )
    assert done.stdout.split() == [str(signal.SIGKILL.value)] * len(MOMENTS), done.stderr
    for name, folder in folders.items():
        output = folder / "out.mkv"
        halves = [p.name for p in folder.rglob("*.part")]
        assert any(p.startswith("manifest.json.") for p in halves) == ("another name only" in name), name
        assert any(p.startswith("result.") for p in halves) == ("joined" in name), name
        if name != "the job folder is removed":
            assert output.exists() == ("the result has its name" in name), name
        enhance(
            small_job.source, output, model=str(small_job.model), scale=2, segment_frames=6, overwrite="removed" in name
        )
        assert oracle.digest(output) == small_job.wanted, name
        assert [p.name for p in folder.iterdir()] == ["out.mkv"], name


TWICE = """
import os, sys
import vidsr.jobs.run_video
from vidsr import enhance

children = []
for _ in range(2):
    children.append(os.fork())
    if not children[-1]:
        try:
            enhance(sys.argv[1], sys.argv[2], model=sys.argv[3], scale=2, segment_frames=6)
        except Exception as error:
            print(error, flush=True)
            os._exit(1)
        os._exit(0)
print(sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def test_two_processes_started_at_once(small_job: SmallJob) -> None:
    done = processes.run(
        [sys.executable, "-c", TWICE, str(small_job.source), str(small_job.output), str(small_job.model)],
        capture_output=True,
        text=True,
        env=child_environment(),
        check=True,
    )
    loser, codes = done.stdout.splitlines()
    assert codes == "[0, 1]"
    assert f"{small_job.job} is being worked on by another vidsr (process " in loser
    small_job.check()


COUNT = """
import os, signal, sys
from vidsr import enhance
import vidsr.jobs.run_video, vidsr.jobs.finish, vidsr.jobs.segment_worker as segment_worker

source, output, model, *kills = sys.argv[1:]
real, seen = segment_worker.run_segment, os.open(output + ".seen", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

def job(kill_at):
    # One byte in a file for each frame that goes into the network.
    def run(frames, *args, **kwargs):
        def watched():
            for frame in frames:
                os.write(seen, b".")
                if os.fstat(seen).st_size == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield frame

        return real(watched(), *args, **kwargs)

    segment_worker.run_segment = run
    enhance(source, output, model=model, scale=2, segment_frames=6, overwrite=True)
    os._exit(0)

for kill_at in map(int, kills):
    os.truncate(seen, 0)
    for moment in (kill_at, -1):
        child = os.fork()
        if not child:
            job(moment)
        os.waitpid(child, 0)
    print(os.fstat(seen).st_size, flush=True)
"""


@pytest.mark.long
def test_sigkill_costs_at_most_the_segments_in_work(small_job: SmallJob) -> None:
    moments = [6, 17]
    done = processes.run(
        [
            sys.executable,
            "-c",
            COUNT,
            str(small_job.source),
            str(small_job.output),
            str(small_job.model),
            *map(str, moments),
        ],
        capture_output=True,
        text=True,
        env=child_environment(),
        check=True,
    )
    # What is lost is the segment in progress and what was begun of the next one; a segment has 6 of the 24 frames.
    lost = [int(line) - 24 for line in done.stdout.split()]
    assert all(1 <= frames <= 12 for frames in lost), (moments, lost, done.stderr)
    small_job.output.with_name("out.mkv.seen").unlink()
    small_job.check()


@pytest.mark.parametrize(("share", "stage"), [(0.7, "segments"), (1.3, "assembly")])
def test_a_disk_that_fills_up_stops_the_job_and_space_lets_it_go_on(
    share: float, stage: str, small_job: SmallJob, tmp_path: Path
) -> None:
    flat: dict[str, Any] = {"model": str(small_job.model), "scale": 2, "segment_frames": 6, "codec": "ffv1"}
    enhance(small_job.source, tmp_path / "wanted.mkv", keep_segments=True, **flat)
    files = [p for p in job_folders.job_folder(tmp_path / "wanted.mkv").rglob("*") if p.is_file()]
    pages = sum(-(-p.stat().st_size // 4096) for p in files)
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(small)]
    if shutil.which("mount") is None or processes.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount the small file system that this needs")
    output, ballast = small / "out.mkv", small / "ballast"

    def fill(event: Event) -> None:
        if event.kind == "frame" and not ballast.exists():
            used = sum(-(-p.stat().st_size // 4096) for p in small.rglob("*") if p.is_file())
            ballast.write_bytes(bytes(shutil.disk_usage(small).free - (round(share * pages) - used) * 4096))

    try:
        with pytest.raises(DiskFullError, match="no space"):
            enhance(small_job.source, output, progress=fill, **flat)
        assert not output.exists()
        state = Manifest.load(job_folders.job_folder(output))
        done = len(state.finished)
        assert (state.state, done == 4) == (stage, stage == "assembly")
        ballast.unlink()
        events: list[Event] = []
        enhance(small_job.source, output, progress=events.append, **flat)
        assert f"resuming: {done} of 4 segments done" in [e.text for e in events]
        assert oracle.digest(output) == oracle.digest(tmp_path / "wanted.mkv")
        assert not job_folders.job_folder(output).exists()
    finally:
        processes.run(["umount", small], check=True)


def test_a_disk_that_is_too_small_is_refused_before_the_work(
    small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsr.jobs.disk_space.shutil.disk_usage", lambda _: SimpleNamespace(free=9))
    with pytest.raises(DiskFullError, match=r"too little space\. disk: about .* needed until the end"):
        small_job.run()
    assert [p.name for p in small_job.folder.iterdir()] == ["clip.mp4"]


def failing(number: int, times: int, error: Exception) -> Callable[..., Any]:
    """``run_segment`` that fails on the segment that begins with frame ``number * 6``, so many times."""
    real: Callable[..., Any] = getattr(segment_worker, "run_segment")  # noqa: B009 - imported there, not exported
    left = times

    def run(frames: Any, *args: Any, **kwargs: Any) -> Any:
        def watched() -> Any:
            nonlocal left
            for frame in frames:
                if frame.index == number * 6 and left:
                    left -= 1
                    raise error
                yield frame

        return real(watched(), *args, **kwargs)

    return run


def test_a_failing_segment_is_tried_again_in_other_ways(small_job: SmallJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_worker, "run_segment", failing(1, 2, InferenceError("frame 6: out of memory")))
    result = small_job.run()
    assert "segment 1: frame 6: out of memory; trying again one frame at a time" in small_job.texts("note")
    assert f"segment 1 was made {RUNGS[2]}" in result.notes
    assert len(oracle.frame_pts(small_job.output)) == 24


def test_a_lack_of_memory_that_ends_in_tiles_is_told_once(small_job: SmallJob, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TorchBackend.__call__

    def small(backend: TorchBackend, rgb: Any) -> Any:
        if rgb.shape[-1] > 32:
            raise torch.OutOfMemoryError("CUDA out of memory (made up)")
        return real(backend, rgb)

    monkeypatch.setattr(TorchBackend, "__call__", small)
    result = small_job.run(keep_segments=True, backend="torch")
    assert "4 of 4 segments were made in tiles of 32 px, the first is 0" in result.notes
    assert {f.fallback for f in Manifest.load(small_job.job).finished.values()} == {"in tiles of 32 px"}
    assert len(oracle.frame_pts(small_job.output)) == 24


@pytest.mark.usefixtures("one_segment_at_a_time")
@pytest.mark.parametrize("keep_going", [False, True])
def test_a_hopeless_segment_stops_the_job_resumably(
    keep_going: bool, small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(segment_worker, "run_segment", failing(1, 99, InferenceError("frame 6: out of memory")))
        with pytest.raises(InferenceError) as caught:
            small_job.run(keep_going=keep_going)
    done = 3 if keep_going else 1
    assert f"segment 1, frames 6 to 11: frame 6: out of memory. {done} of 4 segments are done" in str(caught.value)
    assert "vidsr jobs resume" in str(caught.value)
    assert Manifest.load(small_job.job).error is not None
    small_job.run()
    assert len(small_job.made()) == 4 - done
    small_job.check()


def test_a_broken_encoder_gets_one_more_try(small_job: SmallJob, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidsr.errors import EncodeError

    monkeypatch.setattr(segment_worker, "run_segment", failing(2, 1, EncodeError("the encoder fell over")))
    assert small_job.run().notes == small_job.run(overwrite=True).notes
    small_job.check()
