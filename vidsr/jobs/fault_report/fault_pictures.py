"""Pictures that show a fault: the frame, and a magnified part where the fault is strongest."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from vidsr.errors import InputError
from vidsr.filters.banding.steps import band_edges
from vidsr.filters.detect.fault_list import Fault
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.detect.lost_frames import timecode
from vidsr.filters.detect.statistics import codes8
from vidsr.filters.film.fade import Fade
from vidsr.frames import Floats, Frame
from vidsr.jobs.thumbnails import reduced
from vidsr.media.samples import frames_near
from vidsr.media.source import StoredInfo

Rgb = npt.NDArray[np.uint8]

#: Most places of a fault that are shown; frames of a series; width of a whole frame and of one of a series, px.
_MOMENTS, _SERIES, _WHOLE_PX, _SERIES_PX = 3, 3, 640, 320
#: Size of the magnified part, px of the source, and by how much it is magnified.
_PART, _TIMES = (160, 120), 3
#: Side of the cells in which a fault is searched for, px.
_CELL_PX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPicture:
    """One picture of a report: its ``caption``, and the picture as a ``data:`` address.

    ``pixelated`` pictures are magnified without smoothing.
    """

    caption: str
    address: str
    pixelated: bool = False


def pictures_of(fault: Fault, info: StoredInfo, found: Inspection) -> list[FaultPicture]:
    """Pictures of the places where a fault is strongest; of one in the middle of the clip if it is everywhere.

    Moments that cannot be decoded are left out.
    """
    made: list[FaultPicture] = []
    for at in _moments(fault, found):
        try:
            around = frames_near(info, float(at), 1, _SERIES + 1)
        except InputError:
            continue
        made += _shown(fault, at, around, found)
    return made


def _moments(fault: Fault, found: Inspection) -> list[Fraction]:
    seen = found.places.looked_at
    if not fault.places:
        middle = seen[len(seen) // 2]
        return [(middle.start + middle.end) / 2]
    strongest = sorted(fault.places, key=lambda place: (-place.strong, place.start))[:_MOMENTS]
    return sorted(place.shown for place in strongest)


def _shown(fault: Fault, at: Fraction, around: Sequence[Frame], found: Inspection) -> list[FaultPicture]:
    # The frame shown at the moment is the second, but for the first of the clip.
    here = 1 if len(around) > 1 and len(around) > _SERIES + 1 else 0
    if fault.view == "series":
        series = around[here : here + _SERIES]
        return [_whole(frame, _time(frame, at, around[here]), _SERIES_PX) for frame in series]
    frame = around[here]
    whole = _whole(frame, timecode(at), _WHOLE_PX, found.crop if fault.view == "bars" else None)
    if fault.view == "bars":
        return [whole]
    if fault.view == "faded" and found.fading is not None:
        (undone,) = Fade(found.fading.loss)(iter([frame]))
        return [whole, _whole(undone, f"{timecode(at)}, with --restore fade", _WHOLE_PX)]
    left, top, width, height = _part(fault, around, here)
    magnified = _rgb(frame)[top : top + height, left : left + width].repeat(_TIMES, 0).repeat(_TIMES, 1)
    caption = f"{timecode(at)}, {width}x{height} pixels at {left}, {top}, {_TIMES} times as large"
    return [whole, FaultPicture(caption=caption, address=_address(magnified, "PNG"), pixelated=True)]


def _time(frame: Frame, at: Fraction, first: Frame) -> str:
    return timecode(at + (frame.pts - first.pts) * frame.time_base)


def _part(fault: Fault, around: Sequence[Frame], here: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of the part to magnify."""
    frame = around[here]
    width, height = min(_PART[0], frame.width), min(_PART[1], frame.height)
    if fault.view == "bottom":
        return (frame.width - width) // 2, frame.height - height, width, height
    strength = _strength(fault, around, here)
    if strength is None or not strength.any():
        x, y = frame.width // 2, frame.height // 2
    else:
        y, x = (int(n) * _CELL_PX + _CELL_PX // 2 for n in np.unravel_index(int(np.argmax(strength)), strength.shape))
    # On even lines and columns, where fields and samples of colour begin.
    left = min(max(0, x - width // 2), frame.width - width) // 2 * 2
    top = min(max(0, y - height // 2), frame.height - height) // 2 * 2
    return left, top, width, height


def _strength(fault: Fault, around: Sequence[Frame], here: int) -> Floats | None:
    """How much of the fault each cell shows; None where any place is as good."""
    lumas = [codes8(f.planes[0], f.format.max_code) for f in around]
    luma = lumas[here]
    if fault.view == "comb":
        apart = np.zeros_like(luma)
        apart[1:-1] = np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:])
        apart[2:-2] -= np.abs(2 * luma[2:-2] - luma[:-4] - luma[4:])
        return _cells(apart)
    if fault.view == "bands":
        return _cells(band_edges(around[here].planes[0], around[here].format.max_code).astype(np.float32))
    if fault.view == "line":
        ridge = np.zeros_like(luma)
        ridge[:, 2:-2] = np.abs(2 * luma[:, 2:-2] - luma[:, :-4] - luma[:, 4:])
        columns = np.median(ridge, axis=0, keepdims=True)
        return _cells(np.broadcast_to(columns, luma.shape).astype(np.float32))
    if fault.view == "single" and 0 < here < len(lumas) - 1:
        before, after = lumas[here - 1], lumas[here + 1]
        beyond = np.minimum(np.abs(luma - before), np.abs(luma - after)) - np.abs(before - after)
        return _cells(np.asarray(np.maximum(beyond, 0), np.float32))
    return None


def _cells(values: Floats) -> Floats:
    rows, columns = values.shape[0] // _CELL_PX, values.shape[1] // _CELL_PX
    if not rows or not columns:
        return np.zeros((1, 1), np.float32)
    whole = values[: rows * _CELL_PX, : columns * _CELL_PX].reshape(rows, _CELL_PX, columns, _CELL_PX)
    return np.asarray(whole.mean((1, 3)), np.float32)


def _whole(frame: Frame, caption: str, width: int, kept: tuple[int, int, int, int] | None = None) -> FaultPicture:
    small = _rgb(reduced(frame, width))
    if kept is not None:
        step = frame.width / small.shape[1]
        left, top, right, bottom = (round(v / step) for v in (kept[0], kept[1], kept[0] + kept[2], kept[1] + kept[3]))
        small = small.copy()
        bars = np.ones(small.shape[:2], np.bool_)
        bars[top:bottom, left:right] = False
        small[bars] = (small[bars] * 0.4 + np.array([120, 30, 30])).astype(np.uint8)
        caption += "; what would be cut off is red"
    return FaultPicture(caption=caption, address=_address(small, "JPEG"))


def _rgb(frame: Frame) -> Rgb:
    from vidsr.inference.colour import rgb_of

    values = (rgb_of(frame)[0].clamp(0, 1) * 255).round().byte()
    return np.ascontiguousarray(values.permute(1, 2, 0).cpu().numpy())


def _address(pixels: Rgb, kind: str) -> str:
    from PIL import Image

    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, kind, **({"quality": 85} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(memory.getvalue()).decode()}"
