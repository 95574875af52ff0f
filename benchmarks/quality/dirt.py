"""Dirt on film, simulated on real clips: how much of it does ``dust`` take out, and what else does it change?

    python -m benchmarks.quality.dirt DATA [--tuning] [--clips NAME ...]

DATA is the folder of real clips. The specks are those of :mod:`vidsr.training.degradation.old_film`, 2 per 128×128 px
on average, half of them bright and half dark, each in one frame only. ``--tuning`` takes the clips on which constants
of :mod:`vidsr.filters.before.dust` were chosen; the others had no say.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.quality import cadence_clips as clips
from benchmarks.quality.film import CLIPS, Pictures, by_ffmpeg, clip, codes, cut, psnr, restored
from vidsr.filters.before.dust import Dust
from vidsr.frames import Floats
from vidsr.training.degradation.old_film.options import OldFilmOptions
from vidsr.training.degradation.old_film.simulator import aged_clip

#: Clips for choosing constants: path, first frame, width and height.
TUNING = (
    ("fate/displaymatrix.mp4", 0, (160, 240)),
    ("androidx-media/bear-vp9-odd-dimensions.webm", 0, (160, 120)),
    ("androidx-media/sample_rotate_and_reflect.mp4", 0, (360, 240)),
    ("androidx-media/sample_h262_mpeg_audio.ps", 0, (320, 212)),
    ("torchcodec/bt709_full_range.mp4", 0, (320, 180)),
    ("fate/coolitnow-partial.vob", 0, (360, 240)),
)
_FRAMES = 18
_DIRT = OldFilmOptions(dirt=2.0)
#: Differences, in 8-bit code values, from which a pixel is harmed visibly, and above which it counts as changed.
_SEEN, _CHANGED = 10, 2


def other_clip(path: Path, first: int, size: tuple[int, int]) -> Floats:
    """``[T, H, W, 3]``, 0 to 1: the luma of a clip."""
    width, height = size
    chain = f"yadif=deint=interlaced,select='gte(n,{first})',scale={width}:{height}:flags=area,format=gray"
    command = [clips.FFMPEG, "-v", "error", "-i", str(path), "-vf", chain, "-fps_mode", "passthrough"]
    raw = subprocess.run(
        [*command, "-frames:v", str(_FRAMES), "-f", "rawvideo", "-"], check=True, capture_output=True
    ).stdout
    luma = np.frombuffer(raw, np.uint8).reshape(-1, height, width).astype(np.float32) / 255
    return np.repeat(luma[..., None], 3, 3)


def inner(pictures: Pictures) -> Pictures:
    """Without the first and the last frame, which have no neighbours on one side."""
    return pictures[1:-1]


def row(name: str, whole: Floats, seed: int) -> str:
    """One line of the table."""
    aged = aged_clip(whole, _DIRT, seed=seed)
    truth, damaged = codes(cut(whole)), codes(cut(aged.clip))
    harmed = inner(cut(aged.mask))
    result, spent = restored(damaged, Dust())
    untouched, _ = restored(truth, Dust())
    median = by_ffmpeg(damaged, "tmedian=radius=1")  # all but the first and the last
    truth, damaged, result, untouched = map(inner, (truth, damaged, result, untouched))
    before, after = (np.abs(p.astype(int) - truth.astype(int)) for p in (damaged, result))
    seen = before >= _SEEN
    halved = float((2 * after <= before)[seen].mean())
    changed = float((np.abs(result.astype(int) - damaged.astype(int)) > _CHANGED)[~harmed].mean())
    wrong = float((np.abs(untouched.astype(int) - truth.astype(int)) > _CHANGED).mean())
    figures = f"{psnr(damaged, truth):.2f} | {psnr(result, truth):.2f} | {psnr(median, truth):.2f}"
    return f"| {name} | {halved:.1%} | {changed:.3%} | {wrong:.3%} | {figures} | {spent:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--clips", nargs="*", default=[name for name, _ in CLIPS])
    chosen = parser.parse_args()
    print(
        "| clip | recall (error at least halved) | sound pixels changed | changed in the sound clip "
        "| PSNR before | after | tmedian | ms |"
    )
    print("|---|---|---|---|---|---|---|---|")
    if chosen.tuning:
        for path, first, size in TUNING:
            print(row(f"{Path(path).name} {first}", other_clip(chosen.data / path, first, size), first), flush=True)
    else:
        for name, first in (c for c in CLIPS if c[0] in chosen.clips):
            print(row(f"{name} {first}", clip(chosen.data, name, first)[:_FRAMES], first + len(name)), flush=True)


if __name__ == "__main__":
    main()
