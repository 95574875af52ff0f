"""A small job to stop, break and resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle
from vidsr import enhance
from vidsr.errors import Interrupted
from vidsr.jobs.state import job_folders
from vidsr.jobs.state.cancel import Stop
from vidsr.jobs.state.events import Event


@dataclass
class SmallJob:
    """A copy of the basic clip (24 frames, 4 segments), its undisturbed result, and what was heard of the last run."""

    folder: Path
    model: Path
    wanted: str
    events: list[Event] = field(default_factory=list)

    @property
    def source(self) -> Path:
        return self.folder / "clip.mp4"

    @property
    def output(self) -> Path:
        return self.folder / "out.mkv"

    @property
    def job(self) -> Path:
        return job_folders.job_folder(self.output)

    def run(self, progress: Callable[[Event], None] | None = None, **options: Any) -> Any:
        self.events.clear()

        def hear(event: Event) -> None:
            self.events.append(event)
            if progress is not None:
                progress(event)

        flat = {"model": str(self.model), "scale": 2, "segment_frames": 6, **options}
        return enhance(self.source, self.output, progress=hear, **flat)

    def stop_after(self, segments: int, **options: Any) -> None:
        """Run until so many segments are made, then stop as the first Ctrl-C does."""
        stop = Stop()

        def count(event: Event) -> None:
            if sum(e.kind == "segment" for e in self.events) >= segments:
                stop.soft.set()

        with pytest.raises(Interrupted, match=f"{segments} of 4 segments are done; to resume: vidsr jobs resume"):
            self.run(count, stop=stop, **options)
        assert not self.output.exists()

    def made(self) -> list[int]:
        return sorted(e.segment for e in self.events if e.kind == "segment" and e.segment is not None)

    def texts(self, kind: str) -> str:
        return "\n".join(e.text for e in self.events if e.kind == kind)

    def check(self) -> None:
        """The result is right, and nothing else is left."""
        assert oracle.digest(self.output) == self.wanted
        assert sorted(p.name for p in self.folder.iterdir()) == ["clip.mp4", "out.mkv"]
