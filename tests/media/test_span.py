"""From options to frames, times, chapters and timecodes of a part."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clips import ClipFactory
from vidsr.errors import InputError
from vidsr.filters.before.descriptor import descriptors, make_filter
from vidsr.media.index import AFTER_FRAMES, Enough, VideoIndex, index_video
from vidsr.media.probe import probe
from vidsr.media.span import Span, cut_index, enough_for, find_span, later_timecode
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.filter_choices import FilterChoice
from vidsr.options.span_options import SpanOptions


def options(**flat: str) -> SpanOptions:
    return EnhanceOptions.from_flat(flat).span


def index_of(pts: list[int], last: int = 1, clock: Fraction = Fraction(1, 24)) -> VideoIndex:
    durations = [*(b - a for a, b in pairwise(pts)), last]
    return VideoIndex(pts=tuple(pts), durations=tuple(durations), time_base=clock)


EVEN = index_of(list(range(48, 96)))  # two seconds that begin at 2 s


@pytest.mark.parametrize(
    ("flat", "first", "stop", "to_end"),
    [
        ({"start": "0.5", "end": "1"}, 12, 24, False),
        ({"start": "0.042"}, 1, 48, True),
        ({"start": "0.043"}, 2, 48, True),
        ({"end": "2"}, 0, 48, True),
        ({"end": "2.9"}, 0, 48, True),
        ({"duration": "0.5"}, 0, 12, False),
        ({"frames": "3:9"}, 3, 9, False),
        ({"frames": "47:"}, 47, 48, True),
    ],
)
def test_frames_first_shown_between_the_times(flat: dict[str, str], first: int, stop: int, to_end: bool) -> None:
    span = find_span(options(**flat), EVEN, "clip")
    assert span is not None
    assert (span.first, span.stop, span.to_end) == (first, stop, to_end)
    assert (span.start, span.end, span.origin) == (2 + Fraction(first, 24), 2 + Fraction(stop, 24), Fraction(2))
    assert Span.from_json(span.to_json()) == span
    assert (span.low is None) == (first == 0) and (span.high is None) == to_end


@pytest.mark.parametrize(
    ("flat", "message"),
    [
        ({"start": "2"}, "--from 2: clip lasts 2, its last frame is at 1.958; begin earlier"),
        ({"start": "1", "end": "3.5"}, "--from 1 --to 3.5: clip lasts 2; end earlier"),
        ({"start": "1", "duration": "2.5"}, "--from 1 --duration 2.5: clip lasts 2; end earlier"),
        ({"start": "1.01", "end": "1.02"}, "no frame of clip begins in between: one is shown at 1, the next at 1.042"),
        ({"frames": "48:"}, "clip has 48 frames, 0 to 47"),
        ({"frames": "3:49"}, "clip has 48 frames, 0 to 47"),
    ],
)
def test_parts_that_are_not_there(flat: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as error:
        find_span(options(**flat), EVEN, "clip")
    assert message in str(error.value)


def test_the_whole_has_no_span() -> None:
    assert find_span(SpanOptions(), EVEN, "clip") is None
    assert cut_index(None, EVEN, EVEN).index is EVEN


def test_without_retiming_the_index_is_sliced() -> None:
    cut = cut_index(find_span(options(frames="5:9"), EVEN, ""), EVEN, EVEN)
    assert cut.first == 5 and list(cut.index.pts) == [53, 54, 55, 56] and list(cut.index.durations) == [1, 1, 1, 1]


@given(st.data())
def test_retimed_frames_fill_the_part(data: st.DataObject) -> None:
    """Whatever frames a filter makes: those of the part lie in it, and cover it but for less than a frame."""
    source = index_of(list(range(40)))
    steps = data.draw(st.lists(st.integers(1, 24), min_size=12, max_size=160), label="quarters of a frame")
    pts = [sum(steps[:n]) for n in range(len(steps))]
    made = index_of([p for p in pts if p < 160], last=4, clock=Fraction(1, 96))
    durations = (*made.durations[:-1], max(1, 160 - made.pts[-1]))
    made = VideoIndex(pts=made.pts, durations=durations, time_base=made.time_base)
    first = data.draw(st.integers(0, 39))
    span = find_span(options(frames=f"{first}:{data.draw(st.integers(first + 1, 40))}"), source, "")
    assert span is not None
    cut = cut_index(span, source, made)
    clock = made.time_base
    begin, end = cut.index.pts[0] * clock, (cut.index.pts[-1] + cut.index.durations[-1]) * clock
    assert len(cut.index) >= 1 and all(d > 0 for d in cut.index.durations)
    assert span.start <= begin < span.start + Fraction(1, 24) or len(cut.index) == 1
    assert all(b > a for a, b in pairwise(cut.index.pts))
    assert cut.index.pts[-1] * clock < span.end and end < span.end + Fraction(1, 24)
    # Every made frame that begins in the part is there.
    inside = [p for p in made.pts if span.start <= p * clock < span.end]
    assert [p for p in cut.index.pts if p in inside] == inside
    assert cut.index.pts[1:] == made.pts[cut.first + 1 : cut.first + len(cut.index)]


def test_parts_of_dropped_repeats_begin_with_the_picture_on_show() -> None:
    source = index_of(list(range(20)))
    made = index_of([0, 16, 56], last=24, clock=Fraction(1, 96))  # frames 0, 4 (stays for ten) and 14
    span = find_span(options(frames="7:16"), source, "")
    cut = cut_index(span, source, made)
    assert (cut.first, list(cut.index.pts), list(cut.index.durations)) == (1, [28, 56], [28, 8])


def test_a_part_within_one_made_frame_is_that_frame() -> None:
    source = index_of(list(range(20)))
    made = index_of([0, 5, 10, 15], last=5, clock=Fraction(1, 24))
    cut = cut_index(find_span(options(frames="6:8"), source, ""), source, made)
    assert (cut.first, list(cut.index.pts), list(cut.index.durations)) == (1, [6], [2])


@pytest.mark.parametrize(
    ("text", "frames", "rate", "later"),
    [
        ("01:00:00:00", 25, Fraction(25), "01:00:01:00"),
        ("01:00:00:23", 1, Fraction(24000, 1001), "01:00:01:00"),
        ("00:59:59;28", 1, Fraction(30000, 1001), "00:59:59;29"),
        ("00:59:59;29", 1, Fraction(30000, 1001), "01:00:00;00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:00:00;00", 17982, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 107892, Fraction(30000, 1001), "01:00:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("no timecode", 5, Fraction(25), "no timecode"),
    ],
)
def test_timecodes_count_on(text: str, frames: int, rate: Fraction, later: str) -> None:
    assert later_timecode(text, frames, rate) == later


@given(st.integers(0, 2_000_000), st.integers(0, 100_000), st.sampled_from([24, 25, 30, 50, 60]), st.sampled_from(":;"))
def test_timecodes_of_steps_add_up(a: int, b: int, base: int, mark: str) -> None:
    rate = Fraction(base * 1000, 1001)
    begin = f"00:00:00{mark}00"
    assert later_timecode(later_timecode(begin, a, rate), b, rate) == later_timecode(begin, a + b, rate)


def test_the_index_ends_after_the_part(make_clip: Callable[..., Path]) -> None:
    clip = make_clip("many.mkv", "-f", "lavfi", "-i", "testsrc2=s=32x32:r=100:d=6", "-c:v", "mpeg4", "-bf", "2")
    info = probe(clip)
    whole = index_video(info)
    for wanted, count in ((Enough(frames=100), 100), (Enough(seconds=Fraction(1)), 101)):
        index = index_video(info, enough=wanted)
        assert index.partial and len(index) == count + AFTER_FRAMES
        assert index.pts == whole.pts[: len(index)] and index.digests == whole.digests[: len(index)]
        assert not index.cut_off and not index.notes
    assert not index_video(info, enough=Enough(frames=400)).partial
    assert enough_for(options(start="2")) is None and enough_for(options(frames="3:")) is None


def test_no_filter_looks_further_ahead_than_the_index_reaches() -> None:
    from vidsr.filters.after.multiframe import AROUND
    from vidsr.filters.after.propagation import REACH, WINDOW

    sight = [make_filter(FilterChoice(d.name, None)).lookaround for d in descriptors() if d.make and not d.find]
    assert sum(after for _, after in sight) + WINDOW + REACH + AROUND < AFTER_FRAMES


def test_a_source_that_ends_early_is_found_out(clips: ClipFactory) -> None:
    index = index_video(probe(clips("silent")), enough=Enough(seconds=Fraction(90)))
    assert not index.partial
    with pytest.raises(InputError, match=r"silent\.mkv lasts 0\.999; end earlier"):
        find_span(options(start="0.5", end="1:30"), index, "silent.mkv")
