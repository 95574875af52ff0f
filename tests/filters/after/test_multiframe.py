"""What neighbouring frames show: the same wherever a stream begins, ended by cuts, in bounded memory."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from tests.support.frames import noise_frame
from tests.support.places import STILL
from vidsr.errors import InferenceError
from vidsr.filters.after import fidelity, multiframe, propagation
from vidsr.filters.after.finest_detail import finest
from vidsr.filters.after.multiframe import (
    AROUND,
    AUTO_MOST,
    AUTO_SHARE,
    NEW_DETAIL,
    NOISY_SHARE,
    Multiframe,
    Neighbours,
)
from vidsr.filters.after.propagation import BLUR_PX, REACH, WINDOW
from vidsr.filters.after.soundness import Judgement
from vidsr.filters.after.stabilise import Stabilise
from vidsr.filters.flow import gaussian
from vidsr.filters.resample import area_down
from vidsr.frames import Frame, FrameRange
from vidsr.inference.batches import NeighbourRuns
from vidsr.inference.recurrent import DrawnFrame
from vidsr.jobs.state.segments import Lookaround, Segment
from vidsr.models.architectures.basicvsr import BasicVSR, BasicVSRConfig

AROUND_SEGMENTS = Lookaround(window=WINDOW, reach=REACH, around=AROUND)
HEIGHT, WIDTH = 24, 32


class Counting(BasicVSR):
    """A small recurrent network with random weights that counts its steps."""

    steps = 0

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(BasicVSRConfig(num_feat=4, num_block=1))
        self.eval().requires_grad_(False)

    def enlarge(self, picture: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        self.steps += 1
        return super().enlarge(picture, backward, forward)


def smooth(seed: int, shift: int = 0) -> np.ndarray:
    """A picture without noise that moves by ``shift`` pixels, uint8 ``[3, HEIGHT, WIDTH]``."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + np.array([0, shift]).reshape(2, 1, 1)
    waves = [np.sin((x * a + y * b) / 5 + seed * 1.7 + a) for a, b in ((1, 0.5), (0.3, 1), (0.8, -0.6))]
    return np.stack([(w * 30 + (190 if seed % 2 else 60)) for w in waves]).astype(np.uint8)


def film(frames: int, cuts: Sequence[int] = (), still: Sequence[int] = ()) -> list[Frame]:
    """Frames of scenes that begin at ``cuts``; those of ``still`` repeat the one before."""
    like, made, shift = noise_frame("gbrp", (WIDTH, HEIGHT)), [], 0
    for number in range(frames):
        shift += number not in still
        scene = sum(number >= cut for cut in cuts)
        made.append(replace(like, planes=tuple(smooth(5 * scene, shift)), index=number, pts=number))
    return made


def rgb(frame: Frame) -> Tensor:
    return torch.from_numpy(np.stack(frame.planes)).float()[None] / 255


def drawn(frame: Frame) -> Tensor:
    """What the single-frame network makes of a frame here."""
    return rgb(frame).repeat_interleave(4, -1).repeat_interleave(4, -2) + 0.01 * (frame.index % 3)


def stream(
    frames: list[Frame],
    start: int,
    stop: int,
    network: BasicVSR | None = None,
    share: float | None = 0.5,
    runs: NeighbourRuns | None = None,
    follow: float | None = 0.0,
) -> dict[int, Tensor]:
    """Results of frames ``start`` to ``stop``, fed as a segment is, with a nearest-neighbour single-frame network."""
    segment = Segment(number=0, start=start, stop=stop)
    low, high = AROUND_SEGMENTS.fed(segment, len(frames))
    part = Neighbours(
        Multiframe(share, follow),
        FrameRange(first=low, start=start, stop=stop),
        network or Counting(),
        torch.float32,
        rgb=rgb,
        sized=lambda out, frame: out,
        spent=lambda seconds: None,
        chose=(runs or NeighbourRuns()).note,
    )
    results: list[DrawnFrame] = []
    for frame in part.ahead(iter(frames[low:high])):
        source = rgb(frame)
        results += part.mix([DrawnFrame(frame, source, drawn(frame), None)])
    waiting = part.waiting()
    if waiting is not None:
        results.append(part.last(waiting))
    assert [r.frame.index for r in results] == list(range(start, stop))
    return {r.frame.index: r.out for r in results}


@pytest.fixture(autouse=True)
def _no_grad() -> Iterator[None]:
    with torch.inference_mode():
        yield


