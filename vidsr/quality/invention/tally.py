"""Sums up a map of invention: per frame, per shot and for the whole film."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from vidsr.quality.invention.error_model import BOUND, ExpectedError

#: Expected errors (code values) up to which a pixel counts as supported, and from which as invented.
SUPPORTED, INVENTED = BOUND, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameInvention:
    """One frame: shares of its pixels, 0 to 1, by how far the source supports them.

    ``expected`` is the mean expected error in code values, ``low`` and ``high`` the means of the errors that a tenth of
    the pixels like each stay below and exceed; ``within`` the mean probability of lying within
    :data:`~vidsr.quality.invention.error_model.BOUND` code values of the truth.
    """

    seconds: float
    expected: float
    low: float
    high: float
    within: float
    supported: float
    invented: float
    cut: bool = False

    @staticmethod
    def of(seconds: float, error: ExpectedError, *, cut: bool) -> FrameInvention:
        """From the error to expect at every place of one frame."""
        expected = error.mean()
        return FrameInvention(
            seconds=seconds,
            expected=float(expected.mean()),
            low=float(error.quantile(0.1).mean()),
            high=float(error.quantile(0.9).mean()),
            within=float(error.within().mean()),
            supported=float((expected <= SUPPORTED).float().mean()),
            invented=float((expected >= INVENTED).float().mean()),
            cut=cut,
        )


@dataclass(slots=True)
class InventionTally:
    """All frames in order. A shot begins with the first frame and at every cut."""

    frames: list[FrameInvention] = field(default_factory=list)

    def film(self) -> dict[str, float]:
        """The means of all frames, in percent and code values."""
        return _sums(self.frames)

    def to_json(self) -> dict[str, Any]:
        """The film, its shots, and every frame."""
        shots: list[list[FrameInvention]] = []
        for frame in self.frames:
            if frame.cut or not shots:
                shots.append([])
            shots[-1].append(frame)
        return {
            "film": self.film(),
            "shots": [_span(shot) | _sums(shot) for shot in shots],
            "frames": [{"seconds": frame.seconds, **_sums([frame])} for frame in self.frames],
            "meaning": {
                "supported_percent": f"pixels with an expected error of at most {SUPPORTED:g} code values",
                "invented_percent": f"pixels with an expected error of at least {INVENTED:g} code values",
                "expected_error": "mean expected error, 8-bit code values",
                "error_low": "of pixels like these, a tenth is expected to be off by less, 8-bit code values",
                "error_high": "and a tenth by more",
                "within_4_percent": f"pixels expected to lie within {BOUND:g} code values of the original",
            },
        }


def _span(shot: list[FrameInvention]) -> dict[str, float]:
    return {"start": shot[0].seconds, "last": shot[-1].seconds, "frames": len(shot)}


def _sums(frames: list[FrameInvention]) -> dict[str, float]:
    def mean(values: list[float]) -> float:
        return math.fsum(values) / max(1, len(values))

    return {
        "supported_percent": round(100 * mean([f.supported for f in frames]), 2),
        "invented_percent": round(100 * mean([f.invented for f in frames]), 2),
        "expected_error": round(mean([f.expected for f in frames]), 3),
        "error_low": round(mean([f.low for f in frames]), 3),
        "error_high": round(mean([f.high for f in frames]), 3),
        "within_4_percent": round(100 * mean([f.within for f in frames]), 2),
    }
