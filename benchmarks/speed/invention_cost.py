"""What ``--invention json`` adds to a job: CPU seconds of the job without it, and of measuring its result.

    python -m benchmarks.speed.invention_cost --model realesr-animevideov3 --frames 240

The source is the sample clip, repeated up to so many frames and compressed with a keyframe every 48. Both run in this
process with one thread, one right after the other, ``--rounds`` times; the first round also pays for what is loaded.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import av
import torch

from vidsr import enhance
from vidsr.jobs.compare.invention import map_invention
from vidsr.jobs.invention.sampling import FrameSampling
from vidsr.models.zoo import load_model

SAMPLE = Path(__file__).parents[2] / "samples" / "bigbuckbunny-160x90.mp4"


def repeated(frames: int, target: Path) -> None:
    """The sample clip over and over."""
    with av.open(str(SAMPLE)) as file:
        pictures = [frame.to_ndarray(format="yuv420p") for frame in file.decode(video=0)]
    with av.open(str(target), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width = pictures[0].shape[0] * 2 // 3, pictures[0].shape[1]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "16", "g": "48", "threads": "1"}
        for picture in islice(cycle(pictures), frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        out.mux(stream.encode())


def main() -> None:
    """Measure one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="realesr-animevideov3")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=2)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    sampling = FrameSampling.of(load_model(wanted.model).network, wanted.frames)
    print(f"{wanted.model}, {wanted.frames} frames, {sampling.rule}")
    with tempfile.TemporaryDirectory(prefix="vidsr-cost-") as name:
        source, result = Path(name) / "source.mkv", Path(name) / "result.mkv"
        repeated(wanted.frames, source)
        for _ in range(wanted.rounds):
            begin = time.process_time()
            enhance(source, result, model=wanted.model, device="cpu", threads=1, overwrite=True)
            job = time.process_time() - begin
            map_invention(
                source, result, Path(name) / "map.json", device="cpu", sampling=sampling, written=wanted.frames
            )
            more = time.process_time() - begin - job
            print(f"job {job:.1f} s, measuring {more:.2f} s: {100 * more / job:.1f} % more", flush=True)


if __name__ == "__main__":
    main()
