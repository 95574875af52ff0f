"""Writes safetensors files: whole or not at all, and the same bytes for the same content.

The format's own writer keeps its metadata in an order that changes from run to run, so the header is made here:
eight bytes of length, JSON padded with spaces to a multiple of eight, then the tensors, as its specification says.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vidsr.storage import AtomicFile

_NAMES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def save(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, str]) -> None:
    """Write tensors and their card; the file gets its name only when it is whole and on the disk.

    Raises:
        OutputError: the folder cannot be written.
        DiskFullError: no space is left.
    """
    header: dict[str, object] = {"__metadata__": dict(sorted(card.items()))}
    # Wide types first, so that every tensor is aligned to its own size.
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    place = 0
    for name in order:
        tensor = tensors[name]
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [place, place + size],
        }
        place += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with AtomicFile(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(tensors[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
