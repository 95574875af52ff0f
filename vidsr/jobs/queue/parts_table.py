"""A table of parts of one video: CSV with the columns ``from``, ``to`` and ``name``, checked before any work.

::

    from,to,name
    1:02,1:05.5,arrival
    # without a name the result is called after its part
    12:00,,speech
    100:200
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import InputError, OptionsError
from vidsr.options.span_options import FrameNumbers, SpanOptions, parse_time

_COLUMNS = ("from", "to", "name")
_KNOWN = (*_COLUMNS, "frames")
_DELIMITERS = ("\t", ";", ",")
#: No table that people or shot detectors write is larger.
_MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """One part of a video, from ``line`` (1 is the first) of the table. ``name`` of the result: "" if none is given."""

    line: int
    span: SpanOptions
    name: str = ""


def read_parts(table: Path, *, exact_sound: bool = False) -> tuple[PartRow, ...]:
    """The parts that a table names, in its order.

    Cells are separated by commas, semicolons or tabs. Empty lines and lines that begin with ``#`` are skipped. A first
    line that names columns is optional; it may also name a column ``frames``. An empty cell means the beginning or the
    end of the video, times are those of ``--from``, and FIRST:STOP in the first of the columns, with the second empty,
    means frames.

    Raises:
        InputError: it cannot be read, is empty, or has a row that is not a part; the message names the line.
    """
    try:
        if table.stat().st_size > _MOST_BYTES:
            raise InputError(f"{table} is too large for a table of parts; --spans takes a CSV file")
        text = table.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{table} cannot be read ({error.strerror}); --spans takes a CSV file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{table} is not UTF-8; save it as CSV in UTF-8") from error
    lines = [(number, line) for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1) if _counts(line)]
    delimiter = _delimiter([line for _, line in lines])
    columns: Sequence[str] = _COLUMNS
    rows = []
    for position, (number, line) in enumerate(lines):
        try:
            cells = _cells(line, delimiter)
            if position == 0 and cells[0].lower() in _KNOWN:
                columns = _header(cells)
            elif any(cells):
                rows.append(_row(number, cells, columns, exact_sound))
        except (OptionsError, csv.Error) as error:
            raise InputError(f"{table}, line {number}: {error}") from error
    if not rows:
        raise InputError(f"{table} names no part; write one a line: from,to,name")
    return tuple(rows)


def _counts(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _delimiter(lines: Sequence[str]) -> str:
    """The separator of the first line that has one outside quotes; a tab before a semicolon before a comma, since times
    may have a decimal comma."""
    for line in lines:
        bare = re.sub(r'"[^"]*"', "", line)
        for delimiter in _DELIMITERS:
            if delimiter in bare:
                return delimiter
    return ","


def _cells(line: str, delimiter: str) -> list[str]:
    cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True, skipinitialspace=True))]
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


def _header(cells: Sequence[str]) -> list[str]:
    columns = [cell.lower() for cell in cells]
    for column in columns:
        if column not in _KNOWN:
            raise OptionsError(f"unknown column {column!r}; there are {', '.join(_KNOWN)}")
        if columns.count(column) > 1:
            raise OptionsError(f"the column {column} appears twice")
    return columns


def _row(number: int, cells: Sequence[str], columns: Sequence[str], exact_sound: bool) -> PartRow:
    if len(cells) > len(columns):
        raise OptionsError(
            f"{len(cells)} cells, but the columns are {', '.join(columns)}; put a cell with a comma in quotation marks"
        )
    cell = dict.fromkeys(_KNOWN, "") | dict(zip(columns, cells, strict=False))
    begin, end, frames = cell["from"], cell["to"], cell["frames"]
    if frames and (begin or end):
        raise OptionsError("frames and times contradict each other: give one")
    if not frames and not end and _means_frames(begin):
        begin, frames = "", begin
    span = SpanOptions(
        start=parse_time(begin, "from") if begin else None,
        end=parse_time(end, "to") if end else None,
        frames=FrameNumbers.parse(frames) if frames else None,
        exact_sound=exact_sound,
    )
    for fault in (*span.cross_faults(), *_name_faults(cell["name"])):
        raise OptionsError(fault)
    return PartRow(line=number, span=span, name=cell["name"])


def _means_frames(text: str) -> bool:
    """Whether a start without an end is FIRST:STOP.

    Raises:
        OptionsError: it may as well be a time, m:ss.
    """
    if re.fullmatch(r"\d*\s*:\s*\d*", text) is None:
        return False
    try:
        parse_time(text, "from")
    except OptionsError:
        return True
    raise OptionsError(
        f"{text} without an end may be a time or frames; write 0:{text} for the time, or give a column 'frames'"
    )


def _name_faults(name: str) -> Iterator[str]:
    if "/" in name or "\\" in name:
        yield f"the name {name} holds a path separator; results go to the output folder, name files only"
    elif name in (".", ".."):
        yield f"{name} is not a name for a file"
    elif not name.isprintable():
        yield f"the name {name!r} holds a control character"
