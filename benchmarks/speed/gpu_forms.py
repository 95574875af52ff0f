"""Forms of the networks that are compared on a GPU, the picture they are given, and how they are timed.

Needs torch and numpy, and Triton for its own form.
"""

from __future__ import annotations

import json
import statistics
import struct
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidsr.inference.forms.cuda_graphs import Graphed
from vidsr.inference.forms.folded_torch import FastDenseBlock, FoldedRRDBNet
from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig

ROOT = Path(__file__).resolve().parents[2]
Form = Callable[[Tensor], Tensor]

#: Multiply-adds of the plain network per source pixel, and the bytes that the passes between the convolutions of its
#: folded form read and write in half precision: bias, activation, sum and concatenation; for the compact network the
#: activations alone.
MODELS: dict[str, tuple[Callable[[], nn.Module], float, float]] = {
    "realesrgan-x4plus": (lambda: RRDBNet(RRDBNetConfig()), 17_926_848, 69 * 1984 * 2),
    "realesrgan-x4plus-anime-6B": (lambda: RRDBNet(RRDBNetConfig(num_block=6)), 5_706_432, 18 * 1984 * 2),
    "realesr-animevideov3": (lambda: SRVGGNetCompact(SRVGGNetCompactConfig()), 619_200, 17 * 64 * 2 * 2),
}
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
#: The fewest dB against the plain network in fp32.
RIGHT_FROM = {"fp32": 90.0, "fp16": 60.0, "bf16": 45.0}
_DTYPES = {"F32": np.float32, "F16": np.float16}


@dataclass(frozen=True)
class Network:
    """A plain network as :class:`vidsr.inference.upscaler.Upscaler` takes it."""

    network: nn.Module
    architecture: str
    scale: int = 4
    sha256: str = ""


@dataclass(frozen=True)
class At:
    """Where a form is timed: (height, width) and the name of a type."""

    size: tuple[int, int]
    dtype: str

    @property
    def name(self) -> str:
        """Width x height."""
        return f"{self.size[1]}x{self.size[0]}"


class SplitDenseBlock(nn.Module):
    """A dense block whose weights are split by source: x feeds all five convolutions as one, and so on.

    Nothing is concatenated and every product is at least 64 wide; partial sums are rounded to the working type.
    """

    def __init__(self, block: FastDenseBlock) -> None:
        super().__init__()
        convs = [*block._grown, block._last]
        feat, grow = block._last.weight.shape[0], convs[0].weight.shape[0]
        edges = [0, *(feat + i * grow for i in range(5))]
        self.weights = nn.ParameterList()
        for source in range(5):
            parts = [c.weight[:, edges[source] : edges[source + 1]] for c in convs[source:]]
            whole = torch.cat(parts).contiguous(memory_format=torch.channels_last)
            self.weights.append(nn.Parameter(whole, requires_grad=False))
        self.register_buffer("bias", torch.cat([c.bias for c in convs]))
        self._grow = grow

    def forward(self, x: Tensor, plus: Tensor) -> Tensor:
        sums = F.conv2d(x, self.weights[0], self.bias, padding=1)
        for source in range(1, 5):
            grown = F.leaky_relu(sums[:, : self._grow], NEGATIVE_SLOPE)
            sums = sums[:, self._grow :] + F.conv2d(grown, self.weights[source], padding=1)
        return sums + plus


def split(network: RRDBNet) -> nn.Module:
    """The folded form with split dense blocks."""
    form = FoldedRRDBNet(network)
    form._blocks = nn.ModuleList(SplitDenseBlock(block) for block in form._blocks)
    return form


