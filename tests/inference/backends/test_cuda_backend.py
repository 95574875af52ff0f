"""The CUDA path on a simulated device: order of streams, memory, graphs, several GPUs, and forms that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support import cuda_simulation, processes
from tests.support.cuda_simulation import CudaSimulation, SimulatedEvent
from tests.support.frames import noise_frame, stream_gap, through
from tests.support.networks import TinyModel, identity, tiny_rrdbnet
from vidsr.errors import OptionsError
from vidsr.filters.after.post import post_steps
from vidsr.frames import Frame
from vidsr.inference import device_copy
from vidsr.inference.backends import calibration, cuda_backend
from vidsr.inference.backends.backend import as_folded
from vidsr.inference.backends.cuda_backend import CudaBackend
from vidsr.inference.device import choose_device, free_bytes, is_out_of_memory
from vidsr.inference.forms import cuda_graphs, folded_torch
from vidsr.inference.forms.compiled_forms import compiled_forms
from vidsr.inference.forms.graphed_steps import GraphedSteps
from vidsr.inference.forms.trial_process import FormTrialError, Maker, run_apart
from vidsr.inference.upscaler import Upscaler
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions

SIZE = (32, 24)


@pytest.fixture(autouse=True)
def calibration_starts_over(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "_failed", False)
    monkeypatch.setattr(calibration, "_REPEATS", 1)  # times mean nothing on a simulated device
    monkeypatch.setattr(cuda_backend, "run_apart", run_apart_once)


#: How the trial of each form in a process of its own ended.
FAILED: dict[str, str] = {}


def run_apart_once(maker: Maker, *order: Any) -> Tensor:
    """``run_apart``, whose process is started once for each form: the simulated device is not in it, so that the form
    fails there for the same reason in every test."""
    if maker.__name__ not in FAILED:
        try:
            return run_apart(maker, *order)
        except FormTrialError as error:
            FAILED[maker.__name__] = str(error)
    raise FormTrialError(FAILED[maker.__name__])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_compact() -> TinyModel:
    torch.manual_seed(1)
    network = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=8, num_conv=2)).eval().requires_grad_(False)
    return TinyModel(network, 4, "SRVGGNetCompact")


MODELS = {"RRDBNet": tiny_rrdbnet, "SRVGGNetCompact": tiny_compact}


def noise(count: int, size: tuple[int, int] = SIZE) -> list[Frame]:
    return [noise_frame("yuv420p", size, index=i, seed=i) for i in range(count)]


def enlarged(frames: Sequence[Frame], device: str, precision: str = "fp16", **settings: Any) -> list[Frame]:
    """All frames through an upscaler of their own."""
    return through(upscaler(device, precision, **settings), frames)


def upscaler(
    device: str, precision: str = "fp16", model: TinyModel | None = None, post: Any = (), **options: Any
) -> Upscaler:
    chosen = ModelOptions(device=device, precision=precision, **{"batch": 2, **options})
    return Upscaler(chosen, model=model or tiny_rrdbnet(), post=post)


def steps(name: str) -> Any:
    return post_steps(RestoreOptions(stabilize=0.8 if name == "stabilised" else 0.0)) if name != "none" else ()


@pytest.mark.parametrize(
    ("name", "post", "tile"),
    [
        ("RRDBNet", "none", None),
        ("RRDBNet", "none", 16),
        ("RRDBNet", "default", 16),
        ("RRDBNet", "stabilised", None),
        ("SRVGGNetCompact", "none", None),
        ("SRVGGNetCompact", "default", None),
    ],
)
def test_no_race_no_wait_and_the_picture_of_the_cpu(name: str, post: str, tile: int | None) -> None:
    size = (36, 34) if post != "none" else SIZE
    frames = noise(6, size)
    want = enlarged(frames, "cpu", "fp32", model=MODELS[name](), post=steps(post), tile=tile)
    with CudaSimulation() as cuda:
        made = upscaler("cuda", model=MODELS[name](), post=steps(post), tile=tile)
        through(made, frames[:2])  # constants, calibration, captures
        cuda.blocking.clear()
        for count in (2, 6):
            got = through(made, frames[:count])
            assert cuda.races == []
            assert stream_gap(want[:count], got) <= 1
            assert cuda.blocking == [], "the host waits for the device in the middle of a stream"


def test_repeated_frames_and_partial_batches_need_no_new_graph() -> None:
    shown = [0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 3, 3, 4, 5, 5, 5, 5, 6]
    frames = [replace(noise(7)[n], index=i, pts=i) for i, n in enumerate(shown)]
    want = enlarged(frames, "cpu", "fp32", batch=3)
    with CudaSimulation() as cuda:
        made = upscaler("cuda", batch=3)
        through(made, noise(3))
        cuda.captures = 0
        got = through(made, frames)
    assert stream_gap(want, got) <= 1 and cuda.races == []
    assert cuda.captures == 0 and made.stats.reused > 8


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_second_gpu_in_a_thread_of_its_own(precision: str) -> None:
    frames, got = noise(4), []
    want = enlarged(frames, "cpu", "fp32")
    with CudaSimulation(devices=2) as cuda:
        thread = threading.Thread(target=lambda: got.extend(enlarged(frames, "cuda:1", precision)))
        thread.start()
        processes.join(thread)
    assert stream_gap(want, got) <= 1
    assert cuda.races == [] and cuda.replays > 0
    assert cuda.peak_bytes[torch.device("cuda:0")] == 0, "another GPU was touched"


class FailsOnce:
    """``run``, out of memory the first time it is given more than one picture."""

    def __init__(self, run: Any) -> None:
        self._run, self._failed = run, False

    def __call__(self, rgb: Tensor) -> Tensor:
        if len(rgb) > 1 and not self._failed:
            self._failed = True
            raise torch.OutOfMemoryError("CUDA out of memory")
        out: Tensor = self._run(rgb)
        return out


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_parts_of_a_halved_batch_are_not_overwritten_by_the_next_replay(precision: str) -> None:
    frames = noise(6)
    want = enlarged(frames, "cpu", "fp32")
    with CudaSimulation():
        made = upscaler("cuda", precision)
        backend = CudaBackend(tiny_rrdbnet(), made.device, made.precision, form="graph")
        assert backend._runner is not None
        backend._runner = FailsOnce(backend._runner)
        made.fitted.backend = backend
        got = through(made, frames)
    assert stream_gap(want, got) <= 1
    assert any("1 frames per step" in note for note in made.stats.notes)


@pytest.mark.parametrize("post", ["none", "default"])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_overflown_frames_are_repaired_and_no_other_frame_changes(precision: str, post: str) -> None:
    frames = noise(6, (40, 36))
    want = enlarged(frames, "cpu", "fp32", post=steps(post))
    with CudaSimulation() as cuda:
        made = upscaler("cuda", precision, post=steps(post))
        through(made, frames[:2])
        backend = made.fitted.backend
        assert isinstance(backend, CudaBackend) and backend._runner is not None
        plain, calls = backend._runner, []

        def overflowing(rgb: Tensor) -> Tensor:
            out = plain(rgb)
            calls.append(1)
            if len(calls) == 2:
                out[0, 0, 0, 0] = float("inf")
            return out

        backend._runner = overflowing
        got = through(made, frames)
    assert stream_gap(want, got) <= 1 and cuda.races == []
    assert made.stats.fp32_reruns == 1 and made.fitted.tile is None


def test_after_several_overflows_the_job_goes_on_in_fp32() -> None:
    frames = noise(12)
    want = enlarged(frames, "cpu", "fp32", batch=1)
    with CudaSimulation():
        made = upscaler("cuda", batch=1)
        through(made, frames[:1])
        backend = made.fitted.backend
        assert isinstance(backend, CudaBackend)
        plain = backend._runner
        assert plain is not None
        backend._runner = lambda rgb: plain(rgb) * float("inf")
        got = through(made, frames)
    assert stream_gap(want, got) <= 1
    assert 3 <= made.stats.fp32_reruns <= 5, "reruns end once the whole job is in fp32"
    assert any("all further frames are computed in fp32" in note for note in made.stats.notes)


def test_a_capture_that_fails_costs_the_graph_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noise(4)
    want = enlarged(frames, "cpu", "fp32")
    with CudaSimulation() as cuda:
        made = upscaler("cuda")
        backend = CudaBackend(tiny_rrdbnet(), made.device, made.precision, form="graph")  # whichever is faster here
        backend.notes = made.stats.notes
        made.fitted.backend = backend
        through(made, frames[:2])
        backend.release()
        run = cuda_graphs.Graphed._capture

        def disturbed(self: Any, tensors: Any) -> Any:
            monkeypatch.setattr(cuda, "capture_invalid", True)  # as NVDEC does from another thread in "global" mode
            return run(self, tensors)

        monkeypatch.setattr(cuda_graphs.Graphed, "_capture", disturbed)
        got = through(made, frames)
        monkeypatch.setattr(cuda_graphs.Graphed, "_capture", run)
        assert cuda.allocator_broken, "the simulation has broken the allocator as PyTorch does"
        again = enlarged(frames, "cuda")  # another upscaler in the same process
    assert stream_gap(want, got) <= 1 and stream_gap(want, again) <= 1
    assert sum("CUDA graphs are not used from now on" in note for note in made.stats.notes) == 1


def as_graphs(post: str) -> Upscaler:
    """An upscaler whose network and steps are graphs, whichever is faster here."""
    made = upscaler("cuda", post=steps(post))
    assert isinstance(made.fitted.backend, CudaBackend) and made.graphed is not None
    made.fitted.backend._use("graph")
    made.graphed._asked = "graph"
    return made


def without_memory_at(post: str, numbers: Callable[[range], range]) -> int:
    """Run a stream once for each of these allocations, the one that fails; how many they were."""
    frames = noise(3, SIZE if post == "none" else (36, 36))
    want = enlarged(frames, "cpu", "fp32", post=steps(post))
    with CudaSimulation() as cuda:
        made = as_graphs(post)
        first = cuda.allocations
        through(made, frames)
        chosen = numbers(range(first + 1, cuda.allocations + 1))
    for number in chosen:
        with CudaSimulation(fail_at=[number]) as cuda:
            made = as_graphs(post)
            got = through(made, frames)
        assert cuda.out_of_memory == 1, f"allocation {number} was not reached"
        assert cuda.races == [], f"allocation {number}: {cuda.report()}"
        assert stream_gap(want, got) <= 1, f"allocation {number}"
    return len(chosen)


@pytest.mark.long
@pytest.mark.parametrize(("post", "step"), [("none", 29), ("default", 131)])
def test_out_of_memory_at_some_allocations_costs_no_frame(post: str, step: int) -> None:
    assert without_memory_at(post, lambda all_of_them: all_of_them[::step]) > 4


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("post", ["none", "default"])
def test_out_of_memory_at_every_allocation_costs_no_frame(post: str, part: int) -> None:
    """With ``-rP`` pytest prints how many there were."""
    tried = without_memory_at(post, lambda all_of_them: all_of_them[part::8])
    print(f"{tried} allocations failed one by one, every frame is right")
    assert tried > 20


def test_a_real_limit_is_met_by_smaller_steps() -> None:
    frames = noise(4, (40, 32))
    want = enlarged(frames, "cpu", "fp32", batch=4)
    with CudaSimulation() as cuda:
        through(upscaler("cuda", batch=4), frames)
    whole = cuda.peak_bytes[torch.device("cuda:0")]
    # The estimate may foresee a limit and begin with smaller steps: then a lower one is met.
    for limit in (whole // 3, whole // 4, whole // 5, whole // 6):
        with CudaSimulation(memory_bytes=limit) as cuda:
            made = upscaler("cuda", batch=4)
            got = through(made, frames)
        assert stream_gap(want, got) <= 1 and cuda.races == []
        if cuda.out_of_memory > 0:
            break
    assert cuda.out_of_memory > 0 and made.fitted.smallest_batch < 4


def wide_rrdbnet() -> TinyModel:
    """One block of x4plus's own width: its memory per pixel is that of all 23."""
    network = RRDBNet(RRDBNetConfig(num_block=1)).eval().requires_grad_(False)
    return TinyModel(network, 4, "RRDBNet")


