"""Index a source: the pts of every frame that is displayed, found by decoding all of it once."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from av.video.plane import VideoPlane

from vidsr.errors import InputError
from vidsr.frames import packed
from vidsr.media.probe import lost_with
from vidsr.media.reader import Damage, VideoReader
from vidsr.media.source import ReadableInfo, VideoInfo

#: A step back by more than this many seconds that lasts is a new timeline (joined files), not a faulty stamp.
JUMP_SECONDS = 0.2
_LASTING_FRAMES = 4
#: Stamps beyond ten years are damage.
_ABSURD_SECONDS = 3.2e8
#: Frames that are indexed after a part of a source: more than any row of filters and networks looks ahead, and so many
#: that single faulty stamps do not end the index early.
AFTER_FRAMES = 300
#: Stands for a missing stamp in an array of stamps, as FFmpeg's AV_NOPTS_VALUE.
_NO_STAMP = -(2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoIndex:
    """Every displayed frame of a source.

    ``pts`` is strictly increasing, in ``time_base`` units of the video stream; ``durations`` likewise, all
    positive. ``digests`` hold a CRC-32 of some rows of each frame, by which frames are recognised after a seek.
    All of these, and the numbers of the ``keyframes``, are kept packed (:func:`vidsr.frames.packed`): 20 bytes a frame.
    ``sizes`` lists (first frame, width, height) for each run of frames of one size. ``shifts`` are the seconds
    that were added from the first, second… backward jump of the timeline on. ``linear`` means that a frame can
    only be found by decoding from the start. ``partial`` means that the source goes on after the last frame here.
    """

    pts: Sequence[int]
    durations: Sequence[int]
    time_base: Fraction
    digests: Sequence[int] = ()
    sizes: tuple[tuple[int, int, int], ...] = ()
    shifts: tuple[Fraction, ...] = ()
    linear: bool = False
    damaged: bool = False
    cut_off: bool = False
    variable: bool = False
    interlaced_frames: int = 0
    keyframes: Sequence[int] = ()
    notes: tuple[str, ...] = ()
    partial: bool = False

    def __post_init__(self) -> None:
        for name in ("pts", "durations", "keyframes"):
            object.__setattr__(self, name, packed(getattr(self, name)))
        object.__setattr__(self, "digests", packed(self.digests, "I"))

    def __len__(self) -> int:
        return len(self.pts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enough:
    """How much of a source to index: this many frames, or all that are shown before this time after the first one.

    :data:`AFTER_FRAMES` more are indexed in either case.
    """

    frames: int | None = None
    seconds: Fraction | None = None


def check_strict(info: ReadableInfo, index: VideoIndex) -> None:
    """What ``--strict`` stands for.

    Raises:
        InputError: the source is damaged, cut off, or changes its size; the message holds all that was found.
    """
    if index.damaged or len(index.sizes) > 1 or index.cut_off:
        raise InputError(f"{info.path}: {'; '.join(index.notes)} (--strict)")


def frame_digest(frame: Any) -> int:
    """CRC-32 of every eighth row of the first plane of a decoded frame."""
    plane = VideoPlane(frame, 0)  # `frame.planes` makes all of them
    line = abs(plane.line_size)
    step, width = 8 * line, min(line, max(1, frame.width))
    rows = max(0, -(-(plane.buffer_size - width) // step))
    return zlib.crc32(np.ndarray((rows, width), np.uint8, plane, strides=(step, 1)).tobytes())  # type: ignore[arg-type]


@dataclass(slots=True)
class _Scan:
    """What one decoding of the whole stream found, frame by frame. In ``raw``, a missing stamp is :data:`_NO_STAMP`."""

    raw: array[int] = field(default_factory=lambda: array("q"))
    digests: array[int] = field(default_factory=lambda: array("I"))
    durations: array[int] = field(default_factory=lambda: array("q"))
    keyframes: array[int] = field(default_factory=lambda: array("q"))
    sizes: list[tuple[int, int, int]] = field(default_factory=list)
    interlaced: int = 0
    lost: set[str] = field(default_factory=set)
    damage: Damage = field(default_factory=Damage)
    beyond: int = 0

    def holds(self, enough: Enough, clock: Fraction) -> bool:
        """Whether enough frames have been added; call it after each one."""
        if enough.frames is not None:
            return len(self.raw) >= enough.frames + AFTER_FRAMES
        first, last = self.raw[0], self.raw[-1]
        missing = enough.seconds is None or _NO_STAMP in (first, last)
        if missing or (last - first) * clock <= (enough.seconds or 0):
            self.beyond = 0
        else:
            self.beyond += 1
        return self.beyond >= AFTER_FRAMES

    def add(self, frame: Any, stamp: int | None) -> None:
        number, width, height = len(self.raw), frame.width, frame.height
        if not self.sizes or self.sizes[-1][1:] != (width, height):
            self.sizes.append((number, width, height))
        if frame.key_frame:
            self.keyframes.append(number)
        if frame.interlaced_frame:
            self.interlaced += 1
        lost = lost_with(frame)
        if lost:
            self.lost |= lost
        self.raw.append(_NO_STAMP if stamp is None else stamp)
        self.durations.append(frame.duration or 0)
        self.digests.append(frame_digest(frame))


def index_video(
    info: ReadableInfo, on_frame: Callable[[int], None] | None = None, *, enough: Enough | None = None
) -> VideoIndex:
    """Decode the whole video stream once and list its frames. ``on_frame`` is called with the count so far.

    With ``enough``, only as much of the stream as it says.

    Raises:
        InputError: no frame can be decoded.
        DecodeError: the source is damaged beyond use.
    """
    by_dts = info.container == "avi"
    scan, partial = _Scan(), False
    with VideoReader(info, whole=True) as reader:
        for frame in reader.frames():
            scan.add(frame, frame.dts if by_dts else frame.pts)
            if on_frame is not None:
                on_frame(len(scan.raw))
            if enough is not None and scan.holds(enough, info.video.time_base):
                partial = True
                break
        scan.damage = reader.damage
        first_dts = reader.first_dts
    if not scan.raw:
        raise InputError(f"{info.path}: none of its frames can be decoded")
    pts, shifts, notes = _repaired(scan, info.video, (first_dts or 0) if by_dts else None)
    steps = np.diff(np.asarray(pts))
    damage = scan.damage
    damaged = bool(damage.bad_packets or damage.corrupt_frames or damage.read_errors)
    # AVI counts the frames that were dropped while it was recorded, too.
    counted = pts[-1] - pts[0] + 1 if by_dts else len(pts)
    # What the header promises of frames is not missing where the index ends early.
    video = replace(info.video, declared_frames=None) if partial else info.video
    cut_off = info.missing_bytes > 0 or _is_cut_off(counted, video)
    usual = int(steps[-1]) if len(steps) else info.video.step
    durations = array("q", steps.tobytes())
    durations.append(_last_duration(scan.durations[-1], usual))
    return VideoIndex(
        pts=pts,
        durations=durations,
        time_base=info.video.time_base,
        digests=scan.digests,
        sizes=tuple(scan.sizes),
        shifts=tuple(shifts),
        linear=bool(notes) or damaged or by_dts,
        damaged=damaged,
        cut_off=cut_off,
        variable=is_variable(pts, info.video.time_base),
        interlaced_frames=scan.interlaced,
        keyframes=scan.keyframes,
        notes=(*notes, *_damage_notes(damage, counted, video), *_scan_notes(scan, pts, video)),
        partial=partial,
    )


def index_packets(info: ReadableInfo, frames: int) -> VideoIndex:
    """The same of a file that vidsr has just written, from its packets alone: one frame each, with sound stamps.

    Nothing is decoded, so there are no digests and no notes. Where the packets are not ``frames`` with stamps of their
    own, or the container counts otherwise (AVI), the file is indexed like any other.

    Raises:
        InputError, DecodeError: as for :func:`index_video`.
    """
    stamps: list[int | None] = []
    durations: list[int] = []
    with VideoReader(info) as reader:
        for packet in reader.container.demux(reader.stream):
            if packet.size:
                stamps.append(packet.pts)
                durations.append(packet.duration or 0)
    known = sorted(stamp for stamp in stamps if stamp is not None)
    steps = np.diff(np.asarray(known, np.int64))
    if info.container == "avi" or not known or not len(known) == len(stamps) == frames or not bool(np.all(steps > 0)):
        return index_video(info)
    usual = int(steps[-1]) if len(steps) else info.video.step
    last = durations[max(range(len(stamps)), key=lambda number: stamps[number] or 0)]
    return VideoIndex(
        pts=known,
        durations=[*map(int, steps), _last_duration(last, usual)],
        time_base=info.video.time_base,
        sizes=((0, info.video.width, info.video.height),),
    )


def _repaired(scan: _Scan, video: VideoInfo, first_dts: int | None) -> tuple[Sequence[int], list[Fraction], list[str]]:
    """The stamps of a scan as :func:`repair` leaves them; ``first_dts`` where they are those of an AVI, else None."""
    stamps = np.asarray(scan.raw)
    low, high = int(stamps.min()), int(stamps.max())
    sane = max(abs(low), abs(high)) * video.time_base < _ABSURD_SECONDS
    if first_dts is None and sane and bool(np.all(stamps[1:] > stamps[:-1])):
        return scan.raw, [], []
    raw = [None if stamp == _NO_STAMP else stamp for stamp in scan.raw]
    pts, shifts, notes = repair(raw if first_dts is None else _count_dts(raw, first_dts), video, scan.durations)
    return array("q", pts), shifts, notes


def _scan_notes(scan: _Scan, pts: Sequence[int], video: VideoInfo) -> list[str]:
    # Captions often begin later than the first frame, which is all that the probe sees.
    notes = [f"{lost} cannot be kept: no encoder here writes it" for lost in sorted(scan.lost - set(video.lost))]
    sizes = scan.sizes
    if len(sizes) > 1:
        notes.append(
            f"the picture size changes {len(sizes) - 1} times, first from {sizes[0][1]}x{sizes[0][2]} to "
            f"{sizes[1][1]}x{sizes[1][2]} at frame {sizes[1][0]}: all frames are brought to the first size"
        )
    if pts[0] < 0:
        notes.append(
            f"timestamps begin at {float(pts[0] * video.time_base):.3f} s: containers that cannot begin before 0 "
            "move all streams up by as much"
        )
    return notes


def _count_dts(raw: list[int | None], first: int) -> list[int | None]:
    """AVI: the dts of the packet that pushed each frame out, moved back by the decoder's delay."""
    delay = next((value - i for i, value in enumerate(raw) if value is not None), first) - first
    out: list[int | None] = []
    for value in raw:
        out.append(value - delay if value is not None else (out[-1] or 0) + 1 if out else first)
    return out


