"""What computes: PyTorch, its GPUs and the C kernels; each form of the network run on a few small frames."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vidsr.doctor.examination import Examination, sentence
from vidsr.doctor.machine import nvidia_gpus, version_of
from vidsr.options.enhance_options import ModelOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidsr.models.checkpoint import LoadedModel

#: Frames that go through each form, and their size.
_FRAMES, _WIDTH, _HEIGHT = 2, 24, 16
#: PSNR in dB against the plain fp32 network, below which a form gives a different picture. bfloat16 reaches 45.
_LEAST_PSNR = 40.0
_REINSTALL = "reinstall PyTorch: see https://pytorch.org/get-started"


def examine(exam: Examination, default: ModelOptions | None = None) -> None:
    """Add what computes here, what of it was tried, and what a job with ``default`` (the defaults) would use."""
    torch = exam.look("torch", torch_build, _REINSTALL)
    exam.look("triton", lambda: version_of("triton"), "reinstall triton, or do without it")
    if torch is None:
        exam.prevent(f"PyTorch cannot be used: {exam.unknown[-1].error}", _REINSTALL)
        return
    gpus = exam.look("gpus", torch_gpus, "update the GPU's driver; CUDA_VISIBLE_DEVICES= (empty) hides the GPU") or []
    exam.look("winograd", winograd_kernels, "set VIDSR_NATIVE=0 to do without the C kernels")
    exam.look("calibrations", calibrations, "remove calibration.json from vidsr's cache (VIDSR_CACHE)")
    default = default or ModelOptions()
    loaded: list[LoadedModel] = []
    trial = exam.attempt(
        f"load {default.model}", lambda: _loaded(default, loaded), "reinstall vidsr: a shipped model cannot be loaded"
    )
    if not loaded:
        exam.prevent(f"the default model cannot be loaded: {trial.detail}", trial.next_step)
        return
    _try_forms(exam, loaded[0], gpus, default)


def _loaded(options: ModelOptions, into: list[LoadedModel]) -> str:
    from vidsr.models.zoo import load_chosen

    into.append(load_chosen(options))
    return f"{into[0].architecture}, x{into[0].scale}"


def torch_build() -> dict[str, Any]:
    """The build of PyTorch: version, CUDA or ROCm and its architectures, threads, and what its CPU part uses."""
    import torch

    found: dict[str, Any] = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "rocm": torch.version.hip,
        "cudnn": _or_error(torch.backends.cudnn.version) if torch.version.cuda else None,
        "architectures": _or_error(_architectures) if torch.version.cuda else [],
        "threads": torch.get_num_threads(),
        "cpu_kernels": torch.backends.cpu.get_cpu_capability(),
        "mkldnn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
    }
    return found


def _architectures() -> list[str]:
    """What the build has kernels for; torch.cuda.get_arch_list() says so only where there is a device."""
    import torch

    flags = torch._C._cuda_getArchFlags()
    return flags.split() if flags else []


def _or_error(probe: Callable[[], Any]) -> Any:
    try:
        return probe()
    except Exception as error:
        return sentence(error)


def torch_gpus() -> list[dict[str, Any]]:
    """The GPUs that PyTorch sees: device, name, compute capability, free and total bytes.

    Raises:
        Exception: whatever a broken driver or build makes PyTorch raise.
    """
    import torch

    found = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            gpu: dict[str, Any] = {"device": f"cuda:{number}"}
            gpu["name"] = _or_error(lambda n=number: torch.cuda.get_device_name(n))  # type: ignore[misc]
            gpu["compute_capability"] = _or_error(
                lambda n=number: ".".join(map(str, torch.cuda.get_device_capability(n)))  # type: ignore[misc]
            )
            memory = _or_error(lambda n=number: torch.cuda.mem_get_info(n))  # type: ignore[misc]
            gpu["free"], gpu["total"] = memory if isinstance(memory, tuple) else (None, None)
            found.append(gpu)
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple GPU", "compute_capability": None, "free": None, "total": None})
    return found


def winograd_kernels() -> dict[str, Any]:
    """The C compiler and whether the Winograd kernels work here; ``reason`` says why not."""
    from vidsr.inference.forms import winograd_library

    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    with _Remarks() as remarks:
        library = winograd_library.library()
    reason = ""
    if library is None:
        switched_off = os.environ.get("VIDSR_NATIVE") == "0"
        reason = "VIDSR_NATIVE=0 switches them off" if switched_off else "; ".join(remarks.said) or "not on Windows"
    return {"compiler": compiler, "works": library is not None, "reason": reason}


def calibrations() -> list[dict[str, Any]]:
    """What earlier runs found out about the forms of a network: for which device and size, when, each form tried, and
    the one chosen (empty if none was right)."""
    from vidsr.inference.backends.calibration import all_remembered, best

    found = []
    for one in all_remembered():
        chosen = best(one.trials)
        tried = [
            {
                "form": trial.name,
                "milliseconds": None if trial.seconds is None else round(trial.seconds * 1e3, 3),
                "decibels": _finite(trial.decibels),
                "problem": trial.problem,
            }
            for trial in one.trials
        ]
        found.append(
            {"for": one.key, "when": one.when, "chosen": "" if chosen is None else chosen.name, "tried": tried}
        )
    return found


def _finite(decibels: float | None) -> float | None:
    """JSON has no infinity: equal pictures count as 99 dB, unusable ones as 0."""
    return None if decibels is None else round(min(99.0, max(0.0, decibels)), 1)


class _Remarks(logging.Handler):
    """What vidsr logs inside the block, kept instead of printed."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said: list[str] = []
        self._logger = logging.getLogger("vidsr")

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self.said.append(record.getMessage())

    def __enter__(self) -> _Remarks:
        self._level, self._propagate = self._logger.level, self._logger.propagate
        self._logger.addHandler(self)
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        return self

    def __exit__(self, *exc: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)
        self._logger.propagate = self._propagate


