"""All forms of the networks on a CUDA GPU: correctness, then speed. One JSON file; needs torch, numpy and Triton.

    python benchmarks/gpu.py --out gpu.json            # ends within 8 minutes
    python benchmarks/gpu.py --cpu --out dry.json      # a dry run on a CPU: tiny, says nothing about speed

Correctness is against the plain fp32 network (TF32 off) on a crop of a real picture where weights are there, of noise
where they are not. Speed is the median of CUDA-event times; TFLOP/s count the multiplications of the plain network,
so that a form that needs fewer of them shows as faster, not as busier. The last thing written for every row is its
share of this chip's own measured bf16 matrix-product rate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
if "--cpu" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from vidsr.inference.fast_cuda import Graphed  # noqa: E402
from vidsr.inference.fast_torch import FastDenseBlock, FastRRDBNet  # noqa: E402
from vidsr.models.rrdbnet import NEGATIVE_SLOPE, RRDBNet, RRDBNetConfig  # noqa: E402
from vidsr.models.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig  # noqa: E402

Form = Callable[[Tensor], Tensor]

#: Multiply-adds of the plain network per source pixel.
MODELS: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "realesrgan-x4plus": (lambda: RRDBNet(RRDBNetConfig()), 17_926_848),
    "realesrgan-x4plus-anime-6B": (lambda: RRDBNet(RRDBNetConfig(num_block=6)), 5_706_432),
    "realesr-animevideov3": (lambda: SRVGGNetCompact(SRVGGNetCompactConfig()), 619_200),
}
DTYPES = {"F32": (np.float32, 4), "F16": (np.float16, 2)}


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
    form = FastRRDBNet(network)
    form._blocks = nn.ModuleList(SplitDenseBlock(block) for block in form._blocks)
    return form


def placed(network: nn.Module, device: str, dtype: torch.dtype, *, channels_last: bool = True) -> nn.Module:
    """On the device, in the type, in the memory format."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return network.to(device=device, dtype=dtype, memory_format=layout)


def forms(network: nn.Module, device: str, dtype: torch.dtype) -> dict[str, Callable[[], Form]]:
    """Every form by name; each is built only when its turn comes."""

    def plain(layout: bool = True) -> nn.Module:
        return placed(deepcopy(network), device, dtype, channels_last=layout)

    found: dict[str, Callable[[], Form]] = {
        "eager NCHW": lambda: plain(False),
        "eager channels last": plain,
    }
    if isinstance(network, RRDBNet):
        found["folded, phases"] = lambda: placed(FastRRDBNet(deepcopy(network)), device, dtype)
        found["split by source"] = lambda: placed(split(deepcopy(network)), device, dtype)
        found["triton"] = lambda: triton_form(network, device, dtype)
    if device == "cuda":
        for name in [n for n in found if n != "eager NCHW"]:
            found[f"{name}, graph"] = lambda make=found[name]: Graphed(make())  # type: ignore[misc]
        found["compiled"] = lambda: torch.compile(plain())
    return found


def triton_form(network: RRDBNet, device: str, dtype: torch.dtype, **tiling: int) -> Form:
    """The Triton form, with its own tiling or a given one."""
    from vidsr.inference.fast_triton import Tiling, TritonRRDBNet

    return TritonRRDBNet(placed(deepcopy(network), device, dtype), Tiling(**tiling))  # type: ignore[arg-type]


def load(name: str) -> tuple[nn.Module, bool]:
    """The plain fp32 network with its shipped weights, and whether they were there; random small ones otherwise."""
    make, _ = MODELS[name]
    torch.manual_seed(0)
    network = make().eval().requires_grad_(False)
    path = ROOT / "weights" / f"{name}.safetensors"
    if not path.exists():
        for p in network.parameters():
            p.mul_(0.5)
        return network, False
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    state = {}
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        kind, _ = DTYPES[entry["dtype"]]
        start, end = (8 + size + at for at in entry["data_offsets"])
        state[key] = torch.from_numpy(np.frombuffer(raw[start:end], kind).reshape(entry["shape"]).astype(np.float32))
    network.load_state_dict(state)
    return network, True


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
    """This chip's own limits: bf16 matrix product in TFLOP/s, copy in GB/s."""
    n = 8192 if device == "cuda" else 256
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    product = 2 * n**3 / seconds(lambda: a @ b, device, 2.0) / 1e12
    block = torch.empty((1 << 30) if device == "cuda" else (1 << 22), dtype=torch.uint8, device=device)
    other = torch.empty_like(block)
    copy = 2 * block.numel() / seconds(lambda: other.copy_(block), device, 1.0) / 1e9
    return {"matmul_bf16_tflops": product, "copy_gb_per_second": copy}


