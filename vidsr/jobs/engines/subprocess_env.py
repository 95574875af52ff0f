"""How other processes of vidsr are started."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def python_module(name: str) -> tuple[str, ...]:
    """The command that runs a module of vidsr. Python's -P keeps it from importing what lies in the current folder,
    where a user's ``random.py`` would take the place of Python's own."""
    return sys.executable, "-P", "-m", name


def child_environment() -> dict[str, str]:
    """This process's environment, with our package findable by :func:`python_module`."""
    package_parent = str(Path(__file__).resolve().parents[3])
    paths = [package_parent, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
