"""Pictures for training: found in folders, checked, and read as 8-bit RGB arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vidsr.errors import InputError
from vidsr.frames import Rgb8
from vidsr.media.pictures.files import is_picture, read_picture
from vidsr.storage import AtomicFile


def read_rgb(path: Path) -> Rgb8:
    """``[H, W, 3]`` uint8; grey is repeated, alpha left out, 16 bit rounded to 8.

    Raises:
        InputError: the file is missing, not a picture or damaged, or holds printing inks or measured values.
    """
    picture = read_picture(path)
    try:
        pixels = np.asarray(picture.pixels[:, :])
    finally:
        picture.close()
    if picture.mode == "CMYK" or pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: {picture.mode} {pixels.dtype} pixels cannot be trained on; convert it to RGB first")
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    colour = pixels[..., :3] if picture.mode.startswith("RGB") else np.repeat(pixels[..., :1], 3, axis=2)
    return np.array(colour, dtype=np.uint8, order="C")


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and below it, in the order of their names."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and is_picture(p))


def write_png(path: Path, pixels: Rgb8) -> None:
    """Write ``[H, W, 3]`` uint8 as a PNG that appears whole or not at all."""
    with AtomicFile(path) as file:
        Image.fromarray(pixels).save(file, format="PNG")  # type: ignore[arg-type]
