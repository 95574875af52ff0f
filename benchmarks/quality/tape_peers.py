"""Free filters that come nearest to those for video tape: ffmpeg's own, and VapourSynth's where it is installed.

VapourSynth runs where PYTHON is an interpreter (3.12 and later) with vapoursynth 81, vapoursynth-dedot 4, -decross 3,
-dotkill 4, vsjetpack 2.2.6 and the plugins that its vsdehalo loads (-zsmooth, -vszip, -akarin, -resize2, -edgemasks).
"""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from vidsr.frames import Frame
from vidsr.training.degradation.tape.faults import TapeFaults

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
#: Filter → what VapourSynth does instead, from ``clip``; the best of them counts.
VAPOURSYNTH = {
    "dotcrawl": (
        *("core.dedot.Dedot(clip)", "core.dedot.Dedot(clip, luma_2d=10, luma_t=40)"),
        *("core.dotkill.DotKillS(clip)", "core.dotkill.DotKillT(clip)"),
    ),
    "rainbow": (
        *("core.dedot.Dedot(clip)", "core.dedot.Dedot(clip, chroma_t1=40, chroma_t2=20)"),
        *("core.decross.DeCross(clip)", "core.dotkill.DotKillT(clip)"),
    ),
    "dehalo": ("fine_dehalo(clip)", "fine_dehalo(clip, darkstr=0.5, brightstr=1)"),
}
_SCRIPT = """
import sys
import numpy as np
import vapoursynth as vs
core = vs.core
try:
    from vsdehalo import fine_dehalo
except ImportError:
    pass
planes = [np.load(f"{sys.argv[1]}/{n}.npy") for n in range(3)]
count, height, width = planes[0].shape
blank = core.std.BlankClip(format=vs.YUV420P8, width=width, height=height, length=count, fpsnum=25)

def filled(n, f):
    made = f.copy()
    for number, plane in enumerate(planes):
        np.asarray(made[number])[:] = plane[n]
    return made

clip = core.std.SetFrameProps(core.std.ModifyFrame(blank, blank, filled), _FieldBased=0, _Matrix=6, _Range=1)
made = eval(sys.argv[2])
frames = [[np.asarray(frame[n]).copy() for n in range(3)] for frame in made.frames()]
for n in range(3):
    np.save(f"{sys.argv[1]}/{n}.npy", np.stack([frame[n] for frame in frames]))
"""


def chains(name: str, faults: TapeFaults) -> Sequence[str]:
    """Chains of ffmpeg's filters; the best of them counts."""
    if name == "chroma":
        samples = -round(faults.chroma_delay / 2)
        return (f"chromashift=cbh={samples}:crh={samples}",)
    if name == "headswitch":
        return (f"fillborders=bottom={faults.head_switching_rows}:mode=smear",)
    if name == "dehalo":
        return [f"unsharp=lx={size}:ly=3:la=-{amount}" for size in (5, 9) for amount in (0.2, 0.4, 0.8)]
    if name == "dotcrawl":
        return ("dedot=m=dotcrawl", "dedot=m=dotcrawl:lt=0.2:tl=0.2")
    if name == "rainbow":
        return ("dedot=m=rainbows", "dedot=m=rainbows:tc=0.2:ct=0.06")
    return ("tmedian=radius=1",)


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


def by_vapoursynth(expression: str, frames: Sequence[Frame], python: str) -> list[Frame]:
    """The frames through filters of VapourSynth."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(3):
            np.save(Path(folder) / f"{number}.npy", np.stack([frame.planes[number] for frame in frames]))
        subprocess.run([python, "-c", _SCRIPT, folder, expression], check=True)
        made = [np.load(Path(folder) / f"{number}.npy") for number in range(3)]
    return [dataclasses.replace(frame, planes=tuple(plane[n] for plane in made)) for n, frame in enumerate(frames)]
