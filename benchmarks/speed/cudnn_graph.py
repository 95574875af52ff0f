"""A dense block of realesrgan-x4plus by cuDNN's graph API, against PyTorch and Triton: one run on a GPU decides.

    pip install nvidia-cudnn-frontend
    python -m benchmarks.speed.cudnn_graph --out cudnn.json        # about a minute; needs a CUDA GPU

The graph API can do what PyTorch's convolution cannot: read and write slices of one NHWC buffer, so that nothing is
concatenated, and add the bias, the leaky ReLU and the residual while the sums are in registers. A block of 1280x720 is
computed by each way, compared with fp32, and timed as a CUDA graph of ten blocks. Per source pixel a block in PyTorch
reads and writes 1,984 channels outside the convolutions; in the other two, none.

A form is worth having in vidsr where it is right (55 dB or more) and at least 1.1 times as fast as PyTorch's; the last
lines say so. Rows are written to the file one after the other, so that an error of one way leaves the others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEAT, GROW = 64, 32
WHOLE = FEAT + 4 * GROW
SLOPE, SCALE = 0.2, 0.2
BLOCKS = 10
RIGHT_FROM_DB, WORTH_IT = 55.0, 1.1

#: A block over a buffer ``[N, 192, H, W]``, channels last, whose first 64 channels are its input; returns 64 channels.
Block = Callable[[Tensor], Tensor]


def convolutions(device: str) -> list[nn.Conv2d]:
    """The five convolutions of a block, in fp32, with weights of the size of trained ones."""
    torch.manual_seed(0)
    sizes = [(FEAT + i * GROW, GROW if i < 4 else FEAT) for i in range(5)]
    made = [nn.Conv2d(inputs, outputs, 3, padding=1) for inputs, outputs in sizes]
    return [conv.to(device).requires_grad_(False) for conv in made]


def plain(convs: list[nn.Conv2d], dtype: torch.dtype) -> Block:
    """The block as PyTorch runs it: concatenation, bias and activation are passes of their own."""
    there = [nn.Conv2d(c.in_channels, c.out_channels, 3, padding=1).to(c.weight.device) for c in convs]
    for one, other in zip(there, convs, strict=True):
        one.load_state_dict(other.state_dict())
        one.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(buffer: Tensor) -> Tensor:
        start = buffer[:, :FEAT].to(dtype)
        parts = [start]
        for conv in there[:4]:
            parts.append(F.leaky_relu(conv(torch.cat(parts, 1)), SLOPE))
        out: Tensor = there[4](torch.cat(parts, 1)) * SCALE + start
        return out

    return run


def by_triton(convs: list[nn.Conv2d], *, rows: bool = False) -> Block:
    """The block by vidsr's own kernel, or by the one that loads rows by tensor descriptors (sm_90 and newer)."""
    from vidsr.inference.forms.compiled_forms import tiling_on
    from vidsr.inference.forms.triton_convolution import ROWS, TritonConv

    half = [(c.weight.half(), c.bias.half()) for c in convs if c.bias is not None]
    grown = [TritonConv(weight, bias, slope=SLOPE) for weight, bias in half[:4]]
    last = TritonConv(half[4][0] * SCALE, half[4][1] * SCALE)
    tiling = ROWS if rows else tiling_on(convs[0].weight.device)

    def run(buffer: Tensor) -> Tensor:
        pixels = buffer.permute(0, 2, 3, 1)
        for number, conv in enumerate(grown):
            conv(pixels, pixels[..., FEAT + number * GROW :], tiling)
        out = pixels.new_empty((*pixels.shape[:3], FEAT))
        return last(pixels, out, tiling, [(pixels, 1.0)]).permute(0, 3, 1, 2)

    return run


