"""Advice follows from the facts, and nothing personal is in a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vidsr.doctor.doctor_report import report_of, without_home
from vidsr.doctor.examination import Examination

T4 = {"index": "0", "name": "T4", "driver": "470.1", "compute_capability": "7.5", "total": 1, "free": 1}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"nvidia": [T4], "torch": {"cuda": None}, "gpus": []}, "T4 is not used: this PyTorch is built without CUDA"),
        ({"nvidia": [T4], "torch": {"cuda": "13.0"}, "gpus": []}, "does not start with driver 470.1"),
        ({"nvidia": [T4], "torch": {"cuda": "13.0"}, "gpus": [{}], "triton": None}, "pip install triton"),
        ({"winograd": {"works": False, "compiler": None, "reason": ""}}, "install gcc or clang"),
        ({"winograd": {"works": False, "compiler": "cc", "reason": "read-only"}}, "VIDSR_CACHE"),
        ({"memory": {"free": 1 << 20}}, "only 1.0 MB of memory are free"),
        ({"extras": {"web": False, "ray": False, "train": True}}, "pip install 'vidsr-esrgan[web,ray]'"),
        ({"programs": {"ffmpeg": None, "imageio-ffmpeg": None}}, "imageio-ffmpeg"),
        ({"weights": [{"name": "x", "state": "damaged"}]}, "the model x is damaged: reinstall vidsr"),
        (
            {"folders": [{"use": "working", "path": "/w", "writable": True, "free": 7, "error": ""}]},
            "/w has only 7 B free: give --output another folder",
        ),
    ],
)
def test_advice_names_the_next_step(found: dict[str, Any], says: str) -> None:
    report = report_of(Examination(found=found))
    assert [line for line in report.advice if says in line], report.advice


def test_a_damaged_default_model_prevents_the_main_job() -> None:
    exam = Examination(found={"weights": [{"name": "x", "state": "damaged"}]})
    exam.use("model", "x", "the default")
    assert not report_of(exam).ready


def test_the_home_folder_is_not_in_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/jane"))
    given = {"a": ["/home/jane/x: /home/jane/y", "/home/jane"], "b": {"c": 1, "d": "/home/janet/x"}}
    assert without_home(given) == {"a": ["~/x: ~/y", "~"], "b": {"c": 1, "d": "/home/janet/x"}}
