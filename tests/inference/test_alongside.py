"""The thread in which a CPU's results are finished: order, bytes, errors, memory, and its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor

from tests.support.frames import largest_gap, noise_frame
from tests.support.networks import tiny_rrdbnet
from vidsr.filters.after.post import post_steps
from vidsr.frames import Frame
from vidsr.inference.alongside import Alongside
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions

OPTIONS = ModelOptions(device="cpu", precision="fp32", batch=2)


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """PyTorch's number of threads; with one there is no finishing thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def frames_of(count: int) -> list[Frame]:
    return [noise_frame("yuv420p", (48, 40), index=i, seed=i - i // 4) for i in range(count)]


def stream_of(post: Sequence[Callable[..., Tensor]]) -> Callable[[Iterator[Frame]], Iterator[Frame]]:
    upscaler = Upscaler(OPTIONS, model=tiny_rrdbnet(), post=post)  # type: ignore[arg-type]
    return upscaler.stream((192, 160), frames_of(1)[0].format)


def finishing_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("vidsr-finish")]


class Step:
    """Does something on certain calls, from a count that it keeps as a step keeps its memory."""

    def __init__(self, act: Callable[[int], None]) -> None:
        self.seen, self.calls, self.act = 0, [0], act

    def reset(self) -> None:
        self.seen = 0

    def __call__(self, source: Tensor, out: Tensor, frames: Sequence[Frame]) -> Tensor:
        self.seen += 1
        self.calls[0] += 1
        self.act(self.calls[0])
        return out + self.seen / 255


def test_results_do_not_depend_on_the_thread(threads: int) -> None:
    frames = frames_of(11)
    steps = post_steps(RestoreOptions(stabilize=0.5, grain=0.5))
    made = list(stream_of(steps)(iter(frames)))
    torch.set_num_threads(1)
    expected = list(stream_of(steps)(iter(frames)))
    assert [f.index for f in made] == list(range(11))
    assert max(largest_gap(a.planes, b.planes) for a, b in zip(made, expected, strict=True)) == 0
    assert not finishing_threads()


def test_steps_run_in_a_thread_of_one_core_where_there_are_several(threads: int) -> None:
    seen: set[tuple[bool, int]] = set()
    main = threading.current_thread()
    step = Step(lambda call: seen.add((threading.current_thread() is main, torch.get_num_threads())))
    list(stream_of([step])(iter(frames_of(5))))
    assert seen == {(threads == 1, 1)}
    fresh: list[int] = []
    other = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert fresh == [threads] and torch.get_num_threads() == threads


@pytest.mark.parametrize("call", [1, 3, 4, 9])
def test_an_error_of_a_step_is_raised_and_the_thread_ends(threads: int, call: int) -> None:
    def fail(number: int) -> None:
        if number == call:
            raise ValueError("a step failed")

    with pytest.raises(ValueError, match="a step failed"):
        list(stream_of([Step(fail)])(iter(frames_of(9))))
    assert not finishing_threads()


@pytest.mark.parametrize("call", [1, 3, 4, 9])
def test_a_step_that_runs_out_of_memory_costs_no_frame_and_no_state(threads: int, call: int) -> None:
    def fail(number: int) -> None:
        if number == call:
            raise MemoryError

    frames = frames_of(9)
    expected = list(stream_of([Step(lambda number: None)])(iter(frames)))
    made = list(stream_of([Step(fail)])(iter(frames)))
    assert [f.index for f in made] == list(range(9))
    assert max(largest_gap(a.planes, b.planes) for a, b in zip(made, expected, strict=True)) == 0


def test_a_consumer_that_stops_ends_the_thread(threads: int) -> None:
    results = stream_of([Step(lambda number: None)])(iter(frames_of(9)))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not finishing_threads()


def test_no_more_than_one_batch_is_computed_ahead(threads: int) -> None:
    """Memory stays bounded: frames are read no further than the batches that are under way."""
    read = [0]

    def counted() -> Iterator[Frame]:
        for frame in frames_of(20):
            read[0] += 1
            yield frame

    for number, _ in enumerate(stream_of([])(counted()), 1):
        assert read[0] <= number + 3 * OPTIONS.batch  # type: ignore[operator]


@pytest.mark.parametrize("threaded", [False, True])
def test_alone(threaded: bool) -> None:
    with Alongside[int](threaded) as alongside:
        for number in range(3):
            assert not alongside.is_busy
            alongside.start(lambda number=number: number + 1)  # type: ignore[misc]
            assert alongside.is_busy
            assert alongside.result() == number + 1
    assert not finishing_threads()
