"""API routes about queues of files, whether they were started here or on the command line: see, reorder, stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from vidsr.errors import InputError, JobError
from vidsr.jobs.queue import view as queues
from vidsr.jobs.queue.records import QueueRecord, known_queues, queues_folder
from vidsr.jobs.queue.view import QueueView
from vidsr.storage import readable
from vidsr.web.allowed_paths import inside, shown
from vidsr.web.routes_files import settings_of
from vidsr.web.routes_jobs import CONFLICT, runs_of, without_roots
from vidsr.web.runs import RunOrder
from vidsr.web.schemas import NewPlace, Problem, Queue, QueueFile

router = APIRouter(
    prefix="/api/v1",
    tags=["queues"],
    responses={code: {"model": Problem} for code in (400, 401, 403, 404, 422)},
)
QueueId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}$", description="The id of a queue.")]
FileId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}$", description="The id of a file of a queue.")]
_MOST_FILES = 1000


@router.get("/queues")
def all_queues(request: Request) -> list[Queue]:
    """The queues inside the served folders, the newest first, without their files."""
    found = []
    for folder in known_queues():
        try:
            view = queues.look_at_queue(folder)
        except JobError:
            continue
        if _is_inside(view, request):
            found.append(_queue(view, request, files=False))
    return found


@router.get("/queues/{queue_id}")
def queue(request: Request, queue_id: QueueId) -> Queue:
    """A queue and its files."""
    return _queue(_view(request, queue_id), request)


@router.post("/queues/{queue_id}/stop", responses=CONFLICT)
def stop(request: Request, queue_id: QueueId) -> Queue:
    """Stop a running queue after the segments in progress; a second request stops it at once."""
    view = _view(request, queue_id)
    return _queue(queues.stop(FilePath(view.folder), now=view.state == "stopping"), request)


@router.post("/queues/{queue_id}/resume", responses=CONFLICT)
def resume(request: Request, queue_id: QueueId) -> Queue:
    """Add a job to the list that goes on with a queue that is not running."""
    view = _view(request, queue_id)
    if view.state in ("running", "stopping"):
        raise JobError("this queue is running")
    record = QueueRecord.load(FilePath(view.folder))
    order = RunOrder(
        source=record.sources[0],
        output=record.output,
        options=record.options,
        also=record.sources[1:],
        within=tuple(map(str, settings_of(request).roots)),
    )
    runs_of(request).submit(order)
    return _queue(view, request)


@router.post("/queues/{queue_id}/files/{file_id}/move", responses=CONFLICT)
def move(request: Request, queue_id: QueueId, file_id: FileId, wanted: NewPlace) -> Queue:
    """Move a waiting file within the queue."""
    return _changed(request, queue_id, lambda folder: queues.move(folder, file_id, wanted.where))


@router.post("/queues/{queue_id}/files/{file_id}/leave-out", responses=CONFLICT)
def leave_out(request: Request, queue_id: QueueId, file_id: FileId) -> Queue:
    """Leave a file out."""
    return _changed(request, queue_id, lambda folder: queues.leave_out(folder, file_id))


@router.post("/queues/{queue_id}/files/{file_id}/take-back", responses=CONFLICT)
def take_back(request: Request, queue_id: QueueId, file_id: FileId) -> Queue:
    """Take back a file that was left out: the next run of the queue does it."""
    return _changed(request, queue_id, lambda folder: queues.take_back(folder, file_id))


@router.delete("/queues/{queue_id}", status_code=204, responses=CONFLICT)
def remove(request: Request, queue_id: QueueId) -> None:
    """Forget a queue that is not running. Its results are kept."""
    queues.remove(FilePath(_view(request, queue_id).folder))


def _changed(request: Request, queue_id: str, change: Callable[[FilePath], QueueView]) -> Queue:
    return _queue(change(FilePath(_view(request, queue_id).folder)), request)


def _view(request: Request, queue_id: str) -> QueueView:
    """The queue with this id.

    Raises:
        InputError: there is none, or it is not inside the served folders.
    """
    try:
        view = queues.look_at_queue(queues_folder() / queue_id)
    except JobError as error:
        raise InputError("no such queue") from error
    if not _is_inside(view, request):
        raise InputError("no such queue")
    return view


def _is_inside(view: QueueView, request: Request) -> bool:
    """Whether all sources and the results of a queue lie in the served folders."""
    try:
        for path in (*view.sources, *filter(None, [view.output])):
            inside(path, settings_of(request).roots)
    except InputError:
        return False
    return True


def _queue(view: QueueView, request: Request, *, files: bool = True) -> Queue:
    roots = settings_of(request).roots
    values: dict[str, Any] = {
        name: getattr(view, name)
        for name in ("id", "state", "watch", "frames", "total_frames", "fps", "seconds_left", "counts")
    }
    listed = [
        QueueFile(
            id=file.id,
            name=readable(file.name),
            state=file.state,
            reason=readable(without_roots(file.reason, roots) or ""),
            frames=file.frames,
            total_frames=file.total_frames,
            left_out=file.left_out,
        )
        for file in view.files[: _MOST_FILES if files else 0]
    ]
    return Queue(
        **values,
        sources=[readable(shown(FilePath(source), roots)) for source in view.sources],
        output=None if view.output is None else readable(shown(FilePath(view.output), roots)),
        files=listed,
    )
