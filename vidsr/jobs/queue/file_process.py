"""The process that does the files of a queue, ``python -m vidsr.jobs.queue.file_process``: JSON lines in and out.

Files are opened here and never in the queue itself: a decoder that crashes or hangs takes down only this process. It
ends when its stdin does, so that it never outlives the queue.

Orders: ``start`` with the options; ``look`` at a file; ``enhance`` a file; ``stop``, softly or now.
Answers: ``ready`` or ``broken``; ``looked``, ``done``, ``failed`` or ``stopped`` for each file; ``event`` in between.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vidsr.errors import InputError, Interrupted
from vidsr.jobs.messages import Failed
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event
from vidsr.options.enhance_options import AUTO_MODEL, EnhanceOptions

if TYPE_CHECKING:
    from vidsr.inference.upscaler import Upscaler

Say = Callable[[dict[str, Any]], None]
_FRAME_EVENT_SECONDS = 0.2


def main() -> None:
    """Serve orders until stdin ends."""
    # Ctrl-C reaches the whole process group; when to stop is the queue's decision alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints must not be read as our messages

    def say(message: dict[str, Any]) -> None:
        try:
            out.write(json.dumps(message) + "\n")
        except OSError:
            os._exit(1)  # the queue is gone

    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    stop = Stop()
    threading.Thread(target=_read, args=(sys.stdin, inbox, stop), daemon=True, name="vidsr-orders").start()
    start = inbox.get()
    try:
        options = EnhanceOptions.from_json(start["options"])
        with contextlib.ExitStack() as stack:
            say({"say": "ready", **_prepare(options, stack)})
            desk = _Desk(say, stop)
            while True:
                desk.serve(inbox.get())
    except Exception as error:
        say({"say": "broken", **_failure(error)})


def _prepare(options: EnhanceOptions, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Load the model and look at the machine or the cluster."""
    import torch

    from vidsr.jobs.choosing.settle import weights_of
    from vidsr.jobs.engines.engine import check_devices

    check_devices(options)
    weights = weights_of(options)
    facts = {
        "model_sha256": weights.sha256,
        "scale": weights.scale,
        "gpus": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "capacity": 1,
    }
    if options.jobs.engine == "ray" and options.jobs.address is not None:
        from vidsr.jobs.engines.ray_cluster import connected_capacity

        facts["capacity"] = stack.enter_context(connected_capacity(options))
    return facts


def _read(source: IO[str], inbox: queue.SimpleQueue[dict[str, Any]], stop: Stop) -> None:
    for line in source:
        order = json.loads(line)
        if order["do"] != "stop":
            inbox.put(order)
        elif order["now"]:
            stop.now()
        else:
            stop.soft.set()
    os._exit(0)


class _Desk:
    """Serves one order after the other; keeps the network for pictures between them."""

    def __init__(self, say: Say, stop: Stop) -> None:
        self._say = say
        self._stop = stop
        self._network: tuple[str, Upscaler] | None = None

    def serve(self, order: dict[str, Any]) -> None:
        """Do what one order asks for, and answer."""
        try:
            options = EnhanceOptions.from_json(order["options"])
            if order["do"] == "look":
                answer = {"say": "looked", **look(Path(order["source"]), options, picture=order["kind"] == "picture")}
            else:
                answer = {"say": "done", "result": self._enhance(order, options)}
        except Interrupted:
            answer = {"say": "stopped"}
        except Exception as error:
            answer = {"say": "failed", **_failure(error)}
        self._say(answer | {"id": order["id"]})

    def _enhance(self, order: dict[str, Any], options: EnhanceOptions) -> dict[str, Any]:
        from vidsr.jobs.enhance import enhance_source

        output = Path(order["output"])
        output.parent.mkdir(parents=True, exist_ok=True)
        # What "auto" takes depends on the picture.
        named = options.model.model != AUTO_MODEL
        upscaler = self._upscaler(options) if order["kind"] == "picture" and named else None
        send_event = _EventSender(self._say, order["id"])
        result = enhance_source(
            Path(order["source"]), output, options, progress=send_event, stop=self._stop, upscaler=upscaler
        )
        return result.to_json()

    def _upscaler(self, options: EnhanceOptions) -> Upscaler:
        from vidsr.inference.upscaler import Upscaler
        from vidsr.jobs.invention.limit import limit_of

        key = json.dumps([options.model.to_json(), options.restore.invent], sort_keys=True)
        if self._network is None or self._network[0] != key:
            self._network = key, Upscaler(options.model, limit=limit_of(options.restore))
        return self._network[1]


def look(source: Path, options: EnhanceOptions, *, picture: bool) -> dict[str, Any]:
    """What a queue wants to know of a file before its work: frames, size, the suffix of its result.

    Raises:
        VidsrError: it cannot be read.
    """
    if picture:
        from vidsr.media.pictures.files import mapped_errors, open_image

        with mapped_errors(source, InputError, "cannot be read"), open_image(source) as image:
            suffix = f".{options.pictures.picture_format}" if options.pictures.picture_format else source.suffix
            return {"frames": 1, "size": list(image.size), "suffix": suffix}
    from vidsr.jobs.open_source import open_source
    from vidsr.media.encode.codec_choice import choose_codec
    from vidsr.media.mux.containers import choose_suffix
    from vidsr.media.samples import expected_frames

    info = open_source(source, options)
    return {
        "frames": expected_frames(info) or 0,
        "size": [info.video.width, info.video.height],
        "suffix": choose_suffix(info, choose_codec(info, options.encode, "")[0].codec),
    }


def _failure(error: Exception) -> dict[str, Any]:
    from vidsr.errors import VidsrError

    if not isinstance(error, VidsrError):
        traceback.print_exception(error)  # stderr is the queue's log
    failed = Failed.of(-1, error)
    return {"kind": failed.kind, "message": failed.message}


class _EventSender:
    """Sends a job's events to the queue, frame counts at most five times a second."""

    def __init__(self, say: Say, id: str) -> None:
        self._say = say
        self._id = id
        self._next = 0.0

    def __call__(self, event: Event) -> None:
        if event.kind == "frame":
            if time.monotonic() < self._next and event.frames < event.total_frames:
                return
            self._next = time.monotonic() + _FRAME_EVENT_SECONDS
        self._say({"say": "event", "id": self._id, "event": dataclasses.asdict(event)})


if __name__ == "__main__":
    main()
