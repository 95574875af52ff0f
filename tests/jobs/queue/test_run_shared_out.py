"""A part of everything in a queue that is shared out: joined recordings, numbered pictures, long and short films.

Whoever does them, devices of this machine or actors of a real Ray, one of whom is killed, and wherever Ctrl-C stops
them: each result is that of the plain job on the same source, to the byte.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support import oracle, processes
from tests.support.clips import picture, run_ffmpeg, tone
from tests.support.places import child_environment
from tests.support.spans import frame_hashes
from vidsr import enhance
from vidsr.errors import InputError
from vidsr.jobs.queue.records import queue_id, queues_folder

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
OPTIONS: dict[str, Any] = {"scale": 1, "segment_frames": 8, "fps": "24", "start": "0.25", "join": True}
#: Result below the output folder → source below the folder of sources, and frames of the part.
RESULTS = {
    "shelf/a long.mp4": ("shelf/a long.mp4", 90),
    "shelf/b.mkv": ("shelf/b.mkv", 18),
    "shelf/GH010042.mp4": ("shelf/GH0{1,2}0042.MP4", 31),
    "scan.mkv": ("frames/scan_%04d.png", 24),
}

# Runs in every process of the queue. The first that opens a segment whose path holds TEST_KILLED dies there; the first
# that opens one with TEST_STOPPED presses Ctrl-C for the user, and from then on segments are slow, so that some are
# left.
SITE = """
import os, signal, sys, time

place, killed, stopped = (os.environ.get(f"TEST_{name}", "") for name in ("PLACE", "KILLED", "STOPPED"))

