"""Stopping and going on: whatever ends a job, the same call finishes it, and the file is the same to the byte."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle
from tests.support.small_job import SmallJob
from vidsr import enhance
from vidsr.errors import InputError, Interrupted, JobError, OutputError, VidsrError
from vidsr.jobs.job import Job
from vidsr.jobs.messages import Task
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event
from vidsr.jobs.state.lock import JobLock
from vidsr.jobs.state.manifest import Manifest

pytestmark = pytest.mark.usefixtures("one_segment_at_a_time")


def test_a_stopped_job_goes_on_by_itself_and_does_nothing_twice(small_job: SmallJob) -> None:
    small_job.stop_after(2)
    assert small_job.made() == [0, 1]
    small_job.run()
    assert "resuming: 2 of 4 segments done" in small_job.texts("note")
    assert small_job.made() == [2, 3]
    assert {e.job for e in small_job.events} == {job_folders.job_id(small_job.job)}
    first = next(e for e in small_job.events if e.kind == "frame")
    assert (first.frames, first.resumed_frames, first.total_frames) == (12, 12, 24)
    assert first.seconds_left is not None and first.seconds_left > 0
    small_job.check()


@pytest.mark.parametrize("moment", ["frame", "assemble", "verify"])
def test_every_stop_tells_how_to_go_on(moment: str, small_job: SmallJob) -> None:
    stop = Stop()

    def end(event: Event) -> None:
        if moment == "frame" and event.kind == "frame" and event.frames == 7:
            stop.now()  # as the second Ctrl-C does
        elif event.kind == "stage" and event.text == moment:
            raise Interrupted("stopped on request")  # as the first one does where no segment is in progress

    done = 1 if moment == "frame" else 4
    with pytest.raises(
        Interrupted, match=f"stopped; {done} of 4 segments are done; to resume: vidsr jobs resume "
    ) as e:
        small_job.run(end, stop=stop)
    assert str(e.value).endswith(str(small_job.output))
    assert Manifest.load(small_job.job).error is None
    small_job.run()
    assert len(small_job.made()) == 4 - done
    small_job.check()


def test_segments_lost_while_others_are_made_are_noticed_before_they_are_joined(small_job: SmallJob) -> None:
    def lose(event: Event) -> None:
        if event.kind == "segment" and event.segment == 2:
            segments = sorted((small_job.job / "segments").glob("*.nut"))
            segments[0].write_bytes(segments[0].read_bytes()[:-1] + b"?")
            segments[1].unlink()

    small_job.run(lose)
    assert "segments damaged or missing, computed again: 0, 1" in small_job.texts("warning")
    assert small_job.made() == [0, 0, 1, 1, 2, 3]
    small_job.check()


def test_a_disk_that_keeps_nothing_ends_the_job(small_job: SmallJob) -> None:
    def lose(event: Event) -> None:
        if event.kind == "segment":
            (small_job.job / "segments" / "000000.nut").unlink(missing_ok=True)

    with pytest.raises(JobError, match="1 segments are damaged right after being written"):
        small_job.run(lose)
    small_job.run()
    small_job.check()


def test_a_job_folder_deleted_under_the_work_is_one_clear_error(small_job: SmallJob) -> None:
    def delete(event: Event) -> None:
        if event.kind == "segment" and event.segment == 1:
            shutil.rmtree(small_job.job)

    with pytest.raises(JobError, match=r"\.vidsr-job.* failed: No such file or directory"):
        small_job.run(delete)
    small_job.run()
    small_job.check()


def test_names_that_are_no_text(small_job: SmallJob) -> None:
    name = os.fsdecode(b"caf\xe9 'n\" $x.mp4")
    try:
        source = small_job.source.rename(small_job.folder / name)
    except OSError:
        pytest.skip("this file system takes no names outside UTF-8")
    output = source.with_suffix(".mkv")
    enhance(source, output, model=str(small_job.model), scale=2, segment_frames=6)
    assert oracle.digest(output) == small_job.wanted


def test_a_result_that_is_a_link_goes_where_it_leads(small_job: SmallJob, tmp_path: Path) -> None:
    target = small_job.folder / "disk" / "film.mkv"
    target.parent.mkdir()
    small_job.output.symlink_to(target)
    with pytest.raises(OutputError, match="is the source file"):
        enhance(small_job.source, link_to(small_job.source), model=str(small_job.model), overwrite=True)
    small_job.run()
    assert small_job.output.is_symlink()
    assert oracle.digest(target) == small_job.wanted
    with pytest.raises(OutputError, match="--overwrite"):
        small_job.run()


def link_to(path: Path) -> Path:
    link = path.with_name("link.mp4")
    link.symlink_to(path)
    return link


def test_damaged_and_missing_segments_are_done_again(small_job: SmallJob) -> None:
    small_job.stop_after(3)
    segments = sorted((small_job.job / "segments").iterdir())
    segments[0].write_bytes(segments[0].read_bytes()[:-1] + b"?")
    segments[1].unlink()
    small_job.run()
    assert "segments damaged or missing, computed again: 0, 1" in small_job.texts("warning")
    assert small_job.made() == [0, 1, 3]
    small_job.check()


def replace_source(small_job: SmallJob) -> None:
    data = small_job.source.read_bytes()
    small_job.source.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def touch_source(small_job: SmallJob) -> None:
    os.utime(small_job.source, ns=(1, 10**18))


def replace_model(small_job: SmallJob) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(small_job.model)
    name = sorted(tensors)[0]
    tensors[name] = torch.flip(tensors[name], dims=(0,)) + 0.01
    small_job.model = small_job.folder.parent / f"{small_job.folder.name}-other.safetensors"
    save_file(tensors, small_job.model)


def edit(before: str, after: str) -> Callable[[SmallJob], None]:
    def change(small_job: SmallJob) -> None:
        path = small_job.job / "manifest.json"
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
    change: Callable[[SmallJob], None], options: dict[str, Any], says: str, small_job: SmallJob
) -> None:
    small_job.stop_after(1)
    change(small_job)
    with pytest.raises(JobError, match=says) as caught:
        small_job.run(**options)
    assert "--restart" in str(caught.value)
    assert not small_job.output.exists()
    assert len(list((small_job.job / "segments").iterdir())) == 1, "a refusal destroys nothing"
    small_job.run(restart=True, **options)
    assert small_job.made()[:3] == [0, 1, 2]
    assert len(oracle.frame_pts(small_job.output)) == 24


def test_what_does_not_shape_the_result_may_change(small_job: SmallJob) -> None:
    small_job.stop_after(1)
    small_job.source.rename(small_job.folder / "moved.mp4")
    shutil.copy2(small_job.folder / "moved.mp4", small_job.source)
    (small_job.folder / "moved.mp4").unlink()
    small_job.run(batch=3, device="cpu", threads=1, keep_going=True)
    assert small_job.made() == [1, 2, 3]
    small_job.check()


def test_a_resumed_job_takes_as_many_frames_per_step_as_before(
    small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_job.stop_after(1, batch=3)
    assert Manifest.load(small_job.job).finished[0].batch == 3
    real, tasks = Job.task, []

    def spy(job: Job) -> Task:
        tasks.append(real(job))
        return tasks[-1]

    monkeypatch.setattr(Job, "task", spy)
    small_job.run()
    assert tasks[0].options["model"]["batch"] == 3
    small_job.check()


def test_a_source_that_changes_under_the_work_stops_it(small_job: SmallJob) -> None:
    def change(event: Event) -> None:
        if event.kind == "segment":
            os.utime(small_job.source, ns=(1, 10**18))

    before = small_job.source.stat()
    with pytest.raises(InputError, match="was changed while the job ran"):
        small_job.run(change)
    os.utime(small_job.source, ns=(before.st_atime_ns, before.st_mtime_ns))
    small_job.run()
    assert small_job.made() == [1, 2, 3]
    small_job.check()


def test_one_process_at_a_time(small_job: SmallJob) -> None:
    small_job.stop_after(1)
    with JobLock(small_job.job), pytest.raises(JobError, match=f"another vidsr .process {os.getpid()}"):
        small_job.run()
    small_job.run()
    small_job.check()


def test_kept_segments_and_what_an_existing_result_needs(small_job: SmallJob) -> None:
    small_job.run(keep_segments=True)
    assert oracle.digest(small_job.output) == small_job.wanted
    assert len(list((small_job.job / "segments").iterdir())) == 4
    with pytest.raises(VidsrError, match="--overwrite"):
        small_job.run()
    small_job.run(overwrite=True)
    assert small_job.made() == []
    small_job.check()


def test_strangers_files_in_a_job_folder_are_never_deleted(small_job: SmallJob) -> None:
    small_job.stop_after(1)
    (small_job.job / "notes.txt").write_text("mine")
    small_job.run(restart=True)
    assert oracle.digest(small_job.output) == small_job.wanted
    assert [p.name for p in small_job.job.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("gone", [["segments"], ["index.npz", "segments"]], ids=" ".join)
def test_ended_while_it_deleted_its_folder(
    gone: list[str], small_job: SmallJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result has its name and the manifest is still there: nothing is made again, and the rest is deleted."""

    def cut_short(folder: Path) -> None:
        for name in gone:
            shutil.rmtree(folder / name) if name == "segments" else (folder / name).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(job_folders, "empty", cut_short)
        small_job.run()
    made = small_job.output.stat().st_mtime_ns
    small_job.run()
    assert small_job.output.stat().st_mtime_ns == made
    assert small_job.made() == []
    small_job.check()
