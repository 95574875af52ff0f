"""A library that is broken, crashes or hangs when it is loaded leaves a report with a next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidsr.doctor.doctor_report import report_of
from vidsr.doctor.isolation import examined


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "raise OSError('libcudart.so.12: cannot open shared object file')",
            "PyTorch cannot be used: OSError: libcudart.so.12: cannot open shared object file",
        ),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGILL)", "was ended by SIGILL during: torch"),
        ("import os\nos._exit(7)", "ended with code 7 during: torch"),
    ],
)
def test_a_broken_torch_is_a_problem_with_a_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str
) -> None:
    (tmp_path / "torch.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    report = report_of(examined("computing"))
    assert not report.ready
    (problem,) = report.exam.problems
    assert says in problem.what
    assert "PyTorch" in problem.next_step


def test_a_hanging_library_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "av.py").write_text("import time\ntime.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for limit in (4, 20, 100):  # enough for what comes before, on a machine however busy
        exam = examined("video", limit_seconds=limit)
        if "programs" in exam.found:
            break
    (problem,) = exam.problems
    assert f"no answer within {limit} s during: libav" in problem.what
    assert "PyAV" in problem.next_step
    assert "imageio-ffmpeg" in exam.found["programs"], "what was found before is kept"
