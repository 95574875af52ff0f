"""Free memory is what the tightest control group leaves, in either version, on every computing path."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.places import write_files
from vidsr import system_memory
from vidsr.inference import device
from vidsr.system_memory import available_bytes, give_back_free_memory

GB = 1 << 30


MEMINFO = {"proc/meminfo": f"MemTotal: 99999999 kB\nMemAvailable:   {8 * GB // 1024} kB\n"}


def v2(folder: str, limit: int | str, used: int, cached: int = 0) -> dict[str, str]:
    top = f"sys/fs/cgroup/{folder}"
    return {
        f"{top}memory.max": f"{limit}\n",
        f"{top}memory.current": f"{used}\n",
        f"{top}memory.stat": f"anon 1\ninactive_file {cached}\nactive_file 5\n",
    }


@pytest.mark.parametrize(
    ("files", "free"),
    [
        (MEMINFO, 8 * GB),
        ({}, None),
        (MEMINFO | v2("", "max", GB), 8 * GB),
        (MEMINFO | v2("", 4 * GB, GB), 3 * GB),
        (MEMINFO | v2("", 4 * GB, 3 * GB, 2 * GB), 3 * GB),
        (MEMINFO | v2("", 1 * GB, 2 * GB), 0),
        (MEMINFO | v2("", 64 * GB, GB), 8 * GB),
        # A systemd slice: the limit is that of a group around the process's own.
        (
            MEMINFO
            | {"proc/self/cgroup": "0::/user.slice/run.scope\n"}
            | v2("user.slice/run.scope/", "max", GB)
            | v2("user.slice/", 3 * GB, GB),
            2 * GB,
        ),
        # In a container the path of the group is that of the host, and the group itself is seen as the top.
        (MEMINFO | {"proc/self/cgroup": "0::/docker/0123\n"} | v2("", 2 * GB, GB), GB),
        # Version 1.
        (
            MEMINFO
            | {
                "proc/self/cgroup": "12:cpu,cpuacct:/\n5:memory:/job\n",
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": str(5 * GB),
                "sys/fs/cgroup/memory/job/memory.usage_in_bytes": str(4 * GB),
                "sys/fs/cgroup/memory/job/memory.stat": f"cache 7\ntotal_inactive_file {GB}\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "77",
                "sys/fs/cgroup/memory/memory.stat": "",
            },
            2 * GB,
        ),
    ],
)
def test_the_tightest_limit_counts(files: dict[str, str], free: int | None, tmp_path: Path) -> None:
    assert available_bytes(write_files(tmp_path, files)) == free


def test_tiles_are_planned_within_the_limit_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        system_memory.available_bytes, "__defaults__", (write_files(tmp_path, MEMINFO | v2("", 2 * GB, GB)),)
    )
    assert device.free_bytes(torch.device("cpu")) == GB


def test_free_memory_is_known_here() -> None:
    free = available_bytes()
    assert free is None or free > 10**8


def test_freed_memory_can_be_given_back() -> None:
    """It changes nothing that can be seen from here but must not fail, whatever the C library."""
    kept = [bytearray(1000) for _ in range(1000)]
    del kept[::2]
    give_back_free_memory()
    assert all(len(piece) == 1000 for piece in kept)
