"""Converts the released ONNX file of YuNet to safetensors, with the names of :mod:`vidsr.models.yunet`.

    python scripts/convert_yunet.py face_detection_yunet_2023mar.onnx weights/yunet-2023mar.safetensors

The convolutions of the file come in the order in which the network has them; their weights become fp16,
biases stay fp32. The same input gives the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper

from vidsr.models import checkpoint, saving
from vidsr.models.yunet import YuNet


def main(source: Path, target: Path) -> None:
    """Convert one file.

    Raises:
        ValueError: the file holds another network.
    """
    graph = onnx.load(str(source)).graph
    stored = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    network = YuNet()
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    for node, convolution in zip(nodes, network.convolutions(), strict=True):
        weight, bias = (stored[name] for name in node.input[1:])
        if weight.shape != convolution.weight.shape or bias.shape != convolution.bias.shape:
            raise ValueError(f"{source}: {node.name} has weights of {list(weight.shape)}: another network")
        convolution.weight.data, convolution.bias.data = weight, bias
    card = {
        "architecture": "YuNet",
        "author": "Shiqi Yu and others, YuNet; OpenCV Zoo",
        "licence": "MIT",
        "name": "yunet-2023mar",
        "origin": "OpenCV Zoo, models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
        "source_sha256": checkpoint.digest(source),
    }
    tensors = {name: value.half() if value.ndim == 4 else value for name, value in network.state_dict().items()}
    saving.save(target, tensors, card)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
