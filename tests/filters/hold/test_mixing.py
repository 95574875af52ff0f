"""The faithful network's result in places of another one's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.support.faces import astronaut
from tests.support.scenes import texture
from vidsr.errors import CheckpointError
from vidsr.filters.hold import mixing
from vidsr.filters.hold.mixing import Faithful, mixed, windows
from vidsr.models import saving
from vidsr.models.architectures.efdn import EFDN, EFDNConfig


@pytest.fixture(scope="module")
def faithful() -> Faithful:
    return Faithful(torch.device("cpu"))


def spot(size: tuple[int, int], top: int, left: int, side: int = 8) -> Tensor:
    mask = torch.zeros(1, 1, *size)
    mask[..., top : top + side, left : left + side] = 1.0
    return mask


@pytest.mark.parametrize("size", [(256, 384), (128, 192), (96, 150), (320, 480)], ids=["x4", "x2", "x1.5", "x5"])
@torch.inference_mode()
def test_only_the_place_changes(faithful: Faithful, size: tuple[int, int]) -> None:
    source, out, mask = astronaut()[..., :64, :96], texture(*size, seed=3), spot((64, 96), 20, 50, 12)
    made = mixed(source, out, mask, faithful)
    near = torch.nn.functional.interpolate(mask, size=size, mode="bilinear", align_corners=False)[0, 0]
    assert torch.equal(made[..., near == 0], out[..., near == 0])
    whole = faithful(source, size)
    # Attention of the network looks further than the cell around a place: a few code values at most.
    assert (made - whole)[..., near == 1].abs().max() < 6 / 255
    assert (made - out)[..., near == 1].abs().mean() > 0.02


@torch.inference_mode()
def test_a_neutral_result_stays_neutral(faithful: Faithful) -> None:
    source = astronaut()[..., :64, :96].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    out = texture(256, 384).mean(1, keepdim=True).expand(-1, 3, -1, -1)
    made = mixed(source, out, spot((64, 96), 20, 50), faithful, neutral=True)
    assert torch.equal(made[:, 0], made[:, 1]) and torch.equal(made[:, 0], made[:, 2])


@torch.inference_mode()
def test_a_large_picture_is_made_in_blocks_of_bounded_size(faithful: Faithful, monkeypatch: pytest.MonkeyPatch) -> None:
    source, seen = astronaut()[..., :100, :120], list[tuple[int, ...]]()
    whole = faithful(source, (400, 480))
    monkeypatch.setattr(mixing, "_BLOCK_PX", 80)
    monkeypatch.setattr(mixing, "_SHARED_PX", 48)
    hook = faithful._network.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[-2:])))
    blocks = faithful(source, (400, 480))
    hook.remove()
    assert len(seen) == 6 and max(max(size) for size in seen) == 80
    difference = (blocks - whole).abs() * 255
    # The grid of the network's attention lies differently in each block.
    assert difference.mean() < 1
    joint = (blocks - whole).diff(dim=-1).abs().mean((0, 1, 2)) * 255
    assert joint.max() < 1.5, "blocks fade into each other: no joint shows beside steps of 6 code values on average"


@given(st.integers(1, 2000), st.sampled_from([(320, 72), (64, 24), (40, 12)]))
@settings(max_examples=30)
def test_pieces_cover_every_pixel_once(length: int, sizes: tuple[int, int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixing, "_BLOCK_PX", sizes[0])
        patch.setattr(mixing, "_SHARED_PX", sizes[1])
        total = torch.zeros(length)
        for first, end, weight in mixing._pieces(length):
            assert 0 < end - first <= sizes[0]
            total[first:end] += weight
    assert torch.allclose(total, torch.ones(length), atol=1e-6)


@given(
    st.tuples(st.integers(8, 90), st.integers(8, 90)),
    st.lists(st.tuples(st.integers(0, 89), st.integers(0, 89)), max_size=8),
    st.sampled_from([(16, 16), (16, 20), (64, 16), (90, 90)]),
)
def test_windows_hold_the_mask_and_do_not_overlap(
    size: tuple[int, int], spots: list[tuple[int, int]], cell: tuple[int, int]
) -> None:
    mask = torch.zeros(1, 1, *size)
    for row, column in spots:
        mask[..., row % size[0], column % size[1]] = 1.0
    made = windows(mask, cell)
    for one in made:
        assert 0 <= one.top < one.bottom <= size[0] and 0 <= one.left < one.right <= size[1]
        assert one.top % cell[0] == 0 and one.left % cell[1] == 0
        assert one.of(mask).any() or one.grown(1, 1, size).of(mask).any()
        one.of(mask).zero_()
    assert not mask.any()
    assert not any(a.meets(b) for i, a in enumerate(made) for b in made[:i])


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_WEIGHTS", str(tmp_path))
    saving.save(tmp_path / "faithful.safetensors", EFDN(EFDNConfig()).state_dict(), {})
    with pytest.raises(CheckpointError, match="not the weights of faithful"):
        Faithful(torch.device("cpu"))
