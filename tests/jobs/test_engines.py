"""Every engine makes the same segments; a worker that dies costs its segment's time and nothing else."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle, processes
from tests.support.clips import ClipFactory
from tests.support.places import child_environment
from tests.support.small_job import SmallJob
from vidsr import Event, enhance
from vidsr.errors import JobError, ModelError, OptionsError, VidsrError
from vidsr.jobs.engines.engine import Slot, choose_slots
from vidsr.jobs.engines.local_processes import LocalEngine
from vidsr.jobs.messages import (
    Dropped,
    Failed,
    Made,
    News,
    Order,
    Progressed,
    Read,
    Remark,
    Task,
    news_from_json,
    news_to_json,
)
from vidsr.jobs.segment_worker import ALONE, is_visible, on_rung
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.lock import JobLock, lock_mark
from vidsr.jobs.state.manifest import Finished
from vidsr.jobs.state.segments import Segment
from vidsr.options.enhance_options import EnhanceOptions, ModelOptions

OPTIONS: dict[str, Any] = {"scale": 2, "segment_frames": 6, "codec": "h264"}


@pytest.fixture(scope="module")
def reference(clips: ClipFactory, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of what one worker in one process makes of the basic clip."""
    out = tmp_path_factory.mktemp("reference") / "out.mkv"
    enhance(clips("basic"), out, model=str(tiny_model), **OPTIONS)
    return oracle.digest(out)


@pytest.mark.long
def test_two_processes_make_the_same_file(
    clips: ClipFactory, tiny_model: Path, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "random.py").write_text("raise RuntimeError('a file of the user was run')")
    monkeypatch.chdir(beside)
    events = []
    result = enhance(
        clips("basic"), tmp_path / "out.mkv", model=str(tiny_model), workers=2, progress=events.append, **OPTIONS
    )
    assert oracle.digest(result.output) == reference
    assert result.frames == 24
    assert sorted(e.segment for e in events if e.kind == "segment") == [0, 1, 2, 3]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["beside", "out.mkv"]


def enhance_killing_one(name: str, source: Path, out: Path, **options: Any) -> None:
    """Enhance, and SIGKILL the first worker process called ``name`` when it has sent news of its first frames."""
    killed: list[int] = []

    def kill(event: Event) -> None:
        if event.kind == "frame" and event.frames and not killed:
            killed.append(next(pid for pid, command in processes.below(os.getpid()) if name in command))
            os.kill(killed[0], signal.SIGKILL)

    enhance(source, out, workers=2, progress=kill, **OPTIONS, **options)
    assert killed


