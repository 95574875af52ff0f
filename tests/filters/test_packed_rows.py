"""Packed rows are the rows that went in."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from vidsr.filters.packed_rows import PackedRows
from vidsr.frames import packed


@dataclass(frozen=True)
class Pair:
    """A row of two numbers."""

    low: int
    high: int

    def numbers(self) -> tuple[int, ...]:
        """Both."""
        return self.low, self.high


PAIRS = st.lists(st.builds(Pair, st.integers(-(2**64), 2**64), st.integers(-5, 5)), max_size=12)


@given(PAIRS, st.slices(14))
def test_packed_rows_are_a_sequence_of_the_same_rows(rows: list[Pair], part: slice) -> None:
    table = PackedRows.of(rows, 2, Pair)
    assert table == rows and len(table) == len(rows) and list(table) == rows
    assert list(table[part]) == rows[part]
    assert [table[-n] for n in range(1, len(rows) + 1)] == rows[::-1]
    assert list(table.column(1)) == [row.high for row in rows]
    assert PackedRows(table.numbers, 2, Pair) == table
    assert not rows or table != rows[1:]


def test_numbers_are_packed_where_they_fit() -> None:
    assert packed([1, -(2**63)]) == array("q", [1, -(2**63)])
    assert packed((2**63,)) == (2**63,)
    kept = array("I", [2**32 - 1])
    assert packed(kept, "I") is kept
    assert packed([-1], "I") == (-1,)
