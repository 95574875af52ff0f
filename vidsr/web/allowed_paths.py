"""Confine every path of a request to the served folders."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from vidsr.errors import InputError, OutputError

_BAD = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_LONGEST_NAME = 180


def inside(text: str, roots: Sequence[Path]) -> Path:
    """Resolve ``text``, absolute or relative to the first root, following all links.

    Raises:
        InputError: it leads outside every root, or is not a valid path. The message does not reveal what exists there.
    """
    if "\0" in text or not text or len(text) > 4096:
        raise InputError("this is not a valid path")
    try:
        path = (roots[0] / text).resolve()
        path.exists()  # raises for names that are too long for the system
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError("this path cannot be resolved") from error
    if not any(path == root or root in path.parents for root in roots):
        raise InputError(
            "this path is outside the served folders; to add a folder, start vidsr serve with another --root"
        )
    return path


def output_inside(text: str, roots: Sequence[Path]) -> Path:
    """A path to write to: its folder must exist inside a root, and it must not be a link.

    Raises:
        OutputError: the folder does not exist, or a link or folder already has this name.
        InputError: it leads outside every root.
    """
    path = inside(text, roots)
    named = roots[0] / text
    if named.is_symlink() or path.is_dir():
        raise OutputError(f"{named.name} is a link or a folder; give the name of a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent.name}: no such folder; create it or choose another one")
    return path


def folder_inside(text: str, roots: Sequence[Path]) -> Path:
    """A folder to write to, which may be there already; the folder it lies in must exist, and it must not be a link.

    Raises:
        OutputError: a link or a file already has this name, or the folder above it does not exist.
        InputError: it leads outside every root.
    """
    path = inside(text, roots)
    named = roots[0] / text
    if named.is_symlink() or path.is_file():
        raise OutputError(f"{named.name} is a link or a file; give the name of a folder")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent.name}: no such folder; create it or choose another one")
    return path


def safe_name(name: str) -> str:
    """A safe file name from the one a browser sends: its last part, without special characters."""
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    clean = _BAD.sub("_", last).strip(" .")
    stem, dot, suffix = clean.rpartition(".")
    if not dot:
        stem, suffix = clean, ""
    while len(stem.encode()) > _LONGEST_NAME:
        stem = stem[:-1]
    return f"{stem or 'upload'}{dot}{suffix[:16]}"


def shown(path: Path, roots: Sequence[Path]) -> str:
    """The path as shown in the browser: relative to the first root if inside it, else absolute."""
    return str(path.relative_to(roots[0])) if path == roots[0] or roots[0] in path.parents else str(path)
