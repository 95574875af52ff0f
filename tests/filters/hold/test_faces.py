"""Faces found by YuNet, beside what OpenCV finds with the same weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support.faces import astronaut
from tests.support.scenes import texture
from vidsr.filters.hold import faces
from vidsr.filters.hold.faces import Face, FaceBox, FaceFinder, distinct

#: What cv2.FaceDetectorYN of OpenCV 5.0 says of the portrait reduced by four: left, top, width, height, x and y of five
#: landmarks, score; with the released ONNX file, thresholds 0.6 and 0.3.
OPENCV = (46.68, 17.06, 20.16, 24.67, 51.77, 26.73, 60.59, 26.89, 56.5, 31.7, 52.83, 35.26, 59.44, 35.82, 0.89)
#: And its landmarks in the portrait of 512 pixels.
LARGE = (200.12, 101.82, 247.13, 102.62, 220.37, 124.54, 198.61, 142.77, 239.67, 143.64)


def test_what_opencv_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "_SMALL_PX", 0)  # OpenCV does not enlarge small pictures
    (face,) = FaceFinder()(astronaut(4))
    box = face.box
    found = (box.left, box.top, box.width, box.height, *(value for point in face.points for value in point))
    assert found == pytest.approx(OPENCV[:-1], abs=0.15)  # our weights are fp16
    assert face.score == pytest.approx(OPENCV[-1], abs=0.01)


@pytest.mark.parametrize("reduced", [5, 8])
def test_small_faces_are_found_where_the_large_one_is(reduced: int) -> None:
    (face,) = FaceFinder()(astronaut(reduced))
    expected = [value / reduced for value in LARGE[:4]]
    assert [value for eye in face.points[:2] for value in eye] == pytest.approx(
        expected, abs=9 / reduced
    )  # a tenth of its width


def test_nothing_is_found_in_a_texture() -> None:
    finder = FaceFinder()
    assert finder(texture(90, 160)) == () and finder(torch.zeros(1, 3, 20, 31)) == ()


def _box(values: tuple[float, float, float, float]) -> FaceBox:
    left, top, width, height = values
    return FaceBox(left, top, left + width, top + height)


side = st.floats(1, 50)
boxes = st.tuples(st.floats(-20, 80), st.floats(-20, 80), side, side).map(_box)


@given(boxes, boxes)
def test_overlap_is_a_share_and_symmetric(a: FaceBox, b: FaceBox) -> None:
    assert 0 <= a.overlap(b) <= 1 + 1e-9
    assert a.overlap(b) == pytest.approx(b.overlap(a))
    assert a.overlap(a) == pytest.approx(1)


@given(st.lists(st.tuples(boxes, st.floats(0, 1)), max_size=12))
def test_of_overlapping_faces_the_better_one_stays(given_: list[tuple[FaceBox, float]]) -> None:
    ordered = sorted((Face(box, (), score) for box, score in given_), key=lambda face: -face.score)
    kept = distinct(ordered)
    assert all(a.box.overlap(b.box) <= 0.3 for i, a in enumerate(kept) for b in kept[:i])
    # Each face that was dropped overlaps one that is at least as sure.
    assert all(any(k.score >= f.score and (k is f or k.box.overlap(f.box) > 0.3) for k in kept) for f in ordered)
