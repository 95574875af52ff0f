"""What ``--multiframe auto`` chooses on clean and damaged sources, and what it gains: flicker, PSNR and LPIPS.

    python -m benchmarks.quality.multiframe foliage=vid4/foliage carphone=carphone_pristine.mp4:0:31
    python -m benchmarks.quality.multiframe --measure temporal.py --damage clean carphone=carphone_pristine.mp4:0:31
    python -m benchmarks.quality.multiframe --damage clean --reduction area --reduction bicubic bsd9=009.png:0:7:256x192

Sequences and the script of ``--measure`` are as in :mod:`benchmarks.quality.restoration`. Each sequence is reduced by
four, by area or in the ways of ``--reduction``, damaged and stored without loss, so that ``auto`` judges by its
pictures alone. Without ``--measure`` only its choice is shown. With it the source is enlarged by ``vidsr enhance`` with
the option off and on auto, and both are held against the plain network's result, which is ``--multiframe off --fidelity
0 --no-colour-lock``.

``--joints`` measures the joints of windows in place of that: the same frames are numbered from 0, 8, 16 and 24, so that
each of four places is a joint once and lies inside a window three times. It reports the step over the joint itself, and
the steps in which the windows on both sides fade into each other.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.quality.reductions import KERNELS, reduced_by
from benchmarks.quality.restoration import (
    Clip,
    Figures,
    Judge,
    Sequence,
    _frame_of,
    as_jpeg,
    as_x264,
    load_measure,
    read_sequence,
    reduced,
    rounded,
    tensor_of,
    through_codec,
    with_noise,
    write_lossless,
)
from vidsr import enhance
from vidsr.filters.after.multiframe import AUTO_SHARE, Multiframe
from vidsr.filters.after.post import post_steps
from vidsr.filters.after.propagation import FADE, WINDOW
from vidsr.filters.after.soundness import AROUND, judge, look
from vidsr.frames import Frame, FrameRange
from vidsr.inference.colour import rgb8_of
from vidsr.inference.recurrent import DrawnFrame, recurrent_form
from vidsr.inference.upscaler import Upscaler
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.models.zoo import RECURRENT_MODEL, load_model
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions
from vidsr.quality.lpips import Lpips


def as_mpeg2(clip: Clip) -> Clip:
    """The sequence through MPEG-2 at the bits per pixel of 3 Mbit/s for 720x576 at 25 frames a second."""
    rate = round(3e6 * clip.shape[1] * clip.shape[2] / (720 * 576))
    return through_codec(clip, "-c:v", "mpeg2video", "-b:v", str(rate), "-g", "12", "-bf", "2")


DAMAGES: dict[str, Callable[[Clip], Clip]] = {
    "clean": lambda clip: clip,
    "noise, sigma 5": with_noise,
    "noise, sigma 10": partial(with_noise, sigma=10),
    "JPEG, quality 75": partial(as_jpeg, quality=75),
    "JPEG, quality 40": as_jpeg,
    "x264, crf 24": partial(as_x264, crf=24),
    "x264, crf 28": partial(as_x264, crf=28),
    "x264, crf 32": as_x264,
    "MPEG-2": as_mpeg2,
}


def _reduced(truth: Clip, how: str) -> Clip:
    # By area as the other benchmarks do it, so that halves are rounded alike.
    return reduced(truth) if how == "area" else rounded(reduced_by(how, tensor_of(truth)))


@torch.inference_mode()
def choice(source: Clip) -> str:
    """How many frames ``auto`` would mix with their neighbours, how far, and what speaks against the others."""
    looks = [look(_unit(frame)) for frame in source]
    judged = [judge(looks[max(0, n - AROUND) : n + AROUND + 1]) for n in range(len(looks))]
    against = Counter(one.against for one in judged if one.against)
    used, trust = sum(one.is_used for one in judged), float(np.mean([max(one.trust, one.noisy) for one in judged]))
    reasons = "; ".join(f"{reason} ({count})" for reason, count in against.most_common())
    aliases = np.mean([one.aliasing for one in looks if one is not None])
    return f"{used:2} of {len(judged)} frames, mean trust {trust:.2f}, log-odds of aliases {aliases:+5.1f}  {reasons}"


def _unit(frame: Clip) -> Tensor:
    return tensor_of(frame[None])


def enlarged(source: Path, folder: Path, model: str = "realesrgan-x4plus", **options: str | float | bool) -> Clip:
    """The frames that ``vidsr enhance`` makes of ``source``."""
    output = folder / "result.mkv"
    enhance(source, output, model=model, scale=4, codec="ffv1", overwrite=True, verify=False, **options)  # type: ignore[arg-type]
    return np.stack([rgb8_of(frame) for frame in read_frames(probe(output))])


def figures(name: str, found: Figures, plain: Figures) -> str:
    """One line of a table, against the plain network."""
    return (
        f"  {name:<8} warping error {found.flicker / plain.flicker - 1:+6.1%}  PSNR {found.psnr:6.2f} dB "
        f"({found.psnr - plain.psnr:+.2f})  LPIPS {found.lpips:.4f} ({found.lpips / plain.lpips - 1:+6.1%})"
    )


#: Numbers of the first frame when joints are measured; windows lie at multiples of WINDOW.
SHIFTS = (0, 8, 16, 24)


class Windowed:
    """The frames of one source mixed with their neighbours, windows lying elsewhere each time; ``share`` None: auto."""

    def __init__(self, source: Clip, share: float | None = AUTO_SHARE) -> None:
        cpu = torch.device("cpu")
        self._source, self._share = source, share
        self._network = recurrent_form(load_model(RECURRENT_MODEL).network, cpu, torch.float32)
        upscaler = Upscaler(ModelOptions(model="realesrgan-x4plus", device="cpu"))
        with torch.inference_mode():
            self._drawn = [upscaler.fitted(_unit(picture)).float() for picture in source]

    @torch.inference_mode()
    def numbered_from(self, first: int) -> Clip:
        """The results where the first frame has this number."""
        span = FrameRange(first=first, start=first, stop=first + len(self._source))
        mixing = Multiframe(self._share, None).over(
            span, self._network, torch.float32, self._rgb, lambda out, frame: out, lambda seconds: None, lambda *_: None
        )
        frames: list[Frame] = [_frame_of(picture, number) for number, picture in enumerate(self._source)]
        done: list[DrawnFrame] = []
        for frame in mixing.ahead(iter(frames)):
            done += mixing.mix([DrawnFrame(frame, self._rgb(frame), self._drawn[frame.index], None)])
        waiting = mixing.waiting()
        done += [] if waiting is None else [mixing.last(waiting)]
        return self._finished(done)

    @torch.inference_mode()
    def alone(self) -> Clip:
        """The results without the option."""
        frames = [_frame_of(picture, number) for number, picture in enumerate(self._source)]
        return self._finished(
            [DrawnFrame(f, self._rgb(f), out, None) for f, out in zip(frames, self._drawn, strict=True)]
        )

    @staticmethod
    def _finished(done: list[DrawnFrame]) -> Clip:
        """The results after the default steps."""
        results = []
        for drawn in done:
            out = drawn.out
            for step in post_steps(RestoreOptions()):
                out = step(drawn.source, out, [drawn.frame])
            results.append(rounded(out))
        return np.concatenate(results)

    def _rgb(self, frame: Frame) -> Tensor:
        return _unit(self._source[frame.index])


def joints(sequence: Sequence, scorer: Judge) -> None:
    """Print how much more flicker there is where one window ends and the next begins."""
    windowed = Windowed(reduced(sequence.truth))
    results = {shift: windowed.numbered_from(shift) for shift in SHIFTS}
    ratios = []
    for shift in SHIFTS:
        places = range(WINDOW - shift - FADE, WINDOW - shift + FADE + 1)
        steps = {name: [scorer.step(c[at - 1], c[at], at) for at in places] for name, c in results.items()}
        inside = np.mean([errors for name, errors in steps.items() if name != shift], axis=0)
        ratios.append(np.array(steps[shift]) / inside)
    found = np.array(ratios)
    print(
        f"{sequence.name}: warping error at {len(found)} joints of windows, against the same places inside one: "
        f"x {found[:, FADE].mean():.3f}, at most x {found[:, FADE].max():.3f}; "
        f"{found.shape[1]} steps around them: x {found.mean():.3f}, the worst of these x {found.mean(0).max():.3f}",
        flush=True,
    )


def main() -> None:
    """Read the arguments, print what is chosen and what it gains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--measure", type=Path, help="the script that defines the warping error")
    parser.add_argument("--damage", action="append", choices=list(DAMAGES), help="only this; may be repeated")
    parser.add_argument(
        "--reduction", action="append", choices=list(KERNELS), help="how it is reduced, may be repeated; default: area"
    )
    parser.add_argument("--share", action="append", default=[], help="measure this share, too; may be repeated")
    parser.add_argument("--joints", action="store_true", help="the joints of windows instead; 37 frames or more")
    wanted = parser.parse_args()
    if wanted.joints and wanted.measure is None:
        parser.error("--joints needs --measure")
    measure = None if wanted.measure is None else load_measure(wanted.measure)
    distance = None if measure is None else Lpips("alex")
    for text in wanted.sequences:
        sequence = read_sequence(text)
        scorer = None if measure is None or distance is None else Judge(sequence.truth, measure, distance)
        if wanted.joints and scorer is not None:
            joints(sequence, scorer)
            continue
        for reduction, damage in product(wanted.reduction or ["area"], wanted.damage or DAMAGES):
            source = DAMAGES[damage](_reduced(sequence.truth, reduction))
            print(f"{sequence.name:<10} {reduction:<12} {damage:<17} {choice(source)}", flush=True)
            if scorer is None:
                continue
            with tempfile.TemporaryDirectory() as name:
                place = Path(name) / "source.mkv"
                write_lossless(source, place)
                plain = scorer.of(enlarged(place, Path(name), multiframe="off", fidelity=0.0, colour_lock=False))
                for share in ("off", "auto", *wanted.share):
                    print(figures(share, scorer.of(enlarged(place, Path(name), multiframe=share)), plain), flush=True)


if __name__ == "__main__":
    main()
