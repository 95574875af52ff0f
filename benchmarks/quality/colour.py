"""How far the colour of results is from their sources': a few frames of every clip, enlarged and reduced.

    python -m benchmarks.quality.colour --model realesr-animevideov3 FOLDER…

The network and all steps that are on by default run as in ``vidsr enhance``, to the source's own pixel format. The
result is then averaged down to the source's size and compared with the source's own chroma planes, in 8-bit code
values: "mean" is the largest difference between the means of a frame's Cb or Cr, "each" the mean of the differences
sample by sample, whatever their sign. "network" is the same without any step after the network. Grey sources must
come out with chroma exactly neutral. Of frames larger than ``--side`` the middle is taken.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vidsr.errors import VidsrError
from vidsr.filters.after.post import post_steps
from vidsr.filters.before.crop import Crop
from vidsr.filters.resample import area_down
from vidsr.frames import Frame, luma_weights
from vidsr.inference.colour import planes_from_rgb, rgb_from_planes
from vidsr.inference.upscaler import Upscaler
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions

SUFFIXES = (".mp4", ".mkv", ".webm", ".mpg", ".vob", ".ps", ".png", ".jpg")
Chroma = list[npt.NDArray[np.float64]]


def chosen(path: Path, count: int, side: int) -> list[Frame]:
    """``count`` frames out of the first hundred, evenly spread, cut to at most ``side`` each way."""
    frames = list(islice(read_frames(probe(path)), 100))
    picked = [frames[len(frames) * n // count] for n in range(min(count, len(frames)))]
    width, height = (min(side, s) // 4 * 4 for s in (picked[0].width, picked[0].height))
    left, top = (picked[0].width - width) // 4 * 2, (picked[0].height - height) // 4 * 2
    return list(Crop(left, top, width, height)(iter(picked)))


def chroma(frame: Frame) -> Chroma:
    """Cb and Cr in 8-bit code values; of RGB by the weights of BT.709."""
    scale = frame.format.max_code / 255
    planes = [p.astype(np.float64) / scale for p in frame.planes]
    if frame.format.family == "yuv":
        return planes[1:3]
    green, blue, red = planes[:3]
    of_red, of_green, of_blue = luma_weights("bt709")
    luma = of_red * red + of_green * green + of_blue * blue
    return [(blue - luma) / 1.8556, (red - luma) / 1.5748]


@torch.inference_mode()
def reduced(result: Frame, source: Frame) -> Frame:
    """``result`` averaged down to the size of ``source``, in its format."""
    codes = [torch.from_numpy(np.ascontiguousarray(p).astype(np.int32))[None] for p in result.planes]
    rgb = rgb_from_planes(codes, result.format, result.colour)[:, :3]
    small = area_down(rgb, (source.height, source.width))
    planes = planes_from_rgb(small, source.format, source.colour)
    return replace(source, planes=tuple(p[0].numpy() for p in planes))


def differences(upscaler: Upscaler, frames: Sequence[Frame]) -> Iterator[tuple[float, float, bool | None]]:
    """For each frame: (of the means, of each sample, whether a grey source is neutral; None for colour)."""
    size = (frames[0].width * 4, frames[0].height * 4)
    for source, result in zip(frames, upscaler.stream(size, frames[0].format)(iter(frames)), strict=True):
        if source.format.family == "gray":
            yield 0.0, 0.0, True
            continue
        pairs = list(zip(chroma(reduced(result, source)), chroma(source), strict=True))
        middle = 128.0 if source.format.family == "yuv" else 0.0
        grey = all(float(np.abs(own - middle).max()) < 0.5 for _, own in pairs)
        neutral = all(float(np.abs(c - middle).max()) == 0 for c in chroma(result)) if grey else None
        of_means = max(abs(float(made.mean() - own.mean())) for made, own in pairs)
        yield of_means, max(float(np.abs(made - own).mean()) for made, own in pairs), neutral


def main() -> None:
    """Print a line for each clip, and the worst."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", default="realesr-animevideov3")
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--side", type=int, default=352)
    wanted = parser.parse_args()
    options = ModelOptions(model=wanted.model, device="cpu")
    default = Upscaler(options, post=post_steps(RestoreOptions()))
    alone = Upscaler(options)
    worst = [0.0, 0.0]
    print(f"{'clip':<44}  network        with the steps of the default")
    for path in (p for folder in wanted.folders for p in sorted(folder.rglob("*")) if p.suffix in SUFFIXES):
        try:
            frames = chosen(path, wanted.frames, wanted.side)
        except VidsrError as error:
            print(f"{path.name:<44}  {error}")
            continue
        before, after = (list(differences(u, frames)) for u in (alone, default))
        figures = [max(row[n] for row in rows) for rows in (before, after) for n in range(2)]
        grey = {row[2] for row in after}
        note = "" if grey == {None} else "grey, neutral" if grey <= {True, None} else "grey, NOT neutral"
        text = "mean {:.2f} each {:.2f}   mean {:.2f} each {:.2f}".format(*figures)
        print(f"{path.name:<44}  {text}  {note}", flush=True)
        worst = [max(w, f) for w, f in zip(worst, figures[2:], strict=True)]
    print(f"worst: mean {worst[0]:.2f}, each {worst[1]:.2f}")


if __name__ == "__main__":
    main()
