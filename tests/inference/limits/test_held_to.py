"""Results held to those of another network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from tests.support.frames import largest_gap, noise_frame
from tests.support.networks import TinyModel, identity, tiny_rrdbnet
from vidsr.frames import Frame
from vidsr.inference.backends.backend import TorchBackend
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions

OPTIONS = ModelOptions(device="cpu", precision="fp32")


def upscale(model: TinyModel, frames: list[Frame], options: ModelOptions = OPTIONS, **more: object) -> list[Frame]:
    upscaler = Upscaler(options, model=model, **more)  # type: ignore[arg-type]
    size = (frames[0].width * model.scale, frames[0].height * model.scale)
    return list(upscaler.stream(size, frames[0].format)(iter(frames)))


class NotANumberAtFirst(TorchBackend):
    """A backend whose first result holds a NaN."""

    calls = 0

    def __call__(self, rgb: Tensor) -> Tensor:
        out = super().__call__(rgb)
        if self.calls == 0:
            out[-1, 1, 3, 3] = float("nan")
        self.calls += 1
        return out


class HeldHalfway:
    """A limit that takes the mean of both results."""

    model = "faithful"

    def __init__(self, *, is_total: bool = False) -> None:
        self.is_total = is_total

    def __call__(self, source: Tensor, out: Tensor, supported: Tensor) -> Tensor:
        return (out + supported) / 2


def test_a_limit_acts_on_streams_and_pictures_alike() -> None:
    frames = [noise_frame("gbrp", (24, 20), index=i, seed=i // 2, range="full") for i in range(4)]
    picture = np.stack([frames[3].planes[number] for number in (2, 0, 1)], -1)
    unit = (picture / 255).astype(np.float32)  # neither rounded nor clamped
    own = Upscaler(OPTIONS, model=tiny_rrdbnet()).picture(unit)
    faithful = Upscaler(replace(OPTIONS, model="faithful")).picture(unit)
    made = [upscale(tiny_rrdbnet(), frames, replace(OPTIONS, batch=n), limit=HeldHalfway()) for n in (1, 4)]
    for one, other in zip(*made, strict=True):
        assert largest_gap(one.planes, other.planes) == 0, "the batch changes no bit on a CPU"
    upscaler = Upscaler(OPTIONS, model=tiny_rrdbnet(), limit=HeldHalfway())
    assert np.allclose(upscaler.picture(unit), (own + faithful) / 2, atol=1e-6)
    planes = [upscaler.picture(picture)[..., number] for number in (1, 2, 0)]
    assert largest_gap(made[0][3].planes, planes) <= 1, "but for rounding"


def test_a_total_limit_takes_the_place_of_the_network() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    upscaler = Upscaler(OPTIONS, model=identity(2), limit=HeldHalfway(is_total=True))
    faithful = Upscaler(replace(OPTIONS, model="faithful")).picture(picture, (48, 40))
    assert upscaler.scale == 2 and np.array_equal(upscaler.picture(picture), faithful)


def test_a_repaired_frame_is_limited_too() -> None:
    frames = [noise_frame("yuv420p", (16, 12), index=i, seed=i) for i in range(3)]
    model = tiny_rrdbnet()
    backend = NotANumberAtFirst(model, torch.device("cpu"), "fp32")
    repaired = upscale(model, frames, backend=backend, limit=HeldHalfway())
    assert backend.calls == 4, "one of three was computed twice"
    for one, other in zip(repaired, upscale(model, frames, limit=HeldHalfway()), strict=True):
        assert largest_gap(one.planes, other.planes) == 0
