"""Time-base errors: how much of them `--restore wobble` takes away, and what it changes in sound clips.

    python -m benchmarks.quality.wobble DATA [--only "carphone,bikes a"] [--ways "as it is,still"] [--pictures FOLDER]

Each part of :data:`CLIPS`, 25 frames or as many as there are, is given the bandwidth of VHS and noise of σ 1, and then
displaced line by line by the simulator (0.5 px, alike on neighbouring lines). This is done in five ways:

- *as it is*: the clip as it moves;
- *blanking*: with ten black columns on the left and eight on the right, displaced with their lines, as captures have;
- *still*: the first frame repeated, with other noise in each frame;
- *still, blanking*: both;
- *woven*: two moments of the clip in each frame, one for each field, with blanking.

Printed: the RMS of what was displaced and of what is left, px; PSNR of all samples against the clip that was not
displaced, before and after; whether inspection recommends the filter, for the displaced clip and for the other; and the
share of that other clip's samples that the filter changes. What all lines of a frame share counts as displaced too.

No filter of ffmpeg, or of the VapourSynth packages on PyPI by their names, moves single lines: there is no other row.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.quality.tape import PARTS, Part, coded, pictures, psnr, write_sheet
from vidsr.filters.tape.search import TapeSearch
from vidsr.filters.tape.wobble import Wobble, corrections, measured
from vidsr.frames import Floats, Frame
from vidsr.training.degradation.tape.faults import TapeFaults, damaged
from vidsr.training.degradation.tape.lines import rows_moved, time_base_errors

#: The clips of :mod:`benchmarks.quality.tape`, and four more.
CLIPS = {
    **PARTS,
    "hlg": Part(path="androidx-media/hlg10-color-test.mp4", size=(352, 240), filters="crop=352:240:200:100"),
    "ten bits": Part(path="torchcodec/h264_10bits.mp4", size=(200, 200), first=3, filters="crop=200:200:0:0"),
    "stream": Part(path="androidx-media/sample_h262_mpeg_audio.ps", size=(352, 240), filters="crop=352:240:0:0"),
    "rotated": Part(path="androidx-media/sample_rotate_and_reflect.mp4", size=(352, 240), filters="crop=352:240"),
}
WAYS = ("as it is", "blanking", "still", "still, blanking", "woven")
_FRAMES, _SIGMA, _NOISE, _MHZ = 25, 0.5, 1.0, 3.0
_LEFT_PX, _RIGHT_PX = 10, 8
Shifts = list[npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A clip without displaced lines, with them, and by how much each was displaced."""

    clean: list[Frame]
    source: list[Frame]
    errors: Shifts


def case_of(data: Path, part: Part, way: str) -> Case:
    """One clip in one of :data:`WAYS`."""
    woven = way == "woven"
    clip = pictures(data, part, _FRAMES * (2 if woven else 1))
    if woven:
        clip = clip[: len(clip) // 2 * 2]
        fields = clip[0::2].copy()
        fields[:, 1::2] = clip[1::2, 1::2]
        clip = fields
    if way.startswith("still"):
        clip = np.repeat(clip[:1], _FRAMES, axis=0)
    if way in ("blanking", "still, blanking", "woven"):
        clip = clip.copy()
        clip[:, :, :_LEFT_PX] = clip[:, :, -_RIGHT_PX:] = 0
    clip = damaged(clip, TapeFaults(luma_bandwidth=_MHZ, line_width=720), 3).clip
    errors = [_SIGMA * e for e in time_base_errors(len(clip), clip.shape[1], np.random.default_rng(3))]
    noise = np.random.default_rng(4).normal(0, _NOISE / 255, clip.shape).astype(np.float32)
    moved = np.stack([rows_moved(picture, own, black=False) for picture, own in zip(clip, errors, strict=True)])
    return Case(clean=coded(_played(clip, noise)), source=coded(_played(moved, noise)), errors=errors)


def _played(clip: Floats, noise: Floats) -> Floats:
    return np.asarray((clip + noise).clip(0, 1), np.float32)


def left_px(case: Case) -> float:
    """RMS of what is left of the displacement, in the frames with two neighbours on each side, px."""
    frames = list(measured(iter(case.source)))
    before, after = Wobble.lookaround
    left = []
    for n in range(2, len(frames) - 2):
        low = max(0, n - before)
        left.append(case.errors[n] + corrections(frames[low : n + after + 1], n - low))
    return rms(left)


def rms(shifts: Shifts) -> float:
    """Over all lines."""
    return float(np.sqrt(np.mean(np.square(shifts)))) if shifts else 0.0


def changed_share(frames: list[Frame]) -> float:
    """Share of the samples of a clip that the filter changes."""
    changed = total = 0
    for was, now in zip(frames, Wobble()(iter(frames)), strict=True):
        for a, b in zip(was.planes, now.planes, strict=True):
            changed, total = changed + int((a != b).sum()), total + a.size
    return changed / total


def is_found(frames: list[Frame]) -> bool:
    """Whether inspection finds displaced lines in these frames, taken for one stretch."""
    search = TapeSearch()
    search.add(frames)
    return bool(search.result().wobble)


def main() -> int:
    """Displace, inspect, move back, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of real clips")
    parser.add_argument("--only", help="names of clips, with commas between")
    parser.add_argument("--ways", help="ways, with semicolons between")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="write frames before, after, and as they were")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for way in asked.ways.split(";") if asked.ways else WAYS:
        print(f"{way}:")
        gains, wrong = [], 0
        for name in asked.only.split(",") if asked.only else CLIPS:
            case = case_of(asked.data, CLIPS[name], way)
            if len(case.source) < 5:
                continue
            mended = list(Wobble()(iter(case.source)))
            before, after = psnr(case.source, case.clean), psnr(mended, case.clean)
            found, falsely = (is_found(frames) for frames in (case.source, case.clean))
            gains.append(after - before)
            wrong += falsely
            print(
                f"  {name}: {rms(case.errors[2:-2]):.2f} px, left {left_px(case):.2f} px; "
                f"{before:.2f} → {after:.2f} dB ({after - before:+.2f}); "
                f"{'found' if found else 'not found'}; not displaced: "
                f"{'found' if falsely else 'not found'}, {changed_share(case.clean):.4%} changed",
                flush=True,
            )
            if asked.pictures is not None:
                asked.pictures.mkdir(parents=True, exist_ok=True)
                path = asked.pictures / f"wobble-{way}-{name}.png".replace(" ", "_").replace(",", "")
                write_sheet(path, case.source, mended, case.clean)
        print(
            f"  all: gain {np.mean(gains):+.2f} dB, least {min(gains):+.2f}, at least 1 dB in "
            f"{sum(g >= 1 for g in gains)} of {len(gains)}; false alarms {wrong}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
