"""Fields along the motion: better than one frame's neighbours, exact where nothing changes, own lines untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.field_clips import frames_of, moments, woven
from tests.support.places import SAMPLE
from tests.support.scenes import gray_frames
from vidsr.filters.before.carried_fields import Moments
from vidsr.filters.before.field_interpolation import bob
from vidsr.frames import Frame
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe


def made_whole(frames: Sequence[Frame], order: str = "tff") -> list[Frame]:
    """Both moments of each frame."""
    found = Moments(order)

    def frame_at(number: int) -> Frame | None:
        return frames[number] if 0 <= number < len(frames) else None

    return [found.whole(n, frame_at, first=first) for n in range(len(frames)) for first in (True, False)]


def bobbed(frames: Sequence[Frame], order: str = "tff") -> list[Frame]:
    """The same from the neighbours in place only."""
    last = len(frames) - 1
    return [
        bob(frames[max(0, n - 1)], frames[n], frames[min(last, n + 1)], first=first, order=order)
        for n in range(len(frames))
        for first in (True, False)
    ]


def psnr(result: Sequence[Frame], truth: Sequence[np.ndarray]) -> float:
    """Mean over all but the first and the last two."""
    pairs = zip(result[2:-2], truth[2:-2], strict=True)
    errors = [((f.planes[0].astype(float) - t) ** 2).mean() for f, t in pairs]
    return float(np.mean([10 * np.log10(255**2 / max(e, 1e-4)) for e in errors]))


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_film_gains_over_the_neighbours_in_place(order: str) -> None:
    film = [f.planes[0].astype(np.float32) for f in read_frames(probe(SAMPLE), 0, 16)]
    clip = frames_of(woven(film, order))
    assert psnr(made_whole(clip, order), film) > psnr(bobbed(clip, order), film) + 1.5


@pytest.mark.parametrize("depth", [8, 10, 16])
def test_a_still_picture_is_woven_as_it_is(depth: int) -> None:
    most = (1 << depth) - 1
    still = np.random.default_rng(depth).integers(0, most + 1, (34, 45)).astype(np.uint8 if depth == 8 else np.uint16)
    like = gray_frames(1)[0]
    frames = [replace(like, planes=(still,), format=replace(like.format, depth=depth))] * 4
    for frame in made_whole(frames):
        assert frame.planes[0].dtype == still.dtype and np.array_equal(frame.planes[0], still)


@given(height=st.integers(2, 30), width=st.integers(2, 40), count=st.integers(1, 4), first=st.sampled_from([0, 1]))
@settings(max_examples=25, deadline=None)
def test_the_lines_of_the_field_stay(height: int, width: int, count: int, first: int) -> None:
    """Frames of any size and number, even noise that nothing can be carried along."""
    random = np.random.default_rng(height * width)
    noise = [random.integers(0, 256, (height, width)).astype(np.uint8) for _ in range(count)]
    frames = [replace(gray_frames(1)[0], planes=(one,)) for one in noise]
    result = made_whole(frames, ("tff", "bff")[first])
    for at, frame in enumerate(result):
        kept = (at + first) % 2
        assert np.array_equal(frame.planes[0][kept::2], frames[at // 2].planes[0][kept::2])


def test_a_cut_is_not_carried_over() -> None:
    """Moments beside a cut look like their own scene."""
    one, other = moments(8, 2, seed=1), moments(8, 2, seed=2)
    frames = frames_of(woven([*one, *other], "tff"))
    result = made_whole(frames)
    for at in (7, 8):
        truth, foreign = ((*one, *other)[n] for n in (at, 8 if at == 7 else 7))
        mine = result[at].planes[0].astype(float)
        assert ((mine - truth) ** 2).mean() < ((mine - foreign) ** 2).mean() / 4
