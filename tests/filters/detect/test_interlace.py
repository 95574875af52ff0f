"""From stretches to the scan of a whole clip: what contradicts what, and when it is unclear."""

from __future__ import annotations

from typing import Literal

from vidsr.filters.detect.interlace import ScanWindow, summarise

Kind = Literal["progressive", "interlaced", "telecined"]


def stretch(scan: Kind | None, *, moving: int = 15, plain: bool = True, combed: int = 0, clean: int = 0) -> ScanWindow:
    order: Literal["tff"] | None = "tff" if scan in ("interlaced", "telecined") else None
    pattern = "3:2" if scan == "telecined" else None
    return ScanWindow(scan, order, pattern, 15, moving, 0, plain, combed, clean)


STILL, INTERLACED, WHOLE = stretch(None, moving=0), stretch("interlaced"), stretch("progressive")


def test_still_stretches_are_no_evidence() -> None:
    assert summarise([STILL, INTERLACED, STILL, STILL, STILL, STILL, STILL]).scan == "interlaced"
    assert summarise([STILL, WHOLE, STILL]).scan == "progressive"


def test_where_nothing_moves_it_is_unclear_and_there_is_no_frame_to_look_at() -> None:
    for windows in ([], [STILL, STILL]):
        found = summarise(windows)
        assert (found.scan, found.doubtful) == ("unclear", None)


def test_a_mixture_needs_a_second_of_either() -> None:
    assert summarise([INTERLACED] * 4 + [WHOLE] * 4).scan == "mixed"
    assert summarise([INTERLACED] * 20 + [WHOLE]).scan == "interlaced"
    assert summarise([INTERLACED] * 4 + [WHOLE]).scan == "interlaced", "combing that compression rubbed out"
    found = summarise([WHOLE, WHOLE, WHOLE, INTERLACED])
    assert (found.scan, found.doubtful) == ("unclear", 3)


def test_what_combs_alike_both_ways_contradicts_nothing() -> None:
    detailed = stretch("progressive", plain=False, combed=60, clean=40)
    assert summarise([INTERLACED, detailed, detailed, detailed]).scan == "interlaced"
    assert summarise([detailed] * 5).scan == "progressive"
    striped = stretch("progressive", plain=False, combed=99, clean=1)
    found = summarise([STILL, striped, STILL])
    assert (found.scan, found.doubtful) == ("unclear", 1)


def test_pulldown_that_is_recognised_in_parts() -> None:
    film = stretch("telecined")
    assert summarise([film, film, film, INTERLACED]).scan == "telecined"
    assert summarise([film] * 3 + [INTERLACED] * 3).scan == "mixed"
    assert summarise([film] * 3 + [INTERLACED] * 3).pattern == "3:2"
