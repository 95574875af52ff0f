"""Lost frames of a capture: are the places found, and how close do refilled frames come to the true ones?

    python -m benchmarks.quality.lost_frames DATA [damaged] [others]

DATA is the folder of real clips (``CONTENT`` in ``cadence_clips``). ``damaged``: from each, frames are taken out at
random places (one frame, sometimes two), and the clip is coded in three ways: time stamps kept (ffmpeg's ``select``),
the frame before shown again in place of the lost one, and the frame after shown early. Printed for each:

- *found*: places found of those where a lost frame differs visibly from the one shown (or that leave a gap), and in
  brackets of all; *false*: places found where nothing is missing, or of another length;
- *refilled* and *repeated*: mean PSNR of luma, over visibly different lost frames, of the frames that ``--restore
  refill`` makes, and of the frame before shown again, against the frames taken out.

``others`` are the clips as they are, and those of ``cadence``: whatever is found by motion there is false.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality import cadence_clips as clips
from vidsr.filters.between.made_frames import FramesBetween
from vidsr.frames import Frame
from vidsr.inference.colour import rgb_of
from vidsr.jobs.inspect import inspect_file
from vidsr.jobs.recipe.restoration_plan import reader
from vidsr.jobs.recipe.source_plan import plan_source
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.models.ifnet import load
from vidsr.options.enhance_options import EnhanceOptions

#: Frames of each clip; frames kept between two places; most frames whose PSNR is measured in a clip.
_FRAMES, _APART, _MEASURED = 150, 9, 6
#: Mean difference of luma, in 8-bit code values, from which a lost frame is visible.
_VISIBLE = 1.0
WAYS = ("stamps", "before again", "after early")
CODECS = (clips.x264(20), clips.x264(28), ("-c:v", "mpeg2video", "-q:v", "4"))


def places(count: int, seed: int) -> list[range]:
    """Frames to lose: one, or in one of four places two, at random distances."""
    rng = np.random.default_rng(seed)
    found, at = [], 8
    while at < count - 8:
        length = int(rng.choice((1, 1, 1, 2)))
        found.append(range(at, at + length))
        at += length + _APART + int(rng.integers(0, 8))
    return found


def damage(frames: Sequence[clips.Picture], lost: Sequence[range], way: str, path: Path, codec: Sequence[str]) -> None:
    """Code ``frames`` as a capture that lost some of them."""
    gone = {n for run in lost for n in run}
    if way == "stamps":
        height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
        chain = "select='not(" + "+".join(f"eq(n,{n})" for n in sorted(gone)) + ")'"
        command = [clips.FFMPEG, "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p"]
        command += ["-s", f"{width}x{height}", "-r", "25", "-i", "-", "-vf", chain, "-fps_mode", "passthrough"]
        command += [*codec, "-threads", "1", str(path)]
        subprocess.run(command, check=True, input=b"".join(f.tobytes() for f in frames))
        return
    shown = list(frames)
    for run in lost:
        for n in run:
            shown[n] = frames[run[0] - 1 if way == "before again" else run[-1] + 1]
    clips.write(path, shown, clips.F25, tuple(codec))


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Of two luma planes of 8 bits."""
    return float(10 * np.log10(255**2 / max(((one.astype(float) - other) ** 2).mean(), 1e-3)))


def judged(frames: Sequence[clips.Picture], lost: Sequence[range], way: str, path: Path) -> tuple[list[int], str]:
    """(found, visible, false) and a line on one damaged clip."""
    rows = frames[0].shape[0] * 2 // 3
    found, _ = inspect_file(path)
    says = {(round(place.at * 25), place.count) for place in found.lost}
    truth = {(run[0], len(run)): run for run in lost}

    def differs(run: range) -> bool:
        ends = frames[run[0] - 1], frames[run[-1] + 1]
        steps = [ends[0], *(frames[n] for n in run), ends[1]]
        return all(np.abs(a[:rows].astype(int) - b[:rows]).mean() > _VISIBLE for a, b in pairwise(steps))

    visible = {key for key, run in truth.items() if way == "stamps" or differs(run)}
    false = says - set(truth)
    refilled, repeated = _made(frames, [truth[key] for key in sorted(says & set(truth))], path)
    text = (
        f"found {len(says & visible)} of {len(visible)} ({len(says & set(truth))} of {len(truth)}), "
        f"false {len(false)}{f' {sorted(false)}' if false else ''}"
    )
    if refilled:
        text += f"; refilled {np.mean(refilled):.2f} dB, repeated {np.mean(repeated):.2f} dB ({len(refilled)} frames)"
    return [len(says & visible), len(visible), len(false)], text


