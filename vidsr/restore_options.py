"""Options that restore: what is undone before the network, what is kept true after it, and sets of them by material."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from vidsr.errors import OptionsError
from vidsr.option_schema import Checked, opt

#: Filters ahead of the network, in the order in which they act.
FILTERS = ("ivtc", "deinterlace", "dedupe", "crop", "deblock", "dust", "deflicker", "denoise", "grey")

#: What each material means: nothing but options of :class:`RestoreOptions`. "auto" lets the analysis choose.
MATERIALS: dict[str, dict[str, Any]] = {
    "vhs": {"restore": "deinterlace,crop,denoise", "fidelity": "auto", "stabilize": 0.5, "strength": 0.85},
    "dv": {"restore": "deinterlace,crop", "fidelity": "auto", "stabilize": 0.3},
    "dvd": {"restore": "auto", "fidelity": "auto"},
    "film-8mm": {"restore": "dust,deflicker", "fidelity": "auto", "stabilize": 0.5, "grain": 0.7},
    "film-bw": {"restore": "dust,deflicker,grey", "fidelity": "auto", "stabilize": 0.5, "grain": 0.7},
    "broadcast": {"restore": "auto", "fidelity": "auto", "stabilize": 0.3},
    "animation": {"restore": "auto", "fidelity": "auto", "stabilize": 0.3},
    "phone": {"restore": "deblock,denoise", "fidelity": "auto", "strength": 0.9},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions(Checked):
    """What is undone before the network, and what keeps its result true to the source."""

    title: ClassVar[str] = "Restoration"

    restore: str = opt(
        "off",
        "Filters ahead of the network: auto takes what `vidsr inspect` recommends; or name some of "
        f"{', '.join(FILTERS)}.",
        metavar="auto|off|LIST",
    )
    fields: str = opt(
        "same", "Deinterlace to one frame for each frame, or to one for each field.", choices=("same", "double")
    )
    fidelity: str = opt(
        "auto",
        "How true the result, scaled down again, is to the source: 0 to 1; auto measures what the source can bear.",
        metavar="0..1|auto",
    )
    stabilize: float = opt(0.0, "Take flicker away by carrying detail along the motion.", between=(0, 1))
    strength: float = opt(1.0, "Blend the network's result with a plain bicubic enlargement.", between=(0, 1))
    colour_lock: bool = opt(True, "Keep the source's colour in the large.", "--colour-lock/--no-colour-lock")
    grain: float = opt(0.0, "Put back this share of the source's own grain, at the new size.", between=(0, 1))

    def faults(self) -> Iterator[str]:
        """As :meth:`Checked.faults`, and that the filters have known names and fidelity is auto or a share."""
        yield from Checked.faults(self)
        if self.restore not in ("auto", "off"):
            unknown = [name for name, _ in self.named() if name not in FILTERS]
            if unknown or not self.named():
                yield f"--restore {self.restore}: give auto, off, or a list of {', '.join(FILTERS)}"
        if self.fidelity != "auto" and self.fidelity_share() is None:
            yield f"--fidelity {self.fidelity}: give auto or a number between 0 and 1"

    def named(self) -> tuple[tuple[str, str], ...]:
        """(filter, parameter) for what ``restore`` lists, in the order in which they act; "" is no parameter.

        Empty for "auto" and "off". Unknown names come last.
        """
        if self.restore in ("auto", "off"):
            return ()
        listed = [part.strip().partition("=") for part in self.restore.split(",") if part.strip()]
        given = {name.strip(): parameter.strip() for name, _, parameter in listed}
        order = [name for name in FILTERS if name in given] + [name for name in given if name not in FILTERS]
        return tuple((name, given[name]) for name in order)

    def reshaping(self) -> str:
        """What of this changes which frames there are, when they are shown, or their shape; "" if nothing does."""
        kinds = ["ivtc", "dedupe", "crop", *(["deinterlace"] if self.fields == "double" else [])]
        parts = [f"{name}={parameter}" if parameter else name for name, parameter in self.named() if name in kinds]
        return ",".join(parts) + (";fields=double" if self.fields == "double" and parts else "")

    @classmethod
    def reshaped(cls, text: str) -> RestoreOptions:
        """The inverse of :meth:`reshaping`.

        Raises:
            OptionsError: the text is none that it gives.
        """
        restore, _, rest = text.partition(";")
        told = cls(restore=restore or "off", fields="double" if rest == "fields=double" else "same")
        faults = list(told.faults())
        if faults:
            raise OptionsError("; ".join(faults))
        return told

    def fidelity_share(self) -> float | None:
        """``fidelity`` as a number 0 to 1; None for "auto" or what is no such number."""
        try:
            share = float(self.fidelity)
        except ValueError:
            return None
        return share if 0 <= share <= 1 else None


def with_material(options: RestoreOptions, material: str) -> RestoreOptions:
    """``options`` with what ``material`` stands for, where the user gave nothing else."""
    wanted = MATERIALS[material]
    chosen = {
        f.name: wanted[f.name] for f in fields(options) if f.name in wanted and getattr(options, f.name) == f.default
    }
    return replace(options, **chosen)
