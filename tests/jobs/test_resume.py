"""Stopping and going on: whatever ends a job, the same call finishes it, and the file is the same to the byte."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import oracle
from tests.clips import ClipFactory
from vidsr import enhance
from vidsr.errors import DiskFullError, InferenceError, InputError, Interrupted, JobError, VidsrError
from vidsr.jobs import store, work
from vidsr.jobs.lock import JobLock
from vidsr.jobs.manifest import Manifest
from vidsr.jobs.progress import Event
from vidsr.jobs.stop import Stop
from vidsr.jobs.work import RUNGS

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Bench:
    """A copy of the basic clip (24 frames, 4 segments), its undisturbed result, and what was heard of the last run."""

    folder: Path
    model: Path
    wanted: str
    events: list[Event] = field(default_factory=list)

    @property
    def source(self) -> Path:
        return self.folder / "clip.mp4"

    @property
    def output(self) -> Path:
        return self.folder / "out.mkv"

    @property
    def job(self) -> Path:
        return store.job_folder(self.output)

    def run(self, progress: Callable[[Event], None] | None = None, **options: Any) -> Any:
        self.events.clear()

        def hear(event: Event) -> None:
            self.events.append(event)
            if progress is not None:
                progress(event)

        flat = {"model": str(self.model), "scale": 2, "segment_frames": 6, **options}
        return enhance(self.source, self.output, progress=hear, **flat)

    def stop_after(self, segments: int, **options: Any) -> None:
        """Run until so many segments are made, then stop as the first Ctrl-C does."""
        stop = Stop()

        def count(event: Event) -> None:
            if sum(e.kind == "segment" for e in self.events) >= segments:
                stop.soft.set()

        with pytest.raises(Interrupted, match=f"{segments} of 4 segments are done; to go on: vidsr jobs resume"):
            self.run(count, stop=stop, **options)
        assert not self.output.exists()

    def made(self) -> list[int | None]:
        return sorted(e.segment for e in self.events if e.kind == "segment" and e.segment is not None)

    def texts(self, kind: str) -> str:
        return "\n".join(e.text for e in self.events if e.kind == kind)

    def check(self) -> None:
        """The result is right, and nothing else is left."""
        assert oracle.digest(self.output) == self.wanted
        assert sorted(p.name for p in self.folder.iterdir()) == ["clip.mp4", "out.mkv"]


@pytest.fixture(scope="module")
def wanted(clips: ClipFactory, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("wanted") / "out.mkv"
    enhance(clips("basic"), out, model=str(tiny_model), scale=2, segment_frames=6)
    return oracle.digest(out)


@pytest.fixture
def bench(clips: ClipFactory, tiny_model: Path, wanted: str, tmp_path: Path) -> Bench:
    shutil.copy2(clips("basic"), tmp_path / "clip.mp4")
    return Bench(tmp_path, tiny_model, wanted)


def test_a_stopped_job_goes_on_by_itself_and_does_nothing_twice(bench: Bench) -> None:
    bench.stop_after(2)
    assert bench.made() == [0, 1]
    bench.run()
    assert "resuming: 2 of 4 segments done" in bench.texts("note")
    assert bench.made() == [2, 3]
    first = next(e for e in bench.events if e.kind == "frame")
    assert (first.frames, first.resumed_frames, first.total_frames) == (12, 12, 24)
    assert first.seconds_left is not None and first.seconds_left > 0
    bench.check()


def test_damaged_and_missing_segments_are_done_again(bench: Bench) -> None:
    bench.stop_after(3)
    segments = sorted((bench.job / "segments").iterdir())
    segments[0].write_bytes(segments[0].read_bytes()[:-1] + b"?")
    segments[1].unlink()
    bench.run()
    assert "segments damaged or missing, they are done again: 0, 1" in bench.texts("warning")
    assert bench.made() == [0, 1, 3]
    bench.check()


def replace_source(bench: Bench) -> None:
    data = bench.source.read_bytes()
    bench.source.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def touch_source(bench: Bench) -> None:
    os.utime(bench.source, ns=(1, 10**18))


def replace_model(bench: Bench) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(bench.model)
    name = sorted(tensors)[0]
    tensors[name] = torch.flip(tensors[name], dims=(0,)) + 0.01
    bench.model = bench.folder.parent / f"{bench.folder.name}-other.safetensors"
    save_file(tensors, bench.model)


def edit(before: str, after: str) -> Callable[[Bench], None]:
    def change(bench: Bench) -> None:
        path = bench.job / "manifest.json"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    return change


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (replace_source, {}, r"the source clip\.mp4 \(same size, other content\)"),
        (touch_source, {}, r"the source clip\.mp4 \(modified at another time"),
        (replace_model, {}, r"the weights of .*other\.safetensors"),
        (lambda _: None, {"crf": 30}, r"--crf \(was not given, is 30"),
        (lambda _: None, {"segment_frames": 8}, r"--segment-frames \(was 6, is 8\)"),
        (edit('"vidsr": "', '"vidsr": "0.0.'), {}, "vidsr itself"),
        (edit('"encoder": "libx264', '"encoder": "libx999'), {}, "the encoder"),
    ],
)
def test_what_changed_is_refused_by_name_and_restart_begins_anew(
    change: Callable[[Bench], None], options: dict[str, Any], says: str, bench: Bench
) -> None:
    bench.stop_after(1)
    change(bench)
    with pytest.raises(JobError, match=says) as caught:
        bench.run(**options)
    assert "--restart" in str(caught.value)
    assert not bench.output.exists()
    assert len(list((bench.job / "segments").iterdir())) == 1, "a refusal destroys nothing"
    bench.run(restart=True, **options)
    assert bench.made()[:3] == [0, 1, 2]
    assert len(oracle.frame_pts(bench.output)) == 24


def test_what_does_not_shape_the_result_may_change(bench: Bench) -> None:
    bench.stop_after(1)
    bench.source.rename(bench.folder / "moved.mp4")
    shutil.copy2(bench.folder / "moved.mp4", bench.source)
    (bench.folder / "moved.mp4").unlink()
    bench.run(batch=3, device="cpu", threads=1, keep_going=True)
    assert bench.made() == [1, 2, 3]
    bench.check()


def test_a_source_that_changes_under_the_work_stops_it(bench: Bench) -> None:
    def change(event: Event) -> None:
        if event.kind == "segment":
            os.utime(bench.source, ns=(1, 10**18))

    before = bench.source.stat()
    with pytest.raises(InputError, match="was changed while the job ran"):
        bench.run(change)
    os.utime(bench.source, ns=(before.st_atime_ns, before.st_mtime_ns))
    bench.run()
    assert bench.made() == [1, 2, 3]
    bench.check()


def test_one_process_at_a_time(bench: Bench) -> None:
    bench.stop_after(1)
    with JobLock(bench.job), pytest.raises(JobError, match=f"another vidsr .process {os.getpid()}"):
        bench.run()
    bench.run()
    bench.check()


# Where to die, as the name of a function that a job calls just then, and which call of it.
MOMENTS = {
    "the first manifest is written": ("vidsr.jobs.manifest", "write_atomically", 1),
    "a segment is finished, the manifest does not know yet": ("vidsr.jobs.manifest", "write_atomically", 3),
    "a segment is being written": ("vidsr.jobs.work", "digest", 2),
    "the joined file is whole but has no name": ("vidsr.media.assemble", "publish", 1),
    "the result gets its name": ("vidsr.jobs.finish", "os.replace", 1),
    "the result has its name, the folder entry is not synced": ("vidsr.jobs.finish", "sync_folder", 1),
    "the job folder is removed": ("vidsr.jobs.store", "shutil.rmtree", 1),
}
DIE = """
import importlib, os, signal, sys
from vidsr import enhance
import vidsr.jobs.runner, vidsr.jobs.finish, vidsr.jobs.work

