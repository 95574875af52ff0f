"""Writes a network as an ONNX model, node by node, so that the file is small, reproducible and quick to make.

Operators as in ONNX opset 18. Batch, height and width are free; for networks that fold pixels, height and width
must be multiples of the folding.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from vidsr.errors import MissingExtraError
from vidsr.models import graph

OPSET, IR_VERSION = 18, 9


def to_onnx(network: graph.Graph, card: dict[str, str], half: bool) -> bytes:
    """The model's bytes: input "rgb", output "enlarged", both fp32 whatever the weights are; the card as metadata.

    A network with state has it as further inputs, in fp32 too, by the names of :class:`~vidsr.models.graph.StateInput`.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        raise MissingExtraError("this export needs onnx: pip install 'vidsr-esrgan[export]'") from error
    out = _Nodes(onnx, half, network.in_channels)
    values = [out.add("Cast", ["rgb"], to=onnx.TensorProto.FLOAT16) if half else "rgb"]
    for node in network.nodes:
        values.append(_add(out, node.operation, [values[i] for i in node.inputs]))
    cast = {"to": onnx.TensorProto.FLOAT} if half else {}
    out.add("Cast" if half else "Identity", [values[-1]], "enlarged", **cast)
    return out.finish(card, network)


class _Nodes:
    """Nodes and weights of one ONNX graph."""

    def __init__(self, onnx: Any, half: bool, in_channels: int) -> None:
        self._onnx, self._half, self._channels = onnx, half, in_channels
        self._nodes: list[Any] = []
        self._weights: dict[str, Any] = {}
        self._state: list[graph.StateInput] = []
        # Values whose channels are not in PyTorch's order → that order, for the weights of their readers.
        self._orders: dict[str, Tensor] = {}

    def add(self, kind: str, inputs: list[str], out: str | None = None, **attributes: Any) -> str:
        name = out or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def state(self, made: graph.StateInput) -> str:
        self._state.append(made)
        return self.add("Cast", [made.name], to=self._onnx.TensorProto.FLOAT16) if self._half else made.name

    def weight(self, name: str, tensor: Tensor, *, as_stored: bool = False) -> str:
        value = tensor.detach().cpu()
        value = value if as_stored else value.half() if self._half else value.float()
        self._weights[name] = self._onnx.numpy_helper.from_array(value.contiguous().numpy(), name)
        return name

    def constant(self, value: float) -> str:
        return self.weight(f"constant_{value:g}", torch.tensor(value))

    def indices(self, values: list[int]) -> str:
        return self.weight("indices_" + "_".join(map(str, values)), torch.tensor(values), as_stored=True)

    def conv(self, name: str, layer: nn.Conv2d, source: str) -> str:
        order = self._orders.get(source)
        weight = layer.weight if order is None else layer.weight[:, order]
        names = [self.weight(f"{name}.weight", weight)]
        names += [self.weight(f"{name}.bias", layer.bias)] if layer.bias is not None else []
        shape: dict[str, Any] = {"kernel_shape": list(layer.kernel_size), "pads": [*layer.padding, *layer.padding]}
        shape |= {"strides": list(layer.stride)} if layer.stride != (1, 1) else {}
        shape |= {"group": layer.groups} if layer.groups != 1 else {}
        return self.add("Conv", [source, *names], **shape)

    def unshuffle(self, source: str, factor: int) -> str:
        value = self.add("SpaceToDepth", [source], blocksize=factor)
        # ONNX puts the place in the block before the channel, PyTorch after it: the weights are put in ONNX's order.
        self._orders[value] = torch.arange(self._channels * factor**2).view(self._channels, -1).T.flatten()
        return value

    def enlarge(self, source: str, factor: int) -> str:
        scales = self.weight(f"scales_{len(self._nodes)}", torch.tensor([1.0, 1.0, factor, factor]), as_stored=True)
        return self.add(
            "Resize",
            [source, "", scales],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def finish(self, card: dict[str, str], network: graph.Graph) -> bytes:
        helper, float32 = self._onnx.helper, self._onnx.TensorProto.FLOAT
        value = helper.make_tensor_value_info
        made = helper.make_graph(
            self._nodes,
            "vidsr",
            [
                value("rgb", float32, ["batch", network.in_channels, "height", "width"]),
                *(value(one.name, float32, ["batch", one.channels, *_sides(one.factor)]) for one in self._state),
            ],
            [value("enlarged", float32, ["batch", network.out_channels, "out_height", "out_width"])],
            list(self._weights.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(made, opset_imports=[opset], ir_version=IR_VERSION, producer_name="vidsr")
        helper.set_model_props(model, dict(sorted(card.items())))
        self._onnx.checker.check_model(model)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _sides(factor: int) -> tuple[str, str]:
    return ("height", "width") if factor == 1 else ("out_height", "out_width")


def _add(out: _Nodes, operation: graph.Operation, inputs: list[str]) -> str:
    """Translate one operation; the name of its value."""
    match operation:
        case graph.Convolution(name=name, layer=layer, slope=slope):
            value = out.conv(name, layer, inputs[0])
            return value if slope is None else out.add("LeakyRelu", [value], alpha=slope)
        case graph.StateInput():
            return out.state(operation)
        case graph.PReLU(name=name, layer=layer):
            return out.add("PRelu", [*inputs, out.weight(f"{name}.weight", layer.weight.view(-1, 1, 1))])
        case graph.LeakyReLU(slope=0.0):
            return out.add("Relu", inputs)
        case graph.LeakyReLU(slope=slope):
            return out.add("LeakyRelu", inputs, alpha=slope)
        case graph.GELU():
            scaled = out.add("Mul", [*inputs, out.constant(0.5**0.5)])
            halved = out.add("Mul", [*inputs, out.constant(0.5)])
            return out.add("Mul", [halved, out.add("Add", [out.add("Erf", [scaled]), out.constant(1.0)])])
        case graph.Sigmoid():
            return out.add("Sigmoid", inputs)
        case graph.Tanh():
            return out.add("Tanh", inputs)
        case graph.Clamp(low=low, high=high):
            return out.add("Clip", [*inputs, out.constant(low), out.constant(high)])
        case graph.Concat():
            return out.add("Concat", inputs, axis=1)
        case graph.Channels(start=start, stop=stop):
            bounds = [out.indices([value]) for value in (start, stop, 1)]
            return out.add("Slice", [*inputs, *bounds])
        case graph.Sum(factors=factors):
            pairs = zip(inputs, factors, strict=True)
            return out.add("Add", [x if f == 1.0 else out.add("Mul", [x, out.constant(f)]) for x, f in pairs])
        case graph.Multiply():
            return out.add("Mul", inputs)
        case graph.Enlarge(factor=factor):
            return out.enlarge(inputs[0], factor)
        case graph.Shuffle(factor=factor):
            return out.add("DepthToSpace", inputs, blocksize=factor, mode="CRD")
        case graph.Unshuffle(factor=factor):
            return out.unshuffle(inputs[0], factor)
        case graph.MaxPool(kernel=kernel, stride=stride):
            return out.add("MaxPool", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2)
        case graph.ResizeLike():
            sides = out.add("Slice", [out.add("Shape", [inputs[1]]), out.indices([2]), out.indices([4])])
            front = out.add("Slice", [out.add("Shape", [inputs[0]]), out.indices([0]), out.indices([2])])
            size = out.add("Concat", [front, sides], axis=0)
            return out.add(
                "Resize", [inputs[0], "", "", size], mode="linear", coordinate_transformation_mode="half_pixel"
            )
