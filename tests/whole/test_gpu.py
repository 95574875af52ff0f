"""vidsr on a GPU, against the CPU's results: `pytest -m gpu` on a real one, the same bodies on the simulated one.

The real runs take the shipped models and crops of a real picture; the simulated ones tiny models and smaller crops.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.support import processes
from tests.support.clips import ClipFactory, run_ffmpeg
from tests.support.frames import largest_gap, pixel_format
from tests.support.gpu_machine import Machine, RealMachine, SimulatedMachine
from tests.support.networks import TinyModel, tiny_rrdbnet
from tests.support.places import STILL, child_environment
from vidsr.codec_table import CODECS
from vidsr.filters.after.multiframe import Multiframe
from vidsr.filters.after.post import post_steps
from vidsr.filters.between.made_frames import FramesBetween
from vidsr.filters.between.rate_table import RateEntry, RateTable
from vidsr.frames import Colour, Frame, FrameRange
from vidsr.inference import colour
from vidsr.inference.backends import calibration, cuda_backend
from vidsr.inference.backends.cuda_backend import CudaBackend
from vidsr.inference.device_copy import array_from_codes
from vidsr.inference.forms import cuda_graphs, graphed_steps
from vidsr.inference.forms.compiled_forms import compiled_forms
from vidsr.inference.forms.cuda_graphs import Graphed
from vidsr.inference.recurrent import recurrent_form
from vidsr.inference.upscaler import Upscaler
from vidsr.jobs.enhance import enhance
from vidsr.models.architectures.basicvsr import BasicVSR, BasicVSRConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.models.ifnet import load
from vidsr.models.zoo import load_model
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions

SHIPPED = (
    "realesrgan-x4plus",
    "realesrgan-x4plus-anime-6B",
    "realesr-animevideov3",
    "realesr-general-x4v3",
    "realesr-general-wdn-x4v3",
    "faithful",
)
#: The fewest dB against the network in fp32 on the CPU.
RIGHT_FROM = {"fp32": 90.0, "fp16": 60.0}
#: The most code values of 8 bits by which a frame may differ from the CPU's in fp32.
LARGEST_GAP = {"fp32": 1, "fp16": 4}

REAL = pytest.param("real", marks=pytest.mark.gpu)
both = pytest.mark.parametrize("machine", ["simulated", REAL], indirect=True)
precisions = pytest.mark.parametrize("precision", ["fp16", "fp32"])


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Machine:
    return RealMachine() if request.param == "real" else SimulatedMachine()


@pytest.fixture(autouse=True)
def calibration_starts_over(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Own kernels are tried in one test alone: each trial starts a process, and the visit is short."""
    monkeypatch.setattr(cuda_graphs, "_failed", False)
    monkeypatch.setattr(cuda_backend, "compiled_forms", lambda *given, asked: {})
    yield
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def tiny_compact() -> TinyModel:
    torch.manual_seed(1)
    network = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2)).eval().requires_grad_(False)
    return TinyModel(network, 4, "SRVGGNetCompact")


TINY: dict[str, Callable[[], TinyModel]] = {"tiny RRDBNet": tiny_rrdbnet, "tiny compact": tiny_compact}


def loaded(name: str) -> Any:
    return TINY[name]() if name in TINY else load_model(name)


def usual(machine: Machine) -> str:
    """The model for what does not depend on the model."""
    return "realesr-animevideov3" if machine.real else "tiny RRDBNet"


def crops(size: tuple[int, int], count: int = 1) -> Tensor:
    """Crops (width, height) of a real picture, each a little further to the right: ``[count, 3, h, w]`` in 0..1."""
    with Image.open(STILL) as picture:
        whole = np.asarray(picture.convert("RGB"), dtype=np.float32) / 255
    width, height = size
    top, left = (whole.shape[0] - height) // 2, (whole.shape[1] - width - 2 * count) // 2
    made = [whole[top : top + height, left + 2 * n : left + 2 * n + width] for n in range(count)]
    return torch.from_numpy(np.stack(made)).movedim(-1, 1).contiguous()


