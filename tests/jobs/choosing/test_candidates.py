"""What --within may take, in order."""

from __future__ import annotations

from typing import Any

import pytest

from vidsr.jobs.choosing.candidates import BY_KIND, SourceKind, described, ladder
from vidsr.models.zoo import ZOO
from vidsr.options.enhance_options import EnhanceOptions


def options(**values: Any) -> EnhanceOptions:
    return EnhanceOptions.from_flat(values)


def names(kind: SourceKind, *, judged: bool = True, **values: Any) -> list[str]:
    asked = options(**values)
    return [described(one, asked) for one in ladder(asked, kind, judged=judged)]


def test_best_first_and_at_last_without_the_steps_that_came_by_default() -> None:
    expected = [
        "realesrgan-x4plus",
        "realesr-general-x4v3",
        "realesr-animevideov3",
        "realesr-animevideov3 without --fidelity and --colour-lock",
    ]
    assert names("camera footage", multiframe="off") == names("camera footage", judged=False) == expected
    assert names("drawings", model="auto")[2] == "realesrgan-x4plus-anime-6B"


def test_a_named_model_and_named_steps_stay() -> None:
    assert names("drawings", model="faithful", fidelity=0.5, colour_lock=False) == ["faithful"]
    assert names("camera footage", model="faithful", multiframe=0.5)[:2] == [
        "faithful",
        "faithful without --multiframe",
    ]


def test_neighbours_are_left_out_before_a_lesser_model_is_taken() -> None:
    found = names("camera footage")
    assert found[:3] == ["realesrgan-x4plus", "realesrgan-x4plus without --multiframe", "realesr-general-x4v3"]
    assert "--multiframe" not in found[-1]
    assert names("camera footage", multiframe=0.5)[-1].startswith("realesr-animevideov3 without --multiframe and")


def test_what_auto_leaves_out_by_itself_is_not_tried_twice() -> None:
    found = names("camera footage", judged=False)
    assert found == list(dict.fromkeys(found)) and not any("--multiframe" in name for name in found)


@pytest.mark.parametrize("kind", BY_KIND)
def test_every_candidate_is_shipped_and_of_one_scale(kind: SourceKind) -> None:
    entries = [ZOO[one.model.model] for one in ladder(options(), kind, judged=True)]
    assert all(entry.shipped for entry in entries) and {entry.scale for entry in entries} == {4}
