"""Whether ``--faces hold`` keeps faces: landmarks and likeness against the truth, with the hold and without.

    python -m benchmarks.quality.faces --cache FOLDER carphone=carphone.mp4:0:8 …
    python -m benchmarks.quality.faces --cache FOLDER --damage 26 carphone=… (sources through x264 at that crf)

Each sequence is reduced by four with area averaging and enlarged again by a network that draws detail. In every face
that YuNet finds in the truth with a score of at least 0.6, of at least 24 pixels there, and finds in the source, two
results are held against the truth: LPIPS (AlexNet) over 1.3 times the box and at least 64 pixels, and the mean
distance of the five landmarks as a share of the face's size (the root of its area), where YuNet finds it in both. The
last column is by how much a result changes from frame to frame more or less than the truth, in code values.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.quality.restoration import Clip, as_x264, enlarged, read_sequence, reduced, tensor_of, treated
from vidsr.filters.hold.faces import LIKELY, Face, FaceBox, FaceFinder
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions
from vidsr.quality.lpips import Lpips

SCALE = 4
#: Smallest face in the truth, in its pixels, and smallest side of the part that LPIPS sees.
SMALLEST_PX, PART_PX = 24, 64
_SAME = 0.3
#: A face in a result may score less than one in the truth.
_SCORE_IN_RESULT = 0.2


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """One face: its size in source pixels, and LPIPS and landmark error without and with the hold (None: not found)."""

    size: float
    lpips: tuple[float, float]
    landmarks: tuple[float, float] | None
    unrest: tuple[float, float] | None


def figures(truth: Clip, source: Clip, results: tuple[Clip, Clip], lpips: Lpips) -> Iterator[FaceFigures]:
    """Of every face of every frame."""
    sure, doubtful, in_source = FaceFinder(), FaceFinder(_SCORE_IN_RESULT), FaceFinder(LIKELY)
    for n in range(len(truth)):
        small = [_scaled(face.box, SCALE) for face in in_source(tensor_of(source[n : n + 1]))]
        pictures = [tensor_of(clip[n : n + 1]) for clip in (truth, *results)]
        found = [doubtful(picture) for picture in pictures[1:]]
        for face in sure(pictures[0]):
            if min(face.box.width, face.box.height) < SMALLEST_PX or not _near(face.box, small):
                continue
            parts = [_part(picture, face.box) for picture in pictures]
            distances = [_landmarks(face, others) for others in found]
            unrest = None
            if n:
                steps = [
                    float((_part(tensor_of(clip[n : n + 1]) - tensor_of(clip[n - 1 : n]), face.box)).abs().mean()) * 255
                    for clip in (truth, *results)
                ]
                unrest = (abs(steps[1] - steps[0]), abs(steps[2] - steps[0]))
            a, b = distances
            yield FaceFigures(
                size=max(face.box.width, face.box.height) / SCALE,
                lpips=(float(lpips(parts[1], parts[0])), float(lpips(parts[2], parts[0]))),
                landmarks=None if a is None or b is None else (a, b),
                unrest=unrest,
            )


def _scaled(box: FaceBox, factor: float) -> FaceBox:
    return FaceBox(box.left * factor, box.top * factor, box.right * factor, box.bottom * factor)


def _near(box: FaceBox, others: list[FaceBox]) -> bool:
    return any(box.overlap(other) > _SAME for other in others)


def _landmarks(face: Face, others: tuple[Face, ...]) -> float | None:
    near = [other for other in others if other.box.overlap(face.box) > _SAME]
    if not near:
        return None
    other = max(near, key=lambda one: one.box.overlap(face.box))
    away = np.linalg.norm(np.array(face.points) - np.array(other.points), axis=1).mean()
    return float(away) / (face.box.width * face.box.height) ** 0.5


def _part(picture: Tensor, box: FaceBox) -> Tensor:
    """The part of ``[1, 3, H, W]`` around a face."""
    half = max(box.width, box.height) * 1.3 / 2
    sides = []
    for low, high, length in ((box.top, box.bottom, picture.shape[-2]), (box.left, box.right, picture.shape[-1])):
        size = min(length, max(PART_PX, round(2 * half)))
        start = min(max(0, round((low + high) / 2 - size / 2)), length - size)
        sides.append(slice(start, start + size))
    return picture[..., sides[0], sides[1]]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequences", nargs="+", metavar="NAME=PLACE[:FIRST:COUNT[:WxH]]")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the network's pictures")
    parser.add_argument("--model", default="realesrgan-x4plus")
    parser.add_argument("--damage", type=int, metavar="CRF", help="sources go through x264")
    wanted = parser.parse_args()
    wanted.cache.mkdir(parents=True, exist_ok=True)
    lpips = Lpips("alex")
    print(
        f"{'':<12}{'faces':>6}{'size':>6}   {'LPIPS free  hold':>22}   {'landmarks free  hold':>26}   change free  hold"
    )
    with Upscaler(ModelOptions(model=wanted.model, device="cpu")) as upscaler, torch.inference_mode():
        for text in wanted.sequences:
            sequence = read_sequence(text)
            source = reduced(sequence.truth)
            if wanted.damage is not None:
                source = as_x264(source, wanted.damage)
            plain, held = (
                treated(RestoreOptions(faces=faces), source, enlarged(upscaler, source, wanted.cache))
                for faces in ("free", "hold")
            )
            print(
                f"{sequence.name:<12}" + _line(list(figures(sequence.truth, source, (plain, held), lpips))), flush=True
            )


def _line(found: list[FaceFigures]) -> str:
    if not found:
        return "no face"
    size = np.mean([one.size for one in found])
    cells = f"{len(found):>6}{size:>6.0f}   "
    for pairs, unit in (
        ([one.lpips for one in found], ".4f"),
        ([one.landmarks for one in found if one.landmarks], ".2%"),
        ([one.unrest for one in found if one.unrest], ".2f"),
    ):
        if not pairs:
            cells += f"{'-':>26}   "
            continue
        free, hold = np.mean(pairs, axis=0)
        cells += f"{free:{unit}}  {hold:{unit}} ({hold / max(free, 1e-9) - 1:+.1%}, {len(pairs)})".rjust(26) + "   "
    return cells


if __name__ == "__main__":
    main()
