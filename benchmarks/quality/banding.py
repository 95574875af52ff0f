"""Bands against the truth: what inspection finds, and what ``deband`` gains beside ffmpeg's filters.

    python -m benchmarks.quality.banding DATA [--only CLIP,…] [--pictures FOLDER] [--vapoursynth PYTHON]

DATA is the folder of real clips; their parts are those of :mod:`benchmarks.quality.tape`; two made gradients come
first.
Every fourth frame is quantised to 6 and to 5 bits (all planes, to the middle of each step), or coded by x264 at a high
crf; then inspected, and filtered with the step that was found. Printed for each clip, with the mean over the real ones:

- the step that inspection found, 8-bit code values; 0 is none, and then nothing is filtered;
- *PSNR*: of all samples against the truth, before → after;
- *CAMBI* of luma (libvmaf's; 0: no bands), set to see steps of up to 8 rather than 1 of 255, before → after;
- the same two for ffmpeg's ``gradfun`` or ``deband``, and for VapourSynth's ``vszip.Deband`` (f3kdb's method) or
  ``placebo.Deband`` (:mod:`benchmarks.quality.vapoursynth`): whichever of many settings gives the clip the highest
  PSNR. They are told the true step; of what x264 coded, steps of 1 and of 2 are tried.

*sound*: the same frames as they are; the step found, and the share of samples that come out with another 8-bit code.
Results have 16 bits; PSNR takes their fractions of 8-bit codes, CAMBI their first ten bits.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.quality.tape import PARTS, coded, pictures, planes_of
from benchmarks.quality.tape_peers import FFMPEG, by_ffmpeg, from_raw
from benchmarks.quality.vapoursynth import by_vapoursynth
from vidsr.filters.banding.deband import Deband
from vidsr.filters.before.filter import deepened
from vidsr.filters.inspector import Inspector
from vidsr.frames import Floats, Frame
from vidsr.quality.vmaf import Libvmaf

#: A frame in so many is used.
_EVERY = 4
_BITS, _CRFS = (6, 5), (38, 46)
Harm = Callable[[Sequence[Frame]], list[Frame]]


def gradients() -> dict[str, Floats]:
    """Two clips ``[T, H, W, 3]`` that are nothing but smooth, the second one dark."""
    rows, columns = np.mgrid[:288, :352]
    sky = 0.35 + 0.25 * rows / 288 + 0.1 * columns / 352
    glow = 0.06 + 0.2 * np.exp(-((rows - 140) ** 2 + (columns - 180) ** 2) / 9000)
    tint = np.array([0.9, 1.0, 1.15])
    return {
        name: np.repeat((grey[..., None] * tint)[None], 3, 0).astype(np.float32)
        for name, grey in (("sky", sky), ("glow", glow))
    }


def quantised(bits: int) -> Harm:
    """To the middle of steps of ``2 ** (8 - bits)``."""
    step = 1 << (8 - bits)
    return lambda frames: [
        dataclasses.replace(f, planes=tuple(p // step * step + step // 2 for p in f.planes)) for f in frames
    ]


def compressed(crf: int) -> Harm:
    """Through x264."""

    def harm(frames: Sequence[Frame]) -> list[Frame]:
        form = ["-f", "rawvideo", "-pix_fmt", "yuv420p"]
        size = ["-s", f"{frames[0].width}x{frames[0].height}"]
        code = ["-c:v", "libx264", "-threads", "1", "-crf", str(crf), "-f", "matroska"]
        raw = b"".join(np.ascontiguousarray(p).tobytes() for f in frames for p in f.planes)
        return from_raw(_through_ffmpeg([], form, _through_ffmpeg([*form, *size], code, raw)), frames)

    return harm


def _through_ffmpeg(before: Sequence[str], after: Sequence[str], given: bytes) -> bytes:
    command = [FFMPEG, "-v", "error", *before, "-i", "-", *after, "-"]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def psnr(frames: Sequence[Frame], truth: Sequence[Sequence[Floats]]) -> float:
    """Over all samples, in 8-bit code values."""
    errors = [
        ((deepened(frame).planes[n] / 256 - plane) ** 2).ravel()
        for frame, planes in zip(frames, truth, strict=True)
        for n, plane in enumerate(planes)
    ]
    return float(10 * np.log10(255**2 / np.concatenate(errors).mean()))


def cambi(frames: Sequence[Frame]) -> float:
    """The mean over the frames."""
    with Libvmaf(frames[0].width, frames[0].height, 10, model="", feature="name=cambi:max_log_contrast=5") as tool:
        for frame in frames:
            luma = np.rint(deepened(frame).planes[0] / 64).clip(0, 1023).astype(np.uint16)
            tool.add(luma, luma)
        return float(np.mean(tool.scores("cambi_mlc_5")))


def step_found(frames: Sequence[Frame]) -> float:
    """What inspection says of these frames, each of which it looks at."""
    inspector = Inspector()
    for frame in frames:
        inspector.add([frame])
    return inspector.result(len(frames)).banding


def others(step: float) -> list[str]:
    """VapourSynth's filters, for this step."""
    sampled = ((2, 0.5), (2, 1.05), (4, 1.05), (5, 1.05), (6, 2.0), (7, 1.05), (7, 2.0))
    made = [
        f"core.vszip.Deband(deep, range={r}, thr=[{t * step}] * 3, grain=[0, 0], sample_mode={mode})"
        for mode, t in sampled
        for r in (16, 31)
    ]
    return made + [
        f"core.placebo.Deband(deep, planes=7, iterations=4, threshold={1000 * s * step / 255:.1f}, radius={r}, grain=0)"
        for s in (0.6, 1.2, 2.4)
        for r in (8, 16)
    ]