@torch.inference_mode()
def _made(frames: Sequence[clips.Picture], runs: Sequence[range], path: Path) -> tuple[list[float], list[float]]:
    """PSNR of the frames that refill makes, and of the ones before them, for some of the lost frames."""
    rows = frames[0].shape[0] * 2 // 3
    plan = plan_source(probe(path), EnhanceOptions.from_flat({"restore": "refill"}))
    index = plan.index()
    timeline = plan.timeline(index)
    planned = plan.frames(index, timeline, None)
    if planned.table is None:
        return [], []
    read = reader(timeline, lambda a, b: read_frames(plan.decoded, a, b, index))
    wanted = [n for run in runs for n in run][:: max(1, sum(map(len, runs)) // _MEASURED)]
    making = FramesBetween(table=planned.table, device=torch.device("cpu"), network=load(), rgb=rgb_of)
    numbers = {
        round((e.pts - planned.index.pts[0]) * planned.table.time_base * 25): n
        for n, e in enumerate(planned.table.entries)
    }
    refilled, repeated = [], []
    for moment in wanted:
        number = numbers[moment]
        if not planned.table.entries[number].share:
            continue
        low, high = planned.table.needed(number, number + 1)
        pair: list[Frame] = list(read(low, high))
        (made,) = making.frames(iter(pair), number, number + 1)
        refilled.append(psnr(made.planes[0], frames[moment][:rows]))
        repeated.append(psnr(pair[0].planes[0], frames[moment][:rows]))
    return refilled, repeated


def damaged(data: Path, folder: Path) -> None:
    """Every content in every way of losing frames."""
    totals = {way: [0, 0, 0] for way in WAYS}
    for seed, name in enumerate(clips.CONTENT):
        content = clips.CONTENT[name]
        frames = clips.pictures(data, name)[: _FRAMES + 60]
        frames = (clips.distinct(frames) if content.repeats else frames)[:_FRAMES]
        lost = places(len(frames), seed)
        for number, way in enumerate(WAYS):
            codec = CODECS[(seed + number) % len(CODECS)]
            path = folder / f"{name}.mkv"
            damage(frames, lost, way, path, codec)
            counts, text = judged(frames, lost, way, path)
            totals[way] = [a + b for a, b in zip(totals[way], counts, strict=True)]
            coded = " ".join(part for part in codec if part.isdigit() or part.startswith(("lib", "mpeg")))
            print(f"  {name}, {way}, {coded}: {text}", flush=True)
    for way, (hits, visible, false) in totals.items():
        print(f"  {way}: {hits} of {visible} found, {false} false", flush=True)


def others(data: Path, folder: Path) -> None:
    """Clips that lost nothing, as far as is known."""
    false = count = 0
    for number, other in enumerate(clips.OTHERS):
        path = other.make(data, folder / f"{number}{other.suffix}")
        found, _ = inspect_file(path)
        by_motion = [place for place in found.lost if place.by == "motion"]
        gaps = len(found.lost) - len(by_motion)
        false, count = false + bool(by_motion), count + 1
        where = ", ".join(f"{float(place.at):.3f} s ({place.count})" for place in by_motion)
        print(f"  {other.name}: by motion {where or 'nothing'}; {gaps} gaps in the time stamps", flush=True)
    print(f"  {false} of {count} with false finds by motion")


def main() -> int:
    """Damage every clip, inspect it, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="the folder of real clips")
    parser.add_argument("parts", nargs="*", metavar="PART", help="damaged, others; default: both")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        for part, work in (("damaged", damaged), ("others", others)):
            if not asked.parts or part in asked.parts:
                print(f"{part}:")
                work(asked.data, Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
