"""From ``--restore`` to a plan: open choices are made, and the shape and the times of the frames are settled."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Any

from vidsr.errors import VidsrError
from vidsr.filters.before.descriptor import Clock, Retiming, completed, descriptor, is_open
from vidsr.filters.before.timeline import Timeline, Times
from vidsr.filters.between.rate_table import RateTable, SourceTimes, clock, on_grid, with_made
from vidsr.filters.detect.inspection_text import command
from vidsr.filters.detect.lost_frames import gaps
from vidsr.filters.inspector import SMALLEST_PX, Inspector, recommended_filters
from vidsr.frames import ReadFrames
from vidsr.jobs.inspect import flagged_order, inspect_file
from vidsr.media.decode import read_frames
from vidsr.media.index import VideoIndex, is_variable
from vidsr.media.samples import stretches
from vidsr.media.source import DecodedInfo, ReadableInfo, ShapedInfo, StoredInfo, VideoInfo
from vidsr.media.span import Span, cut_index
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.filter_choices import FilterSelection

#: The quick look: places, frames at each, frames of a source short enough to be looked at whole, and frames that do.
_QUICK_PLACES, _QUICK_LENGTH, _QUICK_WHOLE, _QUICK_ENOUGH = 2, 16, 48, 32
#: Models whose results were measured together with those of the recurrent network.
AUTO_MULTIFRAME_MODELS = ("realesrgan-x4plus",)
#: Frames in the middle of a long source from which the share of frames that a filter keeps is estimated.
_SAMPLED_FRAMES = 600


def resolve(options: EnhanceOptions, info: StoredInfo) -> EnhanceOptions:
    """``options`` with every filter named and every parameter known, found in the source where it was not given.

    Filters that have nothing to do in the source, such as ivtc in progressive video, are left out; so is ``--multiframe
    auto`` where it is known beforehand to harm.

    Raises:
        InputError: the source cannot be inspected.
    """
    if left_out_neighbours(options, info):
        options = replace(options, restore=replace(options.restore, multiframe=0.0))
    if options.restore.rate is not None and options.restore.rate.film:
        options = _film(options, info)
    selection = options.restore.restore
    if not selection.auto and not any(is_open(choice) for choice in selection.choices):
        return options
    found, _ = inspect_file(info.path, options)
    wanted = recommended_filters(found) if selection.auto else selection
    made = (completed(choice, found) for choice in wanted.choices)
    chosen = FilterSelection.of(choice for choice in made if choice is not None)
    return replace(options, restore=replace(options.restore, restore=chosen))


def _film(options: EnhanceOptions, info: StoredInfo) -> EnhanceOptions:
    """``options`` with the filter that brings the source to the film's own frames and times, if it has such frames."""
    found, _ = inspect_file(info.path, options)
    wanted = options.restore.restore
    own = tuple(c for c in recommended_filters(found).choices if descriptor(c.name).retiming is not None)
    if not wanted.auto and not any(descriptor(c.name).retiming for c in wanted.choices):
        wanted = FilterSelection.of((*own, *wanted.choices))
    return replace(options, restore=replace(options.restore, restore=wanted, rate=None))


def left_out_neighbours(options: EnhanceOptions, info: StoredInfo) -> str:
    """Why ``--multiframe auto`` looks at no frame of the source: what the file and the model say; "" if it does."""
    if options.restore.multiframe is not None:
        return ""
    if not info.video.is_lossless:
        return f"the source was compressed with loss ({info.video.codec})"
    if options.model.model not in AUTO_MULTIFRAME_MODELS:
        return f"it was not measured with {options.model.model}"
    if options.restore.invent == 0:
        return "--invent 0 leaves the result of one model alone"
    if info.video.interlaced:
        return "it was not measured on interlaced sources"
    return ""


def choice_notes(asked: EnhanceOptions, chosen: EnhanceOptions, info: StoredInfo) -> tuple[str, ...]:
    """Lines that say how :func:`resolve` changed ``asked``: what auto chose, what was left out and why, and what has no
    effect on the source ``info``."""
    before, after = asked.restore.restore, chosen.restore.restore
    notes = () if before.auto else _without_effect(after, info)
    if chosen.restore.masks is not None and all(descriptor(choice.name).whole for choice in after.choices):
        notes = (
            *notes,
            f"--masks {chosen.restore.masks}: without effect, no filter was chosen that could leave parts out",
        )
    doubles = any(descriptor(choice.name).doubling is not None for choice in after.choices)
    if asked.restore.fields == "double" and not doubles:
        notes = (*notes, "--fields double: without effect, as nothing is deinterlaced")
    if asked.restore.rate is not None and asked.restore.rate.film:
        film = [str(c) for c in after.choices if descriptor(c.name).retiming is not None]
        reason = "left out, no frames were found that film of another rate repeats when it is transferred"
        notes = (f"--rate film: {', '.join(film) or reason}", *notes)
    if before.auto:
        return (f"--restore auto: {'nothing to restore was found' if after.is_off else after}", *notes)
    missing = (choice.name for choice in before.choices if choice.name not in after)
    open_ones = [choice.name for choice in before.choices if is_open(choice) and descriptor(choice.name).noted]
    notes = (*(f"--restore {c.name}: found {c}" for c in after.choices if c.name in open_ones), *notes)
    return (*(f"--restore {name}: left out, {descriptor(name).absent}" for name in missing), *notes)


