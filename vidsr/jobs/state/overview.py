"""The description of a job that ``vidsr jobs`` prints, read from its folder without disturbing it."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidsr.errors import JobError
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.event_log import Status, read_status
from vidsr.jobs.state.lock import is_locked
from vidsr.jobs.state.manifest import Manifest
from vidsr.media import image_sequence
from vidsr.media.joined import is_joined


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A job at one moment.

    ``state`` is "running", "stopped", "failed", "done" or "damaged". ``frames`` counts those encoded, also in
    segments in progress. ``fps`` is None unless the job is running; ``seconds_left`` of one that is not says how long
    it would take at its last speed.
    """

    job: str
    folder: str
    state: str
    stage: str = ""
    source: str = ""
    output: str = ""
    frames: int = 0
    total_frames: int = 0
    segments: int = 0
    total_segments: int = 0
    fps: float | None = None
    seconds_left: float | None = None
    disk_bytes: int = 0
    fallbacks: int = 0
    error: str | None = None
    updated: float = 0.0
    resume: str = ""

    @property
    def percent(self) -> float:
        """Share of the frames that are encoded, 0 to 100."""
        return 100.0 * self.frames / self.total_frames if self.total_frames else 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def look_at(folder: Path) -> Overview:
    """Describe the job in ``folder``; a damaged one is described as such."""
    job, use = job_folders.job_id(folder), job_folders.disk_use(folder)
    try:
        manifest = Manifest.load(folder)
    except JobError as error:
        return Overview(job=job, folder=str(folder), state="damaged", disk_bytes=use, error=str(error))
    running = is_locked(folder)
    source, output = whereabouts(manifest, folder)
    status = read_status(folder)
    state = "running" if running else "failed" if manifest.error else "done" if manifest.state == "done" else "stopped"
    frames, updated = manifest.frames_done(), manifest.created
    if status is not None:
        updated = status.time
        if running:
            frames = max(frames, status.frames)
    return Overview(
        job=job,
        folder=str(folder),
        state=state,
        stage=status.stage if running and status is not None else "",
        source=source,
        output=str(output),
        frames=frames,
        total_frames=manifest.frames,
        segments=len(manifest.finished),
        total_segments=len(manifest.segments()),
        fps=status.fps if running and status is not None else None,
        seconds_left=None if status is None else _left(status, manifest, running=running),
        disk_bytes=use,
        fallbacks=sum(bool(f.fallback) for f in manifest.finished.values()),
        error=manifest.error,
        updated=updated,
        resume="" if running or state == "done" else job_folders.resume_command(output),
    )


def whereabouts(manifest: Manifest, folder: Path) -> tuple[str, Path]:
    """Source and result of a job. If the folder was moved, the result belongs next to it, and a source that is gone is
    looked for where it would be if it was moved along."""
    before, output = Path(manifest.output), job_folders.result_of(folder)
    if output == before or not folder.name.endswith(job_folders.SUFFIX):
        return manifest.source, before
    along = Path(os.path.normpath(output.parent / os.path.relpath(manifest.source, before.parent)))
    return str(along) if _there(along) and not _there(Path(manifest.source)) else manifest.source, output


def _there(source: Path) -> bool:
    return source.parent.is_dir() if image_sequence.is_pattern(source) or is_joined(source) else source.exists()


def _left(status: Status, manifest: Manifest, *, running: bool) -> float | None:
    """Seconds left; of a running job by its estimate, made a moment ago."""
    if not running:
        frames = manifest.frames - manifest.frames_done()
        return frames / status.fps if status.fps and frames else None
    if status.seconds_left is None:
        return None
    passed = max(0.0, time.time() - status.time)  # the clock may have been set back
    return max(0.0, status.seconds_left - passed)
