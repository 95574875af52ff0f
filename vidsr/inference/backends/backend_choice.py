"""Backends by name, and which one is best here."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidsr.errors import OptionsError
from vidsr.inference.backends.backend import Backend, Model, TorchBackend
from vidsr.inference.backends.calibration import compared, recalled, remember, sentences
from vidsr.inference.backends.cuda_backend import CudaBackend
from vidsr.inference.device import Precision
from vidsr.inference.forms import winograd_library
from vidsr.inference.forms.form_table import FORMS, CpuForm, winograd_form
from vidsr.models.openvino import load_openvino

#: Side of the crop on which the C kernels are compared with the plain network, in source pixels.
_CROP_PX = 48


def choose_backend(
    name: str, model: Model, device: torch.device, precision: Precision, *, compiled: bool = False
) -> Backend:
    """The backend for ``--backend``: auto takes the Winograd kernels for fp32 on a CPU, and PyTorch otherwise.

    Raises:
        OptionsError: the backend cannot run this model here.
        MissingExtraError: its library is not installed.
    """
    if name == "openvino":
        if device.type != "cpu":
            raise OptionsError(f"--backend openvino computes on the CPU, not on {device}: give --device cpu")
        return OpenVinoBackend(model, precision)
    if name == "winograd" or (name == "auto" and device.type == "cpu" and precision == "fp32" and not compiled):
        backend = _winograd(model) if device.type == "cpu" and precision == "fp32" else None
        if backend is not None:
            return backend
        if name == "winograd":
            raise OptionsError(
                "--backend winograd needs a CPU, --precision fp32, a C compiler (gcc or clang) and a model of the "
                f"architecture {' or '.join(name for name, forms in FORMS.items() if forms.winograd)}; "
                "--backend torch always works"
            )
    if device.type == "cuda":
        return CudaBackend(model, device, precision, compiled=compiled)
    return TorchBackend(model, device, precision, compiled=compiled)


def _winograd(model: Model) -> Backend | None:
    library = winograd_library.library()
    form = None if library is None else winograd_form(model.network, library)
    # The file's name has a digest of the source, the compiler and the processor.
    return None if form is None or library is None else WinogradBackend(model, form, kernels=Path(library._name).stem)


class WinogradBackend:
    """The network in fp32 on the CPU, run by the kernels of winograd.c.

    Before the first result, the kernels' picture of a crop is compared with the plain network's. Where it is another,
    the network runs by PyTorch, and ``notes`` say so. What was found is remembered for these ``kernels`` (empty: it is
    not) and this model, see :mod:`vidsr.inference.backends.calibration`. Speed does not decide: two processes that
    measure could choose differently, and a job's bytes depend on the choice.
    """

    def __init__(self, model: Model, form: CpuForm, *, kernels: str = "") -> None:
        self._model = model
        self._plain = model.network
        self._form = form
        self._kernels = kernels
        self._checked = False
        self._instead: TorchBackend | None = None
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        """What computes: "winograd", or "torch" where the kernels gave another picture."""
        return "winograd" if self._instead is None else "torch"

    def __call__(self, rgb: Tensor) -> Tensor:
        """See :class:`~vidsr.inference.backends.backend.Backend`."""
        if not self._checked:
            self._check(rgb)
        return self._form(rgb) if self._instead is None else self._instead(rgb)

    def _check(self, rgb: Tensor) -> None:
        sha256 = getattr(self._model, "sha256", "")
        key = f"CPU | {self._kernels} | torch {torch.__version__} | {self._model.architecture} {sha256} | fp32"
        kept = bool(self._kernels and sha256)
        trials = recalled(key) if kept else ()
        if not trials:
            height, width = rgb.shape[-2:]
            top, left = max(0, height - _CROP_PX) // 2, max(0, width - _CROP_PX) // 2
            crop = rgb[:1, :, top : top + _CROP_PX, left : left + _CROP_PX].contiguous()
            with torch.inference_mode():
                expected = self._plain(crop)
            if not bool(torch.isfinite(expected).all()):
                return  # nothing to compare with: the next picture decides
            trials = (compared("winograd", self._form, crop, expected),)
            if kept:
                remember(key, trials)
        self._checked = True
        if any(trial.problem for trial in trials):
            self.notes.extend(sentences(trials))
            self._instead = TorchBackend(self._model, torch.device("cpu"), "fp32")

    def exact(self, rgb: Tensor) -> Tensor:
        """See :class:`~vidsr.inference.backends.backend.Backend`."""
        out: Tensor = self._plain(rgb)
        return out

    def release(self) -> None:
        """See :class:`~vidsr.inference.backends.backend.Backend`."""

    def bytes_per_pixel(self, height: int, width: int) -> float:
        """See :class:`~vidsr.inference.backends.backend.Backend`. The same for every size."""
        if self._instead is not None:
            return self._instead.bytes_per_pixel(height, width)
        return self._form.bytes_per_pixel()


class OpenVinoBackend:
    """The network in OpenVINO's CPU plugin, converted in memory; extra ``openvino``.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """

    name = "openvino"

    def __init__(self, model: Model, precision: Precision) -> None:
        openvino = load_openvino()
        if precision == "fp16":
            raise OptionsError("--backend openvino computes in fp32 or bf16 on a CPU, not in fp16")
        self._plain = model.network
        self._torch = TorchBackend(model, torch.device("cpu"), "fp32")
        self._core = openvino.Core()
        hint = {"fp32": "f32", "bf16": "bf16"}[precision]
        self._settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        self._convert = openvino.convert_model
        self._requests: dict[tuple[int, ...], Any] = {}
        self.notes: list[str] = []

    def __call__(self, rgb: Tensor) -> Tensor:
        """See :class:`~vidsr.inference.backends.backend.Backend`. Picture by picture, like TorchBackend on a CPU."""
        if len(rgb) > 1:
            return torch.cat([self(one) for one in torch.split(rgb, 1)])
        shape = tuple(rgb.shape)
        if shape not in self._requests:
            self._requests.clear()
            with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # tracing, which OpenVINO relies on, is deprecated
                converted = self._convert(self._plain, example_input=torch.zeros(shape), input=[list(shape)])
            self._requests[shape] = self._core.compile_model(converted, "CPU", self._settings).create_infer_request()
        result = self._requests[shape].infer([rgb.contiguous().numpy()])[0]
        return torch.from_numpy(result.copy())

    def exact(self, rgb: Tensor) -> Tensor:
        """See :class:`~vidsr.inference.backends.backend.Backend`."""
        return self._torch.exact(rgb)

    def release(self) -> None:
        """See :class:`~vidsr.inference.backends.backend.Backend`."""
        self._requests.clear()

    def bytes_per_pixel(self, height: int, width: int) -> float:
        """See :class:`~vidsr.inference.backends.backend.Backend`."""
        return self._torch.bytes_per_pixel(height, width)
