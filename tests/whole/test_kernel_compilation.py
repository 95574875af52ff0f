"""The kernels are compiled for GPUs that are not here, and what would be wrong with their machine code is noticed."""

from __future__ import annotations

import sys

import pytest

from tests.support import processes
from tests.support.places import ROOT, child_environment

pytest.importorskip("triton")

from tests.support.kernel_compilation import CHIPS, faults

GOOD = {"registers": 64, "spills": 0, "shared": 40960, "matrix": 4, "copies": 8, "narrow": 0, "instructions": 846}


def checked(*args: str) -> str:
    command = [sys.executable, "-m", "scripts.check_kernels", *args]
    done = processes.run(command, capture_output=True, text=True, env=child_environment(), cwd=ROOT, limit_seconds=1700)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return done.stdout


@pytest.mark.long
def test_a_kernel_compiles_for_a_gpu_that_is_not_here() -> None:
    assert "0 with a fault" in checked("--arch", "90", "--networks", "compact", "--first", "1")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_kernel_compiles_for_every_architecture() -> None:
    assert "0 with a fault" in checked()
    assert "0 with a fault" in checked("--rows")


@pytest.mark.parametrize(
    ("change", "blocks", "says"),
    [
        ({}, 5, ""),
        ({"spills": 3}, 5, "3 spills"),
        ({"shared": 120_000}, 5, "120000 bytes of shared memory"),
        ({"narrow": 2}, 5, "2 loads of single values"),
        ({"matrix": 0}, 5, "no matrix instruction"),
        ({}, 1, "1 blocks per multiprocessor"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, int], blocks: int, says: str) -> None:
    assert ", ".join(faults(GOOD | change, CHIPS[86], blocks)) == says


def test_blocks_are_limited_by_registers_threads_and_shared_memory() -> None:
    assert CHIPS[90].blocks(registers=168, shared=49152, warps=4) == 3
    assert CHIPS[90].blocks(registers=32, shared=1024, warps=4) == 16
    assert CHIPS[86].blocks(registers=32, shared=49152, warps=4) == 2
