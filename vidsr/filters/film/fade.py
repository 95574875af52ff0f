"""Fade: the density that the dyes of a colour film have lost, given back in the measure of the whole film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vidsr.filters.before.descriptor import FilterDescriptor, write_number
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.film.dye_loss import MOST_LOST, DyeLoss
from vidsr.filters.film.rgb_planes import changed_colours
from vidsr.frames import Floats, Frame

#: Share of the measured loss that is given back unless another one is asked for.
DEFAULT_STRENGTH = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class FadeChoice:
    """How much to give back, above 0 up to 1, of which ``loss``; None if that is to be found in the source."""

    strength: float = DEFAULT_STRENGTH
    loss: DyeLoss | None = None


class Fade:
    """Multiplies the density of red, green and blue, one factor each for all frames (see
    :mod:`vidsr.filters.film.dye_loss`).

    White stays white; what is darker gets darker, most in the colour whose dye has faded most. Each frame is changed
    by itself and in the same way, so the colours of scenes keep their differences.
    """

    name = "fade"
    lookaround = (0, 0)

    def __init__(self, loss: DyeLoss, strength: float = DEFAULT_STRENGTH) -> None:
        self.loss, self.strength = loss, strength

    def __call__(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        factors = density_factors(self.loss, self.strength)

        def denser(colours: Floats) -> Floats:
            # Density is the negative logarithm, so a factor to it is an exponent. Below black there is none.
            made = np.power(np.maximum(colours, 0), factors, dtype=np.float32)
            return np.where(colours > 0, made, colours)

        for frame in frames:
            yield frame if np.all(factors == 1) else changed_colours(frame, denser)


def density_factors(loss: DyeLoss, strength: float) -> Floats:
    """The factors ``[3]``, for red, green and blue, that give back the share ``strength`` of what was lost."""
    return np.asarray(1 + strength * (1 / (1 - loss.shares) - 1), np.float32)


def _parse(text: str) -> FadeChoice:
    try:
        numbers = [float(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 4) or not 0 < numbers[0] <= 1 or not all(0 <= n <= MOST_LOST for n in numbers[1:]):
        raise ValueError(
            "give the share of the loss that is to be given back, above 0 up to 1, for example fade=0.5; if you know "
            f"what the cyan, magenta and yellow dyes have lost, 0 to {MOST_LOST:g} of their density, also that: "
            "fade=0.7:0.5:0.1:0.3"
        )
    if len(numbers) == 1:
        return FadeChoice(strength=numbers[0])
    _, cyan, magenta, yellow = numbers
    return FadeChoice(strength=numbers[0], loss=DyeLoss(cyan=cyan, magenta=magenta, yellow=yellow))


def _write(choice: FadeChoice) -> str:
    loss = choice.loss
    numbers = [choice.strength] if loss is None else [choice.strength, loss.cyan, loss.magenta, loss.yellow]
    return ":".join(map(write_number, numbers))


def _make(choice: FadeChoice | None) -> Fade:
    if choice is None or choice.loss is None:
        return Fade(DyeLoss(cyan=0, magenta=0, yellow=0))  # nothing was found
    return Fade(choice.loss, choice.strength)


def _find(found: Inspection) -> FadeChoice | None:
    return None if found.fading is None else FadeChoice(loss=found.fading.loss)


def _complete(choice: FadeChoice, found: Inspection) -> FadeChoice | None:
    return None if found.fading is None else replace(choice, loss=found.fading.loss)


FILTER: FilterDescriptor[FadeChoice] = FilterDescriptor(
    name="fade",
    help="gives back the density that the dyes of a colour film have lost, and so takes out its cast",
    syntax="STRENGTH[:CYAN:MAGENTA:YELLOW]",
    parse=_parse,
    write=_write,
    make=_make,
    find=_find,
    is_open=lambda choice: choice.loss is None,
    complete=_complete,
    noted=True,
    absent="at least 12 different scenes did not show that the dyes have faded; give what the cyan, magenta and yellow "
    "dyes have lost, for example fade=0.7:0.5:0.1:0.3",
)
