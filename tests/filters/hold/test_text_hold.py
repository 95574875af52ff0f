"""The hold of text: what it does to lines of text, what it leaves alone, and what "auto" holds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.support.faces import with_text
from tests.support.scenes import gray_frames, texture
from vidsr.filters.detect.noise import dct_basis
from vidsr.filters.hold.text_hold import AUTO_PARAMETERS, STEP, TextHold, settled
from vidsr.filters.resample import area_down
from vidsr.options.restore_options import RestoreOptions

SIZE = (44, 136)
LINE = (..., slice(12, 24), slice(16, 84))


@pytest.fixture(scope="module")
def source() -> Tensor:
    return with_text(texture(*SIZE, coarse=8.0), [(6, 12, "Central Station")], 11)


def drawn(source: Tensor) -> Tensor:
    """A result that is wrong at the source's own resolution."""
    large = F.interpolate(source, scale_factor=4.0, mode="nearest")
    return large + 0.2 * (texture(4 * source.shape[-2], 4 * source.shape[-1], coarse=12.0) - 0.5)


def blocks_of(picture: Tensor) -> Tensor:
    """What coarse quantisation leaves of 8×8 blocks."""
    basis = dct_basis(picture)
    height, width = picture.shape[-2] // 8 * 8, picture.shape[-1] // 8 * 8
    spectrum = basis @ picture[..., :height, :width].unfold(2, 8, 8).unfold(3, 8, 8) @ basis.T
    spectrum[..., torch.arange(8)[:, None] + torch.arange(8) > 6] = 0
    return (basis.T @ spectrum @ basis).transpose(-3, -2).reshape(1, 3, height, width)


@torch.inference_mode()
def test_text_follows_the_source_and_the_rest_is_left_alone(source: Tensor) -> None:
    out = drawn(source)
    made = TextHold()(source, out, gray_frames(1))
    before, after = ((area_down(one, SIZE) - source)[LINE].abs().mean() for one in (out, made))
    assert after < 0.15 * before
    assert torch.equal(made[..., 4 * 36 :, :], out[..., 4 * 36 :, :])


@torch.inference_mode()
def test_frames_do_not_depend_on_each_other_nor_on_the_batch(source: Tensor) -> None:
    """So that segments need no frames ahead of their first."""
    pictures = torch.cat((source, texture(*SIZE, seed=3), source.flip(-1), source))
    out = drawn(pictures)
    together = TextHold()(pictures, out, gray_frames(4))
    assert torch.equal(together[1], out[1]) and not torch.equal(together[0], out[0])
    step = TextHold()
    for n in (2, 0, 3, 1):
        alone = step(pictures[n : n + 1], out[n : n + 1], gray_frames(1, n))
        assert torch.equal(alone[0], together[n])


@torch.inference_mode()
def test_what_has_no_text_is_handed_through() -> None:
    plain = texture(*SIZE)
    out = drawn(plain)
    assert TextHold()(plain, out, gray_frames(1)) is out


@torch.inference_mode()
def test_a_source_of_blocks_is_not_followed(source: Tensor) -> None:
    broken = blocks_of(source)
    out = drawn(broken)
    assert TextHold()(broken, out, gray_frames(1)) is out


@torch.inference_mode()
def test_a_result_that_is_no_larger_is_handed_through(source: Tensor) -> None:
    assert TextHold()(source, source, gray_frames(1)) is source


def test_auto_holds_what_large_networks_draw() -> None:
    small, large = nn.Linear(10, 10), nn.Linear(AUTO_PARAMETERS, 1, device="meta")
    for text, network, invent, held in (
        ("auto", large, 1.0, "hold"),
        ("auto", large, 0.5, "hold"),
        ("auto", large, 0.0, "free"),
        ("auto", small, 1.0, "free"),
        ("hold", small, 1.0, "hold"),
        ("hold", large, 0.0, "free"),
        ("free", large, 1.0, "free"),
    ):
        chosen = settled(RestoreOptions(text=text, invent=invent), network)
        assert chosen.text == held, (text, invent)
        assert settled(chosen, network) == chosen, "settling again changes nothing"
        assert isinstance(STEP.make(chosen), TextHold) == (held == "hold")
    assert STEP.make(RestoreOptions(text="auto")) is None, "nothing is held before the network is known"
    assert STEP.make(RestoreOptions()) is None