@pytest.mark.long
def test_a_killed_worker_process_costs_nothing_but_time(
    clips: ClipFactory, tiny_model: Path, reference: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.mkv"
    enhance_killing_one("vidsr.jobs.engines.process_main", clips("basic"), out, model=str(tiny_model))
    assert oracle.digest(out) == reference
    assert [p.name for p in tmp_path.iterdir()] == ["out.mkv"]


@pytest.mark.slow
@pytest.mark.parametrize("extra", [{}, {"ship": True}], ids=["shared files", "shipped files"])
def test_ray_makes_the_same_file_and_survives_a_killed_worker(
    extra: dict[str, Any], clips: ClipFactory, tiny_model: Path, reference: str, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "out.mkv"
    enhance_killing_one("ray::SegmentActor", clips("basic"), out, model=str(tiny_model), engine="ray", **extra)
    assert oracle.digest(out) == reference
    assert [p.name for p in tmp_path.iterdir()] == ["out.mkv"]


@pytest.mark.long
def test_an_unreachable_cluster_is_one_clear_error(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    command = [sys.executable, "-m", "vidsr", "enhance", str(clips("basic")), "-o", str(tmp_path / "out.mkv")]
    command += ["-m", str(tiny_model), "--engine", "ray", "--address", "127.0.0.1:1", "--quiet"]
    environment = child_environment()
    done = processes.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "cannot connect to the Ray cluster at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


SAYS = "import sys; print('{}', flush=True); sys.stdin.read()"

CRASHER = """
import json, sys
sys.stdin.readline()
print(json.dumps({"news": "Ready", "encoder": "e"}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    number = order["segment"]["number"]
    if number == 1:
        sys.exit(3)
    finished = {"frames": 1, "size": 1, "blake2": "", "seconds": 1.0, "fallback": str(order["rung"])}
    print(json.dumps({"news": "Made", "number": number, "finished": finished}), flush=True)
"""


def task(folder: Path) -> Task:
    return Task(job="j", source="s", folder=str(folder), options={}, model_sha256="", encoder="e", encoder_threads=1)


def run_local(code: str, folder: Path, stop: Stop | None = None) -> list[News]:
    """What two worker processes running ``code`` make the engine report for three orders."""
    heard: list[News] = []
    slots = [Slot(device="cpu"), Slot(device="cpu")]
    engine = LocalEngine(task(folder), slots, command=(sys.executable, "-c", code))
    orders = [Order(segment=Segment(number=n, start=n, stop=n + 1)) for n in range(3)]
    engine.run(orders, stop or Stop(), heard.append)
    return heard


def test_a_segment_that_always_crashes_its_worker_fails_and_the_others_do_not(tmp_path: Path) -> None:
    heard = run_local(CRASHER, tmp_path)
    assert {n.number for n in heard if isinstance(n, Made)} == {0, 2}
    failed = [n for n in heard if isinstance(n, Failed)]
    assert [f.number for f in failed] == [1]
    assert "ended with exit code 3, 3 times" in failed[0].message
    warnings = [n.text for n in heard if isinstance(n, Remark) and n.warning]
    assert len(warnings) == 2
    assert all("segment 1 goes to another" in text for text in warnings)


# Segment 1 takes its worker with it, and segment 0 that is in progress there as well, until it is made alone.
TWO_AT_ONCE = """
import json, sys
sys.stdin.readline()
say = lambda **news: print(json.dumps(news), flush=True)
say(news="Ready", encoder="e")
order = json.loads(sys.stdin.readline())
number = order["segment"]["number"]
say(news="Read", number=number)
if number == 0 and order["rung"] == 0 and "again" not in sys.argv:
    following = json.loads(sys.stdin.readline())
    assert following["segment"]["number"] == 1
    sys.exit(3)
if number == 1:
    sys.exit(3)
"""


def test_a_crash_with_two_in_progress_blames_the_one_that_crashes_alone(tmp_path: Path) -> None:
    marker = tmp_path / "crashed"
    code = TWO_AT_ONCE.replace('"again" not in sys.argv', f"not __import__('os').path.exists({str(marker)!r})")
    code = code.replace("    sys.exit(3)\nif", f"    open({str(marker)!r}, 'w').close()\n    sys.exit(3)\nif")
    code += """
while True:
    finished = {"frames": 1, "size": 1, "blake2": "", "seconds": 1.0}
    say(news="Made", number=number, finished=finished)
    number = json.loads(sys.stdin.readline())["segment"]["number"]
    if number == 1:
        sys.exit(3)
"""
    heard: list[News] = []
    engine = LocalEngine(task(tmp_path), [Slot(device="cpu")], command=(sys.executable, "-c", code))
    engine.run([Order(segment=Segment(number=n, start=n, stop=n + 1)) for n in range(3)], Stop(), heard.append)
    assert {n.number for n in heard if isinstance(n, Made)} == {0, 2}
    assert [n.number for n in heard if isinstance(n, Failed)] == [1]
    warnings = [n.text for n in heard if isinstance(n, Remark) and n.warning]
    assert [text.partition("; ")[2] for text in warnings] == [
        "segments 0 and 1 go to another",
        "segment 1 goes to another",
    ]


def test_workers_that_cannot_start_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="ended with exit code 5 before it took any work"):
        run_local("import sys; sys.exit(5)", tmp_path)
    with pytest.raises(ModelError, match="wrong digest"):
        run_local(SAYS.format('{"news": "Broken", "kind": "ModelError", "message": "wrong digest"}'), tmp_path)
    with pytest.raises(JobError, match="has other, the job needs e"):
        run_local(SAYS.format('{"news": "Ready", "encoder": "other"}'), tmp_path)


# The other worker waits with its first order until the broken one has been started, and buried, often enough.
ONE_BROKEN = """
import json, os, sys, time
from pathlib import Path
start = json.loads(sys.stdin.readline())
pids = Path(start["task"]["folder"], "pids")
if start["name"] == "0":
    with pids.open("a") as file:
        file.write(f"{{os.getpid()}}\\n")
    {ending}
print(json.dumps({{"news": "Ready", "encoder": "e"}}), flush=True)

def is_there(pid):
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True

for line in sys.stdin:
    while not pids.exists() or len(found := pids.read_text().split()) < {starts} or any(map(is_there, found)):
        time.sleep(0.01)
    number = json.loads(line)["segment"]["number"]
    finished = {{"frames": 1, "size": 1, "blake2": "", "seconds": 1.0}}
    print(json.dumps({{"news": "Made", "number": number, "finished": finished}}), flush=True)
"""


@pytest.mark.parametrize(
    ("ending", "starts", "says"),
    [
        ("sys.exit(5)", 2, r"ended with exit code 5 before it took any work"),
        ('print("gibberish", flush=True); sys.stdin.read()', 2, "was killed by SIGKILL before it took any work"),
        ('sys.exit(print(json.dumps({"news": "Broken", "kind": "JobError", "message": "no room"})))', 1, "no room"),
    ],
    ids=["crashes", "gibberish", "broken"],
)
def test_a_worker_that_cannot_start_is_left_out(ending: str, starts: int, says: str, tmp_path: Path) -> None:
    heard = run_local(ONE_BROKEN.format(ending=ending, starts=starts), tmp_path)
    assert {n.number for n in heard if isinstance(n, Made)} == {0, 1, 2}
    (warning,) = [n.text for n in heard if isinstance(n, Remark) and n.warning]
    assert warning.startswith("continuing without worker 0 (cpu): ")
    assert says in warning


def test_a_hard_stop_kills_workers_at_once(tmp_path: Path) -> None:
    code = 'import time; print(\'{"news": "Ready", "encoder": "e"}\', flush=True); time.sleep(1000)'
    stop = Stop()
    heard: list[News] = []
    engine = LocalEngine(task(tmp_path), [Slot(device="cpu")], command=(sys.executable, "-c", code))
    import threading

    threading.Timer(1.0, stop.now).start()
    with pytest.raises(VidsrError, match="stopped on request"):
        engine.run([Order(segment=Segment(number=0, start=0, stop=1))], stop, heard.append)
    assert heard == []
    assert not [what for _, what in processes.below(os.getpid()) if "time.sleep(1000)" in what]


def test_workers_do_not_outlive_a_killed_runner(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vidsr", "enhance", str(clips("basic")), "-o", str(tmp_path / "out.mkv")]
    command += ["-m", str(tiny_model), "--workers", "2", "--segment-frames", "4", "--quiet"]
    environment = child_environment()
    workers: list[int] = []

    def both_work() -> bool:
        workers[:] = [pid for pid, what in processes.below(runner.pid) if "vidsr.jobs.engines.process_main" in what]
        return len(workers) == 2

    with processes.started(command, env=environment, stderr=subprocess.DEVNULL) as runner:
        processes.wait_until(both_work, "two workers have been started", child=runner)
        runner.kill()
        runner.wait(processes.LIMIT_SECONDS)
        processes.wait_until(lambda: not any(alive(pid) for pid in workers), "the workers have ended")


def alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_news_survive_the_wire() -> None:
    finished = Finished(frames=3, size=9, blake2="ab", seconds=1.5, timing={"frames": 3})
    for news in (
        Progressed(number=1, frames=2),
        Read(number=1),
        Dropped(number=1),
        Made(number=1, finished=finished),
        Failed(number=1, kind="DecodeError", message="m"),
        Remark(text="t", warning=True),
    ):
        assert news_from_json(news_to_json(news)) == news
    with pytest.raises(JobError, match="unknown message"):
        news_from_json({"news": "Gossip"})
    assert isinstance(Failed(number=1, kind="os", message="m").error(), JobError)
    assert isinstance(Failed.of(1, ModelError("m")).error(), ModelError)


@pytest.mark.parametrize(
    ("flat", "gpus", "wanted"),
    [
        ({}, 0, [("auto", None)]),
        ({}, 1, [("auto", None)]),
        ({}, 3, [("cuda:0", 2), ("cuda:1", 2), ("cuda:2", 2)]),
        ({"device": "cuda:1"}, 3, [("cuda:1", None)]),
        ({"devices": "cuda:0,cuda:2"}, 3, [("cuda:0", 4), ("cuda:2", 4)]),
        ({"device": "cpu", "workers": 4}, 0, [("cpu", 2)] * 4),
        ({"device": "cpu", "workers": 2, "threads": 3}, 0, [("cpu", 3)] * 2),
        ({"devices": "cuda:0,cuda:1", "workers": 3}, 2, [("cuda:0", 2), ("cuda:1", 2), ("cuda:0", 2)]),
    ],
)
def test_one_worker_for_each_device(
    flat: dict[str, Any], gpus: int, wanted: list[tuple[str, int | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    slots = choose_slots(EnhanceOptions.from_flat(flat), gpus, cores=8)
    assert [(slot.device, slot.threads) for slot in slots] == wanted


def test_options_of_workers_that_contradict_each_other() -> None:
    with pytest.raises(OptionsError, match="--device and --devices"):
        choose_slots(EnhanceOptions.from_flat({"device": "cpu", "devices": "cuda:0"}), 1)
    for flat, word in (
        ({"address": "auto"}, "--address needs --engine ray"),
        ({"ship": True}, "--ship needs --engine ray"),
        ({"devices": "gpu7"}, "--devices gpu7"),
        ({"workers": 0}, "--workers 0"),
    ):
        with pytest.raises(OptionsError, match=word):
            EnhanceOptions.from_flat(flat)


def test_devices_that_cannot_be_had_are_refused_before_anything_is_begun(small_job: SmallJob) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"devices": "cuda:97"}, "cuda:97: PyTorch sees"),
        ({"device": "cpu", "devices": "cpu"}, "--device and --devices"),
        ({"engine": "ray", "devices": "cuda:0,cuda:1"}, "Ray chooses the devices"),
        ({"engine": "ray", "device": "cuda:1"}, "Ray chooses the devices"),
    )
    for flat, word in cases:
        with pytest.raises(OptionsError, match=word):
            small_job.run(**flat)
    assert [p.name for p in small_job.folder.iterdir()] == ["clip.mp4"]


def test_another_folder_under_the_same_path_is_not_the_jobs(tmp_path: Path) -> None:
    with JobLock(tmp_path):
        seen = dataclasses.replace(task(tmp_path), source=__file__, lock_mark=lock_mark(tmp_path))
        assert is_visible(seen)
        assert not is_visible(dataclasses.replace(seen, source=str(tmp_path / "gone.mkv")))
    with JobLock(tmp_path):
        assert not is_visible(seen)
    assert not is_visible(dataclasses.replace(task(tmp_path / "elsewhere"), source=__file__))


def test_the_ladder_goes_to_less_memory_and_more_precision() -> None:
    asked = ModelOptions(batch=4, precision="fp16", compile=True)
    rungs = [on_rung(asked, rung) for rung in range(ALONE)]
    assert [r.batch for r in rungs] == [4, 1, 1, 1]
    assert [r.tile for r in rungs] == [None, None, 128, 128]
    assert [r.precision for r in rungs] == ["fp16", "fp16", "fp16", "fp32"]
    assert on_rung(ModelOptions(tile=64), 3).tile == 64
