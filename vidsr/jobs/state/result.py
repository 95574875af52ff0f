"""What `enhance` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidsr.pipeline.segment import SegmentStats


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceResult:
    """The finished job: where the result is, how it was computed, and where the time went.

    ``reused_frames`` repeated their predecessor; ``reused_area`` is the share of pixels that ``--reuse-regions`` kept.
    """

    output: Path
    frames: int
    seconds: float
    model: str
    device: str
    precision: str
    stats: SegmentStats
    reused_frames: int = 0
    reused_area: float = 0.0
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, times in seconds."""
        return {
            "output": str(self.output),
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "model": self.model,
            "device": self.device,
            "precision": self.precision,
            "reused_frames": self.reused_frames,
            "reused_area": round(self.reused_area, 4),
            "timing": {name: round(value, 3) for name, value in self._timing().items()},
            "notes": list(self.notes),
        }

    def timing_line(self) -> str:
        """One line that shows which stage was the slow one."""
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
