"""The faults of an inspection one by one: what is wrong, where, what to do, and what a picture of it should show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from vidsr.filters.detect.fault_places import FaultPlace, above
from vidsr.filters.detect.inspection import BANDED, BLOCKY, FLICKERING, NOISY, REPEATING, VERY_NOISY, Inspection
from vidsr.filters.detect.inspection_text import sentence_of

#: How a fault is seen: lines of a field that lie apart, thin lines along the film, what only one frame has, fine detail
#: at its own size, the bottom of the picture, its edges, several frames one after the other, steps between even
#: areas, or colours before and after.
FaultView = Literal["comb", "line", "single", "detail", "bottom", "bars", "series", "bands", "faded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        name: an identifier.
        title: a few words.
        text: what was found.
        remedy: what to do, in words.
        flags: the options that do it, as on the command line; "" if there are none.
        places: where it was found; empty if it is everywhere.
        view: what a picture of it should show.
    """

    name: str
    title: str
    text: str
    remedy: str
    flags: str = ""
    places: tuple[FaultPlace, ...] = ()
    view: FaultView = "detail"


def faults_of(found: Inspection) -> list[Fault]:
    """The faults of a clip, in the order in which they are mended."""
    return [*_frames(found), *_tape(found), *_film(found), *_colours(found), *_picture(found)]


def _frames(found: Inspection) -> Iterator[Fault]:
    places = found.places
    if found.scan == "unclear" and found.unclear_at is not None:
        at = found.unclear_at
        yield Fault(
            name="unclear",
            title="Progressive or interlaced? Look yourself",
            text=sentence_of(found, "scan"),
            remedy="If moving edges look like a comb in these pictures, deinterlace: try top field first, then bottom "
            "field first, and keep what moves smoothly. If they do not, do nothing.",
            flags="--restore deinterlace=tff",
            places=(FaultPlace(start=at, end=at),),
            view="comb",
        )
    if found.scan in ("interlaced", "mixed"):
        yield Fault(
            name="interlaced",
            title="Interlaced" if found.scan == "interlaced" else "Interlaced in parts",
            text=sentence_of(found, "scan"),
            remedy="Deinterlace; scenes that are clearly progressive pass as they are.",
            flags="--restore deinterlace",
            places=places.combed,
            view="comb",
        )
    if found.scan == "telecined":
        yield Fault(
            name="telecined",
            title="Telecined film",
            text=sentence_of(found, "scan"),
            remedy="Put the film's own frames together again.",
            flags="--restore ivtc",
            places=places.combed,
            view="comb",
        )
    if found.cadence is not None:
        yield Fault(
            name="film",
            title="Film shown at another rate",
            text=sentence_of(found, "film"),
            remedy="Leave the repeats out and give each picture its own time.",
            flags="--rate film",
            view="series",
        )
    elif found.duplicate_ratio > REPEATING:
        yield Fault(
            name="repeated",
            title="Repeated frames",
            text=sentence_of(found, "repeated frames"),
            remedy="Drop the repeats.",
            flags="--restore dedupe",
            view="series",
        )
    if found.lost:
        long = all(place.long for place in found.lost)
        yield Fault(
            name="lost",
            title="Lost frames",
            text=sentence_of(found, "lost frames"),
            remedy="Too many in a row to be made again." if long else "Make them again between their neighbours.",
            flags="" if long else "--restore refill",
            places=tuple(FaultPlace(start=place.at, end=place.at, strong=place.count) for place in found.lost),
            view="series",
        )


