"""Files on disk: written so that no reader ever sees half of one, published durably, identified by digests."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidsr.errors import DiskFullError, JobError, OutputError

WORK_PREFIX = ".work-"


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of the system, or of a library that passes its number on, means no space or no quota left."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def disk_full(what: str, path: Path) -> DiskFullError:
    """The error for a disk, or a quota, that was full while ``what`` was being done to ``path``."""
    return DiskFullError(f"no space left while {what} {path}; free some space and run the same command again")


@contextmanager
def os_errors(what: str, path: Path) -> Iterator[None]:
    """Map an operating system's error inside the block to one of a job's, saying ``what`` failed on ``path``.

    Raises:
        DiskFullError: no space, or no quota, is left.
        JobError: anything else.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(what, path) from error
        raise JobError(f"{what} {path} failed: {error.strerror or error}") from error


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Map an operating system's error while the result ``path`` is written inside the block.

    Raises:
        DiskFullError: no space, or no quota, is left.
        OutputError: anything else.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise disk_full("writing", path) from error
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


class AtomicFile:
    """A binary file under ``NAME.part`` that becomes ``NAME`` when its block ends without an error.

    Raises:
        DiskFullError, OutputError: it cannot be written; what was under ``NAME`` before is still there.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._part = path, path.with_name(path.name + ".part")

    def __enter__(self) -> AtomicFile:
        with output_errors(self._path):
            self._file = self._part.open("wb")
        return self

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with output_errors(self._path):
            self._file.write(data)

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            # Closing writes what is still in the buffer, and may fail as every write may.
            with output_errors(self._path):
                self._file.close()
                if kind is None:
                    publish(self._part, self._path)
        finally:
            self._part.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put ``data`` under ``path`` in one step: readers see the old content or the new, never a mixture.

    With ``durable``, the content survives a power loss once this returns.

    Raises:
        DiskFullError, JobError: it cannot be written; the old content is still there.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with os_errors("writing", path):
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            part.replace(path)
            if durable:
                sync_folder(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def working_folder(parent: Path) -> Iterator[Path]:
    """A folder of this process's own inside ``parent``, removed at the end with everything still in it.

    Two processes may work on the same file when one took the other for dead; each has its own folder.
    """
    with os_errors("making a folder in", parent):
        folder = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def digest(path: Path) -> str:
    """BLAKE2b of a whole file, 32 bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a whole file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled_digest(path: Path, *, pieces: int = 32, piece_bytes: int = 1 << 16) -> str:
    """BLAKE2b of a file's size and of evenly spread pieces, its beginning and its end among them.

    A file of up to ``pieces × piece_bytes`` (2 MiB) is read whole; a terabyte takes the same few milliseconds. The
    digest differs between files that differ in length or near their start or end, but may miss a flipped byte in
    the middle.
    """
    size = path.stat().st_size
    result = hashlib.blake2b(str(size).encode(), digest_size=32)
    with path.open("rb") as file:
        if size <= pieces * piece_bytes:
            result.update(file.read())
        else:
            for piece in range(pieces):
                file.seek(piece * (size - piece_bytes) // (pieces - 1))
                result.update(file.read(piece_bytes))
    return result.hexdigest()


def readable(text: str) -> str:
    """A text that can be printed and sent: bytes of a file name that are not UTF-8 appear as ``\\xff``."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def human_bytes(count: float) -> str:
    """A number of bytes for people: ``1.4 GB``, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def human_seconds(seconds: float) -> str:
    """A duration for people: ``45 s``, ``12:34``, ``3:04:05`` or ``2 d 03:04``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02d}:{minute:02d}"
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def publish(part: Path, final: Path) -> None:
    """Give the finished file ``part`` its final name, durably: sync it, rename it, sync its folder."""
    with part.open("r+b") as file:  # Windows syncs only what is open for writing
        os.fsync(file.fileno())
    part.replace(final)
    sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        # Some file systems cannot sync a folder; the rename itself was done.
        pass
    finally:
        os.close(descriptor)
