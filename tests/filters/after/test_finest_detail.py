"""What lies above twice the source's Nyquist frequency, and how much of it a frame keeps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vidsr.filters.after.finest_detail import STEADY, finest, restored, steadiness
from vidsr.filters.resample import area_down

LOW = (16, 24)


def noise(seed: int) -> Tensor:
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(seed))


def wave(period: float) -> Tensor:
    """Upright stripes, of this many pixels each."""
    x = torch.arange(96) + 0.5
    return (0.5 + 0.4 * torch.sin(x * (2 * torch.pi / period))).expand(1, 3, 64, 96).contiguous()


EVERYWHERE = torch.ones(1, 1, 64, 96)


@pytest.mark.parametrize(("period", "least", "most"), [(2.5, 0.9, 1.2), (16, 0, 0.1), (48, 0, 0.03)])
def test_only_the_highest_frequencies_are_finest(period: float, least: float, most: float) -> None:
    kept = finest(wave(period), LOW).std() / wave(period).std()
    assert least <= float(kept) <= most


def test_there_is_none_in_a_result_of_twice_the_size_or_less() -> None:
    for low in ((32, 48), (64, 96), (100, 150)):
        assert float(finest(noise(0), low).abs().max()) < 1e-6
        assert steadiness(noise(0), [(EVERYWHERE, noise(0))], low) == pytest.approx(0, abs=0.1)
        mixed = noise(1)
        assert restored(mixed, noise(0), [], low) == (mixed, 0)


def test_detail_that_returns_is_steady_and_new_detail_is_not() -> None:
    left = torch.zeros(1, 1, 64, 96)
    left[..., :48] = 1
    assert steadiness(noise(0), [(EVERYWHERE, noise(0))] * 2, LOW) == pytest.approx(1, abs=1e-4)
    assert abs(steadiness(noise(0), [(EVERYWHERE, noise(1))], LOW)) < 0.1
    both = [(EVERYWHERE, noise(0)), (EVERYWHERE, noise(1))]
    assert steadiness(noise(0), both, LOW) == pytest.approx(0.5, abs=0.05)
    half = torch.where(left > 0, noise(0), noise(1))
    assert steadiness(noise(0), [(left, half)], LOW) > 0.9, "what does not fit has no say"
    assert steadiness(noise(0), [], LOW) == 0


def carried(steady: float) -> list[tuple[Tensor, Tensor]]:
    """A neighbour with the finest detail of ``noise(0)`` to this share."""
    return [(EVERYWHERE, steady * noise(0) + (1 - steady) * noise(1))]


def test_new_detail_is_restored_to_the_frames_own_power() -> None:
    result, mixed = noise(0), 0.5 * noise(0) + 0.5 * noise(2)
    made, share = restored(mixed, result, carried(0), LOW)
    own, kept, given = (finest(one, LOW) for one in (result, mixed, made))
    assert share == 1
    assert float((given**2).sum() / (own**2).sum()) == pytest.approx(1, rel=0.15)
    shared = [float((one * own).sum() / ((one**2).sum() * (own**2).sum()).sqrt()) for one in (kept, given)]
    assert shared[1] > shared[0] + 0.1 and shared[1] < 0.99, "the frame's own, but not alone"
    coarse = [area_down(one, (2 * LOW[0], 2 * LOW[1])) for one in (mixed, made)]
    assert float((coarse[0] - coarse[1]).std()) < 0.2 * float((mixed - made).std()), "nothing below is touched"


def test_detail_of_a_flat_picture_stays_nothing() -> None:
    flat = torch.full((1, 3, 64, 96), 0.5)
    made, _ = restored(flat, flat, [(EVERYWHERE, flat)], LOW)
    assert float((made - flat).abs().max()) < 1e-5
    made, _ = restored(flat, noise(0), carried(0), LOW)
    assert float((finest(made, LOW) ** 2).sum()) <= 1.2 * float((finest(noise(0), LOW) ** 2).sum())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted))
def test_the_steadier_finest_detail_is_the_less_is_restored(steadier: list[float]) -> None:
    result, mixed = noise(0), 0.5 * noise(0) + 0.5 * noise(2)
    found = [steadiness(result, carried(steady), LOW) for steady in steadier]
    (more, most), (less, least) = (restored(mixed, result, carried(steady), LOW) for steady in steadier)
    assert 0 <= least <= most <= 1
    assert most - least <= (found[1] - found[0]) / (STEADY[0] - STEADY[1]) + 1e-6, "no step between the limits"
    assert float((more - less).abs().max()) <= 2 * (most - least) + 1e-6
    if found[0] >= STEADY[0]:
        assert more is mixed
    if found[1] <= STEADY[1]:
        assert least == 1
