"""Inspects a file before anything is done to it: media takes samples, filters judge them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vidsr.errors import InputError
from vidsr.filters.detect.film_scratches import ScratchedSpan
from vidsr.filters.detect.gate_motion import Tremble
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.detect.interlace import FieldOrder
from vidsr.filters.inspector import SMALLEST_PX, Inspector
from vidsr.frames import Frame
from vidsr.jobs.neighbour_runs import is_used
from vidsr.media.probe import probe
from vidsr.media.samples import expected_frames, stretches
from vidsr.media.source import VideoInfo
from vidsr.options.enhance_options import EnhanceOptions

#: FFmpeg's AVFieldOrder: 2 and 4 are shown top field first, 3 and 5 bottom field first.
_FLAGGED: dict[int, FieldOrder] = {2: "tff", 3: "bff", 4: "bff", 5: "tff"}
SHEET_PICTURES, SHEET_WIDTH = 24, 240
#: One stretch in this many is judged for ``--multiframe auto``.
_JUDGED_EVERY = 3

#: Frames in which something was found.
TimedFault = TypeVar("TimedFault", Tremble, ScratchedSpan)

Thumbnail = npt.NDArray[np.uint8]


def flagged_order(video: VideoInfo) -> FieldOrder | None:
    """The field order that a file claims."""
    return _FLAGGED.get(video.field_order)


def inspect_file(
    source: Path | str,
    options: EnhanceOptions | None = None,
    *,
    on_share: Callable[[float], None] = lambda _: None,
    places: int = 24,
) -> tuple[Inspection, list[Thumbnail]]:
    """Inspect a video; what was found, and some small RGB pictures from all over it.

    ``on_share`` is called with the share of the work that is done.

    Raises:
        InputError: the file is not a video, its picture is too small, or no frame of it can be decoded.
    """
    wanted = options or EnhanceOptions()
    info = probe(source, wanted.colour, wanted.source)
    if min(info.video.width, info.video.height) < SMALLEST_PX:
        raise InputError(f"{source}: {info.video.width}x{info.video.height} is too small to inspect")
    inspector = Inspector(flagged_order(info.video), info.video.sar, info.video.rate)
    pictures: list[Thumbnail] = []
    against: list[str] = []
    last, passed = -1, 0.0
    for number, (share, frames) in enumerate(stretches(info, places)):
        inspector.add(frames)
        if info.video.is_lossless and number % _JUDGED_EVERY == 0:
            against.append(_against_neighbours(frames))
        last = max(last, frames[-1].index)
        count = min(len(frames), max(1, round(SHEET_PICTURES * (share - passed))))
        pictures += [_small(frames[(2 * n + 1) * len(frames) // (2 * count)], info.video.sar) for n in range(count)]
        passed = share
        on_share(share)
    if last < 0:
        raise InputError(f"{source}: no frame can be decoded")
    expected = expected_frames(info) or 0
    whole = inspector.sampled >= last + 1  # read from end to end: then the count is known
    found = inspector.result(last + 1 if whole else max(last + 1, expected))
    start = (info.video.start or 0) * info.video.time_base
    at = None if found.unclear_at is None else max(Fraction(0), found.unclear_at - start)
    lost = tuple(dataclasses.replace(place, at=max(Fraction(0), place.at - start)) for place in found.lost)
    tape = dataclasses.replace(
        found.tape,
        dropouts=tuple(max(Fraction(0), t - start) for t in found.tape.dropouts),
        wobble=tuple(place.moved(start) for place in found.tape.wobble),
    )
    weave_at = tuple(_from_start(scene, start) for scene in found.weave_at)
    scratches_at = tuple(_from_start(span, start) for span in found.scratches_at)
    neighbours = _neighbours(info.video, against)
    faulty = found.places.moved(start)
    found = dataclasses.replace(
        found,
        unclear_at=at,
        lost=lost,
        weave_at=weave_at,
        scratches_at=scratches_at,
        places=faulty,
        breathing_at=tuple(place.moved(start) for place in found.breathing_at),
        fading=None if found.fading is None else found.fading.moved(start),
    )
    return dataclasses.replace(found, tape=tape, neighbours=neighbours), pictures


def _from_start(place: TimedFault, start: Fraction) -> TimedFault:
    """``place`` with its times counted from the start of the video."""
    return dataclasses.replace(
        place, start=max(Fraction(0), place.start - start), end=max(Fraction(0), place.end - start)
    )


def _against_neighbours(frames: Sequence[Frame]) -> str:
    """The reason against ``--multiframe auto`` in the middle of a stretch; "" if there is none."""
    from vidsr.filters.after.soundness import AROUND, judge, look
    from vidsr.inference.colour import rgb_of

    middle = len(frames) // 2
    around = frames[max(0, middle - AROUND) : middle + AROUND + 1]
    return judge([look(rgb_of(frame)) for frame in around]).words


def _neighbours(video: VideoInfo, against: Sequence[str]) -> str:
    """What was found at the places that were judged, in words."""
    if not video.is_lossless:
        return f"left out, the source was compressed with loss ({video.codec})"
    reasons = Counter(reason for reason in against if reason)
    found = f"used at {sum(is_used(reason) for reason in against)} of {len(against)} places"
    return (
        f"{found}; reasons against it: {', '.join(reason for reason, _ in reasons.most_common(3))}"
        if reasons
        else found
    )


def write_sheet(path: Path, pictures: list[Thumbnail]) -> None:
    """Write a contact sheet of ``pictures``, evenly chosen, as PNG."""
    from vidsr.media.pictures.files import write_picture
    from vidsr.media.pictures.types import Picture

    if not pictures:
        raise InputError(f"{path}: there is no picture to put on the sheet")
    count = min(len(pictures), SHEET_PICTURES)
    chosen = [pictures[n * len(pictures) // count] for n in range(count)]
    columns = min(6, count)
    height, width = chosen[0].shape[:2]
    rows = -(-count // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for n, picture in enumerate(chosen):
        y, x = n // columns * height, n % columns * width
        sheet[y : y + height, x : x + width] = picture
    whole = Picture(path=path, format="PNG", mode="RGB", pixels=sheet, value_range=(0, 255))
    write_picture(path, whole, iter([sheet]), size=(sheet.shape[1], sheet.shape[0]), quality=95)


def _small(frame: Frame, sar: Fraction) -> Thumbnail:
    """A small RGB picture of a frame as displayed, with square pixels."""
    from vidsr.filters.resample import area_down
    from vidsr.inference.colour import rgb_of

    shape = float(sar) * frame.width / frame.height
    width = min(SHEET_WIDTH, frame.width)
    rows = min(frame.height, max(1, round(width / shape)))
    kept = area_down(rgb_of(frame), (rows, max(1, round(rows * shape)) if rows == frame.height else width))[0]
    return np.ascontiguousarray((kept.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())
