"""A very long film as a job of the command line: time to index it, to resume it, and peak memory, against a short one.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.long_film [--frames 150000] [--segments 5] [--rounds 3]

Both films are ffmpeg's testsrc2 at 128x96 in H.264; the network does nothing, and the scale is 2. Of the long film, the
first segments are made; then the job is killed, and started again until its first new frame. The short film, which has
a hundredth of the frames, is killed after as many segments. Index: from the event that it begins to the one that it is
there. Resume: from the start of the process to its first new frame; beside it, `import torch` alone, in turn.

Other programs on the machine blur CPU seconds (of all threads) least. Linux only: they are read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.plain_jobs import ffmpeg
from tests.support.networks import identity_model


@dataclass(frozen=True)
class Moment:
    """How far a process has come: seconds since its start on the clock and of CPU time, and its peak memory."""

    wall: float
    cpu: float
    peak_mb: float

    def __str__(self) -> str:
        return f"{self.cpu:.2f} s CPU, {self.wall:.2f} s on the clock"

    def since(self, before: Moment) -> Moment:
        """From an earlier moment to this one."""
        return Moment(self.wall - before.wall, self.cpu - before.cpu, self.peak_mb)


def moment(process: int, begin: float) -> Moment:
    """The present moment of a process."""
    wall = time.perf_counter() - begin
    ticks = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    peak = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return Moment(wall, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) / 1024)


def make(clip: Path, count: int, films: Path | None) -> None:
    """Make the film, or copy the one in ``films``."""
    made = clip if films is None else films.absolute() / clip.name
    if not made.exists():
        picture = "testsrc2=size=128x96:rate=25"
        ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", count, "-c:v", "libx264", "-preset", "ultrafast", made)
    if made != clip:
        shutil.copyfile(made, clip)


def run(clip: Path, model: Path, output: Path, *, segments: int = 0) -> dict[str, Moment]:
    """A job that is killed once so many segments are finished, or at its first new frame; its moments by name."""
    command = [sys.executable, "-m", "vidsr", "enhance", clip, "--output", output]
    command += ["--model", model, "--scale", "2", "--device", "cpu", "--progress", "json"]
    begin = time.perf_counter()
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    found: dict[str, Moment] = {}
    made = 0
    assert child.stdout is not None
    for line in child.stdout:
        event = json.loads(line)
        kind = event["event"]
        if kind == "stage" and event["text"] == "index":
            found["index begins"] = moment(child.pid, begin)
        elif kind == "job":
            found["index"] = moment(child.pid, begin)
        elif kind == "frame" and event["frames"] > event["resumed_frames"] and "frame" not in found:
            found["frame"] = moment(child.pid, begin)
        made += kind == "segment"
        if made >= segments and "frame" in found:
            found["end"] = moment(child.pid, begin)
            break
    child.kill()
    child.communicate()
    return found


def torch_alone() -> Moment:
    """A process that imports torch and does nothing else."""
    before, begin = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Moment(time.perf_counter() - begin, cpu, 0)


def middle(moments: list[Moment]) -> Moment:
    """The median of each measure."""
    return Moment(
        *(statistics.median(values) for values in zip(*((m.wall, m.cpu, m.peak_mb) for m in moments), strict=True))
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=150_000)
    parser.add_argument("--segments", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--films", type=Path, help="keep the films in this folder, and take those that are there")
    asked = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its byte code
        os.environ["VIDSR_STATE"] = str(folder / "state")
        model = identity_model(folder)
        for count in (asked.frames // 100, asked.frames):
            clip = folder / f"{count}.mp4"
            make(clip, count, asked.films)
            indexed, first, ends = [], [], []
            for number in range(asked.rounds):
                output = folder / f"{count}-{number}.mkv"
                begun = run(clip, model, output, segments=asked.segments)
                indexed.append(begun["index"].since(begun["index begins"]))
                first.append(begun["frame"])
                ends.append(begun["end"].peak_mb)
            peaks.append(statistics.median(ends))
            print(f"{count} frames of 128x96: index {middle(indexed)}", flush=True)
            print(f"  first frame after {middle(first)}", flush=True)
            each = ", ".join(f"{mb:.0f}" for mb in ends)
            print(f"  killed after {asked.segments} segments: peak memory {each} MB", flush=True)
            resumed, alone = [], []
            for _ in range(asked.rounds):
                resumed.append(run(clip, model, output)["frame"])
                alone.append(torch_alone())
            print(f"  resumed, first new frame after {middle(resumed)}", flush=True)
            print(f"  import torch alone: {middle(alone)}", flush=True)
    print(f"peak memory of the long film: {peaks[1] / peaks[0] - 1:+.1%}")


if __name__ == "__main__":
    main()
