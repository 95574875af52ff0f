"""The public API: what `from vidsr import …` gives, and that importing it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import vidsr


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, vidsr; print(sorted({'torch', 'av', 'numpy', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_exported_name_is_there() -> None:
    for name in vidsr.__all__:
        assert getattr(vidsr, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'enhence'"):
        _ = vidsr.enhence
