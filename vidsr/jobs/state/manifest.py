"""The manifest of a job: one JSON document that says what the job is and which of its segments are done.

Only the runner writes it, in one atomic step per change. Whatever a process reads was consistent at some moment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vidsr.errors import JobError
from vidsr.jobs.option_command import changes
from vidsr.jobs.state.segments import Segment, plan_segments
from vidsr.media import image_sequence
from vidsr.media.source_files import files_of, stamp
from vidsr.storage import digest, sampled_digest, write_atomically

SCHEMA = 1
MANIFEST_NAME = "manifest.json"
SEGMENTS_NAME = "segments"
INDEX_NAME = "index.npz"
#: Most numbered pictures whose contents are read to identify them; of all, name, size and time count.
_SAMPLED_FILES = 32

JobState = Literal["segments", "assembly", "publishing", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceIdentity:
    """Identifies the file, or the files, that a job began with. Their path may change."""

    name: str
    size: int
    mtime_ns: int
    sample: str

    @classmethod
    def of(cls, path: Path | str) -> SourceIdentity:
        """The identity of the file or numbered files at ``path`` now; of an address (a string) nothing but its name."""
        if isinstance(path, str):
            return cls(name=path, size=0, mtime_ns=0, sample=hashlib.blake2b(path.encode()).hexdigest())
        size, mtime_ns = stamp(path)
        files = files_of(path)
        if files == [path]:
            return cls(name=path.name, size=size, mtime_ns=mtime_ns, sample=sampled_digest(path))
        names_and_samples = hashlib.blake2b(digest_size=32)
        for file in files:
            names_and_samples.update(os.fsencode(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}\n"))
        for file in files[:: -(-len(files) // _SAMPLED_FILES)]:
            names_and_samples.update(sampled_digest(file).encode())
        return cls(name=path.name, size=size, mtime_ns=mtime_ns, sample=names_and_samples.hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Everything that must be the same for a segment made today to fit one made yesterday.

    ``options`` holds the options that shape the result, as ``group.field`` → value; ``encoder`` names the
    codec libraries and their versions; ``masks`` is a digest of the masks that filters are held to, "" without any.
    """

    source: SourceIdentity
    options: dict[str, Any]
    model: str
    model_sha256: str
    encoder: str
    vidsr: str
    masks: str = ""

    def changes(self, now: Binding) -> list[str]:
        """What differs in ``now``, one phrase each, empty if nothing does."""
        found = []
        old, new = self.source, now.source
        if old.size != new.size:
            found.append(f"the source {new.name} (was {old.size} bytes, is {new.size})")
        elif old.sample != new.sample:
            found.append(f"the source {new.name} (same size, other content)")
        elif old.mtime_ns != new.mtime_ns:
            found.append(f"the source {new.name} (modified at another time: was {_when(old)}, is {_when(new)})")
        found += changes(self.options, now.options)
        if self.masks != now.masks:
            found.append("the pictures of --masks")
        if self.model_sha256 != now.model_sha256:
            found.append(f"the weights of {now.model} (was {self.model_sha256[:12]}…, is {now.model_sha256[:12]}…)")
        if self.encoder != now.encoder:
            found.append(f"the encoder (was {self.encoder}, is {now.encoder})")
        if self.vidsr != now.vidsr:
            found.append(f"vidsr itself (was {self.vidsr}, is {now.vidsr})")
        return found


