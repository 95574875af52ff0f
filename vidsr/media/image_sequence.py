"""Numbered pictures as a video: finding the files of a pattern such as ``frames/%06d.png``, and their rate."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from vidsr.errors import InputError
from vidsr.media.source import StoredInfo

_PLACE = re.compile(r"%(?:0(\d+))?d")


@dataclass(frozen=True, slots=True)
class NumberedFiles:
    """The files of a pattern: ``first`` to ``first + count - 1``, none missing."""

    first: int
    count: int


def is_pattern(path: Path) -> bool:
    """Whether the file name has exactly one place for a number, ``%d`` or ``%06d``, and is not that of a file."""
    return len(_PLACE.findall(path.name)) == 1 and not path.is_file()


def name_of(pattern: Path, number: int) -> Path:
    """The file with this number."""
    return pattern.with_name(_PLACE.sub(lambda m: f"{number:0{m.group(1) or 1}d}", pattern.name))


def find(pattern: Path) -> NumberedFiles:
    """The numbers of the files that match a pattern.

    Raises:
        InputError: there is none, or one in the middle is missing.
    """
    before, width, after = _PLACE.split(pattern.name)
    digits = rf"\d{{{width},}}" if width else r"[1-9]\d*|0"
    shape = re.compile(re.escape(before) + f"({digits})" + re.escape(after))
    folder = pattern.parent
    names = (shape.fullmatch(p.name) for p in folder.iterdir()) if folder.is_dir() else ()
    numbers = sorted({int(m.group(1)) for m in names if m})
    if not numbers:
        raise InputError(f"{pattern}: no file of this pattern exists")
    missing = next((a + 1 for a, b in pairwise(numbers) if b != a + 1), None)
    if missing is not None:
        raise InputError(
            f"{pattern}: {name_of(pattern, missing).name} is missing between {name_of(pattern, numbers[0]).name} "
            f"and {name_of(pattern, numbers[-1]).name}"
        )
    return NumberedFiles(numbers[0], len(numbers))


def with_rate(info: StoredInfo, rate: Fraction) -> StoredInfo:
    """The description of numbered pictures with the true rate in frames per second: one frame a tick of its time
    base, whatever rate the demuxer assumed."""
    video = dataclasses.replace(info.video, time_base=1 / rate, rate=rate)
    streams = tuple(
        dataclasses.replace(s, time_base=1 / rate) if s.index == video.stream_index else s for s in info.streams
    )
    return StoredInfo(dataclasses.replace(info, video=video, streams=streams))
