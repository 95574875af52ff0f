"""Verify a result against its source: the proof that what went in came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidsr.media.check.report import Check, VerifyReport, compare
from vidsr.media.check.verify_streams import check_label, check_streams
from vidsr.media.colour_tags import MATRICES, PRIMARIES, TRANSFERS, ColourTags
from vidsr.media.encode.codecs import CODECS, keeps_location
from vidsr.media.encode.encoder import EncoderSettings
from vidsr.media.index import VideoIndex, index_video
from vidsr.media.mux.assemble import enhanced_stream, start_offset
from vidsr.media.mux.containers import ContainerEntry, container_of
from vidsr.media.mux.streams import StreamPlan, plan_streams
from vidsr.media.probe import probe
from vidsr.media.reader import VideoReader
from vidsr.media.source import HdrInfo, SourceInfo, VideoInfo
from vidsr.options import EnhanceOptions

#: Containers that round every timestamp to a millisecond, and move all of them up where some are negative.
MILLISECOND = ("mkv", "webm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the maker of a result knows and a stranger does not: the settings it was made with."""

    settings: EncoderSettings | None = None
    options: EnhanceOptions = EnhanceOptions()  # noqa: RUF009 - frozen all through


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The result's video, decoded to its end: times in seconds, and whether anything was wrong."""

    times: tuple[Fraction, ...]
    bad_packets: int
    corrupt_frames: int