def placed(network: nn.Module, device: str, dtype: torch.dtype, *, channels_last: bool = True) -> nn.Module:
    """On the device, in the type, in the memory format."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return network.to(device=device, dtype=dtype, memory_format=layout)


def cudnn_forms(network: nn.Module, device: str, dtype: torch.dtype) -> dict[str, Callable[[], Form]]:
    """Every form by cuDNN (or the CPU's library) by name; each is built only when its turn comes."""

    def plain(layout: bool = True) -> nn.Module:
        return placed(deepcopy(network), device, dtype, channels_last=layout)

    found: dict[str, Callable[[], Form]] = {"eager channels last": plain}
    if isinstance(network, RRDBNet):
        found["folded, phases"] = lambda: placed(FoldedRRDBNet(deepcopy(network)), device, dtype)
        found["split by source"] = lambda: placed(split(deepcopy(network)), device, dtype)
    if device == "cuda":
        for name in list(found):
            found[f"{name}, graph"] = lambda make=found[name]: Graphed(make())  # type: ignore[misc]
    found["eager NCHW"] = lambda: plain(False)
    return found


def compiled_form(network: nn.Module, device: str, dtype: torch.dtype) -> Form:
    """``torch.compile`` for one shape."""
    made: Form = torch.compile(placed(deepcopy(network), device, dtype), dynamic=False)
    return made


def triton_form(network: nn.Module, device: str, dtype: torch.dtype, **tiling: int) -> Form:
    """The Triton form, with its own tiling or a given one."""
    from vidsr.inference.forms.compiled_forms import tiling_on
    from vidsr.inference.forms.triton_convolution import Tiling, TritonRRDBNet, TritonSRVGGNetCompact

    form = TritonRRDBNet if isinstance(network, RRDBNet) else TritonSRVGGNetCompact
    own = tiling_on(torch.device(device)) if device == "cuda" else Tiling()
    return form(placed(deepcopy(network), device, dtype), replace(own, **tiling))  # type: ignore[arg-type]


def weights_of(name: str) -> Path:
    """The file of the shipped weights."""
    return ROOT / "weights" / f"{name}.safetensors"


def load(name: str) -> nn.Module:
    """The plain fp32 network with its shipped weights; random small ones where they are not there."""
    make = MODELS[name][0]
    torch.manual_seed(0)
    network = make().eval().requires_grad_(False)
    path = weights_of(name)
    if not path.exists():
        for p in network.parameters():
            p.mul_(0.5)
        return network
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    state = {}
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        kind = _DTYPES[entry["dtype"]]
        start, end = (8 + size + at for at in entry["data_offsets"])
        state[key] = torch.from_numpy(np.frombuffer(raw[start:end], kind).reshape(entry["shape"]).astype(np.float32))
    network.load_state_dict(state)
    return network


def tiny(name: str) -> nn.Module:
    """A small network of the same architecture, for dry runs."""
    torch.manual_seed(0)
    if name.startswith("realesr-"):
        return SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=16, num_conv=2)).eval().requires_grad_(False)
    return RRDBNet(RRDBNetConfig(num_feat=16, num_grow_ch=16, num_block=1)).eval().requires_grad_(False)


def picture(size: tuple[int, int]) -> Tensor:
    """Something like a photograph, [1, 3, h, w] in 0..1: smooth shapes, edges and fine texture."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] / 64.0
    noise = np.random.default_rng(0).random((3, *size))
    shapes = np.sin(rows * 3 + columns)[None] + (np.cos(rows * columns) > 0.3)[None] + 0.3 * noise
    return torch.from_numpy(((shapes + 1) / 3.3).astype(np.float32)).unsqueeze(0).clamp(0, 1)


def decibels(a: Tensor, b: Tensor) -> float:
    """PSNR for a peak of 1."""
    return float(-10 * torch.log10((a.double() - b.double()).square().mean()))


def seconds(step: Callable[[], Any], device: str, budget: float) -> float:
    """Median seconds of a step, after two warm-ups; as many repeats as the budget allows, 3 to 50."""
    for _ in range(2):
        step()
    times: list[float] = []
    until = time.perf_counter() + budget
    while len(times) < 3 or (time.perf_counter() < until and len(times) < 50):
        if device == "cuda":
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            step()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 1000)
        else:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def ceilings(device: str) -> dict[str, float]:
    """This chip's own limits: fp16 matrix product in TFLOP/s, copy in GB/s."""
    n = 8192 if device == "cuda" else 256
    a, b = (
        torch.randn(n, n, device=device, dtype=torch.float16 if device == "cuda" else torch.bfloat16) for _ in range(2)
    )
    product = 2 * n**3 / seconds(lambda: a @ b, device, 2.0) / 1e12
    block = torch.empty((1 << 30) if device == "cuda" else (1 << 22), dtype=torch.uint8, device=device)
    other = torch.empty_like(block)
    copy = 2 * block.numel() / seconds(lambda: other.copy_(block), device, 1.0) / 1e9
    return {"matmul_fp16_tflops": product, "copy_gb_per_second": copy}
