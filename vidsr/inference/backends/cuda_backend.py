"""The network on a CUDA (or ROCm) device: several forms, of which the fastest correct one is used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from vidsr.inference.backends.backend import Model, as_folded
from vidsr.inference.backends.calibration import (
    Candidate,
    Runner,
    best,
    calibrate,
    first_line,
    gpu_facts,
    outcomes,
    recalled,
    remember,
    sentences,
)
from vidsr.inference.device import DTYPES, Precision, is_out_of_memory
from vidsr.inference.forms import cuda_graphs
from vidsr.inference.forms.compiled_forms import compiled_forms
from vidsr.inference.forms.cuda_graphs import Graphed
from vidsr.inference.forms.form_table import folded_bytes_per_pixel
from vidsr.inference.forms.trial_process import Maker, run_apart

#: Sides of the crop on which candidates are compared with fp32.
_CROP_PX = 256
#: Pictures that may overflow in half precision before the whole job is computed in fp32.
_OVERFLOWS = 3
#: How long a form may take in a process of its own, compilation included: own kernels take half a minute of one core.
_APART_SECONDS = 120.0
#: Where ``torch.compile`` was asked for, which takes minutes.
_PATIENT_SECONDS = 300.0


class CudaBackend:
    """The network in half or full precision on one GPU.

    The forms, simplest first: ``eager`` (folded, channels last, cuDNN), ``graph`` (the same as a CUDA graph), and those
    of :mod:`vidsr.inference.forms.compiled_forms`, as graphs too: own kernels; and, if ``compiled``, more of them.
    The first input decides; see :mod:`vidsr.inference.backends.calibration`. A form that fails later is dropped, a
    graph for the whole process, and the eager form takes over.

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
        self._graphs: list[Graphed[Tensor]] = []
        self._exact: nn.Module | None = None
        self._overflows = 0
        self._fullest: dict[tuple[int, int], int] = {}
        self._runner: Runner | None = None
        self.notes: list[str] = []
        self.form = form
        if form is not None:
            self._use(form)

    def __call__(self, rgb: Tensor) -> Tensor:
        """See :class:`~vidsr.inference.backends.backend.Backend`."""
        if self._runner is None:
            self._choose(rgb)
        try:
            return self._run(rgb)
        except Exception as error:
            self._forget_graphs()
            self._fullest.clear()
            if self.form == "eager" or is_out_of_memory(error):
                raise
            what = "CUDA graphs are" if self.form == "graph" else f"the {self.form} form is"
            if self.form != "compiled":
                cuda_graphs.give_up()
            self.notes.append(f"{what} not used from now on: {first_line(error)}")
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
        self._forget_graphs()
        self._graphs.clear()
        self.form = form
        self._runner = self._runners()[form]()

    def _runners(self) -> dict[str, Callable[[], Runner]]:
        """Name → what makes a runner: float32 RGB to float32 RGB in memory of its own."""
        dtype = self._dtype

        def given(rgb: Tensor) -> Tensor:
            return rgb.to(dtype=dtype, memory_format=torch.channels_last)

        def planar(out: Tensor, *, copy: bool) -> Tensor:
            """Channel by channel, as what follows reads it; the conversion to float32 is a pass anyway."""
            return out.to(torch.float32, memory_format=torch.contiguous_format, copy=copy)

        def eager() -> Runner:
            return lambda rgb: planar(self._eager(given(rgb)), copy=False)

        def graph(run: Callable[[Tensor], Tensor]) -> Runner:
            graphed = Graphed(run)
            self._graphs.append(graphed)
            # A copy: the result lies where the next replay writes.
            return lambda rgb: planar(graphed(given(rgb)), copy=True)

        def made(maker: Maker, *, as_graph: bool) -> Runner:
            run = maker(self._model.network, self._device, dtype)
            return graph(run) if as_graph else lambda rgb: planar(run(rgb), copy=False)

        forms: dict[str, Callable[[], Runner]] = {"eager": eager}
        if cuda_graphs.usable():
            forms["graph"] = lambda: graph(self._eager)
        for name, maker in self._makers().items():
            forms[name] = partial(made, maker, as_graph=cuda_graphs.usable() and name != "compiled")
        return forms

    def _makers(self) -> dict[str, Maker]:
        """The forms to compile; they are tried in a process of their own first."""
        if torch.version.hip is not None and not self._compiled:
            return {}  # tiled for the matrix instructions and copies of NVIDIA's GPUs
        capability = torch.cuda.get_device_capability(self._device)
        return compiled_forms(self._model.network, capability, self._dtype, asked=self._compiled)

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
            earlier = outcomes(key.rpartition(" | ")[0] + " | ")
            failed = [earlier[name] for name in self._makers() if name in earlier and earlier[name].problem]
            candidates = [
                Candidate(name=name, make=self._on_device(make), apart=None if name in earlier else self._apart(name))
                for name, make in forms.items()
                if name not in {trial.name for trial in failed}
            ]
            height, width = rgb.shape[-2:]
            top, left = max(0, height - _CROP_PX) // 2, max(0, width - _CROP_PX) // 2
            crop = rgb[:1, :, top : top + _CROP_PX, left : left + _CROP_PX].contiguous()
            apart_seconds = _PATIENT_SECONDS if self._compiled else _APART_SECONDS
            found = calibrate(
                candidates, crop, rgb, reference=self._in_fp32, wait=self._wait, apart_seconds=apart_seconds
            )
            trials = (*found, *failed)
            self._forget_graphs()
            if self._dtype != torch.float32:
                self._exact = None  # its weights were for the comparison
            chosen = best(trials)
            if chosen is not None:
                remember(key, trials)
        self.notes.extend(sentences(trials))
        if any(trial.name == "graph" and trial.problem and "memory" not in trial.problem for trial in trials):
            cuda_graphs.give_up()
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
        parts = (
            *gpu_facts(self._device),
            f"{self._model.architecture} {getattr(self._model, 'sha256', '')}",
            str(self._dtype).removeprefix("torch."),
            f"{len(rgb)}x{width}x{height}",
        )
        return " | ".join(parts)

    def exact(self, rgb: Tensor) -> Tensor:
        """See :class:`~vidsr.inference.backends.backend.Backend`; after a few overflows the rest of the job is fp32."""
        self._overflows += 1
        if self._overflows == _OVERFLOWS and self._dtype != torch.float32:
            self.notes.append("half precision overflowed several times: all further frames are computed in fp32")
            full = self._fp32()
            self.release()
            self._dtype, self._eager = torch.float32, full
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
        self._forget_graphs()
        self._fullest.clear()
        self._exact = None

    def _forget_graphs(self) -> None:
        for graphed in self._graphs:
            graphed.forget()

    def bytes_per_pixel(self, height: int, width: int) -> float:
        """See :class:`~vidsr.inference.backends.backend.Backend`."""
        return folded_bytes_per_pixel(self._model.network, self._model.scale, self._dtype, (height, width))
