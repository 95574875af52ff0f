"""Which device computes, in which precision, and how much memory it has left."""

from __future__ import annotations

import logging
import os
import re
from typing import Literal

import torch

from vidsr.errors import OptionsError
from vidsr.system_memory import available_bytes

Precision = Literal["fp32", "fp16", "bf16"]

#: Bytes assumed to be free where the system does not report it.
_UNKNOWN_FREE_BYTES = 4 << 30

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


#: Kinds of GPU other than CUDA, in order of preference.
_OTHERS = ("mps", "xpu")


def choose_device(name: str) -> torch.device:
    """The device for ``--device``: auto takes a CUDA GPU that this PyTorch has kernels for, then Apple's MPS, then
    Intel's XPU, then the CPU.

    Raises:
        OptionsError: no such device is here, or this build of PyTorch has no kernels for it.
    """
    if name == "auto":
        return _best_device()
    if not re.fullmatch(r"cpu|mps|xpu|cuda(:\d+)?", name):
        raise OptionsError(f"--device {name}: write auto, cpu, mps, xpu, cuda, or cuda:N")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise OptionsError(f"--device {name}: PyTorch sees {count} CUDA devices here; --device cpu always works")
        device = torch.device("cuda", device.index if device.index is not None else torch.cuda.current_device())
        problem = missing_kernels(device)
        if problem:
            raise OptionsError(f"--device {name}: {problem}; --device cpu always works")
    if device.type in _OTHERS and not _is_there(device.type):
        raise OptionsError(f"--device {name}: PyTorch sees no {name.upper()} device here; --device cpu always works")
    return device


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        problem = missing_kernels(device)
        if not problem:
            return device
        logging.getLogger(__name__).warning("%s; using the CPU", problem)
    return torch.device(next((kind for kind in _OTHERS if _is_there(kind)), "cpu"))


def _is_there(kind: str) -> bool:
    if kind == "mps":
        return torch.backends.mps.is_available()
    return hasattr(torch, "xpu") and torch.xpu.is_available()


def is_rocm() -> bool:
    """Whether this PyTorch computes on AMD GPUs, which it calls "cuda" too."""
    return torch.version.hip is not None


def missing_kernels(device: torch.device) -> str:
    """Why this build of PyTorch cannot compute on a CUDA GPU, and which one can; empty if it can.

    A build holds machine code for the architectures it lists (sm_XY runs on X.Z with Z at least Y), and PTX of the
    newest, which newer GPUs compile.
    """
    if is_rocm():
        return ""
    major, minor = torch.cuda.get_device_capability(device)
    listed = [re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", name) for name in torch.cuda.get_arch_list()]
    built = [(m[1], int(m[2]), int(m[3])) for m in listed if m]
    if not built:
        return ""  # unknown: let it try
    runs = any(kind == "sm" and x == major and y <= minor for kind, x, y in built)
    compiles = any(kind == "compute" and (x, y) <= (major, minor) for kind, x, y in built)
    if runs or compiles:
        return ""
    name = torch.cuda.get_device_name(device)
    oldest = min((x, y) for _, x, y in built)
    if (major, minor) < oldest:
        remedy = "install the build of PyTorch for CUDA 12.6 (cu126 at pytorch.org/get-started), which still has them"
    else:
        remedy = "install a newer PyTorch"
    return f"{name} (compute capability {major}.{minor}) has no kernels in this PyTorch {torch.__version__}: {remedy}"


def compute_exactly(device: torch.device) -> None:
    """Compute float32 on a GPU in true float32, without TF32, in convolutions (PyTorch's default there) and products.

    Colour matrices through TF32 are off by up to 0.4 code values of 10 bits; ``--precision fp32`` and the repair of
    frames that overflow promise fp32. The networks' own speed comes from half precision, which this leaves alone.
    """
    if device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        if is_rocm():
            os.environ.setdefault("PYTORCH_MIOPEN_SUGGEST_NHWC", "1")  # else MIOpen ignores channels last


def choose_precision(name: str, device: torch.device, *, half: bool = True) -> Precision:
    """The precision for ``--precision``: auto is fp16 on CUDA and MPS, bf16 on CPUs that compute it, else fp32.

    Where ``half`` is false (values of the network leave fp16's range), auto never chooses fp16.

    Raises:
        OptionsError: there is no such precision.
    """
    if name == "auto":
        if device.type in ("cuda", "mps", "xpu"):
            return "fp16" if half else "fp32"
        return "bf16" if cpu_computes_bf16() else "fp32"
    if name not in DTYPES:
        raise OptionsError(f"--precision {name}: choose one of auto, {', '.join(DTYPES)}")
    return name  # type: ignore[return-value]


def cpu_computes_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX), not by conversion."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


def free_bytes(device: torch.device) -> int:
    """Memory that a computation may take now: free device memory with PyTorch's own unused cache, or free RAM."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + cached
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    if device.type == "xpu":
        return int(torch.xpu.mem_get_info(device)[0])
    available = available_bytes()
    return _UNKNOWN_FREE_BYTES if available is None else available


def release_cache(device: torch.device) -> None:
    """Return the memory that PyTorch caches to the device. Never raises: after a failed graph capture the
    CUDA allocator refuses."""
    empty = {"cuda": torch.cuda.empty_cache, "mps": torch.mps.empty_cache, "xpu": _empty_xpu}.get(device.type)
    if empty is not None:
        try:
            empty()
        except RuntimeError as error:
            logging.getLogger(__name__).info("the cache of %s was not released: %s", device, error)


def _empty_xpu() -> None:
    torch.xpu.empty_cache()


#: Messages of libraries that ran out of memory. cuDNN reports a workspace that does not fit as a missing engine.
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "unable to find an engine to execute this computation",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it was raised from or during, means that memory ran out, on any device."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, (torch.OutOfMemoryError, MemoryError)):
            return True
        text = str(link).lower()
        if isinstance(link, RuntimeError) and any(words.lower() in text for words in _OUT_OF_MEMORY):
            return True
        link = link.__cause__ or link.__context__
    return False
