"""How fast this machine is, and how fast each network runs on it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vidsr.inference.upscaler import Upscaler
from vidsr.models.known_architectures import architecture_of
from vidsr.models.zoo import load_chosen
from vidsr.options.enhance_options import ModelOptions
from vidsr.system_memory import peak_bytes

_FEWEST, _MOST = 3, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """Upper limits of a device: matrix products in TFLOP/s per precision, and copying in GB/s (read + written)."""

    device: str
    threads: int
    matmul_tflops: dict[str, float]
    copy_gb_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement of a network alone.

    ``tflops`` counts the multiplications and additions of the plain network, whatever the backend actually computes;
    ``share`` is its part of the device's matrix-product rate in that precision (Winograd kernels can exceed 1).
    """

    model: str
    size: str
    backend: str
    precision: str
    frames_per_second: float
    milliseconds: float
    tflops: float
    share: float
    peak_mib: float


def median_seconds(step: Callable[[], Any], device: torch.device, budget_seconds: float) -> float:
    """Median wall-clock time of ``step`` after a warm-up, from 3 to 50 repeats within about the budget."""
    step()
    times: list[float] = []
    until = time.perf_counter() + budget_seconds
    while len(times) < _FEWEST or (len(times) < _MOST and time.perf_counter() < until):
        _wait(device)
        begin = time.perf_counter()
        step()
        _wait(device)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.inference_mode()
def ceilings(device: torch.device, budget_seconds: float = 1.0) -> Ceilings:
    """Measure the device: products of square matrices per precision, and a copy far larger than any cache."""
    big = device.type == "cuda"
    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)):
        if not big and name == "fp16":
            continue  # CPUs have no useful fp16 matrix product
        product = _product(dtype, device)
        side = side_within(lambda side, p=product: _seconds(p(side), device), 8192 if big else 1536, budget_seconds)  # type: ignore[misc]
        rates[name] = 2 * side**3 / median_seconds(product(side), device, budget_seconds) / 1e12
    block = torch.ones(1 << (30 if big else 28), dtype=torch.uint8, device=device)
    other = torch.empty_like(block)
    seconds = median_seconds(lambda: other.copy_(block), device, budget_seconds)
    return Ceilings(
        device=torch.cuda.get_device_name(device) if big else f"{torch.backends.cpu.get_cpu_capability()} CPU",
        threads=torch.get_num_threads(),
        matmul_tflops=rates,
        copy_gb_per_second=2 * block.numel() / seconds / 1e9,
    )


def _product(dtype: torch.dtype, device: torch.device) -> Callable[[int], Callable[[], Tensor]]:
    """(side) → a step that multiplies two square matrices of that side."""

    def of_side(side: int) -> Callable[[], Tensor]:
        a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        return lambda: a @ b

    return of_side


def _seconds(step: Callable[[], Any], device: torch.device) -> float:
    """Wall-clock time of ``step`` after a warm-up."""
    step()
    _wait(device)
    begin = time.perf_counter()
    step()
    _wait(device)
    return time.perf_counter() - begin


def side_within(seconds: Callable[[int], float], most: int, budget_seconds: float) -> int:
    """The largest of ``most``, its half, quarter and eighth of which the fewest products fit into the budget.

    A processor without instructions for bf16 takes up to 50 times as long for it as for fp32, which then must not cost
    a minute. ``seconds`` measures one product of square matrices of a side; one of twice the side takes eight times as
    long.
    """
    side = most // 8
    while side < most and 8 * seconds(side) * (_FEWEST + 1) <= budget_seconds:
        side *= 2
    return side


def input_channels(network: nn.Module) -> int:
    """Channels that a network takes for a frame of a video: RGB and, where it takes its last result, that."""
    state = architecture_of(network).state_channels
    return 3 if state is None else 3 + state(network)


@torch.inference_mode()
def operations_per_pixel(network: nn.Module, scale: int) -> float:
    """Multiplications and additions of a plain network's convolutions per source pixel, biases left out."""
    side, total = 16, 0.0

    def count(module: nn.Module, _: Any, out: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += 2 * out.shape[-1] * out.shape[-2] * module.weight.numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    weight = next(network.parameters())
    network(torch.zeros(1, input_channels(network), side, side, device=weight.device, dtype=weight.dtype))
    for hook in hooks:
        hook.remove()
    return total / side**2


@torch.inference_mode()
def measure(options: ModelOptions, size: tuple[int, int], limits: Ceilings, budget_seconds: float) -> Row:
    """Time one network alone on frames of ``size`` = (width, height); one that takes its last result, with it.

    Raises:
        VidsrError: the model, device, precision or backend is not available.
    """
    model = load_chosen(options)
    work = operations_per_pixel(model.network, model.scale) * size[0] * size[1]
    upscaler = Upscaler(options, model=model)
    x = torch.rand(1, input_channels(model.network), size[1], size[0], device=upscaler.device)
    if upscaler.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(upscaler.device)
    seconds = median_seconds(lambda: upscaler.fitted(x), upscaler.device, budget_seconds)
    tflops = work / seconds / 1e12
    return Row(
        model=options.model,
        size=f"{size[0]}x{size[1]}",
        backend=upscaler.fitted.backend.name,
        precision=upscaler.precision,
        frames_per_second=1 / seconds,
        milliseconds=seconds * 1e3,
        tflops=tflops,
        share=tflops / limits.matmul_tflops.get(upscaler.precision, limits.matmul_tflops["fp32"]),
        peak_mib=_peak_mib(upscaler.device),
    )


def _peak_mib(device: torch.device) -> float:
    """Peak memory: of the device on CUDA, else of this process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_bytes() / 2**20


def as_json(limits: Ceilings, rows: list[Row]) -> dict[str, Any]:
    """Plain JSON values."""
    return {"ceilings": asdict(limits), "rows": [asdict(row) for row in rows]}
