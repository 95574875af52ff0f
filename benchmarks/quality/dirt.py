"""Dirt on film, simulated on real clips: how much of it does ``dust`` take out, and what else does it change?

    python -m benchmarks.quality.dirt DATA [--tuning] [--clips NAME ...] [--vapoursynth PYTHON]

DATA is the folder of real clips. The specks are those of :mod:`vidsr.training.degradation.old_film`, 2 per 128×128 px
on average, half of them bright and half dark, each in one frame only. ``--tuning`` takes the clips on which constants
of :mod:`vidsr.filters.before.dust` were chosen; the others had no say. Of the filters of ffmpeg and of VapourSynth
(:mod:`benchmarks.quality.vapoursynth`) the best setting counts for each clip.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.quality import cadence_clips as clips
from benchmarks.quality.film import CLIPS, Pictures, best, by_ffmpeg, by_others, clip, codes, cut, psnr, restored
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
_FFMPEG = (
    *("tmedian=radius=1", "tmedian=radius=2", "format=gray,removegrain=m0=2", "format=gray,removegrain=m0=4"),
    "atadenoise=0a=0.3:0b=3:s=5",
)
_VAPOURSYNTH = (
    *("clean()", "clean(block=16)", "clean(thsad=1000)", "clean(thsad=300)", "clean(2)", "clean(2, 16, 1000)"),
    *(f"with_colour(lambda c: core.zsmooth.DegrainMedian(c, limit=[{limit}], mode=[0]))" for limit in (16, 255)),
    *("core.zsmooth.Clense(clip)", "core.zsmooth.RemoveGrain(clip, mode=[4])"),
)
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


def by_chain(damaged: Pictures, chain: str) -> Pictures:
    """All pictures but the first and the last through ffmpeg; those for which it gives none stay as they are."""
    made = by_ffmpeg(damaged, chain)
    lost = (len(damaged) - len(made)) // 2
    return inner(np.concatenate((damaged[:lost], made, damaged[len(damaged) - lost :])))


def row(name: str, whole: Floats, seed: int, python: str | None) -> str:
    """One line of the table."""
    aged = aged_clip(whole, _DIRT, seed=seed)
    truth, damaged = codes(cut(whole)), codes(cut(aged.clip))
    harmed = inner(cut(aged.mask))
    result, spent = restored(damaged, Dust())
    untouched, _ = restored(truth, Dust())
    theirs = [by_chain(damaged, chain) for chain in _FFMPEG]
    others = [inner(made) for made in by_others(_VAPOURSYNTH, damaged, python)]
    truth, damaged, result, untouched = map(inner, (truth, damaged, result, untouched))
    before, after = (np.abs(p.astype(int) - truth.astype(int)) for p in (damaged, result))
    seen = before >= _SEEN
    halved = float((2 * after <= before)[seen].mean())
    changed = float((np.abs(result.astype(int) - damaged.astype(int)) > _CHANGED)[~harmed].mean())
    wrong = float((np.abs(untouched.astype(int) - truth.astype(int)) > _CHANGED).mean())
    figures = f"{psnr(damaged, truth):.2f} | {psnr(result, truth):.2f} | {best(theirs, truth)} | {best(others, truth)}"
    return f"| {name} | {halved:.1%} | {changed:.3%} | {wrong:.3%} | {figures} | {spent:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--clips", nargs="*", default=[name for name, _ in CLIPS])
    parser.add_argument("--vapoursynth", metavar="PYTHON", help="interpreter with VapourSynth and the filters")
    chosen = parser.parse_args()
    python = chosen.vapoursynth
    print(
        "| clip | recall (error at least halved) | sound pixels changed | changed in the sound clip "
        "| PSNR before | after | ffmpeg | VapourSynth | ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    if chosen.tuning:
        for path, first, size in TUNING:
            print(
                row(f"{Path(path).name} {first}", other_clip(chosen.data / path, first, size), first, python),
                flush=True,
            )
    else:
        for name, first in (c for c in CLIPS if c[0] in chosen.clips):
            whole = clip(chosen.data, name, first)[:_FRAMES]
            print(row(f"{name} {first}", whole, first + len(name), python), flush=True)


if __name__ == "__main__":
    main()
