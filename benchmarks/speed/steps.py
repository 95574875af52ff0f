"""What each step of the fast forms brings on this CPU, one step after the other, on the same network and frame.

    python -m benchmarks.speed.steps --blocks 3 --size 160x90 --rounds 5

Times are medians of interleaved rounds, in CPU seconds (of all threads) and in seconds of wall clock; GFLOP/s count the
plain network's multiplications and additions per CPU second, to be held against the matrix-product rate of
one core in the first line.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.speed.gpu_forms import split
from vidsr.errors import MissingExtraError
from vidsr.inference.bench import operations_per_pixel
from vidsr.inference.forms import winograd_library
from vidsr.inference.forms.folded_torch import FoldedRRDBNet, FusedConv
from vidsr.inference.forms.winograd_cpu import WinogradRRDBNet as Winograd
from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RRDBNet, RRDBNetConfig
from vidsr.models.openvino import load_openvino

Form = Callable[[Tensor], Tensor]


class RepeatUp(nn.Module):
    """Enlarging as the plain network does it, with a fused convolution."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.bias is not None
        self.conv = FusedConv(conv.weight, conv.bias, slope=NEGATIVE_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


def forms(network: RRDBNet, shape: tuple[int, ...], threads: int) -> dict[str, Form]:
    """The network after each step."""
    last = {"memory_format": torch.channels_last}
    folded = FoldedRRDBNet(deepcopy(network))
    folded._ups = nn.ModuleList(RepeatUp(up) for up in (deepcopy(network.conv_up1), deepcopy(network.conv_up2)))
    found: dict[str, Form] = {
        "plain, NCHW": network,
        "channels last": deepcopy(network).to(**last),  # type: ignore[call-overload]
        "+ scales folded, activation and sum fused": folded.to(**last),  # type: ignore[call-overload]
        "+ four-phase enlarging (backend torch)": FoldedRRDBNet(deepcopy(network)).to(**last),  # type: ignore[call-overload]
        "  the same, split by source": split(deepcopy(network)).to(**last),  # type: ignore[call-overload]
    }
    library = winograd_library.library()
    if library is not None:
        found["Winograd kernels (backend winograd)"] = Winograd(network, library)
    try:
        ov = load_openvino()
    except MissingExtraError:
        return found
    converted = ov.convert_model(network, example_input=torch.zeros(shape), input=[list(shape)])
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(converted, "CPU", settings).create_infer_request()
    found["OpenVINO, fp32"] = lambda x: torch.from_numpy(request.infer([x.numpy()])[0])
    return found


def timed(step: Callable[[], Any]) -> tuple[float, float]:
    """(CPU, wall clock) seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    step()
    return time.process_time() - cpu, time.perf_counter() - wall


@torch.no_grad()
def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=3, help="RRDB blocks; the tail weighs more with few")
    parser.add_argument("--size", default="160x90")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    width, height = map(int, args.size.split("x"))
    network = RRDBNet(RRDBNetConfig(num_block=args.blocks)).eval().requires_grad_(False)
    x = torch.rand(1, 3, height, width)
    work = operations_per_pixel(network, 4) * width * height
    expected = network(x)
    found = forms(network, tuple(x.shape), args.threads)
    gaps = {}
    for name, form in found.items():
        gap = (form(x).double() - expected.double()).square().mean()
        gaps[name] = float("inf") if gap == 0 else float(-10 * torch.log10(gap))
    a = torch.randn(2048, 2048)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ("matrix product", *found)}
    for _ in range(args.rounds):
        times["matrix product"].append(timed(lambda: a @ a))
        for name, form in found.items():
            times[name].append(timed(lambda form=form: form(x)))  # type: ignore[misc]
    print(f"RRDBNet, {args.blocks} blocks, {args.size}, {args.threads} threads, median of {args.rounds} rounds")
    for name, measured in times.items():
        cpu, wall = (statistics.median(column) for column in zip(*measured, strict=True))
        flops = 2 * 2048**3 if name == "matrix product" else work
        quality = "" if name == "matrix product" else f"{gaps[name]:7.1f} dB"
        print(
            f"{name:44s} {cpu * 1e3:8.1f} ms CPU {wall * 1e3:8.1f} ms wall {flops / cpu / 1e9:7.1f} GFLOP/s {quality}"
        )


if __name__ == "__main__":
    main()
