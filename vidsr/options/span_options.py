"""Which part of a video to work on: options, and times as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Self

from vidsr.errors import OptionsError
from vidsr.options.schema import Options, opt

#: A time in seconds after the first frame. Texts become exact fractions; the API takes floats, too.
TimeInSeconds = Fraction | float
#: Times count to the millisecond at least: 0.042 stands for the frame at 0.041667 s.
_LEAST_DIGITS, _MOST_DIGITS = 3, 18
_UNITS = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")
_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?)")


def exact(seconds: TimeInSeconds) -> Fraction:
    """A time as a fraction; a float stands for the decimal number that Python shows for it."""
    return seconds if isinstance(seconds, Fraction) else Fraction(str(seconds))


def parse_time(text: str, flag: str) -> Fraction:
    """Seconds from "90", "61.5", "1:30" or "1:02:03.5", also with a decimal comma, as SRT files have it.

    Raises:
        OptionsError: it is not a time; the message names ``flag``.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        reason = "times are not negative" if text.strip().startswith("-") else "not a time"
        raise OptionsError(f"{flag} {text}: {reason}; write seconds (61.5), m:ss (1:01.5) or h:mm:ss (1:02:03.5)")
    hours, minutes, seconds = (Fraction((part or "0").replace(",", ".").rstrip(".")) for part in found.groups())
    # The first part may be of any size, "90:00" is an hour and a half; the others end at 60.
    if (found[2] and seconds >= 60) or (found[1] and minutes >= 60):
        raise OptionsError(f"{flag} {text}: not a time; minutes and seconds after a colon end at 59")
    return (hours * 60 + minutes) * 60 + seconds


def parse_duration(text: str, flag: str) -> Fraction:
    """Seconds from "8h", "90m", "1h30m" or "45s", or as :func:`parse_time` reads them.

    Raises:
        OptionsError: it is not a duration of more than 0 seconds; the message names ``flag``.
    """
    found = _UNITS.fullmatch(text.strip())
    if found is not None and any(found.groups()):
        hours, minutes, seconds = (Fraction(part or "0") for part in found.groups())
        time = (hours * 60 + minutes) * 60 + seconds
    else:
        try:
            time = parse_time(text, flag)
        except OptionsError as error:
            raise OptionsError(f"{flag} {text}: not a duration; write 90m, 8h, 1h30m or h:mm:ss (1:30:00)") from error
    if time == 0:
        raise OptionsError(f"{flag} {text}: the time must be longer than 0 seconds")
    return time


def write_time(seconds: TimeInSeconds | None) -> str | None:
    """The inverse of :func:`parse_time`: "1:02:03.5", "2:03"; every time is written in only one way."""
    if seconds is None:
        return None
    time = exact(seconds)
    unit = 10 ** decimals(time)
    whole, parts = divmod(round(time * unit), unit)
    point = f".{parts:0{len(str(unit)) - 1}d}".rstrip("0").rstrip(".")
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest:02d}{point}"
    return f"{minutes}:{rest:02d}{point}" if minutes else f"{rest}{point}"


def decimals(seconds: Fraction) -> int:
    """Digits after the point that a time has, at least 3 and at most 18."""
    digits = _LEAST_DIGITS
    while digits < _MOST_DIGITS and (seconds * 10**digits).denominator != 1:
        digits += 1
    return digits


def earliest(mark: Fraction) -> Fraction:
    """The earliest time of a frame that counts as at or after ``mark``, to the precision in which the mark is given.

    Times of frames are seldom whole milliseconds: at 24 frames per second frame 1 is at 0.0416…, which players and
    ffprobe show as 0.042 or 0.041667. Both mean this frame. Ranges that meet at a mark share no frame and lose none.
    """
    return mark - Fraction(1, 2 * 10 ** decimals(mark))


