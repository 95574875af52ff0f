"""Deinterlacing and inverse telecine beside ffmpeg's own filters, against the progressive original.

    python -m benchmarks.quality.fields [CLIP…]

Each progressive clip (the sample and a slow pan over a still if none is given) is made interlaced or telecined by
ffmpeg, without loss and for telecine as MPEG-2 too, then taken back by vidsr and by ffmpeg. Printed are the number of
frames against the truth's, whether every pts is exactly the true one, and the mean PSNR of luma over all frames but the
first and the last two.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from vidsr.frames import Frame
from vidsr.jobs.recipe.restoration_plan import plan_times, reader
from vidsr.media.decode import read_frames
from vidsr.media.index import index_video
from vidsr.media.probe import probe
from vidsr.options.enhance_options import EnhanceOptions

SAMPLES = Path(__file__).parents[2] / "samples"
PAN = (
    *("-loop", "1", "-t", "2", "-r", "24", "-i", str(SAMPLES / "bigbuckbunny-320x180.png")),
    *("-vf", "scale=960:540:flags=lanczos,crop=320:240:x='40+3*n':y='30+n'"),
)
FILM = ("-i", str(SAMPLES / "bigbuckbunny-160x90.mp4"))
LOSSLESS = ("-c:v", "ffv1", "-pix_fmt", "yuv420p")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "4", "-pix_fmt", "yuv420p", "-flags", "+ildct+ilme")
Luma = list[npt.NDArray[np.float64]]


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg."""
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *arguments], check=True)


def filtered(source: Path, chain: str, folder: Path, rate: str, codec: Sequence[str] = LOSSLESS) -> Path:
    """A clip through ffmpeg's filters, its frames shown at ``rate`` before them."""
    made = folder / f"{len(list(folder.iterdir()))}.mkv"
    ffmpeg("-r", rate, "-i", str(source), "-vf", chain, *codec, "-fps_mode", "passthrough", str(made))
    return made


def lumas(frames: Iterable[Frame]) -> Luma:
    """Luma planes."""
    return [f.planes[0].astype(np.float64) for f in frames]


def psnr(result: Luma, truth: Luma) -> float:
    """Mean over the frames that both have, without the first and the last two."""
    errors = [((a - b) ** 2).mean() for a, b in zip(result, truth, strict=False)][2:-2]
    return float(np.mean([10 * np.log10(255**2 / max(e, 1e-4)) for e in errors]))


def ours(source: Path, restore: str, fields: str = "same") -> list[Frame]:
    """What vidsr's filters give, with the times that they give."""
    from vidsr.jobs.recipe.filter_chain import compose
    from vidsr.jobs.state.segments import Segment

    options = EnhanceOptions.from_flat({"restore": restore, "fields": fields})
    info = probe(source)
    index = index_video(info)
    table = plan_times(info, index, options)
    count = len(index) if table is None else len(table.entries)
    read = reader(table, lambda first, stop: read_frames(info, first, stop, index))
    chain = compose(options)
    return list(chain.source(read, Segment(number=0, start=0, stop=count), count))


def line(what: str, result: Sequence[Frame], truth: Luma, step: Fraction) -> None:
    """Print count, times and PSNR; ``step`` is the true time between frames."""
    start = result[0].pts * result[0].time_base
    # Matroska rounds the source's own times to a millisecond.
    right = all(abs(f.pts * f.time_base - start - n * step) <= Fraction(1, 1000) for n, f in enumerate(result))
    value = psnr(lumas(result), truth)
    times = "right" if right else "WRONG"
    print(f"  {what:<34} {len(result):3} of {len(truth):3} frames, times {times}, {value:6.2f} dB", flush=True)


def compare(name: str, arguments: Sequence[str], folder: Path) -> None:
    """Make the clips of one original, take them back, print."""
    original = folder / "original.mkv"
    ffmpeg(*arguments, *LOSSLESS, "-frames:v", "96", str(original))
    frames = lumas(islice(read_frames(probe(original)), 96))
    print(f"\n{name}: {len(frames)} frames of {frames[0].shape[1]}x{frames[0].shape[0]}")
    for order, first in (("tff", "top"), ("bff", "bottom")):
        made = filtered(original, f"tinterlace=interleave_{first},setfield={order}", folder, "50")
        print(f" interlaced, {order}")
        line("vidsr deinterlace", ours(made, f"deinterlace={order}"), frames[0::2], Fraction(1, 25))
        theirs = filtered(made, f"bwdif=send_frame:{order}", folder, "25")
        line("ffmpeg bwdif=send_frame", list(read_frames(probe(theirs))), frames[0::2], Fraction(1, 25))
        line("vidsr deinterlace, fields double", ours(made, f"deinterlace={order}", "double"), frames, Fraction(1, 50))
        theirs = filtered(made, f"bwdif=send_field:{order}", folder, "25")
        line("ffmpeg bwdif=send_field", list(read_frames(probe(theirs))), frames, Fraction(1, 50))
        for codec, label in ((LOSSLESS, "lossless"), (MPEG2, "MPEG-2")):
            telecine = f"telecine=first_field={first},setfield={order}"
            made = filtered(original, telecine, folder, "24000/1001", codec)
            print(f" telecined, {order}, {label}")
            line("vidsr ivtc", ours(made, f"ivtc={order}"), frames, Fraction(1001, 24000))
            theirs = filtered(made, f"fieldmatch=order={order},decimate", folder, "30000/1001")
            line("ffmpeg fieldmatch,decimate", list(read_frames(probe(theirs))), frames, Fraction(1001, 24000))


def main() -> None:
    """Compare on the clips named, or on two of the repository's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", metavar="CLIP", help="progressive videos; default: two made ones")
    named = parser.parse_args().clips
    clips = {Path(c).name: ("-i", c) for c in named} or {"film (Big Buck Bunny)": FILM, "pan over a still": PAN}
    for name, arguments in clips.items():
        with tempfile.TemporaryDirectory() as folder:
            compare(name, arguments, Path(folder))


if __name__ == "__main__":
    main()
