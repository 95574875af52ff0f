"""How much disk space a job will need, and whether there is enough."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import DiskFullError, InputError, OutputError
from vidsr.jobs.state.manifest import Manifest
from vidsr.media.encode.codecs import entry
from vidsr.media.encode.encoder import EncoderSettings
from vidsr.media.pictures.frame_files import PictureSettings
from vidsr.media.source_files import files_of
from vidsr.storage import human_bytes, os_errors

#: Safety factor: work is refused only if the free space is below the estimate divided by this.
CERTAINTY = 4


#: Bits per sample, for each bit of its depth, that lossy picture files take at most at the highest usual quality;
#: others may take all of them.
_LOSSY_PICTURES = {".jpg": 0.5, ".jpeg": 0.5, ".jpe": 0.5, ".webp": 0.4, ".avif": 0.3, ".gif": 0.34}


def estimate_bytes(
    settings: EncoderSettings, frames: int, manifest: Manifest | None = None, picture: PictureSettings | None = None
) -> int:
    """Bytes of ``frames`` encoded frames: by the finished segments, else by the picture format or codec."""
    done = manifest.frames_done() if manifest is not None else 0
    if manifest is not None and done:
        return round(frames * sum(f.size for f in manifest.finished.values()) / done)
    if picture is not None:
        samples = settings.width * settings.height * picture.format.plane_count
        return round(frames * samples * picture.depth / 8 * _LOSSY_PICTURES.get(picture.suffix, 1.0))
    codec = entry(settings.codec)
    depth = settings.format.frames.depth / 8 if codec.bits_by_depth else 1.0
    bits = settings.width * settings.height * codec.bits_per_pixel * depth
    return round(frames * bits / 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Disk space that a job will still need, and what is free, in bytes."""

    folder: Path
    need: int
    result: int
    free: int

    @property
    def worrying(self) -> bool:
        """Whether the estimate does not fit."""
        return self.need > self.free

    def __str__(self) -> str:
        return (
            f"disk: about {human_bytes(self.need)} needed until the end, {human_bytes(self.result)} for the result; "
            f"{human_bytes(self.free)} free"
        )

    def check(self) -> None:
        """Refuse work that cannot fit.

        Raises:
            DiskFullError: not even a quarter of the estimate fits.
        """
        if self.need > self.free * CERTAINTY:
            raise DiskFullError(
                f"{self.folder.parent}: too little space. {self}. Free some, or choose another --output"
            )


def disk_outlook(
    folder: Path,
    settings: EncoderSettings,
    manifest: Manifest,
    picture: PictureSettings | None = None,
    master: EncoderSettings | None = None,
) -> Outlook:
    """The outlook of a job; ``master`` is the encoder of its preservation master, if it makes one.

    Until the result has its name, segments and joined file lie side by side, so the need is that of the missing
    segments plus the whole result.

    Raises:
        JobError: the disk cannot be checked.
    """
    missing = manifest.frames - manifest.frames_done()
    result, rest = (estimate_bytes(settings, frames, manifest, picture) for frames in (manifest.frames, missing))
    if master is not None:
        done = manifest.frames_done()
        each = sum(f.master_size for f in manifest.finished.values()) / done if done else estimate_bytes(master, 1)
        result, rest = result + round(each * manifest.frames), rest + round(each * missing)
    with os_errors("checking the disk of", folder):
        free = shutil.disk_usage(folder).free
    return Outlook(folder=folder, need=result + rest, result=result, free=free)


def check_output(source: Path, output: Path, *, overwrite: bool, new_folder: bool = False) -> None:
    """Refuse an output that cannot or must not be written. With ``new_folder``, its folder will be made if it is
    missing.

    Raises:
        OutputError: the output is the source, is a folder, exists without ``overwrite``, or its folder does not
            exist or cannot be written.
    """
    folder = next(p for p in output.absolute().parents if p.exists()) if new_folder else output.parent
    if output.is_dir():
        raise OutputError(f"{output} is a folder; name a file in it with --output")
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} does not exist; make it first, or choose another --output")
    if output.exists():
        if any(output.samefile(file) for file in _existing(source)):
            raise OutputError(f"{output} is the source file; choose another --output")
        if not overwrite:
            raise already_there(output)
    check_writable(folder)


def already_there(output: Path) -> OutputError:
    """The error for a result that exists and may not be replaced."""
    return OutputError(f"{output} already exists; use --overwrite to replace it, or choose another --output")


def _existing(source: Path) -> list[Path]:
    """The files of a source that are there."""
    try:
        return [file for file in files_of(source) if file.exists()]
    except InputError:
        return []


def check_writable(folder: Path) -> None:
    """Refuse a folder in which no file can be made.

    Raises:
        OutputError: the folder cannot be written.
    """
    try:
        # os.access is unreliable on network shares and read-only mounts; a real file is not.
        with tempfile.TemporaryFile(dir=folder, prefix=".vidsr-"):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write into {folder}: {os.strerror(error.errno or 0)}; choose another place with --output"
        ) from error