@settings(max_examples=6, deadline=None)
@given(
    frames=st.integers(2, 90),
    cuts=st.lists(st.integers(1, 89), max_size=2),
    still=st.lists(st.integers(1, 89), max_size=12),
    data=st.data(),
)
def test_a_result_is_the_same_whatever_the_segments(
    frames: int, cuts: list[int], still: list[int], data: st.DataObject
) -> None:
    source = film(frames, cuts, still)
    whole = stream(source, 0, frames)
    start = data.draw(st.integers(0, frames - 1))
    stop = data.draw(st.integers(start + 1, frames))
    for number, result in stream(source, start, stop).items():
        assert torch.equal(result, whole[number])


def test_nothing_crosses_a_cut() -> None:
    source, cut = film(12, cuts=[6]), 6
    other = [*source[:cut], *film(12, cuts=[0, 0, 6])[cut:]]
    before, after = stream(source, 0, 12), stream(other, 0, 12)
    assert all(torch.equal(before[n], after[n]) for n in range(cut))
    assert not any(torch.equal(before[n], after[n]) for n in range(cut, 12))


def test_a_scene_reaches_over_all_its_frames_of_a_window() -> None:
    source = film(12)
    other = [*source[:11], replace(source[11], planes=tuple(p // 8 * 8 for p in source[11].planes))]
    before, after = stream(source, 0, 12), stream(other, 0, 12)
    assert not any(torch.equal(before[n], after[n]) for n in range(12))


def test_frames_that_are_only_averaged_cost_no_window() -> None:
    network = Counting()
    stream(film(3 * WINDOW), WINDOW, 2 * WINDOW, network)
    assert network.steps == WINDOW


class CountingAll(Counting):
    """Counts the steps of both trunks as well."""

    def __init__(self) -> None:
        super().__init__()
        for trunk in (self.backward_trunk, self.forward_trunk):
            trunk.register_forward_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.steps += 1


@settings(max_examples=6, deadline=None)
@given(frames=st.integers(2, 100), data=st.data())
def test_the_steps_of_a_stream_are_known_beforehand(frames: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, frames - 1))
    stop = data.draw(st.integers(start + 1, frames))
    network = CountingAll()
    stream(film(frames), start, stop, network)
    assert network.steps == multiframe.steps_for(range(start, stop), frames)


def test_repeated_frames_are_computed_once() -> None:
    network = Counting()
    results = stream(film(20, still=range(5, 15)), 0, 20, network)
    assert network.steps == 10 and len(results) == 20


def pan(frames: int, noisy: range = range(0), cut: int | None = None, still: Sequence[int] = ()) -> list[Frame]:
    """Part of a sound picture that moves; noise lies over the frames ``noisy``; at ``cut`` it is another part."""
    like, made, shift = noise_frame("gbrp", (64, 64)), [], 0
    picture = np.asarray(Image.open(STILL).convert("RGB"), np.float32)
    small = (picture[0::2, 0::2] + picture[1::2, 0::2] + picture[0::2, 1::2] + picture[1::2, 1::2]) / 4
    noise = np.random.default_rng(0).normal(0, 6, (frames, 64, 64, 3))
    for number in range(frames):
        shift += number not in still
        top = 0 if cut is None or number < cut else 26
        part = small[top : top + 64, shift % 90 : shift % 90 + 64] + (noise[number] if number in noisy else 0)
        codes = part.round().clip(0, 255).astype(np.uint8)
        planes = tuple(np.ascontiguousarray(codes[..., channel]) for channel in (1, 2, 0))
        made.append(replace(like, planes=planes, index=number, pts=number))
    return made


def blocky(frames: list[Frame], which: range) -> list[Frame]:
    """The same, but the frames of ``which`` were compressed as JPEG."""

    def compressed(frame: Frame) -> Frame:
        file = io.BytesIO()
        Image.fromarray(np.stack([frame.planes[n] for n in (2, 0, 1)], -1)).save(file, "JPEG", quality=40)
        codes = np.asarray(Image.open(file))
        return replace(frame, planes=tuple(np.ascontiguousarray(codes[..., channel]) for channel in (1, 2, 0)))

    return [compressed(frame) if frame.index in which else frame for frame in frames]


def test_auto_on_a_blocky_source_is_what_was_drawn_bit_for_bit() -> None:
    source, network, runs = blocky(pan(20), range(20)), Counting(), NeighbourRuns()
    results = stream(source, 0, 20, network, None, runs)
    assert network.steps == 0
    assert all(torch.equal(results[n], drawn(source[n])) for n in range(20))
    assert runs.runs == [(0, 20, "compression blocks")]


class Shown(Counting):
    """Draws what it sees, enlarged by repetition, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def enlarge(self, picture: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        self.seen.append(picture)
        return picture.repeat_interleave(4, -1).repeat_interleave(4, -2)


def test_auto_cleans_a_noisy_source_first() -> None:
    source, sound, network, runs = pan(20, noisy=range(20)), pan(20), Shown(), NeighbourRuns()
    results = stream(source, 0, 20, network, None, runs)
    assert runs.runs == [(0, 20, "partly: noise, which is removed first")]
    noise = [float((rgb(one) - rgb(other)).std()) for one, other in zip(source, sound, strict=True)]
    kept = [
        float((seen - gaussian(rgb(other), BLUR_PX)).std()) for seen, other in zip(network.seen, sound, strict=True)
    ]
    assert max(kept) < 0.7 * min(noise)
    for number, result in results.items():
        given, recurrent = drawn(source[number]), network.seen[number].repeat_interleave(4, -1).repeat_interleave(4, -2)
        change, missing = area_down(result - given, (64, 64)), area_down(recurrent - given, (64, 64))
        assert torch.allclose(change, NOISY_SHARE * missing, atol=0.02)


def test_the_share_rises_where_neighbours_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    source, shares = pan(12), []
    monkeypatch.setattr(multiframe, "NEIGHBOUR_WEIGHT", 0.0)
    for fit in (0.5, 0.95, 1.0):
        monkeypatch.setattr(Stabilise, "fit", staticmethod(lambda a, b, motion, fit=fit: a[:, :1] * 0 + fit))
        network = Shown()
        result = stream(source, 0, 12, network, None)[5] - drawn(source[5])
        whole = network.seen[5].repeat_interleave(4, -1).repeat_interleave(4, -2) - drawn(source[5])
        shares.append(float((result * whole).sum() / (whole**2).sum()))
    assert shares == pytest.approx([AUTO_SHARE, (AUTO_SHARE + AUTO_MOST) / 2, AUTO_MOST], abs=0.001)


def grainy(frame: Frame, steady: float) -> Tensor:
    """A frame as drawn with grain finer than the source shows, ``steady`` of which follows its motion."""
    new = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(frame.index)) - 0.5
    moved = (torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(99)) - 0.5).roll(-4 * frame.index, -1)
    return rgb(frame).repeat_interleave(4, -1).repeat_interleave(4, -2) + 0.3 * (steady * moved + (1 - steady) * new)


@pytest.mark.parametrize("steady", [0.0, 1.0])
def test_finest_detail_that_is_new_in_each_frame_is_restored(steady: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the share is left open; a number mixes all frequencies."""
    source, low, runs = pan(12), (64, 64), NeighbourRuns()
    monkeypatch.setattr(f"{__name__}.drawn", lambda frame: grainy(frame, steady))
    plain = finest(rgb(source[5]).repeat_interleave(4, -1).repeat_interleave(4, -2), low)
    grain = finest(drawn(source[5]), low) - plain
    auto, half = stream(source, 0, 12, Shown(), None, runs)[5], stream(source, 0, 12, Shown(), 0.5)[5]
    kept = [float(((finest(one, low) - plain) * grain).sum() / (grain**2).sum()) for one in (auto, half)]
    assert kept[0] > 0.8 if steady == 0 else kept[0] < 0.6
    assert kept[1] < 0.6
    assert runs.runs == [(0, 12, "" if steady else f"partly: {NEW_DETAIL}")]


def test_what_is_hardly_trusted_hardly_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    source = pan(12)
    changes = []
    for trust in (1.0, 0.01):
        monkeypatch.setattr(multiframe, "judge", lambda looks, trust=trust: Judgement(trust, "x"))
        changes.append(float((stream(source, 0, 12, None, None)[5] - drawn(source[5])).abs().mean()))
    assert changes[1] < 0.03 * changes[0]


def test_a_source_found_sound_is_followed_however_soft_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its fine detail alone a soft frame looks compressed."""
    source = pan(12)
    monkeypatch.setattr(multiframe, "intact", lambda picture: picture.new_zeros(1))
    monkeypatch.setattr(fidelity, "intact", lambda picture: picture.new_zeros(1))

    def apart(trust: float, wanted: float | None) -> float:
        monkeypatch.setattr(multiframe, "judge", lambda looks: Judgement(trust, ""))
        result = stream(source, 0, 12, None, None, follow=wanted)[5]
        return float((area_down(result, (64, 64)) - rgb(source[5])).abs().mean())

    left = apart(1.0, 0.0)
    assert apart(1.0, None) < 0.2 * left
    assert 0.2 * apart(0.5, 0.0) < apart(0.5, None) < 0.8 * apart(0.5, 0.0)


def test_auto_follows_the_scene() -> None:
    source, runs = blocky(pan(48, cut=24), range(24, 48)), NeighbourRuns()
    results = stream(source, 0, 48, None, None, runs)
    assert all(torch.equal(results[n], drawn(source[n])) for n in range(24, 48))
    assert not any(torch.equal(results[n], drawn(source[n])) for n in range(24))
    assert runs.runs[0][2] == "" and runs.runs[-1] == (24, 48, "compression blocks")
    assert all(against == "" or against.startswith("partly") for _, stop, against in runs.runs if stop <= 24)


@pytest.mark.long
@settings(max_examples=3, deadline=None)
@given(data=st.data(), still=st.lists(st.integers(1, 43), max_size=6))
def test_what_auto_chooses_is_the_same_whatever_the_segments(data: st.DataObject, still: list[int]) -> None:
    first = data.draw(st.integers(0, 43))
    source = pan(44, noisy=range(first, first + 20), cut=data.draw(st.none() | st.integers(1, 43)), still=still)
    steady = data.draw(st.floats(0, 1))
    start = data.draw(st.integers(0, 43))
    stop = data.draw(st.integers(start + 1, 44))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(f"{__name__}.drawn", lambda frame: grainy(frame, steady))
        whole = stream(source, 0, 44, share=None)
        for number, result in stream(source, start, stop, share=None).items():
            assert torch.equal(result, whole[number])


class Watched(Neighbours):
    """Notes how many frames, and how much of what is known of frames, are held at once."""

    most = 0

    def _results(self, window: list[Any], start: int) -> Iterator[Any]:
        self.most = max(self.most, len(window))
        for found in super()._results(window, start):
            self.most = max(self.most, len(self._seen))
            yield found


def test_what_is_kept_does_not_grow_with_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Watched] = []

    def watched(*args: Any, **more: Any) -> Watched:
        made.append(Watched(*args, **more))
        return made[-1]

    monkeypatch.setattr(f"{__name__}.Neighbours", watched)
    for frames in (3 * WINDOW, 6 * WINDOW):
        stream(film(frames), 0, frames)
    assert made[0].most == made[1].most <= WINDOW + 2 * REACH


def test_the_recurrent_network_alone_at_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    source, network = film(9), Counting()
    monkeypatch.setattr(multiframe, "WINDOW", 9)
    monkeypatch.setattr(propagation, "WINDOW", 9)
    part = Neighbours(
        Multiframe(1.0, 0.0),
        FrameRange(first=0, start=0, stop=9),
        network,
        torch.float32,
        rgb=rgb,
        sized=lambda out, frame: out,
        spent=lambda seconds: None,
    )
    mixed = []
    for frame in part.ahead(iter(source)):
        mixed += part.mix([DrawnFrame(frame, rgb(frame), torch.zeros(1, 3, 4 * HEIGHT, 4 * WIDTH), None)])
    mixed.append(part.last(part.waiting()))
    pairs = [part._motion(a, b) for a, b in zip(entries(source), entries(source)[1:], strict=False)]
    pictures = torch.stack([gaussian(rgb(f), BLUR_PX) for f in source], 1)
    plain = network(pictures, [p[0] for p in pairs], [p[1] for p in pairs])
    assert torch.allclose(torch.stack([m.out for m in mixed], 1), plain, atol=1e-3)


def entries(frames: list[Frame]) -> list[multiframe._Fed]:
    return [multiframe._Fed(frame, rgb(frame), False) for frame in frames]


def test_frames_of_another_size_are_refused() -> None:
    odd = replace(film(1)[0], planes=tuple(np.zeros((8, 8), np.uint8) for _ in range(3)), index=3)
    with pytest.raises(InferenceError, match=r"frame 3 .*8x8.*--multiframe"):
        stream([*film(3), odd], 0, 4)
