"""Segments distributed over a Ray cluster: actors keep the model loaded; Ray places, restarts and retries them."""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidsr.errors import Interrupted, JobError, MissingExtraError
from vidsr.jobs.engines.overlap import Load
from vidsr.jobs.engines.ray_actor import CALLS_AT_ONCE, SegmentActor, Shipment
from vidsr.jobs.messages import Dropped, Failed, Made, Order, Read, Remark, SendNews, Task, news_from_json
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.manifest import INDEX_NAME, SEGMENTS_NAME
from vidsr.media.source_files import files_of
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.storage import digest, human_bytes, write_atomically

#: Bytes of the source in one object of Ray's store.
PIECE_BYTES = 64 << 20
#: Maximum actor crashes per segment before the segment fails.
CRASHES_PER_SEGMENT = 3
#: Maximum node losses per segment before it fails.
OUTAGES_PER_SEGMENT = 10
#: Cores for an actor on a cluster without GPUs, where the options do not say.
CPUS_PER_ACTOR = 4
KNOCK_SECONDS = 10.0
#: Seconds without any actor before Ray's pending resource request is reported.
PATIENCE_SECONDS = 30.0


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
    """Actors of a Ray cluster; see :class:`vidsr.jobs.engines.engine.Engine`."""

    def __init__(self, task: Task, options: EnhanceOptions, model_files: Sequence[Path]) -> None:
        self.task = task
        self.options = options
        self.model_files = model_files

    def run(self, orders: Sequence[Order], stop: Stop, report: SendNews) -> None:
        """See :meth:`vidsr.jobs.engines.engine.Engine.run`."""
        ray = import_ray()
        with _connected(ray, self.options.jobs.address):
            farm = _Farm(ray, self, report)
            try:
                farm.hire(len(orders))
                farm.run(orders, stop)
            except ray.exceptions.RayError as error:
                raise JobError(f"the Ray cluster failed: {_first_line(error)}") from error
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


