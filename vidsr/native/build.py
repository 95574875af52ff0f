"""C sources of the package: compiled once on the machine that runs them, kept in the user's cache.

Where there is no C compiler, or what it makes does not work, callers get None and use PyTorch instead.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

_TIMEOUT_SECONDS = 120


def load(source: Path, what: str, fits: Callable[[ctypes.CDLL], bool]) -> ctypes.CDLL | None:
    """The compiled ``source``, or None where it cannot be built; the reason is logged.

    Args:
        source: the C file.
        what: the kernels' name in messages, in the plural.
        fits: whether the structures of the library are laid out as ctypes lays them out.
    """
    if os.environ.get("VIDSR_NATIVE") == "0" or os.name == "nt":
        return None
    log = logging.getLogger(__name__)
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None:
        log.info("no C compiler: %s are not used", what)
        return None
    try:
        loaded = ctypes.CDLL(str(_compiled(source, compiler)))
        if not fits(loaded):
            raise OSError("its structures are laid out in another way than ctypes expects")
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s cannot be used: %s", what, error)
        return None
    return loaded


def _compiled(source: Path, compiler: str) -> Path:
    """The shared library for this source, compiler and processor; made where it is not in the cache yet."""
    # Without traps both sides of a choice may be computed, which vectors need; no value changes.
    flags = ["-O3", "-march=native", "-std=gnu11", "-fno-trapping-math", "-fPIC", "-shared", "-pthread"]
    if platform.machine() in ("arm64", "aarch64"):
        flags[1] = "-mcpu=native"
    key = hashlib.sha256(source.read_bytes())
    for header in sorted(source.parent.glob("*.h")):
        key.update(header.read_bytes())
    key.update("\0".join([compiler, *flags, _processor()]).encode())
    folder = Path(os.environ.get("VIDSR_CACHE") or platformdirs.user_cache_dir("vidsr")) / "native"
    target = folder / f"{source.stem}-{key.hexdigest()[:20]}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made = Path(work) / target.name
        command = [compiler, *flags, "-o", str(made), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_SECONDS)
        made.replace(target)
    return target


def _processor() -> str:
    """What ``-march=native`` depends on: a library made on another processor of one cluster must not be taken."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
