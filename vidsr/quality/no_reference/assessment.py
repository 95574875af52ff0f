"""Measures one video without its original, frame by frame, and against its source where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vidsr.errors import OptionsError, VidsrError
from vidsr.frames import Rgb8
from vidsr.quality import temporal
from vidsr.quality.comparison import Measured, View, WorstFrame, rgb8
from vidsr.quality.no_reference import niqe, still_measures
from vidsr.quality.vmaf import Libvmaf

#: name → (what it is, whether more is better, decimals that mean something)
NO_REFERENCE: dict[str, tuple[str, bool, int]] = {
    "niqe": ("NIQE", False, 3),
    "cambi": ("banding, CAMBI", False, 3),
    "blockiness": ("block edges (1: none)", False, 3),
    "sharpness": ("sharpness, code values per pixel", True, 2),
    "flicker": ("flicker, code values", False, 2),
}
#: The same for what needs the source.
OF_SOURCE: dict[str, tuple[str, bool, int]] = {
    "consistency": ("kept of the source, PSNR, dB", True, 2),
    "vmaf_neg": ("kept of the source, VMAF-NEG", True, 2),
    "sharpness_gained": ("sharpness over the source's", True, 3),
    "flicker_gained": ("flicker over the source's", False, 3),
}
ASSESSED = NO_REFERENCE | OF_SOURCE
#: What :func:`ranks` goes by: natural and sharp looks, and faithfulness to the source. The two pull apart: see
#: docs/comparing.md for how far each agrees with LPIPS and PSNR.
RANKINGS: dict[str, tuple[str, ...]] = {
    "rank_look": ("niqe", "sharpness", "cambi"),
    "rank_faithful": ("consistency", "flicker_gained"),
}
#: One side at least must have this many pixels, or libvmaf refuses to compute CAMBI.
_CAMBI_PX = 216
_VMAF_PX = 16
_VMAF_NEG = "version=vmaf_v0.6.1neg"
_FLICKER = ("flicker", "flicker_gained")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """The source's frame and what it takes to compare the two.

    ``view`` is the source's frame itself, ``enlarged`` ``[1, 3, H, W]`` the same at the result's size, and ``reduced``
    the luma for VMAF of the result at the source's size.
    """

    view: View
    enlarged: Tensor
    reduced: npt.NDArray[Any]


def of_picture(rgb: Tensor, source: Tensor | None, enlarged: Tensor | None, scale: float | None) -> dict[str, float]:
    """What one picture shows: NIQE, block edges, sharpness, and consistency with its source; what is possible of it.

    Pictures are ``[1, 3, H, W]``, RGB in 0..1: the result, its source, and the source enlarged to the result's size.
    """
    found: dict[str, float | None] = {
        "niqe": niqe.niqe(rgb) if niqe.measurable(rgb.shape[-1], rgb.shape[-2]) else None,
        "blockiness": still_measures.blockiness(rgb, scale),
        "sharpness": still_measures.sharpness(rgb),
    }
    if source is not None and enlarged is not None:
        found["consistency"] = still_measures.consistency(rgb, source)
        found["sharpness_gained"] = still_measures.sharpness_gained(rgb, enlarged)
    return {name: value for name, value in found.items() if value is not None}


class Assessor:
    """Measures one video: ``with Assessor(…) as assessor``, :meth:`add` its frames in order, :meth:`finish`.

    Args:
        size: (width, height) of the video in pixels.
        source_size: the same of its source; None if there is no source.
        asked: measures that must be there; None for all that this machine and this size allow.

    Raises:
        OptionsError: a measure is unknown, or was asked for and is not possible here.
    """

    def __init__(
        self, size: tuple[int, int], depth: int, source_size: tuple[int, int] | None, asked: Sequence[str] | None
    ) -> None:
        self.found = Measured()
        self._size, self._source_size = size, source_size
        self._names = self._choose(asked)
        self.found.values = {name: [] for name in self._names}
        self._cambi = Libvmaf(*size, depth, model="", feature="name=cambi") if "cambi" in self._names else None
        self._neg = None
        if source_size is not None and "vmaf_neg" in self._names:
            self._neg = Libvmaf(*source_size, depth, model=_VMAF_NEG)
        self._scale = None if source_size is None else (size[0] / source_size[0] + size[1] / source_size[1]) / 2
        self._before: tuple[Rgb8, Rgb8 | None] | None = None

    def __enter__(self) -> Assessor:
        return self

    def __exit__(self, *exc: Any) -> None:
        for process in (self._cambi, self._neg):
            if process is not None:
                process.__exit__(*exc)

    def add(self, seconds: float, view: View, source: SourceView | None = None, *, keep: bool = False) -> None:
        """Measure one frame, which follows the one before.

        ``source`` is given for all frames or for none. With ``keep``, the frame is kept for a report.
        """
        values = self.found.values
        self.found.seconds.append(seconds)
        plain = None if source is None else source.enlarged
        shown = of_picture(view.rgb, None if source is None else source.view.rgb, plain, self._scale)
        for name in self._names:
            if name not in ("cambi", "vmaf_neg", *_FLICKER):
                values[name].append(shown.get(name))
        if self._cambi is not None:
            self._cambi.add(view.codes, view.codes)
        if self._neg is not None and source is not None:
            self._neg.add(source.view.codes, source.reduced)
        if set(_FLICKER) & set(self._names):
            self._follow(rgb8(view.rgb), None if plain is None else rgb8(plain))

        if keep and plain is not None:
            name = next((n for n in ("niqe", *ASSESSED) if n in shown), "")
            pictures = (rgb8(plain), rgb8(view.rgb))
            if name:
                self.found.worst.append(
                    WorstFrame(
                        seconds=seconds, score=shown[name], measure=name, reference=pictures[0], other=pictures[1]
                    )
                )

    def finish(self) -> Measured:
        """End the measurement and return all that was found."""
        for process, metric, name in ((self._cambi, "cambi", "cambi"), (self._neg, "vmaf", "vmaf_neg")):
            if process is None:
                continue
            try:
                self.found.values[name] = list(process.scores(metric))
            except VidsrError as error:
                self.found.notes.append(f"{name} left out: {error}")
                del self.found.values[name]
        for name in [name for name, values in self.found.values.items() if all(v is None for v in values)]:
            if name not in _FLICKER:
                self.found.notes.append(f"{name} left out: no frame has enough structure for it")
            del self.found.values[name]
        return self.found

    def _follow(self, now: Rgb8, plain: Rgb8 | None) -> None:
        """Flicker along the motion of the source where there is one, else along the video's own."""
        values: dict[str, float | None] = dict.fromkeys(n for n in _FLICKER if n in self._names)
        if self._before is not None:
            before, plain_before = self._before
            of_source = plain is not None and plain_before is not None
            motion = temporal.back_motion(plain_before, plain) if of_source else temporal.back_motion(before, now)  # type: ignore[arg-type]
            own = temporal.warping_error(motion, before, now) ** 0.5 * 255
            if "flicker" in values:
                values["flicker"] = own
            if "flicker_gained" in values and plain is not None and plain_before is not None:
                still = temporal.warping_error(motion, plain_before, plain) ** 0.5 * 255
                # A source that stands still has next to none: a ratio would say nothing.
                values["flicker_gained"] = (own + 0.1) / (still + 0.1)
        for name, value in values.items():
            self.found.values[name].append(value)
        self._before = (now, plain)

    def _choose(self, asked: Sequence[str] | None) -> list[str]:
        unknown = sorted(set(asked or ()) - ASSESSED.keys())
        if unknown:
            raise OptionsError(f"--measures {unknown[0]}: with --no-reference, known are {', '.join(ASSESSED)}")
        names = []
        for name in ASSESSED:
            reason = self._impossible(name)
            if asked is not None and name in asked and reason:
                raise OptionsError(f"--measures {name}: {reason}")
            if asked is not None and name not in asked:
                continue
            if reason:
                if name in NO_REFERENCE or self._source_size is not None:
                    self.found.notes.append(f"{name} left out: {reason}")
                continue
            names.append(name)
        return names

    def _impossible(self, name: str) -> str:
        """Why a measure cannot be computed; "" where it can."""
        (width, height), source = self._size, self._source_size
        if name in OF_SOURCE and source is None:
            return "it needs the source: give --source"
        if name == "niqe" and not niqe.measurable(width, height):
            return f"frames of {width}x{height} hold fewer than two blocks of {niqe.BLOCK_PX}x{niqe.BLOCK_PX}"
        if name == "cambi" and max(width, height) < _CAMBI_PX:
            return f"frames of {width}x{height} are too small: a side of {_CAMBI_PX} pixels is needed"
        if name == "vmaf_neg" and source is not None and min(source) < _VMAF_PX:
            return f"the source's frames of {source[0]}x{source[1]} are too small: {_VMAF_PX} pixels are needed"
        if name in _FLICKER and not temporal.available():
            return "it needs OpenCV: pip install 'vidsr-esrgan[compare]'"
        if name in _FLICKER and min(width, height) < temporal.MIN_SIDE:
            return f"frames of {width}x{height} are too small: {temporal.MIN_SIDE} pixels are needed"
        return ""


def ranked_by(means: Sequence[dict[str, float]]) -> dict[str, list[str]]:
    """The measures of each ranking that all videos have; rankings without any, and of a single video, are left out."""
    if len(means) < 2:
        return {}
    used = {
        ranking: [name for name in names if all(name in mean for mean in means)] for ranking, names in RANKINGS.items()
    }
    return {ranking: names for ranking, names in used.items() if names}


def ranks(means: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    """The place of each video in every ranking of :func:`ranked_by`: the mean of its places by each measure; 1 is best.

    Equal values share the mean of their places.
    """
    found: list[dict[str, float]] = [{} for _ in means]
    for ranking, names in ranked_by(means).items():
        places = np.zeros(len(means))
        for name in names:
            values = np.array([mean[name] for mean in means]) * (-1 if ASSESSED[name][1] else 1)
            places += (values[:, None] > values[None]).sum(1) + ((values[:, None] == values[None]).sum(1) + 1) / 2
        for one, place in zip(found, places / len(names), strict=True):
            one[ranking] = float(place)
    return found
