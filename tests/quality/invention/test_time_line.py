"""The time line of invention: the drawing holds what the figures say."""

from __future__ import annotations

import copy
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.quality.invention.tally import FrameInvention, InventionTally
from vidsr.quality.invention.time_line import ShownInvention


def figures(shares: list[tuple[float, float]], cuts: set[int] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    frames = [
        FrameInvention(
            seconds=number / 25,
            expected=10 * invented,
            low=2.0 * invented,
            high=20 * invented,
            within=0.5,
            supported=supported,
            invented=invented,
            cut=number in cuts,
        )
        for number, (supported, invented) in enumerate(shares)
    ]
    return {"measured": {"every": 1, "rule": "every frame"}, **InventionTally(frames).to_json()}


def parsed(shown: ShownInvention) -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{shown.section('<film> & more.mkv')}</div>")


def test_areas_meet_and_shots_are_marked() -> None:
    shown = ShownInvention.of(figures([(0.2, 0.5)] * 50 + [(0.6, 0.1)] * 50, {50}))
    page = parsed(shown)
    assert page.findtext("h3") == "<film> & more.mkv"
    assert [len(svg.findall("line[@class='shot']")) for svg in page.iter("svg")] == [1, 1]
    titles = [title.text or "" for title in page.iter("title")]
    assert titles[:2] == [
        "Shot 1, 0.00 to 1.96 s: 20 % supported, 50 % invented, expected error 5.0 code values",
        "Shot 2, 2.00 to 3.96 s: 60 % supported, 10 % invented, expected error 1.0 code values",
    ]
    assert len(page.findall("details//tr")) == 3
    drawn = {path.get("class"): path.get("d", "") for path in next(page.iter("svg")).iter("path")}
    heights = {
        part: {float(y) for y in re.findall(r" ([\d.]+)", drawn[part])} for part in ("supported", "between", "invented")
    }
    # 100 % at 18, 0 % at 168: supported 20 and 60 %, invented from 50 and 90 % up.
    assert heights == {
        "supported": {168.0, 138.0, 78.0},
        "between": {138.0, 78.0, 93.0, 33.0},
        "invented": {93.0, 33.0, 18.0},
    }

    at_cut = re.findall(r"(?<=[ML])584\.4 ([\d.]+)", drawn["supported"])
    assert set(at_cut) >= {"138.0", "78.0"}, "a shot does not slide into the next one"


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda s: sum(s) <= 1), min_size=1, max_size=40),
    st.sets(st.integers(1, 39)),
)
def test_any_film_is_drawn_inside_its_frame(shares: list[tuple[float, float]], cuts: set[int]) -> None:
    page = parsed(ShownInvention.of(figures(shares, cuts)))
    for path in page.iter("path"):
        points = re.findall(r"([\d.]+) ([\d.]+)", path.get("d", ""))
        assert points and all(46 <= float(x) <= 1112 and 18 <= float(y) <= 168 for x, y in points)


def test_a_long_film_is_drawn_with_few_points() -> None:
    long = ShownInvention.of(figures([(0.3, 0.3)] * 20_000))
    assert len(long.section("film.mkv")) < 100_000


@pytest.mark.parametrize("damage", ["frames", "film", "measured", "shots"])
def test_figures_of_another_kind_are_refused(damage: str) -> None:
    good = figures([(0.3, 0.3)] * 3)
    bad = copy.deepcopy(good)
    del bad[damage]
    with pytest.raises(KeyError):
        ShownInvention.of(bad)
    with pytest.raises(ValueError, match="finite"):
        ShownInvention.of(good | {"film": good["film"] | {"expected_error": float("nan")}})
