"""Applies worker messages: keeps the manifest, events, the log and the status."""

from __future__ import annotations

from vidsr.errors import InputError
from vidsr.jobs.disk_space import disk_outlook
from vidsr.jobs.engines.engine import HOPELESS_KINDS
from vidsr.jobs.job import Job, source_unchanged
from vidsr.jobs.messages import Failed, Made, News, Progressed, Remark
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.event_log import Status
from vidsr.jobs.state.events import Event, EventKind, Progress, SpeedMeter
from vidsr.jobs.state.manifest import Finished
from vidsr.storage import human_seconds


class Tracker:
    """Follows the segments of one run of a job. It is the only writer of the job's state."""

    def __init__(self, job: Job, progress: Progress, stop: Stop, workers: int) -> None:
        self.failures: list[Failed] = []
        self._job = job
        self._progress = progress
        self._stop = stop
        self._in_work: dict[int, int] = {}
        self._meter = SpeedMeter(job.manifest.frames_done(), _past_speed(job, workers))
        self._said_stopping = False
        self._worried = False
        self._show(now=True)

    def __call__(self, news: News) -> None:
        """Take one piece of news; in the runner's thread only.

        Raises:
            DiskFullError, JobError: the manifest cannot be written.
        """
        match news:
            case Progressed(number=number, frames=frames):
                self._in_work[number] = frames
                self._show(number)
            case Made(number=number, finished=finished):
                self._made(number, finished)
            case Failed():
                self._failed(news)
            case Remark(text=text, warning=warning):
                self._job.journal.log(text)
                self._progress(Event(kind="warning" if warning else "note", text=text))
        if self._stop.soft.is_set() and not self._said_stopping:
            self._say_stopping()

    def _made(self, number: int, finished: Finished) -> None:
        try:
            source_unchanged(self._job)
        except InputError as error:
            self._failed(Failed.of(number, error))
            return
        manifest = self._job.manifest
        manifest.finished[number] = finished
        self._in_work.pop(number, None)
        self._job.save()
        how = f", {finished.fallback}" if finished.fallback else ""
        by = f" by worker {finished.worker}" if finished.worker else ""
        self._job.journal.log(f"segment {number} done: {finished.frames} frames in {finished.seconds:.1f} s{how}{by}")
        self._show(number, now=True)
        self._progress(self._event("segment", number, manifest.frames_done()))
        self._watch_disk()

    def _failed(self, failed: Failed) -> None:
        self._in_work.pop(failed.number, None)
        self.failures.append(failed)
        self._job.journal.log(f"segment {failed.number} failed: {failed.message}")
        self._job.manifest.error = f"segment {failed.number}: {failed.message}"
        if failed.kind in HOPELESS_KINDS or not self._job.order.options.jobs.keep_going:
            self._stop.soft.set()
            self._said_stopping = True
        else:
            text = f"segment {failed.number} failed ({failed.message}); continuing with the others"
            self._progress(Event(kind="warning", text=text, segment=failed.number))

    def _watch_disk(self) -> None:
        """Warn once if the disk will not suffice, judging by the finished segments."""
        job, recipe = self._job, self._job.order.recipe
        master = None if recipe.master is None else recipe.master.settings
        outlook = disk_outlook(job.folder, job.settings, job.manifest, recipe.picture, master)
        if outlook.worrying and not self._worried:
            self._worried = True
            self._progress(Event(kind="warning", text=str(outlook)))

    def _show(self, number: int | None = None, *, now: bool = False) -> None:
        manifest = self._job.manifest
        done = manifest.frames_done() + sum(self._in_work.values())
        self._meter.update(done)
        event = self._event("frame", number, done)
        self._progress(event)
        status = Status(
            stage="segments",
            frames=done,
            total_frames=manifest.frames,
            fps=event.fps,
            seconds_left=event.seconds_left,
            in_work={str(number): frames for number, frames in self._in_work.items()},
        )
        self._job.journal.status(status, now=now)

    def _event(self, kind: EventKind, number: int | None, frames: int) -> Event:
        return Event(
            kind=kind,
            segment=number,
            frames=frames,
            total_frames=self._job.manifest.frames,
            resumed_frames=self._job.resumed_frames,
            fps=self._meter.fps(),
            seconds_left=self._meter.seconds_left(self._job.manifest.frames - frames),
        )

    def _say_stopping(self) -> None:
        self._said_stopping = True
        segments = {s.number: s.frames for s in self._job.manifest.segments()}
        left = sum(segments[number] - frames for number, frames in self._in_work.items())
        seconds = self._meter.seconds_left(left)
        if not left or seconds is None:
            return
        what = "the segment" if len(self._in_work) == 1 else f"{len(self._in_work)} segments"
        text = f"finishing {what} in progress, {left} frames to go, about {human_seconds(seconds)}"
        self._progress(Event(kind="note", text=text))


def _past_speed(job: Job, workers: int) -> float | None:
    """Frames per second of earlier runs of the job, if there were any."""
    seconds = sum(finished.seconds for finished in job.manifest.finished.values())
    return workers * job.manifest.frames_done() / seconds if seconds else None
