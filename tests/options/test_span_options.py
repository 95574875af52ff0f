"""Times as people write them, and parts that contradict themselves."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import OptionsError
from vidsr.options.enhance_options import EnhanceOptions, SizeOptions, default_output
from vidsr.options.span_options import FrameNumbers, SpanOptions, earliest, parse_duration, parse_time, write_time

WRITTEN = {
    "0": Fraction(0),
    "62.5": Fraction(125, 2),
    "1:02.5": Fraction(125, 2),
    "1:02:03.5": Fraction(7447, 2),
    "00:01:02,500": Fraction(125, 2),
    "90:00": Fraction(5400),
    "0.0416667": Fraction(416667, 10_000_000),
}


@pytest.mark.parametrize(("text", "seconds"), WRITTEN.items())
def test_times_are_read_as_people_write_them(text: str, seconds: Fraction) -> None:
    assert parse_time(text, "--from") == seconds


@pytest.mark.parametrize("text", ["", "a", "-5", "1:60", "1:02:60", "1:60:00", "1:2:3:4", "nan", "1e3", ":30", "1:-2"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(OptionsError, match=r"--from .*(not a time|not negative)"):
        parse_time(text, "--from")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("8h", 28800), ("90m", 5400), ("1h30m", 5400), ("45s", 45), ("1.5h", 5400), ("1:30:00", 5400), ("20", 20)],
)
def test_durations_are_read_with_units_and_as_times(text: str, seconds: int) -> None:
    assert parse_duration(text, "--within") == seconds
    assert parse_duration(write_time(Fraction(seconds)) or "", "--within") == seconds


@pytest.mark.parametrize("text", ["", "h", "8 h", "-8h", "30m1h", "0", "0s", "soon"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(OptionsError, match=r"--within .*(not a duration|longer than 0)"):
        parse_duration(text, "--within")


@given(st.fractions(min_value=0, max_value=10**6, max_denominator=10**9))
def test_a_written_time_reads_as_the_same_to_its_last_digit(seconds: Fraction) -> None:
    text = write_time(seconds)
    assert text is not None
    again = parse_time(text, "--to")
    assert abs(again - seconds) <= Fraction(1, 2 * 10**18) and write_time(again) == text
    assert seconds >= earliest(again)


@given(st.integers(1, 240_000), st.sampled_from([24, 25, 30, Fraction(30000, 1001), 50, 60, 120]), st.integers(3, 9))
def test_the_time_of_a_frame_as_it_is_shown_means_this_frame(number: int, rate: Fraction, digits: int) -> None:
    times = [n / Fraction(rate) for n in (number - 1, number, number + 1)]
    shown = Fraction(round(times[1] * 10**digits), 10**digits)
    assert [time >= earliest(shown) for time in times] == [False, True, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "5", "end": "3"}, r"--from 5 --to 3: the end must lie after the start"),
        ({"end": "0"}, r"--to 0: the end must lie after the start"),
        ({"duration": "0"}, r"--duration 0: the part would be empty"),
        ({"start": -1.0}, r"--from -1\.0: times are not negative"),
        ({"end": "3", "duration": "3"}, r"--to and --duration contradict each other"),
        ({"start": "3", "frames": "1:2"}, r"--frames and --from contradict each other"),
        ({"frames": "5:5"}, r"--frames 5:5: the stop must lie after the first frame"),
        ({"frames": "-1:5"}, r"--frames -1:5: write FIRST:STOP"),
        ({"frames": "5"}, r"--frames 5: write FIRST:STOP"),
        ({"start": []}, r"--from \[\]: must be a text"),
    ],
)
def test_contradictions_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        EnhanceOptions.from_flat(options)


def test_numbers_and_texts_mean_the_same_and_survive_json() -> None:
    written = EnhanceOptions.from_flat({"start": "1:02.5", "end": "2:00"})
    assert EnhanceOptions.from_flat({"start": 62.5, "end": Fraction(120)}).span.to_json() == written.span.to_json()
    assert EnhanceOptions.from_json(written.to_json()) == written
    numbers = EnhanceOptions.from_flat({"frames": FrameNumbers(100, 200)})
    assert numbers == EnhanceOptions.from_flat({"frames": "100:200"}) == EnhanceOptions.from_json(numbers.to_json())
    assert [str(FrameNumbers.parse(t)) for t in (":200", "100:", "1:2")] == ["0:200", "100:", "1:2"]


def test_parts_have_names_of_their_own() -> None:
    spans: list[dict[str, Any]] = [
        {},
        {"start": 62.5},
        {"end": "1:02:03.5"},
        {"start": "5", "duration": "2"},
        {"frames": "3:9"},
    ]
    names = [
        default_output(Path("clip.mp4"), SizeOptions(), 4, ".mkv", EnhanceOptions.from_flat(s).span).name for s in spans
    ]
    assert names == [
        "clip.x4.mkv", "clip.1.02.5-end.x4.mkv", "clip.0-1.02.03.5.x4.mkv", "clip.5-7.x4.mkv", "clip.frames-3-9.x4.mkv",
    ]  # fmt: skip


@given(st.lists(st.decimals(0, 10, places=4), min_size=3, max_size=6, unique=True).map(sorted))
def test_parts_that_meet_share_no_frame_and_lose_none(marks: list[object]) -> None:
    times = [Fraction(n, 24) for n in range(240)]
    cuts = [earliest(Fraction(str(mark))) for mark in marks]
    found = [[t for t in times if a <= t < b] for a, b in pairwise(cuts)]
    whole = [t for t in times if cuts[0] <= t < cuts[-1]]
    assert [t for part in found for t in part] == whole


def test_the_whole_is_no_part() -> None:
    assert SpanOptions().is_whole and not str(SpanOptions()) and SpanOptions(exact_sound=True).is_whole
