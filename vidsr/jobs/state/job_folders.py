"""Where jobs live, and how they are found again.

A job's folder is next to its result and named after it: ``clip.x4.mkv.vidsr-job``. A small register in
the user's state folder remembers the folders, so that ``vidsr jobs list`` works from anywhere.

::

    clip.x4.mkv.vidsr-job/
    ├── manifest.json    what the job is and which segments are done
    ├── index.npz        the time of every frame of the source, as arrays of NumPy
    ├── segments/        000000.nut, 000001.nut, … (.zip of numbered pictures); *.part while in progress
    ├── result.mkv       joined and being verified, before it gets its name (result.pictures/ of numbered pictures)
    ├── status.json      progress of the process that is at work
    ├── job.log          what happened
    ├── workers.log      what worker processes and their libraries print
    └── lock             held while a process is at work
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from vidsr.errors import JobError
from vidsr.jobs.state.lock import LOCK_NAME, OPEN_FILES_STAY, JobLock
from vidsr.jobs.state.manifest import INDEX_NAME, MANIFEST_NAME, SEGMENTS_NAME
from vidsr.storage import os_errors, write_atomically

SUFFIX = ".vidsr-job"
STATUS_NAME = "status.json"
JOB_LOG_NAME = "job.log"
WORKERS_LOG_NAME = "workers.log"
RESULT_STEM = "result."
LIVE_NAME = "live.jpg"
#: The index of earlier versions, which only ``--restart`` and removal still meet.
_OLD_INDEX_NAME = "index.json"
OURS = (MANIFEST_NAME, LOCK_NAME, INDEX_NAME, _OLD_INDEX_NAME, STATUS_NAME, JOB_LOG_NAME, WORKERS_LOG_NAME, LIVE_NAME)


def job_folder(output: Path) -> Path:
    """The folder of the job that makes ``output``."""
    return output.with_name(output.name + SUFFIX)


def result_of(folder: Path) -> Path:
    """The result that the job in ``folder`` makes: the file next to the folder, wherever both were moved."""
    return folder.with_name(folder.name.removesuffix(SUFFIX))


def job_id(folder: Path) -> str:
    """Eight hexadecimal digits that name a job folder on this machine."""
    return hashlib.blake2b(os.fsencode(folder.absolute()), digest_size=4).hexdigest()


def register_folder() -> Path:
    """The register: ``VIDSR_STATE`` if set, else the user's state folder for vidsr."""
    chosen = os.environ.get("VIDSR_STATE")
    if chosen:
        return Path(chosen) / "jobs"
    import platformdirs

    return platformdirs.user_state_path("vidsr") / "jobs"


def remember(folder: Path) -> None:
    """Enter a job folder into the register. A register that cannot be written does not stop the work."""
    place = register_folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        entry = json.dumps({"folder": str(folder.absolute())}).encode()
        write_atomically(place / f"{job_id(folder)}.json", entry, durable=False)
    except (OSError, JobError):
        return


def forget(folder: Path) -> None:
    """Take a job folder out of the register."""
    try:
        (register_folder() / f"{job_id(folder)}.json").unlink(missing_ok=True)
    except OSError:
        return


def known_folders() -> Iterator[Path]:
    """The registered job folders that still exist; entries of folders that are gone are removed."""
    place = register_folder()
    for entry in sorted(place.glob("*.json")) if place.is_dir() else ():
        try:
            folder = Path(json.loads(entry.read_text(encoding="utf-8"))["folder"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if (folder / MANIFEST_NAME).is_file():
            yield folder
        elif folder.parent.is_dir():  # else the storage may only be away for now
            forget(folder)


def find(reference: str) -> Path:
    """The job folder meant by a job's id or the beginning of it, its folder, or its result's path.

    Raises:
        JobError: there is no such job, or more than one.
    """
    path = Path(reference)
    for folder in (path, job_folder(path), job_folder(path.resolve())) if path.name else (path,):
        if (folder / MANIFEST_NAME).is_file():
            return folder.absolute()
    matches = [folder for folder in known_folders() if job_id(folder).startswith(reference)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise JobError(f"{reference} means more than one job: {', '.join(job_id(m) for m in matches)}")
    raise JobError(f"there is no job {reference}; see: vidsr jobs list")


def resume_command(output: Path) -> str:
    """The command that resumes the job of ``output``."""
    return f"vidsr jobs resume {shlex.quote(str(output))}"


def remove(folder: Path) -> None:
    """Delete a job folder and its entry in the register.

    Raises:
        JobError: a process is at work in it, or it cannot be deleted.
    """
    with JobLock(folder):
        empty(folder)
    forget(folder)


def empty(folder: Path) -> None:
    """Delete what vidsr put into a job folder whose lock this process holds, and the folder if that was all.

    The manifest goes last but for the lock, so that a removal cut short is still a job to see and remove.

    Raises:
        JobError: something cannot be deleted.
    """
    late = (MANIFEST_NAME, LOCK_NAME)
    with os_errors("deleting", folder):
        for entry in sorted(folder.iterdir(), key=lambda e: late.index(e.name) + 1 if e.name in late else 0):
            if not is_ours(entry):
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            elif not (OPEN_FILES_STAY and entry.name == LOCK_NAME):  # else JobLock removes it with the folder
                entry.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def is_ours(entry: Path) -> bool:
    """Whether vidsr made this entry of a job folder; anything else is never deleted."""
    if entry.name == SEGMENTS_NAME:
        return entry.is_dir() and not entry.is_symlink()
    return entry.name in OURS or entry.name.startswith(RESULT_STEM) or entry.name.endswith(".part")


def disk_use(folder: Path) -> int:
    """Bytes of all files in a folder, at any depth."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
            except OSError:
                continue
    return total