def _last_duration(declared: int, usual: int) -> int:
    """The last frame's duration: as declared if believable, else the ``usual`` one, that of the frame before it."""
    return declared if declared > usual // 2 else max(1, usual)


def is_variable(pts: Sequence[int], time_base: Fraction) -> bool:
    """Whether frame durations differ by more than the rounding of the time base or a millisecond."""
    steps = np.diff(np.asarray(pts))
    return len(steps) > 0 and int(steps.max() - steps.min()) * time_base > max(2 * time_base, Fraction(2, 1000))


def repair(
    raw: list[int | None], video: VideoInfo, durations: Sequence[int]
) -> tuple[list[int], list[Fraction], list[str]]:
    """Make timestamps complete and strictly increasing; (pts, timeline shifts in seconds, one note per repair)."""
    step = video.step
    raw = [p if p is None or abs(p * video.time_base) < _ABSURD_SECONDS else None for p in raw]
    if all(p is None for p in raw):
        start = video.start or 0
        exact = 1 / (video.rate * video.time_base)
        rebuilt = [start + round(i * exact) for i in range(len(raw))]
        return rebuilt, [], [f"the source has no timestamps: frames are placed at {float(video.rate):g} per second"]
    notes: list[str] = []
    filled, missing = _fill(raw, step)
    if missing:
        notes.append(f"{missing} of {len(raw)} frames have no timestamp: placed between their neighbours")
    jump = round(JUMP_SECONDS / video.time_base)
    pts: list[int] = []
    shifts: list[Fraction] = []
    shift, nudged = 0, 0
    for i, value in enumerate(filled):
        at = value + shift
        if pts and at < pts[-1] - jump and all(f + shift <= pts[-1] for f in filled[i : i + _LASTING_FRAMES]):
            extra = pts[-1] + (durations[i - 1] or step) - at
            shift += extra
            at += extra
            shifts.append(shift * video.time_base)
        elif pts and at <= pts[-1]:
            # One stamp back or twice: half way to the next good one if there is room, else the next unit.
            following = next((f + shift for f in filled[i + 1 : i + 9] if f + shift > pts[-1] + 1), None)
            room = following - pts[-1] if following is not None else 2 * step
            at = pts[-1] + max(1, min(step, room // 2))
            nudged += 1
        pts.append(at)
    if shifts:
        notes.append(f"the timeline jumps back {len(shifts)} times: what follows is moved up behind what came before")
    if nudged:
        notes.append(f"{nudged} of {len(raw)} timestamps repeat or run backwards: moved to the nearest free place")
    return pts, shifts, notes


def _fill(raw: list[int | None], step: int) -> tuple[list[int], int]:
    """Replace None by values between the known neighbours, one step apart at the ends; (values, how many)."""
    known = [i for i, value in enumerate(raw) if value is not None]
    values = [value if value is not None else 0 for value in raw]
    for i, value in enumerate(raw):
        if value is not None:
            continue
        following = bisect_left(known, i)
        before = known[following - 1] if following else None
        after = known[following] if following < len(known) else None
        if before is None and after is not None:
            values[i] = values[after] - (after - i) * step
        elif before is not None and after is None:
            values[i] = values[before] + (i - before) * step
        elif before is not None and after is not None:
            values[i] = values[before] + (values[after] - values[before]) * (i - before) // (after - before)
    return values, len(raw) - len(known)


def _is_cut_off(count: int, video: VideoInfo) -> bool:
    # Edit lists and open groups of pictures may hide a few frames that the header counts.
    return bool(video.declared_frames) and count < (video.declared_frames or 0) * 0.9 - 1


def _damage_notes(damage: Damage, count: int, video: VideoInfo) -> list[str]:
    notes = []
    if damage.bad_packets:
        notes.append(f"{damage.bad_packets} packets of the video are damaged and were skipped")
    if damage.corrupt_frames:
        notes.append(f"{damage.corrupt_frames} of {count} frames show damage")
    if damage.late_streams:
        notes.append("further streams begin late in the file, where no header names them: they are left out")
    if damage.read_errors:
        notes.append(f"reading stopped early: {damage.read_errors[0]}")
    if _is_cut_off(count, video):
        notes.append(f"the header promises {video.declared_frames} frames, {count} are there: the file may be cut off")
    return notes
