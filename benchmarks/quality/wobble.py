"""Time-base errors: three ways to measure the displacement of lines, against the truth. None of them is a filter.

    python -m benchmarks.quality.wobble DATA

Five frames of each clip are displaced line by line by the simulator (0.5 px, alike on neighbouring lines). Each way
then measures how far each line lies from a reference, by least squares on the gradient along the line:

- *motion*: against the mean of the frames before and after, carried along the motion;
- *in place*: against the mean of up to two frames on either side, as they are;
- *line above*: against the line above; the differences are summed up.

What changes slowly from line to line (Gaussian, 12 lines) is taken off, since slanted pictures and cameras make it.
Printed for frames with two neighbours: the RMS of what was displaced and of what is left, px; PSNR of luma before and
after moving the lines back; and by how much the clip as it is would be moved, RMS px.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.quality.tape import Part, coded, pictures
from vidsr.filters.before.motion import Planes, carried
from vidsr.frames import Floats, Frame
from vidsr.training.degradation.tape.lines import rows_moved, time_base_errors

#: Not the clips of :mod:`benchmarks.quality.tape`.
CLIPS = {
    "hlg": Part(path="androidx-media/hlg10-color-test.mp4", size=(352, 240), filters="crop=352:240:200:100"),
    "ten bits": Part(path="torchcodec/h264_10bits.mp4", size=(200, 200), first=3, filters="crop=200:200:0:0"),
    "stream": Part(path="androidx-media/sample_h262_mpeg_audio.ps", size=(352, 240), filters="crop=352:240:0:0"),
    "rotated": Part(path="androidx-media/sample_rotate_and_reflect.mp4", size=(352, 240), filters="crop=352:240"),
}
_FRAMES, _SIGMA, _SLOW_LINES, _EDGE_PX, _ROUNDS = 5, 0.5, 12, 8, 3
#: Samples that differ by more than this, in code values, have no say; what keeps even lines where they are.
_OUTLIER, _STILL = 30.0, 50.0
Shifts = npt.NDArray[np.float64]
Way = Callable[[Sequence[Floats]], list[Shifts]]


def moved(luma: Floats, shifts: Shifts) -> Floats:
    """Lines moved to the right by ``shifts`` px."""
    return rows_moved(luma[..., None], shifts, black=False)[..., 0]


def measured(luma: Floats, reference: Floats) -> Shifts:
    """How far each line lies to the right of its reference, px."""
    shifts = np.zeros(len(luma))
    for _ in range(_ROUNDS):
        there = moved(reference, shifts)
        slope = np.gradient(there, axis=1)
        differ = luma - there
        counts = np.abs(differ) < _OUTLIER
        counts[:, :_EDGE_PX] = counts[:, -_EDGE_PX:] = False
        shifts = shifts - np.clip((differ * slope * counts).sum(1) / ((slope**2 * counts).sum(1) + _STILL), -1, 1)
    return shifts


def without_slow(shifts: Shifts) -> Shifts:
    """``shifts`` less what changes slowly from line to line."""
    reach = 3 * _SLOW_LINES
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SLOW_LINES) ** 2)
    slow = np.convolve(np.pad(shifts, reach, mode="edge"), taps / taps.sum(), "valid")
    return np.asarray(shifts - slow)


def along_motion(frames: Sequence[Frame], lumas: Sequence[Floats]) -> list[Shifts]:
    """Against the neighbours along the motion."""
    planes = [
        Planes(dataclasses.replace(f, planes=(np.rint(y).clip(0, 255).astype(np.uint8), *f.planes[1:])))
        for f, y in zip(frames, lumas, strict=True)
    ]
    found = []
    for n, luma in enumerate(lumas):
        others = [carried(planes[n], planes[m])[0][0, 0].numpy() * 255 for m in (n - 1, n + 1) if 0 <= m < len(lumas)]
        found.append(without_slow(measured(luma, np.mean(others, 0))))
    return found


def in_place(lumas: Sequence[Floats]) -> list[Shifts]:
    """Against the neighbours as they are."""
    found = []
    for n, luma in enumerate(lumas):
        others = [lumas[m] for m in range(max(0, n - 2), min(len(lumas), n + 3)) if m != n]
        found.append(without_slow(measured(luma, np.mean(others, 0))))
    return found


def line_above(lumas: Sequence[Floats]) -> list[Shifts]:
    """Each line against the one above."""
    return [without_slow(np.concatenate(([0.0], np.cumsum(measured(y[1:], y[:-1]))))) for y in lumas]


def psnr(lumas: Sequence[Floats], truth: Sequence[Floats]) -> float:
    """Of luma, without the edges and the first and last frame."""
    inside = (slice(4, -4), slice(_EDGE_PX, -_EDGE_PX))
    errors = [(a[inside] - b[inside]) ** 2 for a, b in zip(lumas, truth, strict=True)][1:-1]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def rms(shifts: Sequence[Shifts]) -> float:
    """Over the frames with two neighbours."""
    return float(np.sqrt(np.mean(np.square(shifts[1:-1]))))


def main() -> int:
    """Displace, measure, move back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of real clips")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name, part in CLIPS.items():
        frames = coded(pictures(asked.data, part)[:_FRAMES])
        truth = [f.planes[0].astype(np.float32) for f in frames]
        errors = [_SIGMA * e for e in time_base_errors(len(truth), len(truth[0]), np.random.default_rng(3))]
        source = [moved(y, e) for y, e in zip(truth, errors, strict=True)]
        ways: dict[str, Way] = {
            "motion": lambda lumas, frames=frames: along_motion(frames, lumas),  # type: ignore[misc]
            "in place": in_place,
            "line above": line_above,
        }
        print(f"{name}: displaced {rms(errors):.2f} px, {psnr(source, truth):.2f} dB")
        for way, measure in ways.items():
            found = measure(source)
            mended = [moved(y, -s) for y, s in zip(source, found, strict=True)]
            left = rms([e - s for e, s in zip(errors, found, strict=True)])
            print(
                f"  {way}: left {left:.2f} px, {psnr(mended, truth):.2f} dB; "
                f"the clip as it is moves by {rms(measure(truth)):.3f} px",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
