"""What a hazard is, and the ways to make its clip; the hazards themselves are in the modules beside this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.clips import ClipFactory, picture, tone

Make = Callable[[ClipFactory], Path]
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "32k")
T, A = picture(), tone()


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """One clip. ``error`` is a pattern that enhance must fail with, for every container or by container or codec.

    ``options`` go to enhance. ``pts`` is False where ffprobe sees other times in the source than vidsr, with the
    reason in ``why``; ``sound`` is False where no container can hold the sound as it is; ``pixels`` is False where
    a lossless result cannot be compared with ffmpeg's decoding; ``changed`` are facts of matrix.py that a result
    may say differently.
    """

    name: str
    what: str
    make: Make
    error: str | dict[str, str] = ""
    options: dict[str, Any] = field(default_factory=dict)
    pts: bool = True
    pixels: bool = True
    sound: bool = True
    changed: tuple[str, ...] = ()
    why: str = ""

    def error_in(self, container: str, codec: str) -> str:
        """The pattern of the error that this container or codec must give; empty if it must succeed."""
        return self.error if isinstance(self.error, str) else self.error.get(container, self.error.get(codec, ""))


def made(filename: str, *args: str) -> Make:
    """A clip that one ffmpeg command makes."""
    return lambda clips: clips.make(filename, *args)


def remade(base: Make, filename: str, *args: str, before: tuple[str, ...] = ()) -> Make:
    """A clip that ffmpeg makes from another."""
    return lambda clips: clips.make(filename, *before, "-i", str(base(clips)), *args)


def changed(base: Make, filename: str, change: Callable[[bytes], bytes]) -> Make:
    """A clip whose bytes are changed."""

    def make(clips: ClipFactory) -> Path:
        source = base(clips)
        path = source.with_name(filename)
        if not path.exists():
            path.write_bytes(change(source.read_bytes()))
        return path

    return make


def joined(first: Make, second: Make, filename: str) -> Make:
    """Two files, one behind the other, byte by byte."""

    def make(clips: ClipFactory) -> Path:
        a, b = first(clips), second(clips)
        path = a.with_name(filename)
        path.write_bytes(a.read_bytes() + b.read_bytes())
        return path

    return make


def subtitle(clips: ClipFactory) -> Path:
    """Two lines of text as SRT."""
    clips.folder.mkdir(parents=True, exist_ok=True)
    path = clips.folder / "words.srt"
    path.write_text(
        "1\n00:00:00,100 --> 00:00:00,400\nHello <i>you</i>\n\n2\n00:00:00,500 --> 00:00:00,900\nGr\u00fc\u00dfe\n"
    )
    return path


def jpeg_cover(clips: ClipFactory) -> Path:
    """A small red picture."""
    return clips.make("cover.jpg", "-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", "-update", "1")


def written(filename: str, data: bytes) -> Make:
    """A file of exactly these bytes."""

    def make(clips: ClipFactory) -> Path:
        clips.folder.mkdir(parents=True, exist_ok=True)
        path = clips.folder / filename
        path.write_bytes(data)
        return path

    return make


def ffv1(fmt: str, filename: str = "x.mkv", *more: str, size: str = "64x48") -> Make:
    """A lossless clip in one pixel format."""
    return made(filename, *picture(size), "-c:v", "ffv1", "-pix_fmt", fmt, *more)
