"""What runs on a Ray node: one worker with its model loaded, and the files it was sent if it cannot see ours.

Nothing here imports Ray at module level: the class is made an actor by :mod:`vidsr.jobs.engines.ray_cluster`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsr.errors import VidsrError
from vidsr.jobs.engines.overlap import make
from vidsr.jobs.messages import Failed, News, Order, Task, news_to_json
from vidsr.jobs.segment_worker import SegmentWorker, is_visible
from vidsr.jobs.state.manifest import INDEX_NAME, SEGMENTS_NAME

#: Methods of an actor that Ray may run at the same time.
CALLS_AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """A job's files in Ray's object store, each as references to pieces in order; the model to load is the first."""

    source_name: str
    source: Sequence[Any]
    models: Sequence[tuple[str, Sequence[Any]]]
    index: Sequence[Any]


class SegmentActor:
    """Makes segments on one node.

    It may be restarted anywhere at any time by Ray, so that :meth:`make` prepares whatever it finds missing. Ray calls
    it in up to :data:`CALLS_AT_ONCE` threads: two segments in progress, and the request to stop.
    """

    def __init__(self, task: dict[str, Any], device: str, threads: int, always_ship: bool) -> None:
        self._task = Task(**task)
        self._device = device
        self._threads = threads
        self._always_ship = always_ship
        self._worker: SegmentWorker | None = None
        self._shipped: Path | None = None
        self._preparing = threading.Lock()
        self._stopping = threading.Event()

    def arrive(self) -> dict[str, Any]:
        """Load what takes long to load, and report the encoder build."""
        from vidsr.jobs.segment_worker import describe_encoder

        return {"encoder": describe_encoder(self._task), "node": os.uname().nodename}

    def make(self, order: dict[str, Any], shipment: Shipment | None, news: Any) -> dict[str, Any]:
        """Make one segment; its news, with the segment's bytes where the job folder cannot be seen from here.

        Progress goes to ``news``, a ``ray.util.queue.Queue``.

        ``{"unseen": True}`` asks for the same order again with a shipment.
        """
        import ray

        wanted = Order.from_json(order)
        try:
            with self._preparing:
                if self._worker is None:
                    if shipment is None and (self._always_ship or not is_visible(self._task)):
                        return {"unseen": True, "order": order}
                    self._worker = self._prepare(shipment)
        except VidsrError as error:
            return news_to_json(Failed.of(wanted.segment.number, error))

        def report(what: News) -> None:
            with contextlib.suppress(ray.exceptions.RayError):  # the segment is fine even if nobody receives this
                news.put(news_to_json(what))

        def may_begin() -> bool:
            return not self._stopping.is_set()

        answer = news_to_json(make(self._worker, wanted, threading.Event(), report, may_begin=may_begin))
        if self._shipped is not None and answer["news"] == "Made":
            path = self._shipped / SEGMENTS_NAME / wanted.segment.file_name
            answer["data"] = path.read_bytes()
            path.unlink()
        return answer

    def stop_soon(self) -> None:
        """Drop what the network has not begun."""
        self._stopping.set()

    def leave(self) -> None:
        """Remove the files that were sent here."""
        if self._shipped is not None:
            shutil.rmtree(self._shipped, ignore_errors=True)

    def _prepare(self, shipment: Shipment | None) -> SegmentWorker:
        task = self._task
        if shipment is not None and (self._always_ship or not is_visible(task)):
            task = self._unpack(shipment)
        return SegmentWorker(task, device=self._device, threads=self._threads, name=os.uname().nodename)

    def _unpack(self, shipment: Shipment) -> Task:
        """Write the shipment into a folder of this node and point the task at it."""
        import ray

        _remove_orphans(self._task.job)
        folder = Path(tempfile.mkdtemp(prefix=f"vidsr-{self._task.job}-{os.getpid()}-"))
        self._shipped = folder
        (folder / SEGMENTS_NAME).mkdir()
        files = ((shipment.source_name, shipment.source), (INDEX_NAME, shipment.index))
        for name, pieces in (*files, *shipment.models):
            with (folder / name).open("wb") as file:
                for piece in pieces:
                    file.write(ray.get(piece))
        options = {**self._task.options}
        options["model"] = {**options["model"], "model": str(folder / shipment.models[0][0])}
        return dataclasses.replace(
            self._task, source=str(folder / shipment.source_name), folder=str(folder), options=options
        )


def _remove_orphans(job: str) -> None:
    """Remove what killed workers of this job left on this node."""
    for folder in Path(tempfile.gettempdir()).glob(f"vidsr-{job}-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    if not hasattr(signal, "SIGKILL"):
        return True  # Windows, where signal 0 is Ctrl-C: a leftover folder is the lesser evil
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