def film(machine: Machine, count: int) -> list[Frame]:
    """A pan over the picture, yuv420p."""
    size, form = ((160, 96) if machine.real else (36, 34)), pixel_format("yuv420p")
    made = []
    for index, rgb in enumerate(torch.split(crops(size, count), 1)):
        planes = [array_from_codes(p)[0] for p in colour.planes_from_rgb(rgb, form, Colour(), exact=True)]
        made.append(
            Frame(planes=tuple(planes), format=form, colour=Colour(), index=index, pts=index, time_base=Fraction(1, 25))
        )
    return made


def upscaler(device: str, precision: str, model: str, *, steps: bool = False, **options: Any) -> Upscaler:
    """An upscaler; ``steps``: with the default steps after the network."""
    chosen = ModelOptions(device=device, precision=precision, **{"batch": 2, **options})
    return Upscaler(chosen, model=loaded(model), post=post_steps(RestoreOptions()) if steps else ())


def through(made: Upscaler, frames: Sequence[Frame]) -> list[Frame]:
    size = (frames[0].width * made.scale, frames[0].height * made.scale)
    return list(made.stream(size, frames[0].format)(iter(frames)))


def on_cpu(model: str, frames: Sequence[Frame], **options: Any) -> list[Frame]:
    with upscaler("cpu", "fp32", model, **options) as made:
        return through(made, frames)


def gap(want: Sequence[Frame], got: Sequence[Frame]) -> int:
    assert [f.index for f in want] == [f.index for f in got]
    return max(largest_gap(a.planes, b.planes) for a, b in zip(want, got, strict=True))


def decibels(a: Tensor, b: Tensor) -> float:
    assert a.shape == b.shape
    return float(-10 * (a.double() - b.double()).square().mean().clamp(min=1e-20).log10())


def backend_of(made: Upscaler) -> CudaBackend:
    assert isinstance(made.fitted.backend, CudaBackend)
    return made.fitted.backend


@pytest.mark.parametrize(
    ("machine", "model"),
    [
        *(("simulated", name) for name in TINY),
        *(pytest.param("real", name, marks=pytest.mark.gpu) for name in SHIPPED),
    ],
    indirect=["machine"],
)
@precisions
def test_the_default_form_shows_the_picture_of_the_network(machine: Machine, model: str, precision: str) -> None:
    rgb = crops((192, 128) if machine.real else (28, 22))
    with torch.inference_mode():
        want = loaded(model).network(rgb)
    with machine.running():
        made = upscaler("cuda", precision, model)
        got = made(rgb)
        assert decibels(got, want) >= RIGHT_FROM[precision]
        assert backend_of(made).form in ("eager", "graph") and made.stats.notes == []
        assert decibels(made(rgb), want) >= RIGHT_FROM[precision], "the second time another picture"


@both
@precisions
def test_a_result_survives_the_next_replay(machine: Machine, precision: str) -> None:
    first, second = torch.split(crops((64, 48) if machine.real else (20, 16), 2), 1)
    model = loaded(usual(machine))
    with machine.running(), torch.inference_mode():
        backend = CudaBackend(model, torch.device("cuda:0"), precision, form="graph")  # type: ignore[arg-type]
        held = backend(first.to("cuda:0"))
        before = held.cpu().clone()
        other = backend(second.to("cuda:0")).cpu()
        assert torch.equal(held.cpu(), before)
        assert not torch.equal(other, before)


@both
@precisions
@pytest.mark.parametrize("steps", [False, True], ids=["network", "steps"])
@pytest.mark.parametrize("tiled", [False, True], ids=["whole", "tiled"])
def test_a_stream_shows_the_frames_of_the_cpu(machine: Machine, precision: str, steps: bool, tiled: bool) -> None:
    frames, model = film(machine, 5), usual(machine)
    tile = (64 if machine.real else 16) if tiled else None
    want = on_cpu(model, frames, steps=steps, tile=tile)
    with machine.running():
        got = through(upscaler("cuda", precision, model, steps=steps, tile=tile), frames)
    assert gap(want, got) <= LARGEST_GAP[precision]


