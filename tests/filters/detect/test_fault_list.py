"""The list of faults: whatever the inspector says a filter mends has its section on the page."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from vidsr.filters.detect.fault_list import faults_of
from vidsr.filters.detect.fault_places import FaultPlace, FaultPlaces
from vidsr.filters.detect.film_scratches import ScratchedSpan
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.detect.inspection_text import sentences
from vidsr.filters.detect.tape_findings import TapeFindings
from vidsr.filters.film.dye_loss import DyeLoss, Fading
from vidsr.filters.tape.halos import Ringing
from vidsr.options.filter_choices import FILTERS


def faulty(scan: str, tape: TapeFindings) -> Inspection:
    span = {"start": Fraction(1), "end": Fraction(2)}
    return Inspection(
        frames=100,
        sampled=100,
        complete=True,
        width=720,
        height=576,
        scan=scan,
        field_order="tff",
        pattern=None,
        flagged=None,
        duplicate_ratio=0.3,
        crop=(8, 8, 704, 560),
        sar=Fraction(1),
        grey=False,
        noise=9.0,
        flicker=9.0,
        blocking=9.0,
        true_width=720,
        true_height=576,
        cuts=(),
        scratched=0.5,
        scratches_at=(ScratchedSpan(**span, lines=2),),
        breathing=0.1,
        breathing_at=(FaultPlace(**span, strong=0.1),),
        banding=4.0,
        places=FaultPlaces(banding=(FaultPlace(**span, strong=4.0), FaultPlace(**span, strong=1.0))),
        fading=Fading(loss=DyeLoss(cyan=0.5, magenta=0.0, yellow=0.2), scenes=20, at=(FaultPlace(**span, strong=0.3),)),
        tape=tape,
    )


@pytest.mark.parametrize("scan", ["interlaced", "mixed", "telecined", "progressive"])
def test_every_filter_that_is_named_has_a_fault(scan: str) -> None:
    tape = TapeFindings(
        dropouts=(Fraction(1),),
        searched=100,
        head_switching=6,
        chroma_delay=2.0,
        colour_band=0.4,
        wobble=(FaultPlace(start=Fraction(1), end=Fraction(2), strong=0.4),),
        ringing=Ringing(gain=0.5, period=8.0),
        dot_crawl="pal",
        rainbows="ntsc",
    )
    found = faulty(scan, tape)
    named = set(re.findall(r"--restore (\w+)", "\n".join(sentences(found))))
    assert {"dehalo", "dotcrawl", "rainbow", "dropout", "chroma", "bleed", "headswitch", "wobble"} <= named
    assert {"scratch", "breathing", "deband", "fade"} <= named
    faults = faults_of(found)
    mended = {name for fault in faults for name in re.findall(r"--restore (\w+)", fault.flags)}
    assert named <= mended <= set(FILTERS)
    assert len({fault.name for fault in faults}) == len(faults)
    assert all(fault.text and "--restore" not in fault.text for fault in faults)


def test_a_sound_tape_adds_nothing() -> None:
    with_faults = {fault.name for fault in faults_of(faulty("progressive", TapeFindings(dot_crawl="pal")))}
    without = {fault.name for fault in faults_of(faulty("progressive", TapeFindings()))}
    assert with_faults - without == {"dotcrawl"}