def wide_compact() -> TinyModel:
    network = SRVGGNetCompact(SRVGGNetCompactConfig(num_conv=2)).eval().requires_grad_(False)
    return TinyModel(network, 4, "SRVGGNetCompact")


@pytest.mark.parametrize(
    ("make", "size", "post", "precision", "strip_pixels"),
    [
        (lambda: identity(4), (48, 48), "stabilised", "fp16", None),
        (wide_compact, (32, 24), "none", "fp16", None),
        (wide_compact, (64, 48), "none", "fp32", None),
        (wide_compact, (48, 48), "default", "fp16", None),
        (wide_rrdbnet, (24, 16), "none", "fp16", None),
        (wide_rrdbnet, (48, 32), "none", "fp16", None),
        (wide_rrdbnet, (48, 32), "none", "bf16", None),
        (wide_rrdbnet, (48, 32), "none", "fp32", None),
        pytest.param(wide_rrdbnet, (48, 48), "default", "fp16", None, marks=pytest.mark.long),
        # In strips, as large frames are: as at 720p, and with strips so thin that the blocks take most.
        (wide_rrdbnet, (32, 64), "none", "fp16", 32 * 18),
        pytest.param(wide_rrdbnet, (32, 64), "none", "fp16", 32 * 4, marks=pytest.mark.long),
        pytest.param(wide_rrdbnet, (40, 64), "default", "fp16", 40 * 18, marks=pytest.mark.long),
    ],
)
def test_memory_is_what_was_estimated(
    make: Callable[[], TinyModel],
    size: tuple[int, int],
    post: str,
    precision: str,
    strip_pixels: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Live bytes of a stream, weights left out, against the estimate by which batches and tiles are chosen."""
    if strip_pixels is not None:
        monkeypatch.setattr(folded_torch, "STRIP_PIXELS", strip_pixels)
    width, height = size
    with CudaSimulation() as cuda:
        made = upscaler("cuda", precision, model=make(), post=steps(post), batch=1)
        backend = made.fitted.backend
        assert isinstance(backend, CudaBackend) and made.graphed is not None
        backend._use("eager")
        made.graphed._asked = "eager"
        weights = cuda.live_bytes[torch.device("cuda:0")]
        through(made, noise(4, size))
        measured = (cuda.peak_bytes[torch.device("cuda:0")] - weights) / (width * height)
    estimated = made.fitted.bytes_per_pixel(height, width)
    assert measured <= estimated <= 1.5 * measured, f"{measured:.0f} bytes per source pixel, {estimated:.0f} estimated"


# What the simulation is worth: a wait, an event, a copy and a device guard are removed, and it must notice each.


def test_a_missing_wait_for_the_upload_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.cuda_simulation import SimulatedStream

    with CudaSimulation() as cuda:
        made = upscaler("cuda")
        through(made, noise(2))
        monkeypatch.setattr(SimulatedStream, "wait_stream", lambda self, other: None)
        through(made, noise(4))
    assert any("still writes" in race for race in cuda.races)


def test_a_missing_wait_for_the_download_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with CudaSimulation() as cuda:
        made = upscaler("cuda")
        through(made, noise(2))
        monkeypatch.setattr(SimulatedEvent, "synchronize", lambda self: None)
        through(made, noise(4))
    assert any("the host reads pinned memory" in race for race in cuda.races)


def test_a_missing_copy_of_a_graphs_result_is_noticed() -> None:
    frames = noise(6)
    want = enlarged(frames, "cpu", "fp32")
    with CudaSimulation():
        made = upscaler("cuda", "fp32")
        backend = made.fitted.backend
        assert isinstance(backend, CudaBackend)
        backend._use("graph")
        backend._runner = FailsOnce(lambda rgb: backend._graphs[0](rgb.to(memory_format=torch.channels_last)))
        got = through(made, frames)
    assert stream_gap(want, got) > 1


def test_a_missing_device_guard_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unguarded(self: Any, tensors: tuple[Tensor, ...]) -> Any:
        graph, given = torch.cuda.CUDAGraph(), tuple(x.clone() for x in tensors)
        with torch.cuda.graph(graph):
            result = self._run(*given)
        return cuda_graphs._Kept(graph, given, result)

    monkeypatch.setattr(cuda_graphs.Graphed, "_capture", unguarded)
    with CudaSimulation(devices=2) as cuda:
        monkeypatch.setattr(torch.cuda, "device", nullcontext)
        made = upscaler("cuda:1")
        assert isinstance(made.fitted.backend, CudaBackend)
        made.fitted.backend._use("graph")
        through(made, noise(2))
    assert any("CUDA graphs are not used" in note for note in made.stats.notes), cuda.report()


def test_memory_freed_while_another_stream_uses_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.cuda_simulation import DeviceTensor

    with CudaSimulation() as cuda:
        made = upscaler("cuda")
        through(made, noise(2))
        monkeypatch.setattr(DeviceTensor, "record_stream", lambda self, stream: None)
        through(made, noise(6))
        through(made, noise(2))
    assert any("freed while" in race for race in cuda.races)


def test_no_thread_outlives_its_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on in the simulation of another test."""
    woken, ended = threading.Event(), list[int]()

    def late() -> None:
        woken.wait(20)
        ended.append(len(torch.zeros(3, device="cuda")))

    with CudaSimulation():
        threading.Thread(target=late).start()
        woken.set()
    assert ended == [3], "the simulation did not wait"
    monkeypatch.setattr(cuda_simulation, "_THREAD_SECONDS", 0.05)
    left = threading.Event()
    with pytest.raises(AssertionError, match=r"outlive.*late"), CudaSimulation():
        threading.Thread(target=left.wait, name="late", args=(20,)).start()
    left.set()
    assert CudaSimulation._active is None


# Calibration


def misbehaving(here: str) -> Any:
    """Stands in for the own kernels, which need a real GPU: the folded network, and what goes wrong with it."""

    def maker(network: Any, device: Any, dtype: Any) -> Any:
        if here == "raises":
            raise RuntimeError("no kernel image is available for execution on the device")
        folded = as_folded(network, torch.device("cpu"), torch.float32).to(device, dtype)

        def run(rgb: Tensor) -> Tensor:
            if here == "hangs":
                HUNG.wait(20)
            out: Tensor = folded(rgb.to(dtype))
            return out + 0.01 if here == "wrong" else out

        return run

    return maker


HUNG = threading.Event()


@pytest.mark.parametrize(
    ("apart", "here", "seconds", "chosen", "said"),
    [
        ("right", "right", 1.0, "kernels", ""),
        ("right", "right", 9.0, "graph", ""),  # slow
        ("right", "wrong", 1.0, "graph", "a different picture (40.0 dB)"),
        ("right", "raises", 1.0, "graph", "no kernel image"),
        ("right", "hangs", 1.0, "graph", "not done after 0 s"),
        ("wrong", "right", 1.0, "graph", "a different picture ("),
        ("killed", "right", 1.0, "graph", "FormTrialError: its process was killed by SIGSEGV"),
        ("hangs", "right", 1.0, "graph", "FormTrialError: not done after 120 s in a process of its own"),
    ],
)
def test_own_kernels_are_used_only_where_they_are_right_and_fast(
    monkeypatch: pytest.MonkeyPatch, apart: str, here: str, seconds: float, chosen: str, said: str
) -> None:
    maker, tried, made_here = misbehaving(here), calibration._within, list[str]()
    taken = {"eager": 3.0, "graph": 2.0, "kernels": seconds}
    calls = []

    def within(limit: float, name: str, work: Any) -> calibration.Trial:
        made_here.append(name)
        trial = tried(0.2 if (name, here) == ("kernels", "hangs") else limit, name, work)
        return trial if trial.problem else replace(trial, seconds=taken[name])

    def apart_by(maker: Any, network: Any, device: Any, dtype: Any, rgb: Tensor, limit: float) -> Tensor:
        calls.append(limit)
        if apart == "killed":
            raise FormTrialError("its process was killed by SIGSEGV")
        if apart == "hangs":
            raise FormTrialError(f"not done after {limit:.0f} s in a process of its own")
        out: Tensor = as_folded(network, torch.device("cpu"), torch.float32).to(device)(rgb)
        return out * 0 if apart == "wrong" else out

    monkeypatch.setattr(cuda_backend, "compiled_forms", lambda *a, **k: {"kernels": maker})
    monkeypatch.setattr(cuda_backend, "run_apart", apart_by)
    monkeypatch.setattr(calibration, "_within", within)
    HUNG.clear()
    frames = noise(4)
    want = enlarged(frames, "cpu", "fp32")
    with CudaSimulation(capability=(8, 9)) as cuda:
        made = upscaler("cuda")
        got = through(made, frames)
        backend = made.fitted.backend
        assert isinstance(backend, CudaBackend) and backend.form == chosen
        assert stream_gap(want, got) <= 1 and cuda.races == []
        notes = [note for note in made.stats.notes if "kernels" in note]
        assert len(notes) == (1 if said else 0) and all(said in note for note in notes)
        assert ("kernels" in made_here) == (apart == "right"), "it ran here before it was right in its own process"
        again = upscaler("cuda")
        through(again, noise(4, (40, 24)))  # another size: no other process
        assert len(calls) == 1
        assert sum("kernels" in note for note in again.stats.notes) == len(notes)
        HUNG.set()


def test_own_kernels_that_fail_later_cost_no_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, maker = noise(6), misbehaving("right")
    want = enlarged(frames, "cpu", "fp32")
    monkeypatch.setattr(cuda_backend, "compiled_forms", lambda *a, **k: {"kernels": maker})
    with CudaSimulation(capability=(8, 9)):
        made = upscaler("cuda")
        backend = made.fitted.backend
        assert isinstance(backend, CudaBackend)
        backend._use("kernels")
        through(made, frames[:2])
        plain, calls = backend._runner, []
        assert plain is not None

        def failing(rgb: Tensor) -> Tensor:
            calls.append(len(rgb))
            if len(calls) == 2:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            out: Tensor = plain(rgb)
            return out

        backend._runner = failing
        got = through(made, frames)
        assert backend.form == "eager"
    assert stream_gap(want, got) <= 1
    assert sum("the kernels form is not used from now on: CUDA error" in note for note in made.stats.notes) == 1


def test_own_kernels_are_for_half_precision_and_matrix_instructions() -> None:
    network = tiny_rrdbnet().network
    own = {"kernels", "row kernels"} if find_spec("triton") else set[str]()
    for capability, dtype, fit in (
        ((8, 0), torch.float16, own - {"row kernels"}),
        ((12, 0), torch.bfloat16, own),
        ((7, 0), torch.float16, set()),
        ((7, 5), torch.float16, own - {"row kernels"}),
        ((7, 5), torch.bfloat16, set()),  # Turing multiplies fp16 alone
        ((9, 0), torch.float32, set()),
    ):
        assert set(compiled_forms(network, capability, dtype, asked=False)) == fit - {"row kernels"}
        assert set(compiled_forms(network, capability, dtype, asked=True)) == fit | {"compiled"}


def test_the_fastest_right_form_is_chosen_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def tried(candidate: Any, *rest: Any) -> calibration.Trial:
        begun.append(candidate.name)
        candidate.make()
        seconds = {"eager": 3.0, "graph": 1.0}[candidate.name]
        return calibration.Trial(name=candidate.name, decibels=70.0, seconds=seconds)

    monkeypatch.setattr(calibration, "_tried", tried)
    monkeypatch.setattr(GraphedSteps, "_is_graph_better", lambda *_: False)  # tests of its own
    with CudaSimulation():
        for _ in range(2):
            made = upscaler("cuda")
            through(made, noise(2))
            assert isinstance(made.fitted.backend, CudaBackend) and made.fitted.backend.form == "graph"
    assert begun == ["eager", "graph"], "the second time it is recalled"
    with CudaSimulation(capability=(7, 0), architectures=["sm_70"]):  # another GPU
        through(upscaler("cuda"), noise(2))
    assert begun == ["eager", "graph"] * 2


def test_of_two_nearly_as_fast_the_simpler_is_kept() -> None:
    def trial(name: str, seconds: float, problem: str = "") -> calibration.Trial:
        return calibration.Trial(name=name, decibels=70.0, seconds=seconds, problem=problem)

    assert calibration.best([trial("a", 1.0), trial("b", 0.99)]) == trial("a", 1.0)
    assert calibration.best([trial("a", 1.0), trial("b", 0.5)]) == trial("b", 0.5)
    assert calibration.best([trial("a", 1.0, "wrong"), trial("b", 2.0)]) == trial("b", 2.0)
    assert calibration.best([trial("a", 1.0, "wrong")]) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 9}', '{"schema": 1, "trials": {"k": [{"x": 1}]}}'])
