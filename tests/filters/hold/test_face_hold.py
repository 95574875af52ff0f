"""The hold of faces: which of them, how its mask changes in time, and what it leaves alone."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.support.faces import astronaut
from tests.support.scenes import gray_frames, texture
from vidsr.filters.detect.noise import dct_basis
from vidsr.filters.hold.face_hold import SETTLE, STEP, FaceHold, FrameFinds, face_mask
from vidsr.filters.hold.faces import Face, FaceBox, FaceFinder
from vidsr.filters.resample import area_down
from vidsr.options.restore_options import RestoreOptions

SIZE = (64, 96)


def blank() -> Tensor:
    return torch.full((1, 3, *SIZE), 0.5)


def face(score: float = 0.9, left: float = 40.0, side: float = 16.0) -> Face:
    return Face(FaceBox(left, 20.0, left + side, 20.0 + side), (), score)


def found(*faces: Face) -> FrameFinds:
    return FrameFinds(blank(), faces)


def drawn(source: Tensor) -> Tensor:
    """A result with detail of its own."""
    large = F.interpolate(source, scale_factor=4.0, mode="nearest")
    noise = torch.randn(large.shape, generator=torch.Generator().manual_seed(5))
    return large + 0.05 * noise


@torch.inference_mode()
def test_what_has_no_face_is_handed_through() -> None:
    step, source = FaceHold(), texture(*SIZE)
    out = drawn(source)
    assert step(source, out, gray_frames(1)) is out


@torch.inference_mode()
def test_a_face_follows_the_source_and_nothing_else_does() -> None:
    source = astronaut(5)[..., :60, :60]
    large = F.interpolate(source, scale_factor=4.0, mode="nearest")
    out = large + 0.1 * (texture(240, 240, coarse=12.0) - 0.5)  # wrong at the source's own resolution
    made = FaceHold()(source, out, gray_frames(1))
    face_box = (..., slice(20, 30), slice(40, 50))
    wrong, left = ((area_down(one, (60, 60)) - source)[face_box].abs().mean() for one in (out, made))
    assert left < 0.15 * wrong
    assert torch.equal(made[..., 176:, :64], out[..., 176:, :64]) and (out - large)[..., 176:, :64].abs().mean() > 0


@torch.inference_mode()
def test_a_source_of_blocks_is_not_followed() -> None:
    source = astronaut(5)[..., :64, :64]
    spectrum = dct_basis(source)
    blocks = source.unfold(2, 8, 8).unfold(3, 8, 8)
    kept = spectrum @ blocks @ spectrum.T
    kept[..., torch.arange(8)[:, None] + torch.arange(8) > 5] = 0
    coarse = (spectrum.T @ kept @ spectrum).transpose(-3, -2).reshape(1, 3, 64, 64)
    assert FaceFinder()(coarse)
    out = drawn(coarse)
    assert FaceHold()(coarse, out, gray_frames(1)) is out


@torch.inference_mode()
def test_a_result_that_is_no_larger_is_handed_through() -> None:
    source = astronaut(5)
    assert FaceHold()(source, source, gray_frames(1)) is source


@torch.inference_mode()
def test_frames_do_not_depend_on_where_a_segment_begins() -> None:
    portrait = astronaut(6)
    frames = [portrait[..., 4 : 4 + 40, 8 + 2 * t : 8 + 2 * t + 40] for t in range(8)]
    # A cut, and a frame in which nothing is seen.
    frames[3], frames[6] = texture(40, 40, seed=2), torch.zeros(1, 3, 40, 40)
    source = torch.cat(frames)
    out = drawn(source)
    whole = FaceHold()(source, out, gray_frames(8))
    assert [torch.equal(a, b) for a, b in zip(whole, out, strict=True)].count(False) >= 4
    for first in (5, 7):
        step = FaceHold()
        start = first - SETTLE
        pieces = [step(source[i : i + 1], out[i : i + 1], gray_frames(1, i)) for i in range(start, 8)]
        assert torch.equal(torch.cat(pieces)[SETTLE:], whole[first:])


def test_a_mask_does_not_flicker_where_a_face_is_missed() -> None:
    seen = [found(face(left=40 + t)) if t % 3 else found() for t in range(14)]
    masks = [face_mask(seen[max(0, t - SETTLE) : t + 1]) for t in range(14)]
    settled = [mask for mask in masks[SETTLE:] if mask is not None]
    assert len(settled) == 10
    assert all(mask.max() > 0.6 for mask in settled)
    assert all((a - b).abs().max() < 0.5 for a, b in pairwise(settled))


def test_a_mask_fades_in_and_out() -> None:
    seen = [found()] * 6 + [found(face())] * 6 + [found()] * 6
    masks = [face_mask(seen[max(0, t - SETTLE) : t + 1]) for t in range(18)]
    tops = [0.0 if mask is None else float(mask.max()) for mask in masks]
    assert tops[5] == 0 and 0 < tops[6] < tops[7] < tops[8] == tops[11] and tops[17] == 0
    assert all(abs(a - b) <= 0.41 * max(tops) for a, b in pairwise(tops))


def test_a_doubtful_face_counts_only_where_a_sure_one_is_seen() -> None:
    assert face_mask([found(face(0.45))]) is None
    assert face_mask([found(face(0.45)), found(face(0.45, left=42))]) is None
    alone = face_mask([found(), found(face(0.9))])
    joined = face_mask([found(face(0.45, left=42)), found(face(0.9))])
    assert alone is not None and joined is not None and joined.sum() > alone.sum()
    assert face_mask([found(face(0.45, left=0)), found(face(0.45, left=70))]) is None


@torch.inference_mode()
def test_a_copy_made_before_a_call_is_as_it_was() -> None:
    """A call that ran out of memory is repeated on such a copy."""
    step, source = FaceHold(), astronaut(5)[..., :64, :64]
    before = copy.copy(step)
    first = step(source, drawn(source), gray_frames(1))
    step(torch.zeros_like(source), drawn(source), gray_frames(1, 1))
    assert torch.equal(before(source, drawn(source), gray_frames(1)), first)


def test_the_options_that_ask_for_it() -> None:
    assert STEP.make(RestoreOptions()) is None
    assert isinstance(STEP.make(RestoreOptions(faces="hold")), FaceHold)
