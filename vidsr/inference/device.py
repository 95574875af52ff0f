"""Which device computes, in which precision, and how much memory it has left."""

from __future__ import annotations

import re
from typing import Literal

import torch

from vidsr.errors import OptionsError
from vidsr.system_memory import available_bytes

Precision = Literal["fp32", "fp16", "bf16"]

#: Taken for free where the system does not say.
_UNKNOWN_FREE_BYTES = 4 << 30

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """The device for ``--device``: auto takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        OptionsError: no such device is here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise OptionsError(f"--device {name}: write auto, cpu, mps, cuda, or cuda:N")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise OptionsError(f"--device {name}: PyTorch sees {count} CUDA devices here; --device cpu always works")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise OptionsError(f"--device {name}: PyTorch sees no MPS device here; --device cpu always works")
    return device


def choose_precision(name: str, device: torch.device, *, half: bool = True) -> Precision:
    """The precision for ``--precision``: auto is fp16 on CUDA and MPS, bf16 on CPUs that compute it, else fp32.

    Where ``half`` is false (values of the network leave fp16's range), auto never is fp16.

    Raises:
        OptionsError: there is no such precision.
    """
    if name == "auto":
        if device.type in ("cuda", "mps"):
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
    available = available_bytes()
    return _UNKNOWN_FREE_BYTES if available is None else available


#: What libraries say when they lack memory. cuDNN reports a workspace that cannot be had as a missing engine.
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
    """Whether an error, or one that it was raised from or during, says that memory ran out, on any device."""
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
