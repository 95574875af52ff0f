"""The command line as a whole: help is fast because it imports nothing heavy; wrong usage exits with 2."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vidsr.cli.main import COMMANDS


def python(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=60, check=False)


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


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_subcommand_has_help_without_loading_torch(name: str) -> None:
    code = (
        "import sys\nfrom vidsr.cli.main import run\n"
        f"assert run([{name!r}, '--help']) == 0\n"
        "assert not {'torch', 'av'} & set(sys.modules), 'loads a heavy library for its help'"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "Usage: vidsr" in done.stdout


@pytest.mark.parametrize("args", [["nonsense"], ["--nonsense"], ["enhance"], ["enhance", "--nonsense"]])
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(args: list[str]) -> None:
    done = python("-m", "vidsr", *args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_version() -> None:
    done = python("-m", "vidsr", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("vidsr 0.")
