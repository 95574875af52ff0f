"""What ``enhance`` returns: one type for videos, pictures, folders and numbered pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from vidsr.filters.detect.lost_frames import timecode
from vidsr.filters.undo.change_count import FilterChanges
from vidsr.media.span import Span
from vidsr.pipeline.segment import SegmentStats

ResultKind = Literal["video", "picture", "folder", "sequence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureResult:
    """One enhanced picture file. Sizes are (width, height) in pixels; ``frames`` is above 1 for an animation.

    ``notes`` list what could not be kept.
    """

    source: Path
    output: Path
    source_size: tuple[int, int]
    size: tuple[int, int]
    seconds: float
    frames: int = 1
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, paths as text."""
        return {
            "source": str(self.source),
            "output": str(self.output),
            "source_size": list(self.source_size),
            "size": list(self.size),
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceResult:
    """A finished job: where the result is, how it was computed, and where the time went.

    Attributes:
        kind: "video", "picture", "folder" (of pictures) or "sequence" (numbered pictures).
        output: the file or folder written; for a sequence, its pattern (``frames/%06d.png``).
        frames: frames in the result; for a folder, pictures. Those made by earlier runs of the job are included.
        seconds: wall-clock time of this run.
        notes: what could not be kept, and every fallback that was needed.
        model: name or file of the model.
        device: where it ran, such as "cpu" or "cuda:0"; several are separated by ", ".
        precision: "fp32", "fp16" or "bf16".
        size: (width, height) of the result in pixels; None for a folder.
        codec: of a video, as ``--codec`` names it; "" otherwise.
        span: the part of the source that the result is made of; None for all of it.
        resumed_frames: how many of ``frames`` were made by earlier runs.
        reused_frames: frames that repeated their predecessor and were not computed again.
        reused_area: share of all pixels that ``--reuse-regions`` kept, 0 to 1.
        neighbours: for ``--multiframe``, runs of frames (first, last + 1, what spoke against it there); "" where it was
            used.
        made: frames made in between others for ``--rate`` or refill, as progressions (first, stop, step).
        master: the preservation master that ``--masters`` wrote as well; None without one.
        held: frames of these that were not made, because of a cut: they repeat the nearer of their neighbours.
        text_held: whether small text was held to what the source supports.
        changes: what each filter ahead of the network changed, in the order in which they act; times are seconds from
            the start of the source.
        stats: seconds that each stage of the pipeline worked and waited; zeros for pictures and folders.
        pictures: for a folder, one entry for each picture made by this run.
        skipped: for a folder, (path relative to the source folder, reason) of each file left out.
    """

    output: Path
    frames: int
    seconds: float
    model: str
    device: str
    precision: str
    kind: ResultKind = "video"
    size: tuple[int, int] | None = None
    codec: str = ""
    span: Span | None = None
    stats: SegmentStats = field(default_factory=SegmentStats)
    resumed_frames: int = 0
    reused_frames: int = 0
    reused_area: float = 0.0
    neighbours: tuple[tuple[int, int, str], ...] = ()
    made: tuple[tuple[int, int, int], ...] = ()
    held: tuple[int, ...] = ()
    text_held: bool = False
    changes: tuple[FilterChanges, ...] = ()
    master: Path | None = None
    pictures: tuple[PictureResult, ...] = ()
    skipped: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, times in seconds. Keys that do not apply to the kind are left out."""
        data: dict[str, Any] = {
            "kind": self.kind,
            "output": str(self.output),
            "frames": self.frames,
            "resumed_frames": self.resumed_frames,
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "device": self.device,
            "precision": self.precision,
            "notes": list(self.notes),
        }
        if self.size is not None:
            data["size"] = list(self.size)
        if self.codec:
            data["codec"] = self.codec
        if self.master is not None:
            data["master"] = str(self.master)
        if self.span is not None:
            data["span"] = self.span.to_json()
        if self.kind in ("video", "sequence"):
            data["reused_frames"] = self.reused_frames
            data["reused_area"] = round(self.reused_area, 4)
            data["neighbours"] = [list(run) for run in self.neighbours]
            data["text_held"] = self.text_held
            if self.made or self.held:
                data["made"] = {
                    "frames": self.made_frames,
                    "share": round(self.made_frames / max(1, self.frames), 4),
                    "runs": [list(run) for run in self.made],
                    "held": list(self.held),
                }
            if self.changes:
                data["changes"] = [_changed(changes) for changes in self.changes]
            data["timing"] = {name: round(value, 3) for name, value in self._timing().items()}
        if self.kind == "folder":
            data["pictures"] = [picture.to_json() for picture in self.pictures]
            data["skipped"] = [{"path": str(path), "reason": reason} for path, reason in self.skipped]
        return data

    @property
    def made_frames(self) -> int:
        """How many frames were made in between others."""
        return sum(len(range(*run)) for run in self.made)

    def timing_line(self) -> str:
        """One line: how much was done in what time; for video also the seconds of each stage."""
        if self.kind == "folder":
            before = f", {self.resumed_frames} done before" if self.resumed_frames else ""
            skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
            return f"{len(self.pictures)} pictures in {self.seconds:.1f} s{before}{skipped}"
        if self.kind == "picture" and self.size is not None:
            return f"{self.size[0]}x{self.size[1]} in {self.seconds:.1f} s"
        s = self.stats
        rate = s.frames / s.wall_seconds if s.wall_seconds else 0.0
        reused = f", {self.reused_frames} reused" if self.reused_frames else ""
        reused += f", {self.reused_area:.0%} of the area reused" if self.reused_area else ""
        parts = ", ".join(f"{name.replace('_', ' ')} {value:.1f} s" for name, value in self._timing().items())
        return f"{self.frames} frames in {self.seconds:.1f} s ({rate:.2f} frames/s{reused}): {parts}"

    def _timing(self) -> dict[str, float]:
        s = self.stats
        return {
            "decode": s.decode_seconds,
            "wait_for_decoder": s.infer_wait_input_seconds,
            "infer": s.infer_seconds,
            "wait_for_encoder": s.infer_wait_output_seconds,
            "encode": s.encode_seconds,
        }


def _changed(changes: FilterChanges) -> dict[str, Any]:
    """What one filter changed, as plain values with time codes."""
    return {
        "filter": changes.name,
        "frames": changes.frames,
        "of_frames": changes.seen,
        "pixels": changes.pixels,
        "share": round(changes.pixels / max(1, changes.all_pixels), 6),
        "most": [
            {
                "from": timecode(Fraction(stretch.begin)),
                "to": timecode(Fraction(stretch.end)),
                "frames": [stretch.first, stretch.stop],
                "pixels": stretch.pixels,
            }
            for stretch in changes.most
        ],
    }
