"""Verify numbered pictures against their source: number, size, depth and times of the files, and that each decodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidsr.errors import InputError
from vidsr.media import image_sequence
from vidsr.media.check.verify_report import Check, CheckState, VerifyReport, check_equal
from vidsr.media.index import VideoIndex
from vidsr.media.mux.restoration_tag import timecode_of
from vidsr.media.pictures.dpx import DpxHeaders, dpx_files, read_fields, timecode_in
from vidsr.media.pictures.frame_files import FileFacts, decode_facts
from vidsr.media.source import ShapedInfo
from vidsr.media.source_files import files_of
from vidsr.media.timecode import Timecode

#: Name of the file, next to numbered pictures, that holds the time of each.
TIMES_NAME = "timestamps.txt"
_TIMES_HEAD = "# timestamp format v2"
#: Milliseconds by which a time may differ: it is written with six decimals.
_SLACK_MS = Fraction(2, 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureExpectation:
    """What the maker of numbered pictures knows and a stranger does not.

    ``size`` is (width, height) in pixels, ``depth`` the bits per sample, ``first`` the number of the first file.
    """

    size: tuple[int, int]
    depth: int
    alpha: bool
    first: int


def times_text(index: VideoIndex) -> str:
    """The time of every frame in milliseconds after the first, in the format that mkvmerge calls timestamps v2."""
    base = index.time_base * 1000
    return "\n".join([_TIMES_HEAD, *(f"{float((p - index.pts[0]) * base):.6f}" for p in index.pts)]) + "\n"


def read_times(path: Path) -> list[Fraction]:
    """The times in milliseconds that :func:`times_text` wrote.

    Raises:
        InputError: the file is missing or is not a list of times.
    """
    try:
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        if head != _TIMES_HEAD:
            raise ValueError(f"its first line is {head!r}, expected {_TIMES_HEAD!r}")
        return [Fraction(line) for line in lines]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a list of times ({error})") from error


def verify_pictures(
    source: ShapedInfo,
    pattern: Path,
    index: VideoIndex,
    expectation: PictureExpectation | None = None,
    *,
    on_frame: Callable[[int], None] | None = None,
) -> VerifyReport:
    """Compare numbered pictures with their source; every file is decoded to its end.

    Args:
        source: the source, its size and times those after restoration.
        pattern: the pictures, with ``timestamps.txt`` in their folder.
        index: the frames that the pictures must be.
        expectation: what is known of the pictures, if anything.
        on_frame: receives the number of files decoded so far.
    """
    checks: list[Check] = []
    try:
        found = image_sequence.find(pattern)
    except InputError as error:
        checks.append(Check(name="frames", state="different", source=str(len(index)), result=str(error)))
        return VerifyReport(source=str(source.path), result=str(pattern), checks=tuple(checks))
    checks.append(check_equal("frames", len(index), found.count))
    if expectation is not None:
        checks.append(check_equal("first number", expectation.first, found.first))
    facts, damaged = [], []
    for done, path in enumerate(files_of(pattern), 1):
        try:
            facts.append(decode_facts(path))
        except InputError as error:
            damaged.append(str(error))
        if on_frame is not None:
            on_frame(done)
    checks.append(check_equal("decodes whole", "0 damaged files", _damage(damaged)))
    checks += [*_shape(source, facts, expectation), _times(pattern.with_name(TIMES_NAME), index), *_streams(source)]
    checks += _timecodes(source, pattern, found.count)
    return VerifyReport(source=str(source.path), result=str(pattern), checks=tuple(checks))


def _damage(damaged: list[str]) -> str:
    return f"{len(damaged)} damaged files" + (f", the first: {damaged[0]}" if damaged else "")


def _shape(source: ShapedInfo, facts: list[FileFacts], expectation: PictureExpectation | None) -> list[Check]:
    sizes = " and ".join(sorted({f"{f.width}x{f.height}" for f in facts}))
    depths = " and ".join(sorted({f"{f.depth} bits" for f in facts}))
    if expectation is None:
        video = source.video
        size = Check(
            name="size", state="same" if " " not in sizes else "different", source=f"{video.width}x{video.height}",
            result=sizes,
        )  # fmt: skip
        return [size, check_equal("bit depth", depths.partition(" and ")[0], depths)]
    width, height = expectation.size
    checks = [
        check_equal("size", f"{width}x{height}", sizes),
        check_equal("bit depth", f"{expectation.depth} bits", depths),
    ]
    if expectation.alpha:
        checks.append(check_equal("alpha", "present", "present" if all(f.alpha for f in facts) else "none"))
    return checks


def _times(path: Path, index: VideoIndex) -> Check:
    base = index.time_base * 1000
    want = [(p - index.pts[0]) * base for p in index.pts]
    try:
        have = read_times(path)
    except InputError as error:
        return Check(name="timestamps", state="different", source=f"{len(want)} stamps", result=str(error))
    worst = max((abs(h - w) for h, w in zip(have, want, strict=False)), default=Fraction(0))
    state: CheckState = "same" if len(have) == len(want) and worst <= _SLACK_MS else "different"
    text = f"{len(have)} stamps, largest error {float(worst):.3g} ms"
    return Check(name="timestamps", state=state, source=f"{len(want)} stamps", result=text)


def _timecodes(source: ShapedInfo, pattern: Path, count: int) -> Iterator[Check]:
    """The timecode of every DPX picture; other formats hold none."""
    start = Timecode.parse(timecode_of(source) or "")
    if start is None:
        return
    if pattern.suffix.lower() != ".dpx":
        why = "only DPX pictures hold a timecode"
        yield Check(name="timecode", state="announced", source=str(start), result="none", why=why)
        return
    headers = DpxHeaders.for_source(source, one_to_one=len(dpx_files(source)) == count)
    for number, path in enumerate(files_of(pattern)):
        want, have = timecode_in(headers.of(number)), timecode_in(read_fields(path))
        if want != have:
            yield Check(name=f"timecode of {path.name}", state="different", source=str(want), result=str(have))
            return
    yield check_equal("timecode", str(start), str(start))


def _streams(source: ShapedInfo) -> list[Check]:
    others = [s for s in source.streams if s.index != source.video.stream_index]
    why = "numbered pictures hold only the video"
    return [
        Check(name=f"{s.kind} {s.index}", state="announced", source=s.codec, result="left out", why=why) for s in others
    ]
