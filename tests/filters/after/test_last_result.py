"""The last result, carried along the motion: where it is trusted, across cuts, joints, faults and lack of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.frames import noise_frame
from vidsr.filters.after.last_result import WARMUP, LastResult, known_from
from vidsr.frames import Frame
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.recipe.filter_chain import compose
from vidsr.models.architectures.recurrent_compact import RecurrentCompact, from_still
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.options.enhance_options import EnhanceOptions, ModelOptions

HEIGHT, WIDTH, SCALE = 32, 40, 2


class Model:
    """A small recurrent network that passes on much of what it is given."""

    architecture, scale = "RecurrentCompact", SCALE

    def __init__(self) -> None:
        torch.manual_seed(0)
        still = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=1, scale=SCALE))
        self.network: RecurrentCompact = from_still(still).eval()
        with torch.no_grad():
            for weight in self.network.body.parameters():
                weight.mul_(0.3)
            self.network.carry.weight.copy_(torch.randn_like(self.network.carry.weight) * 0.02)
            assert self.network.gate.bias is not None
            self.network.gate.bias.fill_(0.5)
        self.network.requires_grad_(False)


class Failing(LastResult):
    """The network over a stream; it has computed, and changed its state, when it runs out of memory."""

    def __init__(self, run: Callable[[Tensor], Tensor], fails: Sequence[int]) -> None:
        super().__init__(run)
        self.fails, self.calls = fails, 0

    def __call__(self, rgb: Tensor) -> Tensor:
        out, self.calls = super().__call__(rgb), self.calls + 1
        if self.calls - 1 in self.fails:
            raise torch.OutOfMemoryError("CUDA out of memory (made up)")
        return out


class FailingStep:
    """A step that changes nothing and runs out of memory at some calls."""

    def __init__(self, fails: Sequence[int]) -> None:
        self.fails, self.calls = fails, [0]

    def reset(self) -> None:
        pass

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        self.calls[0] += 1
        if self.calls[0] - 1 in self.fails:
            raise torch.OutOfMemoryError("CUDA out of memory (made up)")
        return out


def picture(shift: float, seed: int = 0) -> Tensor:
    """``[1, 3, HEIGHT, WIDTH]``, smooth, moved to the right by ``shift`` pixels."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) * 1.0, torch.arange(WIDTH) * 1.0, indexing="ij")
    x = x - shift
    waves = [torch.sin((x * a + y * b) / 4 + 2.1 * seed + a) for a, b in ((1, 0.4), (0.3, 1), (0.8, -0.6))]
    return (torch.stack(waves) * 0.2 + (0.3 if seed % 2 else 0.7))[None]


def film(count: int, cut: int = 1000) -> Iterator[Frame]:
    like = noise_frame("gbrp", (WIDTH, HEIGHT))
    for n in range(count):
        codes = (picture(0.5 * n, int(n >= cut))[0] * 255).round().byte().numpy()
        # The planes of gbrp are green, blue, red; here any order does.
        yield replace(like, planes=tuple(np.ascontiguousarray(p) for p in codes), index=n, pts=n)


@pytest.fixture(autouse=True)
def _no_grad(request: pytest.FixtureRequest) -> Iterator[None]:
    with torch.inference_mode("gradient" not in request.node.name):
        yield


def test_the_last_result_lies_where_the_picture_has_moved_to() -> None:
    large = torch.nn.functional.interpolate(picture(0), scale_factor=SCALE, mode="bicubic")
    known = known_from(picture(1.5), picture(0), large)
    difference, trust = known[:, 3:-1], known[:, -1:]
    still = known_from(picture(0), picture(0), large)[:, 3:-1]
    inner = (..., slice(6, -6), slice(6, -6))
    assert trust[inner].min() > 0.8
    # Moved with the picture, the difference to the picture stays what it is without motion.
    wanted = torch.roll(still, 2, -1) * 0.5 + torch.roll(still, 1, -1) * 0.5
    assert (difference[inner] - wanted[inner]).abs().mean() < 0.15 * wanted[inner].abs().mean() + 2e-3


