"""The machine without torch and PyAV: Python, processor, memory, folders, GPUs by their driver, extras, weights."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from vidsr.doctor.examination import Examination
from vidsr.jobs.state.job_folders import register_folder
from vidsr.models import zoo
from vidsr.storage import sha256_of
from vidsr.system_memory import available_bytes, limit_bytes, total_bytes
from vidsr.version import __version__

_ROOT = Path("/")
#: Instruction sets that matter to the network, by the kernel's names, and what they are called.
_INSTRUCTION_SETS = {
    "sse4_2": "SSE4.2",
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
}
#: Extra of vidsr → a module that it brings.
EXTRAS = {
    "web": "fastapi",
    "compare": "cv2",
    "openvino": "openvino",
    "export": "onnx",
    "ray": "ray",
    "train": "tensorboard",
}
_PROGRAM_SECONDS = 30


def examine(exam: Examination) -> None:
    """Add all facts about the machine."""
    exam.look("software", software, "report this with the output of: python -VV")
    exam.look("cpu", cpu, "nothing: jobs do not need this")
    exam.look("memory", memory, "nothing: jobs assume 4 GB")
    exam.look("folders", folders, "run vidsr from a folder that exists")
    exam.look("nvidia", nvidia_gpus, "run nvidia-smi, and repair the driver until it lists the GPU")
    exam.look("extras", extras, "reinstall vidsr")
    exam.look("weights", weights, "reinstall vidsr: its weights cannot be read")


def software() -> dict[str, str]:
    """Versions of vidsr and Python, and the platform."""
    return {
        "vidsr": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "machine": platform.machine(),
        "bits": "64" if sys.maxsize > 1 << 32 else "32",
    }


def cpu(root: Path = _ROOT) -> dict[str, Any]:
    """The processor: its name, instruction sets, cores, those this process may use, and the limit of its groups."""
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "name": name[1].strip() if name else platform.processor() or platform.machine(),
        "instruction_sets": [label for flag, label in _INSTRUCTION_SETS.items() if flag in known],
        "cores": os.cpu_count(),
        "usable_cores": len(affinity(0)) if affinity else os.cpu_count(),
        "limit_cores": cpu_limit(root),
    }


def cpu_limit(root: Path = _ROOT) -> float | None:
    """Cores that the control groups of this process allow it on average; None where there is no limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = ["0::/"]
    top, limits = root / "sys/fs/cgroup", []
    for line in lines:
        own = top / line.split(":", 2)[-1].lstrip("/")
        for folder in dict.fromkeys((own, *own.parents, top, top / "cpu")):
            if folder == top or top in folder.parents:
                limits.append(_quota(folder))
    return min((limit for limit in limits if limit is not None), default=None)


def _quota(folder: Path) -> float | None:
    """Version 2 has quota and period in one file, version 1 in two; both in microseconds."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        except OSError:
            return None
    try:
        return int(quota) / int(period) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):  # "max"
        return None


def memory(root: Path = _ROOT) -> dict[str, int | None]:
    """Bytes of memory: free for this process, of the machine, and the limit of the control groups."""
    return {"free": available_bytes(root), "total": total_bytes(root), "limit": limit_bytes(root)}


def folders() -> list[dict[str, Any]]:
    """The folders that vidsr writes to: where they are, whether it can, and their free bytes."""
    cache = Path(os.environ.get("VIDSR_CACHE") or zoo.cache_folder().parent)
    places = {
        "working": Path.cwd,
        "state": register_folder,
        "weights cache": zoo.cache_folder,
        "kernel cache": lambda: cache / "native",
        "temporary": lambda: Path(tempfile.gettempdir()),
    }
    return [_folder(use, place) for use, place in places.items()]


def _folder(use: str, place: Any) -> dict[str, Any]:
    """One folder. What does not exist yet is judged by its nearest parent, and is not made."""
    found: dict[str, Any] = {"use": use, "path": None, "exists": False, "writable": False, "free": None, "error": ""}
    try:
        path = Path(place())
        found["path"], found["exists"] = str(path), path.is_dir()
        near = next((p for p in (path, *path.parents) if p.exists()), path)
        found["free"] = shutil.disk_usage(near).free
        # os.access says nothing on network shares and read-only mounts; a real file does.
        with tempfile.TemporaryFile(dir=near, prefix=".vidsr-"):
            found["writable"] = True
    except OSError as error:
        found["error"] = error.strerror or str(error)
    return found


def nvidia_gpus() -> list[dict[str, Any]]:
    """NVIDIA GPUs as their driver lists them, whatever PyTorch can do with them; memory in bytes.

    Raises:
        RuntimeError: there is a driver, but it does not answer.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    names = ("index", "name", "driver_version", "compute_cap", "memory.total", "memory.free")
    done = run_program([program, f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"])
    if done.returncode:
        raise RuntimeError(f"nvidia-smi: {(done.stdout or done.stderr).strip().splitlines()[:1] or 'no answer'}")
    return [_gpu(line) for line in done.stdout.splitlines() if line.count(",") >= len(names) - 1]


def _gpu(line: str) -> dict[str, Any]:
    index, name, driver, capability, total, free = (part.strip() for part in line.split(",")[:6])
    mib = {"total": total, "free": free}
    memory = {key: int(value) << 20 if value.isdigit() else None for key, value in mib.items()}
    return {"index": index, "name": name, "driver": driver, "compute_capability": capability, **memory}


def run_program(command: list[str]) -> subprocess.CompletedProcess[str]:
    """The answer of a program that is given 30 s.

    Raises:
        RuntimeError: it cannot be started, or does not answer in time.
    """
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PROGRAM_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{Path(command[0]).name} does not run: {error}") from error


def extras() -> dict[str, bool]:
    """Extra of vidsr → whether the library that it brings is installed."""
    return {name: importlib.util.find_spec(module) is not None for name, module in EXTRAS.items()}


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution, without importing it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def weights() -> list[dict[str, str]]:
    """The shipped models, each with its state: "ok", "missing", or "damaged" where the digest is another one."""
    return [{"name": e.name, "state": _state(e)} for e in zoo.ZOO.values() if e.shipped]


def _state(entry: zoo.ZooEntry) -> str:
    path = zoo.locate(entry)
    if path is None:
        return "missing"
    try:
        return "ok" if path.name != entry.file or sha256_of(path) == entry.sha256 else "damaged"
    except OSError as error:
        return f"unreadable ({error.strerror})"
