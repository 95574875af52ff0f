"""A folder of masks for ``--masks``: grey PNG pictures, one for each frame of the source or one for all of them."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsr.errors import InputError
from vidsr.frames import Floats
from vidsr.media.pictures.files import read_picture
from vidsr.storage import sampled_digest

_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class MaskFolder:
    """Masks in the order of the numbers in their names. Make one with :meth:`find`."""

    folder: Path
    files: tuple[Path, ...]

    @classmethod
    def find(cls, folder: Path) -> MaskFolder:
        """The masks of a folder.

        Raises:
            InputError: there is no such folder, or no PNG picture in it.
        """
        if not folder.is_dir():
            raise InputError(f"--masks {folder}: no such folder; name a folder of grey PNG pictures")
        files = (f for f in folder.iterdir() if f.suffix.lower() == ".png" and not f.name.startswith("."))
        ordered = sorted(files, key=lambda file: _natural(file.name))
        if not ordered:
            raise InputError(
                f"--masks {folder}: there is no PNG picture in it; it needs one for each frame, or one for all"
            )
        return cls(folder, tuple(ordered))

    def check_size(self, width: int, height: int) -> None:
        """Check the first mask against the size of the source's frames, px.

        Raises:
            InputError: it has another size, or is not a grey picture.
        """
        self.share(0, width, height)

    def check_count(self, frames: int, *, at_least: bool, retimed: str = "") -> None:
        """Check the number of masks against the frames of the source.

        Args:
            frames: how many frames the source has.
            at_least: ``frames`` are those up to the end of a part of the source; more masks may follow.
            retimed: the filters that change which frames there are, for which only one mask for all will do.

        Raises:
            InputError: the masks are neither one nor as many.
        """
        count = len(self.files)
        if count == 1:
            return
        if retimed:
            raise InputError(
                f"--masks {self.folder}: {count} masks, but {retimed} changes which frames there are; "
                "give one mask for all"
            )
        if count < frames or (count > frames and not at_least):
            needed = f"frames 0 to {frames - 1} are needed" if at_least else f"the source has {frames} frames"
            raise InputError(f"--masks {self.folder}: {count} masks, {needed}; give one for each frame, or one for all")

    def share(self, number: int, width: int, height: int) -> Floats:
        """The mask of frame ``number``: ``[height, width]`` float32, 0 black to 1 white.

        Raises:
            InputError: it cannot be read, is not grey, or has another size.
        """
        file = self.files[number] if len(self.files) > 1 else self.files[0]
        picture = read_picture(file)
        try:
            if picture.size != (width, height):
                own = f"{picture.size[0]}x{picture.size[1]}"
                raise InputError(f"{file}: the mask is {own}, the frames of the source are {width}x{height}")
            pixels = picture.pixels[0:height, 0:width]
        finally:
            picture.close()
        if picture.has_alpha:
            raise InputError(f"{file}: a mask has no alpha; save it as a grey picture, white to restore, black to keep")
        if pixels.shape[2] > 1 and (pixels != pixels[..., :1]).any():
            raise InputError(f"{file}: a mask must be grey, this picture has colour")
        most = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
        return np.asarray(pixels[..., 0].astype(np.float32) / np.float32(most), np.float32)

    def digest(self) -> str:
        """A digest of all masks and their order."""
        found = hashlib.blake2b(digest_size=32)
        for file in self.files:
            found.update(os.fsencode(file.name) + b"\n" + sampled_digest(file).encode())
        return found.hexdigest()


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts ``2.png`` before ``10.png``."""
    return tuple((int(part), "") if part.isdigit() else (0, part) for part in _DIGITS.split(name))
