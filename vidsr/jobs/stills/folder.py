"""Enhancing a folder of pictures: the same structure and names, resumable, and a reason for all that was skipped."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidsr.errors import DiskFullError, InputError, JobError, OutputError, VidsrError
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.jobs.state.result import PictureResult
from vidsr.jobs.stills.picture import PictureUpscaler, enhance_picture
from vidsr.media.pictures.files import is_picture
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.storage import os_errors, write_atomically

JOURNAL = ".vidsr-folder.jsonl"
REPORT = "vidsr-report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderResult:
    """The outcome of one run over a folder.

    ``done`` are the pictures made now, ``resumed`` counts those that an earlier run had made, ``skipped`` holds
    (path, reason) of the others.
    """

    source: Path
    output: Path
    done: tuple[PictureResult, ...]
    resumed: int
    skipped: tuple[tuple[Path, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, paths as text relative to the source folder."""
        return {
            "source": str(self.source),
            "output": str(self.output),
            "enhanced": len(self.done),
            "done_before": self.resumed,
            "skipped": [{"path": str(p), "reason": reason} for p, reason in self.skipped],
            "results": [r.to_json() for r in self.done],
        }


def enhance_folder(
    source: Path,
    output: Path,
    options: EnhanceOptions,
    network: Callable[[], PictureUpscaler],
    *,
    progress: Progress = silent,
    model_digest: str = "",
) -> FolderResult:
    """Enhance every picture below ``source`` into the same place below ``output``.

    Each finished picture is recorded, so that the same call after an interruption continues where it
    stopped. A picture that cannot be read is skipped with its reason; ``vidsr-report.json`` keeps the list.

    Args:
        source: the folder; folders in it are kept, links to folders are not followed.
        output: made if it is not there.
        options: for all pictures. With ``overwrite``, all pictures are done again.
        network: makes the network when the first picture needs it.
        progress: called for every picture.
        model_digest: of the weights; a resumed job must have the same.

    Raises:
        InputError: there is no picture in the folder.
        JobError: the output folder belongs to a job with other options.
        DiskFullError: no space is left.
    """
    files = files_in(source, output)
    with os_errors("making", output):
        output.mkdir(parents=True, exist_ok=True)
    journal = _Journal(output / JOURNAL, _job(options, model_digest), anew=options.output.overwrite)
    work = _Work(source, output, options, network, journal, names_of(source, files, options))
    for number, file in enumerate(files, 1):
        work.one(file)
        progress(Event(kind="frame", frames=number, total_frames=len(files), resumed_frames=work.resumed))
    for path, reason in work.skipped:
        progress(Event(kind="warning", text=f"skipped {path}: {reason}"))
    result = FolderResult(
        source=source, output=output, done=tuple(work.done), resumed=work.resumed, skipped=tuple(work.skipped)
    )
    write_atomically(output / REPORT, json.dumps(result.to_json(), indent=1, ensure_ascii=False).encode())
    return result


def files_in(source: Path, output: Path) -> list[Path]:
    """The files that :func:`enhance_folder` looks at, in its order.

    Raises:
        InputError: none of them is a picture.
    """
    files = list(_files(source, output))
    if not any(is_picture(f) for f in files):
        raise InputError(f"{source}: no picture in this folder")
    return files


def _files(source: Path, output: Path) -> Iterator[Path]:
    """All files below ``source``, sorted; hidden ones, half-written ones and the output folder's are left out."""
    inside = output.resolve()
    for folder, names, files in os.walk(source):
        here = Path(folder)
        names[:] = sorted(n for n in names if not n.startswith(".") and (here / n).resolve() != inside)
        yield from (here / f for f in sorted(files) if not f.startswith(".") and not f.endswith(".part"))


def names_of(source: Path, files: list[Path], options: EnhanceOptions) -> dict[Path, Path]:
    """Each file's result, relative to the output folder; those that would meet keep their old suffix before the new."""
    suffix = options.pictures.picture_format
    relative = {file: file.relative_to(source) for file in files}
    plain = {file: name.with_suffix(f".{suffix}") if suffix else name for file, name in relative.items()}
    counts = Counter(plain[file] for file in files if is_picture(file))
    return {
        file: name if counts[name] < 2 else relative[file].with_name(f"{relative[file].name}.{suffix}")
        for file, name in plain.items()
    }


