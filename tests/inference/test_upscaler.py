"""The upscaler: frames in, as many frames out, in order, whatever happens on the device."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.support.frames import largest_gap, noise_frame, pixel_format
from tests.support.networks import TinyModel, identity, tiny_rrdbnet
from vidsr.errors import InferenceError, OptionsError
from vidsr.filters.after.multiframe import Multiframe
from vidsr.filters.after.post import post_steps
from vidsr.frames import Colour, Frame, FrameRange
from vidsr.inference.backends.backend import Backend, TorchBackend
from vidsr.inference.forms import winograd_library
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions

OPTIONS = ModelOptions(device="cpu", precision="fp32")


class Faulty:
    """A backend that fails on request: out of memory above a number of pixels or at given calls, or NaN in a frame."""

    name = "faulty"

    def __init__(self, inner: Backend, *, most_pixels: int = 1 << 60, nan_calls: Sequence[int] = ()) -> None:
        self.inner = inner
        self.most_pixels = most_pixels
        self.nan_calls = nan_calls
        self.calls = 0
        self.exact_calls = 0
        self.notes: list[str] = []

    def __call__(self, rgb: Tensor) -> Tensor:
        if rgb.shape[0] * rgb.shape[2] * rgb.shape[3] > self.most_pixels:
            raise torch.OutOfMemoryError("CUDA out of memory (made up)")
        out = self.inner(rgb)
        if self.calls in self.nan_calls:
            out[-1, 1, 3, 3] = float("nan")
        self.calls += 1
        return out

    def exact(self, rgb: Tensor) -> Tensor:
        self.exact_calls += 1
        return self.inner.exact(rgb)

    def release(self) -> None:
        self.inner.release()

    def bytes_per_pixel(self, height: int, width: int) -> float:
        return 1.0


def upscale(model: TinyModel, frames: list[Frame], options: ModelOptions = OPTIONS, **more: object) -> list[Frame]:
    upscaler = Upscaler(options, model=model, **more)  # type: ignore[arg-type]
    size = (frames[0].width * model.scale, frames[0].height * model.scale)
    return list(upscaler.stream(size, frames[0].format)(iter(frames)))


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuva444p", "gray", "gbrp", "yuva420p"])
def test_identity_model_gives_the_planes_back(name: str) -> None:
    frames = [noise_frame(name, (18, 14), index=i, seed=i) for i in range(3)]
    results = upscale(identity(), frames)
    for frame, result in zip(frames, results, strict=True):
        assert (result.pts, result.index, result.time_base) == (frame.pts, frame.index, frame.time_base)
        assert largest_gap(frame.planes, result.planes) == 0


def test_planes_that_view_strided_memory() -> None:
    frame = noise_frame("yuv420p", (18, 14))
    padded = []
    for plane in frame.planes:
        memory = np.zeros((plane.shape[0], plane.shape[1] + 14), plane.dtype)
        memory[:, : plane.shape[1]] = plane
        padded.append(memory[:, : plane.shape[1]])
        memory.flags.writeable = False
    result = upscale(identity(), [replace(frame, planes=tuple(padded))])[0]
    assert largest_gap(frame.planes, result.planes) == 0


@pytest.mark.parametrize("backend", ["torch", "winograd"])
@pytest.mark.parametrize("name", ["yuv420p", "gray"])
@pytest.mark.parametrize("post", [False, True])
def test_the_batch_changes_no_bit_on_a_cpu(post: bool, name: str, backend: str) -> None:
    if backend == "winograd" and winograd_library.library() is None:
        pytest.skip("no C compiler here")
    frames = [noise_frame(name, (48, 40), index=i, seed=i - i // 3) for i in range(4)]
    settings = RestoreOptions(fidelity=0.7, stabilize=0.5, strength=0.9, grain=0.5)
    fine = pixel_format("gbrp16le")  # 16 bits show what rounding to 8 mostly hides
    made = []
    for batch in (1, 2, 4):
        options = replace(OPTIONS, batch=batch, backend=backend)
        upscaler = Upscaler(options, model=tiny_rrdbnet(), post=post_steps(settings) if post else ())
        made.append(list(upscaler.stream((150, 130), fine)(iter(frames))))
    for other in made[1:]:
        assert max(largest_gap(a.planes, b.planes) for a, b in zip(made[0], other, strict=True)) == 0


@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("pattern", ["aabbcc", "aaaaaaaaaaaaaa", "abab", "abbbbbbbbbbbcc"])
def test_repeated_frames_are_computed_once_and_equal(batch: int, pattern: str) -> None:
    frames = [noise_frame("yuv420p", (16, 12), index=i, seed=ord(c)) for i, c in enumerate(pattern)]
    model = identity(2)
    backend = Faulty(TorchBackend(model, torch.device("cpu"), "fp32"))
    upscaler = Upscaler(replace(OPTIONS, batch=batch), model=model, backend=backend)
    results = list(upscaler.stream((32, 24), frames[0].format)(iter(frames)))
    repeats = sum(a == b for a, b in itertools.pairwise(pattern))
    assert upscaler.stats.reused == repeats
    assert upscaler.stats.frames == len(results) == len(pattern)
    assert [r.pts for r in results] == [f.pts for f in frames]
    for frame, result in zip(frames, results, strict=True):
        alone = upscale(model, [frame])[0]
        assert largest_gap(alone.planes, result.planes) == 0


class CountingStep:
    """A post step with memory: adds a number that grows with each frame."""

    def __init__(self) -> None:
        self.seen = 0

    def reset(self) -> None:
        self.seen = 0

    def __call__(self, source_rgb: Tensor, out_rgb: Tensor, frames: Sequence[Frame]) -> Tensor:
        assert source_rgb.shape[0] == out_rgb.shape[0] == len(frames)
        steps = torch.arange(self.seen, self.seen + len(frames)).reshape(-1, 1, 1, 1)
        self.seen += len(frames)
        return out_rgb + steps / 255


@pytest.mark.parametrize("batch", [1, 3])
def test_post_steps_see_every_frame_once_in_order(batch: int) -> None:
    pattern = "aabbbbbbbcd"
    frames = [noise_frame("gray", (8, 8), index=i, seed=ord(c), range="full") for i, c in enumerate(pattern)]
    for frame in frames:
        np.clip(frame.planes[0], 0, 200, out=frame.planes[0])
    results = upscale(identity(), frames, replace(OPTIONS, batch=batch), post=[CountingStep()])
    for i, (frame, result) in enumerate(zip(frames, results, strict=True)):
        assert np.array_equal(result.planes[0], frame.planes[0] + i)


@pytest.mark.parametrize("most", [1 << 30, 3 * 96 * 80, 96 * 80, 96 * 80 - 1, 64 * 64])
def test_out_of_memory_changes_nothing(most: int) -> None:
    frames = [noise_frame("yuv444p", (96, 80), index=i, seed=i) for i in range(6)]
    model = identity(2)
    expected = upscale(model, frames)
    backend = Faulty(TorchBackend(model, torch.device("cpu"), "fp32"), most_pixels=most)
    upscaler = Upscaler(replace(OPTIONS, batch=4), model=model, backend=backend)
    results = list(upscaler.stream((192, 160), frames[0].format)(iter(frames)))
    assert [r.index for r in results] == list(range(6))
    assert max(largest_gap(a.planes, b.planes) for a, b in zip(expected, results, strict=True)) == 0
    assert bool(upscaler.stats.notes) == (most < 4 * 96 * 80)
    # What worked is remembered: no note repeats.
    assert len(set(upscaler.stats.notes)) == len(upscaler.stats.notes)


def test_out_of_memory_for_good_names_the_frame() -> None:
    frames = [noise_frame("yuv420p", (96, 80), index=7)]
    model = identity(2)
    backend = Faulty(TorchBackend(model, torch.device("cpu"), "fp32"), most_pixels=10)
    with pytest.raises(InferenceError, match=r"frame 7 .*out of memory"):
        upscale(model, frames, backend=backend)


@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize("call", [0, 1, 2])
def test_nan_in_any_frame_is_computed_again(call: int, post: bool) -> None:
    frames = [noise_frame("yuv420p", (16, 12), index=i, seed=i) for i in range(5)]
    model = tiny_rrdbnet()
    steps = [CountingStep()] if post else []
    expected = upscale(model, frames, replace(OPTIONS, batch=2), post=steps)
    backend = Faulty(TorchBackend(model, torch.device("cpu"), "fp32"), nan_calls=[call])
    upscaler = Upscaler(replace(OPTIONS, batch=2), model=model, backend=backend, post=steps)
    results = list(upscaler.stream((64, 48), frames[0].format)(iter(frames)))
    assert (backend.exact_calls, upscaler.stats.fp32_reruns) == (1, 1)
    assert max(largest_gap(a.planes, b.planes) for a, b in zip(expected, results, strict=True)) <= 1


def test_a_network_that_gives_nan_in_fp32_too_is_an_error() -> None:
    model = tiny_rrdbnet()
    next(iter(model.network.parameters())).fill_(float("nan"))
    with pytest.raises(InferenceError, match=r"frame 3 .*not finite"):
        upscale(model, [noise_frame("yuv420p", (16, 12), index=3)])


def test_grey_comes_back_exactly_neutral_in_a_colour_format() -> None:
    frame = noise_frame("gray", (16, 12))
    upscaler = Upscaler(OPTIONS, model=tiny_rrdbnet())
    result = next(upscaler.stream((64, 48), pixel_format("yuv420p"))(iter([frame])))
    assert (result.planes[1] == 128).all() and (result.planes[2] == 128).all()


def test_another_size_depth_and_colour() -> None:
    frame = noise_frame("yuv420p", (32, 24))
    upscaler = Upscaler(OPTIONS, model=identity(4))
    wanted = Colour(matrix="bt2020nc")
    result = next(upscaler.stream((50, 38), pixel_format("yuv422p10le"), wanted)(iter([frame])))
    assert [p.shape for p in result.planes] == [(38, 50), (38, 25), (38, 25)]
    assert (result.colour, result.format.name) == (wanted, "yuv422p10le")
    assert result.planes[0].mean() == pytest.approx(frame.planes[0].mean() * 4, rel=0.1)


def test_a_change_of_size_in_mid_stream_keeps_order() -> None:
    frames = [noise_frame("yuv420p", (32, 24) if i < 3 else (16, 12), index=i, seed=i) for i in range(5)]
    upscaler = Upscaler(replace(OPTIONS, batch=4), model=identity(2))
    results = list(upscaler.stream((64, 48), frames[0].format)(iter(frames)))
    assert [r.index for r in results] == list(range(5))
    assert all(r.planes[0].shape == (48, 64) for r in results)


def test_it_is_lazy() -> None:
    taken = []

    def source() -> Iterator[Frame]:
        for i in range(100):
            taken.append(i)
            yield noise_frame("yuv420p", (8, 8), index=i, seed=i)

    stream = Upscaler(replace(OPTIONS, batch=2), model=identity())
    results = stream.stream((8, 8), pixel_format("yuv420p"))(source())
    next(results)
    assert len(taken) <= 2


def test_picture() -> None:
    upscaler = Upscaler(OPTIONS, model=identity(2))
    rng = np.random.default_rng(0)
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        picture = (rng.random((6, 5, 3)) * white).astype(dtype)
        assert np.allclose(upscaler.picture(picture), picture.repeat(2, 0).repeat(2, 1), atol=1e-6)
    grey = (rng.random((6, 5)) * 255).astype(np.uint8)
    assert np.array_equal(upscaler.picture(grey), grey.repeat(2, 0).repeat(2, 1))
    assert upscaler.picture(grey, size=(7, 9)).shape == (9, 7)
    with pytest.raises(OptionsError, match="picture"):
        upscaler.picture(np.zeros((4, 4, 2)))


def test_devices_that_are_not_here_are_named() -> None:
    for name in ("cuda:99", "tpu"):
        with pytest.raises(OptionsError, match=name):
            Upscaler(ModelOptions(device=name), model=identity())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_batch_of_arrays_is_its_pictures_one_by_one(dtype: type) -> None:
    upscaler = Upscaler(OPTIONS, model=tiny_rrdbnet())
    batch = np.random.default_rng(4).random((3, 10, 12, 3)) * (np.iinfo(dtype).max if dtype != np.float32 else 1)
    batch = batch.astype(dtype)
    results = upscaler(batch)
    scale = upscaler.scale
    assert results.dtype == dtype and results.shape == (3, 10 * scale, 12 * scale, 3)
    assert all(np.array_equal(result, upscaler(one)) for result, one in zip(results, batch, strict=True))
    assert upscaler(batch, size=(30, 20)).shape == (3, 20, 30, 3)
    with pytest.raises(OptionsError, match="must not be empty"):
        upscaler(batch[:0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.float64])
def test_tensors_in_tensors_out(dtype: torch.dtype) -> None:
    upscaler = Upscaler(OPTIONS, model=identity(2))
    codes = torch.randint(0, 256, (2, 3, 10, 12), dtype=torch.uint8)
    batch = codes if dtype == torch.uint8 else (codes / 255).to(dtype)
    results = upscaler(batch)
    assert (results.dtype, results.device, results.shape) == (dtype, batch.device, (2, 3, 20, 24))
    wanted = batch.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.allclose(results.double(), wanted.double(), atol=1e-3 if dtype == torch.float16 else 1e-6)
    assert torch.equal(upscaler(batch[0]), results[0])
    if dtype == torch.float32:
        weight = torch.ones(1, requires_grad=True)
        (results * weight).sum().backward()  # not an inference tensor: it can take part in a graph
        assert weight.grad is not None
    for wrong in (batch[:, :2], batch[0, 0], batch.to(torch.int32), batch[:0]):
        with pytest.raises(OptionsError, match="a tensor must be"):
            upscaler(wrong)


def test_pil_pictures() -> None:
    upscaler = Upscaler(OPTIONS, model=identity(2))
    for mode, dtype in (("RGB", np.uint8), ("L", np.uint8), ("I;16", np.uint16)):
        shape = (6, 8, 3) if mode == "RGB" else (6, 8)
        array = np.random.default_rng(5).integers(0, np.iinfo(dtype).max, shape, dtype)
        result = upscaler(Image.fromarray(array))
        assert (result.mode, result.size) == (mode, (16, 12))
        assert np.array_equal(np.asarray(result), array.repeat(2, 0).repeat(2, 1))
    with pytest.raises(OptionsError, match=r"got RGBA: use convert\('RGB'\)"):
        upscaler(Image.new("RGBA", (4, 4)))
    with pytest.raises(OptionsError, match="got str"):
        upscaler("a.png")  # type: ignore[call-overload]


def test_closing_frees_the_network() -> None:
    with Upscaler(OPTIONS, model=tiny_rrdbnet()) as upscaler:
        network = weakref.ref(upscaler.model.network)
        upscaler(np.zeros((8, 8, 3), np.uint8))
        assert network() is not None
    gc.collect()
    assert network() is None
    with pytest.raises(ValueError, match="is closed"):
        upscaler(np.zeros((8, 8, 3), np.uint8))
    upscaler.close()


def test_frames_for_a_network_that_is_not_there_are_left_out() -> None:
    frames = [noise_frame("gbrp", (16, 12), index=i, seed=i) for i in range(6)]
    span = FrameRange(first=10, start=12, stop=14)
    made = list(Upscaler(OPTIONS, model=identity()).stream((16, 12), pixel_format("gbrp"), span=span)(iter(frames)))
    assert [frame.index for frame in made] == [2, 3]


def test_a_stream_frees_its_frames_without_the_garbage_collector() -> None:
    upscaler = Upscaler(OPTIONS, model=identity(4), multiframe=Multiframe(0.5, 0.0))
    frames = [noise_frame("gbrp", (16, 12), index=i, seed=i) for i in range(3)]
    stream = upscaler.stream((64, 48), pixel_format("gbrp"), span=FrameRange(first=0, start=0, stop=3))
    held = weakref.ref(stream)
    gc.disable()
    try:
        assert len(list(stream(iter(frames)))) == 3
        del stream
        assert held() is None, "a reference cycle: each segment's last window would wait for the collector"
    finally:
        gc.enable()


@pytest.mark.gpu
def test_tensors_stay_on_their_device() -> None:
    batch = torch.rand(2, 3, 16, 16)
    upscaler = Upscaler(ModelOptions(device="cuda", precision="fp32"), model=tiny_rrdbnet())
    on_cpu, on_gpu = upscaler(batch), upscaler(batch.cuda())
    assert (on_cpu.device.type, on_gpu.device.type) == ("cpu", "cuda")
    assert torch.allclose(on_cpu, on_gpu.cpu(), atol=1e-5)
