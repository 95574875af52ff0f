"""Where the result may go: checks that cost nothing and run before any work."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from vidsr.errors import OutputError


def check_output(source: Path, output: Path, *, overwrite: bool) -> None:
    """Refuse an output that cannot or must not be written.

    Raises:
        OutputError: the output is the source, is a folder, exists without ``overwrite``, or its folder does not
            exist or cannot be written.
    """
    folder = output.parent
    if output.is_dir():
        raise OutputError(f"{output} is a folder; name a file in it with --output")
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; make it first, or choose another --output")
    if output.exists():
        if source.exists() and output.samefile(source):
            raise OutputError(f"{output} is the source itself; choose another --output")
        if not overwrite:
            raise OutputError(f"{output} exists; give --overwrite to replace it, or choose another --output")
    try:
        # os.access says nothing on network shares and read-only mounts; a real file does.
        with tempfile.TemporaryFile(dir=folder, prefix=".vidsr-"):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write into {folder}: {os.strerror(error.errno or 0)}; choose another place with --output"
        ) from error
