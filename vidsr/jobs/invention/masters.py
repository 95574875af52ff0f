"""``--masters``: two results of one pass over a source, a preservation master next to the enhanced access copy.

The master is what the same command would write with ``--invent 0 --codec ffv1`` into Matroska: the result of the
faithful network, with the same filters and steps, without loss. Source frames are decoded and filtered once; each then
goes through both networks, and a segment of the job is two files.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType

from vidsr.errors import EncodeError, OptionsError
from vidsr.frames import Frame
from vidsr.jobs.invention.master_name import MASTER_CODEC
from vidsr.media.encode.encoder import SegmentEncoder
from vidsr.models.checkpoint import LoadedModel
from vidsr.models.zoo import FAITHFUL_MODEL, ZOO
from vidsr.options.enhance_options import EncodeOptions, EnhanceOptions
from vidsr.pipeline.segment import Upscale


def master_options(options: EnhanceOptions) -> EnhanceOptions:
    """The options of the job that would make the master alone."""
    return dataclasses.replace(
        options,
        restore=dataclasses.replace(options.restore, invent=0.0),
        encode=EncodeOptions(codec=MASTER_CODEC, bit_depth=options.encode.bit_depth),
        output=dataclasses.replace(options.output, masters=False),
    )


def refuse_masters(options: EnhanceOptions, model: LoadedModel, *, numbered: bool) -> None:
    """Refuse two results that make no sense.

    Raises:
        OptionsError: the access copy would be numbered pictures, or the same pictures as the master.
    """
    if numbered:
        raise OptionsError(
            "--masters writes two videos, film.mkv and film.master.mkv, and numbered pictures are none: name a video "
            "as --output; or make the two in two jobs, the pictures without --masters, and the master with "
            "--invent 0 --codec ffv1 --output film.master.mkv"
        )
    if options.restore.invent == 0 or model.sha256 == ZOO[FAITHFUL_MODEL].sha256:
        given = "--invent 0" if options.restore.invent == 0 else f"--model {FAITHFUL_MODEL}"
        raise OptionsError(f"--masters with {given}: both results would show the same; leave one of the two out")


def with_masters(access: Upscale, master: Upscale) -> Upscale:
    """One transformer whose frames are those of ``access``, each with that of ``master`` as its ``master``."""

    def both(frames: Iterator[Frame]) -> Iterator[Frame]:
        first, second = _shared(frames)
        streams = access(first), master(second)
        try:
            for frame, other in zip(*streams, strict=True):
                yield dataclasses.replace(frame, master=other)
        finally:
            for stream in streams:
                close = getattr(stream, "close", None)
                if close is not None:
                    close()

    return both


def _shared(frames: Iterator[Frame]) -> tuple[Iterator[Frame], Iterator[Frame]]:
    """The frames twice; each is let go once both have taken it (``itertools.tee`` keeps them in blocks of 57)."""
    waiting: tuple[deque[Frame], deque[Frame]] = (deque(), deque())

    def taken(own: deque[Frame]) -> Iterator[Frame]:
        while own or take():
            yield own.popleft()

    def take() -> bool:
        frame = next(frames, None)
        if frame is not None:
            for queue in waiting:
                queue.append(frame)
        return frame is not None

    return taken(waiting[0]), taken(waiting[1])


class MasterSink:
    """Writes a segment of the access copy and that of the master, both whole or neither; a context manager.

    Args:
        access, master: open the encoders of the two files.
    """

    def __init__(self, access: Callable[[], SegmentEncoder], master: Callable[[], SegmentEncoder]) -> None:
        self._open = access, master
        self._stack = ExitStack()

    def __enter__(self) -> MasterSink:
        with ExitStack() as stack:
            self._access, self._master = (stack.enter_context(make()) for make in self._open)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def frames(self) -> int:
        """Frames written to either."""
        return self._access.frames

    def write(self, frame: Frame) -> None:
        """Encode one frame and its master.

        Raises:
            EncodeError: the frame has no master, or an encoder failed.
        """
        if frame.master is None:
            raise EncodeError(f"frame {frame.index} came without its master")
        self._access.write(frame)
        self._master.write(frame.master)