def verify(
    source: SourceInfo | Path | str,
    result: Path,
    expectation: Expectation | None = None,
    *,
    index: VideoIndex | None = None,
    on_frame: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Compare a result with its source: frames, times, picture, colour, HDR, streams, chapters, tags.

    ``index`` saves decoding the source again.

    Raises:
        InputError: either file cannot be read as a video at all.
        OutputError: the result's suffix names no container that vidsr writes.
    """
    known = expectation or Expectation()
    info = source if isinstance(source, SourceInfo) else probe(source, known.options.colour, known.options.source)
    index = index or index_video(info)
    made = probe(result)
    entry = container_of(result, made.video.codec)
    plans = plan_streams(info, entry, known.options.streams)
    decoded = _decode(made, on_frame)
    shift = _shift(index, decoded, entry, plans)
    checks = [
        *_frames(index, decoded, shift, entry),
        *_picture(info.video, made.video, known.settings),
        *_colour(info.video, made.video, known.settings),
        *_hdr(info.video, made.video),
        *check_label(enhanced_stream(info), enhanced_stream(made), entry),
        *check_streams(info, made, plans, entry, shift),
    ]
    return VerifyReport(source=str(info.path), result=str(result), checks=tuple(checks))


def _decode(made: SourceInfo, on_frame: Callable[[int], None] | None) -> _Decoded:
    times: list[Fraction] = []
    clock = made.video.time_base
    with VideoReader(made) as reader:
        for frame in reader.frames():
            times.append((frame.pts if frame.pts is not None else -1) * clock)
            if on_frame is not None:
                on_frame(len(times))
        return _Decoded(tuple(times), reader.damage.bad_packets, reader.damage.corrupt_frames)


def _shift(index: VideoIndex, decoded: _Decoded, entry: ContainerEntry, plans: tuple[StreamPlan, ...]) -> Fraction:
    """By how much the whole result is later than the source, where its container cannot begin before 0."""
    if not decoded.times:
        return Fraction(0)
    if entry.muxer in ("mp4", "mov"):
        return start_offset(entry, index, plans)
    if entry.name not in MILLISECOND:
        return Fraction(0)
    difference = decoded.times[0] - index.pts[0] * index.time_base
    return difference if difference > Fraction(1, 1000) else Fraction(0)


def _frames(index: VideoIndex, decoded: _Decoded, shift: Fraction, entry: ContainerEntry) -> list[Check]:
    want = [pts * index.time_base for pts in index.pts]
    have = decoded.times
    checks = [compare("frames", len(want), len(have))]
    damage = f"{decoded.bad_packets} bad packets, {decoded.corrupt_frames} damaged frames"
    checks.append(compare("decodes whole", "0 bad packets, 0 damaged frames", damage))
    slack = Fraction(1, 1000) if entry.name in MILLISECOND else Fraction(0)
    worst = max((abs(h - shift - w) for h, w in zip(have, want, strict=False)), default=Fraction(0))
    text = f"largest error {float(worst) * 1000:.3g} ms"
    why = ""
    if shift:
        why = f"{entry.name} cannot begin before 0: all streams are {float(shift) * 1000:.0f} ms later, in step"
    state = "different" if worst > slack else ("announced" if shift else "same")
    checks.append(
        Check(name="timestamps", state=state, source=f"{len(want)} stamps", result=text, why=why)  # type: ignore[arg-type]
    )
    return checks


def _picture(video: VideoInfo, made: VideoInfo, settings: EncoderSettings | None) -> list[Check]:
    checks = []
    size = f"{made.width}x{made.height}"
    if settings is not None:
        checks.append(compare("size", f"{settings.width}x{settings.height}", size))
        checks.append(compare("pixel shape", _ratio(settings.sar), _ratio(made.sar)))
    else:
        checks.append(Check(name="size", state="same", source=f"{video.width}x{video.height}", result=size))
        want = Fraction(video.width, video.height) * video.sar
        have = Fraction(made.width, made.height) * made.sar
        # One pixel more or less, from rounding to whole or even sizes, is no change of shape.
        slack = Fraction(2, min(made.width, made.height)) * want
        state = "same" if abs(want - have) <= slack else "different"
        text = f"{float(have):.4f}"
        checks.append(
            Check(name="display shape", state=state, source=f"{float(want):.4f}", result=text)  # type: ignore[arg-type]
        )
    why = "" if _turns(video.display_matrix) else "it neither turns nor mirrors, which is all that containers share"
    checks.append(compare("orientation", video.display_matrix, made.display_matrix, announced=why))
    return checks


def _turns(matrix: tuple[int, ...] | None) -> bool:
    """Whether a display matrix turns or mirrors; scaling alone and shearing come from damage only."""
    if matrix is None:
        return True
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    return abs(a) == abs(d) and abs(b) == abs(c) and not (b == c == 0 and a == d > 0)


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}:{value.denominator}"


def _colour(video: VideoInfo, made: VideoInfo, settings: EncoderSettings | None) -> list[Check]:
    want = settings.format.tags if settings is not None else video.tags
    have = made.tags
    changed = ""
    if settings is None and video.format.family == "rgb" and made.format.family != "rgb":
        changed = "RGB is stored as YUV"
    elif made.format.family == "rgb":
        want = have if settings is not None else want
    codes = CODECS[made.codec].matrices if made.codec in CODECS else None
    if settings is None and codes is not None and want.matrix not in codes:
        changed = f"{made.codec} has no code for it"
    limited = "ProRes knows limited range only" if made.codec == "prores" and want.full_range else ""
    checks = []
    # H.264 and HEVC define the code for 4:2:0 only.
    if want.chroma_location not in (None, "left") and video.format.family == "yuv" and made.format.log2_chroma_h:
        lost = "" if keeps_location(made.codec, want.chroma_location) else f"{made.codec} has no code for it"
        checks = [compare("chroma location", want.chroma_location, have.chroma_location, announced=lost)]
    return [
        *checks,
        compare("matrix", _name(MATRICES, want.matrix), _name(MATRICES, have.matrix), announced=changed),
        compare("primaries", _name(PRIMARIES, want.primaries), _name(PRIMARIES, have.primaries)),
        compare("transfer", _name(TRANSFERS, want.transfer), _name(TRANSFERS, have.transfer)),
        compare("range", _range(want), _range(have), announced=changed or limited),
        *_alpha(video, made, settings),
    ]


def _alpha(video: VideoInfo, made: VideoInfo, settings: EncoderSettings | None) -> list[Check]:
    if not video.format.alpha and not made.format.alpha and video.flatten is None:
        return []
    kept = made.format.alpha or (settings is not None and settings.format.frames.alpha)
    blended = "" if kept else "blended over a colour: enhance does that only with --flatten"
    had = "present" if video.format.alpha or video.flatten is not None else "none"
    return [compare("alpha", had, "present" if made.format.alpha else "none", announced=blended)]


def _name(table: dict[int, str], code: int) -> str:
    return table.get(code, "untagged")


def _range(tags: ColourTags) -> str:
    return "full" if tags.full_range else "limited"


def _hdr(video: VideoInfo, made: VideoInfo) -> list[Check]:
    checks = []
    why = ""
    if made.codec not in ("h264", "hevc", "av1"):
        why = f"{made.codec} does not store it"
    if video.hdr.mastering:
        # AV1 stores the greatest luminance in 1/256 cd/m², chromaticities in 1/65536.
        found = compare("mastering display", _mastering(video), _mastering(made), announced=why)
        rounded = made.codec == "av1" and _alike(video.hdr, made.hdr)
        checks.append(replace(found, state="same") if rounded else found)
    if video.hdr.light_level:
        checks.append(
            compare("content light level", video.hdr.light_level, made.hdr.light_level, announced=why),
        )
    checks += [
        Check(name=lost, state="announced", source="present", result="left out", why="no encoder here writes it")
        for lost in video.lost
    ]
    return checks


def _alike(a: HdrInfo, b: HdrInfo) -> bool:
    """Whether two mastering displays are the same in the units of AV1 (its specification, 6.7.4)."""
    if a.mastering is None or b.mastering is None:
        return False
    units = (*[1 << 16] * 8, 1 << 14, 1 << 8)
    return all(abs(x - y) * unit <= 1 for x, y, unit in zip(a.mastering, b.mastering, units, strict=True))


def _mastering(video: VideoInfo) -> str:
    """Chromaticities to 5 decimals (the unit is 0.00002), luminances in cd/m² (the unit is 0.0001)."""
    if video.hdr.mastering is None:
        return "none"
    values: list[Any] = [f"{float(round(v * 50000) / 50000):.5f}" for v in video.hdr.mastering[:8]]
    values += [f"{float(v):.4f}" for v in video.hdr.mastering[8:]]
    return " ".join(values)
