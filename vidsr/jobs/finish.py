"""The end of a job: join the segments, verify the result, give it its name, clean up. Each step can be repeated."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from vidsr.errors import JobError, OutputError, VerifyError
from vidsr.jobs.invention.master_name import master_of
from vidsr.jobs.job import Job, source_unchanged
from vidsr.jobs.recipe.recipe import Recipe
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.event_log import Status
from vidsr.jobs.state.events import Event, Progress
from vidsr.jobs.state.manifest import Finished
from vidsr.jobs.state.segments import master_file
from vidsr.media.check.verify import Expectation, verify
from vidsr.media.check.verify_report import VerifyReport
from vidsr.media.encode.encoder import EncoderSettings
from vidsr.media.mux.assemble import assemble
from vidsr.storage import os_errors, sampled_digest, sync_folder

#: Differences that one message lists.
_SHOWN = 5


class Assembly(Protocol):
    """How finished segments become the result. It is built inside the job folder and gets its name at the end."""

    def build(self) -> None:
        """Make the result inside the job folder, whatever an earlier run left of it."""

    def prove(self) -> VerifyReport:
        """Compare the result inside the job folder with the source."""

    def size_bytes(self) -> int:
        """Bytes of the result."""

    def fingerprint(self) -> str:
        """A digest of the result, in the job folder or under its name; empty if it is incomplete."""

    def publish(self) -> None:
        """Give the result its name; does nothing where an earlier run did.

        Raises:
            OutputError: something else has the name, and ``--overwrite`` was not given.
        """

    def notes(self) -> Iterator[str]:
        """What the user should know of the finished result."""


def assembly_of(job: Job) -> Assembly:
    """The assembly of a job, by the kind of its result."""
    recipe = job.order.recipe
    if recipe.picture is None:
        access = VideoAssembly(job, JoinedVideo(recipe, job.order.output, job.segment_paths()))
        if recipe.master is None:
            return access
        master = recipe.master.with_threads(job.settings.threads)
        segments = [master_file(path) for path in job.segment_paths()]
        video = JoinedVideo(master, master_of(job.order.output), segments, "master.")
        return BothAssemblies(access, VideoAssembly(job, video))
    from vidsr.jobs.sequence import PictureAssembly

    return PictureAssembly(job)


@dataclass(frozen=True, slots=True)
class JoinedVideo:
    """One video that segments become: how it is made, its final name, the segments in order, and what the name of the
    file in the job folder begins with."""

    recipe: Recipe
    output: Path
    segments: Sequence[Path]
    stem: str = ""

    def settings(self, threads: int) -> EncoderSettings:
        """Of its encoder, with the threads of the job."""
        return replace(self.recipe.settings, threads=threads)


class VideoAssembly:
    """One video file: the packets of all segments, and the other streams of the source."""

    def __init__(self, job: Job, video: JoinedVideo) -> None:
        self._job, self._video = job, video
        self._settings = video.settings(job.settings.threads)
        self._output = video.output
        name = f"{job_folders.RESULT_STEM}{video.stem}{self._output.suffix.lstrip('.')}"
        self._staged = job.folder / name

    def build(self) -> None:
        """See :class:`Assembly`."""
        job, recipe = self._job, self._video.recipe
        self._staged.unlink(missing_ok=True)
        source_unchanged(job)
        segments = list(self._video.segments)
        assemble(recipe.shaped, job.index, segments, self._staged, recipe.options, self._settings, span=job.span)

    def prove(self) -> VerifyReport:
        """See :class:`Assembly`."""
        job, recipe = self._job, self._video.recipe
        expectation = Expectation(settings=self._settings, options=recipe.options, span=job.span)
        return verify(recipe.shaped, self._staged, expectation, index=job.index)

    @property
    def name(self) -> str:
        """The final name of the file."""
        return self._output.name

    def size_bytes(self) -> int:
        """See :class:`Assembly`."""
        return self._staged.stat().st_size

    def fingerprint(self) -> str:
        """See :class:`Assembly`."""
        return next((sampled_digest(path) for path in (self._staged, self._output) if path.is_file()), "")

    def publish(self) -> None:
        """See :class:`Assembly`."""
        if not self._staged.exists():
            return
        if self._output.exists() and not self._job.order.options.output.overwrite:
            raise OutputError(f"{self._output} was created by something else meanwhile; use --overwrite to replace it")
        with os_errors("renaming the result to", self._output):
            os.replace(self._staged, self._output)  # noqa: PTH105 - one call, both names in sight
            sync_folder(self._output.parent)

    def notes(self) -> Iterator[str]:
        """See :class:`Assembly`."""
        yield from ()


class BothAssemblies:
    """An access copy and its preservation master. The master gets its name first, so that no access copy is without."""

    def __init__(self, access: VideoAssembly, master: VideoAssembly) -> None:
        self._access, self._master = access, master

    def build(self) -> None:
        """See :class:`Assembly`."""
        self._master.build()
        self._access.build()

    def prove(self) -> VerifyReport:
        """The report on the master where it differs, else that on the access copy."""
        report = self._master.prove()
        return self._access.prove() if report.ok else report

    def size_bytes(self) -> int:
        """Bytes of the access copy."""
        return self._access.size_bytes()

    def fingerprint(self) -> str:
        """That of the access copy; empty if either is missing."""
        return self._access.fingerprint() if self._master.fingerprint() else ""

    def publish(self) -> None:
        """See :class:`Assembly`."""
        self._master.publish()
        self._access.publish()

    def notes(self) -> Iterator[str]:
        """Where the master is."""
        yield f"preservation master: {self._master.name}"


def finish(job: Job, progress: Progress) -> None:
    """Finish a job whose segments are all done, from wherever an earlier run left it.

    Raises:
        VidsrError: a step failed; the segments are kept, and the same command tries again.
    """
    manifest, assembly = job.manifest, assembly_of(job)
    if not can_publish(job):
        _assemble(job, assembly, progress)
    assembly.publish()
    for note in assembly.notes():
        job.notes = (*job.notes, note)
        progress(Event(kind="note", text=note))
    job.journal.log(f"done: {job.order.output}")
    manifest.state = "done"
    if job.order.options.jobs.keep_segments:
        job.save()
        job.journal.status(Status(stage="done", frames=manifest.frames, total_frames=manifest.frames), now=True)
    else:
        job_folders.empty(job.folder)
        job_folders.forget(job.folder)


def can_publish(job: Job) -> bool:
    """Whether an earlier run left the whole, verified result, under its name or not yet."""
    manifest = job.manifest
    if manifest.state != "publishing" or manifest.result is None:
        return False
    return assembly_of(job).fingerprint() == manifest.result.blake2


def _assemble(job: Job, assembly: Assembly, progress: Progress) -> None:
    manifest = job.manifest
    manifest.state = "assembly"
    job.save()
    begin = time.perf_counter()
    _stage(job, "assemble", progress)
    assembly.build()
    _prove(job, assembly, progress)
    with os_errors("reading the result of", job.folder):
        manifest.result = Finished(
            frames=manifest.frames,
            size=assembly.size_bytes(),
            blake2=assembly.fingerprint(),
            seconds=time.perf_counter() - begin,
        )
    manifest.state = "publishing"
    job.save()


def _prove(job: Job, assembly: Assembly, progress: Progress) -> None:
    """Verify the result, unless ``--no-verify`` was given.

    Raises:
        VerifyError: something differs that was not announced; the message lists it.
    """
    if not job.order.options.output.verify:
        return
    progress(Event(kind="stage", text="verify"))
    report = assembly.prove()
    if report.ok:
        return
    found = [f"{c.name}: {c.source} became {c.result}" for c in report.differences]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise VerifyError(
        f"the result of {job.order.source} failed verification ({'; '.join(found[:_SHOWN])}{more}); "
        "it was not given its name. --no-verify skips this check"
    )


def _stage(job: Job, name: str, progress: Progress) -> None:
    manifest = job.manifest
    progress(Event(kind="stage", text=name))
    job.journal.log(name)
    job.journal.status(Status(stage=name, frames=manifest.frames, total_frames=manifest.frames), now=True)
    if manifest.missing():
        raise JobError(
            f"{job.folder}: {len(manifest.missing())} segments are damaged right after being written; "
            "the disk may be failing: check it, then run the same command again"
        )
