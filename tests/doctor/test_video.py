"""Every codec is encoded and decoded for real; without one, or without programs, the report says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidsr.codec_table import CODECS
from vidsr.doctor import video
from vidsr.doctor.examination import Examination
from vidsr.media.encode import codec_trial


def test_software_codecs_work_and_programs_are_found() -> None:
    exam = Examination()
    video.examine(exam)
    results = {trial.what.split()[0]: trial.result for trial in exam.tried}
    assert {results[name] for name, row in CODECS.items() if not row.hardware} == {"ok"}
    assert set(results) == {*CODECS, "NVDEC"}
    assert exam.used["codec"]["value"] == "h264"
    assert exam.found["libav"]["decoders"]["h264"]
    assert "/" not in exam.found["programs"]["imageio-ffmpeg"]["path"]


def test_without_programs_nothing_is_lost_but_they(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    found = video.programs()
    assert found["ffmpeg"] is None
    assert found["ffprobe"] is None
    assert "does not run" in found["imageio-ffmpeg"]["version"]


def test_a_default_codec_that_fails_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    real = codec_trial._encoded
    monkeypatch.setattr(codec_trial, "_encoded", lambda frames, settings: real(frames, settings)[:200])
    exam = Examination()
    video.examine(exam)
    (problem,) = exam.problems
    assert problem.what.startswith("the default codec does not work: h264")
    assert "PyAV" in problem.next_step
    assert "codec" not in exam.used
