"""Makes a dataset: pictures and videos in, patches out, with a report of what was used and what was not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsr.errors import DecodeError, InputError, TrainingError
from vidsr.frames import Rgb8, luma_weights
from vidsr.media.pictures.files import is_picture
from vidsr.media.source import VIDEO_SUFFIXES
from vidsr.training.dataset.dataset_page import Tally, write_report
from vidsr.training.dataset.image_files import pictures_in, read_rgb
from vidsr.training.dataset.patch_store import PatchWriter
from vidsr.training.dataset.selection import survey_video
from vidsr.training.options import MakeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A picture to cut: its name for the report, its pixels, and its low-resolution twin in paired mode."""

    name: str
    high: Rgb8
    low: Rgb8 | None = None


def make_dataset(
    sources: list[Path],
    out: Path,
    options: MakeOptions,
    *,
    on_source: Callable[[Path], None] = lambda path: None,
) -> Tally:
    """Make a dataset from pictures, folders of pictures and videos; returns what was used, what was left out, and why.

    With ``options.low``, a folder of low-resolution pictures with the same names, it is a paired dataset of pictures.

    Raises:
        TrainingError: nothing usable was found, a pair does not fit, or ``out`` holds a dataset already.
        InputError: a source does not exist; with ``strict``, any source that cannot be used.
        DiskFullError: no space is left; no dataset appears.
    """
    faults = list(options.faults())
    if faults:
        raise TrainingError("; ".join(faults))
    twins = Twins(Path(options.low), options.scale) if options.low else None
    files = [path for path in source_files(sources) if not (twins and twins.has(path))]
    if not files:
        raise TrainingError(f"{', '.join(map(str, sources))}: contains neither pictures nor videos")
    tally = Tally()
    with PatchWriter(out, options.patch, options.scale if twins else 0) as writer:
        for path in files:
            on_source(path)
            try:
                for piece in _pieces(path, options, twins, tally):
                    _cut(piece, options, writer, tally)
            except (InputError, DecodeError) as error:
                if options.strict:
                    raise
                tally.refuse(path, str(error))
        if not tally.patches:
            reasons = "".join(f"\n  {reason}" for _, reason in tally.refused[:5])
            raise TrainingError(f"{out}: not one patch of {options.patch} px could be cut from the sources{reasons}")
        writer.index.sources = tally.sources()
        write_report(out, tally, options.patch)
    return tally


def source_files(sources: list[Path]) -> Iterator[Path]:
    """All pictures and videos in files and folders, in the order of their names.

    Raises:
        InputError: one does not exist.
    """
    for source in sources:
        if source.is_dir():
            yield from (
                p
                for p in sorted(source.rglob("*"))
                if p.is_file() and (is_picture(p) or p.suffix.lower() in VIDEO_SUFFIXES)
            )
        elif source.is_file():
            yield source
        else:
            raise InputError(f"{source}: no such file or folder")


def _pieces(path: Path, options: MakeOptions, twins: Twins | None, tally: Tally) -> Iterator[Piece]:
    if twins is not None:
        if not is_picture(path):
            raise InputError(f"{path}: is not a picture; pairs can only be made from pictures")
        yield twins.pair(path)
        return
    if is_picture(path):
        yield Piece(name=str(path), high=read_rgb(path))
        return
    survey = survey_video(path, options.frames)
    tally.video(path, survey)
    for number, pixels in survey.pictures():
        yield Piece(name=f"{path} frame {number}", high=pixels)


class Twins:
    """The low-resolution pictures in a folder and below it, found by the names of their originals.

    A twin has its original's name, or ``_LR`` for ``_HR``, or the scale appended (``0001x4.png``). Of several, the one
    in the folder of the same name counts.
    """

    def __init__(self, folder: Path, scale: int) -> None:
        self._folder, self._scale = folder.resolve(), scale
        self._named: dict[str, list[Path]] = {}
        for path in pictures_in(self._folder):
            self._named.setdefault(path.stem, []).append(path)

    def has(self, path: Path) -> bool:
        """Whether ``path`` is itself a low-resolution picture, in the same folder as its original."""
        return path.stem.endswith("LR") and path.resolve() in self._named.get(path.stem, [])

    def pair(self, path: Path) -> Piece:
        """A picture and its twin.

        Raises:
            TrainingError: there is no twin or more than one candidate, or its size does not fit.
        """
        stem = re.sub(r"_?HR$", "", path.stem)
        names = {path.stem, stem, f"{stem}_LR", f"{stem}LR", f"{path.stem}x{self._scale}"}
        found = [p for name in sorted(names) for p in self._named.get(name, []) if p != path.resolve()]
        if len(found) > 1:
            below = [p.relative_to(self._folder).parent.parts for p in found]
            near = [
                p for p, parts in zip(found, below, strict=True) if parts and path.parts[-1 - len(parts) : -1] == parts
            ]
            found = near or found
        if len(found) != 1:
            has = "several twins" if found else "no twin"
            raise TrainingError(f"{path}: has {has} in {self._folder}; exactly one is needed, named {path.name}")
        high, low = read_rgb(path), read_rgb(found[0])
        if (low.shape[0] * self._scale, low.shape[1] * self._scale) != high.shape[:2]:
            raise TrainingError(
                f"{found[0]}: {low.shape[1]}x{low.shape[0]} times {self._scale} is not the "
                f"{high.shape[1]}x{high.shape[0]} of {path}"
            )
        return Piece(name=str(path), high=high, low=low)


def _cut(piece: Piece, options: MakeOptions, writer: PatchWriter, tally: Tally) -> None:
    """Cut a picture into patches that cover all of it, overlapping evenly where its size is not a multiple of the
    patch."""
    side, scale = options.patch, options.scale if piece.low is not None else 1
    height, width = piece.high.shape[:2]
    if min(height, width) < side:
        raise InputError(f"{piece.name}: {width}x{height} is smaller than a patch of {side} px; lower --patch")
    if side % scale:
        raise TrainingError(f"--patch {side} is not a multiple of --scale {scale}")
    for top in patch_starts(height, side, scale):
        for left in patch_starts(width, side, scale):
            high = piece.high[top : top + side, left : left + side]
            if detail_of(high) < options.detail:
                tally.flat += 1
                continue
            low = None
            if piece.low is not None:
                y, x, small = top // scale, left // scale, side // scale
                low = piece.low[y : y + small, x : x + small]
            writer.add(high, low)
            tally.add(piece.name, high)


def patch_starts(length: int, side: int, grid: int) -> list[int]:
    """Where patches of ``side`` px begin that cover ``length`` px, overlapping evenly, on a grid of ``grid`` px."""
    count = -(-length // side)
    last = (length - side) // grid * grid
    return sorted({round(last * i / max(1, count - 1)) // grid * grid for i in range(count)})


def detail_of(patch: Rgb8) -> float:
    """Mean absolute difference of luma to the next pixel (0 to 255), in both directions."""
    luma = patch.astype(np.float32) @ np.array(luma_weights("smpte170m"), dtype=np.float32)
    return float((np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()) / 2)
