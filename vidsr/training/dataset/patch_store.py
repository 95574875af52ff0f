"""The dataset on disk: patches as plain arrays that are mapped into memory, so that reading costs no decoding.

A dataset is a folder with ``dataset.json`` and shards ``high-00000.npy`` (uint8 ``[N, patch, patch, 3]``, RGB). A
paired dataset has a ``low-00000.npy`` for each (``[N, patch/scale, patch/scale, 3]``). ``dataset.json`` is
written last: a folder without it is not a dataset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vidsr.errors import InputError, TrainingError
from vidsr.frames import Rgb8
from vidsr.storage import AtomicFile

SHARD_BYTES = 256 << 20
INDEX = "dataset.json"
VERSION = 1


@dataclass(slots=True, kw_only=True)
class Index:
    """What ``dataset.json`` holds: the patch size, the scale of the pairs (0 if there are none), and the shards."""

    patch: int
    scale: int = 0
    shards: list[int] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    version: int = VERSION

    @property
    def count(self) -> int:
        """Number of patches."""
        return sum(self.shards)


class PatchWriter:
    """Writes a dataset, shard by shard; its index appears only when the block ends without an error.

    Raises:
        TrainingError: the folder holds a dataset already.
    """

    def __init__(self, folder: Path, patch: int, scale: int = 0) -> None:
        if (folder / INDEX).exists():
            raise TrainingError(f"{folder}: already holds a dataset; give another folder or remove this one")
        folder.mkdir(parents=True, exist_ok=True)
        self.index = Index(patch=patch, scale=scale)
        self._folder = folder
        self._high: list[Rgb8] = []
        self._low: list[Rgb8] = []
        self._room = max(1, SHARD_BYTES // (patch * patch * 3))

    def __enter__(self) -> PatchWriter:
        return self

    def add(self, high: Rgb8, low: Rgb8 | None = None) -> None:
        """Append one patch ``[patch, patch, 3]`` uint8, and its low-resolution twin in a paired dataset."""
        self._high.append(np.ascontiguousarray(high))
        if low is not None:
            self._low.append(np.ascontiguousarray(low))
        if len(self._high) >= self._room:
            self._flush()

    def _flush(self) -> None:
        if not self._high:
            return
        number = len(self.index.shards)
        for name, patches in (("high", self._high), ("low", self._low)):
            if patches:
                with AtomicFile(self._folder / f"{name}-{number:05d}.npy") as file:
                    np.save(file, np.stack(patches), allow_pickle=False)
        self.index.shards.append(len(self._high))
        self._high, self._low = [], []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        self._flush()
        if not self.index.count:
            raise TrainingError(f"{self._folder}: no patch was found in the sources; the dataset would be empty")
        with AtomicFile(self._folder / INDEX) as file:
            file.write(json.dumps(asdict(self.index), indent=1).encode())


class PatchStore:
    """An open dataset: ``store[i]`` is (high, low or None), views of the mapped files.

    Raises:
        InputError: the folder is not a dataset, or a shard is missing, truncated or of another shape.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = _read_index(folder)
        self._starts = np.cumsum([0, *self.index.shards])
        self._high = list(self._open("high", self.index.patch))
        self._low = list(self._open("low", self.index.patch // self.index.scale)) if self.index.scale else []

    def _open(self, name: str, side: int) -> Iterator[Rgb8]:
        for number, count in enumerate(self.index.shards):
            path = self.folder / f"{name}-{number:05d}.npy"
            try:
                shard = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise InputError(f"{path}: cannot be read ({error}); make the dataset again") from error
            if shard.shape != (count, side, side, 3) or shard.dtype != np.uint8:
                raise InputError(f"{path}: holds {shard.dtype} {shard.shape}, expected uint8 {(count, side, side, 3)}")
            yield shard

    def __len__(self) -> int:
        return self.index.count

    def __getitem__(self, number: int) -> tuple[Rgb8, Rgb8 | None]:
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        place = number - int(self._starts[shard])
        return self._high[shard][place], self._low[shard][place] if self._low else None

    def __reduce__(self) -> tuple[type[PatchStore], tuple[Path]]:
        # A worker process opens the files itself: pickling a mapped array would copy all of it.
        return PatchStore, (self.folder,)


def _read_index(folder: Path) -> Index:
    path = folder / INDEX
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if "clips" in data:
            raise InputError(f"{folder}: holds clips, not patches; set [data] frames to how many frames to train on")
        index = Index(**data)
        if index.version != VERSION or not all(isinstance(n, int) for n in (index.patch, index.scale, *index.shards)):
            raise ValueError(f"version {index.version}")
    except FileNotFoundError as error:
        raise InputError(
            f"{folder}: is not a dataset ({INDEX} is missing); make one with `vidsr dataset make`"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be used ({error}); make the dataset again") from error
    if not index.count:
        raise InputError(f"{folder}: the dataset is empty")
    return index
