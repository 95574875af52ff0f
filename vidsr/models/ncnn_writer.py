"""Writes a network as ncnn's ``.param`` and ``.bin``, for phones and for GPUs without CUDA.

The graph is written from the papers' figures, layer by layer; no converter is needed. ncnn lets a blob have one
reader only, so every blob with more of them goes through a Split layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from vidsr.errors import ModelError
from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RESIDUAL_SCALE, RRDBNet
from vidsr.models.architectures.srvgg import SRVGGNetCompact
from vidsr.models.ncnn_format import MAGIC

_FP16_FLAG = 0x01306B47
_LEAKY = f" 9=2 -23310=1,{NEGATIVE_SLOPE:e}"
_SCALED_SUM = f"0=1 -23301=2,{RESIDUAL_SCALE:e},1.000000e+00"


def to_ncnn(network: nn.Module, half: bool) -> tuple[str, bytes]:
    """(text of the ``.param``, content of the ``.bin``); the input blob is "data", the output blob "output".

    ``half`` stores convolution weights in fp16; biases and slopes are always fp32.

    Raises:
        ModelError: the network is of a kind that ncnn files of this program do not cover.
    """
    graph = _Graph(half)
    if isinstance(network, RRDBNet):
        _rrdb(graph, network)
    elif isinstance(network, SRVGGNetCompact):
        _srvgg(graph, network)
    else:
        raise ModelError(f"{type(network).__name__} cannot be written for ncnn")
    return graph.param(), bytes(graph.data)


class _Graph:
    """Layers as lists of words, and the weights in their order."""

    def __init__(self, half: bool) -> None:
        self.data = bytearray()
        self._half = half
        self._layers: list[tuple[str, list[str], str, str]] = []

    def add(self, kind: str, inputs: list[str], params: str, out: str | None = None) -> str:
        name = out or f"blob{len(self._layers)}"
        self._layers.append((kind, list(inputs), name, params))
        return name

    def conv(self, layer: nn.Conv2d, source: str, *, leaky: bool = False, out: str | None = None) -> str:
        assert layer.bias is not None
        weight = layer.weight.detach().cpu()
        raw = _bytes(weight.half() if self._half else weight.float())
        flag = _FP16_FLAG if self._half else 0
        self.data += flag.to_bytes(4, "little") + raw + bytes(-len(raw) % 4) + _bytes(layer.bias.detach().float())
        params = f"0={layer.out_channels} 1=3 4=1 5=1 6={weight.numel()}" + (_LEAKY if leaky else "")
        return self.add("Convolution", [source], params, out)

    def prelu(self, layer: nn.PReLU, source: str) -> str:
        self.data += _bytes(layer.weight.detach().float())
        return self.add("PReLU", [source], f"0={layer.num_parameters}")

    def param(self) -> str:
        """The text; Split layers are put in behind every blob that several layers read."""
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


def _rrdb(graph: _Graph, network: RRDBNet) -> None:
    config, layers = network.config, dict(network.named_modules())

    def conv(name: str, source: str, *, leaky: bool = False, out: str | None = None) -> str:
        layer = layers[name]
        assert isinstance(layer, nn.Conv2d)
        return graph.conv(layer, source, leaky=leaky, out=out)

    source = "data"
    if config.unshuffle > 1:
        source = graph.add("Reorg", [source], f"0={config.unshuffle}")
    first = trunk = conv("conv_first", source)
    for block in range(config.num_block):
        before = trunk
        for dense in (1, 2, 3):
            prefix, features = f"body.{block}.rdb{dense}.conv", [trunk]
            for i in range(1, 5):
                joined = graph.add("Concat", features, "0=0") if i > 1 else trunk
                features.append(conv(f"{prefix}{i}", joined, leaky=True))
            last = conv(f"{prefix}5", graph.add("Concat", features, "0=0"))
            trunk = graph.add("Eltwise", [last, trunk], _SCALED_SUM)
        trunk = graph.add("Eltwise", [trunk, before], _SCALED_SUM)
    x = graph.add("BinaryOp", [first, conv("conv_body", trunk)], "0=0")
    for i in range(1, config.upsamplings + 1):
        x = conv(f"conv_up{i}", graph.add("Interp", [x], "0=1 1=2.0 2=2.0"), leaky=True)
    conv("conv_last", conv("conv_hr", x, leaky=True), out="output")


def _srvgg(graph: _Graph, network: SRVGGNetCompact) -> None:
    x = "data"
    for layer in network.body:
        if isinstance(layer, nn.Conv2d):
            x = graph.conv(layer, x)
        elif isinstance(layer, nn.PReLU):
            x = graph.prelu(layer, x)
        elif isinstance(layer, nn.LeakyReLU):
            x = graph.add("ReLU", [x], f"0={layer.negative_slope:e}")
        else:
            x = graph.add("ReLU", [x], "0=0.0")
    x = graph.add("PixelShuffle", [x], f"0={network.scale}")
    base = graph.add("Interp", ["data"], f"0=1 1={network.scale}.0 2={network.scale}.0")
    graph.add("BinaryOp", [x, base], "0=0", "output")


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
