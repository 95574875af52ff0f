"""Results that two streams need are computed once, and only the right one is handed on."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.inference.limits.shared_results import SharedResults


class Counting:
    """A network that counts its pictures."""

    def __init__(self) -> None:
        self.pictures = 0

    def __call__(self, rgb: torch.Tensor) -> torch.Tensor:
        self.pictures += len(rgb)
        return rgb.repeat_interleave(2, -1).repeat_interleave(2, -2) * 0.5


def picture(seed: int, size: tuple[int, int] = (4, 5)) -> torch.Tensor:
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=50, deadline=None)
@given(made=st.lists(st.integers(0, 5), max_size=8), asked=st.lists(st.integers(0, 8), max_size=8))
def test_what_is_handed_on_is_what_the_network_gives(made: list[int], asked: list[int]) -> None:
    network = Counting()
    shared = SharedResults(network, lambda high, wide: 4)
    for seed in made:
        shared.enlarge(picture(seed))
    left = made[-4:]
    for seed in asked:
        found = shared.take(picture(seed))
        assert (found is not None) == (seed in left), "kept, and each only once"
        if found is not None:
            left.remove(seed)
            assert torch.equal(found, Counting()(picture(seed)))
    assert network.pictures == len(made)


def test_of_a_batch_all_or_nothing() -> None:
    shared = SharedResults(Counting(), lambda high, wide: 4)
    pair = torch.cat((picture(1), picture(2)))
    shared.enlarge(pair)
    assert shared.take(torch.cat((picture(1), picture(3)))) is None
    assert shared.take(picture(1, (5, 4))) is None, "another shape"
    found = shared.take(pair)
    assert found is not None and torch.equal(found, Counting()(pair)) and shared.handed_on == 2
    shared.enlarge(pair)
    shared.close()
    assert shared.take(picture(1)) is None
