"""The forms of the network are run for real; a broken CUDA build is reported, and the CPU is still tried."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.cuda_simulation import CudaSimulation
from vidsr.doctor import computing
from vidsr.doctor.doctor_report import report_of
from vidsr.doctor.examination import Examination
from vidsr.doctor.page import page_of
from vidsr.inference.backends import calibration
from vidsr.inference.backends.backend import TorchBackend
from vidsr.inference.forms import winograd_library
from vidsr.options.enhance_options import ModelOptions


@pytest.fixture(autouse=True)
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its conversion takes longer than everything else here; the run of the whole command has it."""
    monkeypatch.setattr(computing, "version_of", lambda name: None)


def examined(model: Path) -> tuple[Examination, dict[str, Any]]:
    exam = Examination()
    computing.examine(exam, ModelOptions(model=str(model)))
    return exam, {trial.what: trial for trial in exam.tried}


def test_every_form_of_this_machine_is_run_and_the_choice_explained(tiny_model: Path) -> None:
    exam, tried = examined(tiny_model)
    assert report_of(exam).ready
    assert tried["cpu, torch, fp32"].result == "ok"
    assert "dB to plain fp32" in tried["cpu, torch, fp32"].detail
    assert ("cpu, winograd, fp32" in tried) == exam.found["winograd"]["works"]
    assert exam.used["backend"]["value"] in ("winograd", "torch", "cuda")
    assert all(one["because"] for one in exam.used.values())


def test_a_form_that_gives_another_picture_has_failed(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TorchBackend.__call__
    monkeypatch.setattr(TorchBackend, "__call__", lambda self, rgb: real(self, rgb) + 0.05)
    _, tried = examined(tiny_model)
    assert tried["cpu, torch, fp32"].result == "failed"
    assert "a different picture" in tried["cpu, torch, fp32"].detail


def test_cuda_that_raises_at_every_question_is_reported(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment")

    for name in ("is_available", "device_count", "current_device", "get_device_name", "mem_get_info"):
        monkeypatch.setattr(torch.cuda, name, broken)
    exam, tried = examined(tiny_model)
    assert exam.found["gpus"] is None
    assert tried["cpu, torch, fp32"].result == "ok"
    report = report_of(exam)
    assert report.ready == (tried["default settings"].result == "ok")
    assert all("--device cpu" in problem.next_step for problem in exam.problems)
    assert any("CUDA unknown error" in line and "driver" in line for line in report.advice)


def test_a_gpu_that_fails_in_use_is_named_with_its_error(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    exam, tried = examined(tiny_model)
    if torch.version.cuda is None:
        assert tried["cuda:0, fp32"].result == "failed"
        assert "CUDA" in tried["cuda:0, fp32"].detail
        assert any(line.startswith("cuda:0, fp32 failed: update") for line in report_of(exam).advice)
    assert tried["cpu, torch, fp32"].result == "ok"


@pytest.mark.long
def test_a_simulated_gpu_is_tried_and_used(tiny_model: Path) -> None:
    with CudaSimulation():
        exam, tried = examined(tiny_model)
    assert tried["cuda:0, fp16"].result == "ok", tried["cuda:0, fp16"].detail
    assert exam.used["device"]["value"].startswith("cuda")
    assert exam.used["precision"]["value"] == "fp16"


def test_weights_that_cannot_be_loaded_are_a_problem(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    exam, _ = examined(tmp_path / "bad.safetensors")
    (problem,) = exam.problems
    assert "bad.safetensors" in problem.what
    assert problem.next_step


def test_a_machine_without_a_compiler_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    winograd_library.library.cache_clear()
    try:
        assert computing.winograd_kernels() == {
            "compiler": None,
            "works": False,
            "reason": "no C compiler: the Winograd kernels are not used",
        }
    finally:
        winograd_library.library.cache_clear()


def test_the_frames_have_texture_and_stay_in_range() -> None:
    frames = computing._pictures()
    assert frames.dtype == np.float32
    assert 0 <= frames.min() < frames.max() <= 1


def test_calibrations_say_what_was_tried_chosen_and_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_CACHE", str(tmp_path))
    assert computing.calibrations() == []
    trials = (
        calibration.Trial(name="eager", decibels=float("inf"), seconds=0.25),
        calibration.Trial(name="graph", decibels=70.25, seconds=0.125),
        calibration.Trial(name="kernels", problem="FormTrialError: its process was killed by SIGSEGV"),
    )
    for size in range(6):
        calibration.remember(f"Some GPU | sm_90 | 1x{size}x16", trials)
    exam = Examination()
    exam.look("torch", computing.torch_build, "")
    found = exam.look("calibrations", computing.calibrations, "")
    assert len(found) == 6
    assert found[0]["chosen"] == "graph" and found[0]["when"].startswith("20")
    json.dumps(found, allow_nan=False)
    page = " ".join(page_of(report_of(exam)).split())
    assert page.count("calibrated Some GPU | sm_90") == 4
    assert (
        "graph chosen (eager 250.0 ms, 99 dB; graph 125.0 ms, 70 dB; kernels: FormTrialError: its process was" in page
    )
    assert "and 2 older calibrations: see --json" in page
    (tmp_path / "calibration.json").write_text('{"schema": 1, "trials": {"a": 5, "b": [{"x": 1}]}}')
    assert computing.calibrations() == []