source, model, *rest = sys.argv[1:]
for moment in rest:
    output, module, name, count = moment.split("|")
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else "ended", flush=True)
        continue
    left = int(count)
    place = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        place = getattr(place, part)
    real = getattr(place, last)

    def die(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(place, last, die)
    enhance(source, output, model=model, scale=2, segment_frames=6)
    os._exit(0)
"""


def test_killed_at_every_delicate_moment(bench: Bench, tmp_path: Path) -> None:
    folders = {name: tmp_path / f"moment{n}" for n, name in enumerate(MOMENTS)}
    arguments = []
    for name, (module, function, count) in MOMENTS.items():
        folders[name].mkdir()
        arguments.append(f"{folders[name] / 'out.mkv'}|{module}|{function}|{count}")
    done = subprocess.run(
        [sys.executable, "-c", DIE, str(bench.source), str(bench.model), *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=True,
    )
    assert done.stdout.split() == [str(signal.SIGKILL.value)] * len(MOMENTS), done.stderr
    for name, folder in folders.items():
        output = folder / "out.mkv"
        if name != "the job folder is removed":
            assert output.exists() == ("the result has its name" in name), name
        enhance(bench.source, output, model=str(bench.model), scale=2, segment_frames=6, overwrite="removed" in name)
        assert oracle.digest(output) == bench.wanted, name
        assert [p.name for p in folder.iterdir()] == ["out.mkv"], name


@pytest.mark.parametrize(("share", "stage"), [(0.7, "segments"), (1.3, "assembly")])
def test_a_disk_that_fills_up_stops_the_job_and_space_lets_it_go_on(
    share: float, stage: str, bench: Bench, tmp_path: Path
) -> None:
    flat: dict[str, Any] = {"model": str(bench.model), "scale": 2, "segment_frames": 6, "codec": "ffv1"}
    enhance(bench.source, tmp_path / "wanted.mkv", keep_segments=True, **flat)
    files = [p for p in store.job_folder(tmp_path / "wanted.mkv").rglob("*") if p.is_file()]
    pages = sum(-(-p.stat().st_size // 4096) for p in files)
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount the small file system that this needs")
    output, ballast = small / "out.mkv", small / "ballast"

    def fill(event: Event) -> None:
        if event.kind == "frame" and not ballast.exists():
            used = sum(-(-p.stat().st_size // 4096) for p in small.rglob("*") if p.is_file())
            ballast.write_bytes(bytes(shutil.disk_usage(small).free - (round(share * pages) - used) * 4096))

    try:
        with pytest.raises(DiskFullError, match="no space"):
            enhance(bench.source, output, progress=fill, **flat)
        assert not output.exists()
        state = Manifest.load(store.job_folder(output))
        done = len(state.finished)
        assert (state.state, done == 4) == (stage, stage == "assembly")
        ballast.unlink()
        events: list[Event] = []
        enhance(bench.source, output, progress=events.append, **flat)
        assert f"resuming: {done} of 4 segments done" in [e.text for e in events]
        assert oracle.digest(output) == oracle.digest(tmp_path / "wanted.mkv")
        assert not store.job_folder(output).exists()
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_disk_that_is_too_small_is_refused_before_the_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.jobs.disk.shutil.disk_usage", lambda _: SimpleNamespace(free=9))
    with pytest.raises(DiskFullError, match=r"too little space\. disk: about .* needed until the end"):
        bench.run()
    assert [p.name for p in bench.folder.iterdir()] == ["clip.mp4"]


def failing(number: int, times: int, error: Exception) -> Callable[..., Any]:
    """``run_segment`` that fails on the segment that begins with frame ``number * 6``, so many times."""
    real, left = work.run_segment, times

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


def test_a_failing_segment_is_tried_again_in_other_ways(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "run_segment", failing(1, 2, InferenceError("frame 6: out of memory")))
    result = bench.run()
    assert "segment 1: frame 6: out of memory; trying again one frame at a time" in bench.texts("note")
    assert f"segment 1 was made {RUNGS[2]}" in result.notes
    assert len(oracle.frame_pts(bench.output)) == 24


@pytest.mark.parametrize("keep_going", [False, True])
def test_a_hopeless_segment_stops_the_job_resumably(
    keep_going: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(work, "run_segment", failing(1, 99, InferenceError("frame 6: out of memory")))
        with pytest.raises(InferenceError) as caught:
            bench.run(keep_going=keep_going)
    done = 3 if keep_going else 1
    assert f"segment 1, frames 6 to 11: frame 6: out of memory. {done} of 4 segments are done" in str(caught.value)
    assert "vidsr jobs resume" in str(caught.value)
    assert Manifest.load(bench.job).error is not None
    bench.run()
    assert len(bench.made()) == 4 - done
    bench.check()


def test_a_broken_encoder_gets_one_more_try(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidsr.errors import EncodeError

    monkeypatch.setattr(work, "run_segment", failing(2, 1, EncodeError("the encoder fell over")))
    assert bench.run().notes == bench.run(overwrite=True).notes
    bench.check()


def test_kept_segments_and_what_an_existing_result_needs(bench: Bench) -> None:
    bench.run(keep_segments=True)
    assert oracle.digest(bench.output) == bench.wanted
    assert len(list((bench.job / "segments").iterdir())) == 4
    with pytest.raises(VidsrError, match="--overwrite"):
        bench.run()
    bench.run(overwrite=True)
    assert bench.made() == []
    bench.check()


def test_strangers_files_in_a_job_folder_are_never_deleted(bench: Bench) -> None:
    bench.stop_after(1)
    (bench.job / "notes.txt").write_text("mine")
    bench.run(restart=True)
    assert oracle.digest(bench.output) == bench.wanted
    assert [p.name for p in bench.job.iterdir()] == ["notes.txt"]
