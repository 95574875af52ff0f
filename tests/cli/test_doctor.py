"""``vidsr doctor`` as users run it: on a bare machine whose caches cannot be written, and with a broken torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import processes


def run(folder: Path, env: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vidsr", "doctor", *args]
    return processes.run(
        command, cwd=folder, env=os.environ | env, capture_output=True, text=True, limit_seconds=280, check=False
    )


def bare(tmp_path: Path) -> dict[str, str]:
    """No programs, no compiler, and neither state nor caches that could be made."""
    (tmp_path / "file").write_text("")
    (tmp_path / "home").mkdir()
    nowhere = str(tmp_path / "file/below")
    names = ("VIDSR_STATE", "VIDSR_CACHE", "XDG_CACHE_HOME", "XDG_STATE_HOME")
    root = str(Path(__file__).resolve().parents[2])
    return {"PATH": str(tmp_path), "CC": "", "PYTHONPATH": root, "HOME": str(tmp_path / "home")} | dict.fromkeys(
        names, nowhere
    )


@pytest.mark.slow
def test_a_bare_machine_is_ready_and_hears_what_would_be_better(tmp_path: Path) -> None:
    env = bare(tmp_path)
    done = run(tmp_path / "home", env, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert list(report) == ["schema", "ready", "found", "unknown", "tried", "used", "problems", "advice"]
    assert report["schema"] == "vidsr-doctor/1"
    assert report["ready"] is True
    assert report["problems"] == report["unknown"] == []
    assert set(report["found"]) == {
        *("software", "cpu", "memory", "folders", "nvidia", "extras", "weights"),
        *("torch", "triton", "gpus", "calibrations", "winograd", "programs", "libav"),
    }
    assert set(report["used"]) == {"model", "device", "backend", "precision", "codec"}
    assert report["used"]["backend"]["value"] != "winograd"
    assert report["found"]["winograd"]["compiler"] is None
    assert report["found"]["programs"]["ffmpeg"] is None
    assert [f["use"] for f in report["found"]["folders"] if not f["writable"]] == [
        *("state", "weights cache", "kernel cache")
    ]
    advice = "\n".join(report["advice"])
    assert "install gcc or clang" in advice
    assert "set VIDSR_STATE to another folder" in advice
    assert env["HOME"] not in done.stdout


def test_a_machine_without_a_working_torch_and_av_exits_with_1_and_no_traceback(tmp_path: Path) -> None:
    env = bare(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/torch.py").write_text("raise ImportError('libtorch_cuda.so: undefined symbol')")
    (tmp_path / "broken/av.py").write_text("raise ImportError('DLL load failed')")
    env["PYTHONPATH"] = f"{tmp_path / 'broken'}{os.pathsep}{env['PYTHONPATH']}"
    done = run(tmp_path / "home", env)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.startswith("vidsr doctor: NOT READY")
    assert "PyTorch cannot be used: ImportError: libtorch_cuda.so: undefined symbol" in done.stdout
    assert "PyAV cannot be used: ImportError: DLL load failed" in done.stdout
    assert done.stdout.count("next step") == 2


@pytest.mark.long
@pytest.mark.parametrize("mib", [300, 1200])
def test_little_address_space_ends_in_a_page_with_next_steps(mib: int, tmp_path: Path) -> None:
    """As in a container with a limit, or under ``ulimit -v``: libraries cannot be loaded, or fail while they work."""
    limited = ["sh", "-c", f'ulimit -v {mib << 10}; exec "$0" "$@"', sys.executable, "-m", "vidsr", "doctor"]
    done = processes.run(
        limited, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, limit_seconds=280, check=False
    )
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.startswith("vidsr doctor: ")
    assert ("next step" in done.stdout) == (done.returncode == 1)