def test_a_damaged_cache_is_only_a_cache(tmp_path: Path, content: str) -> None:
    calibration.cache_file().write_text(content)
    assert calibration.recalled("k") == ()
    trials = (calibration.Trial(name="eager", decibels=71.5, seconds=0.25),)
    calibration.remember("k", trials)
    assert calibration.recalled("k") == trials


# Which device


@pytest.mark.parametrize(
    ("capability", "built", "usable"),
    [
        ((6, 1), ["sm_75", "sm_80", "sm_90"], False),  # Pascal with a CUDA 13 build
        ((7, 5), ["sm_75", "sm_80"], True),
        ((8, 9), ["sm_75", "sm_80", "sm_86"], True),
        ((12, 0), ["sm_80", "sm_90", "compute_90"], True),  # compiles the newest PTX
        ((12, 0), ["sm_80", "sm_90"], False),
        ((9, 0), ["sm_90a"], True),
        ((5, 2), [], True),  # a build that does not say
    ],
)
def test_a_gpu_without_kernels_in_this_build(capability: Any, built: list[str], usable: bool, caplog: Any) -> None:
    with CudaSimulation(capability=capability, architectures=built):
        assert choose_device("auto") == (torch.device("cuda:0") if usable else torch.device("cpu"))
        if usable:
            assert choose_device("cuda") == torch.device("cuda:0")
        else:
            with pytest.raises(OptionsError, match=r"compute capability .* has no kernels in this PyTorch .*: install"):
                choose_device("cuda:0")
            assert "using the CPU" in caplog.text


