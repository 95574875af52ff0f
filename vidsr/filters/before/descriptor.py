"""The descriptor of a filter ahead of the network. Help, order, notes, plans and stills are made from descriptors.

Each filter has one module with its class and its descriptor ``FILTER``; :data:`vidsr.options.filter_choices.FILTERS`
names the module. Modules of filters are loaded to read the options, so they import torch inside their methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, TypeVar, cast

from vidsr.filters.before.filter import Filter, JudgingFilter
from vidsr.filters.before.timeline import Timeline, Times
from vidsr.filters.detect.inspection import Inspection
from vidsr.frames import Array, Frame, PixelFormat
from vidsr.options.filter_choices import FILTERS, FilterChoice, syntax_of

P = TypeVar("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Nominal frames a second, and the unit of their times in seconds."""

    rate: Fraction
    time_base: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Retiming(Generic[P]):
    """How a filter changes which frames there are and when they are shown.

    Attributes:
        rate: nominal frames given for each source frame.
        parts: how many times finer the time base must be for the new times to be whole numbers.
        table: the table of new frames, from all source frames, their times, and the parameter.
        looks: whether the table depends on the pictures; if not, ``rate`` is exact.
        at_moments: what stands in where single moments are shown, without a table; None leaves the filter out.
        clock: rate and time base after it, from the parameter and those before it, where they depend on the parameter;
            ``rate`` and ``parts`` are not used then.
    """

    rate: Fraction
    parts: int
    table: Callable[[Iterator[Frame], Times, P], Timeline]
    looks: bool = True
    at_moments: Callable[[P], FilterChoice] | None = None
    clock: Callable[[P, Clock], Clock] | None = None

    def after(self, parameter: P, clock: Clock, step: int) -> Clock:
        """Rate and time base of the new frames, from those of a source whose frames are ``step`` units apart."""
        if self.clock is not None:
            return self.clock(parameter, clock)
        parts = 1 if step % self.parts == 0 else self.parts
        return Clock(rate=clock.rate * self.rate, time_base=clock.time_base / parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class StillPart:
    """A part of a still picture: ``origin`` (x, y) of its first pixel in the whole; ``noise`` of the whole picture,
    1 being full scale."""

    origin: tuple[int, int]
    noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StillMeasures:
    """Measures of a still picture: ``blocking`` as :func:`vidsr.filters.detect.statistics.blocking` gives it, ``noise``
    in 8-bit code values, and whether the picture is ``grey``."""

    blocking: float
    noise: float
    grey: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StillForm(Generic[P]):
    """How a filter treats one still picture, which has no neighbours in time.

    Attributes:
        apply: from a part ``[h, w, channels]`` in 0..1, the parameter and the part's place, the new part.
        recommended: whether ``--restore auto`` applies it.
        uses_noise: whether the picture's noise must be measured first.
    """

    apply: Callable[[Array, P | None, StillPart], Array]
    recommended: Callable[[StillMeasures], bool]
    uses_noise: bool = False


def no_parameter(text: str) -> Any:
    """The parser of filters without a parameter.

    Raises:
        ValueError: always.
    """
    raise ValueError("this filter takes no parameter")


def _never(found: Inspection) -> bool:
    return False


def _is_never_open(parameter: Any) -> bool:
    return False


def _complete_already(parameter: P, found: Inspection) -> P | None:
    return parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterDescriptor(Generic[P]):
    """One filter ahead of the network, with a parameter of type ``P``.

    Attributes:
        name: as in ``--restore`` and in the table of filters, whose order is that in which filters act.
        help: one line for people.
        syntax: how the parameter is written; "" if there is none.
        parse: from the text of a parameter to its value; raises ValueError.
        write: the inverse of ``parse``.
        make: the filter, from its parameter or None; None for a filter that only retimes.
        retiming: how it changes frames or times.
        doubling: how it does so under ``--fields double``.
        resize: (width, height) of the frames it gives, from those it takes; raises InputError.
        find: its parameter from an inspection; None where the source gives it nothing to do. Without ``find``, a
            parameter that was not given is the filter's own default.
        is_open: whether a parameter that was given leaves something to be found in the source.
        complete: that parameter with what an inspection found; None where the source gives it nothing to do.
        noted: whether a note of the job says which parameter was found.
        absent: why it was left out if nothing was found, and how to apply it regardless.
        recommended: whether an inspection recommends it.
        still: its form for still pictures; None if they cannot have it.
        whole: it moves, cuts or weaves pictures, so that parts of one cannot be left as they were: ``--masks`` does not
            govern it.
        families: of pixel formats, those on which it acts; frames of others pass as they are.
    """

    name: str
    help: str
    syntax: str = ""
    parse: Callable[[str], P] = no_parameter
    write: Callable[[P], str] = str
    make: Callable[[P | None], Filter] | None = None
    retiming: Retiming[P] | None = None
    doubling: Retiming[P] | None = None
    resize: Callable[[P, tuple[int, int], PixelFormat], tuple[int, int]] | None = None
    find: Callable[[Inspection], P | None] | None = None
    is_open: Callable[[P], bool] = _is_never_open
    complete: Callable[[P, Inspection], P | None] = _complete_already
    noted: bool = False
    absent: str = ""
    recommended: Callable[[Inspection], bool] = _never
    still: StillForm[P] | None = None
    whole: bool = False
    families: tuple[str, ...] = ("yuv", "gray", "rgb")

    def retimes(self, fields: str) -> Retiming[P] | None:
        """How it changes frames or times under ``--fields`` "same" or "double"; None if it does not."""
        return self.doubling if fields == "double" and self.doubling is not None else self.retiming

    def reshapes(self, fields: str) -> bool:
        """Whether it changes which frames there are, their times or their size, under ``--fields``."""
        return self.retimes(fields) is not None or self.resize is not None


def descriptor(name: str) -> FilterDescriptor[Any]:
    """The descriptor of one filter of the table."""
    return cast(FilterDescriptor[Any], syntax_of(name))


def descriptors() -> list[FilterDescriptor[Any]]:
    """All descriptors, in the order in which filters act."""
    return [descriptor(name) for name in FILTERS]


def is_open(choice: FilterChoice) -> bool:
    """Whether the source must be looked at for the filter's parameter, or for a part of it."""
    own = descriptor(choice.name)
    return own.find is not None if choice.parameter is None else own.is_open(choice.parameter)


def completed(choice: FilterChoice, found: Inspection) -> FilterChoice | None:
    """The choice with its parameter; None where the filter has nothing to do in the source."""
    own = descriptor(choice.name)
    if not is_open(choice) or own.find is None:
        return choice
    parameter = own.find(found) if choice.parameter is None else own.complete(choice.parameter, found)
    return None if parameter is None else FilterChoice(choice.name, parameter)


def make_filter(choice: FilterChoice, least_confidence: float = 0.0) -> Filter:
    """The filter that a choice stands for; its descriptor must have ``make``.

    ``least_confidence``, 0 to 1, is what a filter that knows its own confidence must have in a change to make it.
    """
    make = descriptor(choice.name).make
    assert make is not None, f"{choice.name} only retimes"
    made = make(choice.parameter)
    if isinstance(made, JudgingFilter):
        made.least_confidence = least_confidence
    return made


def lookaround(filters: Sequence[Filter]) -> tuple[int, int]:
    """Frames before and after that a row of filters needs together: each looks at what the one before it made."""
    return sum(f.lookaround[0] for f in filters), sum(f.lookaround[1] for f in filters)


def parse_share(text: str) -> float:
    """A number above 0, up to 1.

    Raises:
        ValueError: the text is not such a number.
    """
    value = _number(text)
    if not 0 < value <= 1:
        raise ValueError("give a number above 0, up to 1")
    return value


def parse_positive(text: str) -> float:
    """A finite number above 0.

    Raises:
        ValueError: the text is not such a number.
    """
    value = _number(text)
    if not (value > 0 and math.isfinite(value)):
        raise ValueError("give a number above 0")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def write_number(value: float) -> str:
    """The shortest text that reads as the same number."""
    return repr(value).removesuffix(".0")


def parse_field_order(text: str) -> Any:
    """ "tff" or "bff".

    Raises:
        ValueError: the text is neither.
    """
    if text not in ("tff", "bff"):
        raise ValueError("give tff (top field first) or bff (bottom field first)")
    return text


def find_field_order(found: Inspection) -> Any:
    """The field order that the picture shows, else the one the file claims; None where neither says so."""
    if found.scan == "progressive":
        return None  # deinterlacing progressive video only loses detail
    if found.scan == "unclear":
        return found.flagged
    return found.field_order or found.flagged or "tff"
