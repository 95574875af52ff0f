"""The command line as a whole: help is fast because it imports nothing heavy; wrong usage exits with 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.support import command_line, processes
from vidsr.cli import main
from vidsr.cli.main import COMMANDS
from vidsr.errors import Interrupted


def python(*args: str) -> subprocess.CompletedProcess[str]:
    return processes.run([sys.executable, *args], capture_output=True, text=True, limit_seconds=60, check=False)


def test_help_imports_neither_torch_nor_av() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from vidsr.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    assert run(['--help']) == 0\n"
        "assert 'enhance' in out.getvalue()\n"
        "print(sorted({'torch', 'av', 'numpy', 'rich'} & set(sys.modules)))"
    )
    done = python("-c", code)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_subcommand_has_help_without_loading_torch() -> None:
    """In one process: the first that loads a heavy library is named."""
    code = (
        "import sys\nfrom vidsr.cli.main import run\n"
        f"for name in {list(COMMANDS)!r}:\n"
        "    assert run([name, '--help']) == 0, name\n"
        "    assert not {'torch', 'av'} & set(sys.modules), f'{name} loads a heavy library for its help'"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert [f"Usage: vidsr {name}" in done.stdout for name in COMMANDS] == [True] * len(COMMANDS)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nonsense"], "no such command 'nonsense'; see: vidsr --help"),
        (["--nonsense"], "no such option: --nonsense; see: vidsr --help"),
        (["enhance"], "missing argument 'SOURCE... [FOLDER]'; see: vidsr enhance --help"),
        (["enhance", "--nonsense"], "no such option: --nonsense"),
        (["enhance", "clip.mp4", "--scale"], "'--scale' requires an argument; see: vidsr enhance --help"),
        (["enhance", "clip.mp4", "--scale", "four"], "invalid value for '--scale'"),
        (["enhance", "clip.mp4", "--scale", "0"], "--scale 0: must be between 1 and 8"),
        (["models", "fetch"], "missing argument 'NAME|URL'; see: vidsr models fetch --help"),
    ],
)
def test_wrong_usage_exits_with_2_and_is_one_line(args: list[str], says: str) -> None:
    done = command_line.vidsr(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("vidsr: ")
    assert says in done.stderr


def test_the_exit_code_is_that_of_the_process() -> None:
    done = python("-m", "vidsr", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vidsr: no such command 'nonsense'; see: vidsr --help\n"


@pytest.mark.parametrize("args", [[], ["models"]])
def test_a_group_without_a_command_shows_its_help(args: list[str]) -> None:
    done = python("-m", "vidsr", *args)
    assert done.returncode == 2
    assert "Commands:" in done.stderr


def test_what_is_wrong_anywhere_becomes_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def fail(error: BaseException) -> int:
        monkeypatch.setattr(main, "app", lambda *args, **rest: (_ for _ in ()).throw(error))
        return main.run(["enhance"])

    monkeypatch.delenv("VIDSR_DEBUG", raising=False)
    assert fail(typer.Abort()) == 1
    assert fail(Interrupted("stopped after 3 frames")) == 130
    assert fail(RuntimeError("first line\nsecond line")) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == ["vidsr: aborted", "vidsr: stopped after 3 frames"]
    assert len(said) == 3
    assert "RuntimeError: first line (run again with VIDSR_DEBUG=1" in said[2]
    monkeypatch.setenv("VIDSR_DEBUG", "1")
    with pytest.raises(RuntimeError):
        fail(RuntimeError("first line"))


def test_version() -> None:
    done = python("-m", "vidsr", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("vidsr 0.")


def test_ctrl_c_is_one_word_and_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()

    @app.command()
    def work() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", app)
    assert main.run([]) == 130
    assert capsys.readouterr().err == "vidsr: interrupted\n"


@pytest.mark.parametrize("name", ["clip.mkv", "."])
def test_what_may_not_be_read_is_one_clear_error(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By faults of the file system, since a test may run as root."""
    locked = tmp_path / "locked"
    locked.mkdir()
    stat, scan = os.stat, os.scandir

    def no_stat(path: Any, *arguments: Any, **more: Any) -> Any:
        if str(path).startswith(f"{locked}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *arguments, **more)

    def no_scan(path: Any) -> Any:
        if str(path) == str(locked):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "stat", no_stat)
    monkeypatch.setattr(os, "scandir", no_scan)
    assert main.run(["enhance", str(locked / name), str(tmp_path / "out") + os.sep, "--quiet"]) == 1
    said = capfd.readouterr().err
    assert "ermission denied" in said and str(locked) in said and "unexpected" not in said and said.count("\n") == 1
