"""How much longer `vidsr enhance` takes than its network alone, on the same frames, start-up excluded.

    python -m benchmarks.speed.end_to_end --frames 48 --rounds 3

Both are measured in turn, round by round, and the medians compared. The network alone means: the same backend, in the
same batches, fed from memory, results dropped. End to end means: decoding, colour, network, colour, encoding, from the
first packet read to the last packet written (the `wall_seconds` of the job's segments).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch

from vidsr import enhance
from vidsr.inference import colour
from vidsr.inference.device_copy import stack_planes
from vidsr.inference.upscaler import Upscaler
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.enhance_options import ModelOptions

SAMPLE = Path(__file__).parents[2] / "samples" / "bigbuckbunny-160x90.mp4"


@torch.inference_mode()
def network_alone(upscaler: Upscaler, clip: Path, frames: int) -> tuple[float, float]:
    """Seconds (wall clock, CPU) of the network for the first frames of a clip."""
    pictures = list(islice(read_frames(probe(clip)), frames))
    batch = upscaler.fitted.batch_for(pictures[0].height, pictures[0].width)
    seconds = cpu = 0.0
    for start in range(0, len(pictures), batch):
        part = pictures[start : start + batch]
        planes = [stack_planes([f.planes[i] for f in part]).to(upscaler.device) for i in range(3)]
        rgb = colour.rgb_from_planes(planes, part[0].format, part[0].colour)
        begin, used = time.perf_counter(), time.process_time()
        upscaler.fitted(rgb)
        if upscaler.device.type == "cuda":
            torch.cuda.synchronize()
        seconds += time.perf_counter() - begin
        cpu += time.process_time() - used
    return seconds, cpu


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=SAMPLE)
    parser.add_argument("--model", default="realesrgan-x4plus")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    upscaler = Upscaler(ModelOptions(model=args.model, backend=args.backend))
    network_alone(upscaler, args.clip, 2)
    alone, whole, reused = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / f"clip{args.clip.suffix}"
        clip.symlink_to(args.clip.resolve())
        for number in range(args.rounds):
            alone.append(network_alone(upscaler, clip, args.frames))
            used = time.process_time()
            result = enhance(clip, Path(folder) / f"{number}.mkv", model=args.model, backend=args.backend)
            if result.frames != args.frames:
                raise SystemExit(f"{args.clip} has {result.frames} frames: give --frames {result.frames}")
            whole.append((result.stats.wall_seconds, time.process_time() - used))
            reused = result.reused_frames
            print(f"round {number}: network {alone[-1][0]:.2f} s, end to end {whole[-1][0]:.2f} s", flush=True)
            print(f"  {result.timing_line()}", flush=True)
    network, network_cpu = (statistics.median(column) for column in zip(*alone, strict=True))
    end_to_end, whole_cpu = (statistics.median(column) for column in zip(*whole, strict=True))
    figures = {
        "model": args.model,
        "backend": upscaler.fitted.backend.name,
        "precision": upscaler.precision,
        "frames": args.frames,
        "reused_frames": reused,
        "network_seconds": round(network, 3),
        "end_to_end_seconds": round(end_to_end, 3),
        "ratio": round(end_to_end / network, 3),
        # All CPU time of the whole job, loading and assembling included: what a busy machine cannot blur.
        "cpu_ratio": round(whole_cpu / network_cpu, 3),
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
