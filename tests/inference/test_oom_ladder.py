"""Memory that really runs out, and runs out at any moment: no frame is lost, and what worked is remembered."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.support import processes
from tests.support.frames import largest_gap, noise_frame
from tests.support.networks import identity
from vidsr.inference.backends.backend import Backend, TorchBackend
from vidsr.inference.oom_ladder import Fitted
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions

OPTIONS = ModelOptions(device="cpu", precision="fp32")


class FailsAt:
    """A backend that runs out of memory at certain calls, before or after it has computed."""

    name = "fails"

    def __init__(self, inner: Backend, calls: Sequence[int], *, afterwards: bool) -> None:
        self.inner, self.calls, self.afterwards = inner, calls, afterwards
        self.batches: list[tuple[int, int, int]] = []
        self.notes: list[str] = []

    def __call__(self, rgb: Tensor) -> Tensor:
        number = len(self.batches)
        self.batches.append((len(rgb), rgb.shape[2], rgb.shape[3]))
        out = self.inner(rgb) if self.afterwards else None
        if number in self.calls:
            raise torch.OutOfMemoryError("CUDA out of memory (made up)")
        return self.inner(rgb) if out is None else out

    def exact(self, rgb: Tensor) -> Tensor:
        return self.inner.exact(rgb)

    def release(self) -> None:
        self.inner.release()

    def bytes_per_pixel(self, height: int, width: int) -> float:
        return 1.0


@pytest.mark.parametrize("afterwards", [False, True])
@pytest.mark.parametrize("calls", [[0], [1], [2], [0, 1], [1, 2], [0, 1, 2], [0, 1, 2, 3]])
def test_out_of_memory_at_any_call(calls: list[int], afterwards: bool) -> None:
    frames = [noise_frame("yuv420p", (96, 80), index=i, seed=i) for i in range(9)]
    model = identity(2)

    def run(backend: Backend) -> tuple[list[Sequence[object]], Upscaler]:
        upscaler = Upscaler(replace(OPTIONS, batch=4), model=model, backend=backend)
        return list(upscaler.stream((192, 160), frames[0].format)(iter(frames))), upscaler  # type: ignore[arg-type]

    plain = TorchBackend(model, torch.device("cpu"), "fp32")
    failing = FailsAt(plain, calls, afterwards=afterwards)
    (expected, _), (results, upscaler) = run(plain), run(failing)
    assert len(results) == len(frames)
    assert max(largest_gap(a.planes, b.planes) for a, b in zip(expected, results, strict=True)) == 0  # type: ignore[attr-defined]
    assert len(upscaler.stats.notes) == len(calls)
    # Remembered: nothing larger than what failed last is tried again.
    failed = failing.batches[calls[-1]]
    for batch in failing.batches[calls[-1] + 1 :]:
        assert batch[0] < failed[0] or batch[1] * batch[2] < failed[1] * failed[2]


class FailsOnce(FailsAt):
    """A backend whose fp32 path runs out of memory at its first call."""

    def exact(self, rgb: Tensor) -> Tensor:
        if not self.failed:
            self.failed = True
            raise torch.OutOfMemoryError("CUDA out of memory (made up)")
        return super().exact(rgb)

    failed = False


def test_smaller_steps_for_repairs_do_not_slow_the_other_frames_down() -> None:
    model, rgb = identity(2), torch.rand(2, 3, 64, 64)
    plain = TorchBackend(model, torch.device("cpu"), "fp32")
    fitted = Fitted(FailsOnce(plain, [], afterwards=False), model, torch.device("cpu"), 2, None)
    torch.testing.assert_close(fitted.exact(rgb), plain(rgb), atol=1e-5, rtol=0)
    assert [note.startswith("out of memory: tiles of 32 px") for note in fitted.notes] == [True]
    assert torch.equal(fitted(rgb), plain(rgb))
    assert fitted.tile is None and fitted.backend.batches == [(2, 64, 64)]  # type: ignore[attr-defined]


LIMITED = """
import resource, sys
from dataclasses import replace
import torch
from tests.support.frames import largest_gap, noise_frame
from tests.support.networks import tiny_rrdbnet
from vidsr.inference.upscaler import Upscaler
from vidsr.options.enhance_options import ModelOptions

torch.set_num_threads(1)
frames = [noise_frame("yuv420p", (400, 300), index=i, seed=i) for i in range(2)]
options = ModelOptions(device="cpu", precision="fp32", batch=1, backend=sys.argv[1])

def run():
    upscaler = Upscaler(options, model=tiny_rrdbnet(), backend=None)
    assert upscaler.fitted.backend.name == sys.argv[1]
    return list(upscaler.stream((800, 600), frames[0].format)(iter(frames))), upscaler.stats.notes

limited = frames[:]
before = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
_, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (before + int(sys.argv[2]) * 2**20, hard))
results, notes = run()
resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
expected, none = run()
assert not none, none
assert notes and all("out of memory: tiles of" in note for note in notes), notes
assert len(results) == len(expected) == 2
print(len(notes), max(largest_gap(a.planes, b.planes) for a, b in zip(expected, results)))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's address space as Linux does")
@pytest.mark.parametrize(("backend", "mib"), [("winograd", 300), ("torch", 130)])
def test_memory_that_really_runs_out(backend: str, mib: int) -> None:
    done = processes.run(
        [sys.executable, "-c", LIMITED, backend, str(mib)], capture_output=True, text=True, check=False
    )
    if "needs a CPU" in done.stderr:
        pytest.skip("no C compiler, so no Winograd kernels")
    assert done.returncode == 0, done.stderr
    notes, gap = map(int, done.stdout.split())
    assert 1 <= notes <= 3 and gap <= 1


def test_the_peak_of_a_process_is_its_own() -> None:
    """Not that of the process that started it, which is what Linux's ``ru_maxrss`` begins at."""
    ballast = bytearray(900 << 20)
    program = "from vidsr.system_memory import peak_bytes; print(peak_bytes())"
    done = processes.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 5 << 20 < int(done.stdout) < len(ballast)