def _without_effect(selection: FilterSelection, info: StoredInfo) -> tuple[str, ...]:
    """A line on the filters that pass frames of the source's pixel format as they are; none if there are none."""
    format = info.video.format
    names = ",".join(c.name for c in selection.choices if format.family not in descriptor(c.name).families)
    if not names:
        return ()
    if format.family == "gray":
        return (f"--restore {names}: without effect, the source has no colour",)
    planes = f"yuv444p{10 if format.depth <= 8 else 16}le"
    return (
        f"--restore {names}: without effect on RGB; give a copy with luma and colour in planes of their own: "
        f"ffmpeg -i {shlex.quote(str(info.path))} -map 0 -c copy -vf scale=out_color_matrix=smpte170m -c:v ffv1 "
        f"-pix_fmt {planes} -colorspace smpte170m copy.mkv",
    )


def order_note(options: EnhanceOptions) -> tuple[str, ...]:
    """A line that says in which order several filters act, and that grain comes last; none for fewer."""
    names = [choice.name for choice in options.restore.restore.choices]
    if len(names) < 2:
        return ()
    last = ", and grain after the network" if options.restore.grain else ""
    return (f"filters act in this order: {', '.join(names)}{last}",)


def quick_warning(info: StoredInfo) -> str | None:
    """One line if a quick look says that the source should be restored first; None if it does not."""
    if min(info.video.width, info.video.height) < SMALLEST_PX:
        return None
    inspector = Inspector(flagged_order(info.video), info.video.sar)
    try:
        for _, frames in stretches(info, places=_QUICK_PLACES, length=_QUICK_LENGTH, whole=_QUICK_WHOLE):
            inspector.add(frames[:_QUICK_WHOLE])
            if inspector.sampled >= _QUICK_ENOUGH:
                break
        if not inspector.sampled:
            return None
        found = inspector.result(inspector.sampled)
    except VidsrError:
        return None  # the job itself reports what is wrong
    faults = [] if found.scan in ("progressive", "unclear") else [found.scan]
    faults += ["barred"] if found.has_bars else []
    if not faults:
        return None
    remedy = command(str(info.path), {"restore": "auto"})
    return f"this looks {' and '.join(faults)}; to restore it: {remedy} (vidsr inspect says more)"


def retiming_of(options: EnhanceOptions) -> tuple[Retiming[Any], Any] | None:
    """The filter that changes frames or times, and its parameter; None if none does. Of several the first acts."""
    for choice in options.restore.restore.choices:
        retiming = descriptor(choice.name).retimes(options.restore.fields)
        if retiming is not None:
            return retiming, choice.parameter
    return None


def retiming_names(options: EnhanceOptions) -> str:
    """The filters that change which frames there are; "" if none does."""
    restore = options.restore
    return ", ".join(str(c) for c in restore.restore.choices if descriptor(c.name).retimes(restore.fields) is not None)


def restored(info: StoredInfo, options: EnhanceOptions) -> ShapedInfo:
    """``info`` of the frames as they leave the filters: with their size, rate and time base.

    Raises:
        InputError: the crop is not inside the picture, or begins on odd pixels of subsampled chroma.
    """
    video = info.video
    for choice in options.restore.restore.choices:
        resize = descriptor(choice.name).resize
        if resize is not None:
            width, height = resize(choice.parameter, (video.width, video.height), video.format)
            video = replace(video, width=width, height=height)
    video = _with_rate(_retimed_video(video, options), options)
    return ShapedInfo(replace(info, video=video))


def _retimed_video(video: VideoInfo, options: EnhanceOptions) -> VideoInfo:
    """``video`` with the rate and the time base after the filter that changes frames or times."""
    retimed_by = retiming_of(options)
    if retimed_by is None:
        return video
    retiming, parameter = retimed_by
    after = retiming.after(parameter, Clock(rate=video.rate, time_base=video.time_base), video.step)
    return replace(video, rate=after.rate, time_base=after.time_base)


