"""Workers: who makes the segments. Each engine takes orders and reports back; none of them knows the manifest.

- :class:`Inline`: this process, the segments in order; what one device needs.
- :class:`vidsr.jobs.engines.local_processes.LocalEngine`: one process for each device or share of the CPU.
- :class:`vidsr.jobs.engines.ray_cluster.RayEngine`: actors of a Ray cluster.
"""

from __future__ import annotations

import os
import queue
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vidsr.errors import Interrupted, OptionsError
from vidsr.jobs.engines.overlap import Load, Overlapped
from vidsr.jobs.messages import Dropped, News, Order, Read, SendNews
from vidsr.jobs.segment_worker import HOPELESS, SegmentWorker
from vidsr.jobs.state.cancel import Stop
from vidsr.options.enhance_options import EnhanceOptions

#: Names of errors that every other segment would meet too.
HOPELESS_KINDS = frozenset({"DiskFullError", *(kind.__name__ for kind in HOPELESS)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Where one worker computes: a device name, and the CPU threads of its network (None: all)."""

    device: str
    threads: int | None = None


class Engine(Protocol):
    """Makes segments until every order is settled or a stop is requested."""

    def run(self, orders: Sequence[Order], stop: Stop, report: SendNews) -> None:
        """Settle each order with one :class:`Made` or :class:`Failed`, sent to ``report`` in the caller's thread.

        After ``stop.soft`` no further order is begun; what the network has begun is finished.

        Raises:
            Interrupted: ``stop.hard`` was set; what was in progress is dropped.
            JobError: no worker can be started.
        """


class Inline:
    """The engine without processes."""

    def __init__(self, worker: SegmentWorker) -> None:
        self._worker = worker

    def run(self, orders: Sequence[Order], stop: Stop, report: SendNews) -> None:
        """See :meth:`Engine.run`."""
        waiting, heard = deque(orders), queue.SimpleQueue[News]()
        crew, load = Overlapped(self._worker, heard.put, stop.soft.is_set), Load()
        try:
            while load.busy() or (waiting and not stop.soft.is_set()):
                if waiting and load.has_room() and not stop.soft.is_set():
                    load.take(waiting[0])
                    crew.begin(waiting.popleft())
                if stop.hard.is_set():
                    raise Interrupted("stopped on request")
                try:
                    news = heard.get(timeout=0.1)
                except queue.Empty:
                    continue
                load.follow(news)
                if not isinstance(news, Read | Dropped):
                    report(news)
        finally:
            crew.end()
            self._worker.close()


def check_devices(options: EnhanceOptions) -> None:
    """Refuse devices that are not available, before any work.

    Raises:
        OptionsError: they contradict each other, are not here, or are Ray's to choose.
    """
    named = [slot.device for slot in choose_slots(options, gpus=0)]
    if options.jobs.engine != "ray":
        from vidsr.inference.device import choose_device

        for name in dict.fromkeys(named):
            choose_device(name)
    elif options.jobs.devices is not None or named[0] not in ("auto", "cpu", "cuda"):
        raise OptionsError("--engine ray: Ray chooses the devices; --device cpu keeps to CPUs, --workers says how many")


def choose_slots(options: EnhanceOptions, gpus: int, cores: int | None = None) -> list[Slot]:
    """One slot for each worker, from the options and the number of GPUs of this machine.

    Raises:
        OptionsError: ``--device`` and ``--devices`` are both given.
    """
    jobs, device = options.jobs, options.model.device
    devices = list(jobs.device_list())
    if devices and device != "auto":
        raise OptionsError("--device and --devices contradict each other: give one")
    if not devices:
        devices = [f"cuda:{n}" for n in range(gpus)] if device == "auto" and gpus > 1 else [device]
    count = jobs.workers or len(devices)
    chosen = [devices[n % len(devices)] for n in range(count)]
    threads = jobs.threads
    if threads is None and count > 1 and "OMP_NUM_THREADS" not in os.environ:
        threads = max(1, (cores or os.cpu_count() or 1) // count)
    return [Slot(device=name, threads=threads) for name in chosen]
