"""What follows the network as one CUDA graph, on the simulated device: the same planes, or none of its doing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.cuda_simulation import CudaSimulation
from tests.support.frames import noise_frame, stream_gap, through
from tests.support.networks import identity
from vidsr.filters.after.post import post_steps
from vidsr.frames import Frame
from vidsr.inference.backends import calibration
from vidsr.inference.forms import cuda_graphs, graphed_steps
from vidsr.inference.forms.cuda_graphs import Graphed
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions

SIZE = (36, 34)


@pytest.fixture(autouse=True)
def calibration_starts_over(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cuda_graphs, "_failed", False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def noise(count: int, form: str = "yuv420p", size: tuple[int, int] = SIZE) -> list[Frame]:
    return [noise_frame(form, size, index=i, seed=i) for i in range(count)]


def upscaler(device: str, *, steps: bool = True, form: str | None = None) -> Upscaler:
    chosen = ModelOptions(device=device, precision="fp32", batch=2)
    made = Upscaler(chosen, model=identity(4), post=post_steps(RestoreOptions()) if steps else ())
    if made.graphed is not None and form is not None:
        made.graphed._asked = form
    return made


@pytest.mark.parametrize(
    ("steps", "pixels", "size"),
    [(True, "yuv420p", SIZE), (False, "yuv420p", SIZE), (True, "yuv444p10le", SIZE), (True, "yuv420p10le", (33, 35))],
)
def test_the_graph_makes_the_planes_of_the_cpu_and_nothing_waits(
    steps: bool, pixels: str, size: tuple[int, int]
) -> None:
    frames = noise(5, pixels, size)  # the last batch is not full
    want = through(upscaler("cpu", steps=steps), frames)
    with CudaSimulation() as cuda:
        made = upscaler("cuda", steps=steps, form="graph")
        through(made, frames[:2])
        cuda.blocking.clear()
        cuda.captures = cuda.replays = 0
        got = through(made, frames)
        assert made.graphed is not None and made.graphed.form == "graph"
    assert cuda.blocking == [] and cuda.races == []
    assert cuda.captures == 0 and cuda.replays >= 2
    assert stream_gap(want, got) <= 1 and made.stats.notes == []


def test_the_faster_way_is_used_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    seconds = {"eager": 2.0, "graph": 1.0}

    def trial(candidate: Any, *rest: Any) -> calibration.Trial:
        tried.append(candidate.name)
        return calibration.Trial(name=candidate.name, decibels=100.0, seconds=seconds.get(candidate.name, 1.0))

    monkeypatch.setattr(calibration, "_tried", trial)
    with CudaSimulation():
        for _ in range(2):
            made = upscaler("cuda")
            through(made, noise(4))
            assert made.graphed is not None and made.graphed.form == "graph"
        assert tried[-2:] == ["eager", "graph"] and tried.count("graph") == 2, (
            "once for the network, once for the steps"
        )
        seconds["graph"] = 3.0
        through(made, noise(4, size=(40, 34)))
        assert made.graphed.form == "eager"


class Marked(Graphed[Any]):
    """A graph whose planes are wrong, as those of a capture that left a kernel out."""

    def __call__(self, *tensors: Tensor) -> Any:
        made = super().__call__(*tensors)
        return [plane + 9 for plane in made] if isinstance(made, list) else made


def test_a_graph_that_makes_other_planes_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noise(4)
    want = through(upscaler("cpu"), frames)
    monkeypatch.setattr(graphed_steps, "Graphed", Marked)
    with CudaSimulation():
        made = upscaler("cuda")
        got = through(made, frames)
        assert made.graphed is not None and made.graphed.form == "eager"
    assert stream_gap(want, got) <= 1
    assert [note for note in made.stats.notes if "graph form is not used here: a different picture" in note]


@pytest.mark.parametrize("memory", [False, True], ids=["broken", "out of memory"])
def test_a_graph_that_fails_later_costs_no_frame(monkeypatch: pytest.MonkeyPatch, memory: bool) -> None:
    frames = noise(6)
    want = through(upscaler("cpu"), frames)
    with CudaSimulation() as cuda:
        made = upscaler("cuda", form="graph")
        through(made, frames[:2])
        assert made.graphed is not None and made.graphed._graph is not None
        graph, calls = made.graphed._graph, []

        class Failing:
            forget = graph.forget

            def __call__(self, *tensors: Tensor) -> Any:
                calls.append(1)
                if len(calls) == 2:
                    raise torch.OutOfMemoryError("CUDA out of memory") if memory else RuntimeError("illegal access")
                return graph(*tensors)

        monkeypatch.setattr(made.graphed, "_graph", Failing())
        got = through(made, frames)
        assert made.graphed.form == "eager"
    assert stream_gap(want, got) <= 1 and cuda.races == []
    assert any(("out of memory" if memory else "graphs are not used from now on") in note for note in made.stats.notes)
    assert cuda_graphs.usable() is memory


@pytest.mark.parametrize(("spare", "form"), [(0, "graph"), (-1, "eager")])
def test_a_graph_that_would_take_much_of_the_memory_is_not_made(
    monkeypatch: pytest.MonkeyPatch, spare: int, form: str
) -> None:
    result = 2 * 3 * 16 * SIZE[0] * SIZE[1]
    room = int(graphed_steps._KEPT_BYTES * result / graphed_steps._MEMORY_SHARE)
    monkeypatch.setattr(graphed_steps, "free_bytes", lambda device: room + spare)
    with CudaSimulation():
        made = upscaler("cuda", form="graph")
        through(made, noise(2))
        assert made.graphed is not None and made.graphed.form == form


def test_what_a_graph_keeps_is_what_was_estimated() -> None:
    source, out = torch.rand(1, 3, 64, 96), torch.rand(1, 3, 256, 384)
    with CudaSimulation() as cuda, torch.inference_mode():
        made = upscaler("cuda", form="eager")
        stages = made.stream((384, 256), noise(1)[0].format)._stages
        frame = noise(1, size=(96, 64))[0]
        there, result = source.to("cuda:0"), out.to("cuda:0")

        def planes() -> Any:
            from vidsr.inference.batch_stages import _Pictures

            return stages._quantise(stages._after(_Pictures(there, result, None), [frame], stages._post), frame)

        planes()
        device = torch.device("cuda:0")
        before = cuda.live_bytes[device]
        cuda.peak_bytes.clear()
        planes()
        working = cuda.peak_bytes[device] - before
    copies = 4 * (source.numel() + out.numel())
    measured = (working + copies) / out.numel()
    assert measured <= graphed_steps._KEPT_BYTES <= 1.5 * measured, measured


class Looking:
    """A step that decides on the host by what it sees."""

    warmup, stateless, data_dependent = 0, True, True

    def __init__(self) -> None:
        self.shapes: list[int] = []

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        self.shapes.append(len(out))
        return out.flip(-1) if bool(source.mean() > 0) else out

    def reset(self) -> None:
        pass


def test_a_step_that_looks_runs_ahead_of_the_graph() -> None:
    frames, looking = noise(5), Looking()
    steps = [looking, *post_steps(RestoreOptions())]
    expected = through(Upscaler(ModelOptions(device="cpu", batch=2), model=identity(4), post=steps), frames)
    looking.shapes.clear()
    with CudaSimulation():
        made = Upscaler(ModelOptions(device="cuda", precision="fp32", batch=2), model=identity(4), post=steps)
        assert made.graphed is not None
        made.graphed._asked = "graph"
        got = through(made, frames)
        assert made.graphed.form == "graph"
    assert looking.shapes == [2, 2, 1], "not captured, and not repeated for the calibration"
    assert stream_gap(expected, got) <= 1


class Counting:
    """A step that changes nothing and counts its pictures."""

    warmup = 0

    def __init__(self, *, stateless: bool) -> None:
        self.stateless, self.pictures = stateless, 0

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        self.pictures += len(out)
        return out

    def reset(self) -> None:
        pass


@pytest.mark.parametrize(("stateless", "pictures"), [(True, 3), (False, 7)])
def test_steps_without_state_are_not_repeated_for_repeated_frames(stateless: bool, pictures: int) -> None:
    drawn = noise(3)
    frames = [replace(drawn[n], index=i, pts=i) for i, n in enumerate((0, 0, 0, 1, 1, 2, 2))]
    step = Counting(stateless=stateless)
    made = Upscaler(ModelOptions(device="cpu", batch=2), model=identity(2), post=[step])
    got = through(made, frames)
    assert step.pictures == pictures
    assert stream_gap(through(Upscaler(ModelOptions(device="cpu"), model=identity(2)), frames), got) == 0
