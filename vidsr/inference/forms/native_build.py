"""The C kernels of this folder: compiled once on the machine that runs them, kept in the user's cache.

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
from functools import lru_cache
from pathlib import Path

import platformdirs

_SOURCE = Path(__file__).with_name("winograd.c")
_TIMEOUT_SECONDS = 120


class Picture(ctypes.Structure):
    """``Picture`` of winograd.c."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("stride", ctypes.c_long),
        ("height", ctypes.c_int),
        ("width", ctypes.c_int),
    )


class Layer(ctypes.Structure):
    """``Layer`` of winograd.c."""

    _fields_ = (
        ("source", Picture),
        ("target", Picture),
        ("residual", Picture * 2),
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("slope", ctypes.c_void_p),
        ("scale", ctypes.c_float * 2),
        ("cin", ctypes.c_int),
        ("cout", ctypes.c_int),
        ("stored", ctypes.c_int),
        ("chunk", ctypes.c_int),
        ("doubled", ctypes.c_int),
        ("skipped", ctypes.c_int),
        ("shuffled", ctypes.c_int),
    )


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be had; the reason is logged."""
    if os.environ.get("VIDSR_NATIVE") == "0" or os.name == "nt":
        return None
    compiler = os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None:
        logging.getLogger(__name__).info("no C compiler: the Winograd kernels are not used")
        return None
    try:
        loaded = ctypes.CDLL(str(_compiled(compiler)))
        if loaded.winograd_layer_bytes() != ctypes.sizeof(Layer):
            raise OSError("its structures are laid out in another way than ctypes thinks")
    except (OSError, subprocess.SubprocessError) as error:
        logging.getLogger(__name__).warning("the Winograd kernels cannot be used: %s", error)
        return None
    return loaded


def _compiled(compiler: str) -> Path:
    """The shared library for this source, compiler and processor; made where it is not in the cache yet."""
    flags = ["-O3", "-march=native", "-std=gnu11", "-fPIC", "-shared", "-pthread"]
    if platform.machine() in ("arm64", "aarch64"):
        flags[1] = "-mcpu=native"
    key = hashlib.sha256(_SOURCE.read_bytes())
    key.update("\0".join([compiler, *flags, _processor()]).encode())
    folder = Path(os.environ.get("VIDSR_CACHE") or platformdirs.user_cache_dir("vidsr")) / "native"
    target = folder / f"winograd-{key.hexdigest()[:20]}.so"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made = Path(work) / "winograd.so"
        command = [compiler, *flags, "-o", str(made), str(_SOURCE)]
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