def first(name):
    try:
        os.close(os.open(f"{place}/{name}", os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False

def watch(event, args):
    if event != "open" or ".vidsr-job/segments/" not in str(args[0]):
        return
    if killed and killed in str(args[0]) and first("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if stopped and stopped in str(args[0]) and first("stopped"):
        os.kill(int(open(f"{place}/pid").read()), signal.SIGINT)
    if stopped and os.path.exists(f"{place}/stopped"):
        time.sleep(0.5)

if place:
    sys.addaudithook(watch)
"""

# A cluster of one node. It says its address, and goes when its stdin does.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shelf with a long film, a short one, one in two parts and a picture; and numbered pictures."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("shelf", "frames"):
        (folder / name).mkdir()
    sound = (*tone(4), *X264, "-c:a", "aac")
    run_ffmpeg(*picture("64x48", "24", 4), *sound, str(folder / "shelf" / "a long.mp4"))
    run_ffmpeg(*picture("32x24", "24", 1), "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(folder / "shelf" / "b.mkv"))
    for number in (1, 2):
        run_ffmpeg(
            *picture("48x32", "25", 0.76), *tone(0.76), *X264, "-c:a", "aac",
            str(folder / "shelf" / f"GH0{number}0042.MP4"),
        )  # fmt: skip
    Image.new("RGB", (16, 16), "red").save(folder / "shelf" / "still.png")
    run_ffmpeg(*picture("40x24", "24", 1.25), str(folder / "frames" / "scan_%04d.png"))
    for path in folder.rglob("*.*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return folder


@pytest.fixture(scope="module")
def wanted(sources: Path, identity: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What plain jobs make of the sources, one after the other in this process."""
    out = tmp_path_factory.mktemp("wanted")
    found = {}
    for name, (source, frames) in RESULTS.items():
        result = out / name
        result.parent.mkdir(exist_ok=True)
        enhance(sources / source, result, model=str(identity), **OPTIONS)
        assert len(frame_hashes(result)) == frames
        found[name] = oracle.digest(result)
    return found


@contextmanager
def cluster(environment: dict[str, str]) -> Iterator[str]:
    """The address of a Ray cluster of one node whose processes have this environment."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CLUSTER]
    with processes.started(command, stdin=pipe, stdout=pipe, env=environment, text=True) as head:
        assert head.stdin is not None and head.stdout is not None
        yield head.stdout.readline().strip()
        head.stdin.close()
        head.wait(processes.LIMIT_SECONDS)


def results(folder: Path) -> dict[str, str]:
    """Digest of every result by its place."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("vidsr-report")]
    return {str(path.relative_to(folder)): oracle.digest(path) for path in paths if ".vidsr-job/" not in str(path)}


def times_done(folder: Path) -> Counter[str]:
    """How often the work on each source ended in "done", by the queue's record."""
    lines = map(json.loads, (folder / "results.jsonl").read_text().splitlines())
    return Counter(line["source"] for line in lines if line["entry"] == "ended" and line["state"] == "done")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("killed", ["a long.mp4.vidsr-job/segments/000003", "b.mkv.vidsr-job/segments/000000"])
@pytest.mark.parametrize("who", ["devices", "ray", "cluster"])
def test_killed_stopped_and_resumed(
    who: str,
    killed: str,
    sources: Path,
    wanted: dict[str, str],
    identity: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The long film is shared out segment by segment, the others file by file; a worker of one of them dies; Ctrl-C
    comes in the middle of the long one. With a cluster, as many files are in progress as it has room for."""
    if who != "devices":
        pytest.importorskip("ray")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    environment = child_environment(
        TEST_PLACE=str(tmp_path), TEST_KILLED=killed, TEST_STOPPED="a long.mp4.vidsr-job/segments/000005"
    )
    environment["PYTHONPATH"] += f"{os.pathsep}{tmp_path / 'site'}"
    out = tmp_path / "out"
    if who == "cluster":
        with cluster(environment) as address:
            stopped_and_resumed(["--engine", "ray", "--address", address, "--workers", "2"], sources, out, identity,
                                environment)  # fmt: skip
    else:
        sharing = ["--devices", "cpu,cpu"] if who == "devices" else ["--engine", "ray", "--workers", "2"]
        stopped_and_resumed(sharing, sources, out, identity, environment)
    assert (tmp_path / "killed").exists() and (tmp_path / "stopped").exists()
    assert results(out) == wanted
    made = times_done(queues_folder() / queue_id([], out))
    assert made == {str(sources / source): 1 for source, _ in RESULTS.values()}
    states = {f["name"]: f for f in json.loads((out / "vidsr-report.json").read_text())["files"]}
    assert {states[name]["state"] for name in states} == {"done", "refused"}
    assert "is a picture, only videos have parts" in states["shelf/still.png"]["reason"]
    assert not [path for path in out.rglob("*") if path.name.endswith((".part", ".vidsr-job"))]


def stopped_and_resumed(
    sharing: list[str], sources: Path, out: Path, identity: Path, environment: dict[str, str]
) -> None:
    """Run the queue until Ctrl-C stops it, then resume it to its end."""
    command = ["enhance", str(sources / "shelf"), str(sources / "frames" / "scan_%04d.png"), "--output", f"{out}/"]
    command += ["--model", str(identity), *sharing, "--threads", "1", "--quiet"]
    for name, value in OPTIONS.items():
        flag = {"start": "from"}.get(name, name.replace("_", "-"))
        command += [f"--{flag}"] if value is True else [f"--{flag}", str(value)]
    pipe = subprocess.PIPE
    with processes.started(
        [sys.executable, "-m", "vidsr", *command], stdout=pipe, stderr=pipe, text=True, env=environment
    ) as work:
        (out.parent / "pid").write_text(str(work.pid))
        _, errors = work.communicate(timeout=processes.LIMIT_SECONDS)
    assert work.returncode == 128 + signal.SIGINT, errors
    assert "Traceback" not in errors and "to resume: vidsr jobs queue resume" in errors, errors
    assert "shelf/a long.mp4" not in results(out)
    resume = [sys.executable, "-m", "vidsr", "jobs", "queue", "resume", str(out)]
    done = processes.run(resume, capture_output=True, text=True, env=environment | {"TEST_STOPPED": ""})
    assert done.returncode == 1, done.stderr  # the picture is refused
    assert "Traceback" not in done.stderr


def test_a_part_of_a_joined_recording_and_of_numbered_pictures(
    sources: Path, identity: Path, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    """Frames on both sides of the joint are those of the whole; pictures of a part are those numbers."""
    card = sources / "shelf" / "GH010042.MP4"
    flat: dict[str, Any] = {"model": str(identity), "scale": 1, "codec": "ffv1"}
    enhance(card, tmp_path / "whole.mkv", join=True, **flat)
    enhance(card, tmp_path / "part.mkv", join=True, frames="15:23", segment_frames=3, **flat)
    whole = frame_hashes(tmp_path / "whole.mkv")
    assert len(whole) == 38 and frame_hashes(tmp_path / "part.mkv") == whole[15:23]
    enhance(sources / "frames" / "scan_%04d.png", tmp_path / "out" / "%03d.png", fps="24", frames="4:9", **flat)
    names = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert names == [f"{number:03d}.png" for number in range(5, 10)], "they keep the numbers of their sources"
    for number in range(5, 10):
        pixels = [Image.open(p).convert("RGB").tobytes() for p in (
            sources / "frames" / f"scan_{number:04d}.png", tmp_path / "out" / f"{number:03d}.png",
        )]  # fmt: skip
        assert pixels[0] == pixels[1]
    with pytest.raises(InputError, match=r"has 30 frames|30 frames, 0 to 29"):
        enhance(sources / "frames" / "scan_%04d.png", tmp_path / "no.mkv", fps="24", frames="30:40", **flat)
