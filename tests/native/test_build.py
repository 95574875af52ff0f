"""Compiling C sources on the machine that runs them."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

import pytest

from vidsr.native.build import load

SEVEN = "int seven(void) { return 7; }\n"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler")
    monkeypatch.setenv("VIDSR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VIDSR_NATIVE", raising=False)
    file = tmp_path / "seven.c"
    file.write_text(SEVEN)
    return file


def is_seven(library: ctypes.CDLL) -> bool:
    return bool(library.seven() == 7)


def test_a_source_is_compiled_once_and_anew_when_it_changes(source: Path, tmp_path: Path) -> None:
    assert load(source, "the numbers", is_seven) is not None
    (made,) = (tmp_path / "cache").rglob("*.so")
    stamp = made.stat().st_mtime_ns
    assert load(source, "the numbers", is_seven) is not None
    assert [(f, f.stat().st_mtime_ns) for f in (tmp_path / "cache").rglob("*.so")] == [(made, stamp)]
    source.write_text(SEVEN + "int eight(void) { return 8; }\n")
    library = load(source, "the numbers", is_seven)
    assert library is not None and library.eight() == 8
    assert not [f for f in (tmp_path / "cache" / "native").iterdir() if f.is_dir()]


def test_a_library_that_does_not_fit_is_not_used(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load(source, "the numbers", lambda library: False) is None
    assert "the numbers cannot be used" in caplog.text


def test_a_source_that_does_not_compile_is_reported(source: Path, caplog: pytest.LogCaptureFixture) -> None:
    source.write_text("int seven(void) { return }\n")
    assert load(source, "the numbers", is_seven) is None
    assert "the numbers cannot be used" in caplog.text


def test_kernels_can_be_switched_off(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSR_NATIVE", "0")
    assert load(source, "the numbers", is_seven) is None
