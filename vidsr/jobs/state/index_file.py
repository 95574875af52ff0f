"""The index of a source, kept in the job folder: a second pass over a long recording would cost hours."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from vidsr.errors import JobError
from vidsr.filters.before.timeline import Timeline
from vidsr.filters.between.rate_table import RateTable
from vidsr.jobs.state.manifest import INDEX_NAME
from vidsr.media.index import VideoIndex
from vidsr.storage import write_atomically

_Table = TypeVar("_Table")


def save_index(
    index: VideoIndex, folder: Path, timeline: Timeline | None = None, table: RateTable | None = None
) -> None:
    """Write an index into a job folder, with the tables of a filter that changes frames or times and of ``--rate``.

    Raises:
        DiskFullError, JobError: it cannot be written.
    """
    data = dataclasses.asdict(index)
    data["time_base"] = str(index.time_base)
    data["shifts"] = [str(shift) for shift in index.shifts]
    if timeline is not None:
        data["timeline"] = timeline.to_json()
    if table is not None:
        data["rate"] = table.to_json()
    write_atomically(folder / INDEX_NAME, json.dumps(data, separators=(",", ":")).encode())


def load_index(folder: Path) -> VideoIndex:
    """The index that :func:`save_index` wrote.

    Raises:
        JobError: it is missing or damaged.
    """
    path = folder / INDEX_NAME
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        data.pop("timeline", None)
        data.pop("rate", None)
        values = {key: _tuples(value) for key, value in data.items()}
        values["time_base"] = Fraction(data["time_base"])
        values["shifts"] = tuple(Fraction(shift) for shift in data["shifts"])
        return VideoIndex(**values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise JobError(f"{path} is missing or damaged ({error}); start the job over with --restart") from error


def load_timeline(folder: Path) -> Timeline | None:
    """The timeline that :func:`save_index` wrote, None if there was none.

    Raises:
        JobError: it is missing or damaged.
    """
    return _part(folder, "timeline", Timeline.from_json)


def load_rate_table(folder: Path) -> RateTable | None:
    """The table of ``--rate`` that :func:`save_index` wrote, None if there was none.

    Raises:
        JobError: it is missing or damaged.
    """
    return _part(folder, "rate", RateTable.from_json)


def _part(folder: Path, name: str, read: Callable[[dict[str, Any]], _Table]) -> _Table | None:
    """One of the tables beside an index."""
    path = folder / INDEX_NAME
    try:
        table = json.loads(path.read_text(encoding="utf-8")).get(name)
        return None if table is None else read(table)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise JobError(f"{path} is missing or damaged ({error}); start the job over with --restart") from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
