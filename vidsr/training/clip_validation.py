"""Validation on clips: each frame as a picture (PSNR, SSIM, LPIPS), and all of them in time (warping error, tOF, VMAF).

The warping error is that of Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, equation 6, with the
motion of the original by the project's own optical flow, so that it needs no other library. tOF (Chu et al. 2020) needs
OpenCV, VMAF an ffmpeg with libvmaf; where they are missing, they are left out, and a note says so. A blurred result has
a small warping error: read it next to LPIPS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidsr.errors import VidsrError
from vidsr.filters.flow import luma, optical_flow, warp
from vidsr.frames import Rgb8
from vidsr.quality import temporal
from vidsr.quality.comparison import PSNR_CAP, rgb8
from vidsr.quality.full_reference import luma601
from vidsr.quality.lpips import Lpips
from vidsr.quality.vmaf import Libvmaf
from vidsr.training.dataset.clips.clip_store import ClipStore
from vidsr.training.degradation.options import DegradationOptions
from vidsr.training.degradation.over_time import degrade_clip
from vidsr.training.options import ValidationOptions
from vidsr.training.validation import Distance, scores_of

#: A network as validation sees it: a low-resolution clip ``[T, 3, h, w]`` to ``[T, 3, h·s, w·s]``, both 0 to 1.
EnlargeClip = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The motion of an original between two frames.

    ``back`` ``[1, 2, H, W]`` says where each pixel of the later frame was in the earlier, in px; ``seen``
    ``[1, 1, H, W]`` bool, whether it was visible there.
    """

    back: Tensor
    seen: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipExample:
    """A clip to measure on: low ``[T, 3, h, w]`` and high ``[T, 3, h·s, w·s]`` uint8, and the motion of ``high``."""

    name: str
    low: Tensor
    high: Tensor
    motion: list[Followed] = field(default_factory=list)


def follow(clip: Tensor) -> list[Followed]:
    """The motion of an original ``[T, 3, H, W]``, 0 to 1, from each frame to the one before.

    A pixel counts as seen where |forth + back|² < 0.01 (|forth|² + |back|²) + 0.5 (Sundaram et al. 2010).
    """
    return [_followed(before[None], now[None]) for before, now in pairwise(luma(clip))]


def _followed(before: Tensor, now: Tensor) -> Followed:
    back, forth = optical_flow(now, before), optical_flow(before, now)
    there = warp(forth, back, mode="bilinear")
    apart, lengths = (back + there).square().sum(1, True), back.square().sum(1, True) + there.square().sum(1, True)
    return Followed(back=back, seen=apart < 0.01 * lengths + 0.5)


def warping_error_of(clip: Tensor, motion: list[Followed]) -> float:
    """The warping error of ``[T, 3, H, W]``, 0 to 1: the mean over all pairs of the mean squared difference of a frame
    and its predecessor carried along the original's ``motion``, where it is seen."""
    errors = []
    for before, now, step in zip(clip, clip[1:], motion, strict=False):
        carried = warp(before[None], step.back)
        squared = (now[None] - carried).square().mean(1, True)[step.seen]
        errors.append(float(squared.mean()) if squared.numel() else 0.0)
    return math.fsum(errors) / len(errors)


def clip_scores(result: Tensor, example: ClipExample, scale: int, judge: Distance | None = None) -> dict[str, float]:
    """Means over the frames of a result ``[T, 3, H, W]``, 0 to 1, rounded to 8 bit first.

    psnr_y, ssim_y (BT.601 luma, ``scale`` px shaved), warping_error, tof where OpenCV is installed, and lpips with a
    ``judge``.
    """
    result, high = (result.clamp(0, 1) * 255).round() / 255, example.high.float() / 255
    frames = [scores_of(a[None], b[None], scale, judge) for a, b in zip(result, high, strict=True)]
    means = {name: math.fsum(min(f[name], PSNR_CAP) for f in frames) / len(frames) for name in frames[0]}
    means["warping_error"] = warping_error_of(result, example.motion or follow(high))
    if temporal.available() and min(high.shape[-2:]) >= temporal.MIN_SIDE:
        means["tof"] = _tof(_pictures(high), _pictures(result))
    return means


