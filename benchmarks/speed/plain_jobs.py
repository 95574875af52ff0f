"""Start-up of a job, and frames per second of standard definition with a network that does nothing.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.plain_jobs start
    OMP_NUM_THREADS=1 python -m benchmarks.speed.plain_jobs film [--frames 120]
    python -m benchmarks.speed.plain_jobs busy [--frames 240] [--model realesr-animevideov3]

`start` measures from the start of a process to its first finished frame. `film` enlarges 720x576 by 2 with every
default step, H.264 at preset veryfast; what a frame costs is the difference of two jobs, so start-up is not in it.
`busy` does the same for the sample and a real network, with index and verification: how many cores are busy says what
overlapping more could still gain (only on a machine that does nothing else).
Other programs on the machine blur CPU seconds (of all threads) least. Medians of three in turn for `start`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from tests.support.networks import identity_model
from vidsr.errors import Interrupted
from vidsr.jobs.enhance import enhance
from vidsr.jobs.state.events import Event

SAMPLE = Path(__file__).parents[2] / "samples" / "bigbuckbunny-160x90.mp4"


def ffmpeg(*arguments: object) -> None:
    """Run ffmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


def job(source: Path, output: Path, model: Path | str, *, until: int = 0, **options: Any) -> dict[str, float]:
    """Run :func:`child` in a process of its own; what it measured, and its CPU and clock seconds in all."""
    order = json.dumps([str(source), str(output), str(model), until, options, time.time()])
    code = "import sys; from benchmarks.speed.plain_jobs import child; child(sys.argv[1])"
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", code, order], check=True, capture_output=True, text=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    measured: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return {**measured, "cpu": cpu, "wall": wall}


def child(order: str) -> None:
    """A job, ended after so many frames; prints when its first frame was finished, and its peak memory."""
    source, output, model, until, options, begin = json.loads(order)
    found: dict[str, float] = {}
    stop = threading.Event()

    def watch(event: Event) -> None:
        if event.kind != "frame" or event.frames <= event.resumed_frames:
            return
        found.setdefault("first_cpu", time.process_time())
        found.setdefault("first_wall", time.time() - begin)
        if until and event.frames - event.resumed_frames >= until:
            stop.set()

    with contextlib.suppress(Interrupted):
        enhance(source, output, model=model, device="cpu", progress=watch, stop=stop, **options)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found))


def start(folder: Path) -> None:
    """From the start of a process to the first finished frame, to the help, and to an error."""
    clip = folder / "clip.mkv"
    ffmpeg("-i", SAMPLE, "-an", "-frames:v", 4, "-c:v", "libx264", clip)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its byte code
    models = ("realesr-animevideov3", "realesrgan-x4plus")
    programs = [[sys.executable, "-c", code] for code in ("import torch", "import torch, av, vidsr.jobs.run_video")]
    programs += [[sys.executable, "-m", "vidsr", *rest] for rest in (["--help"], ["enhance", "missing.mkv"])]
    frames: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    seconds: list[list[float]] = [[] for _ in programs]
    for number in range(3):
        for name in models:
            made = job(clip, folder / f"{name}-{number}.mkv", name)
            frames[name].append((made["first_cpu"], made["first_wall"]))
        for spent, program in zip(seconds, programs, strict=True):
            spent.append(_cpu(program))
    for name, found in frames.items():
        cpu, wall = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"first frame of 160x90 with {name}: {cpu:.2f} s CPU, {wall:.2f} s on the clock")
    for spent, program in zip(seconds, programs, strict=True):
        print(f"{' '.join(['python', *program[1:]])}: {statistics.median(spent):.2f} s CPU")


def _cpu(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=False, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def per_frame(folder: Path, frames: int, model: Path | str, cut: list[object], **options: Any) -> dict[str, float]:
    """CPU and clock milliseconds a frame of the sample, cut with those options of ffmpeg."""
    made = {}
    for count in (frames // 6, frames):
        clip = folder / f"{count}.mkv"
        ffmpeg("-stream_loop", -1, "-i", SAMPLE, "-an", *cut, "-frames:v", count, "-c:v", "libx264", clip)
        made[count] = job(clip, folder / f"{count}-large.mkv", model, **options)
    few, many = made[frames // 6], made[frames]
    return {key: 1e3 * (many[key] - few[key]) / (frames - frames // 6) for key in ("cpu", "wall")}


def busy(folder: Path, frames: int, model: str) -> None:
    """How many cores a job keeps busy."""
    ms = per_frame(folder, frames, model, ["-qp", 12])
    print(f"160x90 with {model}: {ms['cpu']:.1f} ms CPU a frame, {ms['wall']:.1f} ms on the clock")
    print(f"{ms['cpu'] / ms['wall']:.2f} of {os.cpu_count()} cores busy")


def film(folder: Path, frames: int) -> None:
    """Frames per second of standard definition."""
    options = {"scale": 2, "codec": "h264", "preset": "veryfast"}
    ms = per_frame(folder, frames, identity_model(folder), ["-vf", "scale=720:576"], **options)
    print(f"720x576 to 1440x1152, every default step: {ms['cpu']:.1f} ms CPU a frame, {ms['wall']:.1f} ms on the clock")
    print(f"{1e3 / ms['wall']:.1f} frames a second here; at most {os.cpu_count()} cores: {2e3 / ms['cpu']:.1f} on two")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("start", "film", "busy"))
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--model", default="realesr-animevideov3")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if asked.what == "start":
            start(Path(name))
        elif asked.what == "busy":
            busy(Path(name), asked.frames, asked.model)
        else:
            film(Path(name), asked.frames)


if __name__ == "__main__":
    main()