def _job(options: EnhanceOptions, model_digest: str) -> dict[str, Any]:
    """What must be the same for a resumed job: all that changes the pixels."""
    groups = options.to_json()
    wanted = {group: groups[group] for group in ("model", "size", "pictures", "restore")}
    for indifferent in ("device", "compile", "batch", "tile"):
        wanted["model"].pop(indifferent, None)
    text = json.dumps([wanted, model_digest], sort_keys=True)
    return {
        "schema": 1,
        "options": wanted,
        "model_sha256": model_digest,
        "key": hashlib.sha256(text.encode()).hexdigest(),
    }


@dataclass(slots=True)
class _Work:
    """One folder in progress."""

    source: Path
    output: Path
    options: EnhanceOptions
    make_network: Callable[[], PictureUpscaler]
    journal: _Journal
    names: dict[Path, Path]
    done: list[PictureResult] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)
    resumed: int = 0
    network: PictureUpscaler | None = None

    def one(self, file: Path) -> None:
        """Do one file, or count it as done before, or write down why not."""
        relative = file.relative_to(self.source)
        target = self.output / self.names[file]
        trouble = _trouble(file)
        if trouble is not None:
            self.skipped.append((relative, trouble))
            return
        if self.journal.knows(relative, file, target):
            self.resumed += 1
            return
        try:
            with os_errors("making", target.parent):
                target.parent.mkdir(parents=True, exist_ok=True)
            self.network = self.network or self.make_network()
            result = enhance_picture(file, target, self.options, self.network)
        except (DiskFullError, JobError):
            raise
        except (InputError, OutputError) as error:
            self.skipped.append((relative, str(error).removeprefix(f"{file}: ").removeprefix(f"{target}: ")))
            return
        except VidsrError as error:
            raise type(error)(f"{relative}: {error}") from error
        self.done.append(result)
        self.journal.note(relative, file, target)


def _trouble(file: Path) -> str | None:
    """Why a file cannot be opened as a picture; None if it may be one."""
    if not is_picture(file):
        return "not a picture, by its name"
    try:
        status = file.stat()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not stat.S_ISREG(status.st_mode):
        return "not a file"  # reading a pipe might wait forever
    return None if status.st_size else "the file is empty"


class _Journal:
    """One JSON line per finished picture behind a line that names the job; appended and flushed, never rewritten."""

    def __init__(self, path: Path, job: dict[str, Any], *, anew: bool) -> None:
        self._path = path
        self._done: dict[str, dict[str, Any]] = {}
        lines = [] if anew or not path.exists() else path.read_text(encoding="utf-8").splitlines()
        entries = [e for e in map(_parsed, lines) if e is not None]
        if not entries or "key" not in entries[0]:
            write_atomically(path, json.dumps(job).encode() + b"\n")
            return
        if entries[0]["key"] != job["key"]:
            raise JobError(
                f"{path.parent}: holds results made with other options ({_difference(entries[0], job)}); "
                "name another folder with --output, or use --overwrite to do all again"
            )
        self._done = {e["source"]: e for e in entries[1:]}
        if len(entries) != len(lines) or not path.read_bytes().endswith(b"\n"):
            # The last run died while writing a line: nothing may be appended to the torn one.
            write_atomically(path, "".join(json.dumps(e) + "\n" for e in entries).encode())

    def knows(self, relative: Path, file: Path, target: Path) -> bool:
        """Whether this very file was done and its result is still there as it was."""
        entry = self._done.get(str(relative))
        if entry is None or not target.is_file():
            return False
        same_result = target.stat().st_size == entry["result_bytes"]
        if same_result and entry["stamp"] == _stamp(file):
            return True
        target.unlink()  # ours, and out of date or cut short: made again
        return False

    def note(self, relative: Path, file: Path, target: Path) -> None:
        """Write down that a picture is done."""
        entry = {"source": str(relative), "stamp": _stamp(file), "result_bytes": target.stat().st_size}
        with os_errors("writing", self._path), self._path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")
            journal.flush()
            os.fsync(journal.fileno())


def _stamp(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns]


def _parsed(line: str) -> dict[str, Any] | None:
    """A journal line, or None for the last one of a run that died while writing it."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """The options that differ, old → new."""
    changed = [
        f"{name}: {old['options'].get(group, {}).get(name)} → {value}"
        for group, values in new["options"].items()
        for name, value in values.items()
        if old["options"].get(group, {}).get(name) != value
    ]
    return "; ".join(changed) or "other weights"
