"""What each stage of a job costs, for each shipped model that enlarges: CPU milliseconds a frame, share, job / network.

    python -m benchmarks.speed.stages [--models NAME…] [--frames 24] [-- --stabilize 0.8 …]

CPU time of all threads, with one thread for the network: other programs on the machine blur it less than seconds on
the clock. The stages are called one after the other on the same frames. `job` is a whole `vidsr enhance` in a process
of its own: start-up, index, preflight, joining and verification included; `start-up` is the same for a clip of one
frame, less that frame's share: with fewer than some hundred frames it hides the rest of the job, and only the ratio of
the stages means anything. What follows `--` are options of `vidsr enhance`, for the stages too.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from vidsr.frames import Frame
from vidsr.inference import colour
from vidsr.inference.device_copy import array_from_codes, stack_planes
from vidsr.inference.resize import resize
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.recipe.recipe_run import RecipeRun
from vidsr.jobs.state.segments import Segment
from vidsr.media.decode import read_frames
from vidsr.models.zoo import ZOO
from vidsr.options.enhance_options import EnhanceOptions

SAMPLE = Path(__file__).parents[2] / "samples" / "bigbuckbunny-160x90.mp4"
T = TypeVar("T")


class Clock:
    """CPU seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        """``work()``, its time added to ``stage``."""
        begin = time.process_time()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.process_time() - begin
        return result


@torch.inference_mode()
def stages(clip: Path, model: str, count: int, extra: list[str]) -> dict[str, float]:
    """CPU seconds of each stage for ``count`` frames."""
    clock = Clock()
    recipe = Recipe.of(str(clip), _options(model, extra)).with_threads(1)
    run = RecipeRun(recipe, device="cpu")
    frames = clock("decode", lambda: list(islice(read_frames(recipe.decoded), count)))
    if run.chain.before:
        segment = Segment(number=0, start=0, stop=count)
        frames = clock("filters before", lambda: list(islice(run.frames(segment), count)))
    form, tags = recipe.frame_format
    width, height = recipe.size
    size = (height, width)
    source = [_planes(frame) for frame in frames]
    run.upscaler.fitted(colour.rgb_from_planes(source[0], frames[0].format, frames[0].colour))  # its buffers
    results = []
    for frame, planes in zip(frames, source, strict=True):
        rgb = clock("planes to RGB", lambda p=planes, f=frame: colour.rgb_from_planes(p, f.format, f.colour))
        out = clock("network", lambda x=rgb: run.upscaler.fitted(x))
        if size != (out.shape[-2], out.shape[-1]):
            out = clock("resize", lambda x=out: resize(x, size))
        for step in run.chain.after:
            name = "+".join(type(s).__name__ for s in getattr(step, "steps", (step,)))
            out = clock(name, lambda s=step, x=rgb, y=out, f=frame: s(x, y, [f]))
        to = tags or frame.colour
        made = clock("RGB to planes", lambda y=out, t=to: colour.planes_from_rgb(y, form, t))
        results.append(_frame(frame, made, form, to))
    with tempfile.TemporaryDirectory() as folder:
        clock("encode", lambda: _encoded(recipe, Path(folder) / "segment.mkv", results))
    return clock.seconds


def _options(model: str, extra: list[str]) -> EnhanceOptions:
    flat: dict[str, Any] = {"model": model, "device": "cpu"}
    for flag, value in zip(extra[::2], extra[1::2], strict=True):
        flat[flag.removeprefix("--").replace("-", "_")] = _value(value)
    return EnhanceOptions.from_flat(flat)


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _planes(frame: Frame) -> list[torch.Tensor]:
    return [stack_planes([plane]) for plane in frame.planes]


def _frame(frame: Frame, planes: list[torch.Tensor], form: Any, tags: Any) -> Frame:
    arrays = tuple(array_from_codes(plane)[0] for plane in planes)
    return replace(frame, planes=arrays, format=form, colour=tags)


def _encoded(recipe: Recipe, path: Path, frames: list[Frame]) -> None:
    with recipe.sink(path) as sink:
        for frame in frames:
            sink.write(frame)


def job(clip: Path, model: str, count: int, extra: list[str]) -> float:
    """CPU seconds of a whole ``vidsr enhance`` over the first ``count`` frames."""
    with tempfile.TemporaryDirectory() as folder:
        part, result = Path(folder) / "part.mkv", Path(folder) / "result.mkv"
        _cut(clip, part, count)
        command = [sys.executable, "-m", "vidsr", "enhance", str(part), "-o", str(result), "--model", model]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        subprocess.run([*command, "--device", "cpu", *extra], check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cut(clip: Path, part: Path, count: int) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", str(clip)]
    coding = ["-an", "-c:v", "libx264", "-qp", "12", "-g", "12"]
    subprocess.run([*command, "-frames:v", str(count), *coding, str(part)], check=True)


def report(clip: Path, model: str, count: int, extra: list[str]) -> None:
    """Print the table of one model."""
    with tempfile.TemporaryDirectory() as folder:
        looped = Path(folder) / "looped.mkv"
        _cut(clip, looped, count)
        spent = stages(looped, model, count, extra)
    network, alone = spent["network"], sum(spent.values())
    whole, one = job(clip, model, count, extra), job(clip, model, 1, extra)
    start_up = one - alone / count
    print(f"\n{model}, {count} frames{' '.join(['', *extra])}")
    for stage, seconds in spent.items():
        print(f"  {stage:24s} {1e3 * seconds / count:9.2f} ms {100 * seconds / alone:6.1f} %")
    print(f"  {'start-up and the end':24s} {1e3 * start_up:9.0f} ms, once")
    print(f"  stages / network {alone / network:6.3f}")
    print(f"  job / network    {(whole - start_up) / network:6.3f} without the start-up, {whole / network:.3f} with it")
    sys.stdout.flush()


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shipped = [name for name, entry in ZOO.items() if entry.shipped and entry.use == "enlarge"]
    parser.add_argument("--models", nargs="+", default=shipped)
    parser.add_argument("--clip", type=Path, default=SAMPLE)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("extra", nargs="*", help="after --: options of vidsr enhance, each with its value")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for model in args.models:
        report(args.clip, model, args.frames, args.extra)


if __name__ == "__main__":
    main()
