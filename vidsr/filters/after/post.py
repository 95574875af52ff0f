"""The steps after the network and the order in which they act.

A step is a callable on (source, result, frames) that returns a new result. Steps that carry state from frame to
frame have a ``warmup`` above 0: that many frames before a segment's first are run through the network and the steps
and thrown away, so that a segment does not depend on which segment came before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from vidsr.filters.after import colour_lock, fidelity, grain, stabilise, strength
from vidsr.filters.after.correction import Correction, Corrections
from vidsr.filters.after.step import Step, StepDescriptor
from vidsr.filters.hold import face_hold, text_hold
from vidsr.options.restore_options import RestoreOptions

#: In the order in which they act. The holds come first, so that all others work on what is kept. Fidelity stands before
#: *and* after the stabiliser: before, so that what is carried along is already true to the source; after, because
#: blending along the motion leaves it again. Grain comes last, for nothing may smooth it.
STEPS: tuple[StepDescriptor, ...] = (
    text_hold.STEP,
    face_hold.STEP,
    fidelity.STEP,
    stabilise.STEP,
    fidelity.AFTER_STABILISE,
    strength.STEP,
    colour_lock.STEP,
    grain.STEP,
)


def post_steps(options: RestoreOptions) -> list[Step]:
    """The steps that ``options`` ask for, in order; corrections that follow each other as one."""
    made = (step.make(options) for step in STEPS)
    return list(_together(step for step in made if step is not None))


def _together(steps: Iterator[Step]) -> Iterator[Step]:
    for are_corrections, group in groupby(steps, lambda step: isinstance(step, Correction)):
        several = list(group)
        if are_corrections and len(several) > 1:
            yield Corrections([step for step in several if isinstance(step, Correction)])
        else:
            yield from several


def warmup(steps: Sequence[Step]) -> int:
    """Frames before a segment that ``steps`` need to see."""
    return max((step.warmup for step in steps), default=0)
