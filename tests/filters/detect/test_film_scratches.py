"""An inspection finds scratches, and where they are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.support.field_clips import frames_of, moments
from vidsr.filters.detect.inspection_text import sentences
from vidsr.filters.inspector import Inspector
from vidsr.training.degradation.old_film.marks import ScratchLine


@pytest.mark.long
def test_scratches_are_reported_with_their_place_and_recommended() -> None:
    line = ScratchLine(
        first=-1,
        last=50,
        middle=64.0,
        width=2.0,
        tone=0.95,
        drift=0.1,
        waver=(0.8, 14, 1.0),
        depth=(0.7, 0.7, 5, 0.0),
    )
    truth = moments(30, 1, seed=4)
    covers = [line.cover(n, (96, 128), (0.0, 0.0)) for n in range(30)]
    for clip, found_any in ((truth, False), ([y + (242 - y) * c for y, c in zip(truth, covers, strict=True)], True)):
        inspector = Inspector(rate=Fraction(25))
        inspector.add(frames_of(clip))
        found = inspector.result(30)
        assert (found.scratched > 0.8) == found_any
        assert ("scratch" in found.recommended.get("restore", "")) == found_any
        assert any("--restore scratch" in text for text in sentences(found)) == found_any
        spans = found.to_json()["scratches_at"]
        assert [span["lines"] for span in spans] == [1] * len(spans)
        if found_any:
            assert np.sum([span["end"] - span["start"] for span in spans]) > 0.8
