"""`vidsr enhance` as a person or a program calls it: streams, exit codes, signals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import command_line, oracle, processes
from tests.support.clips import ClipFactory, picture
from tests.support.places import child_environment
from vidsr.cli.enhance import destination
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
        (["{folder}/nothing"], 1, "no video or picture in this folder"),
        (["{clip}", "{folder}/none.mkv"], 1, "none.mkv does not exist"),
        (["{folder}", "-o", "{folder}"], 1, "is the source folder itself"),
        (["{folder}", "{clip}"], 1, "name the folder for the results with --output"),
        (["{clip}", "--watch"], 2, "--watch"),
        (["{sound}"], 1, "no video stream"),
        (["{clip}", "--scale", "0"], 2, "--scale 0"),
        (["{clip}", "--scale", "four"], 2, "--scale"),
        (["{clip}", "-o", "{folder}/none/out.mkv"], 1, "does not exist"),
        (["{clip}", "-o", "{clip}"], 1, "source"),
        (["{clip}", "-o", "{clip}", "--overwrite"], 1, "source"),
        (["{clip}", "-o", "{text}"], 1, "--overwrite"),
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
    (tmp_path / "nothing").mkdir()
    names = {"text": tmp_path / "text.mp4", "folder": tmp_path, "clip": clips("basic"), "sound": clips("audio_only")}
    before = sorted(tmp_path.iterdir()), sorted(clips("basic").parent.iterdir())
    assert run(["enhance", *[a.format(**names) for a in args]]) == code
    stdout, stderr = capfd.readouterr()
    assert "Traceback" not in stderr
    assert stdout == ""
    assert stderr.count("\n") == 1 or "--device" in args, stderr  # notes come before devices are looked at
    assert says in stderr
    assert (sorted(tmp_path.iterdir()), sorted(clips("basic").parent.iterdir())) == before


@pytest.mark.parametrize(
    ("paths", "output", "sources", "folder"),
    [
        (["a.mp4"], None, ["a.mp4"], None),
        (["a.mp4", "b.mp4"], None, ["a.mp4", "b.mp4"], None),
        (["a.mp4", "out/"], None, ["a.mp4"], "out/"),
        (["a.mp4", "out"], None, ["a.mp4"], "out"),
        (["a.mp4", "tapes"], None, ["a.mp4"], "tapes"),
        (["tapes", "missing.mp4"], None, ["tapes", "missing.mp4"], None),
        (["tapes", "out"], "other", ["tapes", "out"], "other"),
    ],
)
def test_the_last_of_several_paths_may_be_the_folder_for_the_results(
    paths: list[str],
    output: str | None,
    sources: list[str],
    folder: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tapes").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    assert destination(paths, output) == (sources, folder)


@pytest.mark.long
def test_a_queue_prints_its_folder_and_its_exit_code_says_whether_all_was_done(
    clips: ClipFactory, identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    tapes, out = tmp_path / "tapes", tmp_path / "out"
    tapes.mkdir()
    shutil.copy(clips("silent"), tapes / "a.mkv")
    flags = ["--model", identity, "--scale", 1]
    good = vidsr("enhance", tapes, out, *flags, "--quiet")
    assert (good.returncode, good.stdout) == (0, f"{out}\n"), good.stderr
    assert "1 file: 1 done;" in good.stderr
    (tapes / "b.mkv").write_text("words")
    bad = vidsr("enhance", tapes, out, *flags, "--json")
    assert bad.returncode == 1 and "refused b.mkv" in bad.stderr
    answer = json.loads(bad.stdout)
    assert {f["name"]: f["state"] for f in answer["files"]} == {"a.mkv": "done", "b.mkv": "refused"}
    assert vidsr("enhance", tapes / "a.mkv", "-o", out, *flags).returncode == 0, "a single file into a folder"
    planned = vidsr("plan", tapes, *flags, "--samples", 1, "--sample-frames", 4, "--quiet")
    assert planned.returncode == 0, planned.stderr
    assert "1 videos, 24 frames; 1 cannot be done" in planned.stdout


@pytest.mark.long
def test_ctrl_c_ends_watching_cleanly(
    clips: ClipFactory, identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSR_STATE", str(tmp_path / "state"))
    folder, out = tmp_path / "captures", tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, "-m", "vidsr", "enhance", str(folder), str(out), "--watch", "--settle", "0.3"]
    command += ["--model", str(identity), "--scale", "1"]
    pipe = subprocess.PIPE
    with processes.started(command, stderr=pipe, stdout=pipe, text=True, env=environment()) as work:
        shutil.copy(clips("silent"), folder / "a.mkv")
        result, job = out / "a.mkv", out / "a.mkv.vidsr-job"
        processes.wait_until(lambda: result.exists() and not job.exists(), "the file that arrived was done", child=work)
        time.sleep(1.0)
        work.send_signal(signal.SIGINT)
        _, errors = work.communicate(timeout=60)
    assert work.returncode == 0, errors
    assert "1 file: 1 done;" in errors and (out / "vidsr-report.csv").exists()


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
