"""Keeping every path that comes in from outside inside the folders named at the start."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from vidsr.errors import InputError, OutputError

_BAD = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_LONGEST_NAME = 180


def inside(text: str, roots: Sequence[Path]) -> Path:
    """The path meant by ``text``, absolute or relative to the first root, all links followed.

    Raises:
        InputError: it leads outside every root, or is no path at all. The message does not say what is there.
    """
    if "\0" in text or not text or len(text) > 4096:
        raise InputError("not a path")
    try:
        path = (roots[0] / text).resolve()
        path.exists()  # names that are too long for the system show here
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError("not a path that can be followed") from error
    if not any(path == root or root in path.parents for root in roots):
        raise InputError("this path is outside the folders that vidsr serve was started for")
    return path


def output_inside(text: str, roots: Sequence[Path]) -> Path:
    """A path to write to: its folder must exist inside a root, and it must not be a link.

    Raises:
        OutputError: the folder is not there, or the place is taken by a link or a folder.
        InputError: it leads outside every root.
    """
    path = inside(text, roots)
    named = roots[0] / text
    if named.is_symlink() or path.is_dir():
        raise OutputError(f"{named.name}: give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent.name}: no such folder")
    return path


def safe_name(name: str) -> str:
    """A file name made from what a browser calls a file: its last part, without what is special anywhere."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    clean = _BAD.sub("_", last).strip(" .")
    stem, dot, suffix = clean.rpartition(".")
    if not dot:
        stem, suffix = clean, ""
    while len(stem.encode()) > _LONGEST_NAME:
        stem = stem[:-1]
    return f"{stem or 'upload'}{dot}{suffix[:16]}"


def shown(path: Path, roots: Sequence[Path]) -> str:
    """How a path is shown to the browser: relative to the first root if it lies there, else in full."""
    return str(path.relative_to(roots[0])) if path == roots[0] or roots[0] in path.parents else str(path)
