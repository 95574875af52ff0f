"""Recordings in several files: their notation as one path, and the names by which cameras and DVDs mark the parts.

A joined source is written like ``VTS_01_{1,2,3}.VOB``: a path whose name holds one list of alternatives in braces. It
stands for its files, read one after the other, wherever a path of a video is taken.
"""

from __future__ import annotations

import itertools
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vidsr.errors import InputError

_BRACES = re.compile(r"([^{}]*)\{([^{},]*(?:,[^{},]*)+)\}([^{}]*)")
_DVD = re.compile(r"VTS_(?P<set>\d\d)_(?P<part>[1-9])\.VOB", re.IGNORECASE)
_DVD_MENU = re.compile(r"(VIDEO_TS|VTS_\d\d_0)\.VOB", re.IGNORECASE)
_GOPRO = re.compile(r"(?P<kind>G[HXLSP])(?P<part>\d\d)(?P<set>\d{4}\.(?:MP4|360|LRV))", re.IGNORECASE)
_GOPRO_FIRST = re.compile(r"GOPR(?P<set>\d{4}\.(?:MP4|LRV))", re.IGNORECASE)
_AVCHD = re.compile(r"(?P<part>\d{5})(?P<set>\.(?:MTS|M2TS))", re.IGNORECASE)
_PACK, _SYNC = b"\0\0\1\xba", 0x47
_FFCONCAT = b"ffconcat"


def is_joined(path: Path) -> bool:
    """Whether the name lists parts in braces, and is not that of a file."""
    return _BRACES.fullmatch(path.name) is not None and not path.is_file()


def parts_of(path: Path) -> list[Path]:
    """The files of a joined source, in order.

    Raises:
        InputError: one is missing or empty.
    """
    match = _BRACES.fullmatch(path.name)
    assert match is not None, path
    before, choices, after = match.groups()
    parts = [path.with_name(f"{before}{choice}{after}") for choice in choices.split(",")]
    for part in parts:
        if not part.is_file() or not part.stat().st_size:
            what = "is empty" if part.is_file() else "does not exist"
            raise InputError(f"{path}: its part {part.name} {what}")
    return parts


def first_of(path: Path) -> Path:
    """The first part of a joined source, after which its result is named; any other path itself."""
    match = _BRACES.fullmatch(path.name)
    if match is None or path.is_file():
        return path
    before, choices, after = match.groups()
    return path.with_name(f"{before}{choices.split(',')[0]}{after}")


def join(parts: Sequence[Path]) -> Path:
    """The path that stands for these files of one folder; a single file stands for itself.

    Raises:
        InputError: they lie in different folders, or a name holds a comma or a brace.
    """
    if len(parts) == 1:
        return parts[0]
    names = [part.name for part in parts]
    before = _common_beginning(names)
    rest = [name[len(before) :] for name in names]
    after = _common_beginning([name[::-1] for name in rest])[::-1]
    middles = [name[: len(name) - len(after)] for name in rest]
    path = parts[0].with_name(f"{before}{{{','.join(middles)}}}{after}")
    match = _BRACES.fullmatch(path.name)
    if len({part.parent for part in parts}) > 1 or match is None or match[2].split(",") != middles:
        raise InputError(
            f"{', '.join(names)}: cannot be joined; parts lie in one folder, without commas or braces in their names"
        )
    return path


def _common_beginning(texts: Sequence[str]) -> str:
    """The characters with which all texts begin."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in alike)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording that was found in several files, by their names."""

    parts: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """The joined path."""
        return join(self.parts)

    @property
    def name(self) -> str:
        """What its result is named after: the title of a DVD, else the first file."""
        match = _DVD.fullmatch(self.parts[0].name)
        return self.parts[0].name if match is None else f"VTS_{match['set']}{self.parts[0].suffix}"


