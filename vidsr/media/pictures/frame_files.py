"""Frames as numbered picture files: PNG and TIFF of 8 or 16 bits, DPX of 10 or 16, JPEG and others of 8, EXR in linear
light."""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.container
import numpy as np
import PIL

from vidsr.errors import InputError, OutputError
from vidsr.frames import Array, Colour, Frame, PixelFormat
from vidsr.media.libav import AvError, output_error
from vidsr.media.pictures.dpx import write_dpx
from vidsr.media.pictures.files import FORMATS, mapped_errors, read_picture, write_picture
from vidsr.media.pictures.types import Picture
from vidsr.media.samples import VideoPackets
from vidsr.media.source import VideoInfo
from vidsr.storage import output_errors, publish

_DEEP = (".png", ".tif", ".tiff", ".exr")
_ALPHA = (".png", ".tif", ".tiff", ".webp", ".dpx")
#: Colour of picture files: RGB without a matrix, all code values used.
PICTURE_COLOUR = Colour(matrix="gbr", range="full", chroma_location="center")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSettings:
    """Everything except the frames that decides the bytes of numbered picture files.

    ``suffix`` names the file format, ``format`` the planar format of the frames, ``quality`` (1 to 100) is that of
    lossy formats.
    """

    suffix: str
    format: PixelFormat
    quality: int

    @classmethod
    def for_source(cls, suffix: str, video: VideoInfo, *, bit_depth: int | None, quality: int) -> PictureSettings:
        """Settings for pictures of ``video``.

        ``bit_depth`` is the wanted one; the source's decides if None. Depths between 8 and 16 become 16 where the
        file format has that.

        Raises:
            OutputError: the suffix names no picture format, or an HDR source would become linear light.
        """
        if suffix not in (*FORMATS, ".exr", ".dpx"):
            known = " ".join(dict.fromkeys((*FORMATS, ".exr", ".dpx")))
            raise OutputError(f"cannot write numbered {suffix or 'files without a suffix'}; use one of {known}")
        if suffix == ".exr" and video.colour.transfer in ("smpte2084", "arib-std-b67"):
            raise OutputError("EXR of HDR video is not supported: use 16-bit .tif, which keeps its code values")
        deep = suffix == ".exr" or (suffix in _DEEP and (bit_depth or video.format.depth) > 8)
        alpha = video.format.alpha and suffix in _ALPHA
        base = "gray" if video.format.family == "gray" and not alpha else ("gbrap" if alpha else "gbrp")
        if suffix == ".dpx":
            # Ten bits are packed for three samples of colour; FFmpeg has grey and alpha with 16 bits only.
            deep = base != "gbrp" or (bit_depth or video.format.depth) > 10
            format = PixelFormat.parse(f"{base}{16 if deep else 10}le")
        else:
            format = PixelFormat.parse(base + ("16le" if deep else ""))
        assert format is not None
        return cls(suffix=suffix, format=format, quality=quality)

    @property
    def depth(self) -> int:
        """Bits per sample in the files: 8, 10 (DPX) or 16, 32 of EXR, which stores floating point."""
        return 32 if self.suffix == ".exr" else self.format.depth


def picture_build(suffix: str) -> str:
    """The file format of numbered pictures and the libraries that write it, as one line."""
    import tifffile  # takes long to import, and videos do not need it

    libraries = f"Pillow {PIL.__version__}, tifffile {tifffile.__version__}, PyAV {av.__version__}"
    return f"numbered {suffix} files by {libraries}, FFmpeg {av.ffmpeg_version_info}"


class SegmentPictures:
    """Writes frames as the pictures of one segment: an uncompressed ZIP of files ``000000.png``, ``000001.png``…

    A context manager like :class:`~vidsr.media.encode.encoder.SegmentEncoder`: the archive gets its name only when it
    is whole and synced; leaving the block by an exception leaves nothing. One file per segment makes its digest, its
    way through a cluster and its renaming the same as those of a video segment. The same frames give the same bytes.
    """

    def __init__(self, path: Path, settings: PictureSettings) -> None:
        self.path = path
        self.settings = settings
        self.frames = 0
        self._part = path.with_name(path.name + ".part")
        with mapped_errors(path, OutputError, "cannot be written"):
            self._archive = zipfile.ZipFile(self._part, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> SegmentPictures:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with mapped_errors(self.path, OutputError, "cannot be written"):
                    self._archive.close()
                    publish(self._part, self.path)
        finally:
            with contextlib.suppress(OSError, ValueError):
                self._archive.close()
            self._part.unlink(missing_ok=True)

    def write(self, frame: Frame) -> None:
        """Write one frame.

        Raises:
            OutputError: the file cannot be written.
            DiskFullError: no space is left.
        """
        name = member_name(self.frames, self.settings.suffix)
        picture = self.path.with_name(name)
        try:
            write_frame(picture, frame, self.settings.quality)
            with mapped_errors(self.path, OutputError, "cannot be written"):
                self._archive.writestr(zipfile.ZipInfo(name), picture.read_bytes())
        finally:
            picture.unlink(missing_ok=True)
        self.frames += 1


def member_name(number: int, suffix: str) -> str:
    """The name of a segment's picture; ``number`` counts from 0 in each segment."""
    return f"{number:06d}{suffix}"


def stored_pictures(segment: Path) -> VideoPackets:
    """How many pictures a segment holds, and their bytes together.

    Raises:
        OutputError: the archive is damaged.
    """
    with _bad_archives(segment), zipfile.ZipFile(segment) as archive:
        sizes = [member.file_size for member in archive.infolist()]
    return VideoPackets(count=len(sizes), total=sum(sizes))


def unpack(segment: Path, targets: Sequence[Path]) -> None:
    """Write the pictures of a segment to ``targets``, in order.

    Raises:
        OutputError: the archive is damaged or has another number of pictures, or a file cannot be written.
        DiskFullError: no space is left.
    """
    with (
        mapped_errors(segment, OutputError, "cannot be unpacked"),
        _bad_archives(segment),
        zipfile.ZipFile(segment) as archive,
    ):
        members = sorted(archive.namelist())
        if len(members) != len(targets):
            raise OutputError(f"{segment} holds {len(members)} pictures, expected {len(targets)}")
        for member, target in zip(members, targets, strict=True):
            with output_errors(target), archive.open(member) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file)
                file.flush()
                os.fsync(file.fileno())


