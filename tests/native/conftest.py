"""The C kernels, compiled for several instruction sets, against PyTorch and NumPy."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import processes
from vidsr.native import (
    band_kernels,
    block_kernels,
    carried_kernels,
    field_kernels,
    motion_kernels,
    noise_kernels,
    pictures,
    resize_kernels,
)

MODULES = (
    pictures,
    motion_kernels,
    field_kernels,
    resize_kernels,
    block_kernels,
    carried_kernels,
    band_kernels,
    noise_kernels,
)
INSTRUCTIONS = {"native": "-march=native", "AVX2": "-mavx2 -mfma", "SSE2": "-msse2"}


@pytest.fixture(scope="session", params=INSTRUCTIONS)
def kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The library of each module."""
    if pictures.library() is None:
        pytest.skip("no C compiler")
    if request.param == "native":
        return {module: module.library() for module in MODULES}
    if platform.machine() != "x86_64":
        pytest.skip("these are instruction sets of x86-64")
    folder = tmp_path_factory.mktemp("kernels")
    return {module: _compiled(module, folder, INSTRUCTIONS[request.param]) for module in MODULES}


def _compiled(module: Any, folder: Path, instructions: str) -> ctypes.CDLL:
    source = Path(module.__file__).with_suffix(".c")
    made = folder / f"{source.stem}.so"
    flags = ["-O1", *instructions.split(), "-std=gnu11", "-fPIC", "-shared"]
    processes.run(["cc", "-Wall", "-Wextra", "-Werror", *flags, "-o", str(made), str(source)], check=True)
    library = ctypes.CDLL(str(made))
    assert module._fits(library)
    return library


@pytest.fixture
def both(kernels: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Any]], tuple[Any, Any]]]:
    """Calls something with the kernels and without."""

    def call(work: Callable[[], Any]) -> tuple[Any, Any]:
        for module in MODULES:
            monkeypatch.setattr(module, "library", lambda module=module: kernels[module])
        native = work()
        for module in MODULES:
            monkeypatch.setattr(module, "library", lambda: None)
        return native, work()

    with torch.inference_mode():
        yield call
