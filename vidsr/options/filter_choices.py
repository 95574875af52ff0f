"""The value of ``--restore``: which filters act ahead of the network, in typed form; and the table of all filters.

Options lie below the filters and must be declared without loading numpy or torch. So the table holds the name of each
filter's module; its descriptor is loaded when a filter is first named, or listed in a help text.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from vidsr.errors import OptionsError

#: Filters ahead of the network, in the order in which they act, whatever the order on the command line: frames and
#: fields; faults of tape, which lie along the lines that were recorded; steadying; brightness; scratches and dust,
#: which are found by comparing frames; noise; bands, in what is even after that; colour. The module's ``FILTER`` is the
#: filter's descriptor, a :class:`vidsr.filters.before.descriptor.FilterDescriptor`.
FILTERS: dict[str, str] = {
    "film": "vidsr.filters.before.film_times",
    "ivtc": "vidsr.filters.before.ivtc",
    "dotcrawl": "vidsr.filters.tape.dotcrawl",
    "rainbow": "vidsr.filters.tape.rainbow",
    "wobble": "vidsr.filters.tape.wobble",
    "deinterlace": "vidsr.filters.before.deinterlace",
    "deinterlace-quick": "vidsr.filters.before.quick_deinterlace",
    "dedupe": "vidsr.filters.before.dedupe",
    "refill": "vidsr.filters.before.refill",
    "headswitch": "vidsr.filters.tape.headswitch",
    "chroma": "vidsr.filters.tape.chroma_shift",
    "bleed": "vidsr.filters.tape.bleed",
    "crop": "vidsr.filters.before.crop",
    "dropout": "vidsr.filters.tape.dropout",
    "dehalo": "vidsr.filters.tape.dehalo",
    "deblock": "vidsr.filters.before.deblock",
    "weave": "vidsr.filters.film.weave",
    "deflicker": "vidsr.filters.before.deflicker",
    "breathing": "vidsr.filters.film.breathing",
    "scratch": "vidsr.filters.film.scratch",
    "dust": "vidsr.filters.before.dust",
    "denoise": "vidsr.filters.before.denoise",
    "deband": "vidsr.filters.banding.deband",
    "fade": "vidsr.filters.film.fade",
    "grey": "vidsr.filters.before.grey",
}


class FilterSyntax(Protocol):
    """What options need to know of a filter's descriptor."""

    @property
    def syntax(self) -> str:
        """How the parameter is written, for example ``LEFT:TOP:WIDTH:HEIGHT``; "" if there is none."""
        ...

    @property
    def parse(self) -> Any:
        """From the text of a parameter to its value; raises ValueError."""
        ...

    @property
    def write(self) -> Any:
        """The inverse of ``parse``."""
        ...

    def reshapes(self, fields: str) -> bool:
        """Whether the filter changes which frames there are, their times or their size, with ``--fields``."""
        ...


def syntax_of(name: str) -> FilterSyntax:
    """The descriptor of a filter named in :data:`FILTERS`."""
    return cast(FilterSyntax, importlib.import_module(FILTERS[name]).FILTER)


@dataclass(frozen=True, slots=True)
class FilterChoice:
    """One filter with its parameter, as the filter's descriptor parses it.

    None as parameter stands for one that was not given: the filter finds it in the source, or has a default.
    """

    name: str
    parameter: Any = None

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}={syntax_of(self.name).write(self.parameter)}"


@dataclass(frozen=True, slots=True)
class FilterSelection:
    """The value of ``--restore``: filters in the order in which they act, or ``auto``, which inspection replaces."""

    choices: tuple[FilterChoice, ...] = ()
    auto: bool = False

    @classmethod
    def of(cls, choices: Iterable[FilterChoice]) -> FilterSelection:
        """A selection in the order of :data:`FILTERS`; of several choices of one filter the last counts."""
        by_name = {choice.name: choice for choice in choices}
        return cls(tuple(by_name[name] for name in FILTERS if name in by_name))

    @classmethod
    def parse(cls, text: str) -> FilterSelection:
        """The inverse of ``str()``: ``auto``, ``off`` or a list such as ``crop=8:0:704:576,deinterlace=tff``.

        Raises:
            OptionsError: a name is unknown or a parameter cannot be read; every fault is reported.
        """
        if text in ("auto", "off"):
            return cls(auto=text == "auto")
        parts = [part.strip() for part in text.split(",") if part.strip()]
        faults, choices = [], []
        for part in parts:
            try:
                choices.append(_choice(part))
            except ValueError as error:
                faults.append(f"--restore {part}: {error}")
        if not parts:
            faults.append(f"--restore {text}: give auto, off, or a list of {', '.join(FILTERS)}")
        if faults:
            raise OptionsError("; ".join(faults))
        return cls.of(choices)

    def __str__(self) -> str:
        return "auto" if self.auto else ",".join(map(str, self.choices)) or "off"

    @property
    def is_off(self) -> bool:
        """Whether nothing is to be restored."""
        return not self.auto and not self.choices

    def __contains__(self, name: object) -> bool:
        return any(choice.name == name for choice in self.choices)


def _choice(text: str) -> FilterChoice:
    """One entry of the list.

    Raises:
        ValueError: the name is unknown or its parameter cannot be read.
    """
    name, _, parameter = (part.strip() for part in text.partition("="))
    if name not in FILTERS:
        raise ValueError(f"unknown filter; give auto, off, or a list of {', '.join(FILTERS)}")
    return FilterChoice(name, syntax_of(name).parse(parameter) if parameter else None)


def filter_list() -> str:
    """Every filter with the form of its parameter, for help texts."""
    forms = ((name, syntax_of(name).syntax) for name in FILTERS)
    return ", ".join(f"{name}[={syntax}]" if syntax else name for name, syntax in forms)