@dataclass(frozen=True, slots=True)
class FrameNumbers:
    """Frames ``first`` to ``stop`` (not included; None: to the end) of a source, counted from 0."""

    first: int
    stop: int | None = None

    def __str__(self) -> str:
        return f"{self.first}:{'' if self.stop is None else self.stop}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "100:200", "100:" or ":200".

        Raises:
            OptionsError: it is none of these.
        """
        found = re.fullmatch(r"\s*(\d*)\s*:\s*(\d*)\s*", text)
        if found is None or not (found[1] or found[2]):
            raise OptionsError(
                f"--frames {text}: write FIRST:STOP, such as 100:200 for the frames 100 to 199; the first frame is 0"
            )
        return cls(int(found[1] or 0), int(found[2]) if found[2] else None)


def _time_parser(flag: str) -> Callable[[str], Fraction]:
    return lambda text: parse_time(text, flag)


def _write_frames(frames: FrameNumbers | None) -> str | None:
    return None if frames is None else str(frames)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanOptions(Options):
    """The part of a video to work on; all of it if none is given."""

    title: ClassVar[str] = "Part of a video"

    start: Fraction | float | None = opt(  # noqa: RUF009 - as in restore_options
        None,
        "Begin at this time after the first frame: seconds or h:mm:ss (62.5, 1:02.5, 1:02:03.5).",
        "--from",
        metavar="TIME",
        parse=_time_parser("--from"),
        write=write_time,
    )
    end: Fraction | float | None = opt(  # noqa: RUF009 - as in restore_options
        None,
        "End at this time; a frame shown at it is left out.",
        "--to",
        metavar="TIME",
        parse=_time_parser("--to"),
        write=write_time,
    )
    duration: Fraction | float | None = opt(  # noqa: RUF009 - as in restore_options
        None, "End this long after --from.", metavar="TIME", parse=_time_parser("--duration"), write=write_time
    )
    frames: FrameNumbers | None = opt(  # noqa: RUF009
        None,
        "Work on these frames, counted from 0; STOP is left out.",
        metavar="FIRST:STOP",
        parse=FrameNumbers.parse,
        write=_write_frames,
    )
    exact_sound: bool = opt(
        False,
        "Cut sound at the sample and store it losslessly, instead of copying whole packets.",
        "--exact-sound/--whole-packets",
    )

    def cross_faults(self) -> Iterator[str]:
        """Only one way to name the part; the end lies after the start."""
        times = [(flag, value) for flag, value in self._times() if value is not None]
        if self.frames is not None and times:
            yield f"--frames and {times[0][0]} contradict each other: give frames or times"
        if self.end is not None and self.duration is not None:
            yield "--to and --duration contradict each other: give one"
        for flag, value in times:
            if exact(value) < 0:
                yield f"{flag} {value}: times are not negative; the first frame is at 0"
        if self.duration is not None and exact(self.duration) == 0:
            yield "--duration 0: the part would be empty; give a longer one"
        if self.end is not None and exact(self.end) <= exact(self.start or 0):
            yield f"{self}: the end must lie after the start"
        if self.frames is not None and self.frames.stop is not None and self.frames.stop <= self.frames.first:
            yield f"{self}: the stop must lie after the first frame"

    def _times(self) -> tuple[tuple[str, TimeInSeconds | None], ...]:
        return ("--from", self.start), ("--to", self.end), ("--duration", self.duration)

    @property
    def is_whole(self) -> bool:
        """Whether all of the video is meant."""
        return self.frames is None and all(value is None for _, value in self._times())

    @property
    def begin(self) -> Fraction:
        """Seconds after the first frame at which the part begins, where times name it."""
        return exact(self.start or 0)

    @property
    def finish(self) -> Fraction | None:
        """Seconds after the first frame at which it ends, where times name it; None: at the end of the video."""
        if self.duration is not None:
            return self.begin + exact(self.duration)
        return None if self.end is None else exact(self.end)

    def __str__(self) -> str:
        """The options as on the command line; "" for all of a video."""
        if self.frames is not None:
            return f"--frames {self.frames}"
        return " ".join(f"{flag} {write_time(value)}" for flag, value in self._times() if value is not None)

    def file_tag(self) -> str:
        """The part in words that a file name may hold, such as "1.02.03.5-1.05.00"; "" for all of a video."""
        if self.is_whole:
            return ""
        if self.frames is not None:
            return f"frames-{self.frames.first}-{'end' if self.frames.stop is None else self.frames.stop}"
        start, end = write_time(self.begin), write_time(self.finish) or "end"
        return f"{start}-{end}".replace(":", ".")
