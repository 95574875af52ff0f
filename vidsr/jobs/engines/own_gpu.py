"""One GPU for one worker process: it sees no other, and calls its own ``cuda:0``.

A process that sees every GPU opens a context of some hundred megabytes on the first one sooner or later, whichever it
computes on, and whatever uses the thread's current device ends there. What the worker says is put back into the names
that the user knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: What a process calls the only GPU that it sees.
ONLY_GPU = "cuda:0"

_CUDA = "CUDA_VISIBLE_DEVICES"
_HIP = "HIP_VISIBLE_DEVICES"


def gpu_alone(device: str, environment: Mapping[str, str], *, rocm: bool = False) -> dict[str, str] | None:
    """The environment of a process that sees only ``device`` (``cuda`` or ``cuda:N``), as :data:`ONLY_GPU`.

    N counts the GPUs that ``environment`` shows, as PyTorch does: where a list of numbers or UUIDs is set already, the
    N-th of them is taken. ROCm reads ``HIP_VISIBLE_DEVICES`` before ``CUDA_VISIBLE_DEVICES``, and only the first stays.

    Returns None where nothing can be narrowed: the device is not a CUDA GPU, or the list has no N-th entry.
    """
    found = re.fullmatch(r"cuda(?::(\d+))?", device)
    if found is None:
        return None
    number = int(found[1] or 0)
    changed = dict(environment)
    shown = environment.get(_CUDA)
    if rocm:
        shown = environment.get(_HIP, shown)
        changed.pop(_CUDA, None)
    if shown is None:
        chosen = str(number)
    else:
        entries = [entry.strip() for entry in shown.split(",")]
        chosen = entries[number] if number < len(entries) else ""
    if chosen in ("", "-1"):
        return None
    return changed | {_HIP if rocm else _CUDA: chosen}


def in_users_names(text: str, device: str) -> str:
    """What a worker says, with the name of its only GPU replaced by ``device``."""
    return re.sub(rf"\b{ONLY_GPU}\b", device, text)
