"""The cost model of docs/scaling.md: its constants measured, its prediction held against two local Ray workers.

    python -m benchmarks.speed.scaling

1. Two short jobs by two Ray workers with one thread each give what a job, a segment and a frame cost.
2. A longer job, in segments of another length, is predicted and then run; once with the files on shared storage,
   once sent through Ray's object store.
3. What the processor pays for reading, encoding and joining pictures of 1920x1080, and Ray for moving bytes.
4. The same formulas for 10,000 hours of film: arithmetic on those constants, nothing of it was run.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from benchmarks.speed.segments import make_source

WORKERS = 2
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "bigbuckbunny-160x90.mp4"


@dataclass(frozen=True)
class Phases:
    """Where the seconds of one job went; ``own`` is what its workers took for a segment, on average."""

    frames: int
    segments: int
    index: float
    start: float
    work: float
    join: float
    prove: float
    rest: float
    own: float

    @property
    def total(self) -> float:
        """The whole job."""
        return self.index + self.start + self.work + self.join + self.prove + self.rest


@dataclass(frozen=True)
class Constants:
    """The constants of the model, in seconds: by job (fixed, start), by segment, by frame (the others)."""

    fixed: float
    start: float
    segment: float
    frame: float
    index: float
    join: float
    prove: float

    def predict(self, frames: int, segment_frames: int, workers: int) -> Phases:
        """The model: see docs/scaling.md."""
        segments = -(-frames // segment_frames)
        own = self.segment + self.frame * frames / segments
        work = math.ceil(segments / workers) * own
        return Phases(
            frames=frames,
            segments=segments,
            index=self.index * frames,
            start=self.start,
            work=work,
            join=self.join * frames,
            prove=self.prove * frames,
            rest=self.fixed,
            own=own,
        )


def measure(source: Path, folder: Path, segment_frames: int, model: str, **more: Any) -> Phases:
    """One job by two Ray workers with one thread each."""
    from vidsr import enhance
    from vidsr.jobs.state.job_folders import job_folder
    from vidsr.jobs.state.manifest import Manifest

    moments: dict[str, float] = {}
    ends: list[float] = []

    def hear(event: Any) -> None:
        now = time.perf_counter()
        moments.setdefault(event.text if event.kind == "stage" else event.kind, now)
        if event.kind == "segment":
            ends.append(now)

    begin = time.perf_counter()
    output = folder / "out.mkv"
    flat = {"model": model, "scale": 2.0, "device": "cpu", "segment_frames": segment_frames, **more}
    flat |= {"engine": "ray", "workers": WORKERS, "threads": 1, "restart": True, "keep_segments": True}
    result = enhance(source, output, overwrite=True, progress=hear, **flat)
    total = time.perf_counter() - begin
    finished = Manifest.load(job_folder(output)).finished
    later = [f.seconds for number, f in finished.items() if number >= WORKERS]  # the first ones warm a worker up
    own = sum(later) / len(later)
    index = moments["job"] - moments["index"]
    start = ends[0] - moments["frame"] - own
    work = ends[-1] - ends[0] + own
    join, prove = moments["verify"] - moments["assemble"], moments["done"] - moments["verify"]
    rest = total - index - start - work - join - prove
    return Phases(result.frames, len(finished), index, start, work, join, prove, rest, own)


def least(source: Path, folder: Path, segment_frames: int, chosen: argparse.Namespace, **more: Any) -> Phases:
    """The same job several times; the least time of each phase, which other work on the machine disturbed least."""
    runs = [measure(source, folder, segment_frames, chosen.model, **more) for _ in range(chosen.rounds)]
    for run in runs:
        print(f"  {run.frames} frames, {run.segments} segments: {run.total:.1f} s", flush=True)
    return Phases(*(min(getattr(run, name) for run in runs) for name in Phases.__dataclass_fields__))


def calibrate(short: Phases, long: Phases) -> Constants:
    """Constants from two jobs that differ in frames and in segment length: a line through two points each."""

    def line(name: str) -> tuple[float, float]:
        a, b = getattr(short, name), getattr(long, name)
        slope = max(0.0, (b - a) / (long.frames - short.frames))
        return slope, max(0.0, a - slope * short.frames)

    lines = {name: line(name) for name in ("index", "join", "prove")}
    # Rounds: how many segments one worker makes after the other.
    rounds = [(p.work / math.ceil(p.segments / WORKERS), p.frames / p.segments) for p in (short, long)]
    frame = (rounds[1][0] - rounds[0][0]) / (rounds[1][1] - rounds[0][1])
    return Constants(
        fixed=(short.rest + long.rest) / 2 + sum(at_zero for _, at_zero in lines.values()),
        start=(short.start + long.start) / 2,
        segment=max(0.0, rounds[0][0] - frame * rounds[0][1]),
        frame=frame,
        **{name: slope for name, (slope, _) in lines.items()},
    )


def show(name: str, predicted: Phases, measured: Phases) -> None:
    """Prediction beside measurement."""
    print(f"{name}: {measured.frames} frames in {measured.segments} segments")
    for part in ("index", "start", "work", "join", "prove", "rest", "total"):
        p, m = getattr(predicted, part), getattr(measured, part)
        share = 100 * (p - m) / measured.total
        print(f"  {part:6} predicted {p:7.2f} s, measured {m:7.2f} s ({share:+.1f} % of the job)")


def measure_media(folder: Path) -> dict[str, float]:
    """Processor seconds per megapixel at 1920x1080: to encode (x264 medium), to decode, and to decode into frames for
    the network; and bytes per megapixel."""
    from vidsr.media.decode import read_frames
    from vidsr.media.encode.encoder import SegmentEncoder
    from vidsr.media.encode.encoder_plan import prepare
    from vidsr.media.probe import probe
    from vidsr.media.reader import VideoReader
    from vidsr.media.source import ShapedInfo
    from vidsr.options.enhance_options import EnhanceOptions

    source, encoded = folder / "hd.mkv", folder / "hd.nut"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(SAMPLE), "-an", "-vf", "scale=1920:1080"]
    command += ["-c:v", "libx264", "-crf", "4", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-y", str(source)]
    subprocess.run(command, check=True)
    info = probe(source)
    settings = prepare(ShapedInfo(info), EnhanceOptions.from_flat({"scale": 1.0}), 1).settings
    frames = list(read_frames(info))
    megapixels = len(frames) * 1920 * 1080 / 1e6
    begin = time.process_time()
    with SegmentEncoder(encoded, settings) as encoder:
        for frame in frames:
            encoder.write(frame)
    encode = time.process_time() - begin
    made = probe(encoded)
    begin = time.process_time()
    with VideoReader(made) as reader:
        assert sum(1 for _ in reader.frames()) == len(frames)
    decode = time.process_time() - begin
    begin = time.process_time()
    for _ in read_frames(made):
        pass
    read = time.process_time() - begin
    size = encoded.stat().st_size
    found = {"encode": encode, "decode": decode, "read": read, "bytes": float(size)}
    return {name: value / megapixels for name, value in found.items()}


def measure_store() -> float:
    """Bytes per second through Ray's object store of one machine: put by the driver, taken by an actor, and back."""
    import ray

    @ray.remote(num_cpus=0)
    class Echo:
        def size(self, piece: bytes) -> int:
            return len(piece)

    ray.init(log_to_driver=False, include_dashboard=False, configure_logging=False)
    try:
        echo, piece = Echo.remote(), os.urandom(64 << 20)
        ray.get(echo.size.remote(ray.put(piece)))
        begin = time.perf_counter()
        for _ in range(6):
            ray.get(echo.size.remote(ray.put(piece)))
        return 6 * len(piece) / (time.perf_counter() - begin)
    finally:
        ray.shutdown()


