"""Degradations of whole clips: what holds for all frames is drawn once, and what moves in time moves.

Blur, sizes, strengths and qualities are drawn once for a clip; noise and grain are new in each frame; scratches,
tracking noise, time-base errors and dot crawl move as film and tape move; fields come from neighbouring frames; and the
codec compresses the clip as it is, with the motion that it has. The order of events is that of
:mod:`vidsr.training.degradation.second_order`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.errors import TrainingError
from vidsr.frames import Floats
from vidsr.quality.bicubic import resize_bicubic_uint8
from vidsr.training.degradation import compression, film, second_order
from vidsr.training.degradation.old_film.gate import slow_walk
from vidsr.training.degradation.old_film.options import OldFilmOptions
from vidsr.training.degradation.old_film.simulator import aged_clip
from vidsr.training.degradation.options import DegradationOptions, FilmOptions, OverTimeOptions, TapeOptions
from vidsr.training.degradation.tape import patches
from vidsr.training.degradation.tape.faults import TapeFaults, damaged

#: Frames a second of clips, which sets how slow slow faults are.
_RATE = 25.0
#: Most frames that are compressed ahead of a clip, so that it need not begin with a keyframe.
_MOST_AHEAD = 3


def degrade_clip(high: Tensor, scale: int, options: DegradationOptions, rng: np.random.Generator) -> Tensor:
    """The low-resolution clip ``[T, 3, H/scale, W/scale]`` of ``[T, 3, H, W]``, both uint8 RGB, on the CPU.

    Raises:
        TrainingError: the recipe is ``paired``, which clips do not have; or a codec is missing or fails.
    """
    if options.recipe == "paired":
        raise TrainingError('[degradation] recipe = "paired": clips have no low-resolution twins; use another recipe')
    if options.recipe == "bicubic":
        return torch.stack([resize_bicubic_uint8(frame, 1 / scale) for frame in high])
    return second_order.second_order_frames(high.float() / 255, scale, options, rng, _ON_CLIPS)


def shake_path(count: int, options: OverTimeOptions, slack: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Where a shaken camera points in each frame: ``[count, 2]`` whole px (down, right), each axis from 0 to at most
    ``slack``."""
    path = np.zeros((count, 2), np.int64)
    if options.shake_chance and rng.random() < options.shake_chance:
        strength = rng.uniform(*options.shake)
        walks = np.stack([slow_walk(count, _RATE, rng) for _ in range(2)], 1)
        path = np.rint(strength * walks).astype(np.int64)
        path -= path.min(0)
        path = np.rint(path * np.minimum(1, slack / np.maximum(path.max(0), 1))).astype(np.int64)
        path -= path.min(0)
    return path


def aged(x: Tensor, options: FilmOptions, over_time: OverTimeOptions, rng: np.random.Generator) -> Tensor:
    """``[T, 3, H, W]`` in 0..1 as from an old print; each defect with its own probability.

    Displacement in the gate is left out: the result would no longer lie where its original does.
    """

    def occurs(chance: float) -> bool:
        return bool(chance) and rng.random() < chance

    if occurs(options.grain_chance):
        sigma = float(rng.uniform(*options.grain)) / 255
        x = torch.stack([film.grainy(frame, sigma, rng) for frame in x])
    faults: dict[str, float | int | tuple[float, ...]] = {}
    if occurs(options.dust_chance):
        faults["dirt"] = float(rng.uniform(*options.dust))
    if occurs(options.scratch_chance):
        faults["scratches"] = int(rng.integers(options.scratches[0], options.scratches[1] + 1))
    if occurs(options.fade_chance):
        faults["fade"] = tuple(map(float, rng.uniform(*options.fade, size=3)))
    if occurs(options.breathing_chance):
        faults["breathing"] = float(rng.uniform(*options.breathing))
    if occurs(over_time.flicker_chance):
        faults["exposure"] = float(rng.uniform(*over_time.flicker))
    if not faults:
        return x
    old = OldFilmOptions.from_flat({"rate": _RATE, **faults})
    return _frames(aged_clip(_array(x), old, _seed(rng)).clip)


def played(x: Tensor, options: TapeOptions, over_time: OverTimeOptions, rng: np.random.Generator) -> Tensor:
    """``[T, 3, H, W]`` in 0..1 as played back from a tape; each defect with its own probability."""

    def occurs(chance: float) -> bool:
        return bool(chance) and rng.random() < chance

    if occurs(options.interlace_chance):
        x = interlaced(x, int(rng.integers(2)))
    if occurs(options.bleed_chance):
        length = float(rng.uniform(*options.bleed))
        x = torch.stack([patches.bled(frame, length) for frame in x])
    if occurs(options.noise_chance):
        sigma = float(rng.uniform(*options.noise)) / 255
        x = torch.stack([patches.streaked(frame, sigma, rng) for frame in x])
    faults: dict[str, float | int | str] = {}
    if occurs(options.jitter_chance):
        faults["wobble"] = float(rng.uniform(*options.jitter))
    if occurs(options.composite_chance):
        faults["composite"] = str(rng.choice(["ntsc", "pal"]))
    if occurs(options.ringing_chance):
        faults["ringing"] = float(rng.uniform(*options.ringing))
    if occurs(options.dropout_chance):
        faults["dropouts"] = float(rng.uniform(*options.dropouts))
    if occurs(over_time.tracking_chance):
        low, high = over_time.tracking_rows
        faults["tracking_rows"] = min(int(rng.integers(low, high + 1)), x.shape[2])
    if not faults:
        return x
    worn = TapeFaults.from_flat({"line_width": patches.LINE_PX, **faults})
    return _frames(damaged(_array(x), worn, _seed(rng)).clip)


def interlaced(x: Tensor, parity: int) -> Tensor:
    """Frames ``[T, 3, H, W]`` whose lines of ``parity`` are those of the next frame: the two fields of each show two
    moments. The last frame, which has none after it, stays as it is."""
    woven = x.clone()
    woven[:-1, :, parity::2] = x[1:, :, parity::2]
    return woven


def coded(x: Tensor, options: DegradationOptions, rng: np.random.Generator) -> Tensor:
    """``[T, 3, H, W]`` in 0..1 through a video codec.

    Some frames, mirrored in time, are compressed ahead of it and dropped, because clips are rarely cut at keyframes.

    Raises:
        TrainingError: the encoder is missing in this FFmpeg or fails, or frames are lost.
    """
    how = compression.draw(options.codec, x.shape[2] * x.shape[3], rng)
    low, high = options.over_time.gop
    how = replace(how, extra={"g": str(int(rng.integers(low, high + 1)))})
    ahead = min(int(rng.integers(_MOST_AHEAD + 1)), len(x) - 1)
    pixels = list((x.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy())
    back = compression.round_trip([*pixels[ahead:0:-1], *pixels], how)[ahead:]
    return torch.from_numpy(np.stack(back)).permute(0, 3, 1, 2).float() / 255


_ON_CLIPS = second_order.MediumDefects(
    film=lambda x, options, rng: aged(x, options.film, options.over_time, rng),
    tape=lambda x, options, rng: played(x, options.tape, options.over_time, rng),
    codec=coded,
)


def _array(x: Tensor) -> Floats:
    return np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy(), np.float32)


def _frames(clip: Floats) -> Tensor:
    return torch.from_numpy(clip).permute(0, 3, 1, 2).contiguous()


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**32))
