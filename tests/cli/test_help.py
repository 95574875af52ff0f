"""Every help text reads like a finished tool's, and its examples are commands that the program accepts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from vidsr.cli.main import app


def commands(command: Any = None, path: str = "vidsr") -> Iterator[tuple[str, Any]]:
    """(path, command) of the root and of everything below it."""
    command = command or get_command(app)
    yield path, command
    context = command.make_context(path, [], resilient_parsing=True)
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from commands(command.get_command(context, name), f"{path} {name}")


ALL = dict(commands())


def text_of(path: str, columns: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", columns)
    context = ALL[path].make_context(path, [], resilient_parsing=True)
    return str(ALL[path].get_help(context))


@pytest.mark.parametrize("path", ALL)
def test_help_is_finished(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = text_of(path, "100", monkeypatch)
    prose, _, below = text.partition("\nExamples:\n\n")
    assert f"  {path} " in f"{below} ".replace("\n", " \n"), "examples of its own"
    assert text.startswith(f"Usage: {path} [OPTIONS]")
    assert not re.search(r"[<{}]|[a-z]\.\.\.", prose), "types of Python, and lines cut off"
    assert "-h, --help" in prose
    assert ("--install-completion" in prose) == (path == "vidsr"), "completion belongs to the program"
    assert max(map(len, prose.splitlines())) <= 100


@pytest.mark.parametrize("path", ALL)
def test_every_parameter_is_explained(path: str) -> None:
    context = ALL[path].make_context(path, [], resilient_parsing=True)
    for parameter in ALL[path].get_params(context):
        assert parameter.help, parameter.name


@pytest.mark.parametrize("path", ALL)
def test_narrow_terminals_are_respected(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prose = text_of(path, "60", monkeypatch).partition("\nExamples:\n\n")[0]
    wide = [line for line in prose.splitlines() if len(line) > 60 and " " in line.strip()]
    assert not [line for line in wide if not re.match(r" +(--?\S+|[A-Z.]+)", line)], "only names are not wrapped"


@pytest.mark.parametrize("path", ALL)
def test_examples_are_accepted(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    below = text_of(path, "100", monkeypatch).partition("\nExamples:\n\n")[2]
    for line in re.findall(r"^  (.+)$", below, flags=re.MULTILINE):
        words = shlex.split(re.split(r" [|>] ", line)[0].replace("torchrun --nproc-per-node 4 -m vidsr", "vidsr"))
        assert words.pop(0) == "vidsr", line
        name = "vidsr"
        while words and f"{name} {words[0]}" in ALL:
            name += f" {words.pop(0)}"
        ALL[name].make_context(name, words)  # raises where an option or an argument does not exist