def _try_forms(exam: Examination, model: LoadedModel, gpus: list[dict[str, Any]], default: ModelOptions) -> None:
    frames = _pictures()
    expected: list[NDArray[Any]] = []

    def plainly() -> str:
        expected.append(_plain(model, frames))
        return _summary(frames, expected[0], 0.0, None)

    what = "cpu, plain network, fp32"
    if exam.attempt(what, plainly, _REINSTALL).result != "ok":
        exam.prevent(f"PyTorch cannot compute the network on the CPU: {exam.tried[-1].detail}", _REINSTALL)
        return

    def form(options: ModelOptions, note: Callable[[Any], None] = lambda _: None) -> str:
        return _run(options, model, frames, expected[0], note)

    works = bool((exam.found.get("winograd") or {}).get("works"))
    for backend in ("torch", *(["winograd"] if works else []), *(["openvino"] if version_of("openvino") else [])):
        options = ModelOptions(device="cpu", backend=backend, precision="fp32")
        exam.attempt(f"cpu, {backend}, fp32", lambda o=options: form(o), "--backend torch always works")  # type: ignore[misc]
    for gpu in gpus:
        for precision in ("fp32", "fp16"):
            options = ModelOptions(device=gpu["device"], precision=precision)
            exam.attempt(
                f"{gpu['device']}, {precision}",
                lambda o=options: form(o),  # type: ignore[misc]
                "update the GPU's driver, or install a PyTorch build for this GPU; --device cpu works",
            )
    chosen: dict[str, str] = {}

    def note(upscaler: Any) -> None:
        chosen.update(
            device=str(upscaler.device), backend=upscaler.fitted.backend.name, precision=str(upscaler.precision)
        )

    trial = exam.attempt("default settings", lambda: form(default, note), "give --device cpu")
    if trial.result != "ok":
        exam.prevent(
            f"the network does not run with default settings: {trial.detail}",
            "give --device cpu, and repair the GPU's driver or PyTorch build",
        )
        return
    exam.use("model", default.model, "the default; see: vidsr models list")
    exam.use("device", chosen["device"], _why_device(exam, chosen["device"]))
    exam.use("backend", chosen["backend"], _why_backend(exam, chosen))
    exam.use("precision", chosen["precision"], _why_precision(chosen))


