"""How ``--restore`` becomes work: what is open is chosen, the shape and the times of the frames are settled."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from vidsr.errors import InputError, VidsrError
from vidsr.filters.before.timeline import ReadFrames, Timeline, Times, doubled, fineness, matched, without_repeats
from vidsr.filters.detect.inspection import SMALLEST_PX, Inspection, Inspector
from vidsr.filters.detect.inspection_text import command
from vidsr.jobs.inspect import flagged_order, inspect_file
from vidsr.media.decode import read_frames
from vidsr.media.index import VideoIndex, is_variable
from vidsr.media.samples import stretches
from vidsr.media.source import SourceInfo
from vidsr.options import EnhanceOptions

#: Filters whose parameter is the field order, and is found by looking.
_ORDERED = ("ivtc", "deinterlace")


def resolve(options: EnhanceOptions, info: SourceInfo) -> EnhanceOptions:
    """``options`` with every filter named and every parameter given, by looking at the source where they are not.

    Raises:
        InputError: a filter was asked for that has nothing to work on, such as ivtc where no field order is found.
    """
    wanted = options.restore
    if wanted.restore == "off":
        return options
    named = dict(wanted.named())
    if wanted.restore != "auto" and all(named[n] for n in (*_ORDERED, "crop") if n in named):
        return options
    found, _ = inspect_file(info.path, options)
    chosen = found.recommended if wanted.restore == "auto" else {}
    if wanted.restore == "auto":
        named = dict(replace(wanted, restore=chosen.get("restore", "off")).named())
    parts = []
    for name, parameter in named.items():
        value = parameter or _parameter(name, found)
        if value is not None:
            parts.append(f"{name}={value}" if value else name)
    return replace(options, restore=replace(wanted, restore=",".join(parts) or "off"))


def choice_notes(asked: EnhanceOptions, chosen: EnhanceOptions) -> tuple[str, ...]:
    """Lines that say what :func:`resolve` made of ``asked``: what auto stands for, what was left out and why."""
    before, after = asked.restore, dict(chosen.restore.named())
    idle = before.fields == "double" and "deinterlace" not in after
    notes = ("--fields double: without effect, as nothing is deinterlaced",) if idle else ()
    if before.restore == "auto":
        return (f"--restore auto: {chosen.restore.restore if after else 'nothing to restore was found'}", *notes)
    reasons = {"crop": "no bars were found (crop=LEFT:TOP:WIDTH:HEIGHT cuts all the same)"}
    reasons |= {name: f"the picture looks progressive ({name}=tff does it all the same)" for name in _ORDERED}
    left = (f"--restore {name}: left out, {reasons[name]}" for name, _ in before.named() if name not in after)
    return (*left, *notes)


def _parameter(name: str, found: Inspection) -> str | None:
    """The parameter that the look at the source gives; None where the filter has nothing to do."""
    if name == "crop":
        return ":".join(map(str, found.crop)) if found.has_bars else None
    if name in _ORDERED:
        if found.scan == "progressive":
            return None  # deinterlacing what is progressive would only take detail away
        return found.field_order or found.flagged or "tff"
    return ""


def quick_warning(info: SourceInfo) -> str | None:
    """One line if a quick look says that the source should be restored first; None if it does not."""
    if min(info.video.width, info.video.height) < SMALLEST_PX:
        return None
    inspector = Inspector(flagged_order(info.video), info.video.sar)
    try:
        for _, frames in stretches(info, places=2, length=16, whole=48):
            inspector.add(frames[:48])
            if inspector.sampled >= 32:
                break
        if not inspector.sampled:
            return None
        found = inspector.result(inspector.sampled)
    except VidsrError:
        return None  # the job itself will say what is wrong
    faults = [] if found.scan == "progressive" else [found.scan]
    faults += ["barred"] if found.has_bars else []
    if not faults:
        return None
    remedy = command(str(info.path), {"restore": "auto"})
    return f"this looks {' and '.join(faults)}; to restore it: {remedy} (vidsr inspect says more)"


def mode_of(options: EnhanceOptions) -> tuple[str, str] | None:
    """(mode, field order) of the filter that changes frames or times; None if none does."""
    named = dict(options.restore.named())
    if "ivtc" in named:
        return "ivtc", named["ivtc"]
    if "deinterlace" in named and options.restore.fields == "double":
        return "double", named["deinterlace"]
    if "dedupe" in named:
        return "dedupe", ""
    return None


def crop_of(options: EnhanceOptions) -> tuple[int, int, int, int] | None:
    """(left, top, width, height) of the crop, if there is one."""
    text = dict(options.restore.named()).get("crop")
    if not text:
        return None
    try:
        left, top, width, height = (int(part) for part in text.split(":"))
    except ValueError:
        raise InputError(f"--restore crop={text}: write it as crop=LEFT:TOP:WIDTH:HEIGHT") from None
    return left, top, width, height


def restored(info: SourceInfo, options: EnhanceOptions) -> SourceInfo:
    """``info`` as the frames are after the filters: their size, their rate, their time base.

    Raises:
        InputError: the crop does not lie inside the picture, or on odd pixels of subsampled chroma.
    """
    video = info.video
    crop, mode = crop_of(options), mode_of(options)
    if crop is not None:
        left, top, width, height = crop
        if (
            left < 0
            or top < 0
            or width < 16
            or height < 16
            or left + width > video.width
            or top + height > video.height
        ):
            raise InputError(f"--restore crop={':'.join(map(str, crop))}: the picture is {video.width}x{video.height}")
        if left % (1 << video.format.log2_chroma_w) or top % (1 << video.format.log2_chroma_h):
            raise InputError(f"--restore crop={':'.join(map(str, crop))}: left and top must be even here")
        video = replace(video, width=width, height=height)
    if mode is not None:
        parts = fineness(mode[0], video.step)
        rate = video.rate * {"double": Fraction(2), "ivtc": Fraction(4, 5), "dedupe": Fraction(1)}[mode[0]]
        video = replace(video, rate=rate, time_base=video.time_base / parts)
    return replace(info, video=video)


def as_decoded(settled: SourceInfo, probed: SourceInfo) -> SourceInfo:
    """``settled`` with the size and the times that the decoder gives."""
    was = probed.video
    video = replace(settled.video, width=was.width, height=was.height, rate=was.rate, time_base=was.time_base)
    return replace(settled, video=video)


def plan_times(info: SourceInfo, index: VideoIndex, options: EnhanceOptions) -> Timeline | None:
    """The table of the filter that changes frames or times, from a pass over the source ``info`` as decoded."""
    mode = mode_of(options)
    if mode is None:
        return None
    parts = fineness(mode[0], info.video.step)
    times = Times(
        pts=[p * parts for p in index.pts],
        durations=[d * parts for d in index.durations],
        time_base=index.time_base / parts,
    )
    if mode[0] == "double":
        return doubled(times, mode[1])
    frames = read_frames(info, index=index)
    return matched(frames, times, mode[1]) if mode[0] == "ivtc" else without_repeats(frames, times)


#: Frames of a long source from which the share that ivtc and dedupe keep is told.
_LOOKED_AT = 600


def expected_frames(info: SourceInfo, index: VideoIndex, options: EnhanceOptions) -> int:
    """How many frames the filters give of the source ``info`` as decoded; of long ones told from their middle."""
    mode, count = mode_of(options), len(index)
    if mode is None or mode[0] == "double":
        return count * (1 if mode is None else 2)
    first = max(0, count // 2 - _LOOKED_AT // 2)
    stop = min(count, first + _LOOKED_AT)
    times = Times(pts=range(0, 4 * (stop - first), 4), durations=[4] * (stop - first), time_base=index.time_base)
    frames = read_frames(info, first, stop, index)
    table = matched(frames, times, mode[1]) if mode[0] == "ivtc" else without_repeats(frames, times)
    return round(count * len(table.entries) / max(1, stop - first))


def reshaping_notes(info: SourceInfo, frames: tuple[int, int], options: EnhanceOptions) -> tuple[str, ...]:
    """A line that says what the filters make of ``frames`` = (before, after) and of their size; none if nothing."""
    if not options.restore.reshaping():
        return ()
    was, now = info.video, restored(info, options).video
    before = f"{frames[0]} frames of {was.width}x{was.height}, {float(was.rate):.3f} a second"
    rate = float(was.rate) * frames[1] / max(1, frames[0])
    return (
        f"--restore {options.restore.reshaping()}: of {before}, it makes {frames[1]} of {now.width}x{now.height}, "
        f"{rate:.3f} a second",
    )


def retimed(index: VideoIndex, timeline: Timeline | None) -> VideoIndex:
    """The index of the frames that ``timeline`` makes of the source that ``index`` lists."""
    if timeline is None:
        return index
    pts = tuple(e.pts for e in timeline.entries)
    steps = [b - a for a, b in pairwise(pts)]
    return replace(
        index,
        pts=pts,
        durations=tuple(e.duration for e in timeline.entries),
        time_base=timeline.time_base,
        digests=(),
        keyframes=(),
        variable=is_variable(steps, timeline.time_base),
    )


def reader(timeline: Timeline | None, source: ReadFrames) -> ReadFrames:
    """From what reads source frames, what reads the frames that go into the filters."""
    if timeline is None:
        return source
    return lambda first, stop: timeline.read(source, first, stop)


def tried_out(options: EnhanceOptions) -> EnhanceOptions:
    """``options`` for a look at single moments: what changes frames or times stands back for plain deinterlacing."""
    mode = mode_of(options)
    if mode is None:
        return options
    left = {name: parameter for name, parameter in options.restore.named() if name not in ("ivtc", "dedupe")}
    if mode[0] == "ivtc":
        left = {"deinterlace": mode[1], **left}
    text = ",".join(f"{name}={parameter}" if parameter else name for name, parameter in left.items())
    return replace(options, restore=replace(options.restore, restore=text or "off", fields="same"))