def _when(source: SourceIdentity) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(source.mtime_ns / 1e9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One finished file: its size in bytes and BLAKE2b, and for a segment what it took to make it.

    ``timing`` are the fields of :class:`~vidsr.pipeline.segment.SegmentStats`; ``fallback`` is empty if the
    segment was made as asked for; ``batch`` is the frames per step; ``reused`` frames repeated their predecessor, and
    ``unchanged`` frames' worth of pixels were kept by ``--reuse-regions``. ``neighbours`` are runs of frames: first,
    last + 1, and what spoke against ``--multiframe`` there ("" where it was used). ``held`` are frames that ``--rate``
    did not make, because of a cut: they repeat the nearer of their neighbours. ``changes`` are what each filter
    changed, as :class:`~vidsr.filters.undo.change_count.FilterChanges` writes it. ``master_size``
    and ``master_blake2`` are of the preservation master's file, where there is one.
    """

    frames: int
    size: int
    blake2: str
    seconds: float
    worker: str = ""
    device: str = ""
    precision: str = ""
    fallback: str = ""
    batch: int = 0
    reused: int = 0
    unchanged: float = 0.0
    timing: dict[str, float] = field(default_factory=dict)
    neighbours: list[list[int | str]] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    master_size: int = 0
    master_blake2: str = ""


@dataclass(slots=True, kw_only=True)
class Manifest:
    """The whole state of a job.

    ``source`` and ``output`` are absolute paths; ``options`` are all options, as given, so that the job can be
    resumed from its folder alone; ``encoder_threads`` is the encoder's thread count in every worker. ``result``
    is the joined file, with the sampled digest in place of the full one. The ``frames`` begin with frame
    ``first``, which is above 0 where only a part of the source is worked on: ``span``, as
    :meth:`vidsr.media.span.Span.to_json` writes it. ``no_memory`` is what the machine lacked (memory,
    or the weights) for ``--multiframe auto``, which was therefore left out when the job began; "" where it was not. A
    resumed job does the same, whatever there is by then.
    """

    job: str
    source: str
    output: str
    options: dict[str, Any]
    binding: Binding
    frames: int
    segment_frames: int
    encoder_threads: int
    created: float
    state: JobState = "segments"
    finished: dict[int, Finished] = field(default_factory=dict)
    error: str | None = None
    result: Finished | None = None
    first: int = 0
    span: dict[str, Any] | None = None
    no_memory: str = ""

    def segments(self) -> tuple[Segment, ...]:
        """The plan; made again from two numbers, always the same."""
        pictures = image_sequence.is_pattern(Path(self.output))
        return plan_segments(self.frames, self.segment_frames, ".zip" if pictures else ".nut", first=self.first)

    def missing(self) -> list[Segment]:
        """The segments that are not finished yet, in order."""
        return [segment for segment in self.segments() if segment.number not in self.finished]

    def frames_done(self) -> int:
        """Frames in finished segments."""
        return sum(finished.frames for finished in self.finished.values())

    def save(self, folder: Path) -> None:
        """Write the manifest into its job folder, atomically and durably.

        Raises:
            DiskFullError, JobError: it cannot be written; the one on disk is still the old one.
        """
        data = {"schema": SCHEMA, **dataclasses.asdict(dataclasses.replace(self, finished={}))}
        data["finished"] = {str(number): dataclasses.asdict(f) for number, f in sorted(self.finished.items())}
        write_atomically(folder / MANIFEST_NAME, (json.dumps(data, indent=1) + "\n").encode())

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of a job folder.

        Raises:
            JobError: there is none, it is damaged, or it was written by a vidsr with another schema.
        """
        path = folder / MANIFEST_NAME
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise JobError(f"{folder} is not a job folder: it has no {MANIFEST_NAME}") from error
        except (OSError, ValueError) as error:
            raise JobError(f"{path} cannot be read ({error}); start the job over with --restart") from error
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, dict) else None
            raise JobError(
                f"{path} has schema version {found}, this vidsr reads version {SCHEMA}; "
                "resume with the version of vidsr that began it, or start over with --restart"
            )
        try:
            return _from_json(cls, data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise JobError(f"{path} is damaged ({error!r}); start the job over with --restart") from error

    @staticmethod
    def is_publishing(folder: Path) -> bool:
        """Whether the job in ``folder`` was interrupted while it gave its results their names."""
        try:
            return Manifest.load(folder).state == "publishing"
        except JobError:
            return False

    def check_files(self, folder: Path) -> list[int]:
        """Forget finished segments whose file is missing or is not what was written; the numbers forgotten."""
        bad = [
            segment.number
            for segment in self.segments()
            if segment.number in self.finished
            and not _is_whole(folder / SEGMENTS_NAME, segment, self.finished[segment.number])
        ]
        for number in bad:
            del self.finished[number]
        return bad


def _is_whole(folder: Path, segment: Segment, finished: Finished) -> bool:
    if not _intact(folder / segment.file_name, finished.size, finished.blake2):
        return False
    if not finished.master_blake2:
        return True
    return _intact(folder / segment.master_name, finished.master_size, finished.master_blake2)


def _intact(path: Path, size: int, blake2: str) -> bool:
    try:
        return path.stat().st_size == size and digest(path) == blake2
    except OSError:
        return False


def _from_json(cls: type[Manifest], data: dict[str, Any]) -> Manifest:
    values = {key: value for key, value in data.items() if key != "schema"}
    binding = dict(values["binding"])
    binding["source"] = SourceIdentity(**binding["source"])
    values["binding"] = Binding(**binding)
    values["finished"] = {int(number): Finished(**f) for number, f in values["finished"].items()}
    values["result"] = None if values["result"] is None else Finished(**values["result"])
    manifest = cls(**values)
    for segment in manifest.segments():
        done = manifest.finished.get(segment.number)
        if done is not None and done.frames != segment.frames:
            raise ValueError(f"segment {segment.number} has {done.frames} frames, planned {segment.frames}")
    if manifest.finished and max(manifest.finished) >= len(manifest.segments()):
        raise ValueError("a finished segment is not in the plan")
    return manifest
