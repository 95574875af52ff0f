"""`vidsr jobs` as a person uses it, in one process and next to a running job."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import oracle, processes
from tests.support.clips import ClipFactory, picture
from tests.support.command_line import vidsr
from tests.support.places import child_environment
from vidsr import enhance
from vidsr.cli.main import run
from vidsr.cli.progress import JsonLines
from vidsr.errors import Interrupted
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event

pytestmark = pytest.mark.usefixtures("one_segment_at_a_time")


@pytest.fixture
def stopped(clips: ClipFactory, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The result-to-be of a job of which 1 of 4 segments is done."""
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    stop_after_one_segment(clips("basic"), tmp_path / "out.mkv", tiny_model)
    return tmp_path / "out.mkv"


def stop_after_one_segment(source: Path, output: Path, model: Path) -> None:
    stop = Stop()

    def hear(event: Event) -> None:
        if event.kind == "segment":
            stop.soft.set()

    with pytest.raises(Interrupted):
        enhance(source, output, model=str(model), scale=2, segment_frames=6, progress=hear, stop=stop)


def test_list_show_resume(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "list"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["JOB", "STATE", "DONE", "SEGMENTS", "LEFT", "DISK", "RESULT"]
    job, state, percent, _, segments, *_, result = row.split()
    assert (state, percent, segments, result) == ("stopped", "25", "1/4", str(stopped))
    assert run(["jobs", "show", job]) == 0
    shown = capsys.readouterr().out
    assert "6 of 24 frames (25.0 %)" in shown
    assert f"resume    vidsr jobs resume {stopped}" in shown
    assert run(["jobs", "show", job, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total_frames"] == 24
    assert run(["jobs", "resume", job, "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(e.get("text") == "resuming: 1 of 4 segments done" for e in events)
    assert [e["segment"] for e in events if e["event"] == "segment"] == [1, 2, 3]
    frames = [e for e in events if e["event"] == "frame"]
    assert frames[-1]["frames"] == 24 and {"fps", "seconds_left", "job"} <= set(frames[-1])
    assert events[-1]["event"] == "result" and events[-1]["output"] == str(stopped)
    assert len(oracle.frame_pts(stopped)) == 24
    assert run(["jobs", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_job_moved_with_its_source_goes_on_in_its_new_place(
    clips: ClipFactory,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    before, after = tmp_path / "before", tmp_path / "after"
    (before / "in").mkdir(parents=True)
    shutil.copy2(clips("basic"), before / "in" / "clip.mp4")
    monkeypatch.chdir(before)
    stop_after_one_segment(Path("in/clip.mp4"), Path("out.mkv"), tiny_model)
    monkeypatch.chdir(tmp_path)
    before.rename(after)
    assert run(["jobs", "show", "after/out.mkv"]) == 0
    shown = capsys.readouterr().out
    assert f"resume    vidsr jobs resume {after}/out.mkv" in shown
    assert f"source    {after}/in/clip.mp4" in shown
    assert run(["jobs", "resume", "after/out.mkv", "--workers", "1", "--progress", "json"]) == 0
    assert "resuming: 1 of 4 segments done" in capsys.readouterr().out
    assert [p.name for p in after.iterdir() if p.name != "in"] == ["out.mkv"]
    assert not before.exists()


def test_failures_are_told_in_the_list_and_as_json(
    stopped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job_folders.job_folder(stopped) / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"error": null', '"error": "segment 1: out of memory"'))
    assert run(["jobs", "list"]) == 0
    row, error = capsys.readouterr().out.splitlines()[1:]
    assert " failed " in row
    assert error.strip() == "error: segment 1: out of memory"
    path.write_text(text.replace('"encoder": "libx264', '"encoder": "libx999'))
    assert run(["jobs", "resume", str(stopped), "--progress", "json"]) == 1
    said = capsys.readouterr()
    last = json.loads(said.out.splitlines()[-1])
    assert (last["event"], last["kind"], last["text"]) == (
        "error",
        "JobError",
        said.err.removeprefix("vidsr: ").strip(),
    )
    path.write_text(text.replace('"vidsr": "', '"vidsr": "0.0.').replace('"square_pixels"', '"round_pixels"'))
    assert run(["jobs", "resume", str(stopped)]) == 1
    assert "was started by vidsr 0.0." in capsys.readouterr().err
    path.write_text(text)
    monkeypatch.setattr(JsonLines, "EVERY_SECONDS", 0.0)  # a quick segment is shown, too
    assert run(["jobs", "resume", str(stopped), "--restart", "--engine", "local", "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    made = [e for e in events if e["event"] == "segment"]
    assert [e["segment"] for e in made] == [0, 1, 2, 3]
    assert all({"job", "frames", "total_frames", "fps", "seconds_left"} <= e.keys() for e in made)
    assert {0, 1, 2, 3} == {e.get("segment") for e in events if e["event"] == "frame"} - {None}


def test_remove(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = job_folders.job_folder(stopped)
    assert run(["jobs", "remove", str(stopped)]) == 2
    assert "--yes" in capsys.readouterr().err
    assert folder.exists()
    assert run(["jobs", "remove", str(stopped), "--yes"]) == 0
    assert not folder.exists()
    assert run(["jobs", "show", str(stopped)]) == 1
    assert "there is no job" in capsys.readouterr().err


def test_list_looks_into_a_folder_and_tells_of_damage(
    stopped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIDSR_STATE", str(stopped.parent / "another state"))
    (job_folders.job_folder(stopped) / "manifest.json").write_text("{")
    assert run(["jobs", "list"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["jobs", "list", str(stopped.parent)]) == 0
    assert "damaged" in capsys.readouterr().out
    assert run(["jobs", "list", str(stopped.parent / "nowhere")]) == 1


def test_watch_show_and_refusals_beside_a_running_job(
    clips: ClipFactory, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    source = clips.make("long.mkv", *picture(size="64x48", seconds=4), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    out = tmp_path / "out.mkv"
    environment = child_environment()
    command = [sys.executable, "-m", "vidsr", "enhance", str(source), "-o", str(out), "-m", str(tiny_model)]
    with processes.started([*command, "--segment-frames", "16", "--quiet"], env=environment) as work:
        status = job_folders.job_folder(out) / "status.json"
        processes.wait_until(status.exists, "the job's status is there", child=work)
        watch = vidsr("jobs", "watch", out, "--json")
        assert work.wait(processes.LIMIT_SECONDS) == 0
    assert watch.returncode == 0, watch.stderr
    lines = [json.loads(line) for line in watch.stdout.splitlines()]
    assert lines[0]["state"] == "running"
    assert lines[-1]["state"] == "done"
    counts = [line["frames"] for line in lines]
    assert counts == sorted(counts) and counts[-1] == 96


def test_a_running_job_cannot_be_removed_or_resumed(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from vidsr.jobs.state.lock import JobLock

    with JobLock(job_folders.job_folder(stopped)):
        assert run(["jobs", "remove", str(stopped), "--yes"]) == 1
        assert "is running; stop it first" in capsys.readouterr().err
        assert run(["jobs", "resume", str(stopped)]) == 1
        assert "another vidsr" in capsys.readouterr().err
        assert run(["jobs", "list"]) == 0
        assert "running" in capsys.readouterr().out


@pytest.mark.long
def test_the_first_signal_lets_the_segment_end_and_the_second_stops_at_once(
    clips: ClipFactory, tiny_model: Path, tmp_path: Path
) -> None:
    source = clips.make("long.mkv", *picture(size="96x64", seconds=20), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    out = tmp_path / "out.mkv"
    environment = child_environment(VIDSR_STATE=str(tmp_path / "state"))
    command = [sys.executable, "-m", "vidsr", "enhance", str(source), "-o", str(out), "-m", str(tiny_model)]
    command += ["--segment-frames", "480", "--progress", "json"]
    pipe = subprocess.PIPE
    with processes.started(command, env=environment, stdout=pipe, stderr=pipe, text=True) as work:
        assert work.stdout is not None
        frames = iter(e for e in map(json.loads, work.stdout) if e["event"] == "frame")
        while next(frames)["frames"] == 0:
            pass
        work.send_signal(signal.SIGINT)
        before = next(frames)["frames"]
        while (now := next(frames)["frames"]) <= before:
            pass
        assert now < 480, "the segment goes on after the first signal"
        work.send_signal(signal.SIGTERM)
        _, error = work.communicate(timeout=processes.LIMIT_SECONDS)
    assert work.returncode == 130
    assert "finishing what is in progress; interrupt again to stop at once" in error
    assert "stopping at once" in error
    assert not out.exists()
    assert [p.name for p in (job_folders.job_folder(out) / "segments").iterdir()] == []
