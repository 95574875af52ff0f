"""Verify a result against its source: the proof that what went in came out."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from pathlib import Path

from vidsr.codec_table import CODECS
from vidsr.media.check.picture_checks import check_picture
from vidsr.media.check.preflight import expected_losses
from vidsr.media.check.stream_checks import CutSource, check_contents, check_label, check_streams
from vidsr.media.check.verify_report import Check, VerifyReport, check_equal
from vidsr.media.encode.encoder import EncoderSettings
from vidsr.media.index import VideoIndex, index_video
from vidsr.media.mux.assemble import ResultPlan, enhanced_stream, start_offset
from vidsr.media.mux.containers import ContainerEntry, container_of
from vidsr.media.mux.streams import StreamPlan, plan_streams
from vidsr.media.probe import probe
from vidsr.media.reader import VideoReader
from vidsr.media.source import ShapedInfo, SourceInfo, StoredInfo
from vidsr.media.span import Span, cut_info
from vidsr.options.enhance_options import EnhanceOptions

#: Containers that round every timestamp to a millisecond.
MILLISECOND = ("mkv", "webm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What only the maker of a result knows: its encoder settings, and the part of the source that it is made of."""

    settings: EncoderSettings | None = None
    options: EnhanceOptions = EnhanceOptions()  # noqa: RUF009 - frozen all through
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The result's video, decoded to its end: stamps in units of ``clock``, and whether anything was wrong."""

    stamps: Sequence[int]
    clock: Fraction
    bad_packets: int
    corrupt_frames: int


def verify(
    source: ShapedInfo | Path | str,
    result: Path,
    expectation: Expectation | None = None,
    *,
    index: VideoIndex | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Compare a result with its source: frames, times, picture, colour, HDR, streams, chapters, tags.

    A ``source`` that is described already, as its frames are after restoration, needs the ``index`` of those frames;
    for a path, ``index`` saves decoding it again. Of a part of the source, it lists the frames of that part.

    Raises:
        InputError: either file cannot be read as a video at all.
        OutputError: the result's suffix names no container that vidsr writes.
    """
    known = expectation or Expectation()
    if isinstance(source, SourceInfo):
        info = source
        if index is None:
            raise ValueError(f"{info.path}: verify needs the index of a source that is given as a description")
    else:
        stored = probe(source, known.options.colour, known.options.source)
        info, index = ShapedInfo(stored), index or index_video(stored)
    span = known.span
    info = ShapedInfo(cut_info(span, info))
    made = probe(result)
    entry = container_of(result, made.video.codec)
    plans = plan_streams(info, entry, known.options.streams, known.options.span)
    decoded = _decode(made, on_frame)
    start = Fraction(0) if span is None else -span.start
    shift = _shift(index, decoded, entry, plans, span)
    cut = None if span is None else CutSource(span=span, shifts=index.shifts)
    checks = [
        *_frames(index, decoded, shift, start, entry),
        *check_picture(info.video, made.video, known.settings),
        *check_label(enhanced_stream(info), enhanced_stream(made), entry),
        *check_streams(info, made, plans, entry, shift, cut),
        *check_contents(info, made, entry, shift, start),
    ]
    if any(check.state == "different" for check in checks):
        settings = known.settings or _likely_settings(info, made, known.options)
        if settings is not None:
            plan = ResultPlan(info=info, settings=settings, container=entry, streams=plans)
            checks = list(_excused(checks, expected_losses(plan), entry))
    return VerifyReport(source=str(info.path), result=str(result), checks=tuple(checks))


def _excused(checks: list[Check], losses: dict[str, Check], entry: ContainerEntry) -> Iterator[Check]:
    """The checks, those "announced" that fail in the same way in every result of this codec and container."""
    for check in checks:
        loss = losses.get(check.name)
        foreseen = check.state == "different" and loss is not None and loss.result == check.result
        yield replace(check, state="announced", why=f"{entry.name} cannot keep it") if foreseen else check


def _likely_settings(info: ShapedInfo, made: StoredInfo, options: EnhanceOptions) -> EncoderSettings | None:
    """Settings like those that a result was made with; None for a codec that vidsr does not write."""
    if made.video.codec not in CODECS:
        return None
    encode = replace(options.encode, codec=made.video.codec, bit_depth=None, preset=None, encoder_options=())
    return EncoderSettings.for_source(info.video, encode, (made.video.width, made.video.height))


def _decode(made: StoredInfo, on_frame: Callable[[int], None] | None) -> _Decoded:
    stamps = array("q")
    with VideoReader(made) as reader:
        for frame in reader.frames():
            stamps.append(frame.pts if frame.pts is not None else -1)
            if on_frame is not None:
                on_frame(len(stamps))
        return _Decoded(stamps, made.video.time_base, reader.damage.bad_packets, reader.damage.corrupt_frames)


def _shift(
    index: VideoIndex, decoded: _Decoded, entry: ContainerEntry, plans: tuple[StreamPlan, ...], span: Span | None
) -> Fraction:
    """By how much the whole result is later than the source: a span begins at 0, and some containers cannot begin
    before it."""
    offset = start_offset(entry, index, plans, span)
    if not decoded.stamps or entry.muxer in ("mp4", "mov"):
        return offset
    difference = decoded.stamps[0] * decoded.clock - index.pts[0] * index.time_base - offset
    rounding = Fraction(1, 2000) if entry.name in MILLISECOND else Fraction(0)
    return offset + (difference if difference > rounding else Fraction(0))


def largest_error(
    have: Sequence[int], clock: Fraction, want: Sequence[int], wanted_clock: Fraction, shift: Fraction
) -> Fraction:
    """The largest difference in seconds between two rows of stamps, each on its own clock, the first ``shift`` seconds
    late; of the frames that both have. Exact: whole numbers on the clock that holds all three."""
    parts = lcm(clock.denominator, wanted_clock.denominator, shift.denominator)
    here, there, moved = int(clock * parts), int(wanted_clock * parts), int(shift * parts)
    errors = (abs(h * here - w * there - moved) for h, w in zip(have, want, strict=False))
    return Fraction(max(errors, default=0), parts)


def _frames(
    index: VideoIndex, decoded: _Decoded, shift: Fraction, start: Fraction, entry: ContainerEntry
) -> list[Check]:
    checks = [check_equal("frames", len(index), len(decoded.stamps))]
    damage = f"{decoded.bad_packets} bad packets, {decoded.corrupt_frames} damaged frames"
    checks.append(check_equal("decodes whole", "0 bad packets, 0 damaged frames", damage))
    slack = Fraction(1, 1000) if entry.name in MILLISECOND else Fraction(0)
    worst = largest_error(decoded.stamps, decoded.clock, index.pts, index.time_base, shift)
    text = f"largest error {float(worst) * 1000:.3g} ms"
    why = ""
    moved = shift - start
    if moved:
        why = f"{entry.name} cannot begin before 0: all streams are {float(moved) * 1000:.0f} ms later, in step"
    state = "different" if worst > slack else ("announced" if moved else "same")
    checks.append(
        Check(name="timestamps", state=state, source=f"{len(index)} stamps", result=text, why=why)  # type: ignore[arg-type]
    )
    return checks
