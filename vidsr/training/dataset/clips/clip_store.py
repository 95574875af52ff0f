"""Clips on disk: each a plain array of its own that is mapped into memory, so that reading costs no decoding.

The dataset is a folder with ``dataset.json`` and one ``NAME.npy`` for each clip (uint8 ``[T, patch, patch, 3]``, RGB).
``dataset.json`` is written last: a folder without it is not a dataset. Until then ``making.json`` records with what
settings the clips are being cut, so that the same command continues a stopped run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from vidsr.errors import InputError, TrainingError
from vidsr.storage import AtomicFile
from vidsr.training.dataset.patch_store import INDEX

VERSION = 1
MAKING = "making.json"

#: ``[T, H, W, 3]`` uint8 RGB.
Clip8 = npt.NDArray[np.uint8]


@dataclass(slots=True, kw_only=True)
class ClipIndex:
    """What ``dataset.json`` of clips holds.

    ``clips`` are the facts of each clip, its file's ``name`` first; ``length`` is in frames, ``patch`` in px.
    """

    length: int
    patch: int
    clips: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    kind: str = "clips"
    version: int = VERSION


class ClipWriter:
    """Writes clips; the index appears only when the block ends without an error. Clips that are there already, from a
    run that was stopped, are kept.

    Raises:
        TrainingError: the folder holds a dataset already, or the beginning of one with other ``settings``.
    """

    def __init__(self, folder: Path, length: int, patch: int, settings: dict[str, Any] | None = None) -> None:
        if (folder / INDEX).exists():
            raise TrainingError(f"{folder}: already holds a dataset; give another folder or remove this one")
        folder.mkdir(parents=True, exist_ok=True)
        self.index = ClipIndex(length=length, patch=patch)
        self.folder = folder
        wanted = json.loads(json.dumps({"length": length, "patch": patch, **(settings or {})}))
        making = folder / MAKING
        if making.exists() and _settings(making) != wanted:
            raise TrainingError(
                f"{folder}: holds clips of an unfinished dataset with other settings or sources; run its own command "
                "again to finish it, or remove the folder"
            )
        with AtomicFile(making) as file:
            file.write(json.dumps(wanted, indent=1).encode())

    def __enter__(self) -> ClipWriter:
        return self

    def finished(self, name: str) -> Clip8 | None:
        """The clip of this name, if it was written already."""
        path = self.folder / f"{name}.npy"
        return _mapped(path, self._shape) if path.exists() else None

    def write(self, name: str, clip: Clip8) -> None:
        """Write ``NAME.npy``, whole or not at all, without listing it."""
        if clip.shape != self._shape or clip.dtype != np.uint8:
            raise ValueError(f"a clip of {clip.dtype} {clip.shape}, expected uint8 {self._shape}")
        with AtomicFile(self.folder / f"{name}.npy") as file:
            np.save(file, clip, allow_pickle=False)

    def add(self, name: str, facts: dict[str, Any] | None = None) -> None:
        """List a clip that was written."""
        self.index.clips.append({"name": name, **(facts or {})})

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return self.index.length, self.index.patch, self.index.patch, 3

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        if not self.index.clips:
            raise TrainingError(f"{self.folder}: no clip was found in the sources; the dataset would be empty")
        with AtomicFile(self.folder / INDEX) as file:
            file.write(json.dumps(asdict(self.index), indent=1).encode())
        (self.folder / MAKING).unlink(missing_ok=True)


class ClipStore:
    """An open dataset of clips: ``store[i]`` is ``[T, patch, patch, 3]`` uint8, a view of the mapped file.

    Raises:
        InputError: the folder is not a dataset of clips, or a clip is missing, truncated or of another shape.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = _read_index(folder)
        self._shape = (self.index.length, self.index.patch, self.index.patch, 3)
        least = int(np.prod(self._shape))
        for clip in self.index.clips:
            path = folder / f"{clip['name']}.npy"
            if not path.is_file() or path.stat().st_size <= least:
                raise InputError(f"{path}: is missing or cut off; make the dataset again")

    def __len__(self) -> int:
        return len(self.index.clips)

    def __getitem__(self, number: int) -> Clip8:
        # Mapped each time: a dataset may have more clips than a process may open files.
        return _mapped(self.folder / f"{self.index.clips[number]['name']}.npy", self._shape)


def _mapped(path: Path, shape: tuple[int, ...]) -> Clip8:
    try:
        clip: Clip8 = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: cannot be read ({error}); make the dataset again") from error
    if clip.shape != shape or clip.dtype != np.uint8:
        raise InputError(f"{path}: holds {clip.dtype} {clip.shape}, expected uint8 {shape}")
    return clip


def _settings(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def holds_clips(folder: Path) -> bool:
    """Whether a folder's dataset is one of clips; False where it is of patches, or is none."""
    found = _settings(folder / INDEX)
    return isinstance(found, dict) and found.get("kind") == "clips"


def _read_index(folder: Path) -> ClipIndex:
    path = folder / INDEX
    if not path.exists():
        cut_off = " (its making was stopped; run the same command again)" if (folder / MAKING).exists() else ""
        raise InputError(
            f"{folder}: is not a dataset ({INDEX} is missing){cut_off}; make one with `vidsr dataset make --clips`"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("kind") != "clips":
            raise InputError(f"{folder}: holds patches of stills; make clips with `vidsr dataset make --clips`")
        index = ClipIndex(**data)
        whole = all(isinstance(n, int) for n in (index.length, index.patch))
        if index.version != VERSION or not whole or not all(isinstance(c["name"], str) for c in index.clips):
            raise ValueError(f"version {index.version}")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: cannot be used ({error}); make the dataset again") from error
    if not index.clips:
        raise InputError(f"{folder}: the dataset is empty")
    return index
