"""Reads the layers and weights of ncnn's ``.param`` + ``.bin`` files.

A ``.param`` is text: a magic number, the counts of layers and blobs, then one layer per line with ``key=value``
parameters. The ``.bin`` holds the layers' weights in that order. A convolution's weights start with a 32-bit flag:
0x01306B47 for fp16 padded to four bytes, 0 or 0x0002C056 for fp32; its bias, and the slopes of a PReLU, are fp32
without a flag. Source: ncnn, ``modelbin.cpp`` and the wiki page on the param and model file structure.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vidsr.errors import CheckpointError

MAGIC = "7767517"
_FP16, _FP32 = 0x01306B47, (0, 0x0002C056)

# Layer types of the exported ESRGAN networks; anything else is another network.
_KNOWN = {
    "Input", "Split", "Concat", "Convolution", "PReLU", "Eltwise", "BinaryOp", "Interp", "PixelShuffle", "ReLU",
    "Reorg",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParamLine:
    """One line of a ``.param``: type, name, and its parameters by number."""

    kind: str
    name: str
    params: dict[int, str]

    def number(self, key: int, default: int = 0) -> int:
        """An integer parameter, or ncnn's default for it."""
        return int(float(self.params.get(key, default)))


def parse_param(text: str) -> list[ParamLine]:
    """The layers of a ``.param`` file.

    Raises:
        CheckpointError: the text is not a ``.param``, or has fewer layers than it declares.
    """
    lines = text.split("\n")
    if lines[0].strip() != MAGIC:
        raise CheckpointError(f"it does not begin with {MAGIC} as an ncnn .param file does")
    layers = []
    try:
        declared = int(lines[1].split()[0])
        for line in lines[2:]:
            words = line.split()
            if not words:
                continue
            blobs = int(words[2]) + int(words[3])
            pairs = (word.partition("=") for word in words[4 + blobs :])
            layers.append(ParamLine(words[0], words[1], {int(key): value for key, _, value in pairs}))
    except (IndexError, ValueError) as error:
        raise CheckpointError(f"the ncnn .param file is damaged: {error}") from error
    if len(layers) != declared:
        raise CheckpointError(f"the ncnn .param file is truncated: it lists {len(layers)} of {declared} layers")
    return layers


@dataclass(frozen=True, slots=True)
class NcnnFile:
    """Layers in order, and (weight, bias) of each convolution and (slopes, None) of each PReLU, dtypes as stored."""

    layers: list[ParamLine]
    weights: list[tuple[Tensor, Tensor | None]]

    @property
    def note(self) -> str | None:
        """What the file does to the network's output, if anything."""
        shrinks = any(layer.kind == "Interp" and float(layer.params.get(1, "1")) < 1 for layer in self.layers)
        return "the ncnn file shrinks the network's output afterwards; only the network is read" if shrinks else None


def read(path: Path) -> NcnnFile:
    """An ncnn network, given by its ``.param`` or its ``.bin``.

    Raises:
        CheckpointError: one of the two files is missing or damaged, or has layers that vidsr cannot read.
    """
    param, binary = path.with_suffix(".param"), path.with_suffix(".bin")
    for file in (param, binary):
        if not file.is_file():
            raise CheckpointError(f"an ncnn model is a .param and a .bin file side by side, and {file.name} is missing")
    layers = parse_param(param.read_text(encoding="utf-8", errors="replace"))
    unreadable = sorted({layer.kind for layer in layers} - _KNOWN)
    if unreadable:
        raise CheckpointError(f"the ncnn network has layers that ESRGAN networks do not have: {', '.join(unreadable)}")
    return NcnnFile(layers, _read_weights(layers, binary.read_bytes()))


def _read_weights(layers: list[ParamLine], data: bytes) -> list[tuple[Tensor, Tensor | None]]:
    """(weight, bias) of each convolution and (slopes, None) of each PReLU, in order."""
    place = 0

    def take(count: int, dtype: str, what: str) -> Tensor:
        nonlocal place
        size = count * np.dtype(dtype).itemsize
        if place + size > len(data):
            raise CheckpointError(
                f"the ncnn .bin file is truncated: {what} needs bytes up to {place + size}, the file has {len(data)}"
            )
        array = np.frombuffer(data, dtype, count, place).copy()
        place += -(-size // 4) * 4
        return torch.from_numpy(array)

    found: list[tuple[Tensor, Tensor | None]] = []
    for layer in layers:
        if layer.kind == "PReLU":
            found.append((take(layer.number(0), "<f4", layer.name), None))
        elif layer.kind == "Convolution":
            outputs, kernel, count = layer.number(0), layer.number(1), layer.number(6)
            if not outputs or not kernel or count % (outputs * kernel**2):
                raise CheckpointError(f"the ncnn layer {layer.name} has impossible sizes")
            flag = int(take(1, "<i4", layer.name))
            if flag != _FP16 and flag not in _FP32:
                raise CheckpointError(f"the ncnn layer {layer.name} has weights quantised in a way (flag {flag:#x}) "
                                      "that is not supported; supported are fp16 and fp32")  # fmt: skip
            weight = take(count, "<f2" if flag == _FP16 else "<f4", layer.name)
            bias = take(outputs, "<f4", layer.name) if layer.number(5) else torch.zeros(outputs)
            found.append((weight.reshape(outputs, -1, kernel, kernel), bias))
    if place != len(data):
        raise CheckpointError(f"the ncnn .bin file has {len(data) - place} bytes more than its .param describes")
    return found
