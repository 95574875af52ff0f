"""The network on a CUDA (or ROCm) device: several forms, of which the fastest correct one is used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, nn

from vidsr.inference.backend import Model, as_folded
from vidsr.inference.calibration import Candidate, Runner, best, calibrate, first_line, recalled, remember, sentences
from vidsr.inference.device import DTYPES, Precision, is_out_of_memory, is_rocm
from vidsr.inference.forms.compiled_forms import compiled_forms
from vidsr.inference.forms.cuda_graphs import Graphed
from vidsr.inference.forms.form_table import folded_bytes_per_pixel
from vidsr.inference.forms.trial_process import Maker, run_apart

#: Sides of the crop on which candidates are compared with fp32.
_CROP_PX = 256
#: Pictures that may overflow in half precision before the whole job is computed in fp32.
_OVERFLOWS = 3

#: Set when a capture or a replay failed in this process: PyTorch's allocator may not recover from that, so no other
#: graph is tried.
_graphs_failed = False


class CudaBackend:
    """The network in half or full precision on one GPU.

    The forms, simplest first: ``eager`` (folded, channels last, cuDNN), ``graph`` (the same as a CUDA graph), and, if
    ``compiled``, those of :mod:`vidsr.inference.forms.compiled_forms`. The first input decides; see
    :mod:`vidsr.inference.calibration`. A graph that fails later is dropped for this process, and the eager form takes
    over.

    Args:
        form: use this form without calibration.

    ``notes`` gets one sentence for each form that cannot be used here.
    """

    name = "torch"

    def __init__(
        self,
        model: Model,
        device: torch.device,
        precision: Precision,
        *,
        compiled: bool = False,
        form: str | None = None,
    ) -> None:
        self._model = model
        self._device = device
        self._dtype = DTYPES[precision]
        self._compiled = compiled
        self._eager = as_folded(model.network, device, self._dtype)
        self._graphed = Graphed(self._eager)
        self._exact: nn.Module | None = None
        self._overflows = 0
        self._fullest: dict[tuple[int, int], int] = {}
        self._runner: Runner | None = None
        self.notes: list[str] = []
        self.form = form
        if form is not None:
            self._use(form)

    def __call__(self, rgb: Tensor) -> Tensor:
        """See :class:`~vidsr.inference.backend.Backend`."""
        if self._runner is None:
            self._choose(rgb)
        try:
            return self._run(rgb)
        except Exception as error:
            self._graphed.forget()
            self._fullest.clear()
            if self.form != "graph" or is_out_of_memory(error):
                raise
            _give_graphs_up()
            self.notes.append(f"CUDA graphs are not used from now on: {first_line(error)}")
        self._use("eager")
        return self._run(rgb)

    def _run(self, rgb: Tensor) -> Tensor:
        assert self._runner is not None
        if self.form == "eager":
            return self._runner(rgb)
        # Graphs and compiled networks belong to one shape: a partial batch is padded instead of captured again.
        height, width = rgb.shape[-2:]
        count = len(rgb)
        full = self._fullest[height, width] = max(count, self._fullest.get((height, width), 0))
        if count < full:
            rgb = torch.cat((rgb, rgb[-1:].expand(full - count, -1, -1, -1)))
        return self._runner(rgb)[:count]

    def _use(self, form: str) -> None:
        self.form = form
        self._runner = self._runners()[form]()

    def _runners(self) -> dict[str, Callable[[], Runner]]:
        """Name → what makes a runner: float32 RGB to float32 RGB in memory of its own."""
        dtype = self._dtype

        def given(rgb: Tensor) -> Tensor:
            return rgb.to(dtype=dtype, memory_format=torch.channels_last)

        def eager() -> Runner:
            return lambda rgb: self._eager(given(rgb)).float()

        def graph() -> Runner:
            def run(rgb: Tensor) -> Tensor:
                out = self._graphed(given(rgb))
                # The result lies where the next replay writes. .float() copies it, but not from float32.
                return out.clone() if out.dtype == torch.float32 else out.float()

            return run

        forms: dict[str, Callable[[], Runner]] = {"eager": eager}
        if not (_graphs_failed or is_rocm()):
            forms["graph"] = graph
        for name, maker in self._makers().items():
            forms[name] = partial(maker, self._model.network, self._device, dtype)
        return forms

    def _makers(self) -> dict[str, Maker]:
        """The forms to compile, if they were asked for; they are tried in a process of their own first."""
        if not self._compiled:
            return {}
        capability = torch.cuda.get_device_capability(self._device)
        return compiled_forms(self._model.network, capability, self._dtype)

    def _choose(self, rgb: Tensor) -> None:
        """Calibrate on the first input, or recall what was chosen before for this model and size."""
        forms = self._runners()
        if len(forms) == 1:
            self._use("eager")
            return
        key = self._key(rgb)
        trials = recalled(key)
        chosen = best([trial for trial in trials if trial.name in forms])
        if chosen is None:
            candidates = [
                Candidate(name=name, make=self._on_device(make), apart=self._apart(name))
                for name, make in forms.items()
            ]
            height, width = rgb.shape[-2:]
            top, left = max(0, height - _CROP_PX) // 2, max(0, width - _CROP_PX) // 2
            crop = rgb[:1, :, top : top + _CROP_PX, left : left + _CROP_PX].contiguous()
            trials = calibrate(candidates, crop, rgb, reference=self._in_fp32, wait=self._wait)
            self._graphed.forget()
            chosen = best(trials)
            if chosen is not None:
                remember(key, trials)
        self.notes.extend(sentences(trials))
        if any(trial.name == "graph" and trial.problem and "memory" not in trial.problem for trial in trials):
            _give_graphs_up()
        self._use("eager" if chosen is None else chosen.name)

    def _apart(self, name: str) -> Callable[[Tensor, float], Tensor] | None:
        maker = self._makers().get(name)
        return None if maker is None else partial(run_apart, maker, self._model.network, self._device, self._dtype)

    def _on_device(self, make: Callable[[], Runner]) -> Callable[[], Runner]:
        """``make`` on this backend's device, whatever the calling thread's current one is."""

        def made() -> Runner:
            runner = make()

            def run(rgb: Tensor) -> Tensor:
                with torch.cuda.device(self._device):
                    return runner(rgb)

            return run

        return made

    def _wait(self) -> None:
        torch.cuda.synchronize(self._device)

    def _key(self, rgb: Tensor) -> str:
        height, width = rgb.shape[-2:]
        major, minor = torch.cuda.get_device_capability(self._device)
        parts = (
            torch.cuda.get_device_name(self._device),
            f"sm_{major}{minor}",
            f"torch {torch.__version__} cuda {torch.version.cuda} driver {_driver()}",
            f"triton {_version('triton')}",
            f"{self._model.architecture} {getattr(self._model, 'sha256', '')}",
            str(self._dtype).removeprefix("torch."),
            f"{len(rgb)}x{width}x{height}",
        )
        return " | ".join(parts)

    def exact(self, rgb: Tensor) -> Tensor:
        """See :class:`~vidsr.inference.backend.Backend`. After a few overflows the rest of the job runs in fp32."""
        self._overflows += 1
        if self._overflows == _OVERFLOWS and self._dtype != torch.float32:
            self.notes.append("half precision overflowed several times: all further frames are computed in fp32")
            full = self._fp32()
            self.release()
            self._dtype, self._eager = torch.float32, full
            self._graphed = Graphed(self._eager)
            self._use("eager")
        return self._in_fp32(rgb)

    def _in_fp32(self, rgb: Tensor) -> Tensor:
        out: Tensor = self._fp32()(rgb.float().contiguous(memory_format=torch.channels_last))
        return out

    def _fp32(self) -> nn.Module:
        if self._dtype == torch.float32:
            return self._eager
        if self._exact is None:
            self._exact = as_folded(self._model.network, self._device, torch.float32)
        return self._exact

    def release(self) -> None:
        """Give back the memory that graphs and the fp32 form hold."""
        self._graphed.forget()
        self._fullest.clear()
        self._exact = None

    def bytes_per_pixel(self, height: int, width: int) -> float:
        """See :class:`~vidsr.inference.backend.Backend`."""
        return folded_bytes_per_pixel(self._model.network, self._model.scale, self._dtype, (height, width))


def _give_graphs_up() -> None:
    global _graphs_failed  # noqa: PLW0603 - belongs to the process, as the allocator does that it is about
    _graphs_failed = True
    logging.getLogger(__name__).info("CUDA graphs are not used any more in this process")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _driver() -> str:
    try:
        return Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        return "unknown"
