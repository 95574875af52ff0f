"""Kernels that a GPU starts for each frame, and the bytes they move: counted, not timed.

    python -m benchmarks.speed.traffic                    # around the network: 1280x720 to 5120x2880, yuv420p
    python -m benchmarks.speed.traffic --networks         # the networks, in half precision
    python -m benchmarks.speed.traffic --l2               # what vidsr's own kernels read from L2, by arithmetic

The stages run on PyTorch's meta device, which computes nothing but dispatches every operation as a GPU does: no device
is needed. An operation that only makes a view or allocates is no kernel. Read is what a kernel's inputs hold, written
what its results hold. An operation that PyTorch splits into several kernels of its own (sort, median) counts as one,
but for the bias of a convolution, which on CUDA is a pass over the result after cuDNN's kernel.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vidsr.filters.after.post import post_steps
from vidsr.frames import Colour, PixelFormat
from vidsr.inference import colour as colours
from vidsr.inference.forms.folded_torch import FoldedRRDBNet
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig
from vidsr.options.restore_options import RestoreOptions

_ALLOCATIONS = ("empty", "new_empty", "empty_strided", "empty_like")


@dataclass
class Traffic(TorchDispatchMode):
    """Counts kernels by name, and the bytes that they read and write."""

    kernels: Counter[str] = field(default_factory=Counter)
    read: int = 0
    written: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        composite = torch._C.DispatchKey.CompositeImplicitAutograd
        if torch._C._dispatch_has_kernel_for_dispatch_key(function.name(), composite):  # they arrive whole here
            with self:
                return function._op_dk(composite, *args, **(kwargs or {}))
        made = function(*args, **(kwargs or {}))
        name = function._schema.name.removeprefix("aten::")
        returns = function._schema.returns
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
        if is_view or name.startswith(_ALLOCATIONS):
            return made
        self.kernels[name] += 1
        self.read += sum(map(_bytes, tree_leaves((args, kwargs))))
        self.written += sum(map(_bytes, tree_leaves(made)))
        if name == "convolution" and args[2] is not None:
            self.kernels["bias"] += 1
            self.read += _bytes(made)
            self.written += _bytes(made)
        return made


def _bytes(value: Any) -> int:
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0


def stages(size: tuple[int, int], scale: int) -> dict[str, Callable[[], Any]]:
    """Name → what runs for one frame of ``size`` (height, width) in yuv420p."""
    height, width = size
    form, colour = PixelFormat.parse("yuv420p"), Colour()
    assert form is not None
    codes = [
        torch.empty(1, h, w, dtype=torch.uint8, device="meta")
        for h, w in (size, *[(-(-height // 2), -(-width // 2))] * 2)
    ]
    source = torch.empty(1, 3, height, width, device="meta")
    out = torch.empty(1, 3, scale * height, scale * width, device="meta")

    def after() -> Tensor:
        result = out
        for step in post_steps(RestoreOptions()):
            result = step(source, result, ())
        return result

    return {
        "planes to RGB": lambda: colours.rgb_from_planes(codes, form, colour),
        "is it finite?": lambda: torch.isfinite(out.flatten(1).sum(1)),
        "the default steps": after,
        "RGB to planes": lambda: colours.planes_from_rgb(out, form, colour),
    }


def networks(size: tuple[int, int]) -> dict[str, Callable[[], Any]]:
    """Form → what runs for one frame of ``size`` (height, width)."""

    def form(network: nn.Module) -> Callable[[], Any]:
        there = network.eval().to(device="meta", dtype=torch.half, memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = torch.empty(1, 3, *size, dtype=torch.half, device="meta").contiguous(memory_format=torch.channels_last)
        return lambda: there(x)

    return {
        "realesrgan-x4plus, as it is": form(RRDBNet(RRDBNetConfig())),
        "realesrgan-x4plus, folded": form(FoldedRRDBNet(RRDBNet(RRDBNetConfig()))),
        "realesrgan-x4plus-anime-6B, folded": form(FoldedRRDBNet(RRDBNet(RRDBNetConfig(num_block=6)))),
        "realesr-animevideov3": form(SRVGGNetCompact(SRVGGNetCompactConfig())),
    }


def own_kernels(pixels: int, across: int) -> tuple[float, float]:
    """What the own kernels of realesrgan-x4plus read from L2, in bytes per source pixel, and FLOP per such byte.

    A block of ``pixels``, so many of them ``across``, reads the input around its pixels once for each slice of
    channels: L1 holds it for the taps, which follow each other. It reads the weights of the convolution, too.
    """
    grown = [(64 + 32 * n, 32, 3, 1, 69) for n in range(4)]
    last = [(192, 64, 3, 1, 69), (64, 64, 3, 1, 1)]
    ups = [(64, 64, 2, 4, 1), (64, 64, 2, 16, 1)]  # a phase has 2×2 taps; results are 4 and 16 times the source's
    tail = [(64, 64, 3, 16, 1), (64, 16, 3, 16, 1)]
    read = operations = 0.0
    for inputs, outputs, taps, results, times in (*grown, *last, *ups, *tail):
        around = (pixels // across + taps - 1) * (across + taps - 1) / pixels
        read += results * times * 2 * inputs * (around + taps * taps * outputs / pixels)
        operations += results * times * 2 * 9 * inputs * (outputs if outputs > 16 else 3)
    return read, operations / read


@torch.inference_mode()
def main() -> None:
    """Print a row for each stage, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--networks", action="store_true", help="the networks instead of what is around them")
    parser.add_argument("--l2", action="store_true", help="what blocks of several shapes read from L2")
    parser.add_argument("--kernels", action="store_true", help="also how often each operation is started")
    args = parser.parse_args()
    width, height = args.size
    if args.l2:
        print("| pixels of a block | KB per source pixel | FLOP per byte |\n|---|---|---|")
        for pixels, across in ((128, 128), (128, 16), (256, 256), (256, 16)):
            read, rate = own_kernels(pixels, across)
            print(f"| {pixels // across} × {across} | {read / 1e3:.0f} | {rate:.0f} |")
        return
    print("| stage | kernels | GB read | GB written |\n|---|---|---|---|")
    total = Traffic()
    chosen = networks((height, width)) if args.networks else stages((height, width), args.scale)
    for name, run in chosen.items():
        run()  # constants
        with Traffic() as found:
            run()
        total.kernels += found.kernels
        total.read += found.read
        total.written += found.written
        _row(name, found)
    if not args.networks:
        _row("all", total)
    if args.kernels:
        print(dict(total.kernels.most_common()))


def _row(name: str, found: Traffic) -> None:
    print(f"| {name} | {found.kernels.total()} | {found.read / 1e9:.2f} | {found.written / 1e9:.2f} |")


if __name__ == "__main__":
    main()
