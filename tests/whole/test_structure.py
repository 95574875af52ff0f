"""The tests mirror the package, and what they share is imported one way."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.support.places import ROOT

TESTS = ROOT / "tests"
#: Folders whose tests are of the whole program, or of what the tests stand on.
ACROSS = ("whole", "support")
#: Every module of vidsr by its dotted name.
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "vidsr").rglob("*.py"))
}
#: Module names that are used more than once: dataclasses of options; comparing a result with its source.
SAME_ROLE = {"options", "verify"}


def test_every_test_file_lies_where_the_module_it_tests_lies() -> None:
    """tests/a/test_b.py or test_b_aspect.py tests vidsr/a/b.py or the package vidsr/a/b."""
    strays = [
        str(path.relative_to(ROOT))
        for path in sorted(TESTS.rglob("test_*.py"))
        if path.relative_to(TESTS).parts[0] not in ACROSS and not _mirrored(path)
    ]
    assert not strays, "rename them after the module they test, or move them to tests/whole"


def _mirrored(path: Path) -> bool:
    folder = ROOT / "vidsr" / path.parent.relative_to(TESTS)
    words = path.stem.removeprefix("test_").split("_")
    names = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
    return any((folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file() for name in names)


def test_tests_import_neither_scripts_nor_benchmarks_nor_one_another() -> None:
    """Tests import vidsr and tests.support; scripts and benchmarks may import tests.support too."""
    wrong = []
    for path in sorted([*TESTS.rglob("*.py"), *(ROOT / "scripts").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]):
        inside = path.is_relative_to(TESTS)
        for name in _imported(path):
            top = name.split(".")[0]
            if (top == "tests" and not name.startswith("tests.support")) or (
                inside and top in ("scripts", "benchmarks")
            ):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_no_two_types_share_a_name() -> None:
    """No class or type alias at the top of a module of vidsr has a namesake: who searches for one finds one."""
    homes: dict[str, list[str]] = {}
    for path in sorted((ROOT / "vidsr").rglob("*.py")):
        for name in _types(_parsed(path)):
            homes.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert not {name: places for name, places in homes.items() if len(places) > 1}


def _types(module: ast.Module) -> set[str]:
    names = {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, value = node.targets[0].id, node.value
            called = isinstance(value, ast.Call) and ast.unparse(value.func).split(".")[-1] in ("TypeVar", "NewType")
            written = isinstance(value, ast.Subscript | ast.BinOp | ast.Name | ast.Attribute)
            if name[0].isupper() and not name.isupper() and (called or written):
                names.add(name)
    return names


def test_no_import_circle() -> None:
    """Not even through an import inside a function or under TYPE_CHECKING, which would only hide it."""
    uses = {name: _modules_used(path) for name, path in MODULES.items()}
    while free := [name for name, used in uses.items() if not used & uses.keys()]:
        for name in free:
            del uses[name]
    assert not uses, "these modules lie in import circles, or import one that does"


def _modules_used(path: Path) -> set[str]:
    """The modules of vidsr that a file imports, at any depth."""
    return {name if name in MODULES else name.rpartition(".")[0] for name in _imported(path)} & MODULES.keys()


def test_modules_share_a_name_only_where_they_share_a_role() -> None:
    """A command's module may be named after what it runs; the others in SAME_ROLE do the same for different things."""
    homes: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        if not name.startswith("vidsr.cli.") and path.name != "__init__.py":
            homes.setdefault(name.rpartition(".")[2], []).append(name)
    assert {stem for stem, names in homes.items() if len(names) > 1} == SAME_ROLE


def test_no_folder_holds_more_than_twenty_modules() -> None:
    counts: dict[str, int] = {}
    for path in MODULES.values():
        if path.name != "__init__.py":
            folder = str(path.parent.relative_to(ROOT))
            counts[folder] = counts.get(folder, 0) + 1
    assert not {folder: count for folder, count in counts.items() if count > 20}
