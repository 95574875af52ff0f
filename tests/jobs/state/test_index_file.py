"""The index and its tables come back from the job folder as they were written; damage is noticed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.clips import ClipFactory
from vidsr.errors import JobError
from vidsr.filters.before.timeline import FIRST, WEAVE, Timeline, TimelineEntry
from vidsr.filters.between.rate_table import RateEntry, RateTable
from vidsr.jobs.state.index_file import load_index, load_rate_table, load_timeline, save_index
from vidsr.jobs.state.manifest import INDEX_NAME
from vidsr.media.index import VideoIndex, index_video
from vidsr.media.probe import probe

INDEX = VideoIndex(
    pts=(-300, 0, 2**40),
    durations=(300, 2**40, 1),
    time_base=Fraction(1001, 30000),
    digests=(0, 2**32 - 1, 7),
    sizes=((0, 64, 48), (2, 32, 24)),
    shifts=(Fraction(3, 7),),
    damaged=True,
    keyframes=(0, 2),
    notes=("the picture size changes “once”",),
)
TIMELINE = Timeline((TimelineEntry(0, 1, WEAVE, -5, 10), TimelineEntry(2, 2, FIRST, 5, 1)), "bff", Fraction(1, 50), 3)
TABLE = RateTable((RateEntry(0, Fraction(0), 0, 4), RateEntry(0, Fraction(1, 3), 4, 5)), Fraction(1, 90000), 2)


def test_an_index_comes_back_with_its_tables(clips: ClipFactory, tmp_path: Path) -> None:
    for index in (index_video(probe(clips("basic"))), INDEX):
        save_index(index, tmp_path)
        assert load_index(tmp_path) == index
        assert load_timeline(tmp_path) is None and load_rate_table(tmp_path) is None
    save_index(INDEX, tmp_path, TIMELINE, TABLE)
    assert (load_index(tmp_path), load_timeline(tmp_path), load_rate_table(tmp_path)) == (INDEX, TIMELINE, TABLE)


def test_numbers_beyond_64_bits_come_back(tmp_path: Path) -> None:
    """Shares of clocks that have nothing in common have large denominators."""
    table = RateTable((RateEntry(0, Fraction(3**50, 5**50), 0, 4), RateEntry(1, Fraction(0), 4, 5)), Fraction(1, 7), 2)
    save_index(INDEX, tmp_path, table=table)
    assert load_rate_table(tmp_path) == table


def test_damage_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / INDEX_NAME
    save_index(INDEX, tmp_path, TIMELINE)
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            found = load_index(tmp_path), load_timeline(tmp_path)
        except JobError as error:
            assert "is missing or damaged" in str(error)
            noticed += 1
        else:  # a date or another field of the archive that nothing depends on
            assert found == (INDEX, TIMELINE)
    assert noticed > 100
    for length in (0, 10, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(JobError, match="is missing or damaged"):
            load_index(tmp_path)
    path.unlink()
    with pytest.raises(JobError, match="is missing or damaged"):
        load_index(tmp_path)
