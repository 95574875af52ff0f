"""`vidsr enhance` as a person or a program calls it: streams, exit codes, signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import command_line, oracle, processes
from tests.support.clips import ClipFactory, picture
from tests.support.places import child_environment
from vidsr.cli.main import run


def vidsr(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vidsr", *map(str, args)]
    return processes.run(command, capture_output=True, text=True, check=False, env=environment())


def environment() -> dict[str, str]:
    return child_environment(COLUMNS="100")


def test_json_on_stdout_and_everything_else_on_stderr(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    done = vidsr("enhance", clips("basic"), "-o", out, "--model", tiny_model, "--scale", 2, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {"output", "frames", "seconds", "model", "device", "precision"} <= set(result)
    assert result["output"] == str(out)
    assert result["frames"] == 24
    assert result["device"] == "cpu"
    assert "frame" in done.stderr  # the bar
    plain = command_line.vidsr(
        "enhance", clips("basic"), "-o", out, "-m", tiny_model, "-s", 2, "--overwrite", "--quiet"
    )
    assert (plain.returncode, plain.stdout) == (0, f"{out}\n")


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["missing.mp4"], 1, "missing.mp4"),
        (["{text}"], 1, "text.mp4"),
        (["{folder}/empty.mp4"], 1, "empty.mp4"),
        (["{folder}"], 1, "no picture in this folder"),
        (["{sound}"], 1, "no video stream"),
        (["{clip}", "--scale", "0"], 2, "--scale 0"),
        (["{clip}", "--scale", "four"], 2, "--scale"),
        (["{clip}", "-o", "{folder}/none/out.mkv"], 1, "does not exist"),
        (["{clip}", "-o", "{clip}"], 1, "source"),
        (["{clip}", "-o", "{clip}", "--overwrite"], 1, "source"),
        (["{clip}", "-o", "{text}"], 1, "--overwrite"),
        (["{clip}", "-o", "{folder}"], 1, "is a folder"),
        (["{clip}", "-o", "/proc/out.mkv"], 1, "cannot write into /proc"),
        (["{clip}", "--model", "{text}"], 1, "text.mp4"),
        (["{clip}", "--model", "vgg19"], 1, "vgg19"),
        (["{clip}", "--device", "cuda:77", "-o", "{folder}/out.mkv"], 2, "cuda:77"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    args: list[str], code: int, says: str, clips: ClipFactory, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.mp4").write_text("words")
    (tmp_path / "empty.mp4").touch()
    names = {"text": tmp_path / "text.mp4", "folder": tmp_path, "clip": clips("basic"), "sound": clips("audio_only")}
    before = sorted(tmp_path.iterdir()), sorted(clips("basic").parent.iterdir())
    assert run(["enhance", *[a.format(**names) for a in args]]) == code
    stdout, stderr = capfd.readouterr()
    assert "Traceback" not in stderr
    assert stdout == ""
    assert stderr.count("\n") == 1 or "--device" in args, stderr  # notes come before devices are looked at
    assert says in stderr
    assert (sorted(tmp_path.iterdir()), sorted(clips("basic").parent.iterdir())) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_work_and_leaves_no_half_result(
    number: signal.Signals, clips: ClipFactory, tiny_model: Path, tmp_path: Path
) -> None:
    source = clips.make("long.mkv", *picture(size="96x64", seconds=20), "-c:v", "ffv1", "-pix_fmt", "yuv420p")
    digest = oracle.digest(source)
    out = tmp_path / "out.mkv"
    command = [sys.executable, "-m", "vidsr", "enhance", str(source), "-o", str(out), "--model", str(tiny_model)]
    pipe = subprocess.PIPE
    with processes.started(command, stderr=pipe, stdout=pipe, text=True, env=environment()) as work:
        assert work.stderr is not None
        seen = ""
        while "frame/s" not in seen and "s/frame" not in seen and (character := work.stderr.read(1)):
            seen += character  # up to the first time that the bar shows a speed
        work.send_signal(number)
        rest = work.communicate(timeout=processes.LIMIT_SECONDS)
    assert work.returncode == 130, (seen, rest)
    assert not out.exists()
    assert oracle.digest(source) == digest
