"""The index of a source, kept in the job folder: a second pass over a long recording would cost hours."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidsr.errors import JobError
from vidsr.filters.before.timeline import Timeline
from vidsr.jobs.state.manifest import INDEX_NAME
from vidsr.media.index import VideoIndex
from vidsr.storage import write_atomically


def save_index(index: VideoIndex, folder: Path, timeline: Timeline | None = None) -> None:
    """Write an index into a job folder, with the table of a filter that changes frames or times.

    Raises:
        DiskFullError, JobError: it cannot be written.
    """
    data = dataclasses.asdict(index)
    data["time_base"] = str(index.time_base)
    data["shifts"] = [str(shift) for shift in index.shifts]
    if timeline is not None:
        data["timeline"] = timeline.to_json()
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
        values = {key: _tuples(value) for key, value in data.items()}
        values["time_base"] = Fraction(data["time_base"])
        values["shifts"] = tuple(Fraction(shift) for shift in data["shifts"])
        return VideoIndex(**values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise JobError(f"{path} is missing or damaged ({error}); start the job over with --restart") from error


def load_timeline(folder: Path) -> Timeline | None:
    """The table that :func:`save_index` wrote, None if there was none.

    Raises:
        JobError: it is missing or damaged.
    """
    path = folder / INDEX_NAME
    try:
        table = json.loads(path.read_text(encoding="utf-8")).get("timeline")
        return None if table is None else Timeline.from_json(table)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise JobError(f"{path} is missing or damaged ({error}); start the job over with --restart") from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
