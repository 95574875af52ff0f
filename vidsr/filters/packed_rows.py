"""Rows of whole numbers, one or more for each frame of what may be a long film, packed into one array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar, overload

from vidsr.frames import packed


class NumberRow(Protocol):
    """A row that consists of whole numbers."""

    def numbers(self) -> tuple[int, ...]:
        """All that the row holds; always as many."""


_Row = TypeVar("_Row", bound=NumberRow)


class PackedRows(Sequence[_Row], Generic[_Row]):
    """A sequence of rows that keeps only their numbers, 8 bytes each, and makes a row when it is read.

    ``numbers`` holds those of all rows, one row after the other, ``width`` of each; ``make`` builds a row from its own.
    """

    __slots__ = ("_make", "_width", "numbers")

    def __init__(self, numbers: Sequence[int], width: int, make: Callable[..., _Row]) -> None:
        self.numbers, self._width, self._make = packed(numbers), width, make

    @classmethod
    def of(cls, rows: Iterable[_Row], width: int, make: Callable[..., _Row]) -> PackedRows[_Row]:
        """The same rows, packed."""
        if isinstance(rows, PackedRows):
            return rows
        return cls([number for row in rows for number in row.numbers()], width, make)

    def column(self, place: int) -> Sequence[int]:
        """The numbers at one place of every row."""
        return self.numbers[place :: self._width]

    def __len__(self) -> int:
        return len(self.numbers) // self._width

    @overload
    def __getitem__(self, place: int) -> _Row: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[_Row, ...]: ...
    def __getitem__(self, place: Any) -> Any:
        """A row, or a tuple of rows."""
        if isinstance(place, slice):
            return tuple(self[number] for number in range(*place.indices(len(self))))
        number = range(len(self))[place]
        return self._make(*self.numbers[number * self._width : (number + 1) * self._width])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_equal, self, other))

    __hash__ = None  # type: ignore[assignment]


def _equal(row: object, other: object) -> bool:
    return row == other
