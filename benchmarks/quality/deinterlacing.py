"""Frames made of fields beside bwdif's and QTGMC's: PSNR, LPIPS, shimmer on still parts, and time.

    python -m benchmarks.quality.deinterlacing [--vapoursynth PYTHON] CLIP…

Each progressive clip (a video, or a pattern of numbered pictures, at most 31 frames, larger ones reduced to 640 columns
unless ``--full``) is made interlaced: of each frame only every second line is kept, the even and the odd ones by turns.
The moment of every field is then made whole again and compared with the frame that it was taken from. PSNR and LPIPS
are means over all frames but the first and the last four. Shimmer is the mean change in code values from frame to frame
where the truth changes by less than one.

QTGMC runs where PYTHON is an interpreter (3.12 and later) with vapoursynth, vsjetpack 2.2.6, and the plugins that its
QTempGaussMC loads (vapoursynth-mvutensils 6, -znedi3, -bwdif, -zsmooth, -resize2, -edgemasks, dfttest2[cpu]).
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import torch

from vidsr.filters.before.carried_fields import Moments
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.quality.lpips import Lpips

Pictures = npt.NDArray[np.uint8]
GREY = PixelFormat("gray", "gray", 8)
FRAMES, EDGE = 30, 4
QTGMC = """
import sys
import numpy as np
import vapoursynth as vs
from vsdeinterlace import QTempGaussMC

woven = np.load(sys.argv[1])
core = vs.core
shape = dict(width=woven.shape[2], height=woven.shape[1], length=len(woven), fpsnum=25)
blank = core.std.BlankClip(format=vs.GRAY8, **shape)

def filled(n, f):
    made = f.copy()
    np.asarray(made[0])[:] = woven[n]
    return made

grey = core.std.BlankClip(format=vs.YUV420P8, color=[0, 128, 128], **shape)
clip = core.std.ShufflePlanes([core.std.ModifyFrame(blank, blank, filled), grey, grey], [0, 1, 2], vs.YUV)
clip = core.std.SetFrameProps(clip, _FieldBased=2, _Matrix=1, _Range=0)  # limited
np.save(sys.argv[2], np.stack([np.asarray(frame[0]) for frame in QTempGaussMC().bob(clip).frames()]))
"""


def luma(source: str, full: bool) -> Pictures:
    """The luma of a clip, ``[frames, H, W]``, its sides multiples of 4."""
    limit = "iw" if full else "min(iw\\,640)"
    chain = f"scale=w='trunc({limit}/4)*4':h='trunc(ow*ih/iw/4)*4':flags=area,format=yuv420p,extractplanes=y"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", source, "-frames:v", str(FRAMES)]
    made = subprocess.run(
        [*command, "-vf", chain, "-f", "nut", "-c:v", "rawvideo", "-"], check=True, capture_output=True
    )
    with tempfile.NamedTemporaryFile(suffix=".nut") as file:
        Path(file.name).write_bytes(made.stdout)
        import av

        with av.open(file.name) as container:
            return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])


def woven(truth: Pictures) -> Pictures:
    """Two moments a frame, top field first."""
    made = truth[0::2].copy()
    made[:, 1::2] = truth[1::2, 1::2]
    return made


def ours(fields: Pictures) -> Pictures:
    """Both moments of each frame, by vidsr."""
    frames = [
        Frame(planes=(one,), format=GREY, colour=Colour(), index=n, pts=n, time_base=Fraction(1, 25))
        for n, one in enumerate(fields)
    ]
    moments = Moments("tff")

    def frame_at(number: int) -> Frame | None:
        return frames[number] if 0 <= number < len(frames) else None

    pairs = ((n, first) for n in range(len(frames)) for first in (True, False))
    return np.stack([moments.whole(n, frame_at, first=first).planes[0] for n, first in pairs])


def bwdif(fields: Pictures) -> Pictures:
    """The same by ffmpeg's bwdif."""
    height, width = fields.shape[1:]
    raw = ("-f", "rawvideo", "-pix_fmt", "gray")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-threads", "1", *raw, "-s", f"{width}x{height}"]
    command += ["-i", "-", "-vf", "setfield=tff,bwdif=send_field:tff", *raw, "-"]
    done = subprocess.run(command, input=fields.tobytes(), check=True, capture_output=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width)


def qtgmc(fields: Pictures, python: str, folder: Path) -> Pictures:
    """The same by VapourSynth's QTGMC in its default setting."""
    np.save(folder / "fields.npy", fields)
    subprocess.run([python, "-c", QTGMC, folder / "fields.npy", folder / "made.npy"], check=True)
    made: Pictures = np.load(folder / "made.npy")
    return made


def row(name: str, made: Pictures, truth: Pictures, lpips: Lpips, seconds: float) -> None:
    """Print the measures of one result."""
    inner = slice(EDGE, min(len(made), len(truth)) - EDGE)
    errors = ((made[inner].astype(float) - truth[inner]) ** 2).mean((1, 2))
    psnr = float(np.mean(10 * np.log10(255**2 / np.maximum(errors, 1e-4))))
    with torch.inference_mode():
        a, b = (torch.from_numpy(x[inner].astype(np.float32) / 255)[:, None].repeat(1, 3, 1, 1) for x in (made, truth))
        distance = float(torch.cat([lpips(x[None], y[None]) for x, y in zip(a, b, strict=True)]).mean())
    steps = [np.abs(np.diff(x[inner].astype(float), axis=0)) for x in (made, truth)]
    still = steps[1] < 1
    shimmer = float(steps[0][still].mean()) if still.mean() > 0.01 else float("nan")
    milliseconds = f"{1000 * seconds / len(made):6.1f} ms" if seconds else "     -   "
    print(f"  {name:<8} {psnr:6.2f} dB  LPIPS {distance:.4f}  shimmer {shimmer:5.3f}  {milliseconds}", flush=True)


def main() -> None:
    """Compare on the clips named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", metavar="CLIP", help="progressive videos, patterns of numbered pictures")
    parser.add_argument("--vapoursynth", metavar="PYTHON", help="interpreter with VapourSynth and QTGMC's plugins")
    parser.add_argument("--full", action="store_true", help="clips at their own size")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    lpips = Lpips("alex")
    for clip in chosen.clips:
        truth = luma(clip, chosen.full)
        fields = woven(truth)
        name = Path(clip).parent.name if "%" in clip else Path(clip).stem
        print(f"\n{name}: {len(truth)} frames of {truth.shape[2]}x{truth.shape[1]}", flush=True)
        start = time.process_time()
        made = ours(fields)
        row("vidsr", made, truth, lpips, time.process_time() - start)
        row("bwdif", bwdif(fields), truth, lpips, 0)
        if chosen.vapoursynth:
            with tempfile.TemporaryDirectory() as folder:
                row("QTGMC", qtgmc(fields, chosen.vapoursynth, Path(folder)), truth, lpips, 0)


if __name__ == "__main__":
    main()
