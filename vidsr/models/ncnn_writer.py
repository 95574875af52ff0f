"""Writes a network as ncnn's ``.param`` and ``.bin``, for phones and for GPUs without CUDA.

Each operation of the network's graph becomes one layer. ncnn lets a blob have one reader only, so every blob with
several readers goes through a Split layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from vidsr.errors import ModelError
from vidsr.models import graph
from vidsr.models.ncnn_format import MAGIC

_FP16_FLAG = 0x01306B47


def to_ncnn(network: graph.Graph, half: bool) -> tuple[str, bytes]:
    """(text of the ``.param``, content of the ``.bin``); the input blob is "data", the output blob "output".

    ``half`` stores convolution weights in fp16; biases and slopes are always fp32.

    Raises:
        ModelError: the network has state.
    """
    if any(isinstance(node.operation, graph.StateInput) for node in network.nodes):
        raise ModelError("a network that takes its last result has no ncnn form: export it as onnx or openvino")
    out, blobs = _Layers(half), ["data"]
    for number, node in enumerate(network.nodes, 1):
        name = "output" if number == len(network.nodes) else None
        blobs.append(_add(out, node.operation, [blobs[i] for i in node.inputs], name))
    return out.param(), bytes(out.data)


class _Layers:
    """Layers as lists of words, and the weights in their order."""

    def __init__(self, half: bool) -> None:
        self.data = bytearray()
        self._half = half
        self._layers: list[tuple[str, list[str], str, str]] = []

    def add(self, kind: str, inputs: list[str], params: str, out: str | None = None) -> str:
        name = out or f"blob{len(self._layers)}"
        self._layers.append((kind, list(inputs), name, params))
        return name

    def conv(self, layer: nn.Conv2d, source: str, slope: float | None, out: str | None) -> str:
        weight = layer.weight.detach().cpu()
        raw = _bytes(weight.half() if self._half else weight.float())
        flag = _FP16_FLAG if self._half else 0
        self.data += flag.to_bytes(4, "little") + raw + bytes(-len(raw) % 4)
        if layer.bias is not None:
            self.data += _bytes(layer.bias.detach().float())
        kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
        params = [f"0={layer.out_channels} 1={kernel}"]
        params += [f"3={stride}"] if stride != 1 else []
        params += [f"4={padding}"] if padding else []
        params += ["5=1"] if layer.bias is not None else []
        params += [f"6={weight.numel()}"]
        params += [f"7={layer.groups}"] if layer.groups != 1 else []
        params += [f"9=2 -23310=1,{slope:e}"] if slope is not None else []
        kind = "Convolution" if layer.groups == 1 else "ConvolutionDepthWise"
        return self.add(kind, [source], " ".join(params), out)

    def prelu(self, layer: nn.PReLU, source: str, out: str | None) -> str:
        self.data += _bytes(layer.weight.detach().float())
        return self.add("PReLU", [source], f"0={layer.num_parameters}", out)

    def param(self) -> str:
        """The text; a Split layer follows every blob that several layers read."""
        readers: dict[str, int] = {}
        for _, inputs, _, _ in self._layers:
            for blob in inputs:
                readers[blob] = readers.get(blob, 0) + 1
        taken: dict[str, int] = {}
        lines, blobs = ["Input input 0 1 data"], 1
        blobs += self._split(lines, "data", readers)
        for number, (kind, inputs, out, params) in enumerate(self._layers):
            names = []
            for blob in inputs:
                copy = taken.get(blob, 0)
                names.append(f"{blob}_{copy}" if readers[blob] > 1 else blob)
                taken[blob] = copy + 1
            lines.append(f"{kind} {kind.lower()}{number} {len(names)} 1 {' '.join(names)} {out} {params}")
            blobs += 1 + self._split(lines, out, readers)
        return f"{MAGIC}\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n"

    @staticmethod
    def _split(lines: list[str], blob: str, readers: dict[str, int]) -> int:
        count = readers.get(blob, 0)
        if count < 2:
            return 0
        lines.append(f"Split split_{blob} 1 {count} {blob} " + " ".join(f"{blob}_{i}" for i in range(count)))
        return count


def _add(out: _Layers, operation: graph.Operation, inputs: list[str], name: str | None) -> str:
    """Translate one operation; the name of its blob."""
    match operation:
        case graph.Convolution(layer=layer, slope=slope):
            return out.conv(layer, inputs[0], slope, name)
        case graph.StateInput():
            raise AssertionError("refused before")
        case graph.PReLU(layer=layer):
            return out.prelu(layer, inputs[0], name)
        case graph.LeakyReLU(slope=slope):
            return out.add("ReLU", inputs, f"0={slope:e}" if slope else "0=0.0", name)
        case graph.GELU():
            return out.add("GELU", inputs, "0=0", name)
        case graph.Sigmoid():
            return out.add("Sigmoid", inputs, "", name)
        case graph.Tanh():
            return out.add("TanH", inputs, "", name)
        case graph.Clamp(low=low, high=high):
            return out.add("Clip", inputs, f"0={low:e} 1={high:e}", name)
        case graph.Concat():
            return out.add("Concat", inputs, "0=0", name)
        case graph.Channels(start=start, stop=stop):
            return out.add("Crop", inputs, f"-23309=1,{start} -23310=1,{stop} -23311=1,0", name)
        case graph.Sum(factors=(1.0, 1.0)):
            return out.add("BinaryOp", inputs, "0=0", name)
        case graph.Sum(factors=factors):
            return out.add("Eltwise", inputs, "0=1 -23301=2," + ",".join(f"{f:e}" for f in factors), name)
        case graph.Multiply():
            return out.add("BinaryOp", inputs, "0=2", name)
        case graph.Enlarge(factor=factor):
            return out.add("Interp", inputs, f"0=1 1={factor}.0 2={factor}.0", name)
        case graph.Shuffle(factor=factor):
            return out.add("PixelShuffle", inputs, f"0={factor}", name)
        case graph.Unshuffle(factor=factor):
            return out.add("Reorg", inputs, f"0={factor}", name)
        case graph.MaxPool(kernel=kernel, stride=stride):
            return out.add("Pooling", inputs, f"0=0 1={kernel} 2={stride} 5=1", name)
        case graph.ResizeLike():
            return out.add("Interp", inputs, "0=2 5=1", name)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
