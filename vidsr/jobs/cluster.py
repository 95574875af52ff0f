"""Segments farmed out to a Ray cluster: actors keep the model loaded; Ray places, restarts and retries them."""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidsr.errors import Interrupted, JobError, MissingExtraError
from vidsr.jobs.actor import SegmentActor, Shipment
from vidsr.jobs.files import digest, human_bytes, write_atomically
from vidsr.jobs.manifest import INDEX_NAME, SEGMENTS_NAME
from vidsr.jobs.orders import Failed, Made, Order, Remark, Report, Task, news_from_json
from vidsr.jobs.stop import Stop
from vidsr.options import EnhanceOptions

#: Bytes of the source in one object of Ray's store.
PIECE_BYTES = 64 << 20
#: So often does Ray run a segment again when its actor or node dies.
TASK_RETRIES = 4
KNOCK_SECONDS = 10.0


def import_ray() -> Any:
    """The ``ray`` module.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--engine ray needs Ray: pip install 'vidsr-esrgan[ray]'") from error
    return ray


class RayEngine:
    """Actors of a Ray cluster; see :class:`vidsr.jobs.workers.Engine`."""

    def __init__(self, task: Task, options: EnhanceOptions, model_path: Path) -> None:
        self.task = task
        self.options = options
        self.model_path = model_path

    def run(self, orders: Sequence[Order], stop: Stop, report: Report) -> None:
        """See :meth:`vidsr.jobs.workers.Engine.run`."""
        ray = import_ray()
        with _connected(ray, self.options.jobs.address):
            farm = _Farm(ray, self, report)
            try:
                farm.hire(len(orders))
                farm.run(deque(orders), stop)
            finally:
                farm.dismiss()


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """A connection to the cluster, or a Ray of our own on this machine where no address is given."""
    if ray.is_initialized():
        yield
        return
    if address is not None:
        _knock(address)
    local = {"include_dashboard": False} if address is None else {"address": address}
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **local)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise JobError(f"cannot connect to the Ray cluster at {address or 'this machine'}: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """See whether anybody listens at HOST:PORT; Ray itself would try for minutes.

    Raises:
        JobError: nobody does.
    """
    match = re.fullmatch(r"(?:ray://)?\[?([^/\]]+?)\]?:(\d+)", address)
    if match is None:
        return  # "auto" and the like: Ray's own answer is quick
    try:
        socket.create_connection((match[1], int(match[2])), timeout=KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise JobError(
            f"cannot connect to the Ray cluster at {address}: {error}; is it up? (ray status --address {address})"
        ) from error


class _Farm:
    """The actors of one run, a pool that hands them orders, and a queue on which their news comes."""

    def __init__(self, ray: Any, engine: RayEngine, report: Report) -> None:
        from ray.util import ActorPool
        from ray.util.queue import Queue

        self._ray = ray
        self._task = engine.task
        self._options = engine.options
        self._model_path = engine.model_path
        self._report = report
        self._shipment: Shipment | None = None
        self._pool: Any = ActorPool([])
        self._news: Any = Queue(actor_options={"num_cpus": 0})
        self._arriving: dict[Any, Any] = {}
        self._actors: list[Any] = []
        self._settled: set[int] = set()

    def hire(self, wanted: int) -> None:
        """Ask Ray for as many actors as the options or the cluster's resources say, at most ``wanted``."""
        jobs = self._options.jobs
        resources = self._ray.cluster_resources()
        gpus = 0 if self._options.model.device == "cpu" else int(resources.get("GPU", 0))
        cores = int(resources.get("CPU", 1))
        threads = jobs.threads or (1 if not gpus else max(1, cores // gpus))
        if not gpus and jobs.threads is None:
            threads = max(1, cores // (jobs.workers or 1)) if jobs.workers else min(cores, 4)
        count = min(wanted, jobs.workers or gpus or max(1, cores // threads))
        kind = self._ray.remote(SegmentActor).options(
            num_gpus=1 if gpus else 0,
            num_cpus=0 if gpus else threads,
            max_restarts=-1,
            max_task_retries=TASK_RETRIES,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads)}},
        )
        for _ in range(count):
            actor = kind.remote(self._task.to_json(), "cuda" if gpus else "cpu", threads, bool(jobs.ship))
            self._actors.append(actor)
            self._arriving[actor.arrive.remote()] = actor

    def _ship(self) -> None:
        """Put the source, the index and the model into Ray's object store, once.

        Raises:
            JobError: the options forbid it.
        """
        if self._shipment is not None:
            return
        if self._options.jobs.ship is False:
            raise JobError(
                f"a Ray worker cannot see {self._task.source} or {self._task.folder}: put both on storage that all "
                "nodes share under one path, or leave out --no-ship"
            )
        source, index = Path(self._task.source), Path(self._task.folder) / INDEX_NAME

        def put(path: Path) -> list[Any]:
            return [self._ray.put(piece) for piece in _pieces(path)]

        self._report(Remark(text=f"sending {source.name} ({human_bytes(source.stat().st_size)}) to the Ray workers"))
        self._shipment = Shipment(
            source_name=source.name,
            source=put(source),
            model_name=self._model_path.name,
            model=put(self._model_path),
            index=put(index),
        )

    def run(self, waiting: deque[Order], stop: Stop) -> None:
        """Hand out orders until all are settled; actors join as Ray finds room for them.

        Raises:
            Interrupted: ``stop.hard`` was set.
            VidsrError: no actor can work.
        """
        numbers = {order.segment.number for order in waiting}
        while self._pool.has_next() or (waiting and not stop.soft.is_set()):
            if stop.hard.is_set():
                raise Interrupted("stopped on request; the segments in work were dropped")
            self._admit()
            while waiting and not stop.soft.is_set() and self._pool.has_free():
                self._pool.submit(self._submit, waiting.popleft())
            self._listen(waiting)
            if not waiting:
                self._release_idle()
        for order in numbers - self._settled - {o.segment.number for o in waiting}:
            self._report(Failed(number=order, kind="JobError", message="Ray gave it up; see Ray's logs"))

    def _admit(self) -> None:
        """Put the actors that have arrived into the pool, after checking that their encoder is ours."""
        if not self._arriving:
            return
        idle = not self._pool.has_next()
        ready, _ = self._ray.wait(list(self._arriving), num_returns=1, timeout=0.2 if idle else 0)
        for reference in ready:
            actor = self._arriving.pop(reference)
            try:
                said = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                raise JobError(f"a Ray worker cannot start: {str(error).splitlines()[0]}") from error
            if said["encoder"] != self._task.encoder:
                raise JobError(
                    f"the Ray worker on {said['node']} has {said['encoder']}, the job needs {self._task.encoder}: "
                    "install the same vidsr and PyAV on every node"
                )
            self._pool.push(actor)

    def _submit(self, actor: Any, order: Order) -> Any:
        return actor.make.remote(order.to_json(), self._shipment, self._news)

    def _listen(self, waiting: deque[Order]) -> None:
        """Report what actors say meanwhile, and one finished order if there is one."""
        if self._pool.has_next():
            try:
                answer = self._pool.get_next_unordered(timeout=0.1)
                if "unseen" in answer:
                    self._ship()
                    waiting.appendleft(Order.from_json(answer["order"]))
                else:
                    self._settle(answer)
            except TimeoutError:
                pass
            except self._ray.exceptions.RayError as error:
                self._report(Remark(text=f"a Ray worker was lost: {str(error).splitlines()[0]}", warning=True))
        with contextlib.suppress(queue.Empty):
            while True:
                news = news_from_json(self._news.get_nowait())
                if getattr(news, "number", -1) not in self._settled:
                    self._report(news)

    def _settle(self, answer: dict[str, Any]) -> None:
        data = answer.pop("data", None)
        news = news_from_json(answer)
        assert isinstance(news, Made | Failed)
        if isinstance(news, Made) and data is not None:
            path = Path(self._task.folder) / SEGMENTS_NAME / f"{news.number:06d}.nut"
            write_atomically(path, data)
            if digest(path) != news.finished.blake2:
                path.unlink()
                news = Failed(number=news.number, kind="JobError", message="it was damaged on its way through Ray")
        self._settled.add(news.number)
        self._report(news)

    def _release_idle(self) -> None:
        """Give the resources of actors without work back, so that one whose node died can start elsewhere."""
        while self._pool.has_free():
            actor = self._pool.pop_idle()
            self._ray.get(actor.leave.remote())
            self._ray.kill(actor)
            self._actors.remove(actor)

    def dismiss(self) -> None:
        """End all actors."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._news.shutdown(force=True)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