def by_cudnn(convs: list[nn.Conv2d], buffer: Tensor) -> Block:
    """The block by five cuDNN graphs over slices of ``buffer``; each fuses its bias and activation or residual."""
    import cudnn

    handle = cudnn.create_handle()
    steps: list[tuple[Any, dict[Any, Tensor], Tensor]] = []
    out = torch.empty_like(buffer[:, :FEAT].contiguous(memory_format=torch.channels_last))
    kept: list[Tensor] = []
    for number, conv in enumerate(convs):
        last = number == 4
        factor = SCALE if last else 1.0
        assert conv.bias is not None
        weight = (conv.weight * factor).half().contiguous(memory_format=torch.channels_last)
        bias = (conv.bias * factor).half().reshape(1, -1, 1, 1).to(memory_format=torch.channels_last)
        source = buffer[:, : conv.in_channels]
        target = out if last else buffer[:, FEAT + number * GROW : FEAT + (number + 1) * GROW]
        graph = cudnn.pygraph(
            io_data_type=cudnn.data_type.HALF,
            intermediate_data_type=cudnn.data_type.FLOAT,
            compute_data_type=cudnn.data_type.FLOAT,
            handle=handle,
        )

        def tensor(name: str, like: Tensor, graph: Any = graph) -> Any:
            return graph.tensor(name=name, dim=list(like.shape), stride=list(like.stride()), data_type=like.dtype)

        x, w, b = tensor("x", source), tensor("w", weight), tensor("b", bias)
        sums = graph.conv_fprop(image=x, weight=w, padding=[1, 1], stride=[1, 1], dilation=[1, 1])
        sums = graph.bias(name="bias", input=sums, bias=b)
        given = {x: source, w: weight, b: bias}
        if last:
            residual = tensor("residual", buffer[:, :FEAT])
            y = graph.add(name="residual sum", a=sums, b=residual)
            given[residual] = buffer[:, :FEAT]
        else:
            y = graph.leaky_relu(name="activation", input=sums, negative_slope=SLOPE)
        y.set_output(True).set_data_type(cudnn.data_type.HALF)
        y.set_dim(list(target.shape)).set_stride(list(target.stride()))
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        graph.check_support()
        graph.build_plans()
        given[y] = target
        workspace = torch.empty(max(1, graph.get_workspace_size()), device=buffer.device, dtype=torch.uint8)
        steps.append((graph, given, workspace))
        kept += [weight, bias]

    def run(same: Tensor) -> Tensor:
        assert same.data_ptr() == buffer.data_ptr(), "the graphs belong to one buffer"
        cudnn.set_stream(handle=handle, stream=torch.cuda.current_stream().cuda_stream)
        for graph, given, workspace in steps:
            graph.execute(given, workspace, handle=handle)
        return out

    return run


def milliseconds(block: Block, buffer: Tensor) -> float:
    """Median time of one block, from a CUDA graph of ten."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            block(buffer)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=side):
        for _ in range(BLOCKS):
            block(buffer)
    times = []
    for _ in range(10):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        graph.replay()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3 / BLOCKS


def decibels(out: Tensor, expected: Tensor) -> float:
    """10·log10 of the power of ``expected`` over that of the error."""
    error = (out.double() - expected.double()).square().mean()
    return float(10 * (expected.double().square().mean() / error).log10())


@torch.inference_mode()
def main() -> None:
    """Try each way, write a row after each, and say what follows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 720), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--out", type=Path, default=Path("cudnn.json"))
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("a CUDA GPU is needed; python -m scripts.check_kernels examines the Triton form without one")
    width, height = args.size
    torch.backends.cudnn.allow_tf32 = False  # the reference is fp32
    convs = convolutions("cuda")
    buffer = torch.rand(1, WHOLE, height, width, device="cuda").half().contiguous(memory_format=torch.channels_last)
    expected = plain(convs, torch.float32)(buffer)
    ways: dict[str, Callable[[], Block]] = {
        "PyTorch": lambda: plain(convs, torch.float16),
        "cuDNN graph": lambda: by_cudnn(convs, buffer),
        "Triton": lambda: by_triton(convs),  # last: an illegal access ends the process
    }
    if torch.cuda.get_device_capability() >= (9, 0):
        ways["Triton, rows"] = lambda: by_triton(convs, rows=True)
    operations = 2 * width * height * sum(conv.weight.numel() for conv in convs)
    rows: list[dict[str, Any]] = []
    for name, make in ways.items():
        row: dict[str, Any] = {"form": name, "gpu": torch.cuda.get_device_name(), "size": f"{width}x{height}"}
        try:
            block = make()
            row["decibels"] = round(decibels(block(buffer), expected), 1)
            row["milliseconds"] = round(milliseconds(block, buffer), 4)
            row["tflops"] = round(operations / row["milliseconds"] / 1e9, 1)
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}"[:500]
        rows.append(row)
        print(row, flush=True)
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    base = rows[0].get("milliseconds")
    for row in rows[1:]:
        right = row.get("decibels", 0.0) >= RIGHT_FROM_DB
        gain = base / row["milliseconds"] if base and "milliseconds" in row else 0.0
        verdict = "worth having" if right and gain >= WORTH_IT else "not worth having"
        print(f"{row['form']}: {gain:.2f} times as fast as PyTorch, {'right' if right else 'not right'}: {verdict}")


if __name__ == "__main__":
    main()
