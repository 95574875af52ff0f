"""The videos that take part in a comparison: opened, described, and how each was made."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidsr.jobs.compare.views import Opened
from vidsr.jobs.provenance import SCHEMA, sidecar_of
from vidsr.jobs.state.events import Event, Progress
from vidsr.media.index import index_packets, index_video
from vidsr.media.probe import probe
from vidsr.media.span import find_span
from vidsr.options.span_options import SpanOptions
from vidsr.storage import sha256_of

if TYPE_CHECKING:
    from vidsr.quality.comparison import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A video that takes part: where it is, what it is, and its digest."""

    path: Path
    sha256: str
    width: int
    height: int
    frames: int
    format: str
    codec: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "width": self.width,
            "height": self.height,
            "frames": self.frames,
            "format": self.format,
            "codec": self.codec,
        }


def open_part(
    path: Path, progress: Progress, span: SpanOptions, within: Opened | None = None, *, written: int | None = None
) -> Opened:
    """A video and the part of it that ``span`` names; all of one that is no longer than the part of ``within``.

    ``written``: vidsr has just written so many frames to it, so that its packets say when they are shown.
    """
    info = probe(path)
    progress(Event(kind="stage", text=f"reading {path.name}"))
    index = index_video(info) if written is None else index_packets(info, written)
    whole = Opened(info, index, range(len(index)))
    if span.is_whole or (within is not None and whole.length() <= within.length() + whole.step()):
        return whole
    found = find_span(span, index, path.name)
    return whole if found is None else Opened(info, index, range(found.first, found.stop))


def job_of(party: Party) -> dict[str, Any] | None:
    """Model, options and software that made a video, if the record next to it describes exactly this file."""
    try:
        record = json.loads(sidecar_of(party.path).read_text(encoding="utf-8"))
        if record["schema"] != SCHEMA or record["result"]["sha256"] != party.sha256:
            return None
        return {key: record[key] for key in ("model", "options", "source", "software", "not_kept")}
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no record, or none that says anything of this file


def party_of(opened: Opened) -> Party:
    """Its description, with the digest of the file."""
    video, path = opened.info.video, Path(opened.info.path)
    return Party(
        path=path,
        sha256=sha256_of(path),
        width=video.width,
        height=video.height,
        frames=len(opened.index),
        format=video.native_format,
        codec=video.codec,
    )


def frames_csv(names: Sequence[str], videos: Sequence[tuple[Party, Measured]]) -> str:
    """One line per measured frame of each video: its path, its time, and the measures of these names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "seconds", *names])
    for party, measured in videos:
        columns = [measured.values.get(name) for name in names]
        for i, seconds in enumerate(measured.seconds):
            values = ["" if c is None or c[i] is None else f"{c[i]:.6f}" for c in columns]
            writer.writerow([str(party.path), f"{seconds:.6f}", *values])
    return text.getvalue()
