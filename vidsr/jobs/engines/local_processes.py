"""Worker processes on this machine: fed in the given order, a crashed worker's segment goes to another."""

from __future__ import annotations

import queue
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vidsr.errors import Interrupted, JobError, VidsrError
from vidsr.jobs.engines.engine import HOPELESS_KINDS, Slot
from vidsr.jobs.engines.json_process import JsonProcess, describe_exit
from vidsr.jobs.engines.overlap import Load
from vidsr.jobs.engines.own_gpu import ONLY_GPU, gpu_alone, in_users_names
from vidsr.jobs.engines.subprocess_env import child_environment, python_module
from vidsr.jobs.messages import (
    STOP_SOON,
    Dropped,
    Failed,
    Order,
    Progressed,
    Read,
    Remark,
    SendNews,
    Task,
    news_from_json,
)
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.job_folders import WORKERS_LOG_NAME

#: Maximum worker crashes per segment before the segment fails.
CRASHES_PER_SEGMENT = 3
#: Maximum times a worker may end before taking a segment; then the others continue without it.
CRASHES_AT_START = 2

_Inbox = queue.SimpleQueue[tuple["_Worker", dict[str, Any] | None]]


class LocalEngine:
    """One process for each slot, started afresh for each run; see :class:`vidsr.jobs.engines.engine.Engine`."""

    def __init__(self, task: Task, slots: Sequence[Slot], command: Sequence[str] | None = None) -> None:
        """``command`` starts one worker process; :mod:`vidsr.jobs.engines.process_main` if not given."""
        self._task = task
        self._slots = tuple(slots)
        self._command = tuple(command or python_module("vidsr.jobs.engines.process_main"))

    def run(self, orders: Sequence[Order], stop: Stop, report: SendNews) -> None:
        """See :meth:`vidsr.jobs.engines.engine.Engine.run`."""
        crew = _Crew(self._task, self._command, orders, report)
        try:
            for number, slot in enumerate(self._slots[: len(orders)]):
                crew.hire(number, slot)
            while crew.busy() or (crew.waiting and not stop.soft.is_set()):
                if stop.hard.is_set():
                    raise Interrupted("stopped on request; the segments in progress were dropped")
                if stop.soft.is_set():
                    crew.stop_soon()
                crew.handle(stop)
        finally:
            crew.dismiss()


