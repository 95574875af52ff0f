"""The worker process, ``python -m vidsr.jobs.engines.process_main``: JSON lines on stdin and stdout.

It ends when its stdin does, so that no worker outlives the process that started it, however that ended.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import IO, Any

from vidsr.errors import VidsrError
from vidsr.jobs.messages import STOP_SOON, Failed, Order, Task, news_to_json


def main() -> None:
    """Serve orders until stdin ends."""
    # Ctrl-C reaches the whole process group; when to stop is the runner's decision alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints must not be read as our messages
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, inbox), daemon=True, name="vidsr-orders").start()

    speaking = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        try:
            with speaking:
                out.write(json.dumps(message) + "\n")
        except OSError:
            os._exit(1)  # the runner is gone

    start = inbox.get()
    try:
        worker = _worker(start)
    except Exception as error:
        say({"news": "Broken", **_failure(error)})
        return
    say({"news": "Ready", **worker.describe()})

    from vidsr.jobs.engines.overlap import Overlapped

    stopping = threading.Event()
    crew = Overlapped(worker, lambda news: say(news_to_json(news)), stopping.is_set)
    while True:
        message = inbox.get()
        if message == STOP_SOON:
            stopping.set()
        else:
            crew.begin(Order.from_json(message))


def _worker(start: dict[str, Any]) -> Any:
    from vidsr.jobs.segment_worker import SegmentWorker

    return SegmentWorker(Task(**start["task"]), device=start["device"], threads=start["threads"], name=start["name"])


def _failure(error: Exception) -> dict[str, Any]:
    if not isinstance(error, VidsrError):
        traceback.print_exception(error)  # stderr is the workers' log
    failed = Failed.of(-1, error)
    return {"kind": failed.kind, "message": failed.message}


def _read(source: IO[str], inbox: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in source:
        inbox.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