def _tape(found: Inspection) -> Iterator[Fault]:
    tape = found.tape
    if tape.head_switching:
        yield Fault(
            name="headswitch",
            title="Head switching",
            text=sentence_of(found, "head switching"),
            remedy="Move the rows back, or cut them off with crop.",
            flags="--restore headswitch",
            view="bottom",
        )
    if tape.wobble:
        yield Fault(
            name="wobble",
            title="Displaced lines",
            text=sentence_of(found, "wobble"),
            remedy="Move each line back to its usual place, where blanking or still parts of the picture show it.",
            flags="--restore wobble",
            places=tape.wobble,
            view="series",
        )
    if tape.chroma_delay:
        yield Fault(
            name="chroma",
            title="Delayed colour",
            text=sentence_of(found, "colour"),
            remedy="Move colour back onto its luma.",
            flags="--restore chroma",
            view="detail",
        )
    if tape.colour_band:
        yield Fault(
            name="bleed",
            title="Smeared colour",
            text=sentence_of(found, "smeared colour"),
            remedy="Sharpen colour along the lines, by the edges of luma.",
            flags="--restore bleed",
            view="detail",
        )
    if tape.dropouts:
        yield Fault(
            name="dropout",
            title="Dropouts",
            text=sentence_of(found, "dropouts"),
            remedy="Fill them from the neighbouring frames.",
            flags="--restore dropout",
            places=_moments(tape.dropouts),
            view="single",
        )
    if tape.dot_crawl is not None:
        yield Fault(
            name="dotcrawl",
            title="Dot crawl",
            text=sentence_of(found, "dot crawl"),
            remedy="Take the subcarrier out of luma, where the picture stands still.",
            flags=f"--restore dotcrawl={tape.dot_crawl}",
        )
    if tape.rainbows is not None:
        yield Fault(
            name="rainbow",
            title="Rainbows",
            text=sentence_of(found, "rainbows"),
            remedy="Take fine luma out of colour.",
            flags=f"--restore rainbow={tape.rainbows}",
        )
    if tape.ringing is not None:
        yield Fault(
            name="halos",
            title="Halos",
            text=sentence_of(found, "halos"),
            remedy="Filter luma with the inverse of what raised these frequencies.",
            flags="--restore dehalo",
        )


def _film(found: Inspection) -> Iterator[Fault]:
    if found.weave_at:
        spans = tuple(FaultPlace(start=t.start, end=t.end, strong=t.jitter) for t in found.weave_at)
        yield Fault(
            name="weave",
            title="Unsteady in the gate",
            text=sentence_of(found, "steadiness"),
            remedy="Steady it; pans and hand-held shots are left alone.",
            flags="--restore weave",
            places=spans,
            view="series",
        )
    if found.flicker > FLICKERING:
        yield Fault(
            name="flicker",
            title="Flicker",
            text=sentence_of(found, "brightness"),
            remedy="Steady the brightness of the whole picture.",
            flags="--restore deflicker",
            places=above(found.places.flicker, FLICKERING),
            view="series",
        )
    if found.breathing_at:
        yield Fault(
            name="breathing",
            title="Local flicker",
            text=sentence_of(found, "local flicker"),
            remedy="Steady brightness and colour place by place.",
            flags="--restore breathing",
            places=found.breathing_at,
            view="series",
        )
    if found.scratches_at:
        yield Fault(
            name="scratch",
            title="Scratches",
            text=sentence_of(found, "scratches"),
            remedy="Fill them; lines that belong to the scene are left.",
            flags="--restore scratch",
            places=tuple(FaultPlace(start=s.start, end=s.end, strong=s.lines) for s in found.scratches_at),
            view="line",
        )


def _colours(found: Inspection) -> Iterator[Fault]:
    if found.fading is not None:
        yield Fault(
            name="fade",
            title="Faded dyes",
            text=sentence_of(found, "fading"),
            remedy="If the film was not meant to look like that, give the dyes back what they have lost. "
            "Look at the pictures first: colours that were chosen cannot be distinguished from faded ones.",
            flags="--restore fade",
            places=found.fading.at,
            view="faded",
        )


def _picture(found: Inspection) -> Iterator[Fault]:
    if found.has_bars:
        yield Fault(
            name="bars",
            title="Bars",
            text=sentence_of(found, "bars"),
            remedy="Cut them off.",
            flags="--restore crop",
            view="bars",
        )
    if found.noise > NOISY:
        strong = found.noise > VERY_NOISY
        yield Fault(
            name="noise",
            title="Noise or grain",
            text=sentence_of(found, "noise or grain"),
            remedy="Average along the motion." if strong else "Put the grain back after the network, which removes it.",
            flags="--restore denoise" if strong else "--grain 0.7",
            places=above(found.places.noise, NOISY),
        )
    if found.blocking > BLOCKY:
        yield Fault(
            name="blocks",
            title="Compression blocks",
            text=sentence_of(found, "compression blocks"),
            remedy="Smooth the small steps between blocks.",
            flags="--restore deblock",
            places=above(found.places.blocking, BLOCKY),
        )
    if found.banding > BANDED:
        yield Fault(
            name="banding",
            title="Bands",
            text=sentence_of(found, "bands"),
            remedy="Spread the steps into the gradients that they stand for.",
            flags="--restore deband",
            places=above(found.places.banding, BANDED),
            view="bands",
        )


def _moments(times: Sequence[Fraction]) -> tuple[FaultPlace, ...]:
    return tuple(FaultPlace(start=at, end=at) for at in times)
