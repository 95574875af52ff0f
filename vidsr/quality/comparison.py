"""The result of a comparison of two videos, and the meter that measures it, pair of frames by pair of frames."""

from __future__ import annotations

import contextlib
import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vidsr.errors import ModelError, OptionsError, VidsrError
from vidsr.quality import full_reference, temporal
from vidsr.quality.lpips import Lpips
from vidsr.quality.vmaf import Libvmaf

#: name → (what it is, whether more is better, decimals that mean something)
MEASURES: dict[str, tuple[str, bool, int]] = {
    "psnr": ("PSNR of RGB, dB", True, 2),
    "psnr_y": ("PSNR of luma, dB", True, 2),
    "ssim": ("SSIM of RGB", True, 4),
    "ms_ssim": ("MS-SSIM of RGB", True, 4),
    "lpips": ("LPIPS (AlexNet)", False, 4),
    "vmaf": ("VMAF", True, 2),
    "tof": ("tOF, pixels", False, 4),
    "warping_error": ("warping error", False, 6),
}

#: What identical frames count as in PSNR means, where the formula gives infinity.
PSNR_CAP = 100.0
#: Frames that a comparison keeps for a look at them.
WORST_FRAMES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One frame in the forms that the measures take.

    ``rgb`` is ``[1, 3, H, W]`` float in 0..1; ``luma`` is ``[1, 1, H, W]``, code values over the largest one;
    ``codes`` is the luma for VMAF, limited range.
    """

    rgb: Tensor
    luma: Tensor
    codes: npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstFrame:
    """A frame kept for the report: its time, the measure and its value, and both pictures, uint8 ``[H, W, 3]``."""

    seconds: float
    score: float
    measure: str
    reference: npt.NDArray[np.uint8]
    other: npt.NDArray[np.uint8]


@dataclass(slots=True, kw_only=True)
class Measured:
    """Every measure of every compared frame. Values are None where a measure has none (a first frame's tOF)."""

    seconds: list[float] = field(default_factory=list)
    values: dict[str, list[float | None]] = field(default_factory=dict)
    worst: list[WorstFrame] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def means(self) -> dict[str, float]:
        """The mean of each measure over the frames that have it."""
        return {
            name: math.fsum(present) / len(present)
            for name, values in self.values.items()
            if (present := [v for v in values if v is not None])
        }


class Meter:
    """Measures one video against its reference: ``with Meter(…) as meter``, :meth:`add` pairs, :meth:`finish`.

    ``asked`` are measures that must be there; with None, all that this machine and this size allow.

    Raises:
        OptionsError: a measure is unknown, or was asked for and the frames are too small for it.
        ModelError, MissingExtraError: what an asked-for measure needs is not on this machine.
    """

    def __init__(self, size: tuple[int, int], depth: int, asked: Sequence[str] | None, device: Any) -> None:
        self._width, self._height = size
        self.found = Measured()
        self._names = self._choose(asked)
        self._lpips = self._load_lpips(asked is not None).to(device) if "lpips" in self._names else None
        self._vmaf = Libvmaf(*size, depth) if "vmaf" in self._names else None
        self._moving = [n for n in ("tof", "warping_error") if n in self._names]
        self._before: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]] | None = None
        self._heap: list[tuple[float, int, WorstFrame]] = []
        self.found.values = {name: [] for name in MEASURES if name in self._names}

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._vmaf is not None:
            self._vmaf.__exit__(*exc)

    def add(self, seconds: float, reference: View, other: View, *, consecutive: bool) -> None:
        """Measure one pair; ``consecutive`` says that both frames directly follow the pair before."""
        found = self.found
        found.seconds.append(seconds)
        for name in self._names:
            if name not in ("vmaf", *self._moving):
                found.values[name].append(self._still(name, reference, other))
        if self._vmaf is not None:
            self._vmaf.add(reference.codes, other.codes)
        pictures = (rgb8(reference.rgb), rgb8(other.rgb))
        if self._moving:
            self._follow(pictures, consecutive)
        self._keep(seconds, pictures)
        self._before = pictures

    def finish(self) -> Measured:
        """End the comparison and return all that was found.

        Raises:
            VidsrError: VMAF failed.
        """
        if self._vmaf is not None:
            self._read_vmaf(self._vmaf)
        self.found.worst = [sample for _, _, sample in sorted(self._heap, key=lambda item: -item[0])]
        return self.found

    def _read_vmaf(self, vmaf: Libvmaf) -> None:
        try:
            scores = vmaf.scores()
        except VidsrError as error:
            self.found.notes.append(f"vmaf left out: {error}")
            del self.found.values["vmaf"]
            return
        self.found.values["vmaf"] = list(scores)

    def _choose(self, asked: Sequence[str] | None) -> list[str]:
        unknown = sorted(set(asked or ()) - MEASURES.keys())
        if unknown:
            raise OptionsError(f"--measures {unknown[0]}: known are {', '.join(MEASURES)}")
        names = [name for name in MEASURES if asked is None or name in asked]
        side = min(self._width, self._height)
        needed = {"ssim": full_reference.WINDOW, "ms_ssim": full_reference.MS_SSIM_MIN_SIDE, "lpips": 32, "vmaf": 16}
        needed |= dict.fromkeys(("tof", "warping_error"), temporal.MIN_SIDE)
        for name in [n for n in names if side < needed.get(n, 1)]:
            reason = f"frames of {self._width}x{self._height} are too small: {needed[name]} pixels are needed"
            self._leave_out(names, name, reason, asked)
        if {"tof", "warping_error"} & set(names) and not temporal.available():
            for name in ("tof", "warping_error"):
                reason = "it needs OpenCV: pip install 'vidsr-esrgan[compare]'"
                self._leave_out(names, name, reason, asked)
        if asked is None and "lpips" in names:
            try:
                self._load_lpips(asked=True)
            except ModelError as error:
                self._leave_out(names, "lpips", str(error), asked)
        return names

    def _leave_out(self, names: list[str], name: str, reason: str, asked: Sequence[str] | None) -> None:
        if asked is not None and name in asked:
            raise OptionsError(f"--measures {name}: {reason}")
        with contextlib.suppress(ValueError):
            names.remove(name)
            self.found.notes.append(f"{name} left out: {reason}")

    def _load_lpips(self, asked: bool) -> Lpips:
        if getattr(self, "_loaded", None) is None:
            self._loaded = Lpips("alex")
        return self._loaded

    def _still(self, name: str, reference: View, other: View) -> float:
        match name:
            case "psnr":
                return min(PSNR_CAP, full_reference.psnr(reference.rgb, other.rgb).item())
            case "psnr_y":
                return min(PSNR_CAP, full_reference.psnr(reference.luma, other.luma).item())
            case "ssim":
                return full_reference.ssim(reference.rgb, other.rgb).item()
            case "ms_ssim":
                return full_reference.ms_ssim(reference.rgb, other.rgb).item()
            case _:
                assert self._lpips is not None
                return float(self._lpips(reference.rgb, other.rgb).item())

    def _follow(self, pictures: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]], consecutive: bool) -> None:
        values: dict[str, float | None] = dict.fromkeys(self._moving)
        if self._before is not None and consecutive:
            motion = temporal.motion(self._before[0], pictures[0])
            if "tof" in values:
                values["tof"] = temporal.tof(motion, self._before[1], pictures[1])
            if "warping_error" in values:
                values["warping_error"] = temporal.warping_error(motion, self._before[1], pictures[1])
        for name, value in values.items():
            self.found.values[name].append(value)

    def _keep(self, seconds: float, pictures: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]) -> None:
        """Keep the frames that are worst by the first of LPIPS, SSIM, PSNR, a quarter of a second apart or more."""
        name = next((n for n in ("lpips", "ssim", "psnr", "psnr_y") if n in self._names), None)
        if name is None:
            return
        score = self.found.values[name][-1]
        assert score is not None
        badness = -score if MEASURES[name][1] else score
        sample = WorstFrame(seconds=seconds, score=score, measure=name, reference=pictures[0], other=pictures[1])
        near = next((i for i, (_, _, kept) in enumerate(self._heap) if abs(kept.seconds - seconds) < 0.25), None)
        entry = (badness, len(self.found.seconds), sample)
        if near is not None:
            if self._heap[near][0] < badness:
                self._heap[near] = entry
                heapq.heapify(self._heap)
        elif len(self._heap) < WORST_FRAMES:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)


def rgb8(rgb: Tensor) -> npt.NDArray[np.uint8]:
    """``[1, 3, H, W]``, 0 to 1, as ``[H, W, 3]`` code values."""
    picture: npt.NDArray[np.uint8] = (
        (rgb[0] * 255).round_().clamp_(0, 255).byte().permute(1, 2, 0).contiguous().cpu().numpy()
    )
    return picture
