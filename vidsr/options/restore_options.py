"""Options that restore: filters ahead of the network, steps after it, and sets of both by kind of material."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from vidsr.errors import OptionsError
from vidsr.options.filter_choices import FilterSelection, filter_list, syntax_of
from vidsr.options.rate_choice import Rate, write_rate
from vidsr.options.schema import Options, opt

#: What each material stands for: values of :class:`RestoreOptions`, as on the command line. "auto" lets the analysis
#: of the source choose.
MATERIALS: dict[str, dict[str, Any]] = {
    "vhs": {
        "restore": "wobble,deinterlace,headswitch,chroma,bleed,crop,dropout,dehalo,denoise",
        "fidelity": "auto",
        "stabilize": 0.5,
        "strength": 0.85,
    },
    "dv": {"restore": "deinterlace,crop", "fidelity": "auto", "stabilize": 0.3},
    "dvd": {"restore": "auto", "fidelity": "auto"},
    "film-8mm": {"restore": "deflicker,dust,fade", "fidelity": "auto", "stabilize": 0.5, "grain": 0.7},
    "film-bw": {"restore": "deflicker,dust,grey", "fidelity": "auto", "stabilize": 0.5, "grain": 0.7},
    "broadcast": {"restore": "auto", "fidelity": "auto", "stabilize": 0.3},
    "animation": {"restore": "auto", "fidelity": "auto", "stabilize": 0.3},
    "phone": {"restore": "deblock,denoise,deband", "fidelity": "auto", "strength": 0.9},
}
#: What ``faces`` and ``text`` may be.
HOLDS = ("hold", "free")
TEXT_HOLDS = ("auto", *HOLDS)
_DOUBLED, _RATE = "fields=double", "rate="


def _restore_help() -> str:
    return f"Filters ahead of the network: auto takes what `vidsr inspect` recommends; or a list of {filter_list()}."


def _parse_fidelity(text: str) -> float | None:
    """A share from 0 to 1; None for "auto"."""
    if text == "auto":
        return None
    return _parse_share(text, f"--fidelity {text}: give auto or a number between 0 and 1")


def _parse_multiframe(text: str) -> float | None:
    """A share from 0 to 1; None for "auto", 0 for "off"."""
    if text in ("auto", "off"):
        return None if text == "auto" else 0.0
    return _parse_share(text, f"--multiframe {text}: give auto, off or a number between 0 and 1")


def _parse_share(text: str, advice: str) -> float:
    """A share from 0 to 1.

    Raises:
        OptionsError: it is none; the message is ``advice``.
    """
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise OptionsError(advice)
    return share


def _write_share(share: float | None) -> str:
    return "auto" if share is None else repr(share).removesuffix(".0")


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions(Options):
    """Defects to repair before the network, and corrections that keep its result close to the source."""

    title: ClassVar[str] = "Restoration"

    restore: FilterSelection = opt(  # noqa: RUF009 - opt makes a field; ruff recognises it only with plain types
        FilterSelection(), _restore_help, metavar="auto|off|LIST", parse=FilterSelection.parse, write=str
    )
    fields: str = opt(
        "same", "Deinterlace to one output frame per frame (same) or per field (double).", choices=("same", "double")
    )
    rate: Rate | None = opt(  # noqa: RUF009 - as above
        None,
        "Frames a second of the result: a number or fraction, a multiple of the source's (2x), or film, which finds "
        "the film's own. Frames in between are made along the motion; of a lower rate, the nearest are taken.",
        metavar="N|N/D|2x|film",
        parse=Rate.parse,
        write=write_rate,
    )
    fidelity: float | None = opt(
        None,
        "How closely the result, scaled back down, must match the source: 0 to 1; auto measures a suitable value.",
        between=(0, 1),
        metavar="0..1|auto",
        parse=_parse_fidelity,
        write=_write_share,
    )
    multiframe: float | None = opt(
        None,
        "How much of the result comes from a network that sees neighbouring frames: 0 to 1, or off; auto uses it where "
        "a losslessly stored source is clean, removes noise first, and leaves compressed sources out.",
        between=(0, 1),
        metavar="auto|off|0..1",
        parse=_parse_multiframe,
        write=_write_share,
    )
    stabilize: float = opt(0.0, "Reduce flicker by carrying detail along the motion.", between=(0, 1))
    strength: float = opt(
        1.0,
        "Share of the network's result when blended with a bicubic enlargement; 1 is the network alone.",
        between=(0, 1),
    )
    invent: float = opt(
        1.0,
        "How much of what the source does not support stays in the result: 1 is the network's own result, 0 that of "
        "the model faithful; between them, the less of a place is supported, the closer it stays to faithful.",
        between=(0, 1),
    )
    faces: str = opt(
        "free",
        "hold: faces follow the source at its own resolution all the way, where compression has not broken it.",
        choices=HOLDS,
    )
    text: str = opt(
        "auto",
        "hold: small text is mixed with the result of the model faithful, and follows the source likewise; auto holds "
        "it in losslessly stored sources that show no compression, where the network is so slow that the search for "
        "text takes little of the time.",
        choices=TEXT_HOLDS,
    )
    colour_lock: bool = opt(True, "Keep the source's colour at low frequencies.", "--colour-lock/--no-colour-lock")
    grain: float = opt(0.0, "Share of the source's grain to add back, at the new size.", between=(0, 1))
    keep_original_below: float = opt(
        0.0,
        "Leave the source as it is where a filter of --restore is less sure of its change than this: 0 to 1. Filters "
        "that know: dropout, deflicker, breathing, scratch, dust, denoise.",
        between=(0, 1),
    )
    masks: str | None = opt(
        None,
        "Folder of grey PNG pictures of the source's size, one for each of its frames or one for all: where they are "
        "white, filters of --restore act; where black, the source stays as it is.",
        metavar="FOLDER",
    )

    def reshaping(self) -> str:
        """The choices that change which frames there are, their times or their size, as text; "" if none does.

        A result carries this text, so that ``vidsr verify`` can make the same frames and times again.
        """
        chosen = ",".join(str(c) for c in self.restore.choices if syntax_of(c.name).reshapes(self.fields))
        parts = [chosen] if chosen else []
        if chosen and self.fields == "double":
            parts.append(_DOUBLED)
        if self.rate is not None:
            parts.append(f"{_RATE}{self.rate}")
        return ";".join(parts)

    def reshaping_flags(self) -> str:
        """The same as it stands on the command line; "" if there is none."""
        chosen = ",".join(str(c) for c in self.restore.choices if syntax_of(c.name).reshapes(self.fields))
        flags = [f"--restore {chosen}"] if chosen else []
        if chosen and self.fields == "double":
            flags.append("--fields double")
        if self.rate is not None:
            flags.append(f"--rate {self.rate}")
        return " ".join(flags)

    @classmethod
    def reshaped(cls, text: str) -> RestoreOptions:
        """The inverse of :meth:`reshaping`.

        Raises:
            OptionsError: ``text`` was not written by :meth:`reshaping`.
        """
        parts = text.split(";")
        rates = [part.removeprefix(_RATE) for part in parts if part.startswith(_RATE)]
        listed = [part for part in parts if part != _DOUBLED and not part.startswith(_RATE)]
        return cls(
            restore=FilterSelection.parse(";".join(listed) or "off"),
            fields="double" if _DOUBLED in parts else "same",
            rate=Rate.parse(rates[-1]) if rates else None,
        )
