"""A queue as a whole: every good file done, every bad one named, killed and resumed, watched, reordered, stopped."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support import mixed_folder, oracle
from tests.support.clips import ClipFactory, picture, run_ffmpeg
from tests.support.mixed_folder import Growth, MixedFolder
from tests.support.places import child_environment
from tests.support.processes import Child, run, started
from vidsr import Event, QueueResult, enhance, enhance_many, verify
from vidsr.errors import DiskFullError, InputError, Interrupted, JobError
from vidsr.jobs.queue import records
from vidsr.jobs.queue.crew import Crew
from vidsr.jobs.queue.records import QueuedFile, Wishes, queues_folder
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.manifest import MANIFEST_NAME, Manifest
from vidsr.options.enhance_options import EnhanceOptions


@pytest.fixture
def options(identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    return {"model": str(identity), "scale": 1, "segment_frames": 16}


@pytest.fixture
def tapes(clips: ClipFactory, tmp_path: Path) -> Path:
    """Three short clips and one of several segments."""
    folder = tmp_path / "tapes"
    folder.mkdir()
    for name, clip in (("a.mp4", "basic"), ("b.mkv", "silent"), ("c.mkv", "lossless")):
        shutil.copy2(clips(clip), folder / name)
    run_ffmpeg(*picture("32x24", "24", 4), "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(folder / "d.mkv"))
    for path in folder.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return folder


def by_name(result: QueueResult) -> dict[str, tuple[str, str]]:
    return {file.name: (file.state, file.reason) for file in result.files}


def digests(folder: Path) -> dict[str, str]:
    """Every result, by its place."""
    return {
        str(path.relative_to(folder)): oracle.digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("vidsr-report")
    }


def check_outcome(made: MixedFolder, result: QueueResult, out: Path) -> None:
    """All good ones done, each bad one named with its reason; the reports say the same."""
    states = {file.name: file.state for file in result.files}
    assert len(states) == made.total
    assert {name for name, state in states.items() if state == "done"} == set(made.good)
    assert {name for name, state in states.items() if state == "refused"} == set(made.broken)
    assert {name for name, state in states.items() if state == "growing"} == set(made.growing)
    assert {name for name, state in states.items() if state == "skipped"} == set(made.foreign)
    assert all(file.reason for file in result.files if file.state != "done")
    assert not result.ok
    report = json.loads((out / "vidsr-report.json").read_text())
    assert {f["name"]: f["state"] for f in report["files"]} == states
    with (out / "vidsr-report.csv").open(newline="", errors="surrogateescape") as table:
        assert {row["name"]: row["state"] for row in csv.DictReader(table)} == states
    for file in result.files:
        if file.state == "done":
            assert Path(file.result).parent == (out / file.name).parent and Path(file.result).is_file()
    assert not [p for p in out.rglob("*") if p.name.endswith((".vidsr-job", ".part"))]


@pytest.mark.long
def test_a_mixed_folder(options: dict[str, Any], tmp_path: Path) -> None:
    made = mixed_folder.make(tmp_path / "in", videos=7, pictures=2, broken=8, growing=1)
    events: list[Event] = []
    out = tmp_path / "out"
    with Growth([made.root / name for name in made.growing]):
        result = enhance_many([made.root], out, progress=events.append, **options)
    check_outcome(made, result, out)
    frames = [event for event in events if event.kind == "frame"]
    assert frames[-1].frames == frames[-1].total_frames == sum(f.frames for f in result.files)
    warned = "\n".join(event.text for event in events if event.kind == "warning")
    assert all(name in warned for name in [*made.broken, *made.growing])
    meeting = {Path(f.result).name for f in result.files if f.name.startswith("tapes/tape.")}
    assert meeting == {"tape.avi.mkv", "tape.mpg.mkv"}
    assert all("its result is named" in f.notes[0] for f in result.files if f.name.startswith("tapes/tape."))
    # A file of the queue is made as by itself.
    film = next(f for f in result.files if f.name.endswith(".mov"))
    enhance(film.source, tmp_path / "alone.mov", **options)
    assert oracle.digest(Path(film.result)) == oracle.digest(tmp_path / "alone.mov")
    assert verify(film.source, film.result).ok
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mkv")}
    again = enhance_many([made.root], out, **options)
    assert all(f.reason == "by an earlier run" for f in again.files if f.name in made.good)
    assert {f.name for f in again.files if f.state == "done" and not f.reason} == set(made.growing), "they are whole"
    assert {path: path.stat().st_mtime_ns for path in before} == before


def vidsr(*args: object) -> AbstractContextManager[Child]:
    command = [sys.executable, "-m", "vidsr", *args]
    pipe = subprocess.PIPE
    return started(command, stdout=pipe, stderr=pipe, text=True, errors="replace", env=child_environment())


def killed_and_resumed(command: list[str], moments: list[Callable[[], bool]], limit: float = 200.0) -> int:
    """Run the command, killing it with SIGKILL each time a moment has come, then once to its end; the exit code."""
    for reached in moments:
        with vidsr(*command) as work:
            deadline = time.monotonic() + limit
            while not reached() and work.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            work.send_signal(signal.SIGKILL)
            work.communicate()
    with vidsr(*command) as work:
        _, errors = work.communicate(timeout=limit)
        assert "Traceback" not in errors, errors
    return work.returncode


def results_made(queue: Path) -> Counter[str]:
    """How often each source's work ended in "done"."""
    lines = (queue / "results.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return Counter(e["source"] for e in entries if e["entry"] == "ended" and e["state"] == "done")


@pytest.mark.long
def test_killed_and_resumed_the_bytes_are_the_same_and_nothing_is_done_twice(
    options: dict[str, Any], tapes: Path, identity: Path, tmp_path: Path
) -> None:
    wanted = tmp_path / "wanted"
    enhance_many([tapes], wanted, **options)
    out = tmp_path / "out"
    flags = ["--model", str(identity), "--scale", "1", "--segment-frames", "16", "--quiet"]
    queue = queues_folder() / records.queue_id([], out)
    moments = [
        (out / "a.mp4").exists,
        (out / "d.mkv.vidsr-job" / "segments" / "000001.nut").exists,
    ]
    assert killed_and_resumed(["enhance", str(tapes), str(out), *flags], moments) == 0
    assert digests(out) == digests(wanted)
    assert results_made(queue) == dict.fromkeys((str(path) for path in tapes.iterdir()), 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sixty_files_killed_five_times(identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole figure; `python -m benchmarks.robustness.many_files` prints it."""
    command = [sys.executable, "-m", "benchmarks.robustness.many_files", "--seed", "3"]
    done = run(command, capture_output=True, text=True, env=child_environment(), limit_seconds=850)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kills: the same bytes" in done.stdout


@pytest.mark.long
def test_changed_sources_options_and_results(options: dict[str, Any], tapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tapes / "d.mkv").unlink()
    enhance_many([tapes / "a.mp4", tapes / "b.mkv", tapes / "c.mkv"], out, **options)
    first = digests(out)
    with pytest.raises(JobError, match=r"results made with other options: --crf \(was not given, is 30\)\. Name"):
        enhance_many([tapes], out, crf=30, **options)
    shutil.copy(tapes / "c.mkv", tapes / "b.mkv")
    (out / "a.mp4").write_bytes(b"edited")
    result = enhance_many([tapes], out, **options)
    states = by_name(result)
    assert states["a.mp4"][0] == "refused" and "was changed since vidsr made it" in states["a.mp4"][1]
    assert states["b.mkv"] == ("done", "") and states["c.mkv"] == ("done", "by an earlier run")
    assert oracle.digest(out / "b.mkv") == oracle.digest(out / "c.mkv") == first["c.mkv"]
    again = enhance_many([tapes], out, overwrite=True, **options)
    assert {name: reason for name, (_, reason) in by_name(again).items()} == {
        "a.mp4": "", "b.mkv": "by an earlier run", "c.mkv": "by an earlier run",
    }  # fmt: skip
    assert digests(out)["a.mp4"] == first["a.mp4"]
    assert enhance_many([tapes], out, crf=30, overwrite=True, **options).counts == {"done": 3}
    assert digests(out)["a.mp4"] != first["a.mp4"]


@pytest.mark.long
def test_several_processes_make_the_same_files(options: dict[str, Any], tapes: Path, tmp_path: Path) -> None:
    """Three short files side by side; the long one segment by segment."""
    events: list[Event] = []
    enhance_many([tapes], tmp_path / "one", **options)
    result = enhance_many([tapes], tmp_path / "two", workers=2, progress=events.append, **options)
    assert result.counts == {"done": 4}
    assert digests(tmp_path / "two") == digests(tmp_path / "one")


def test_who_gets_which_file(identity: Path, tmp_path: Path) -> None:
    crew = Crew(EnhanceOptions.from_flat({"segment_frames": 10, "model": str(identity), "workers": 3}), tmp_path)
    with crew:
        crew.open()
        assert [w.slot.threads is not None or "OMP_NUM_THREADS" in os.environ for w in crew.workers] == [True] * 3

        def file(name: str, frames: int) -> QueuedFile:
            return QueuedFile(name=name, source=f"/{name}", frames=frames, result="/r")

        short, long = [file(f"s{n}", 9) for n in range(9)], file("l", 60)
        worker, chosen, wide = crew.choose([*short, long]) or pytest.fail("nobody is free")
        assert (chosen, wide) == (short[0], False)
        worker.file = chosen
        assert crew.choose([long, *short]) is None, "a long file waits until all are free"
        worker.file = None
        worker, chosen, wide = crew.choose([long, *short]) or pytest.fail("nobody is free")
        assert (chosen, wide) == (long, True)
        worker.file, worker.wide = long, True
        assert crew.choose(short) is None, "and has them all"
        worker.settle()
        assert (crew.choose([file("last", 25)]) or pytest.fail("nobody is free"))[2], "so does the last one"
        jobs = crew.workers[1].options(EnhanceOptions.from_flat({"devices": "cuda:0,cuda:1"})).jobs
        assert (jobs.devices, jobs.workers) == (None, None)


@pytest.mark.long
def test_a_process_that_dies_costs_one_file_at_most(
    options: dict[str, Any], tapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is tried once more; if it dies again, the others go on."""
    for place in ("sitecustomize.py",):
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / place).write_text(
            "import os, sys\n"
            "def watch(event, args):\n"
            "    if event == 'os.mkdir' and 'b.mkv.vidsr-job' in str(args[0]):\n"
            "        os.kill(os.getpid(), 9)\n"
            "sys.addaudithook(watch)\n"
        )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    result = enhance_many([tapes], tmp_path / "out", **options)
    states = by_name(result)
    assert states["b.mkv"][0] == "failed" and "was killed by SIGKILL" in states["b.mkv"][1]
    assert [states[name] for name in ("a.mp4", "c.mkv", "d.mkv")] == [("done", "")] * 3


@pytest.mark.long
def test_order_files_left_out_and_a_stop(options: dict[str, Any], tapes: Path, tmp_path: Path) -> None:
    """What other processes wish for, while the queue runs."""
    out = tmp_path / "out"
    queue = queues_folder() / records.queue_id([], out)
    order: list[str] = []

    def hear(event: Event) -> None:
        if event.kind == "note" or (event.kind == "stage" and not order):
            return
        if event.kind == "file":
            order.append(event.text)
        if event.kind == "frame" and not (queue / "wishes.json").exists():
            ids = {file.name: file.id for file in records.QueueRecord.load(queue).files}
            Wishes(order=(ids["d.mkv"], ids["c.mkv"]), left_out=(ids["b.mkv"],)).save(queue)
        if len(order) == 3:
            wishes = Wishes.load(queue)
            mark = (queue / "lock").read_text()
            Wishes(order=wishes.order, left_out=wishes.left_out, stop="soft", run=mark).save(queue)

    with pytest.raises(Interrupted, match="2 of 4 files are done; to resume: vidsr jobs queue resume"):
        enhance_many([tapes], out, progress=hear, **options)
    assert sorted(order) == ["done a.mp4", "done d.mkv", "skipped b.mkv"]
    assert order.index("done a.mp4") < order.index("done d.mkv")
    report = json.loads((out / "vidsr-report.json").read_text())
    assert {f["name"]: f["state"] for f in report["files"]} == {
        "a.mp4": "done", "b.mkv": "skipped", "c.mkv": "waiting", "d.mkv": "done",
    }  # fmt: skip
    Wishes().save(queue)
    assert enhance_many([tapes], out, **options).counts == {"done": 4}


@pytest.mark.long
def test_stopped_in_the_middle_of_a_file_it_goes_on_there(options: dict[str, Any], tapes: Path, tmp_path: Path) -> None:
    out, stop = tmp_path / "out", Stop()
    part = out / "d.mkv.vidsr-job" / "segments" / "000000.nut"
    manifest = out / "d.mkv.vidsr-job" / MANIFEST_NAME

    def hear(event: Event) -> None:
        # The segment counts once the manifest has it, a moment after the file got its name.
        if part.exists() and manifest.exists() and json.loads(manifest.read_text())["finished"]:
            stop.soft.set()

    with pytest.raises(Interrupted, match="3 of 4 files are done"):
        enhance_many([tapes], out, progress=hear, stop=stop, **options)
    made = part.stat().st_mtime_ns
    # The stop reaches the file's process a moment later: all of its segments may be made by then.
    left = Manifest.load(manifest.parent).missing()
    frames: list[Event] = []
    stop = Stop()

    def look(event: Event) -> None:
        if event.kind == "frame":
            frames.append(event)
            if part.exists():
                assert part.stat().st_mtime_ns == made

    assert enhance_many([tapes], out, progress=look, stop=stop, **options).counts == {"done": 4}
    assert frames[-1].resumed_frames >= 16 or not left


@pytest.mark.long
def test_watching_a_folder(options: dict[str, Any], clips: ClipFactory, tmp_path: Path) -> None:
    folder, out, stop = tmp_path / "captures", tmp_path / "out", Stop()
    folder.mkdir()
    done: list[str] = []

    def hear(event: Event) -> None:
        if event.kind == "file":
            done.append(event.text)

    answer: list[QueueResult] = []

    def work() -> None:
        answer.append(enhance_many([folder], out, watch=True, settle=1.0, progress=hear, stop=stop, **options))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        data = clips("silent").read_bytes()
        with (folder / "first ä.mkv").open("wb") as file:
            for at in range(0, len(data), len(data) // 5):
                file.write(data[at : at + len(data) // 5])
                file.flush()
                time.sleep(0.4)
            assert not done
        wait_for(lambda: "done first ä.mkv" in done)
        (folder / "sub").mkdir()
        (folder / "sub" / "bad.mp4").write_text("no video")
        shutil.copy(clips("silent"), folder / "sub" / "second.mkv")
        wait_for(lambda: {"done sub/second.mkv", "refused sub/bad.mp4"} <= set(done))
    finally:
        stop.soft.set()
        thread.join()
    (result,) = answer
    assert {file.name: file.state for file in result.files} == {
        "first ä.mkv": "done", "sub/second.mkv": "done", "sub/bad.mp4": "refused",
    }  # fmt: skip
    assert oracle.frame_pts(out / "first ä.mkv") == oracle.frame_pts(clips("silent"))
    assert (out / "vidsr-report.csv").exists()


def wait_for(reached: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.mark.long
def test_results_next_to_their_sources_are_no_sources_of_the_next_run(
    options: dict[str, Any], tapes: Path, tmp_path: Path
) -> None:
    sources = [tapes / "a.mp4", tapes / "b.mkv"]
    shutil.copy(tapes / "a.mp4", tapes / "a.mov")
    first = enhance_many([*sources, tapes / "a.mov"], **options)
    assert sorted(Path(f.result).name for f in first.files) == ["a.x1.mov", "a.x1.mp4", "b.x1.mkv"]
    assert first.output is None and first.reports[0].parent == queues_folder() / first.queue
    again = enhance_many(sorted(tapes.glob("[ab].*")), **options)
    reasons = {f.name: (f.state, f.reason) for f in again.files}
    assert reasons["a.x1.mp4"] == ("skipped", "a result of this queue")
    assert reasons["a.mp4"] == ("done", "by an earlier run")


@pytest.mark.long
def test_a_full_disk_ends_the_queue_and_keeps_what_waits(
    options: dict[str, Any], tapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import errno, os, sys\n"
        "def watch(event, args):\n"
        "    if event == 'open' and '/b.mkv.vidsr-job/segments' in str(args[0]):\n"
        "        raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "sys.addaudithook(watch)\n"
    )
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}{os.pathsep}{before}")
    with pytest.raises(DiskFullError, match=r"b\.mkv: .*no space left"):
        enhance_many([tapes], tmp_path / "out", **options)
    monkeypatch.setenv("PYTHONPATH", before)
    result = enhance_many([tapes], tmp_path / "out", **options)
    assert by_name(result)["a.mp4"] == ("done", "by an earlier run") and result.counts == {"done": 4}


def test_nothing_is_left_behind_where_nothing_can_be_done(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no video or picture"):
        enhance_many([tmp_path / "empty"], tmp_path / "out", **options)
    assert not (tmp_path / "out").exists() and not list(queues_folder().glob("*"))


@pytest.mark.long
def test_recordings_in_several_files(options: dict[str, Any], tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.mkdir()
    for number in (1, 2):
        run_ffmpeg(*picture("32x24", "25", 0.5), "-c:v", "libx264", "-an", str(card / f"GH0{number}0042.MP4"))
    shutil.copy(card / "GH010042.MP4", card / "GH010043.MP4")
    notes: list[str] = []
    random.seed(1)
    result = enhance_many([card], tmp_path / "single", progress=lambda e: notes.append(e.text), **options)
    assert result.counts == {"done": 3}
    assert "2 files are parts of 1 recording (GH0{1,2}0042.MP4): --join makes one result of each" in notes
    whole = enhance_many([card], tmp_path / "joined", join=True, **options)
    assert {f.name: f.frames for f in whole.files} == {"GH010042.MP4": 26, "GH010043.MP4": 13}
    assert sorted(p.name for p in (tmp_path / "joined").glob("*.mp4")) == ["GH010042.mp4", "GH010043.mp4"]
