"""Stopping and going on: whatever ends a job, the same call finishes it, and the file is the same to the byte."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.jobs.bench import Bench
from vidsr import enhance
from vidsr.errors import InputError, Interrupted, JobError, OutputError, VidsrError
from vidsr.jobs.job import Job
from vidsr.jobs.messages import Task
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event
from vidsr.jobs.state.lock import JobLock
from vidsr.jobs.state.manifest import Manifest


def test_a_stopped_job_goes_on_by_itself_and_does_nothing_twice(bench: Bench) -> None:
    bench.stop_after(2)
    assert bench.made() == [0, 1]
    bench.run()
    assert "resuming: 2 of 4 segments done" in bench.texts("note")
    assert bench.made() == [2, 3]
    assert {e.job for e in bench.events} == {job_folders.job_id(bench.job)}
    first = next(e for e in bench.events if e.kind == "frame")
    assert (first.frames, first.resumed_frames, first.total_frames) == (12, 12, 24)
    assert first.seconds_left is not None and first.seconds_left > 0
    bench.check()


@pytest.mark.parametrize("moment", ["frame", "assemble", "verify"])
def test_every_stop_tells_how_to_go_on(moment: str, bench: Bench) -> None:
    stop = Stop()

    def end(event: Event) -> None:
        if moment == "frame" and event.kind == "frame" and event.frames == 7:
            stop.now()  # as the second Ctrl-C does
        elif event.kind == "stage" and event.text == moment:
            raise Interrupted("stopped on request")  # as the first one does where no segment is in work

    done = 1 if moment == "frame" else 4
    with pytest.raises(Interrupted, match=f"stopped; {done} of 4 segments are done; to go on: vidsr jobs resume ") as e:
        bench.run(end, stop=stop)
    assert str(e.value).endswith(str(bench.output))
    assert Manifest.load(bench.job).error is None
    bench.run()
    assert len(bench.made()) == 4 - done
    bench.check()


def test_segments_lost_while_others_are_made_are_noticed_before_they_are_joined(bench: Bench) -> None:
    def lose(event: Event) -> None:
        if event.kind == "segment" and event.segment == 2:
            segments = sorted((bench.job / "segments").glob("*.nut"))
            segments[0].write_bytes(segments[0].read_bytes()[:-1] + b"?")
            segments[1].unlink()

    bench.run(lose)
    assert "segments damaged or missing, they are done again: 0, 1" in bench.texts("warning")
    assert bench.made() == [0, 0, 1, 1, 2, 3]
    bench.check()


def test_a_disk_that_keeps_nothing_ends_the_job(bench: Bench) -> None:
    def lose(event: Event) -> None:
        if event.kind == "segment":
            (bench.job / "segments" / "000000.nut").unlink(missing_ok=True)

    with pytest.raises(JobError, match="1 segments are damaged or missing as soon as they are made"):
        bench.run(lose)
    bench.run()
    bench.check()


def test_a_job_folder_deleted_under_the_work_is_one_clear_error(bench: Bench) -> None:
    def delete(event: Event) -> None:
        if event.kind == "segment" and event.segment == 1:
            shutil.rmtree(bench.job)

    with pytest.raises(JobError, match=r"\.vidsr-job.* failed: No such file or directory"):
        bench.run(delete)
    bench.run()
    bench.check()


def test_names_that_are_no_text(bench: Bench) -> None:
    name = os.fsdecode(b"caf\xe9 'n\" $x.mp4")
    try:
        source = bench.source.rename(bench.folder / name)
    except OSError:
        pytest.skip("this file system takes no names outside UTF-8")
    output = source.with_suffix(".mkv")
    enhance(source, output, model=str(bench.model), scale=2, segment_frames=6)
    assert oracle.digest(output) == bench.wanted


def test_a_result_that_is_a_link_goes_where_it_leads(bench: Bench, tmp_path: Path) -> None:
    target = bench.folder / "disk" / "film.mkv"
    target.parent.mkdir()
    bench.output.symlink_to(target)
    with pytest.raises(OutputError, match="is the source itself"):
        enhance(bench.source, link_to(bench.source), model=str(bench.model), overwrite=True)
    bench.run()
    assert bench.output.is_symlink()
    assert oracle.digest(target) == bench.wanted
    with pytest.raises(OutputError, match="--overwrite"):
        bench.run()


def link_to(path: Path) -> Path:
    link = path.with_name("link.mp4")
    link.symlink_to(path)
    return link


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


def test_a_resumed_job_takes_as_many_frames_per_step_as_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.stop_after(1, batch=3)
    assert Manifest.load(bench.job).finished[0].batch == 3
    real, tasks = Job.task, []

    def spy(job: Job) -> Task:
        tasks.append(real(job))
        return tasks[-1]

    monkeypatch.setattr(Job, "task", spy)
    bench.run()
    assert tasks[0].options["model"]["batch"] == 3
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
