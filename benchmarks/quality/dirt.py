"""Dirt on film, simulated on real clips: how much of it does ``dust`` take out, and what else does it change?

    python -m benchmarks.quality.dirt DATA [--tuning] [--clips NAME ...] [--vapoursynth PYTHON]

DATA is the folder of real clips. The dirt is that of :mod:`vidsr.training.degradation.old_film`, half of it bright and
half dark, each mark in one frame only: small specks, or large ones with soft-edged hairs. In every other row it lies
on film with other faults (``_OTHERS``, and grain), which belong to the truth then, as ``dust`` is not to mend them.
``--tuning`` takes the material on which constants of :mod:`vidsr.filters.before.dust` were chosen: clips, and
photographs that are made to pan and sway. The others had no say. Of the filters of ffmpeg and of VapourSynth
(:mod:`benchmarks.quality.vapoursynth`) the best setting counts for each row.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates

from benchmarks.quality import cadence_clips as clips
from benchmarks.quality.film import CLIPS, Pictures, best, by_ffmpeg, by_others, clip, codes, cut, psnr, restored
from vidsr.filters.before.dust import Dust
from vidsr.frames import Floats
from vidsr.training.degradation.old_film.options import OldFilmOptions
from vidsr.training.degradation.old_film.simulator import aged_clip

#: Clips for choosing constants: path, first frame, width and height.
TUNING = (
    ("fate/displaymatrix.mp4", 0, (160, 240)),
    ("androidx-media/bear-vp9-odd-dimensions.webm", 0, (160, 120)),
    ("androidx-media/sample_rotate_and_reflect.mp4", 0, (360, 240)),
    ("androidx-media/sample_h262_mpeg_audio.ps", 0, (320, 212)),
    ("torchcodec/bt709_full_range.mp4", 0, (320, 180)),
    ("fate/coolitnow-partial.vob", 0, (360, 240)),
    ("androidx-media/sample_with_ssa_subtitles.mkv", 0, (360, 240)),
    ("androidx-media/hlg10-color-test.mp4", 0, (320, 180)),
)
#: Photographs of ``bsd100`` that are moved for the same purpose.
STILLS = (3, 17, 24, 39, 58, 81, 92, 66)
_FRAMES, _STILL_SIZE = 18, (240, 160)
#: The two strengths, and the faults that every other row has besides.
STRENGTHS: dict[str, dict[str, float | tuple[float, float]]] = {
    "small": {"dirt": 2.0},
    "large": {"dirt": 0.7, "dirt_radius": (2.0, 7.0), "hairs": 0.4},
}
_OTHERS = {"weave": 0.12, "jump": 0.1, "scratches": 2, "exposure": 0.01, "breathing": 0.01}
#: Grain of the rows with other faults, in 8-bit code values, and its size in px.
_GRAIN, _GRAIN_PX = 3.0, 0.7
_FFMPEG = (
    *("tmedian=radius=1", "tmedian=radius=2", "format=gray,removegrain=m0=2", "format=gray,removegrain=m0=4"),
    "atadenoise=0a=0.3:0b=3:s=5",
)
_VAPOURSYNTH = (
    *("clean()", "clean(block=16)", "clean(thsad=1000)", "clean(thsad=300)", "clean(2)", "clean(2, 16, 1000)"),
    *(f"with_colour(lambda c: core.zsmooth.DegrainMedian(c, limit=[{limit}], mode=[0]))" for limit in (16, 255)),
    *("core.zsmooth.Clense(clip)", "core.zsmooth.RemoveGrain(clip, mode=[4])"),
)
#: Differences, in 8-bit code values, from which a pixel is harmed, from which visibly, and above which it counts as
#: changed.
_HARMED, _SEEN, _CHANGED = 0.5, 10, 2


def other_clip(path: Path, first: int, size: tuple[int, int]) -> Floats:
    """``[T, H, W, 3]``, 0 to 1: the luma of a clip."""
    width, height = size
    chain = f"yadif=deint=interlaced,select='gte(n,{first})',scale={width}:{height}:flags=area,format=gray"
    command = [clips.FFMPEG, "-v", "error", "-i", str(path), "-vf", chain, "-fps_mode", "passthrough"]
    raw = subprocess.run(
        [*command, "-frames:v", str(_FRAMES), "-f", "rawvideo", "-"], check=True, capture_output=True
    ).stdout
    luma = np.frombuffer(raw, np.uint8).reshape(-1, height, width).astype(np.float32) / 255
    return np.repeat(luma[..., None], 3, 3)


def moved_still(path: Path, other: Path, seed: int) -> Floats:
    """``[T, H, W, 3]``, 0 to 1: a photograph that pans and sways and waves like leaves in a part of it, and an oval of
    another that swings and turns in front of it as quick limbs do."""
    rng = np.random.default_rng(seed)
    behind, front = (np.asarray(Image.open(p).convert("L"), np.float32) / 255 for p in (path, other))
    width, height = _STILL_SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pan, sway, period = rng.uniform(-2.5, 2.5, 2), rng.uniform(0, 4), rng.uniform(6, 20)
    waves = gaussian_filter(rng.standard_normal((2, 3, height, width)), (0, 0, 12, 12))
    waves *= rng.uniform(0.5, 3) / waves.std() * (np.hypot(y - height / 2, x - width / 2) < height / 3)
    axes, swing, spin = rng.uniform(10, 40, 2), rng.uniform(5, 50, 2), rng.uniform(-1.5, 1.5)
    frames = []
    for n in range(_FRAMES):
        turn = 2 * np.pi * n / period
        dy, dx = pan * (n - _FRAMES / 2) + sway * np.array([np.sin(turn), np.cos(0.7 * turn)])
        wave = sum(waves[:, k] * np.sin(turn * (0.7 + 0.6 * k) + 2 * k) for k in range(3))
        picture = _sampled(behind, y + dy + wave[0], x + dx + wave[1])
        place = np.array([height, width]) * (0.5, 0.3) + swing * np.array([np.sin(turn), np.cos(turn * 0.8)])
        cosine, sine = np.cos(spin * np.sin(turn)), np.sin(spin * np.sin(turn))
        up, along = y - place[0], x - place[1]
        up, along = cosine * up - sine * along, sine * up + cosine * along
        inside = gaussian_filter((np.hypot(up / axes[0], along / axes[1]) < 1).astype(np.float32), 0.7)
        frames.append(picture + inside * (_sampled(front, up + height / 2, along + width / 2) - picture))
    return np.repeat(np.array(frames, np.float32).clip(0, 1)[..., None], 3, 3)


def _sampled(picture: Floats, y: Floats, x: Floats) -> Floats:
    """A photograph at these places, with its middle in the middle of the frame."""
    offset = (np.array(picture.shape) - np.array(_STILL_SIZE[::-1])) / 2
    return np.asarray(map_coordinates(picture, (y + offset[0], x + offset[1]), order=3, mode="reflect"), np.float32)


def inner(pictures: Pictures) -> Pictures:
    """Without the first and the last frame, which have no neighbours on one side."""
    return pictures[1:-1]


def by_chain(damaged: Pictures, chain: str) -> Pictures:
    """All pictures but the first and the last through ffmpeg; those for which it gives none stay as they are."""
    made = by_ffmpeg(damaged, chain)
    lost = (len(damaged) - len(made)) // 2
    return inner(np.concatenate((damaged[:lost], made, damaged[len(damaged) - lost :])))


def dirtied(whole: Floats, strength: str, mixed: bool, seed: int) -> tuple[Floats, Floats]:
    """A clip with dirt, and the same without it; with other faults on both where ``mixed``."""
    others = _OTHERS if mixed else {}
    made = [
        cut(aged_clip(whole, OldFilmOptions(**others, **dirt), seed=seed).clip) for dirt in (STRENGTHS[strength], {})
    ]
    if mixed:
        grain = np.random.default_rng(seed).standard_normal(made[0].shape[:3])
        grain = gaussian_filter(grain, (0, _GRAIN_PX, _GRAIN_PX))
        grain *= _GRAIN / 255 / grain.std()
        made = [np.clip(pictures + grain[..., None], 0, 1).astype(np.float32) for pictures in made]
    return made[0], made[1]


def row(name: str, whole: Floats, strength: str, mixed: bool, seed: int, python: str | None) -> str:
    """One line of the table."""
    dirt, clean = dirtied(whole, strength, mixed, seed)
    harmed = inner(np.abs(dirt - clean).max(3) * 255 > _HARMED)
    truth, damaged = codes(clean), codes(dirt)
    result, spent = restored(damaged, Dust())
    untouched, _ = restored(truth, Dust())
    theirs = [by_chain(damaged, chain) for chain in _FFMPEG]
    others = [inner(made) for made in by_others(_VAPOURSYNTH, damaged, python)]
    truth, damaged, result, untouched = map(inner, (truth, damaged, result, untouched))
    before, after = (np.abs(p.astype(int) - truth.astype(int)) for p in (damaged, result))
    seen = before >= _SEEN
    halved = float((2 * after <= before)[seen].mean())
    changed = float((np.abs(result.astype(int) - damaged.astype(int)) > _CHANGED)[~harmed].mean())
    wrong = float((np.abs(untouched.astype(int) - truth.astype(int)) > _CHANGED).mean())
    figures = f"{psnr(damaged, truth):.2f} | {psnr(result, truth):.2f} | {best(theirs, truth)} | {best(others, truth)}"
    faults = f"{strength}{', other faults' if mixed else ''}"
    return f"| {name} | {faults} | {halved:.1%} | {changed:.3%} | {wrong:.3%} | {figures} | {spent:.0f} |"


def tuning(data: Path) -> Iterator[tuple[int, str, Floats, int]]:
    """Number, name, clip and seed of the material for choosing constants."""
    for number, (path, first, size) in enumerate(TUNING):
        yield number, f"{Path(path).name} {first}", other_clip(data / path, first, size), first
    for number, still in enumerate(STILLS):
        paths = (data / "bsd100" / f"{n:03d}.png" for n in (still, STILLS[(number + 1) % len(STILLS)]))
        yield len(TUNING) + number, f"still {still}", moved_still(*paths, still), still


def judging(data: Path, names: list[str]) -> Iterator[tuple[int, str, Floats, int]]:
    """Number, name, clip and seed of what judges."""
    for number, (name, first) in enumerate(CLIPS):
        if name in names:
            yield number, f"{name} {first}", clip(data, name, first)[:_FRAMES], first + len(name)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--clips", nargs="*", default=[name for name, _ in CLIPS])
    parser.add_argument("--vapoursynth", metavar="PYTHON", help="interpreter with VapourSynth and the filters")
    chosen = parser.parse_args()
    print(
        "| clip | dirt | recall (error at least halved) | sound pixels changed | changed in the sound clip "
        "| PSNR before | after | ffmpeg | VapourSynth | ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    material = tuning(chosen.data) if chosen.tuning else judging(chosen.data, chosen.clips)
    for number, name, whole, seed in material:
        for place, strength in enumerate(STRENGTHS):
            print(row(name, whole, strength, (number + place) % 2 == 1, seed, chosen.vapoursynth), flush=True)


if __name__ == "__main__":
    main()
