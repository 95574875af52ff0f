"""A small file system, for tests of full disks."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import processes


@contextlib.contextmanager
def small_file_system(place: Path, size: str) -> Iterator[None]:
    """Mount a file system of that size at ``place``."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if shutil.which("mount") is None or processes.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small file system here")
    try:
        yield
    finally:
        processes.run(["umount", "-l", str(place)], check=True)
