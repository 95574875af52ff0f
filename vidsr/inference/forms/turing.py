"""Matrix instructions of Turing (sm_75) for the own Triton kernels.

Below sm_80 Triton turns ``tl.dot`` into scalar products since it gave up the instructions of Volta
(triton-lang/triton#5066), but its backend still knows Turing's ``mma.m16n8k8``: that of a layout of version 2.1. So the
own kernels are optimised as for sm_80, with nothing in flight, which leaves no asynchronous copies, and the layout is
then marked as Turing's. A step of 16 channels becomes two of 8 on the same registers: the fragments of ``m16n8k16`` are
those of two ``m16n8k8`` (PTX ISA, "Matrix Fragments for mma.m16n8k8" and "mma.m16n8k16").
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from triton import knobs
from triton._C.libtriton import ir

_KERNELS = ("_convolve",)
_AMPERE, _TURING = "versionMajor = 2, versionMinor = 0", "versionMajor = 2, versionMinor = 1"


def install() -> None:
    """From now on this process compiles the own kernels for sm_75 with matrix instructions; nothing else changes.

    Raises:
        RuntimeError: this Triton has no hook for that, or somebody else uses it.
    """
    if not hasattr(knobs.runtime, "add_stages_inspection_hook"):
        raise RuntimeError("this Triton cannot compile matrix instructions for sm_75: install a newer one")
    hook = knobs.runtime.add_stages_inspection_hook
    if hook not in (None, _stages):
        raise RuntimeError("Triton's compilation is changed by another hook; matrix instructions for sm_75 need it")
    knobs.runtime.add_stages_inspection_hook = _stages


def _stages(
    backend: Any = None, stages: Any = None, options: Any = None, language: Any = None, capability: Any = None
) -> tuple[str, str] | None:
    """Triton's hook: without arguments what its caches add to their keys, with them the stages to change."""
    if backend is None:
        return "vidsr turing 1", "'vidsr turing 1'"
    if capability == 75 and "ttgir" in stages:
        plain = stages["ttgir"]

        def to_layouts(module: Any, metadata: Any) -> Any:
            if module.get_entry_func_name() not in _KERNELS:
                return plain(module, metadata)
            return _as_turing(backend.make_ttgir(module, metadata, options, 80))

        stages["ttgir"] = to_layouts
    return None


def _as_turing(module: Any) -> Any:
    """The module with Turing's layout in place of Ampere's.

    Raises:
        RuntimeError: it has asynchronous copies or no such layout.
    """
    text = str(module)
    if "async_copy" in text or _AMPERE not in text:
        raise RuntimeError("Triton's layouts have changed: no matrix instructions for sm_75")
    text = text.replace(_AMPERE, _TURING).replace('"cuda:80"', '"cuda:75"')
    with tempfile.TemporaryDirectory(prefix="vidsr-turing-") as folder:
        path = Path(folder) / "kernel.ttgir"  # Triton parses files alone
        path.write_text(text, encoding="utf-8")
        made = ir.parse_mlir_module(str(path), module.context)
    made.context = module.context
    return made