def test_rocm_gets_no_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.delenv("PYTORCH_MIOPEN_SUGGEST_NHWC", raising=False)
    frames = noise(3)
    with CudaSimulation(architectures=["gfx1100"]) as cuda:
        made = upscaler("cuda")
        assert stream_gap(enlarged(frames, "cpu", "fp32"), through(made, frames)) <= 1
    assert cuda.captures == 0


def test_memory_of_apple_and_intel_gpus_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    mps = SimpleNamespace(
        recommended_max_memory=lambda: 10 << 30, driver_allocated_memory=lambda: 3 << 30, empty_cache=lambda: None
    )
    monkeypatch.setattr(torch, "mps", mps)
    assert free_bytes(torch.device("mps")) == 7 << 30
    xpu = SimpleNamespace(is_available=lambda: True, mem_get_info=lambda d: (5 << 30, 8 << 30))
    monkeypatch.setattr(torch, "xpu", xpu)
    assert free_bytes(torch.device("xpu")) == 5 << 30
    assert choose_device("xpu") == torch.device("xpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("xpu")


def test_what_counts_as_out_of_memory() -> None:
    assert is_out_of_memory(RuntimeError("Unable to find an engine to execute this computation"))
    hidden = RuntimeError("CUDA error: operation failed due to a previous error during capture")
    hidden.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    assert is_out_of_memory(hidden)
    assert not is_out_of_memory(RuntimeError("expected scalar type Half"))


def test_pinned_copies_do_not_spin() -> None:
    with CudaSimulation():
        transfer = device_copy.Transfer(torch.device("cuda:0"))
        _, wait = transfer.download([torch.zeros(2, device="cuda:0")])
        assert wait.__self__.blocking is True  # type: ignore[attr-defined]
