"""Triton's kernels compiled for GPUs that are not here, and what can be seen in their machine code.

The networks run on PyTorch's meta device with the kernel replaced by a recorder, which gives every launch with its true
types, strides and constants. Each distinct one is compiled by Triton's own ptxas; no GPU and no driver are needed.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import triton
from torch import nn
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import mangle_type
from triton.tools.tensor_descriptor import TensorDescriptor

from tests.support import processes
from tests.support.ptx import Block, Memory, Program, bits_of
from vidsr.inference.forms import triton_convolution, turing
from vidsr.inference.forms.triton_convolution import Tiling
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig
from vidsr.models.architectures.srvgg import SRVGGNetCompact, SRVGGNetCompactConfig

# As Triton has compiled until now; newer versions ask for a choice.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
#: Height and width of the picture; sizes are not specialised, so that any will do.
SIZE = (720, 1280)
LEAST_BLOCKS = 2


@dataclass(frozen=True)
class Chip:
    """Limits of one multiprocessor: shared memory of a block and of all, and threads (CUDA C Programming Guide, table
    of technical specifications per compute capability). All have 65,536 registers."""

    block_shared: int
    shared: int
    threads: int

    def blocks(self, registers: int, shared: int, warps: int) -> int:
        """How many blocks fit at once. Registers are given out in eights per thread; a block takes 1 KiB for itself."""
        threads = 32 * warps
        by_registers = 65536 // (-(-registers // 8) * 8 * threads)
        return min(by_registers, self.threads // threads, self.shared // (shared + 1024))


CHIPS = {
    75: Chip(65536, 65536, 1024),
    80: Chip(166912, 167936, 2048),
    86: Chip(101376, 102400, 1536),
    89: Chip(101376, 102400, 1536),
    90: Chip(232448, 233472, 2048),
    100: Chip(232448, 233472, 2048),
    120: Chip(101376, 102400, 1536),
}


@dataclass(frozen=True)
class Launch:
    """One launch, reduced to what Triton compiles by: ``signature`` and ``constants`` by name, ``aligned`` names."""

    kernel: Any
    signature: tuple[tuple[str, str], ...]
    constants: tuple[tuple[str, Any], ...]
    aligned: frozenset[str]
    warps: int
    stages: int

    @property
    def name(self) -> str:
        """Channels in → out, the kind, and the number of residuals."""
        c = dict(self.constants)
        kind = {3: "3×3", 2: "enlarging", None: "rows"}[c.get("TAPS")]
        residuals = c["R1"] + c["R2"]
        return f"{c['CIN']}→{c.get('STORED', c['COUT'])} {kind}" + (f" +{residuals}" if residuals else "")


class Recorder:
    """Stands in for a kernel and keeps its launches."""

    def __init__(self, kernel: Any, launches: dict[Launch, int]) -> None:
        self.kernel = kernel
        self.launches = launches

    def __getitem__(self, _: Any) -> Callable[..., None]:
        return self._launch

    def _launch(self, *args: Any, num_warps: int, num_stages: int, **constants: Any) -> None:
        launch, _ = launch_of(self.kernel, args, constants, num_warps, num_stages)
        self.launches[launch] = self.launches.get(launch, 0) + 1


def launch_of(
    kernel: Any, args: Sequence[Any], constants: dict[str, Any], warps: int, stages: int
) -> tuple[Launch, list[Any]]:
    """A launch of ``kernel`` with these arguments, and those of them that are left at run time, in order."""
    signature, aligned, left = {}, set(), []
    for parameter, value in zip(kernel.params, args, strict=False):
        kind, even = _kind(value)
        if isinstance(value, int) and value == 1 and not parameter.do_not_specialize:
            constants[parameter.name] = 1
            continue
        signature[parameter.name] = kind
        left.append(value)
        if even and not parameter.do_not_specialize:
            aligned.add(parameter.name)
    constant = tuple(sorted(constants.items()))
    return Launch(kernel, tuple(signature.items()), constant, frozenset(aligned), warps, stages), left


class Emulated:
    """Stands in for a kernel and runs its PTX for a GPU on the CPU's tensors (:mod:`tests.support.ptx`)."""

    def __init__(self, kernel: Any, arch: int) -> None:
        self.kernel, self.arch = kernel, arch
        self.programs: dict[Launch, tuple[Program, int]] = {}

    def __getitem__(self, grid: Sequence[int]) -> Callable[..., None]:
        return partial(self._run, grid)

    def _run(self, grid: Sequence[int], *args: Any, num_warps: int, num_stages: int, **constants: Any) -> None:
        launch, left = launch_of(self.kernel, args, constants, num_warps, num_stages)
        if launch not in self.programs:
            result = compiled(launch, self.arch)
            self.programs[launch] = (Program(result.asm["ptx"]), result.metadata.shared)
        program, shared = self.programs[launch]
        memory = Memory([value for value in left if isinstance(value, torch.Tensor)])
        parameters = [
            memory.address(value) if isinstance(value, torch.Tensor) else bits_of(value) if kind == "fp32" else value
            for value, (_, kind) in zip(left, launch.signature, strict=True)
        ]
        for place in itertools.product(*map(range, (*grid, 1, 1)[:3])):
            Block(memory, parameters, 32 * num_warps, shared, place).run(program)
        memory.write_back()


