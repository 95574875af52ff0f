"""Facts about the machine, read where a control group limits it and where folders cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.places import write_files
from vidsr.doctor import machine
from vidsr.doctor.examination import Examination
from vidsr.models import zoo

GB = 1 << 30


def test_a_container_shows_its_limits_of_memory_and_cores(tmp_path: Path) -> None:
    root = write_files(
        tmp_path,
        {
            "proc/meminfo": f"MemTotal: {64 * GB // 1024} kB\nMemAvailable: {60 * GB // 1024} kB\n",
            "proc/self/cgroup": "0::/docker/0123\n",
            "proc/cpuinfo": "model name\t: Some CPU\nflags\t\t: fpu avx2 fma avx512f\n",
            "sys/fs/cgroup/memory.max": f"{2 * GB}\n",
            "sys/fs/cgroup/memory.current": f"{GB}\n",
            "sys/fs/cgroup/memory.stat": "inactive_file 0\n",
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
        },
    )
    assert machine.memory(root) == {"free": GB, "total": 64 * GB, "limit": 2 * GB}
    found = machine.cpu(root)
    assert found["limit_cores"] == 1.5
    assert found["name"] == "Some CPU"
    assert found["instruction_sets"] == ["AVX2", "FMA", "AVX-512"]


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
            },
            2.0,
        ),
        ({"sys/fs/cgroup/cpu.max": "nonsense\n"}, None),
    ],
)
def test_the_tightest_limit_of_cores_counts(tmp_path: Path, files: dict[str, str], cores: float | None) -> None:
    assert machine.cpu_limit(write_files(tmp_path, files)) == cores


def test_folders_that_cannot_be_made_are_said_so_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "file/state"))
    monkeypatch.setenv("VIDSR_CACHE", str(tmp_path / "new/cache"))
    found = {folder["use"]: folder for folder in machine.folders()}
    assert not found["state"]["writable"]
    assert found["state"]["error"]
    assert found["kernel cache"]["writable"]
    assert not found["kernel cache"]["exists"]
    assert found["working"]["free"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_working_folder_that_was_deleted_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    working = machine.folders()[0]
    assert working["path"] is None
    assert working["error"]


def test_damaged_and_missing_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged, missing = (e for e in list(zoo.ZOO.values())[:2])
    (tmp_path / damaged.file).write_bytes(b"not these weights")
    real = zoo.locate
    monkeypatch.setenv("VIDSR_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(zoo, "locate", lambda entry: None if entry is missing else real(entry))
    states = {one["name"]: one["state"] for one in machine.weights()}
    assert states.pop(damaged.name) == "damaged"
    assert states.pop(missing.name) == "missing"
    assert set(states.values()) == {"ok"}


def test_the_driver_is_asked_for_gpus_and_may_be_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho '0, NVIDIA T4, 535.1, 7.5, 15360, 15000'\necho '1, NVIDIA X, 535.1, [N/A], -, -'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    first, second = machine.nvidia_gpus()
    assert first == {
        "index": "0",
        "name": "NVIDIA T4",
        "driver": "535.1",
        "compute_capability": "7.5",
        "total": 15360 << 20,
        "free": 15000 << 20,
    }
    assert second["total"] is None

    program.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n")
    exam = Examination()
    machine.examine(exam)
    assert exam.found["nvidia"] is None
    (unknown,) = exam.unknown
    assert "version mismatch" in unknown.error
    assert "nvidia-smi" in unknown.next_step

    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert machine.nvidia_gpus() == []
