"""Ranks, and which measures are left out with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import OptionsError
from vidsr.quality.no_reference.assessment import Assessor, ranked_by, ranks


def test_the_better_video_has_the_lower_place() -> None:
    means = [{"niqe": 5.0, "sharpness": 3.0}, {"niqe": 4.0, "sharpness": 3.0}, {"niqe": 6.0, "sharpness": 1.0}]
    assert [found["rank_look"] for found in ranks(means)] == [1.75, 1.25, 3.0]
    assert ranked_by(means) == {"rank_look": ["niqe", "sharpness"]}, "nothing to judge faithfulness by"
    assert ranks(means[:1]) == [{}], "one video is not ranked"


@given(st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_places_add_up_whatever_is_equal(values: list[int]) -> None:
    found = [place["rank_look"] for place in ranks([{"niqe": float(v)} for v in values])]
    assert sum(found) == pytest.approx(len(values) * (len(values) + 1) / 2)
    assert values[found.index(min(found))] == min(values)


def test_reasons() -> None:
    with Assessor((128, 96), 8, (32, 24), None) as assessor:
        notes = " ".join(assessor.found.notes)
    assert "niqe left out: frames of 128x96 hold fewer than two blocks" in notes
    assert "cambi left out: frames of 128x96 are too small: a side of 216" in notes
    with pytest.raises(OptionsError, match="consistency: it needs the source: give --source"):
        Assessor((320, 240), 8, None, ["consistency"])
    with pytest.raises(OptionsError, match="with --no-reference, known are niqe"):
        Assessor((320, 240), 8, None, ["psnr"])
