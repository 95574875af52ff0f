"""One short visit to a CUDA GPU: is the product right there, how fast is it, and which form would be faster.

    python -m benchmarks.speed.gpu --out gpu.json                    # ends within 8 minutes
    python -m benchmarks.speed.gpu --device cpu --out dry.json       # a dry run: tiny, says nothing about speed

Needs torch, numpy and platformdirs, and Triton for its own form; neither PyAV nor a video. What matters most comes
first, and a row begins only where its share of the time is left, so that the least important ones are dropped:

1. the product's default form of every model, own kernels left out, against the plain network in fp32 (TF32 off), in
   fp16 and fp32;
2. the product's ``Stream``, with and without the default steps after the network, with batches of one and its own
   choice: frames per second, share of the network alone, busy share of the device, calls that made the host wait, and
   whether the steps run as a graph;
3. every form by cuDNN, checked and then timed;
4. the product again with its own kernels on the ladder, and then the Triton forms and other tilings, each in a process
   of its own, as an illegal access ends a process's context;
5. bf16 and a smaller size; 6. ``torch.compile``, in a process of its own.

Two files, JSON and Markdown, are written after every row. TFLOP/s count the multiplications of the plain network,
so that a form that needs fewer shows as faster, not as busier; the share is of this chip's own measured fp16
matrix-product rate, and the cap is what that rate and the measured copy rate allow for the folded form.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

if "cpu" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch
from torch import nn

from benchmarks.speed import gpu_forms as forms
from benchmarks.speed.gpu_forms import MODELS, RIGHT_FROM, TYPES, At, Form, Network
from vidsr.filters.after.post import post_steps
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.inference import colour as colours
from vidsr.inference.backends import cuda_backend
from vidsr.inference.device_copy import array_from_codes
from vidsr.inference.upscaler import Upscaler
from vidsr.models.known_architectures import architecture_of
from vidsr.options.enhance_options import ModelOptions
from vidsr.options.restore_options import RestoreOptions

#: Rows that run in a process of their own.
PHASES = ("ladder", "kernels", "compiled")
#: Pixels per block, channels per step, warps, loads in flight.
TILINGS = ((128, 64, 4, 3), (256, 32, 4, 3), (64, 32, 4, 4))


@dataclass(frozen=True)
class Job:
    """One row or one phase of them: its name, the seconds it may need, and the work itself."""

    name: str
    seconds: float
    work: Callable[[], None]


class Visit:
    """One visit: what is left of its time, and its rows."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.out: Path = args.out
        self.device: str = args.device
        self.until = time.perf_counter() + args.minutes * 60
        self.rows: list[dict[str, Any]] = []
        self.shown: list[tuple[np.ndarray, ...]] = []
        dry = self.device == "cpu"
        self.real = {name: not dry and forms.weights_of(name).exists() for name in args.models}
        if args.phase != "ladder":
            # A wrong kernel would end this process's context, and with it all that follows.
            cuda_backend.compiled_forms = lambda *given, asked: {}
        self.networks = {name: forms.tiny(name) if dry else forms.load(name) for name in args.models}
        self.half = "fp32" if dry else "fp16"
        self.large, self.small = ((12, 16), (8, 10)) if dry else ((720, 1280), (480, 640))
        self.ceilings = forms.ceilings(self.device)
        self.save()

    @property
    def left(self) -> float:
        """Seconds until the visit ends."""
        return self.until - time.perf_counter()

    def report(self, **row: Any) -> None:
        """Keep, print and save one row, so that a visit that is cut short loses nothing."""
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        self.save()

    def save(self) -> None:
        """Write both files."""
        report = {
            "chip": torch.cuda.get_device_name() if self.device == "cuda" else "none: a dry run",
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "date": time.strftime("%Y-%m-%d"),
            "ceilings": self.ceilings,
            "real_weights": self.real,
            "cap_fps": {name: round(self.cap(name), 2) for name in self.networks},
            "rows": self.rows,
        }
        for path, text in ((self.out, json.dumps(report, indent=1)), (self.out.with_suffix(".md"), markdown(report))):
            part = path.with_name(path.name + ".part")
            part.write_text(text + "\n", encoding="utf-8")
            part.replace(path)

    def cap(self, model: str) -> float:
        """Frames per second at the large size that multiplications, then passes between them, allow the folded form."""
        _, products, passes = MODELS[model]
        pixels = self.large[0] * self.large[1]
        multiplying = 2 * products * pixels / (self.ceilings["matmul_fp16_tflops"] * 1e12)
        return 1 / (multiplying + passes * pixels / (self.ceilings["copy_gb_per_second"] * 1e9))

    def do(self, jobs: list[Job]) -> None:
        """Each job in turn, where its time is left; one that fails is a finding, not the end."""
        for job in jobs:
            if self.left < job.seconds:
                self.report(dropped=job.name, seconds_left=round(self.left), seconds_needed=job.seconds)
                continue
            try:
                if self.device == "cuda":
                    torch.cuda.empty_cache()  # of the job before
                job.work()
            except Exception as error:
                self.report(failed=job.name, error=f"{type(error).__name__}: {error}"[:300])

    # The product

    def upscaler(self, model: str, precision: str, *, steps: bool = False, batch: int | None = None) -> Upscaler:
        """The product's upscaler with its default form."""
        network = self.networks[model]
        chosen = ModelOptions(device=self.device, precision=precision, batch=batch)
        post = post_steps(RestoreOptions()) if steps else ()
        return Upscaler(chosen, model=Network(network, architecture_of(network).name), post=post)

    def check_product(self, model: str, precision: str) -> None:
        """The default form against the plain network in fp32 on the same device."""
        x = forms.picture((9, 7) if self.device == "cpu" else (256, 192)).to(self.device)
        expected = deepcopy(self.networks[model]).to(self.device)(x)
        with self.upscaler(model, precision) as made:
            db = round(min(forms.decibels(made(x), expected), 200.0), 1)
            form = getattr(made.fitted.backend, "form", made.fitted.backend.name)
            notes = list(made.stats.notes)
        ok = db >= RIGHT_FROM[precision]
        self.report(check="default form", model=model, dtype=precision, form=form, db=db, ok=ok, notes=notes)

    def stream(self, model: str, *, steps: bool, batch: int | None) -> None:
        """Frames per second of the product's stream over made frames."""
        height, width = self.large
        with self.upscaler(model, self.half, steps=steps, batch=batch) as made:

            def through(count: int) -> float:
                given = self.frames(count)
                begin = time.perf_counter()
                for _ in made.stream((4 * width, 4 * height), _yuv420p())(iter(given)):
                    pass
                return time.perf_counter() - begin

            whole = made.fitted.batch_for(height, width)  # full batches alone: a partial one is padded
            some = 2 * whole * -(-2 // whole)
            through(some)  # calibration, captures, constants
            count = min(96 if self.device == "cuda" else 8, int(4 * some / through(some))) // whole * whole
            count = max(some, count)
            found = self.waits(partial(through, count))
            fps = count / found["seconds"]
            size = made.fitted.smallest_batch
            x = forms.picture(self.large).to(self.device).repeat(size, 1, 1, 1)
            alone = size / forms.seconds(lambda: made.fitted(x), self.device, 1.5 if self.device == "cuda" else 0.01)
            self.report(
                stream="default steps" if steps else "no steps",
                model=model,
                dtype=self.half,
                size=f"{width}x{height}",
                form=getattr(made.fitted.backend, "form", made.fitted.backend.name),
                after_the_network=None if made.graphed is None else made.graphed.form,
                batch=size,
                frames=count,
                fps=round(fps, 2),
                share_of_network_alone=round(fps / alone, 3),
                share_of_cap=round(fps / self.cap(model), 3),
                busy=self.busy(partial(through, min(count, 6 * some))),
                waits=found["waits"],
                notes=list(made.stats.notes),
            )

    def frames(self, count: int) -> list[Frame]:
        """A picture that moves; made before any clock runs."""
        if not self.shown:
            rgb = forms.picture(self.large)
            shifted = [colours.planes_from_rgb(rgb.roll(2 * n, -1), _yuv420p(), Colour()) for n in range(4)]
            self.shown = [tuple(array_from_codes(p)[0] for p in one) for one in shifted]
        common = {"format": _yuv420p(), "colour": Colour(), "time_base": Fraction(1, 25)}
        return [Frame(planes=self.shown[n % 4], index=n, pts=n, **common) for n in range(count)]  # type: ignore[arg-type]

    def waits(self, step: Callable[[], float]) -> dict[str, Any]:
        """The seconds of a step, and which calls made the host wait for the device, each with its count."""
        if self.device == "cpu":
            return {"seconds": step(), "waits": None}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                taken = step()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        places = [f"{Path(w.filename).name}:{w.lineno}" for w in caught if "synchroniz" in str(w.message)]
        return {"seconds": taken, "waits": {place: places.count(place) for place in sorted(set(places))}}

    def busy(self, step: Callable[[], float]) -> float | str | None:
        """The share of a step's time in which a kernel or a copy ran on the device, from PyTorch's profiler; what it
        says where it may not look, which must not cost the row."""
        if self.device == "cpu":
            return None
        try:
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
                step()
                torch.cuda.synchronize()
        except RuntimeError as error:
            return f"{type(error).__name__}: {error}"[:120]
        ranges = [
            (event.time_range.start, event.time_range.end)
            for event in profile.events() or []
            if event.device_type.name == "CUDA"
        ]
        if not ranges:
            return None
        return round(covered(ranges) / (max(end for _, end in ranges) - min(start for start, _ in ranges)), 3)

    # Forms

    def form(self, model: str, name: str, make: Callable[[], Form], at: At, *, one_size: bool = False) -> None:
        """Check one form, then time it if it is right."""
        network = deepcopy(self.networks[model]).to(self.device)
        row: dict[str, Any] = {"form": name, "model": model, "dtype": at.dtype, "size": at.name}
        begin = time.perf_counter()
        form, found = make(), []
        sizes = [(1, (5, 4))] if self.device == "cpu" else [(1, (128, 128)), (2, (61, 77))]
        for count, size in [(1, at.size)] if one_size else sizes:
            x = forms.picture(size).repeat(count, 1, 1, 1).to(self.device)
            got = form(x.to(TYPES[at.dtype])).float()
            found.append(round(min(forms.decibels(got, network(x)), 200.0), 1))
        row |= {"db": min(found), "ok": min(found) >= RIGHT_FROM[at.dtype]}
        row["first_seconds"] = round(time.perf_counter() - begin, 1)
        if row["ok"] and not (self.device == "cpu" and name == "triton"):  # the interpreter takes minutes
            row |= self.timed(model, form, at, channels_last=name != "eager NCHW")
        self.report(**row)

    def timed(self, model: str, form: Form, at: At, *, channels_last: bool) -> dict[str, Any]:
        """Speed and memory at the full size."""
        x = forms.picture(at.size).to(self.device, TYPES[at.dtype])
        x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        took = forms.seconds(lambda: form(x), self.device, 1.5 if self.device == "cuda" else 0.01)
        rate = 2 * MODELS[model][1] * at.size[0] * at.size[1] / took / 1e12
        row = {"ms": round(took * 1e3, 2), "fps": round(1 / took, 2), "tflops": round(rate, 1)}
        row["share_of_matmul"] = round(rate / self.ceilings["matmul_fp16_tflops"], 3)
        if self.device == "cuda":
            row["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        return row

    def all_cudnn(self, dtype: str, size: tuple[int, int], *, graphs_only: bool = False) -> list[Job]:
        """One job for each form by cuDNN."""
        return [
            Job(f"{name}, {model}, {dtype}", self.share(12), partial(self.form, model, name, make, At(size, dtype)))
            for model, network in self.networks.items()
            for name, make in forms.cudnn_forms(network, self.device, TYPES[dtype]).items()
            if not graphs_only or name.endswith("graph")
        ]

    def share(self, seconds: float) -> float:
        """What a row may need: as many seconds on a GPU; a dry run has tiny ones."""
        return seconds if self.device == "cuda" else 1.0

    def ladder(self) -> list[Job]:
        """The product with all its forms, the own kernels among them."""
        quick_first = list(reversed(self.networks))
        jobs = [Job(f"ladder, {m}", self.share(30), partial(self.check_product, m, self.half)) for m in quick_first]
        return jobs + [
            Job(f"ladder, stream, {m}", self.share(25), partial(self.stream, m, steps=True, batch=None))
            for m in quick_first
        ]

    def kernels(self) -> list[Job]:
        """The Triton form of each model, by rows too where the GPU can, then other tilings of the first."""
        at, dtype = At(self.large, self.half), TYPES[self.half]
        found = [
            Job(f"triton, {m}", self.share(30), partial(self.form, m, "triton", self.triton(n, dtype), at))
            for m, n in self.networks.items()
        ]
        if self.device == "cuda" and torch.cuda.get_device_capability() >= (9, 0):
            by_rows = {"channels": 64, "stages": 3, "rows": True}
            found += [
                Job(f"triton rows, {m}", 30, partial(self.form, m, "triton rows", self.triton(n, dtype, **by_rows), at))
                for m, n in self.networks.items()
            ]
        first, network = next(iter(self.networks.items()))
        # Loads in flight are copies that sm_75 has not.
        others = TILINGS if self.device == "cuda" and torch.cuda.get_device_capability() >= (8, 0) else ()
        for pixels, channels, warps, stages in others:
            name = f"triton {pixels}x{channels} {warps} warps {stages} stages"
            make = self.triton(network, dtype, pixels=pixels, channels=channels, warps=warps, stages=stages)
            found.append(Job(name, self.share(30), partial(self.form, first, name, make, at)))
        return found

    def triton(self, network: nn.Module, dtype: torch.dtype, **tiling: int) -> Callable[[], Form]:
        """What makes the Triton form."""
        given = tiling if self.device == "cuda" else {"pixels": 32, "channels": 16}
        return partial(forms.triton_form, network, self.device, dtype, **given)

    def compiled(self) -> list[Job]:
        """``torch.compile`` of each model, the quickest to compile first; a dry run leaves it out."""
        at = At(self.large, self.half)
        makes = {m: partial(forms.compiled_form, n, self.device, TYPES[self.half]) for m, n in self.networks.items()}
        return [
            Job(f"compiled, {m}", 45, partial(self.form, m, "compiled", make, at, one_size=True))
            for m, make in reversed(makes.items())
            if self.device == "cuda"
        ]

    def apart(self, phase: str) -> None:
        """One of :data:`PHASES` in a process of its own, which is ended when the time is; its rows join these."""
        out = self.out.with_name(f"{self.out.stem}-{phase}.json")
        command = [sys.executable, "-m", "benchmarks.speed.gpu", "--out", str(out), "--device", self.device]
        minutes = max(0.0, self.left - 5) / 60
        command += ["--phase", phase, "--minutes", str(minutes), "--models", *self.networks]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=minutes * 60)
            fault = done.stderr.strip()[-300:] if done.returncode else ""
        except subprocess.TimeoutExpired:
            fault = "ended: no time was left"
        if out.exists():
            self.rows.extend({**row, "phase": phase} for row in json.loads(out.read_text(encoding="utf-8"))["rows"])
        for path in (out, out.with_suffix(".md")):
            path.unlink(missing_ok=True)
        self.report(phase=phase, ended=fault or "well")

    def everything(self) -> list[Job]:
        """All jobs, what matters most first."""
        precisions = dict.fromkeys((self.half, "fp32"))
        quick_first = list(reversed(self.networks))
        jobs = [
            Job(f"check, {m}, {p}", self.share(15), partial(self.check_product, m, p))
            for p in precisions
            for m in quick_first
        ]
        jobs += [
            Job(f"stream, {m}", self.share(25), partial(self.stream, m, steps=steps, batch=batch))
            for batch in (None, 1)
            for steps in (False, True)
            for m in quick_first
        ]
        jobs += self.all_cudnn(self.half, self.large)
        jobs.append(Job("ladder", self.share(60), partial(self.apart, "ladder")))
        jobs.append(Job("kernels", self.share(40), partial(self.apart, "kernels")))
        if self.device == "cuda":
            jobs += self.all_cudnn("bf16", self.large, graphs_only=True)
            jobs += self.all_cudnn(self.half, self.small, graphs_only=True)
        jobs.append(Job("compiled", self.share(60), partial(self.apart, "compiled")))
        return jobs


def _yuv420p() -> PixelFormat:
    found = PixelFormat.parse("yuv420p")
    assert found is not None
    return found


def covered(ranges: list[tuple[float, float]]) -> float:
    """The length of the union of intervals."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(ranges):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def markdown(report: dict[str, Any]) -> str:
    """The report as a page: what was measured on, then one table row for each row."""
    limits = ", ".join(f"{name} {value:.4g}" for name, value in report["ceilings"].items())
    caps = ", ".join(f"{name} {value} fps" for name, value in report["cap_fps"].items())
    lines = [
        f"# {report['chip']}, {report['date']}",
        "",
        f"torch {report['torch']}, CUDA {report['cuda']}, cuDNN {report['cudnn']}. Measured: {limits}. "
        f"Cap of the folded form at the large size: {caps}.",
        "",
        "| what | model | type | result |",
        "|---|---|---|---|",
    ]
    for row in report["rows"]:
        kind = next(k for k in ("check", "stream", "dropped", "failed", "form", "phase") if k in row)
        rest = ", ".join(
            f"{k} {v}" for k, v in row.items() if k not in (kind, "model", "dtype") and v not in (None, [])
        )
        lines.append(f"| {kind}: {row[kind]} | {row.get('model', '')} | {row.get('dtype', '')} | {rest} |")
    return "\n".join(lines)


@torch.inference_mode()
def main() -> None:
    """Check, time, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file; the Markdown file lies next to it")
    parser.add_argument("--minutes", type=float, default=8.0, help="the visit ends after this")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a dry run without a GPU")
    parser.add_argument("--phase", choices=PHASES, help="only these rows")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch sees no CUDA GPU here; --device cpu makes a dry run")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    visit = Visit(args)
    phases = {"ladder": visit.ladder, "kernels": visit.kernels, "compiled": visit.compiled, None: visit.everything}
    jobs = phases[args.phase]
    visit.do(jobs())


if __name__ == "__main__":
    main()
