"""The end of a job: join the segments, prove the result, give it its name, tidy up. Each step can be repeated."""

from __future__ import annotations

import os
import time
from pathlib import Path

from vidsr.errors import JobError, OutputError, VerifyError
from vidsr.jobs.job import Job, is_published, source_unchanged
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.event_log import Status
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.jobs.state.manifest import Finished
from vidsr.media.check.report import VerifyReport
from vidsr.media.check.verify import Expectation, verify
from vidsr.media.encode.encoder import EncoderSettings
from vidsr.media.index import VideoIndex
from vidsr.media.mux.assemble import assemble
from vidsr.media.source import SourceInfo
from vidsr.options import EnhanceOptions
from vidsr.storage import os_errors, sampled_digest, sync_folder


def finish(job: Job, progress: Progress) -> None:
    """Bring a job whose segments are all done to its end, from wherever an earlier run left it.

    Raises:
        VidsrError: a step failed; the segments are kept, and the same command tries again.
    """
    manifest, output = job.manifest, job.order.output
    staged = _staged(job)
    if not can_publish(job):
        _assemble(job, staged, progress)
    if staged.exists():
        _publish(job, staged)
    job.journal.log(f"done: {output}")
    manifest.state = "done"
    if job.order.options.jobs.keep_segments:
        job.save()
        job.journal.status(Status(stage="done", frames=manifest.frames, total_frames=manifest.frames), now=True)
    else:
        job_folders.empty(job.folder)
        job_folders.forget(job.folder)


def can_publish(job: Job) -> bool:
    """Whether an earlier run came as far as to have the whole, proven result, named or not yet."""
    manifest, staged = job.manifest, _staged(job)
    if manifest.state != "publishing" or manifest.result is None:
        return False
    if staged.is_file():
        return sampled_digest(staged) == manifest.result.blake2
    return is_published(job.order.output)


def _staged(job: Job) -> Path:
    return job.folder / f"{job_folders.RESULT_STEM}{job.order.output.suffix.lstrip('.')}"


def _assemble(job: Job, staged: Path, progress: Progress) -> None:
    manifest = job.manifest
    manifest.state = "assembly"
    job.save()
    begin = time.perf_counter()
    _stage(job, "assemble", progress)
    source_unchanged(job)
    staged.unlink(missing_ok=True)
    assemble(job.order.recipe.shaped, job.index, job.segment_paths(), staged, job.order.options, job.settings)
    prove(job.order.recipe.shaped, job.index, staged, job.settings, job.order.options, progress)
    with os_errors("reading", staged):
        manifest.result = Finished(
            frames=manifest.frames,
            size=staged.stat().st_size,
            blake2=sampled_digest(staged),
            seconds=time.perf_counter() - begin,
        )
    manifest.state = "publishing"
    job.save()


def _publish(job: Job, staged: Path) -> None:
    """Give the result its name: the one step after which it is there, whole."""
    output = job.order.output
    if output.exists() and not job.order.options.output.overwrite:
        raise OutputError(f"{output} was made by someone else meanwhile; give --overwrite to replace it")
    with os_errors("renaming the result to", output):
        os.replace(staged, output)  # noqa: PTH105 - one call, both names in sight
        sync_folder(output.parent)


def _stage(job: Job, name: str, progress: Progress) -> None:
    manifest = job.manifest
    progress(Event(kind="stage", text=name))
    job.journal.log(name)
    job.journal.status(Status(stage=name, frames=manifest.frames, total_frames=manifest.frames), now=True)
    if manifest.missing():
        raise JobError(
            f"{job.folder}: {len(manifest.missing())} segments are damaged or missing as soon as they are made: "
            "see whether the disk is sound, then run the same command again"
        )


#: Differences that one message lists.
_SHOWN = 5


def prove(
    info: SourceInfo,
    index: VideoIndex,
    result: Path,
    settings: EncoderSettings,
    options: EnhanceOptions,
    progress: Progress = silent,
) -> VerifyReport | None:
    """Verify a finished file against its source, unless ``--no-verify`` was given.

    Raises:
        VerifyError: something differs that was not announced; the message lists it.
    """
    if not options.output.verify:
        return None
    progress(Event(kind="stage", text="verify"))
    report = verify(info, result, Expectation(settings=settings, options=options), index=index)
    if not report.ok:
        found = [f"{c.name}: {c.source} became {c.result}" for c in report.differences]
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise VerifyError(
            f"the result of {info.path} is not what it should be ({'; '.join(found[:_SHOWN])}{more}); "
            "it was not given its name. --no-verify skips this check"
        )
    return report