def _with_rate(video: VideoInfo, options: EnhanceOptions) -> VideoInfo:
    """``video`` with the rate of the options, and a time base that suits it."""
    wanted = options.restore.rate
    if wanted is None:
        return video
    rate = wanted.of(video.rate)
    return replace(video, rate=rate, time_base=clock(video.time_base, rate, wanted.times or 1))


def as_decoded(settled: ShapedInfo, probed: StoredInfo) -> DecodedInfo:
    """``settled`` with the size and the times that the decoder gives."""
    was = probed.video
    video = replace(settled.video, width=was.width, height=was.height, rate=was.rate, time_base=was.time_base)
    return DecodedInfo(replace(settled, video=video))


def plan_times(info: DecodedInfo, index: VideoIndex, options: EnhanceOptions) -> Timeline | None:
    """The table of the filter that changes frames or times, from a pass over the source ``info`` as decoded."""
    found = retiming_of(options)
    if found is None:
        return None
    retiming, parameter = found
    after = retiming.after(parameter, Clock(rate=info.video.rate, time_base=index.time_base), info.video.step)
    parts = int(index.time_base / after.time_base)
    times = Times(
        pts=[p * parts for p in index.pts],
        durations=[d * parts for d in index.durations],
        time_base=after.time_base,
        rate=info.video.rate,
    )
    return retiming.table(read_frames(info, index=index), times, parameter)


@dataclass(frozen=True, slots=True)
class PlannedFrames:
    """The frames that the network gets, numbered from ``first``: their ``index``, and with ``--rate``, or where lost
    frames are made again, the ``table`` that says what they are made of."""

    first: int
    index: VideoIndex
    table: RateTable | None = None


def planned_frames(
    info: DecodedInfo,
    index: VideoIndex,
    timeline: Timeline | None,
    options: EnhanceOptions,
    span: Span | None = None,
    table: RateTable | None = None,
) -> PlannedFrames:
    """What filters that change frames or times, the ``span``, and ``--rate`` make of the frames of ``index``.

    Frames of another rate begin with the first frame of the span. Without ``--rate``, the filter refill has frames made
    in the gaps. ``table`` is one that was kept of an earlier call.
    """
    after = retimed(index, timeline)
    cut = cut_index(span, index, after)
    wanted = options.restore.rate
    made = _refilled(after, options)
    part = range(cut.first, cut.first + len(cut.index))
    if wanted is None and not any(number in part for number in made):
        return PlannedFrames(cut.first, cut.index)
    if table is None:
        video = _retimed_video(info.video, options)
        following = cut.first + len(cut.index)
        times = SourceTimes.of(
            cut.index.pts,
            cut.index.durations[-1],
            cut.index.time_base,
            video.rate,
            first=cut.first,
            following=after.pts[following] if following < len(after) else None,
        )
        base = _with_rate(video, options).time_base
        if wanted is None:
            own = {number - cut.first: count for number, count in made.items() if number in part}
            table = with_made(times, own, base, len(after))
        elif wanted.times is not None and not times.even:
            table = with_made(times, dict.fromkeys(range(len(cut.index)), wanted.times - 1), base, len(after))
        else:
            table = on_grid(times, wanted.of(video.rate), base, len(after))
    return PlannedFrames(0, _listed(cut.index, table), table)


def refills(options: EnhanceOptions) -> bool:
    """Whether frames are made in gaps. Another rate needs no more for that than its even times."""
    return "refill" in options.restore.restore and options.restore.rate is None


def _refilled(index: VideoIndex, options: EnhanceOptions) -> dict[int, int]:
    """How many frames to make after which frame of ``index``, for the filter refill; none where it was not chosen."""
    if not refills(options):
        return {}
    return {gap.after: gap.count for gap in gaps(index.pts, index.time_base) if not gap.long}


def _listed(index: VideoIndex, table: Timeline | RateTable) -> VideoIndex:
    """The index of the frames of ``table``, which is made from that of ``index``."""
    pts, durations = table.stamps()
    return replace(
        index,
        pts=pts,
        durations=durations,
        time_base=table.time_base,
        digests=(),
        keyframes=(),
        variable=is_variable(pts, table.time_base),
    )


def expected_frames(info: ReadableInfo, index: VideoIndex, options: EnhanceOptions, part: range) -> int:
    """The number of frames that the filters and ``--rate`` make of the frames ``part`` of the source ``info`` as
    decoded; of many an estimate."""
    if refills(options) and retiming_of(options) == (descriptor("refill").retiming, None):
        # What it leaves out, it makes again.
        return len(part) + sum(count for after, count in _refilled(index, options).items() if after in part)
    count, rate = _filtered_frames(info, index, options, part), options.restore.rate
    if rate is None or rate.number is None:
        return count * (1 if rate is None else rate.times or 1)
    length = index.pts[part[-1]] + index.durations[part[-1]] - index.pts[part[0]]
    return max(1, round(length * index.time_base * rate.number))


