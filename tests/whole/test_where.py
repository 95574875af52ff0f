"""docs/where.md and ARCHITECTURE.md name files, folders and definitions that exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.places import ROOT

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
WHERE = (ROOT / "docs" / "where.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| `(\S+)` \| `(\S+)` \|$", WHERE, flags=re.MULTILINE)


def names_of(path: str) -> set[str]:
    """Everything defined in a module: ``name`` at any level, and ``Class.member``."""
    names: set[str] = set()

    def gather(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            found: list[str] = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                found = [node.name]
                if isinstance(node, ast.ClassDef):
                    gather(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign):
                found = [target.id for target in node.targets if isinstance(target, ast.Name)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found = [node.target.id]
            names.update(name for f in found for name in (f, f"{prefix}{f}"))

    gather(ast.parse((ROOT / path).read_text(encoding="utf-8")).body, "")
    return names


def test_there_are_at_least_twenty_questions() -> None:
    assert len(ROWS) >= 20
    tables = [line for line in WHERE.splitlines() if line.startswith("| ") and "?" in line]
    assert len(ROWS) == len(tables), "a row of docs/where.md is not of the form | question | `file` | `name` |"


@pytest.mark.parametrize(("path", "name"), [(path, name) for _, path, name in ROWS])
def test_an_answer_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file(), f"docs/where.md names {path}, which does not exist"
    assert name in names_of(path), f"docs/where.md names {name} in {path}, which does not define it"


def test_the_paths_of_architecture_exist() -> None:
    paths = re.findall(r"`((?:vidsr|tests|benchmarks|scripts|docs)/[\w./-]*)`", ARCHITECTURE)
    paths += [p for p in re.findall(r"\]\(([^)#:]+)\)", ARCHITECTURE) if "://" not in p]
    assert len(paths) > 40
    assert [p for p in paths if not (ROOT / p).exists()] == []


def test_the_rooms_are_all_there() -> None:
    """Every sub-package appears in ARCHITECTURE.md, so that a new room is not left out."""
    rooms = {f"{p.parent.relative_to(ROOT)}/" for p in (ROOT / "vidsr").rglob("__init__.py")} - {"vidsr/"}
    assert {room for room in rooms if f"`{room}`" not in ARCHITECTURE} == set()
