"""What a report shows about invention: the figures kept next to a result, and the map of the frames it shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from vidsr.errors import InputError, OptionsError
from vidsr.jobs.compare.invention import evidence_at
from vidsr.jobs.compare.invention_file import invention_file
from vidsr.options.span_options import SpanOptions
from vidsr.quality.comparison import WorstFrame
from vidsr.quality.invention.overlay import layer_png
from vidsr.quality.invention.time_line import ShownInvention
from vidsr.storage import sampled_digest


def shown_invention(
    result: Path,
    source: Path | None,
    pictures: Sequence[WorstFrame],
    figures: Mapping[str, Any] | None = None,
    *,
    clock: Literal["source", "result"],
    device: str = "auto",
    span: SpanOptions | None = None,
) -> ShownInvention | None:
    """What a report shows of ``result``; None where it was not measured.

    ``figures`` are those of ``--invention json``; without them they are read from the file next to the result, where
    that describes exactly this result. If ``source`` is what they were measured against, each of ``pictures`` gets its
    map; their times are those of the video that ``clock`` names.
    """
    known = _kept(result) if figures is None else figures
    try:
        if known is None or not _is(known, "result", result):
            return None
        shown = ShownInvention.of(known)
        measured = source is not None and _is(known, "source", source)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # not a file that vidsr wrote
    if source is None or not measured or not pictures:
        return shown
    seconds = [picture.seconds for picture in pictures]
    try:
        frames = evidence_at(source, result, seconds, clock=clock, device=device, span=span)
        return replace(shown, layers=tuple(layer_png(frame.error().mean()) for frame in frames))
    except (InputError, OptionsError):
        return shown  # the part that is compared is not the part that was measured


def _kept(result: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(invention_file(result, "json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _is(figures: Mapping[str, Any], role: str, path: Path) -> bool:
    """Whether the figures were measured of exactly this file."""
    return bool(figures["of"][role]["sampled_blake2"] == sampled_digest(path))