@contextlib.contextmanager
def _bad_archives(segment: Path) -> Iterator[None]:
    try:
        yield
    except zipfile.BadZipFile as error:
        raise OutputError(f"{segment}: it is damaged ({error}); run the same command again to replace it") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a picture file is once decoded: size in pixels, bits per sample, whether it has alpha."""

    width: int
    height: int
    depth: int
    alpha: bool


def decode_facts(path: Path) -> FileFacts:
    """Decode a picture file to its end, with FFmpeg's decoders where other libraries wrote it.

    Raises:
        InputError: it is missing or cannot be decoded.
    """
    if path.suffix.lower() == ".dds":  # FFmpeg does not read every kind that Pillow writes
        picture = read_picture(path)
        width, height = picture.size
        return FileFacts(width=width, height=height, depth=8, alpha=picture.mode in ("LA", "RGBA"))
    # An open file and not its path: FFmpeg would take a percent sign in a folder's name for a pattern.
    with mapped_errors(path, InputError, "cannot be decoded"), path.open("rb") as file, av.open(file) as container:
        assert isinstance(container, av.container.InputContainer)
        frame = next(container.decode(video=0), None)
        if frame is None:
            raise InputError(f"{path}: it holds no picture")
        components = frame.format.components
        depth = 8 if frame.format.has_palette else max(c.bits for c in components)
        return FileFacts(width=frame.width, height=frame.height, depth=depth, alpha=any(c.is_alpha for c in components))


def write_frame(path: Path, frame: Frame, quality: int) -> None:
    """Write one grey or RGB frame as a picture file; its suffix names the format.

    Raises:
        OutputError: the file cannot be written.
        DiskFullError: no space is left.
    """
    if path.suffix.lower() == ".exr":
        _write_exr(path, frame)
        return
    if path.suffix.lower() == ".dpx":
        write_dpx(path, frame)
        return
    pixels = interleaved(frame)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    white = float(frame.format.max_code)
    picture = Picture(path=path, format=path.suffix, mode=mode, pixels=pixels, value_range=(0, white))
    write_picture(path, picture, iter([pixels]), size=(frame.width, frame.height), quality=quality)


def interleaved(frame: Frame) -> Array:
    """The planes of a grey or RGB frame as [height, width, channels] in the order R, G, B, A."""
    if frame.format.family == "gray":
        return np.ascontiguousarray(frame.planes[0])[..., None]
    green, blue, red = frame.planes[:3]
    return np.dstack([red, green, blue, *frame.planes[3:]])


def linear(codes: Array, max_code: int) -> Array:
    """sRGB code values as linear light, float32 in 0..1 (IEC 61966-2-1)."""
    unit = codes.astype(np.float32) / max_code
    return np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _write_exr(path: Path, frame: Frame) -> None:
    grey = frame.format.family == "gray"
    name = "grayf32le" if grey else "gbrpf32le"
    picture = av.VideoFrame(frame.width, frame.height, name)
    for plane, codes in zip(picture.planes, frame.planes, strict=False):
        target: Any = np.frombuffer(plane, np.float32).reshape(frame.height, plane.line_size // 4)  # type: ignore[call-overload]
        target[:, : frame.width] = linear(codes, frame.format.max_code)
    part = path.with_name(path.name + ".part")
    try:
        encoder: Any = av.CodecContext.create("exr", "w")
        encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, name
        encoder.time_base = frame.time_base
        encoder.options = {"compression": "zip16"}
        packets = [*encoder.encode(picture), *encoder.encode(None)]
        part.write_bytes(b"".join(bytes(p) for p in packets))
        publish(part, path)
    except (AvError, OSError, ValueError) as error:
        raise output_error(error, path, "writing") from error
    finally:
        part.unlink(missing_ok=True)