@both
@pytest.mark.parametrize("steps", [False, True], ids=["network", "steps"])
def test_the_host_never_waits_in_the_middle_of_a_stream(machine: Machine, steps: bool) -> None:
    frames = film(machine, 8)
    with machine.running():
        made = upscaler("cuda", "fp16", usual(machine), steps=steps)
        through(made, frames[:2])  # constants, calibration, captures
        with machine.waits() as found:
            through(made, frames)
    assert found == []


@both
def test_a_call_that_waits_is_noticed(machine: Machine) -> None:
    with machine.running():
        x = torch.ones(4, device="cuda:0")
        with machine.waits() as found:
            assert float(x.sum()) == 4.0
    assert found != []


@both
def test_partial_batches_need_no_new_graph(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [0, 1, 1, 1, 1, 1, 2, 3, 3, 3, 4, 5, 5, 6]
    drawn, model = film(machine, 7), usual(machine)
    frames = [replace(drawn[n], index=i, pts=i) for i, n in enumerate(shown)]
    want = on_cpu(model, frames, batch=3)
    captured: list[Any] = []
    plain = Graphed._capture

    def counted(self: Graphed[Any], tensors: tuple[Tensor, ...]) -> Any:
        captured.append([x.shape for x in tensors])
        return plain(self, tensors)

    with machine.running():
        made = upscaler("cuda", "fp32", model, batch=3)
        through(made, drawn[:3])
        backend = backend_of(made)
        backend.release()
        backend._use("graph")
        through(made, drawn[:3])
        monkeypatch.setattr(Graphed, "_capture", counted)
        got = through(made, frames)
    assert captured == [] and made.stats.reused > 4
    assert gap(want, got) <= 1


@both
@pytest.mark.parametrize("steps", [False, True], ids=["network", "steps"])
def test_too_little_memory_is_met_by_smaller_steps(machine: Machine, steps: bool) -> None:
    frames, model = film(machine, 8), usual(machine)
    want = on_cpu(model, frames, steps=steps, batch=8)
    with machine.running():
        made = upscaler("cuda", "fp32", model, steps=steps, batch=8)
        weights = machine.live_bytes()
        machine.start_measuring()
        through(made, frames)
        whole = machine.peak_bytes()
        made.close()
        made = upscaler("cuda", "fp32", model, steps=steps, batch=8)
        with machine.limited(weights + (whole - weights) // 3):
            got = through(made, frames)
        assert any("out of memory" in note for note in made.stats.notes), made.stats.notes
        assert made.fitted.smallest_batch < 8 or made.fitted.tile is not None
    assert gap(want, got) <= 1


@both
@precisions
def test_the_second_gpu_from_a_thread_of_its_own(machine: Machine, precision: str) -> None:
    frames, model, got = film(machine, 4), usual(machine), list[Frame]()
    want = on_cpu(model, frames)
    with machine.running():
        if machine.devices() == 1:
            pytest.skip("there is one GPU")
        thread = threading.Thread(target=lambda: got.extend(through(upscaler("cuda:1", precision, model), frames)))
        thread.start()
        processes.join(thread)
    assert gap(want, got) <= LARGEST_GAP[precision]


@both
def test_calibration_tries_all_forms_and_is_remembered(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, model = film(machine, 2), usual(machine)
    with machine.running():
        made = upscaler("cuda", "fp16", model)
        through(made, frames)
        chosen = backend_of(made).form
        stored = json.loads(calibration.cache_file().read_text())["trials"]
        (kept,) = (found for key, found in stored.items() if "after the network" not in key)
        trials = [calibration.Trial(**trial) for trial in kept]
        assert [t.name for t in trials] == ["eager", "graph"]
        assert all(not t.problem and t.decibels and t.decibels >= 60.0 and t.seconds for t in trials), trials
        best = calibration.best(trials)
        assert best is not None and best.name == chosen
        for module in (cuda_backend, graphed_steps):
            monkeypatch.setattr(module, "calibrate", None)  # calling it again would fail
        again = upscaler("cuda", "fp16", model)
        through(again, frames)
        assert backend_of(again).form == chosen


@pytest.mark.gpu
@pytest.mark.parametrize("model", ["realesrgan-x4plus", "realesr-animevideov3"])
def test_own_kernels_are_tried_and_any_choice_shows_the_picture(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_backend, "compiled_forms", compiled_forms)
    rgb = crops((192, 128))
    with torch.inference_mode():
        want = loaded(model).network(rgb)
    made = upscaler("cuda", "fp16", model)
    assert decibels(made(rgb), want) >= RIGHT_FROM["fp16"]
    stored = json.loads(calibration.cache_file().read_text())["trials"]
    problems = {trial["name"]: trial["problem"] for found in stored.values() for trial in found}
    able = torch.cuda.get_device_capability() >= (8, 0)
    assert ("kernels" in problems) == able and not any(problems.values()), problems


@both
@precisions
def test_the_steps_as_one_graph_make_the_planes_of_the_cpu(machine: Machine, precision: str) -> None:
    frames, model = film(machine, 7), usual(machine)
    want = on_cpu(model, frames, steps=True)
    with machine.running():
        made = upscaler("cuda", precision, model, steps=True)
        assert made.graphed is not None
        made.graphed._asked = "graph"
        through(made, frames[:2])
        with machine.waits() as found:
            got = through(made, frames)
        assert made.graphed.form == "graph" and made.stats.notes == []
    assert found == []
    assert gap(want, got) <= LARGEST_GAP[precision]


@both
@precisions
def test_neighbouring_frames_are_mixed_in_as_on_the_cpu(
    machine: Machine, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, model = film(machine, 5), usual(machine)
    if not machine.real:

        def tiny(made: Upscaler, name: str) -> Any:
            torch.manual_seed(2)
            network = BasicVSR(BasicVSRConfig(num_feat=4, num_block=1)).eval().requires_grad_(False)
            return recurrent_form(network, made.device, torch.float16 if made.precision == "fp16" else torch.float32)

        monkeypatch.setattr(Upscaler, "_load_recurrent", tiny)

    def mixed(device: str, precision: str) -> list[Frame]:
        chosen = ModelOptions(device=device, precision=precision, batch=2)
        made = Upscaler(chosen, model=loaded(model), post=post_steps(RestoreOptions()), multiframe=Multiframe(0.5, 0.0))
        size = (frames[0].width * made.scale, frames[0].height * made.scale)
        span = FrameRange(first=0, start=0, stop=len(frames))
        return list(made.stream(size, frames[0].format, span=span)(iter(frames)))

    want = mixed("cpu", "fp32")
    with machine.running():
        got = mixed("cuda", precision)
    assert gap(want, got) <= LARGEST_GAP[precision]


# In a process of its own: the interpreter is chosen when Triton is imported, and a kernel that fails ends its context.
TRITON = """
import sys, torch
from vidsr.inference.forms.compiled_forms import tiling_on
from vidsr.inference.forms.triton_convolution import Tiling, TritonRRDBNet, TritonSRVGGNetCompact
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig

device, real = sys.argv[1], sys.argv[1] != "cpu"
dtype, least = (torch.float16, 55.0) if real else (torch.float32, 90.0)
torch.set_grad_enabled(False)
torch.manual_seed(0)
if real:
    from vidsr.models.zoo import load_model
    networks = [load_model(n).network for n in ("realesrgan-x4plus", "realesr-animevideov3")]
    sizes = [(1, 128, 128), (2, 61, 77)]
else:
    networks = [RRDBNet(RRDBNetConfig(num_feat=16, num_grow_ch=16, num_block=1)).eval(),
                SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=16, num_conv=2)).eval()]
    sizes = [(1, 5, 7)]
tiling = tiling_on(torch.device(device)) if real else Tiling(pixels=32, channels=16)
for network in networks:
    make = TritonRRDBNet if isinstance(network, RRDBNet) else TritonSRVGGNetCompact
    for count, height, width in sizes:
        x = torch.nn.functional.interpolate(torch.rand(count, 3, 16, 16), (height, width), mode="bicubic").clamp(0, 1)
        want = network.float().cpu()(x)
        got = make(network.to(device, dtype), tiling)(x.to(device, dtype))
        db = -10 * (got.float().cpu() - want).double().square().mean().log10()
        assert db >= least, (type(network).__name__, height, width, float(db))
print("equal")
"""


@pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=pytest.mark.long), pytest.param("cuda:0", marks=pytest.mark.gpu)]
)
def test_the_triton_form_shows_the_same_picture(device: str) -> None:
    pytest.importorskip("triton")
    if device != "cpu" and torch.cuda.get_device_capability() < (7, 5):
        pytest.skip("the Triton form is for sm_75 and newer")
    environment = child_environment(**({"TRITON_INTERPRET": "1"} if device == "cpu" else {}))
    command = [sys.executable, "-c", TRITON, device]
    done = processes.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and done.stdout.strip() == "equal", done.stderr


@pytest.mark.parametrize(
    "codec",
    ["h264", *(pytest.param(name, marks=pytest.mark.gpu) for name, row in CODECS.items() if row.hardware)],
)
def test_the_encoder_encodes(codec: str) -> None:
    from vidsr.errors import EncodeError
    from vidsr.media.encode.codec_trial import try_codec

    try:
        trial = try_codec(codec)
    except EncodeError as error:
        # Some data-centre GPUs have no encoder; FFmpeg then finds "no capable devices".
        if CODECS[codec].hardware and "capable device" in str(error).lower():
            pytest.skip(f"this GPU has no encoder for it: {error}")
        raise
    assert trial.frames == 6 and trial.psnr >= 30


@pytest.mark.parametrize("nvdec", [False, pytest.param(True, marks=pytest.mark.gpu)])
def test_the_decoder_decodes(nvdec: bool) -> None:
    from vidsr.media.encode.codec_trial import try_codec
    from vidsr.media.libav_build import nvdec_trouble

    if nvdec and (trouble := nvdec_trouble()) is not None:
        pytest.skip(trouble)
    assert try_codec("h264", nvdec=nvdec).frames == 6


@pytest.mark.parametrize(
    ("device", "precision", "backend"),
    [
        ("cpu", "fp32", "torch"),  # the CPU's own default is another backend
        pytest.param("cuda", "fp32", "auto", marks=pytest.mark.gpu),
        pytest.param("cuda", "fp16", "auto", marks=pytest.mark.gpu),
    ],
)
def test_enhance_makes_the_film_of_the_cpu(
    device: str, precision: str, backend: str, clips: ClipFactory, tiny_model: Path, tmp_path: Path
) -> None:
    source = clips("basic")

    def shown(name: str, **chosen: str) -> np.ndarray[Any, Any]:
        model = str(tiny_model) if device == "cpu" else "realesr-animevideov3"
        result = enhance(source, tmp_path / f"{name}.mkv", model=model, scale=2, codec="ffv1", **chosen)  # type: ignore[arg-type]
        raw = run_ffmpeg("-i", str(result.output), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
        return np.frombuffer(raw, np.uint8).astype(np.int16)

    want = shown("expected", device="cpu", precision="fp32")
    got = shown("made", device=device, precision=precision, backend=backend)
    assert want.shape == got.shape and len(want) > 0
    assert np.abs(want - got).max() <= LARGEST_GAP[precision]


@both
def test_frames_in_between_are_those_of_the_cpu(machine: Machine) -> None:
    """Flows in fp32 on the device: the same frames but for rounding."""
    pictures = np.asarray(Image.open(STILL).convert("L"))
    frames = [
        Frame(
            planes=(np.ascontiguousarray(pictures[30:94, 40 + 3 * n : 136 + 3 * n]),),
            format=pixel_format("gray"),
            colour=Colour(),
            index=n,
            pts=40 * n,
            time_base=Fraction(1, 1000),
        )
        for n in range(2)
    ]
    entries = tuple(RateEntry(0, Fraction(n, 3), 40 * n, 40) for n in range(3))
    table = RateTable(entries, Fraction(1, 3000), 2)

    def made(device: str) -> list[Frame]:
        place = torch.device(device)
        between = FramesBetween(table=table, device=place, network=load().to(place), rgb=colour.rgb_of)
        return list(between.frames(iter(frames), 0, 3))

    expected = made("cpu")
    with machine.running():
        found = made("cuda")
    assert largest_gap([f.planes[0] for f in found], [f.planes[0] for f in expected]) <= 1
