"""Animated GIF, PNG, WebP and AVIF as short videos: whole frames, each with its own duration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vidsr.errors import InputError, OutputError
from vidsr.frames import Array
from vidsr.media.pictures.files import FORMATS, mapped_errors, meta_of, open_image
from vidsr.media.pictures.types import PictureMeta
from vidsr.storage import publish

#: Formats that can hold several frames with a duration each.
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
_OPAQUE_FROM = 128  # GIF pixels are clear or opaque: where in between the line is drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Animation:
    """What an animated picture is, without its pixels.

    ``durations_ms`` has one entry per frame, 0 where the file leaves it to the player. ``loop`` counts
    repetitions, 0 means endless, None where the file does not say. ``size`` is (width, height) in pixels.
    """

    path: Path
    format: str
    size: tuple[int, int]
    durations_ms: tuple[float, ...]
    loop: int | None
    alpha: bool
    meta: PictureMeta


def read_animation(path: Path) -> Animation | None:
    """Describe an animated picture, or None if it holds one frame or its format holds no animation.

    Raises:
        InputError: it cannot be read to its end.
    """
    with mapped_errors(path, InputError, "cannot be read"), open_image(path) as image:
        if image.format not in ANIMATED or getattr(image, "n_frames", 1) < 2:
            return None
        durations, alpha = [], False
        loop = image.info.get("loop")
        meta = meta_of(image)
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            durations.append(float(image.info.get("duration") or 0))
            alpha = alpha or image.has_transparency_data
        return Animation(
            path=path,
            format=image.format,
            size=image.size,
            durations_ms=tuple(durations),
            loop=loop,
            alpha=alpha,
            meta=meta,
        )


def animation_frames(animation: Animation) -> Iterator[Array]:
    """The frames as they are shown, [height, width, 3 or 4] uint8.

    Raises:
        InputError: the file changed or is damaged.
    """
    mode = "RGBA" if animation.alpha else "RGB"
    with mapped_errors(animation.path, InputError, "cannot be read"), open_image(animation.path) as image:
        for number in range(len(animation.durations_ms)):
            image.seek(number)
            yield np.asarray(image.convert(mode))


def write_animation(
    path: Path, animation: Animation, frames: Iterator[Array], *, quality: int, notes: list[str]
) -> None:
    """Write frames with the durations of ``animation`` under their final name once whole.

    Raises:
        OutputError: the format holds no animation, or the file cannot be written.
        DiskFullError: no space is left.
    """
    kind = FORMATS.get(path.suffix.lower(), "")
    if kind not in ANIMATED:
        raise OutputError(f"{path}: cannot hold an animation; use .gif, .png, .webp or .avif, or a video format")
    if kind == "GIF" and any(d % 10 for d in animation.durations_ms):
        notes.append("GIF counts time in hundredths of a second: durations are rounded")
    prepare: Callable[[Array], Image.Image] = _gif_frame if kind == "GIF" else Image.fromarray
    part = path.with_name(path.name + ".part")
    try:
        with mapped_errors(path, OutputError, "cannot be written"):
            first, rest = next(frames), frames
            with part.open("wb") as file:
                prepare(first).save(
                    file,
                    format=kind,
                    save_all=True,
                    append_images=[prepare(frame) for frame in rest],  # Pillow looks at them twice
                    **_options(kind, animation, quality),
                )
            publish(part, path)
    finally:
        part.unlink(missing_ok=True)


def _options(kind: str, animation: Animation, quality: int) -> dict[str, Any]:
    meta = animation.meta
    durations: list[float] = list(animation.durations_ms)
    options: dict[str, Any] = {"duration": durations if kind == "PNG" else [round(d) for d in durations]}
    if animation.loop is not None:
        options["loop"] = animation.loop
    if kind != "GIF":
        options |= {k: v for k, v in (("exif", meta.exif), ("icc_profile", meta.icc)) if v}
    if kind == "GIF":
        options |= {"disposal": 2 if animation.alpha else 1, "optimize": False}
    elif kind == "WEBP":
        options |= {"quality": quality, "lossless": meta.details.get("lossless", False), "exact": True}
    elif kind == "AVIF":
        options |= {"quality": quality, "subsampling": "4:4:4"}
    return options


def _gif_frame(pixels: Array) -> Image.Image:
    """A frame with its own palette of 255 colours, dithered, and one index for what is clear."""
    image = Image.fromarray(pixels[..., :3].copy()).quantize(255, method=Image.Quantize.MEDIANCUT)
    if pixels.shape[2] == 4:
        index = np.asarray(image).copy()
        index[pixels[..., 3] < _OPAQUE_FROM] = 255
        palette = image.getpalette() or []
        image = Image.fromarray(index, "P")
        image.putpalette((palette + [0] * 768)[:768])
        image.info["transparency"] = 255
    return image