def chains(step: float) -> list[str]:
    """ffmpeg's filters, for this step."""
    made = [f"gradfun=strength={min(max(0.51, s * step), 64):g}:radius={r}" for s in (0.6, 1.2) for r in (16, 32)]
    shares = [min(0.5, s * step / 255) for s in (0.5, 1.05)]
    return made + [f"deband=1thr={t:g}:2thr={t:g}:3thr={t:g}:range={r}" for t in shares for r in (16, 32)]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One clip: the step found; PSNR and CAMBI of the source, the result and the best of ffmpeg and VapourSynth."""

    name: str
    step: float
    before: tuple[float, float]
    after: tuple[float, float]
    peer: tuple[float, float]
    other: tuple[float, float] | None

    def line(self) -> str:
        """In figures."""
        return f"{self.name}: step {self.step:.0f}; {_shown(self.before)} → {_shown(self.after)}{self.peers()}"

    def peers(self) -> str:
        """The others' figures."""
        return f"; ffmpeg {_shown(self.peer)}" + ("" if self.other is None else f"; VapourSynth {_shown(self.other)}")


def _shown(figures: tuple[float, float]) -> str:
    return f"{figures[0]:.2f} dB, CAMBI {figures[1]:.2f}"


def judged(
    name: str, clip: Floats, harm: Harm, steps: Sequence[float], pictures_at: Path | None, python: str | None
) -> Row:
    """Harm a clip, inspect and filter it; others are told ``steps``."""
    truth = [planes_of(rgb) for rgb in clip]
    source = harm(coded(clip))
    step = step_found(source)
    result = list(Deband(step)(iter(source))) if step else source
    theirs = [by_ffmpeg(chain, source) for told in steps for chain in chains(told)]
    best = max(theirs, key=lambda frames: psnr(frames, truth))
    asked = [expression for told in steps for expression in others(told)]
    made = [] if python is None else by_vapoursynth(asked, source, python)
    other = max(made, key=lambda frames: psnr(frames, truth), default=None)
    if pictures_at is not None:
        shown = [frames[1] for frames in (source, result, best, other) if frames is not None]
        _write(pictures_at / f"{name}-{step:.0f}.png".replace(" ", "_"), shown)
    before, after, peer = ((psnr(frames, truth), cambi(frames)) for frames in (source, result, best))
    return Row(name, step, before, after, peer, None if other is None else (psnr(other, truth), cambi(other)))


def changed(clip: Floats) -> tuple[float, float]:
    """The step found in a clip as it is, and the share of its samples that get another 8-bit code."""
    source = coded(clip)
    step = step_found(source)
    if not step:
        return 0.0, 0.0
    differ = [
        (np.abs(deepened(made).planes[n] / 256 - plane) > 0.5).ravel()
        for frame, made in zip(source, Deband(step)(iter(source)), strict=True)
        for n, plane in enumerate(frame.planes)
    ]
    return step, float(np.concatenate(differ).mean())


def _write(path: Path, frames: Sequence[Frame]) -> None:
    """Luma of these frames next to each other, dithered, its contrast tripled around the mean."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wide = np.concatenate([deepened(f).planes[0] / 256 for f in frames], 1)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, wide.shape)
    shown = (wide + noise).round()
    Image.fromarray((128 + 3 * (shown - shown.mean())).clip(0, 255).astype(np.uint8)).save(path)


def _together(rows: Sequence[Row]) -> str:
    """Means over clips."""

    def mean(figures: Sequence[tuple[float, float]]) -> tuple[float, float]:
        return float(np.mean([f[0] for f in figures])), float(np.mean([f[1] for f in figures]))

    theirs = [row.other for row in rows if row.other is not None]
    whole = Row(
        name="all",
        step=0,
        before=mean([row.before for row in rows]),
        after=mean([row.after for row in rows]),
        peer=mean([row.peer for row in rows]),
        other=mean(theirs) if theirs else None,
    )
    gain = min(row.after[0] - row.before[0] for row in rows)
    found = sum(row.step > 0 for row in rows)
    return (
        f"found in {found} of {len(rows)}; {_shown(whole.before)} → {_shown(whole.after)} "
        f"(least gain {gain:+.2f} dB){whole.peers()}"
    )


def main() -> int:
    """Quantise, inspect, filter, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of real clips")
    parser.add_argument("--only", help="names of clips, with commas between")
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write luma before, after and after ffmpeg here"
    )
    parser.add_argument("--vapoursynth", metavar="PYTHON", help="interpreter with VapourSynth and the filters")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    made = gradients()
    names = asked.only.split(",") if asked.only else [*made, *PARTS]
    clips = {n: made[n] if n in made else pictures(asked.data, PARTS[n])[::_EVERY] for n in names}
    ways = {f"{bits} bits": (quantised(bits), (float(1 << (8 - bits)),)) for bits in _BITS}
    ways |= {f"x264, crf {crf}": (compressed(crf), (1.0, 2.0)) for crf in _CRFS}
    for way, (harm, steps) in ways.items():
        print(f"{way}:")
        folder = None if asked.pictures is None else asked.pictures / way.replace(" ", "_")
        rows = []
        for name, clip in clips.items():
            rows.append(judged(name, clip, harm, steps, folder, asked.vapoursynth))
            print(f"  {rows[-1].line()}", flush=True)
        real = [row for row in rows if row.name in PARTS]
        if real:
            print(f"  real clips: {_together(real)}", flush=True)
    print("sound:")
    for name, clip in clips.items():
        step, share = changed(clip)
        print(f"  {name}: step {step:.0f}, {share:.4%} of the samples changed", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
