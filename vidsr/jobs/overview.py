"""What ``vidsr jobs`` tells of a job: one flat description, read from its folder without disturbing it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidsr.errors import JobError
from vidsr.jobs import store
from vidsr.jobs.journal import read_status
from vidsr.jobs.lock import is_locked
from vidsr.jobs.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A job at one moment.

    ``state`` is "running", "stopped", "failed", "done" or "damaged". ``frames`` counts those encoded, also in
    segments in work; ``fps`` and ``seconds_left`` are None unless the job is running.
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
    job, use = store.job_id(folder), store.disk_use(folder)
    try:
        manifest = Manifest.load(folder)
    except JobError as error:
        return Overview(job=job, folder=str(folder), state="damaged", disk_bytes=use, error=str(error))
    running = is_locked(folder)
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
        source=manifest.source,
        output=manifest.output,
        frames=frames,
        total_frames=manifest.frames,
        segments=len(manifest.finished),
        total_segments=len(manifest.segments()),
        fps=status.fps if running and status is not None else None,
        seconds_left=_left(status.seconds_left, status.time) if running and status is not None else None,
        disk_bytes=use,
        fallbacks=sum(bool(f.fallback) for f in manifest.finished.values()),
        error=manifest.error,
        updated=updated,
        resume="" if running or state == "done" else store.resume_command(Path(manifest.output)),
    )


def _left(seconds: float | None, said: float) -> float | None:
    """An estimate made a while ago, now."""
    return None if seconds is None else max(0.0, seconds - (time.time() - said))