def extend(media: dict[str, float], hours: float) -> None:
    """10,000 hours of 720x576, 25 frames a second, to x4, by the formulas: arithmetic, not measured."""
    frames, small, large = hours * 3600 * 25, 720 * 576 / 1e6, 16 * 720 * 576 / 1e6
    encode, decode = media["encode"] * large, media["decode"] * large
    size = media["bytes"] * large
    print(f"\n{hours:g} hours of 720x576 at 25 frames/s, to 2880x2304, H.264 (arithmetic, not measured):")
    print(f"  {frames / 1e6:,.0f} million frames, {frames * size / 1e12:.0f} TB of results")
    for what, seconds in (
        ("encode", encode),
        ("read (once for the index, once for the work)", (media["decode"] + media["read"]) * small),
        ("prove (decode the result)", decode),
    ):
        print(
            f"  to {what}: {frames * seconds / 3600:,.0f} core hours, {90_000 * seconds / 60:.1f} core min "
            "for an hour of film"
        )
    for fps in (5, 20, 80):
        days = frames / fps / 86400
        print(
            f"  a GPU that makes {fps} frames/s: {days:,.0f} GPU days; it wants {fps * encode:.1f} cores to encode and "
            f"writes {fps * size / 1e6:.1f} MB/s"
        )


def main() -> int:
    """Print constants, prediction beside measurement, and the extension."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=960, help="of the job that is predicted")
    parser.add_argument("--size", default="128x72")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default="realesr-animevideov3")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="vidsr-scaling-") as name:
        folder = Path(name)
        os.environ["VIDSR_STATE"] = str(folder / "state")
        jobs = []
        for frames, segment_frames in ((240, 20), (480, 60)):
            source = folder / f"source{frames}.mkv"
            make_source(source, frames, chosen.size)
            jobs.append(least(source, folder, segment_frames, chosen))
        constants = calibrate(*jobs)
        print("constants, in seconds: " + ", ".join(f"{k} {v:.4f}" for k, v in vars(constants).items()), flush=True)
        source = folder / "source.mkv"
        make_source(source, chosen.frames, chosen.size)
        predicted = constants.predict(chosen.frames, 96, WORKERS)
        show("shared files", predicted, least(source, folder, 96, chosen))
        show("files shipped", predicted, least(source, folder, 96, chosen, ship=True))
        media, store = measure_media(folder), measure_store()
        print(
            f"1920x1080, x264 medium: a megapixel takes {media['encode']:.4f} core s to encode, "
            f"{media['decode']:.5f} to decode, {media['read']:.5f} to read into frames, {media['bytes']:.0f} bytes"
        )
        print(f"Ray's object store on one machine: {store / 1e6:.0f} MB/s")
        extend(media, 10_000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
