"""Frames through filters of VapourSynth, which runs in an interpreter of its own.

That interpreter is Python 3.12 or later with numpy and, from PyPI, vapoursynth 81, vsjetpack 2.2.6, vs-placebo 2.0.4
(it wants a Vulkan driver; Mesa's software one does) and the plugins vapoursynth-akarin 1.5, -awarp 3.1, -bifrost 4,
-composite 2, -decross 3, -dedot 4, -descratch 4, -dotkill 4, -edgemasks 4.1, -hysteresis 1.3, -mvtools 29,
-nlm-ispc 4.1, -resize2 0.5.1, -vszip 23.1, -znedi3 3.3 and -zsmooth 0.20. Each benchmark names the filters it tries.
"""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vidsr.frames import Frame

#: What the expressions can use besides ``core``, ``vs`` and ``clip``.
#: ``clean``: a median of each frame and its neighbours, moved to where its blocks are (SpotLess's method).
#: ``recoded``: through ``composite.Restore``, on a raster of 720 columns and the standard's height; what is too high
#: goes through in two parts.
_SCRIPT = """
import sys
import numpy as np
import vapoursynth as vs
from vsdeband import mdb_bilateral, pfdeband
from vsdehalo import YAHR, dehalo_alpha, edge_cleaner, fine_dehalo, hq_dering, smooth_dering, vine_dehalo
core = vs.core
core.num_threads = 1
folder, *expressions = sys.argv[1:]
planes = [np.load(path) for path in sorted(__import__("pathlib").Path(folder).glob("?.npy"))]
count, height, width = planes[0].shape
form = vs.YUV420P8 if len(planes) == 3 else vs.GRAY8
blank = core.std.BlankClip(format=form, width=width, height=height, length=count, fpsnum=25)

def filled(n, f):
    made = f.copy()
    for number, plane in enumerate(planes):
        np.asarray(made[number])[:] = plane[n]
    return made

clip = core.std.ModifyFrame(blank, blank, filled)
clip = core.std.SetFrameProps(clip, _FieldBased=0, _Matrix=6, _Range=0)
deep = core.std.Expr(clip, "x 256 *", vs.YUV420P16 if len(planes) == 3 else vs.GRAY16)

def transposed(act):
    return core.std.Transpose(act(core.std.Transpose(clip)))

def with_colour(act):
    if len(planes) == 3:
        return act(clip)
    grey = core.std.BlankClip(clip, format=vs.YUV420P8, color=[0, 128, 128])
    made = act(core.std.ShufflePlanes([clip, grey, grey], [0, 1, 2], vs.YUV))
    return core.std.ShufflePlanes(made, 0, vs.GRAY)

def compensated(radius, block, thsad):
    sup = core.mv.Super(clip, pel=2)
    ways = []
    for delta in range(1, radius + 1):
        for back in (True, False):
            found = core.mv.Analyse(sup, isb=back, delta=delta, blksize=block, overlap=block // 2)
            ways.append(core.mv.Compensate(clip, sup, found, thsad=thsad))
    return ways

def clean(radius=1, block=8, thsad=10000):
    ways = compensated(radius, block, thsad)
    around = [*ways[0::2][::-1], clip, *ways[1::2]]
    median = core.zsmooth.TemporalMedian(core.std.Interleave(around), radius=radius, scenechange=0)
    return core.std.SelectEvery(median, len(around), radius)

def recoded(standard, field=2, **options):
    high = 576 if standard == "pal" else 480
    if clip.height <= high:
        parts = [clip]
    else:
        parts = [core.std.CropAbs(clip, width=width, height=high)]
        parts.append(core.std.CropAbs(clip, width=width, height=high, top=height - high))
    made = []
    for part in parts:
        part = core.std.AddBorders(part, right=720 - width, bottom=high - part.height, color=[16, 128, 128])
        part = core.std.SetFrameProps(part, _FieldBased=field)
        part = core.composite.Restore(part, standard=standard, **options)
        part = core.resize.Bilinear(part, format=vs.YUV420P8, dither_type="none")
        made.append(core.std.CropAbs(part, width=width, height=min(height, high)))
    if len(made) == 1:
        return made[0]
    upper = core.std.CropAbs(made[0], width=width, height=height // 2)
    return core.std.StackVertical([upper, core.std.Crop(made[1], top=height // 2 - (height - high))])

for number, expression in enumerate(expressions):
    made = eval(expression)
    frames = [[np.asarray(frame[n]).copy() for n in range(len(planes))] for frame in made.frames()]
    for n in range(len(planes)):
        np.save(f"{folder}/made-{number}-{n}.npy", np.stack([frame[n] for frame in frames]))
"""


def by_vapoursynth(expressions: Sequence[str], frames: Sequence[Frame], python: str) -> Iterator[list[Frame]]:
    """The frames, 8-bit grey or 4:2:0 of limited range, after each expression.

    Args:
        expressions: Python that makes a clip of ``clip``, or of ``deep``, the same with 16 bits.
        frames: as many as the results have.
        python: the interpreter.

    Raises:
        CalledProcessError: an expression failed; the interpreter has written why to the standard error.
    """
    count = len(frames[0].planes)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            np.save(Path(folder) / f"{number}.npy", np.stack([frame.planes[number] for frame in frames]))
        subprocess.run([python, "-c", _SCRIPT, folder, *expressions], check=True)
        for number in range(len(expressions)):
            made = [np.load(Path(folder) / f"made-{number}-{n}.npy") for n in range(count)]
            form = frames[0].format.with_depth(made[0].dtype.itemsize * 8)
            yield [
                dataclasses.replace(frame, planes=tuple(plane[n] for plane in made), format=form)
                for n, frame in enumerate(frames)
            ]
