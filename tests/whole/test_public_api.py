"""The public API, as a program and a type checker see it; importing it costs nothing."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from pathlib import Path

import pytest

import vidsr
from tests.support import processes
from tests.support.places import ROOT
from vidsr import errors

MISTAKES = """
import vidsr
vidsr.enhence("a.mp4")
vidsr.enhance("a.mp4", scael=2)
vidsr.enhance("a.mp4", codec=5)
vidsr.enhance("a.mp4").nothing
vidsr.probe("a.mp4", scale=2)
vidsr.Upscaler()("a.png")
"""


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, vidsr; dir(vidsr); print(sorted({'torch', 'av', 'numpy', 'typer', 'PIL'} & set(sys.modules)))"
    done = processes.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_exported_name_is_there() -> None:
    for name in vidsr.__all__:
        assert getattr(vidsr, name) is not None
        assert name in dir(vidsr)
    assert len(set(vidsr.__all__)) == len(vidsr.__all__)


def test_a_type_checker_sees_what_a_program_gets() -> None:
    """The imports under TYPE_CHECKING, the table used at run time and ``__all__`` are the same list."""
    tree = ast.parse(Path(vidsr.__file__).read_text())
    (block,) = [n for n in tree.body if isinstance(n, ast.If) and isinstance(n.test, ast.Name)]
    seen = {n.module: tuple(a.name for a in n.names) for n in block.body if isinstance(n, ast.ImportFrom)}
    assert seen == vidsr._EXPORTS
    assert {name for names in seen.values() for name in names} == set(vidsr.__all__) - {"__version__"}


def test_every_error_is_exported() -> None:
    tree = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.VidsrError)}
    assert tree <= set(vidsr.__all__)


def test_everything_public_is_documented() -> None:
    for name in set(vidsr.__all__) - {"__version__"}:
        assert inspect.getdoc(getattr(vidsr, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'enhence'"):
        _ = vidsr.enhence  # type: ignore[attr-defined]


def test_mypy_strict_accepts_a_program_that_uses_all_of_it(tmp_path: Path) -> None:
    """And it finds each of six mistakes in another."""
    usage = ROOT / "tests" / "api" / "api_usage.py"
    used = usage.read_text()
    assert [name for name in vidsr.__all__ if name not in used and not name.endswith(("Error", "__version__"))] == []
    mistakes = tmp_path / "mistakes.py"
    mistakes.write_text(MISTAKES)
    done = processes.run(
        [sys.executable, "-m", "mypy", "--strict", str(usage), str(mistakes)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if ": error:" in line]
    # By name: mypy's cache may repeat the path of an earlier run.
    assert all(Path(line.split(":")[0]).name == mistakes.name for line in found), done.stdout + done.stderr
    assert {int(line.split(":")[1]) for line in found} == {3, 4, 5, 6, 7, 8}, done.stdout
