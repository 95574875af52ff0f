"""Chains of features through windows: how they fade into each other, and that a stream continues them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vidsr.filters.after.propagation import FADE, REACH, WINDOW, Features, FrameWindow, Propagation

FRAMES = 3 * WINDOW + 5


class Ages:
    """A network whose features are the number of frames that a chain has passed; it counts its steps."""

    def __init__(self) -> None:
        self.steps = 0

    def no_features(self, picture: Tensor) -> Tensor:
        return picture.new_zeros(1, 1, *picture.shape[-2:])

    def backward_trunk(self, picture: Tensor, carried: Tensor) -> Tensor:
        self.steps += 1
        return carried + 1

    forward_trunk = backward_trunk

    def enlarge(self, picture: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        return torch.cat((backward, forward), 1)


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.inference_mode():
        yield


def window(start: int, own: range | None = None, still: range = range(0), cut: int | None = None) -> FrameWindow:
    """The window of a film of ``FRAMES`` frames that begins at ``start``; nothing moves in it."""
    first, stop = max(0, start - REACH), min(FRAMES, start + WINDOW + REACH)
    nowhere = torch.zeros(1, 2, 4, 4)
    return FrameWindow(
        start,
        first,
        [torch.zeros(1, 3, 4, 4)] * (stop - first),
        [number in still and number > first for number in range(first, stop)],
        [(None, None) if number + 1 == cut else (nowhere, nowhere) for number in range(first, stop - 1)],
        own or range(start, min(start + WINDOW, FRAMES)),
    )


def ages(found: Features) -> tuple[float, float]:
    return float(found.backward[0, 0, 0, 0]), float(found.forward[0, 0, 0, 0])


def faded(old: float, new: float, step: int) -> float:
    share = (step + 1) / (FADE + 1)
    return old * (1 - share) + new * share


def test_chains_of_two_windows_fade_into_each_other() -> None:
    found = {n.number: ages(n) for n in Propagation(Ages(), torch.float32).through(window(WINDOW))}
    assert list(found) == list(range(WINDOW, 2 * WINDOW))
    for number, (backward, forward) in found.items():
        own, before = 2 * WINDOW + REACH - number, WINDOW + REACH - number
        step = number - WINDOW
        assert backward == pytest.approx(faded(before, own, step) if step < FADE else own, abs=0.02)
        own, after = number - WINDOW + REACH + 1, number - 2 * WINDOW + REACH + 1
        step = number - (2 * WINDOW - FADE)
        assert forward == pytest.approx(faded(own, after, step) if step >= 0 else own)


def test_ends_of_a_film_fade_into_nothing() -> None:
    first = {n.number: ages(n) for n in Propagation(Ages(), torch.float32).through(window(0))}
    assert first[0] == (WINDOW + REACH, 1)
    last = {n.number: ages(n) for n in Propagation(Ages(), torch.float32).through(window(3 * WINDOW))}
    assert last[FRAMES - 1] == (1, FRAMES - 3 * WINDOW + REACH)
    assert last[3 * WINDOW][0] == FRAMES - 3 * WINDOW


def test_a_stream_that_begins_late_in_a_window_has_one_forward_chain() -> None:
    late = window(WINDOW, range(2 * WINDOW - 3, 2 * WINDOW))
    skipped = late.own.start - late.first
    late = replace(
        late,
        first=late.own.start,
        pictures=late.pictures[skipped:],
        repeats=late.repeats[skipped:],
        motion=late.motion[skipped:],
    )
    found = [ages(n)[1] for n in Propagation(Ages(), torch.float32).through(late)]
    assert found == [1, 2, 3]


def test_a_cut_ends_both_chains() -> None:
    cut = WINDOW + FADE // 2
    found = {n.number: ages(n) for n in Propagation(Ages(), torch.float32).through(window(WINDOW, cut=cut))}
    assert found[cut - 1][0] == 1 and found[cut][1] == 1


def test_a_stream_continues_chains_and_finds_the_same() -> None:
    network = Ages()
    going = Propagation(network, torch.float32)
    whole = {n.number: n for start in range(0, FRAMES, WINDOW) for n in going.through(window(start))}
    assert list(whole) == list(range(FRAMES))
    assert network.steps <= 2 * (FRAMES + 3 * REACH)
    for start in range(0, FRAMES, WINDOW):
        for own in (None, range(start + 1, start + 2), range(start + 2, start + min(WINDOW, 5))):
            for alone in Propagation(Ages(), torch.float32).through(window(start, own)):
                assert torch.equal(alone.backward, whole[alone.number].backward)
                assert torch.equal(alone.forward, whole[alone.number].forward)


def test_nothing_is_continued_from_altered_pictures() -> None:
    network = Ages()
    going = Propagation(network, torch.float32)
    list(going.through(window(0)))
    before = network.steps
    list(going.through(replace(window(WINDOW), altered=True)))
    assert network.steps - before > 2 * (WINDOW + REACH)


def test_repeated_frames_are_the_same_but_where_chains_fade() -> None:
    found = list(Propagation(Ages(), torch.float32).through(window(WINDOW, still=range(WINDOW + 1, 2 * WINDOW))))
    same = [n.number for n in found if n.same]
    assert same == list(range(WINDOW + FADE + 1, 2 * WINDOW - FADE))
