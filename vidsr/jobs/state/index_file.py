"""The index of a source, kept in the job folder: a second pass over a long recording would cost hours.

A NumPy archive without pickles, read in milliseconds: rows of numbers, one or more for each frame, are arrays; all
else is JSON in the member ``json``. The archive's CRC-32s show damage.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
import zlib
from array import array
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vidsr.errors import JobError
from vidsr.filters.before.timeline import Timeline
from vidsr.filters.between.rate_table import RateTable
from vidsr.jobs.state.manifest import INDEX_NAME
from vidsr.media.index import VideoIndex
from vidsr.storage import write_atomically

_Table = TypeVar("_Table")

#: The member with everything that is not a row of numbers.
_JSON = "json"
_DAMAGE = (OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def save_index(
    index: VideoIndex, folder: Path, timeline: Timeline | None = None, table: RateTable | None = None
) -> None:
    """Write an index into a job folder, with the tables of a filter that changes frames or times and of ``--rate``.

    Raises:
        DiskFullError, JobError: it cannot be written.
    """
    values = {field.name: getattr(index, field.name) for field in dataclasses.fields(index)}
    values["time_base"] = str(index.time_base)
    values["shifts"] = [str(shift) for shift in index.shifts]
    parts = {"index": values}
    if timeline is not None:
        parts["timeline"] = timeline.to_values()
    if table is not None:
        parts["rate"] = table.to_values()
    rows = {
        f"{part}.{name}": np.asarray(value)
        for part, values in parts.items()
        for name, value in values.items()
        if isinstance(value, array)
    }
    plain = {
        part: {name: value for name, value in values.items() if not isinstance(value, array)}
        for part, values in parts.items()
    }
    rows[_JSON] = np.frombuffer(json.dumps(plain, separators=(",", ":")).encode(), np.uint8)
    file = io.BytesIO()
    np.savez(file, **rows)  # type: ignore[arg-type]
    write_atomically(folder / INDEX_NAME, file.getvalue())


def load_index(folder: Path) -> VideoIndex:
    """The index that :func:`save_index` wrote.

    Raises:
        JobError: it is missing or damaged.
    """
    found = _part(folder, "index", _index_of)
    if found is None:
        raise JobError(f"{folder / INDEX_NAME} holds no index; start the job over with --restart")
    return found


def load_timeline(folder: Path) -> Timeline | None:
    """The timeline that :func:`save_index` wrote, None if there was none.

    Raises:
        JobError: it is missing or damaged.
    """
    return _part(folder, "timeline", Timeline.from_values)


def load_rate_table(folder: Path) -> RateTable | None:
    """The table of ``--rate`` that :func:`save_index` wrote, None if there was none.

    Raises:
        JobError: it is missing or damaged.
    """
    return _part(folder, "rate", RateTable.from_values)


def _index_of(values: dict[str, Any]) -> VideoIndex:
    values = {name: _tuples(value) for name, value in values.items()}
    values["time_base"] = Fraction(values["time_base"])
    values["shifts"] = tuple(Fraction(shift) for shift in values["shifts"])
    return VideoIndex(**values)


def _part(folder: Path, part: str, read: Callable[[dict[str, Any]], _Table]) -> _Table | None:
    """The index or one of the tables beside it, from its values by name."""
    path = folder / INDEX_NAME
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            values = json.loads(file[_JSON].tobytes()).get(part)
            if values is None:
                return None
            for name in file.files:
                of, _, field = name.partition(".")
                if of == part:
                    values[field] = _packed(file[name])
        return read(values)
    except _DAMAGE as error:
        raise JobError(f"{path} is missing or damaged ({error}); start the job over with --restart") from error


def _packed(row: np.ndarray[Any, Any]) -> Any:
    return array("I" if row.dtype == np.uint32 else "q", row.tobytes())


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
