"""The benchmark for one visit to a GPU: its dry run on a CPU goes through every kind of row."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.places import ROOT, child_environment

#: What the machine with the GPU need not have.
PROGRAM = """
import runpy, sys
for name in ("av", "PIL", "safetensors", "imageio_ffmpeg"):
    sys.modules[name] = None
runpy.run_module("benchmarks.speed.gpu", run_name="__main__", alter_sys=True)
"""
MODELS = ("realesrgan-x4plus", "realesr-animevideov3")


def visited(out: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-c", PROGRAM, "--device", "cpu", "--out", out, "--models", *MODELS, *more]
    environment = child_environment(VIDSR_CACHE=str(out.parent / "cache"))
    done = processes.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(out.read_text())
    assert sorted(path.name for path in out.parent.iterdir() if path.name != "cache") == [
        out.with_suffix(".json").name,
        out.with_suffix(".md").name,
    ]
    page = out.with_suffix(".md").read_text().splitlines()
    assert len(report["rows"]) == sum(line.startswith("| ") for line in page) - 1
    return report


def kinds(report: dict[str, Any]) -> Counter[str]:
    known = ("check", "stream", "dropped", "failed", "ended", "db")
    return Counter(next(kind for kind in known if kind in row) for row in report["rows"])


@pytest.mark.long
def test_the_dry_run_goes_through_every_kind_of_row(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    report = visited(tmp_path / "gpu.json", "--minutes", "5")
    rows = report["rows"]
    # Two models: a check and four streams each, both once more on the whole ladder, four and two forms by cuDNN, one by
    # Triton each; three phases.
    assert kinds(report) == {"check": 4, "stream": 10, "db": 8, "ended": 3}, rows
    assert all(row["ok"] for row in rows if "ok" in row)
    assert [row["form"] for row in rows if row.get("phase") == "kernels" and "form" in row] == ["triton", "triton"]
    assert all(row["ended"] == "well" for row in rows if "ended" in row)
    assert all(row["fps"] > 0 and row["frames"] >= 4 for row in rows if "stream" in row)


def test_rows_that_no_time_is_left_for_are_dropped_and_said_to_be(tmp_path: Path) -> None:
    report = visited(tmp_path / "gpu.json", "--minutes", "0")
    assert set(kinds(report)) == {"dropped"}
    assert report["rows"][0]["dropped"].startswith("check") and report["rows"][-1]["dropped"] == "compiled"
