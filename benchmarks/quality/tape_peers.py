"""Free filters that come nearest to those for video tape: ffmpeg's own, and those of VapourSynth."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Sequence

import imageio_ffmpeg
import numpy as np

from vidsr.frames import Frame
from vidsr.training.degradation.tape.faults import TapeFaults

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
#: Filter → what VapourSynth does instead (see :mod:`benchmarks.quality.vapoursynth`); the best of them counts.
VAPOURSYNTH = {
    "dropout": (
        *("clean()", "clean(thsad=1000)", "clean(2)", "core.zsmooth.TemporalMedian(clip, radius=1, scenechange=0)"),
        *(f"transposed(lambda c: core.descratch.DeScratch(c, modey=3, {more}))" for more in ("minlen=20", "mindif=10")),
    ),
    "dotcrawl": (
        *("core.dedot.Dedot(clip)", "core.dedot.Dedot(clip, luma_2d=10, luma_t=40)"),
        *("core.dotkill.DotKillS(clip)", "core.dotkill.DotKillT(clip)"),
        *("core.vszip.Checkmate(clip)", "core.vszip.Checkmate(clip, thr=24, tmax=24)"),
    ),
    "rainbow": (
        *("core.dedot.Dedot(clip)", "core.dedot.Dedot(clip, chroma_t1=40, chroma_t2=20)"),
        *("core.decross.DeCross(clip)", "core.dotkill.DotKillT(clip)"),
        *(
            f"core.bifrost.Bifrost(clip, interlaced=0, {more})"
            for more in ("luma_thresh=10", "luma_thresh=30, variation=1")
        ),
    ),
    "dehalo": (
        *("fine_dehalo(clip)", "fine_dehalo(clip, darkstr=0.5)", "fine_dehalo(clip, darkstr=1, thmi=20, thma=60)"),
        *("fine_dehalo(clip, blur=2.0, darkstr=1, thmi=20, thma=60)", "fine_dehalo(clip, rx=3, darkstr=1)"),
        *("dehalo_alpha(clip)", "dehalo_alpha(clip, darkstr=1)", "dehalo_alpha(clip, blur=2.0, darkstr=1)"),
        *("hq_dering(clip)", "smooth_dering(clip)", "vine_dehalo(clip)", "YAHR(clip)", "edge_cleaner(clip)"),
    ),
}


def others(name: str, faults: TapeFaults) -> Sequence[str]:
    """Expressions for VapourSynth; the best of them counts."""
    if name not in ("dotcrawl", "rainbow"):
        return VAPOURSYNTH.get(name, ())
    return [*VAPOURSYNTH[name], f"recoded('{faults.composite}', refine=0)"]


def chains(name: str, faults: TapeFaults) -> Sequence[str]:
    """Chains of ffmpeg's filters; the best of them counts."""
    if name == "chroma":
        samples = -round(faults.chroma_delay / 2)
        return (f"chromashift=cbh={samples}:crh={samples}",)
    if name == "headswitch":
        return (f"fillborders=bottom={faults.head_switching_rows}:mode=smear",)
    if name == "bleed":
        return [f"unsharp=la=0:cx={size}:cy=3:ca={amount}" for size in (5, 9, 13) for amount in (0.3, 0.6, 1.0)]
    if name == "dehalo":
        return [f"unsharp=lx={size}:ly=3:la=-{amount}" for size in (5, 9) for amount in (0.2, 0.4, 0.8)]
    if name == "dotcrawl":
        return ("dedot=m=dotcrawl", "dedot=m=dotcrawl:lt=0.2:tl=0.2")
    if name == "rainbow":
        return ("dedot=m=rainbows", "dedot=m=rainbows:tc=0.2:ct=0.06")
    return ("tmedian=radius=1", "tmedian=radius=2")


def by_ffmpeg(chain: str, frames: Sequence[Frame]) -> list[Frame]:
    """The frames through filters of ffmpeg."""
    width, height = frames[0].width, frames[0].height
    raw = b"".join(np.ascontiguousarray(p).tobytes() for f in frames for p in f.planes)
    form = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}"]
    command = [FFMPEG, "-v", "error", *form, "-i", "-", "-vf", chain, "-threads", "1", *form[:4], "-"]
    made = subprocess.run(command, input=raw, check=True, capture_output=True).stdout
    lost = (len(frames) - len(made) // (width * height * 3 // 2)) // 2  # tmedian gives no first and last frame
    return [*frames[:lost], *from_raw(made, frames[lost : len(frames) - lost]), *frames[len(frames) - lost :]]


def from_raw(made: bytes, frames: Sequence[Frame]) -> list[Frame]:
    """``frames`` with the planes of raw 8-bit 4:2:0."""
    width, height = frames[0].width, frames[0].height
    luma, each = width * height, width * height * 3 // 2
    result = []
    for n, frame in enumerate(frames):
        part = np.frombuffer(made, np.uint8)[n * each : (n + 1) * each]
        colour = part[luma:].reshape(2, height // 2, width // 2)
        planes = (part[:luma].reshape(height, width), colour[0], colour[1])
        result.append(dataclasses.replace(frame, planes=planes))
    return result
