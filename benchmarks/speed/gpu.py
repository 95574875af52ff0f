"""All forms of the networks on a CUDA GPU: correctness, then speed. One JSON file; needs torch, numpy and Triton.

    python -m benchmarks.speed.gpu --out gpu.json            # ends within 8 minutes
    python -m benchmarks.speed.gpu --cpu --out dry.json      # a dry run on a CPU: tiny, says nothing about speed

Correctness is against the plain fp32 network (TF32 off) on a made picture of shapes, edges and texture. Speed is the
median of CUDA-event times; TFLOP/s count the multiplications of the plain network, so that a form that needs fewer
shows as faster, not as busier; the share is of this chip's own measured bf16 matrix-product rate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if "--cpu" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from vidsr.inference.forms.cuda_graphs import Graphed  # noqa: E402
from vidsr.inference.forms.folded_torch import FastDenseBlock, FoldedRRDBNet  # noqa: E402
from vidsr.models.architectures.rrdbnet import NEGATIVE_SLOPE, RRDBNet, RRDBNetConfig  # noqa: E402
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig  # noqa: E402

Form = Callable[[Tensor], Tensor]

#: Multiply-adds of the plain network per source pixel.
MODELS: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "realesrgan-x4plus": (lambda: RRDBNet(RRDBNetConfig()), 17_926_848),
    "realesrgan-x4plus-anime-6B": (lambda: RRDBNet(RRDBNetConfig(num_block=6)), 5_706_432),
    "realesr-animevideov3": (lambda: SRVGGNetCompact(SRVGGNetCompactConfig()), 619_200),
}
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
DTYPES = {"F32": (np.float32, 4), "F16": (np.float16, 2)}


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


def forms(network: nn.Module, device: str, dtype: torch.dtype) -> dict[str, Callable[[], Form]]:
    """Every form by name; each is built only when its turn comes."""

    def plain(layout: bool = True) -> nn.Module:
        return placed(deepcopy(network), device, dtype, channels_last=layout)

    found: dict[str, Callable[[], Form]] = {
        "eager NCHW": lambda: plain(False),
        "eager channels last": plain,
    }
    if isinstance(network, RRDBNet):
        found["folded, phases"] = lambda: placed(FoldedRRDBNet(deepcopy(network)), device, dtype)
        found["split by source"] = lambda: placed(split(deepcopy(network)), device, dtype)
    found["triton"] = lambda: triton_form(network, device, dtype)
    if device == "cuda":
        for name in [n for n in found if n != "eager NCHW"]:
            found[f"{name}, graph"] = lambda make=found[name]: Graphed(make())  # type: ignore[misc]
        found["compiled"] = lambda: torch.compile(plain())
    return found


def triton_form(network: nn.Module, device: str, dtype: torch.dtype, **tiling: int) -> Form:
    """The Triton form, with its own tiling or a given one."""
    from vidsr.inference.forms.triton_convolution import Tiling, TritonRRDBNet, TritonSRVGGNetCompact

    form = TritonRRDBNet if isinstance(network, RRDBNet) else TritonSRVGGNetCompact
    return form(placed(deepcopy(network), device, dtype), Tiling(**tiling))  # type: ignore[arg-type]


def weights_of(name: str) -> Path:
    """The file of the shipped weights."""
    return ROOT / "weights" / f"{name}.safetensors"


def load(name: str) -> nn.Module:
    """The plain fp32 network with its shipped weights; random small ones where they are not there."""
    make, _ = MODELS[name]
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
        kind, _ = DTYPES[entry["dtype"]]
        start, end = (8 + size + at for at in entry["data_offsets"])
        state[key] = torch.from_numpy(np.frombuffer(raw[start:end], kind).reshape(entry["shape"]).astype(np.float32))
    network.load_state_dict(state)
    return network


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
    """One run: what is left of its time, and its rows, which are written after each."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.out: Path = args.out
        self.device = "cpu" if args.cpu else "cuda"
        self.until = time.perf_counter() + args.minutes * 60
        self.rows: list[dict[str, Any]] = []
        self.ceilings = ceilings(self.device)
        self.real: dict[str, bool] = {}
        print(json.dumps(self.ceilings), flush=True)

    def report(self, **row: Any) -> None:
        """Keep, print and save one row, so that a run that is cut short loses nothing."""
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        self.save()

    def save(self) -> None:
        """Write the file."""
        chip = torch.cuda.get_device_name() if self.device == "cuda" else "none: a dry run"
        report = {
            "chip": chip,
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "date": time.strftime("%Y-%m-%d"),
            "ceilings": self.ceilings,
            "real_weights": self.real,
            "summary": summary(self.rows),
            "rows": self.rows,
        }
        part = self.out.with_name(self.out.name + ".part")
        part.write_text(json.dumps(report, indent=1) + "\n")
        part.replace(self.out)

    def form(self, model: str, network: nn.Module, name: str, make: Callable[[], Form], at: At) -> None:
        """Check one form, then time it if it is right, while there is time; failures are reported too."""
        if time.perf_counter() > self.until:
            self.report(skipped=name, model=model, dtype=at.dtype, size=at.name)
            return
        row: dict[str, Any] = {"form": name, "model": model, "dtype": at.dtype, "size": at.name}
        if self.device == "cuda":
            torch.cuda.empty_cache()  # of the form before
        try:
            begin = time.perf_counter()
            form = make()
            row |= self.check(network, form, at, one_size=name == "compiled")
            row["first_seconds"] = round(time.perf_counter() - begin, 1)
            if row["ok"]:
                row |= self.time(model, form, at, channels_last=name != "eager NCHW")
        except Exception as error:  # a form that fails here is a finding, not the end of the run
            row["error"] = f"{type(error).__name__}: {error}"[:300]
        self.report(**row)

    def check(self, network: nn.Module, form: Form, at: At, *, one_size: bool) -> dict[str, Any]:
        """dB against the plain fp32 network on a crop, an odd size and a batch of two included."""
        sizes = [(1, (9, 7))] if self.device == "cpu" else [(1, (128, 128)), (2, (61, 77))]
        found = []
        for batch, size in sizes[: 1 if one_size else None]:  # each size is another minute of compiling
            x = picture(size).repeat(batch, 1, 1, 1).to(self.device)
            expected = network.to(self.device)(x)
            found.append(round(min(decibels(form(x.to(TYPES[at.dtype])).float(), expected), 200.0), 1))
        return {"db": found, "ok": min(found) >= {"fp32": 90.0, "fp16": 60.0, "bf16": 45.0}[at.dtype]}

    def time(self, model: str, form: Form, at: At, *, channels_last: bool) -> dict[str, Any]:
        """Speed and memory at the full size."""
        x = picture(at.size).to(self.device, TYPES[at.dtype])
        x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        took = seconds(lambda: form(x), self.device, 2.5)
        rate = 2 * MODELS[model][1] * at.size[0] * at.size[1] / took / 1e12
        row = {"ms": round(took * 1e3, 2), "fps": round(1 / took, 2), "tflops": round(rate, 1)}
        row["share_of_matmul"] = round(rate / self.ceilings["matmul_bf16_tflops"], 3)
        if self.device == "cuda":
            row["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        return row

    def warm_start(self, model: str, name: str) -> None:
        """Seconds from starting a process to its first 1280x720 result, with the caches that this run has filled."""
        if time.perf_counter() > self.until:
            return
        begin = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "benchmarks.speed.gpu",
            "--out",
            str(self.out),
            "--start",
            name,
            "--models",
            model,
        ]
        command += ["--cpu"] * (self.device == "cpu")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took = round(time.perf_counter() - begin, 1)
        fault = {"error": done.stderr.strip()[-300:]} if done.returncode else {}
        self.report(warm_start=name, model=model, seconds=took, **fault)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Per model in fp16 at the full size: the fastest form, its share of the matrix-product rate, and how many times as
    fast as plain eager NCHW it is."""
    found: dict[str, Any] = {}
    for model in MODELS:
        timed = [r for r in rows if r.get("model") == model and "fps" in r and r["dtype"] != "bf16"]
        timed = [r for r in timed if r["size"] == timed[0]["size"]]
        eager = next((r["fps"] for r in timed if r["form"] == "eager NCHW"), None)
        if timed:
            best = max(timed, key=lambda r: r["fps"])
            found[model] = {k: best[k] for k in ("form", "size", "fps", "tflops", "share_of_matmul", "db")}
            found[model]["times_eager_nchw"] = round(best["fps"] / eager, 2) if eager else None
    return found


def tilings(run: Run, network: RRDBNet, at: At) -> None:
    """The Triton kernel with other tilings."""
    for pixels, channels, warps, stages in (
        (128, 32, 4, 3), (128, 64, 4, 3), (128, 32, 8, 4), (256, 32, 8, 3), (256, 64, 8, 3), (64, 32, 4, 4),
    ):  # fmt: skip
        tiling = {"pixels": pixels, "channels": channels, "warps": warps, "stages": stages}
        name = f"triton {pixels}x{channels} {warps} warps {stages} stages"
        make = partial(triton_form, network, run.device, TYPES[at.dtype], **tiling)
        run.form("realesrgan-x4plus", network, name, make, at)


def everything(run: Run, networks: dict[str, nn.Module], sizes: Sequence[tuple[int, int]]) -> None:
    """All measurements, what matters most first: 1280x720 in half precision, then tilings, bf16, the smaller size."""
    half = "fp32" if run.device == "cpu" else "fp16"
    large = At(sizes[0], half)
    for model, network in networks.items():
        for name, make in forms(network, run.device, TYPES[half]).items():
            if name != "compiled":
                run.form(model, network, name, make, large)
    first, network = next(iter(networks.items()))
    if isinstance(network, RRDBNet):
        run.warm_start(first, "folded, phases, graph" if run.device == "cuda" else "folded, phases")
        run.warm_start(first, "triton")
    if run.device == "cpu":
        return
    if isinstance(network, RRDBNet):
        tilings(run, network, large)
    run.form(first, network, "compiled", forms(network, run.device, TYPES[half])["compiled"], large)
    for at in (At(sizes[0], "bf16"), At(sizes[1], half)):
        for model, network in networks.items():
            for name, make in forms(network, run.device, TYPES[at.dtype]).items():
                if name.endswith("graph"):
                    run.form(model, network, name, make, at)


def start(model: str, name: str, device: str) -> None:
    """Build one form and compute one frame: what a warm start consists of."""
    network, dtype = networks_for([model], device)[model], torch.float16 if device == "cuda" else torch.float32
    form = forms(network.to(device), device, dtype)[name]()
    form(picture((720, 1280) if device == "cuda" else (12, 16)).to(device, dtype))
    if device == "cuda":
        torch.cuda.synchronize()


def networks_for(models: Sequence[str], device: str) -> dict[str, nn.Module]:
    """The plain networks; on a CPU, for a dry run, a tiny one of each kind."""
    if device == "cuda":
        return {name: load(name) for name in models}
    small = RRDBNet(RRDBNetConfig(num_feat=16, num_grow_ch=16, num_block=1))
    compact = SRVGGNetCompact(SRVGGNetCompactConfig(num_feat=16, num_conv=2))
    tiny = {name: compact if name.startswith("realesr-") else small for name in (models[0], models[-1])}
    return {name: network.eval().requires_grad_(False) for name, network in tiny.items()}


@torch.inference_mode()
def main() -> None:
    """Check, time, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=6.5, help="no new measurement begins after this")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--cpu", action="store_true", help="a dry run without a GPU")
    parser.add_argument("--start", help="only build this form and compute one frame (for the time of a warm start)")
    args = parser.parse_args()
    if not args.cpu and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA GPU here; --cpu makes a dry run")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    if args.start:
        start(args.models[0], args.start, "cpu" if args.cpu else "cuda")
        return
    run = Run(args)
    networks = networks_for(args.models, run.device)
    run.real = {name: not args.cpu and weights_of(name).exists() for name in networks}
    everything(run, networks, [(12, 16)] if args.cpu else [(720, 1280), (480, 640)])
    run.save()


if __name__ == "__main__":
    main()