def _kind(value: Any) -> tuple[str, bool]:
    """Triton's type of an argument, and whether it is a multiple of 16 (bytes, of an address)."""
    if isinstance(value, TensorDescriptor):
        return mangle_type(value), False
    if isinstance(value, torch.Tensor):
        kinds = {torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.float32: "*fp32"}
        return kinds[value.dtype], value.storage_offset() * value.element_size() % 16 == 0
    return ("i32", value % 16 == 0) if isinstance(value, int) else ("fp32", False)


def tiling_for(arch: int, *, rows: bool = False) -> Tiling:
    """What the product uses there."""
    if rows:
        return triton_convolution.ROWS
    return triton_convolution.TURING if arch == 75 else triton_convolution.Tiling()


def launches(networks: list[str], tiling: Tiling) -> dict[Launch, int]:
    """The distinct launches of the networks, with how often each is made; of a tiling by rows those by rows alone."""
    made: dict[str, tuple[nn.Module, Any]] = {
        "x4plus": (RRDBNet(RRDBNetConfig(num_block=2)), triton_convolution.TritonRRDBNet),
        "compact": (SRVGGNetCompact(SRVGGNetCompactConfig()), triton_convolution.TritonSRVGGNetCompact),
    }
    found: dict[Launch, int] = {}
    kernels = {name: getattr(triton_convolution, name) for name in ("_convolve", "_convolve_rows")}
    try:
        for name, kernel in kernels.items():
            setattr(triton_convolution, name, Recorder(kernel, found))
        with torch.inference_mode():
            for name in networks:
                network, form = made[name]
                x = torch.empty(1, 3, *SIZE, device="meta", dtype=torch.half)
                form(network.eval().to(device=x.device, dtype=x.dtype), tiling)(x)
    finally:
        for name, kernel in kernels.items():
            setattr(triton_convolution, name, kernel)
    by_rows = kernels["_convolve_rows"]
    return {launch: count for launch, count in found.items() if not tiling.rows or launch.kernel is by_rows}


def compiled(launch: Launch, arch: int) -> Any:
    """Triton's result, with its ``metadata`` and ``asm`` ("ptx", "cubin")."""
    signature, constants = dict(launch.signature), dict(launch.constants)
    names = [p.name for p in launch.kernel.params]
    source = ASTSource(
        fn=launch.kernel,
        signature={name: signature.get(name, "constexpr") for name in names},
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in launch.aligned},
    )
    if arch == 75:
        turing.install()
    options = {"num_warps": launch.warps, "num_stages": launch.stages}
    return triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)


def examined(result: Any) -> dict[str, int]:
    """Figures of one kernel's machine code."""
    return {"shared": result.metadata.shared, **_examined(result.asm["cubin"])}


def _examined(cubin: bytes) -> dict[str, int]:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = _output("cuobjdump", "-res-usage", file.name)
        code = _output("nvdisasm", "-c", file.name)
    found = re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d+\s+)?([A-Z0-9_.]+)", code, re.MULTILINE)
    whole, plain = Counter(found), Counter(name.split(".")[0] for name in found)
    registers = re.search(r"\bREG:(\d+)", usage)
    copies = {name: n for name, n in whole.items() if name.startswith("LDGSTS")}
    return {
        "registers": int(registers[1]) if registers else 255,
        "spills": plain["LDL"] + plain["STL"],
        "matrix": sum(plain[name] for name in ("HMMA", "HGMMA", "UTCHMMA", "UTCMMA", "OMMA")),
        "copies": sum(copies.values()) + plain["UTMALDG"],
        "narrow": sum(n for name, n in copies.items() if "128" not in name and "64" not in name),
        "instructions": len(found),
    }


def _output(tool: str, *args: str) -> str:
    output: str = processes.run([TOOLS / tool, *args], capture_output=True, text=True, check=True).stdout
    return output


def faults(row: dict[str, int], chip: Chip, blocks: int) -> Iterator[str]:
    """What is wrong with a kernel."""
    if row["spills"]:
        yield f"{row['spills']} spills"
    if row["shared"] > chip.block_shared:
        yield f"{row['shared']} bytes of shared memory"
    if row["narrow"]:
        yield f"{row['narrow']} loads of single values"
    if not row["matrix"]:
        yield "no matrix instruction"
    if blocks < LEAST_BLOCKS:
        yield f"{blocks} blocks per multiprocessor"
