"""What models make of damaged video: flicker, PSNR and LPIPS against the truth, the first model being the measure.

    python -m benchmarks.quality.models_on_video --model realesr-general-x4v3 --model mine.safetensors \\
        foliage=vid4/foliage:0:16:384x256 bunny=bigbuckbunny.mp4:40:16:384x256

Sequences are as in :mod:`benchmarks.quality.restoration`. Each is reduced by four, sent through a codec, stored without
loss and enlarged by ``vidsr enhance``: by the network alone (``--fidelity 0 --no-colour-lock``), or with ``--steps`` by
the default job. The warping error follows the truth's motion (:mod:`vidsr.quality.temporal`), on all frames; PSNR is
over RGB, frame by frame; LPIPS is on AlexNet and on VGG16, on every fifth frame.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality.multiframe import DAMAGES, enlarged
from benchmarks.quality.restoration import EVERY, Clip, Sequence, read_sequence, reduced, tensor_of, write_lossless
from vidsr.quality.lpips import Lpips
from vidsr.quality.temporal import back_motion, warping_error

DAMAGED = ("x264, crf 28", "x264, crf 32", "MPEG-2")


@dataclass(frozen=True, slots=True)
class VideoFigures:
    """What was measured of one result; the warping error in squared code values of 1."""

    warping: float
    psnr: float
    alex: float
    vgg16: float

    def against(self, other: VideoFigures) -> str:
        """One line, with the changes from ``other``."""
        return (
            f"warping error {self.warping * 1e4:6.2f}e-4 ({self.warping / other.warping - 1:+6.1%})  "
            f"PSNR {self.psnr:5.2f} dB ({self.psnr - other.psnr:+.2f})  "
            f"LPIPS {self.alex:.4f} ({self.alex / other.alex - 1:+6.1%}), "
            f"on VGG16 {self.vgg16:.4f} ({self.vgg16 / other.vgg16 - 1:+6.1%})"
        )


class VideoJudge:
    """Measures results against one true sequence."""

    def __init__(self, truth: Clip) -> None:
        self._truth = truth
        self._motion = [back_motion(before, now) for before, now in pairwise(truth)]
        self._alex, self._vgg16 = Lpips("alex"), Lpips("vgg16")

    @torch.inference_mode()
    def of(self, clip: Clip) -> VideoFigures:
        """The figures of one result."""
        if clip.shape != self._truth.shape:
            raise SystemExit(f"the result is {clip.shape}, expected {self._truth.shape}: are these models for scale 4?")
        error = ((clip.astype(np.float64) - self._truth) ** 2).mean((1, 2, 3))
        flicker = [warping_error(m, *pair) for m, pair in zip(self._motion, pairwise(clip), strict=True)]
        pairs = [(tensor_of(clip[n : n + 1]), tensor_of(self._truth[n : n + 1])) for n in range(1, len(clip), EVERY)]
        return VideoFigures(
            warping=float(np.mean(flicker)),
            psnr=float(np.mean(10 * np.log10(255**2 / error))),
            alex=float(np.mean([self._alex(*pair).item() for pair in pairs])),
            vgg16=float(np.mean([self._vgg16(*pair).item() for pair in pairs])),
        )


def compare(sequence: Sequence, damage: str, models: list[str], judge: VideoJudge, *, steps: bool) -> None:
    """Print a line for each model."""
    first: VideoFigures | None = None
    alone: dict[str, float | bool] = {} if steps else {"fidelity": 0.0, "colour_lock": False}
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source.mkv"
        write_lossless(DAMAGES[damage](reduced(sequence.truth)), source)
        for model in models:
            found = judge.of(enlarged(source, Path(name), model, **alone))
            first = first or found
            print(f"{damage:<13} {sequence.name:<9} {Path(model).stem:<22} {found.against(first)}", flush=True)


def main() -> None:
    """Read the arguments, print all lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--model", action="append", required=True, help="a name or a file; may be repeated")
    parser.add_argument("--damage", action="append", choices=list(DAMAGES), help="only this; may be repeated")
    parser.add_argument("--steps", action="store_true", help="with the default steps after the network")
    wanted = parser.parse_args()
    for text in wanted.sequences:
        sequence = read_sequence(text)
        judge = VideoJudge(sequence.truth)
        for damage in wanted.damage or DAMAGED:
            compare(sequence, damage, wanted.model, judge, steps=wanted.steps)


if __name__ == "__main__":
    main()
