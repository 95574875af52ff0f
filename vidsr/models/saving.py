"""Writes safetensors files: whole or not at all, and the same bytes for the same content.

The format's own writer keeps its metadata in an order that changes from run to run, so the header is made here:
eight bytes of length, JSON padded with spaces to a multiple of eight, then the tensors, as its specification says.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vidsr.errors import DiskFullError, OutputError

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


class AtomicFile:
    """A binary file under ``NAME.part`` that becomes ``NAME`` when its block ends without an error."""

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(path.name + ".part")

    def __enter__(self) -> AtomicFile:
        with mapped_errors(self._path):
            self._file = self._part.open("wb")
        return self

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with mapped_errors(self._path):
            self._file.write(data)

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            # Closing writes what is still in the buffer, and may fail like every write.
            with mapped_errors(self._path), self._file:
                if kind is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if kind is None:
                place(self._part, self._path)
        finally:
            self._part.unlink(missing_ok=True)


def place(part: Path, path: Path) -> None:
    """Give a finished file its name, and make the name durable.

    Raises:
        OutputError: the folder cannot be written.
    """
    with mapped_errors(path):
        os.replace(part, path)  # noqa: PTH105 - the whole point is to replace
        folder = os.open(path.parent, os.O_RDONLY) if os.name == "posix" else None
        if folder is not None:
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


class mapped_errors:  # noqa: N801 - reads as a statement
    """Turns the system's errors while writing ``path`` into vidsr's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError):
            if error.errno == errno.ENOSPC:
                raise DiskFullError(f"{self._path}: no space is left on the disk") from error
            raise OutputError(f"{self._path}: cannot be written ({error.strerror or error})") from error