def _tof(reference: list[Rgb8], other: list[Rgb8]) -> float:
    pairs = zip(pairwise(reference), pairwise(other), strict=True)
    values = [temporal.tof(temporal.motion(*mine), *yours) for mine, yours in pairs]
    return math.fsum(values) / len(values)


def _pictures(clip: Tensor) -> list[Rgb8]:
    return [rgb8(frame[None].clone()) for frame in clip]


def vmaf_of(result: Tensor, high: Tensor) -> float:
    """The mean VMAF of ``[T, 3, H, W]`` against the original, both 0 to 1.

    Raises:
        VidsrError: this ffmpeg has no libvmaf, or it failed.
    """
    with Libvmaf(result.shape[3], result.shape[2]) as vmaf:
        for a, b in zip(high, result, strict=True):
            vmaf.add(_codes(a), _codes(b))
        scores = vmaf.scores()
    return math.fsum(scores) / len(scores)


def _codes(frame: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    codes = (luma601(frame[None])[0, 0] * 255).round().clamp(0, 255).to(torch.uint8)
    return np.asarray(codes.numpy())


class ClipValidation:
    """The clips, degraded once and held in memory, and how they are measured.

    Raises:
        InputError: ``options.clips`` is not a dataset of clips.
        ModelError: the weights of LPIPS are not on this machine.
    """

    def __init__(self, options: ValidationOptions, degradation: DegradationOptions, scale: int, seed: int) -> None:
        self.examples: list[ClipExample] = []
        self.notes: list[str] = []
        self._options, self._scale = options, scale
        if not options.clips:
            return
        store = ClipStore(Path(options.clips).expanduser())
        # Spread over all of the dataset, whose clips are in the order of their sources.
        count = min(options.clip_limit, len(store))
        for place in range(count):
            self.examples.append(self._example(store, place * len(store) // count, degradation, seed))
        self._judge: Distance | None = Lpips(options.lpips) if options.lpips else None  # type: ignore[arg-type]
        if not temporal.available():
            self.notes.append("tOF is left out: it needs OpenCV (pip install 'vidsr-esrgan[compare]')")
        self._vmaf = options.vmaf

    def _example(self, store: ClipStore, number: int, degradation: DegradationOptions, seed: int) -> ClipExample:
        pixels = torch.from_numpy(np.array(store[number])).permute(0, 3, 1, 2)
        side = pixels.shape[-1] // self._scale * self._scale
        high = pixels[..., :side, :side].contiguous()
        low = degrade_clip(high, self._scale, degradation, np.random.default_rng([seed, number]))
        name = str(store.index.clips[number]["name"])
        return ClipExample(name=name, low=low, high=high, motion=follow(high.float() / 255))

    @torch.no_grad()
    def run(self, enlarge: EnlargeClip) -> tuple[dict[str, float], list[tuple[str, Tensor]]]:
        """Mean scores over all clips, and the middle frame ``[3, H, W]``, 0 to 1, of the first few results.

        The measures are psnr_y, ssim_y, warping_error, and where they can be had tof, lpips and vmaf.
        """
        scores: list[dict[str, float]] = []
        shown: list[tuple[str, Tensor]] = []
        for example in self.examples:
            result = enlarge(example.low.float() / 255).float().cpu().clamp(0, 1)
            found = clip_scores(result, example, self._scale, self._judge)
            if self._vmaf:
                self._add_vmaf(found, result, example)
            scores.append(found)
            if len(shown) < self._options.pictures:
                shown.append((example.name, result[len(result) // 2]))
        names = set.intersection(*(set(found) for found in scores)) if scores else set()
        ordered = [name for name in (scores[0] if scores else ()) if name in names]
        return {name: math.fsum(found[name] for found in scores) / len(scores) for name in ordered}, shown

    def _add_vmaf(self, found: dict[str, float], result: Tensor, example: ClipExample) -> None:
        try:
            found["vmaf"] = vmaf_of(result, example.high.float() / 255)
        except VidsrError as error:
            self._vmaf = False
            self.notes.append(f"VMAF is left out: {error}")