@contextlib.contextmanager
def connected_capacity(options: EnhanceOptions) -> Iterator[int]:
    """A connection to the cluster of the options, kept open for all jobs of this process; how many segments the cluster
    makes at a time.

    Raises:
        MissingExtraError, JobError: Ray is not installed, or the cluster cannot be reached.
    """
    ray = import_ray()
    with _connected(ray, options.jobs.address):
        resources = ray.cluster_resources()
        gpus = 0 if options.model.device == "cpu" else int(resources.get("GPU", 0))
        yield options.jobs.workers or gpus or -(-max(1, int(resources.get("CPU", 1))) // CPUS_PER_ACTOR)


def _knock(address: str) -> None:
    """Check whether anything listens at HOST:PORT; Ray itself would try for minutes.

    Raises:
        JobError: nothing does.
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


@dataclass(slots=True, eq=False)
class _Hired:
    """An actor and what it has in progress."""

    actor: Any
    load: Load = field(default_factory=Load)


class _Farm:
    """The actors of one run and the orders that they have in progress.

    Ray places actors, and starts them again elsewhere when their process or node dies. The order that a dead actor
    had in progress goes to the next free one at once, which may be long before Ray has noticed the loss of a node.
    """

    def __init__(self, ray: Any, engine: RayEngine, report: SendNews) -> None:
        from ray.util.queue import Queue
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray = ray
        self._task = engine.task
        self._options = engine.options
        self._model_files = engine.model_files
        self._report = report
        self._shipment: Shipment | None = None
        # On this process's node: the loss of any other node must not end it.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        self._news: Any = Queue(actor_options={"num_cpus": 0, "scheduling_strategy": here})
        self._arriving: dict[Any, _Hired] = {}  # reference of arrive() → actor
        self._in_work: dict[Any, tuple[_Hired, Order]] = {}  # reference of make() → actor and its order
        self._arrived: list[_Hired] = []
        self._stopping = False
        self._waiting: deque[Order] = deque()
        self._crashes: Counter[int] = Counter()
        self._outages: Counter[int] = Counter()
        self._settled: set[int] = set()
        self._asked_for = {"num_gpus": 0, "num_cpus": 0}
        self._hopeful_until = time.monotonic() + PATIENCE_SECONDS

    def hire(self, wanted: int) -> None:
        """Ask Ray for as many actors as the options or the cluster's resources say, at most ``wanted``.

        Raises:
            JobError: the options ask for GPUs, and the cluster has none.
        """
        jobs, device = self._options.jobs, self._options.model.device
        resources = self._ray.cluster_resources()
        gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
        if device == "cuda" and not gpus:
            raise JobError("the Ray cluster has no GPU; --device cpu does without")
        cores = max(1, int(resources.get("CPU", 1)))
        shared_by = jobs.workers or gpus or -(-cores // CPUS_PER_ACTOR)
        # An actor lives on one node: a request larger than any node would never be granted.
        largest = max((int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]), default=0)
        room = max(1, min(cores // shared_by, largest))
        threads = jobs.threads or room
        self._asked_for = {"num_gpus": 1 if gpus else 0, "num_cpus": 0 if gpus else min(threads, max(1, largest))}
        kind = self._ray.remote(SegmentActor).options(
            **self._asked_for,
            max_restarts=-1,
            max_concurrency=CALLS_AT_ONCE,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(threads)}},
        )
        for _ in range(min(wanted, shared_by)):
            actor = kind.remote(self._task.to_json(), "cuda" if gpus else "cpu", threads, bool(jobs.ship))
            self._welcome(_Hired(actor))

    def run(self, orders: Sequence[Order], stop: Stop) -> None:
        """Hand out orders until all are settled; actors join as Ray finds room for them.

        Raises:
            Interrupted: ``stop.hard`` was set.
            VidsrError: no actor can work.
        """
        self._waiting.extend(orders)
        while self._in_work or (self._waiting and not stop.soft.is_set()):
            if stop.hard.is_set():
                raise Interrupted("stopped on request; the segments in progress were dropped")
            if not stop.soft.is_set():
                self._feed()
            elif not self._stopping:
                self._stopping = True
                for hired in self._arrived:
                    hired.actor.stop_soon.remote()
            self._wait()
            self._say_waiting()
            self._hear()
            if not self._waiting:
                self._release_idle()

    def _feed(self) -> None:
        """Hand out orders, to idle actors first. A segment that was in progress at a crash is made alone."""
        for hired in sorted(self._arrived, key=lambda hired: hired.load.busy()):
            if not self._waiting:
                return
            suspect = self._crashes[self._waiting[0].segment.number] > 0
            if hired.load.has_room() and not (suspect and hired.load.busy()):
                order = self._waiting.popleft()
                hired.load.take(order, alone=suspect)
                self._in_work[hired.actor.make.remote(order.to_json(), self._shipment, self._news)] = hired, order

    def _welcome(self, hired: _Hired) -> None:
        self._arriving[hired.actor.arrive.remote()] = hired

    def _wait(self) -> None:
        """Wait a moment for an actor to arrive or to settle its order."""
        ready, _ = self._ray.wait([*self._arriving, *self._in_work], num_returns=1, timeout=0.1)
        for reference in ready:
            if reference in self._arriving:
                self._has_arrived(reference)
            elif reference in self._in_work:
                self._answered(reference)

    def _say_waiting(self) -> None:
        if self._in_work or self._arrived:
            self._hopeful_until = time.monotonic() + PATIENCE_SECONDS
        elif time.monotonic() > self._hopeful_until:
            self._hopeful_until = float("inf")
            wish = ", ".join(f"{name}={count}" for name, count in self._asked_for.items() if count)
            text = f"waiting for Ray to find room for a worker ({wish}); what the cluster has free: ray status"
            self._report(Remark(text=text, warning=True))

    def _has_arrived(self, reference: Any) -> None:
        hired = self._arriving.pop(reference)
        try:
            said = self._ray.get(reference)
        except self._ray.exceptions.ActorUnavailableError:
            time.sleep(1.0)  # its node is gone, and Ray does not know it yet
            self._welcome(hired)
            return
        except self._ray.exceptions.RayError as error:
            raise JobError(f"a Ray worker cannot start: {_first_line(error)}") from error
        if said["encoder"] != self._task.encoder:
            raise JobError(
                f"the Ray worker on {said['node']} has {said['encoder']}, the job needs {self._task.encoder}: "
                "install the same vidsr and PyAV on every node"
            )
        self._arrived.append(hired)

    def _answered(self, reference: Any) -> None:
        hired, order = self._in_work.pop(reference)
        number = order.segment.number
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            self._lost(hired, error)
            return
        except self._ray.exceptions.RayError as error:
            hired.load.remove(number)
            self._settle(Failed(number=number, kind="JobError", message=_first_line(error)))
            return
        hired.load.remove(number)
        if "unseen" in answer:
            self._ship()
            self._waiting.appendleft(order)
            return
        data = answer.pop("data", None)
        news = news_from_json(answer)
        if isinstance(news, Dropped):
            return
        assert isinstance(news, Made | Failed)
        if isinstance(news, Made) and data is not None:
            path = Path(self._task.folder) / SEGMENTS_NAME / order.segment.file_name
            write_atomically(path, data)
            if digest(path) != news.finished.blake2:
                path.unlink()
                news = Failed(number=number, kind="JobError", message="it was damaged on its way through Ray")
        self._settle(news)

    def _lost(self, hired: _Hired, error: Exception) -> None:
        """An actor is gone with its orders: they go to another, the actor is awaited again."""
        away = isinstance(error, self._ray.exceptions.ActorUnavailableError)  # its node, not the segment's fault
        self._in_work = {key: value for key, value in self._in_work.items() if value[0] is not hired}
        self._arrived.remove(hired)
        orders = hired.load.clear()
        self._welcome(hired)
        for order in reversed(orders):
            self._hand_on(order, away, error)

    def _hand_on(self, order: Order, away: bool, error: Exception) -> None:
        number = order.segment.number
        (self._outages if away else self._crashes)[number] += 1
        if self._crashes[number] >= CRASHES_PER_SEGMENT or self._outages[number] >= OUTAGES_PER_SEGMENT:
            times = self._crashes[number] + self._outages[number]
            message = f"its Ray worker was lost {times} times: {_first_line(error)}"
            self._settle(Failed(number=number, kind="JobError", message=message))
            return
        # Repeating it gives the same bytes; only a second crash leads to less memory.
        rung = order.rung + (not away and self._crashes[number] > 1)
        self._waiting.appendleft(Order(segment=order.segment, rung=rung))
        self._report(Remark(text=f"a Ray worker was lost; segment {number} goes to another", warning=True))

    def _settle(self, news: Made | Failed) -> None:
        self._settled.add(news.number)
        self._report(news)

    def _hear(self) -> None:
        """Pass on the progress that actors report."""
        with contextlib.suppress(queue.Empty, self._ray.exceptions.RayError):
            while True:
                news = news_from_json(self._news.get_nowait())
                if isinstance(news, Read):
                    self._has_read(news)
                elif getattr(news, "number", -1) not in self._settled:
                    self._report(news)

    def _has_read(self, news: Read) -> None:
        for hired in self._arrived:
            if news.number in hired.load.orders:
                hired.load.follow(news)

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
        if files_of(Path(self._task.source)) != [Path(self._task.source)]:
            raise JobError(
                f"a Ray worker cannot see {self._task.source}, and sources of several files are not sent: put them on "
                "storage that all nodes share under one path"
            )
        source, index = Path(self._task.source), Path(self._task.folder) / INDEX_NAME

        def put(path: Path) -> list[Any]:
            return [self._ray.put(piece) for piece in _pieces(path)]

        self._report(Remark(text=f"sending {source.name} ({human_bytes(source.stat().st_size)}) to the Ray workers"))
        self._shipment = Shipment(
            source_name=source.name,
            source=put(source),
            models=[(path.name, put(path)) for path in self._model_files],
            index=put(index),
        )

    def _release_idle(self) -> None:
        """Release the resources of idle actors, so that one whose node died can start elsewhere."""
        for hired in [hired for hired in self._arrived if not hired.load.busy()]:
            self._arrived.remove(hired)
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.get(hired.actor.leave.remote(), timeout=10)
            self._ray.kill(hired.actor)

    def dismiss(self) -> None:
        """End all actors."""
        self._release_idle()
        for hired in (*self._arriving.values(), *self._arrived):
            self._ray.kill(hired.actor)
        self._news.shutdown(force=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