class _Crew:
    """The workers of one run and the orders that wait for them."""

    def __init__(self, task: Task, command: Sequence[str], orders: Sequence[Order], report: SendNews) -> None:
        self.waiting = deque(orders)
        self._command = command
        self._task = task
        self._report = report
        self._inbox: _Inbox = queue.SimpleQueue()
        self._workers: dict[int, _Worker] = {}
        self._crashes: Counter[int] = Counter()
        self._start_crashes: Counter[int] = Counter()
        self._stopping = False

    def hire(self, number: int, slot: Slot) -> None:
        """Start one worker process."""
        self._workers[number] = _Worker(number, slot, self._task, self._command, self._inbox)

    def busy(self) -> bool:
        """Whether any worker has an order in progress."""
        return any(worker.load.busy() for worker in self._workers.values())

    def stop_soon(self) -> None:
        """Have the workers drop what they have only read ahead; once."""
        if not self._stopping:
            self._stopping = True
            for worker in self._workers.values():
                worker.stop_soon()

    def handle(self, stop: Stop) -> None:
        """Wait a moment for one message and act on it.

        Raises:
            VidsrError: no worker can work.
        """
        try:
            worker, message = self._inbox.get(timeout=0.1)
        except queue.Empty:
            return
        if self._workers.get(worker.number) is not worker:
            return
        if message is None:
            self._ended(worker, stop)
            return
        if message["news"] == "Broken":
            self._go_on_without(worker, Failed(number=-1, kind=message["kind"], message=message["message"]).error())
            return
        if message["news"] == "Ready":
            self._start_crashes[worker.number] = 0
            worker.ready = True
            if message["encoder"] != self._task.encoder:
                raise JobError(f"worker {worker.name} has {message['encoder']}, the job needs {self._task.encoder}")
        else:
            news = news_from_json(message)
            worker.load.follow(news)
            if not isinstance(news, Read | Dropped):
                self._report(news)
            if isinstance(news, Progressed | Remark):
                return
        self._feed(worker, stop)

    def _feed(self, worker: _Worker, stop: Stop) -> None:
        """Hand the next order to a worker that has room. A segment that was in progress at a crash is made alone: if
        that crashes again, it is to blame."""
        if not self.waiting or stop.soft.is_set() or not worker.load.has_room():
            return
        suspect = self._crashes[self.waiting[0].segment.number] > 0
        if not (suspect and worker.load.busy()):
            worker.take(self.waiting.popleft(), alone=suspect)

    def _ended(self, worker: _Worker, stop: Stop) -> None:
        """A worker process is gone: hand its orders on, and replace it."""
        how = describe_exit(worker.end(kill=False))
        worker.ready = False
        orders = worker.load.clear()
        if orders:
            self._hand_on(orders, worker, how)
        else:
            self._start_crashes[worker.number] += 1
            if self._start_crashes[worker.number] >= CRASHES_AT_START:
                message = f"worker {worker.name} {how} before it took any work; see {worker.log}"
                self._go_on_without(worker, JobError(message))
                return
        for idle in self._workers.values():
            if idle.ready and not idle.load.busy() and idle is not worker:
                self._feed(idle, stop)
        if self.waiting and not stop.soft.is_set():
            self.hire(worker.number, worker.slot)

    def _hand_on(self, orders: Sequence[Order], worker: _Worker, how: str) -> None:
        """Queue the orders of a worker that crashed again, unless they have crashed too often."""
        again: list[Order] = []
        for order in orders:
            number = order.segment.number
            self._crashes[number] += 1
            if self._crashes[number] >= CRASHES_PER_SEGMENT:
                message = f"its worker {how}, {self._crashes[number]} times; see {worker.log}"
                self._report(Failed(number=number, kind="JobError", message=message))
            else:
                # The first crash may be chance, and repeating it gives the same bytes; after that, use less memory.
                rung = order.rung + (self._crashes[number] > 1)
                again.append(Order(segment=order.segment, rung=rung))
        self.waiting.extendleft(reversed(again))
        if again:
            which = " and ".join(str(order.segment.number) for order in again)
            goes = f"segment {which} goes" if len(again) == 1 else f"segments {which} go"
            self._report(Remark(text=f"worker {worker.name} {how}; {goes} to another", warning=True))

    def _go_on_without(self, worker: _Worker, error: VidsrError) -> None:
        """Leave out a worker that cannot start: its device is broken, or in use by someone else.

        Raises:
            VidsrError: ``error``, if no other worker is left or none could work either.
        """
        worker.end()
        del self._workers[worker.number]
        if not self._workers or type(error).__name__ in HOPELESS_KINDS:
            raise error
        self._report(Remark(text=f"continuing without worker {worker.name}: {error}", warning=True))

    def dismiss(self) -> None:
        """End every worker process, at once."""
        for worker in self._workers.values():
            worker.end()


class _Worker:
    """One worker process and the thread that listens to it."""

    def __init__(self, number: int, slot: Slot, task: Task, command: Sequence[str], inbox: _Inbox) -> None:
        self.number = number
        self.slot = slot
        self.name = f"{number} ({slot.device})"
        self.load = Load()
        self.ready = False
        self.log = Path(task.folder) / WORKERS_LOG_NAME
        environment, device = _environment(slot), slot.device
        alone = gpu_alone(slot.device, environment, rocm=_is_rocm(slot.device))
        self._renamed = alone is not None
        if alone is not None:
            environment, device = alone, ONLY_GPU
        if self._renamed and slot.device != ONLY_GPU:
            with self.log.open("ab") as log:
                log.write(f"worker {self.name}: from here on the log calls {slot.device} {ONLY_GPU}\n".encode())
        self._process = JsonProcess(
            command, environment, self.log, lambda message: inbox.put((self, message)), translate=self._in_users_names
        )
        self._process.send({"task": task.to_json(), "device": device, "threads": slot.threads, "name": str(number)})

    def take(self, order: Order, *, alone: bool = False) -> None:
        """Hand an order to the process; if it is gone, its listener notices."""
        self.load.take(order, alone=alone)
        self._process.send(order.to_json())

    def stop_soon(self) -> None:
        """Have the process drop what its network has not begun."""
        self._process.send(STOP_SOON)

    def end(self, *, kill: bool = True) -> int:
        """Kill the process unless it ends by itself, and wait for it; its exit code.

        Segments appear only whole, so that nothing can be left half done.
        """
        return self._process.end(kill=kill)

    def _in_users_names(self, line: str) -> str:
        return in_users_names(line, self.slot.device) if self._renamed else line


def _environment(slot: Slot) -> dict[str, str]:
    """:func:`child_environment` with the thread count, which must be set before any library loads."""
    threads = {} if slot.threads is None else {"OMP_NUM_THREADS": str(slot.threads)}
    return child_environment() | threads


def _is_rocm(device: str) -> bool:
    if not device.startswith("cuda"):
        return False
    from vidsr.inference.device import is_rocm

    return is_rocm()