def _pictures() -> NDArray[Any]:
    """[N, H, W, 3] float32 in 0…1: smooth shapes with some texture, so that every layer has work to do."""
    import numpy as np

    n, y, x, c = np.mgrid[0:_FRAMES, 0:_HEIGHT, 0:_WIDTH, 0:3]
    wave = 0.5 + 0.3 * np.sin(x / 3 + n + c) * np.cos(y / 4 - c)
    texture = np.random.default_rng(0).normal(0, 0.03, wave.shape)
    result: NDArray[Any] = (wave + texture).clip(0, 1).astype(np.float32)
    return result


def _plain(model: LoadedModel, frames: NDArray[Any]) -> NDArray[Any]:
    """The frames through the plain network in fp32 on the CPU, without any form of it."""
    import torch

    with torch.inference_mode():
        out = model.network(torch.from_numpy(frames).movedim(-1, 1).contiguous())
    result: NDArray[Any] = out.movedim(1, -1).numpy()
    return result


def _run(
    options: ModelOptions,
    model: LoadedModel,
    frames: NDArray[Any],
    expected: NDArray[Any],
    note: Callable[[Any], None],
) -> str:
    """Run a form on the frames after a warm-up by one of them; how it went.

    Raises:
        InferenceError: its picture differs from the plain network's.
        Exception: whatever a broken device makes PyTorch raise.
    """
    from copy import deepcopy

    import numpy as np

    from vidsr.errors import InferenceError
    from vidsr.inference.upscaler import Upscaler

    # The exact network may move to the device: a trial of its own model leaves the others theirs.
    own = deepcopy(model)
    with _Remarks(), Upscaler(options, model=own) as upscaler:
        upscaler(frames[:1])
        begin = time.perf_counter()
        result = upscaler(frames)
        seconds = (time.perf_counter() - begin) / len(frames)
        note(upscaler)
    error = float(np.mean((result.astype(np.float64) - expected) ** 2))
    psnr = min(99.0, -10 * float(np.log10(max(error, 1e-12)))) if np.isfinite(error) else 0.0
    if psnr < _LEAST_PSNR:
        raise InferenceError(f"a different picture than the plain network's ({psnr:.1f} dB)")
    return _summary(frames, result, seconds, psnr)


def _summary(frames: NDArray[Any], result: NDArray[Any], seconds: float, psnr: float | None) -> str:
    sizes = f"{len(frames)} frames, {frames.shape[2]}x{frames.shape[1]} to {result.shape[2]}x{result.shape[1]}"
    return sizes if psnr is None else f"{sizes}, {seconds * 1e3:.0f} ms each, {psnr:.0f} dB to plain fp32"


def _why_device(exam: Examination, device: str) -> str:
    if device != "cpu":
        return "a GPU that PyTorch can use"
    torch = exam.found["torch"]
    try:
        driven = nvidia_gpus()
    except RuntimeError:
        driven = []
    if exam.found.get("gpus"):
        return "PyTorch sees a GPU but has no kernels for it"
    if driven and torch["cuda"] is None:
        return "there is an NVIDIA GPU, but this PyTorch is built without CUDA"
    if driven:
        return f"there is an NVIDIA GPU, but PyTorch's CUDA {torch['cuda']} cannot use it with this driver"
    return "no GPU was found"


def _why_backend(exam: Examination, chosen: dict[str, str]) -> str:
    if chosen["backend"] == "winograd":
        return "the C kernels work here: the fastest form for fp32 on a CPU"
    if chosen["device"] != "cpu":
        return "what runs on a GPU"
    if chosen["precision"] == "bf16":
        return "the form that computes in bfloat16"
    kernels = exam.found.get("winograd") or {}
    return f"no C kernels: {kernels.get('reason') or 'they could not be examined'}"


def _why_precision(chosen: dict[str, str]) -> str:
    if chosen["precision"] == "fp16":
        return "fast on GPUs; frames that overflow are computed again in fp32"
    if chosen["precision"] == "bf16":
        return "this CPU multiplies bfloat16 in hardware"
    return "this CPU has no bfloat16 arithmetic" if chosen["device"] == "cpu" else "the model needs it"
