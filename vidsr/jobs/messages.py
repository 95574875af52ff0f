"""Messages between the runner and its workers: orders to them, news from them, all as plain JSON values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vidsr import errors
from vidsr.errors import JobError, VidsrError
from vidsr.jobs.state.manifest import Finished
from vidsr.jobs.state.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all orders of one job share; sent to each worker once.

    ``source`` and ``folder`` (the job folder) are absolute paths; ``options`` are those of the whole job, as
    :meth:`vidsr.options.enhance_options.EnhanceOptions.to_json` writes them, filters and encoder included. With the
    manifest's binding they determine every byte of a segment; the bytes of x264 and x265 depend on the thread count.
    ``pictures`` is the suffix of numbered pictures, empty where the result is a video. ``lock_mark`` is what the runner
    wrote into the folder's lock: a worker that reads the same there sees the same folder.
    """

    job: str
    source: str
    folder: str
    options: dict[str, Any]
    model_sha256: str
    encoder: str
    encoder_threads: int
    pictures: str = ""
    lock_mark: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Make one segment, starting at ``rung`` of the fallback ladder; rung 0 is the work as asked for."""

    segment: Segment
    rung: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Order:
        """The inverse of :meth:`to_json`."""
        return cls(segment=Segment(**data["segment"]), rung=data["rung"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """``frames`` frames of the segment are encoded so far."""

    number: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The last frame of the segment is decoded: its worker has room for the next order."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """The segment was given up before its network began, because a stop was requested."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A segment is finished: its file is whole and under its final name."""

    number: int
    finished: Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A segment could not be made, after every retry. ``kind`` is the error's class name in vidsr.errors."""

    number: int
    kind: str
    message: str

    @classmethod
    def of(cls, number: int, error: BaseException) -> Failed:
        """The news of an error; the message of one that is not vidsr's begins with its class name."""
        if isinstance(error, VidsrError):
            return cls(number=number, kind=type(error).__name__, message=str(error))
        return cls(number=number, kind="JobError", message=f"{type(error).__name__}: {error}")

    def error(self) -> VidsrError:
        """The error as an exception again."""
        kind = getattr(errors, self.kind, JobError)
        known = isinstance(kind, type) and issubclass(kind, VidsrError)
        result: VidsrError = (kind if known else JobError)(self.message)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something for the log and, with ``warning``, for the user."""

    text: str
    warning: bool = False


#: To a worker process, in place of an order: drop what the network has not begun.
STOP_SOON = {"stop": "soon"}

News = Progressed | Read | Dropped | Made | Failed | Remark
SendNews = Callable[[News], None]


def news_to_json(news: News) -> dict[str, Any]:
    """News as plain JSON values."""
    return {"news": type(news).__name__, **dataclasses.asdict(news)}


def news_from_json(data: dict[str, Any]) -> News:
    """The inverse of :func:`news_to_json`.

    Raises:
        JobError: the data is not a known message.
    """
    values = dict(data)
    kind = values.pop("news", None)
    try:
        if kind == "Made":
            return Made(number=values["number"], finished=Finished(**values["finished"]))
        kinds: dict[Any, type[Progressed | Read | Dropped | Failed | Remark]]
        kinds = {"Progressed": Progressed, "Read": Read, "Dropped": Dropped, "Failed": Failed, "Remark": Remark}
        return kinds[kind](**values)
    except (KeyError, TypeError) as error:
        raise JobError(f"a worker sent an unknown message: {data!r}") from error