def recordings(files: Iterable[Path], continues: Callable[[Path, Path], bool]) -> list[Recording]:
    """The recordings of two and more parts among ``files``.

    - DVD: ``VTS_01_1.VOB``, ``VTS_01_2.VOB`` … of one title.
    - GoPro: ``GH010042.MP4``, ``GH020042.MP4`` …; older ones ``GOPR0042.MP4``, ``GP010042.MP4`` ….
    - AVCHD and Blu-ray: ``00003.MTS``, ``00004.MTS`` … if ``continues(previous, next)`` says that the second goes on
      where the first ends: without that, each file is a recording of its own.
    """
    sets: dict[tuple[Path, str, str], dict[int, Path]] = {}
    for file in files:
        key = _place(file)
        if key is not None:
            kind, name, number = key
            sets.setdefault((file.parent, kind, name), {})[number] = file
    found = []
    for (_, kind, _), numbered in sets.items():
        run: list[Path] = []
        last = None
        for number, file in sorted(numbered.items()):
            follows = last is not None and number == last + 1 and (kind != "avchd" or continues(run[-1], file))
            if not follows:
                found.append(run)
                run = []
            run.append(file)
            last = number
        found.append(run)
    return [Recording(parts=tuple(run)) for run in found if len(run) > 1]


def _place(file: Path) -> tuple[str, str, int] | None:
    """(kind, recording, number of the part) by a file's name; None for a file that is not part of a recording."""
    name = file.name
    if match := _DVD.fullmatch(name):
        return "dvd", match["set"], int(match["part"])
    if match := _GOPRO.fullmatch(name):
        return "gopro", (match["kind"] + match["set"]).upper(), int(match["part"])
    if match := _GOPRO_FIRST.fullmatch(name):
        return "gopro", ("GP" + match["set"]).upper(), 0
    if match := _AVCHD.fullmatch(name):
        return "avchd", match["set"].upper(), int(match["part"])
    return None


def is_dvd_menu(path: Path) -> bool:
    """Whether a file of a DVD holds menus by its name."""
    return _DVD_MENU.fullmatch(path.name) is not None


def whole(path: Path, continues: Callable[[Path, Path], bool]) -> Path:
    """The joined path of the recording that a file is a part of; the path itself if the file stands alone."""
    if _place(path) is None or not path.is_file():
        return path
    around = [file for file in path.parent.iterdir() if file.is_file()]
    return next((r.path for r in recordings(around, continues) if path in r.parts), path)


def is_bytewise(part: Path) -> bool:
    """Whether parts like this one are joined byte by byte: MPEG program and transport streams."""
    with part.open("rb") as file:
        head = file.read(192 * 2 + 5)
    if head.startswith(_PACK):
        return True
    return any(len(head) > at + 188 and head[at] == _SYNC == head[at + step] for at, step in ((0, 188), (4, 192)))


def check_plain(parts: Iterable[Path]) -> None:
    """Refuse parts that are lists themselves: they would make FFmpeg open files that nobody named.

    Raises:
        InputError: a part is such a list.
    """
    for part in parts:
        with part.open("rb") as file:
            if file.read(len(_FFCONCAT)) == _FFCONCAT:
                raise InputError(f"{part} is a list of files, not a video")


class JoinedFile:
    """Several files read as one, binary and seekable."""

    def __init__(self, parts: Sequence[Path]) -> None:
        self._open: tuple[int, BinaryIO] | None = None
        self._parts = tuple(parts)
        self._starts = [0]
        for part in parts:
            self._starts.append(self._starts[-1] + part.stat().st_size)
        self._at = 0

    def __enter__(self) -> JoinedFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, count: int = -1) -> bytes:
        """At most ``count`` bytes, fewer only at the end; b"" there. A negative count reads everything."""
        left = self._starts[-1] - self._at
        left = left if count < 0 else min(left, count)
        pieces = []
        while left > 0:
            number = bisect_right(self._starts, self._at) - 1
            file = self._file(number)
            file.seek(self._at - self._starts[number])
            piece = file.read(min(left, self._starts[number + 1] - self._at))
            if not piece:
                break  # cut off meanwhile
            pieces.append(piece)
            self._at += len(piece)
            left -= len(piece)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte; returns its position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """The position of the next byte."""
        return self._at

    def close(self) -> None:
        """Close the file in progress."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def __del__(self) -> None:
        self.close()  # a container that reads from this object does not close it

    def _file(self, number: int) -> BinaryIO:
        if self._open is None or self._open[0] != number:
            self.close()
            self._open = number, self._parts[number].open("rb")
        return self._open[1]
