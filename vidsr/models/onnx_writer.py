"""Writes a network as an ONNX model, node by node, so that the file is small, the same every time, and quick to make.

Operators as in ONNX opset 18. Batch, height and width are free; for networks that fold pixels, height and width
must be multiples of the folding.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from vidsr.errors import MissingExtraError, ModelError
from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RESIDUAL_SCALE, RRDBNet
from vidsr.models.architectures.srvgg import SRVGGNetCompact

OPSET, IR_VERSION = 18, 9


def to_onnx(network: nn.Module, card: dict[str, str], half: bool) -> bytes:
    """The model's bytes: input "rgb", output "enlarged", both fp32 whatever is inside; the card as metadata.

    Raises:
        MissingExtraError: onnx is not installed.
        ModelError: the network is of a kind that is not covered.
    """
    try:
        onnx: Any = importlib.import_module("onnx")
    except ImportError as error:
        raise MissingExtraError("this export needs onnx: pip install 'vidsr-esrgan[export]'") from error
    graph = _Graph(onnx, half)
    source = graph.cast("rgb", onnx.TensorProto.FLOAT16) if half else "rgb"
    if isinstance(network, RRDBNet):
        channels = network.config.in_channels
        last = _rrdb(graph, network, source)
    elif isinstance(network, SRVGGNetCompact):
        channels = network.config.in_channels
        last = _srvgg(graph, network, source)
    else:
        raise ModelError(f"{type(network).__name__} cannot be written as ONNX")
    graph.add("Cast" if half else "Identity", [last], "enlarged", **({"to": onnx.TensorProto.FLOAT} if half else {}))
    return graph.finish(card, channels, network.config.out_channels)


class _Graph:
    """Nodes and weights of one ONNX graph."""

    def __init__(self, onnx: Any, half: bool) -> None:
        self._onnx, self._half = onnx, half
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, kind: str, inputs: list[str], out: str | None = None, **attributes: Any) -> str:
        name = out or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def weight(self, name: str, tensor: Tensor, *, as_stored: bool = False) -> str:
        value = tensor.detach().cpu()
        value = value if as_stored else value.half() if self._half else value.float()
        self._weights.append(self._onnx.numpy_helper.from_array(value.contiguous().numpy(), name))
        return name

    def cast(self, source: str, to: int) -> str:
        return self.add("Cast", [source], to=to)

    def conv(self, name: str, layer: nn.Conv2d, source: str, *, order: Tensor | None = None) -> str:
        assert layer.bias is not None
        weight = layer.weight if order is None else layer.weight[:, order]
        names = [self.weight(f"{name}.weight", weight), self.weight(f"{name}.bias", layer.bias)]
        return self.add("Conv", [source, *names], kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    def leaky(self, source: str, slope: float = NEGATIVE_SLOPE) -> str:
        return self.add("LeakyRelu", [source], alpha=slope)

    def enlarge(self, source: str, factor: int) -> str:
        scales = self.weight(f"scales_{len(self._nodes)}", torch.tensor([1.0, 1.0, factor, factor]), as_stored=True)
        return self.add(
            "Resize",
            [source, "", scales],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def finish(self, card: dict[str, str], inputs: int, outputs: int) -> bytes:
        helper, float32 = self._onnx.helper, self._onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            "vidsr",
            [helper.make_tensor_value_info("rgb", float32, ["batch", inputs, "height", "width"])],
            [helper.make_tensor_value_info("enlarged", float32, ["batch", outputs, "out_height", "out_width"])],
            self._weights,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="vidsr")
        helper.set_model_props(model, dict(sorted(card.items())))
        self._onnx.checker.check_model(model)
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _rrdb(graph: _Graph, network: RRDBNet, source: str) -> str:
    config, layers = network.config, dict(network.named_modules())

    def conv(name: str, source: str, order: Tensor | None = None) -> str:
        layer = layers[name]
        assert isinstance(layer, nn.Conv2d)
        return graph.conv(name, layer, source, order=order)

    shrink = graph.weight("residual_scale", torch.tensor(RESIDUAL_SCALE))
    order = None
    if (fold := config.unshuffle) > 1:
        source = graph.add("SpaceToDepth", [source], blocksize=fold)
        # ONNX puts the place in the block before the channel, PyTorch after it: the weights are put in its order.
        order = torch.arange(config.in_channels * fold**2).view(config.in_channels, -1).T.flatten()
    first = trunk = conv("conv_first", source, order)
    for block in range(config.num_block):
        before = trunk
        for dense in (1, 2, 3):
            prefix, features = f"body.{block}.rdb{dense}.conv", [trunk]
            for i in range(1, 5):
                joined = graph.add("Concat", features, axis=1) if i > 1 else trunk
                features.append(graph.leaky(conv(f"{prefix}{i}", joined)))
            last = conv(f"{prefix}5", graph.add("Concat", features, axis=1))
            trunk = graph.add("Add", [graph.add("Mul", [last, shrink]), trunk])
        trunk = graph.add("Add", [graph.add("Mul", [trunk, shrink]), before])
    x = graph.add("Add", [first, conv("conv_body", trunk)])
    for i in range(1, config.upsamplings + 1):
        x = graph.leaky(conv(f"conv_up{i}", graph.enlarge(x, 2)))
    return conv("conv_last", graph.leaky(conv("conv_hr", x)))


def _srvgg(graph: _Graph, network: SRVGGNetCompact, source: str) -> str:
    x = source
    for number, layer in enumerate(network.body):
        if isinstance(layer, nn.Conv2d):
            x = graph.conv(f"body.{number}", layer, x)
        elif isinstance(layer, nn.PReLU):
            x = graph.add("PRelu", [x, graph.weight(f"body.{number}.weight", layer.weight.view(-1, 1, 1))])
        elif isinstance(layer, nn.LeakyReLU):
            x = graph.leaky(x, layer.negative_slope)
        else:
            x = graph.add("Relu", [x])
    shuffled = graph.add("DepthToSpace", [x], blocksize=network.scale, mode="CRD")
    return graph.add("Add", [shuffled, graph.enlarge(source, network.scale)])