class Run:
    """One run: what is left of its time, and its rows."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.device = "cpu" if args.cpu else "cuda"
        self.until = time.perf_counter() + args.minutes * 60
        self.rows: list[dict[str, Any]] = []
        self.dtypes = {"fp32": torch.float32} if args.cpu else {"fp16": torch.float16, "bf16": torch.bfloat16}
        self.sizes = [(12, 16)] if args.cpu else [(720, 1280), (480, 640)]
        self.ceilings = ceilings(self.device)

    def report(self, **row: Any) -> None:
        """Keep and print one row."""
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    def check(self, model: str, network: nn.Module) -> dict[str, list[str]]:
        """Every form on a crop, odd size and batch of two included; the names of those that are right, per type."""
        right: dict[str, list[str]] = {}
        sizes = [(1, (9, 7))] if self.device == "cpu" else [(1, (128, 128)), (2, (61, 77))]
        for dtype_name, dtype in self.dtypes.items():
            right[dtype_name] = []
            least = {"fp32": 90.0, "fp16": 60.0, "bf16": 45.0}[dtype_name]
            for name, make in forms(network, self.device, dtype).items():
                try:
                    begin = time.perf_counter()
                    form = make()
                    found = []
                    for batch, size in sizes:
                        x = picture(size).repeat(batch, 1, 1, 1).to(self.device)
                        expected = network.to(self.device)(x)
                        found.append(round(decibels(form(x.to(dtype)).float(), expected), 1))
                    took = time.perf_counter() - begin
                    ok = min(found) >= least
                    right[dtype_name] += [name] * ok
                    self.report(
                        check=name, model=model, dtype=dtype_name, db=found, ok=ok, first_seconds=round(took, 1)
                    )
                except Exception as error:  # a form that fails here is a finding, not the end of the run
                    self.report(
                        check=name, model=model, dtype=dtype_name, error=f"{type(error).__name__}: {error}"[:300]
                    )
        return right

    def time(self, model: str, network: nn.Module, size: tuple[int, int], right: dict[str, list[str]]) -> None:
        """Every right form at one size, while there is time."""
        flops = 2 * MODELS[model][1] * size[0] * size[1]
        for dtype_name, dtype in self.dtypes.items():
            for name, make in forms(network, self.device, dtype).items():
                if name not in right[dtype_name] or time.perf_counter() > self.until:
                    continue
                self.time_one(model, name, make, (size, dtype_name, dtype), flops)

    def time_one(
        self,
        model: str,
        name: str,
        make: Callable[[], Form],
        at: tuple[tuple[int, int], str, torch.dtype],
        flops: float,
    ) -> None:
        """One form at one size; memory and failures are reported too."""
        size, dtype_name, dtype = at
        row: dict[str, Any] = {"time": name, "model": model, "dtype": dtype_name, "size": f"{size[1]}x{size[0]}"}
        try:
            form = make()
            x = picture(size).to(self.device, dtype)
            if name != "eager NCHW":
                x = x.contiguous(memory_format=torch.channels_last)
            if self.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            took = seconds(lambda: form(x), self.device, 3.0)
            rate = flops / took / 1e12
            row |= {"ms": round(took * 1e3, 2), "fps": round(1 / took, 2), "tflops": round(rate, 1)}
            row["share_of_matmul"] = round(rate / self.ceilings["matmul_bf16_tflops"], 3)
            if self.device == "cuda":
                row["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}"[:300]
        self.report(**row)
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def tilings(self, network: RRDBNet) -> None:
        """The Triton kernel with other tilings, at 1280x720."""
        dtype = torch.float16
        for pixels, channels, warps, stages in (
            (128, 32, 4, 4), (128, 64, 4, 3), (128, 32, 8, 4), (256, 32, 8, 3), (256, 64, 8, 3), (64, 32, 4, 4),
        ):  # fmt: skip
            if time.perf_counter() > self.until:
                return
            tiling = {"pixels": pixels, "channels": channels, "warps": warps, "stages": stages}
            name = f"triton {pixels}x{channels} {warps} warps {stages} stages"
            flops = 2 * MODELS["realesrgan-x4plus"][1] * 1280 * 720
            self.time_one(
                "realesrgan-x4plus",
                name,
                lambda tiling=tiling: triton_form(network, self.device, dtype, **tiling),  # type: ignore[misc]
                ((720, 1280), "fp16", dtype),
                flops,
            )


@torch.inference_mode()
def main() -> None:
    """Check, time, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=7.0, help="no new measurement begins after this")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--cpu", action="store_true", help="a dry run without a GPU")
    args = parser.parse_args()
    if not args.cpu and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA GPU here; --cpu makes a dry run")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    run = Run(args)
    print(json.dumps(run.ceilings), flush=True)
    networks = {name: load(name) for name in args.models}
    if args.cpu:
        small = RRDBNet(RRDBNetConfig(num_feat=16, num_grow_ch=16, num_block=1)).eval().requires_grad_(False)
        networks = dict.fromkeys(args.models[:1], (small, False))
    right = {name: run.check(name, network) for name, (network, _) in networks.items()}
    for size in run.sizes:
        for name, (network, _) in networks.items():
            run.time(name, network, size, right[name])
    if not args.cpu and "realesrgan-x4plus" in networks:
        network = networks["realesrgan-x4plus"][0]
        assert isinstance(network, RRDBNet)
        run.tilings(network)
    chip = torch.cuda.get_device_name() if not args.cpu else "none: a dry run"
    report = {
        "chip": chip,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "date": time.strftime("%Y-%m-%d"),
        "ceilings": run.ceilings,
        "real_weights": {name: real for name, (_, real) in networks.items()},
        "rows": run.rows,
    }
    args.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
