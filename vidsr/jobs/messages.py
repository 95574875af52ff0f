"""What passes between the runner and its workers: orders one way, news the other, all of it plain JSON values."""

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
    """What all orders of one job have in common; sent to each worker once.

    ``source`` and ``folder`` (the job folder) are absolute paths; ``options`` are those of the whole job, as
    :meth:`vidsr.options.EnhanceOptions.to_json` writes them, filters and encoder included. With the manifest's
    binding they determine every byte of a segment, as x264 and x265 write other bits with another thread count.
    ``lock_mark`` is what the runner wrote into the folder's lock: whoever reads the same there sees the same folder.
    """

    job: str
    source: str
    folder: str
    options: dict[str, Any]
    model_sha256: str
    encoder: str
    encoder_threads: int
    lock_mark: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Make one segment. ``rung`` is the rung of the ladder of fallbacks to begin at; 0 is as asked."""

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
    """``frames`` frames of the segment in work are encoded."""

    number: int
    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A segment is finished and its file has its name."""

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
        """The news of this error; an error that is not ours keeps its class name in the message."""
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


News = Progressed | Made | Failed | Remark
Report = Callable[[News], None]


def news_to_json(news: News) -> dict[str, Any]:
    """News as plain JSON values."""
    return {"news": type(news).__name__, **dataclasses.asdict(news)}


def news_from_json(data: dict[str, Any]) -> News:
    """The inverse of :func:`news_to_json`.

    Raises:
        JobError: the data is no news.
    """
    values = dict(data)
    kind = values.pop("news", None)
    try:
        if kind == "Made":
            return Made(number=values["number"], finished=Finished(**values["finished"]))
        kinds: dict[Any, type[Progressed | Failed | Remark]]
        kinds = {"Progressed": Progressed, "Failed": Failed, "Remark": Remark}
        return kinds[kind](**values)
    except (KeyError, TypeError) as error:
        raise JobError(f"a worker sent {data!r}, which is no news") from error