def test_nothing_is_carried_over_a_cut() -> None:
    known = known_from(picture(0, 1), picture(0), torch.rand(1, 3, HEIGHT * SCALE, WIDTH * SCALE))
    assert not known[:, 3:].any()


def test_the_gradient_reaches_the_last_result() -> None:
    last = torch.rand(1, 3, HEIGHT * SCALE, WIDTH * SCALE, requires_grad=True)
    known_from(picture(0.5), picture(0), last * 1)[:, 3:].sum().backward()
    assert last.grad is not None and last.grad.abs().sum() > 0


def test_frames_in_one_call_or_one_by_one() -> None:
    model = Model()
    pictures = torch.cat([picture(0.5 * n) for n in range(4)])
    together = LastResult(model.network)(pictures)
    single = LastResult(model.network)
    assert torch.equal(together, torch.cat([single(p) for p in torch.split(pictures, 1)]))
    first, last = (model.network(pictures[n : n + 1]) for n in (0, 3))
    assert torch.equal(together[:1], first) and not torch.allclose(together[3:], last, atol=1e-3)


def test_a_result_that_overflowed_is_not_carried() -> None:
    model = Model()
    calls = []

    def run(x: Tensor) -> Tensor:
        calls.append(x)
        out = model.network(x)
        return out * float("inf") if len(calls) == 2 else out

    LastResult(run)(torch.cat([picture(0.5 * n) for n in range(4)]))
    assert calls[1][:, 3:].any() and not calls[2][:, 3:].any() and calls[3][:, 3:].any()


def stream(
    count: int, batch: int = 1, fails: Sequence[int] = (), step_fails: Sequence[int] = (), cut: int = 1000
) -> list[np.ndarray]:
    """Results of a film; the network, having computed, or a step after it runs out of memory at some calls."""
    options = ModelOptions(device="cpu", precision="fp32", backend="torch", batch=batch)
    step = FailingStep(step_fails)
    upscaler = Upscaler(options, model=Model(), carrying=lambda run: Failing(run, fails), post=[step])
    frames = list(film(count, cut))
    made = upscaler.stream((WIDTH * SCALE, HEIGHT * SCALE), frames[0].format)(iter(frames))
    return [np.stack(frame.planes) for frame in made]


def test_a_stream_carries_and_starts_over_at_a_cut() -> None:
    whole = stream(8, cut=5)
    after = stream(3 + 5, cut=0)  # the second scene from its start
    assert not np.array_equal(whole[3], stream(4)[0])
    upscaler = Upscaler(ModelOptions(device="cpu", precision="fp32", backend="torch"), model=Model())
    frames = list(film(8, cut=5))
    alone = list(upscaler.stream((WIDTH * SCALE, HEIGHT * SCALE), frames[0].format)(iter(frames)))
    assert np.array_equal(whole[5], np.stack(alone[5].planes)), "the first frame of a scene is a still"
    assert not np.array_equal(whole[6], np.stack(alone[6].planes))
    assert len(after) == 8


@pytest.mark.parametrize("fails", [[0], [1], [2, 3]])
@pytest.mark.parametrize("where", ["fails", "step_fails"])
def test_a_repeated_batch_begins_with_the_state_before_it(where: str, fails: list[int]) -> None:
    wanted = stream(9, batch=1)
    again = stream(9, batch=3, fails=fails if where == "fails" else (), step_fails=fails if where != "fails" else ())
    assert all(np.array_equal(a, b) for a, b in zip(again, wanted, strict=True))


def test_a_segment_begins_early_for_such_a_network_alone() -> None:
    assert compose(EnhanceOptions(), remembers=True).lookaround.settle == WARMUP
    assert compose(EnhanceOptions()).lookaround.settle == 0


def test_changed_regions_are_refused() -> None:
    with pytest.raises(Exception, match="--reuse-regions"):
        Upscaler(ModelOptions(device="cpu", reuse_regions=True), model=Model())