def expected_made(info: DecodedInfo, index: VideoIndex, options: EnhanceOptions, span: Span | None, frames: int) -> int:
    """How many of the ``frames`` that are expected of a source ``--rate`` or refill make in between others, at most."""
    if options.restore.rate is None and not refills(options):
        return 0
    if retiming_of(options) is not None:
        part = range(len(index)) if span is None else range(span.first, span.stop)
        return max(0, frames - _filtered_frames(info, index, options, part))
    table = planned_frames(info, index, None, options, span).table
    return 0 if table is None else len(table.made())


def _filtered_frames(info: ReadableInfo, index: VideoIndex, options: EnhanceOptions, part: range) -> int:
    """The number of frames after the filter that changes it; of many an estimate."""
    found, count = retiming_of(options), len(part)
    if found is None:
        return count
    retiming, parameter = found
    if not retiming.looks:
        return round(count * retiming.rate)
    first = part[0] + max(0, count // 2 - _SAMPLED_FRAMES // 2)
    stop = min(part.stop, first + _SAMPLED_FRAMES)
    after = retiming.after(parameter, Clock(rate=info.video.rate, time_base=1 / info.video.rate), 1)
    parts = int(1 / (info.video.rate * after.time_base))
    times = Times(
        pts=range(0, parts * (stop - first), parts),
        durations=[parts] * (stop - first),
        time_base=after.time_base,
        rate=info.video.rate,
    )
    table = retiming.table(read_frames(info, first, stop, index), times, parameter)
    return round(count * len(table.entries) / max(1, stop - first))


def reshaping_notes(
    info: StoredInfo, frames: tuple[int, int], options: EnhanceOptions, made: int = 0
) -> tuple[str, ...]:
    """A line on how the filters and ``--rate`` change ``frames`` = (before, after) and their size; none if they do not.

    ``made`` of the frames after are made in between others.
    """
    if not options.restore.reshaping():
        return ()
    was, now = info.video, restored(info, options).video
    before = f"{frames[0]} frames of {was.width}x{was.height}, {float(was.rate):.3f} a second"
    rate = float(was.rate) * frames[1] / max(1, frames[0])
    if options.restore.rate is not None or refills(options):
        rate = float(now.rate)
    return (
        f"{options.restore.reshaping_flags()}: of {before}, it makes {frames[1]} of {now.width}x{now.height}, "
        f"{rate:.3f} a second" + (f"; {made} of them lie in between and are made" if made else ""),
    )


def retimed(index: VideoIndex, timeline: Timeline | None) -> VideoIndex:
    """The index of the frames that ``timeline`` makes of the source that ``index`` lists."""
    return index if timeline is None else _listed(index, timeline)


def reader(timeline: Timeline | None, source: ReadFrames) -> ReadFrames:
    """From a reader of source frames, a reader of the frames that go into the filters."""
    if timeline is None:
        return source
    return lambda first, stop: timeline.read(source, first, stop)


def tried_out(options: EnhanceOptions) -> EnhanceOptions:
    """``options`` for single moments, which have no table of times: ``--rate`` is left out, and filters that retime are
    replaced or left out.

    A filter's descriptor names its replacement: plain deinterlacing for inverse telecine, none for repeated frames.
    """
    if options.restore.rate is not None:
        options = replace(options, restore=replace(options.restore, rate=None))
    found = retiming_of(options)
    if found is None:
        return options
    retiming, parameter = found
    left = [c for c in options.restore.restore.choices if descriptor(c.name).retiming is None]
    if retiming.at_moments is not None:
        left.insert(0, retiming.at_moments(parameter))
    return replace(options, restore=replace(options.restore, restore=FilterSelection.of(left), fields="same"))


def moments_note(options: EnhanceOptions, shown: EnhanceOptions) -> str:
    """What of ``options`` a look at single moments, with the options ``shown``, leaves out."""
    was, now = options.restore, shown.restore
    if was.restore == now.restore and was.fields == now.fields:
        return (
            f"--rate {was.rate}: single moments are frames of the source; the job itself changes their number and times"
        )
    asked = f"--restore {was.restore}" + (" --fields double" if was.fields == "double" else "")
    return (
        f"{asked}: single moments are shown with --restore {now.restore}; the job itself reads the whole source and "
        "changes the number or the times of its frames"
    )
