"""``compare``: measure videos against a reference, frame by frame, paired by their timestamps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vidsr.errors import InputError, OptionsError
from vidsr.inference.device import choose_device
from vidsr.jobs.compare.parties import Party, frames_csv, job_of, open_part, party_of
from vidsr.jobs.compare.views import (
    Align,
    Fit,
    FramePairs,
    Opened,
    Viewer,
    joint_size,
    pair_up,
    paired_frames,
    vmaf_depth,
)
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.options.span_options import SpanOptions
from vidsr.quality.comparison import MEASURES, Measured, Meter
from vidsr.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings:
    """What is measured and how.

    ``measures`` None takes all that are possible. ``fit`` resizes where sizes differ: "reference" brings the
    other video to the reference's size, "other" the reference to the other's. ``limit`` is the number of pairs
    after which to stop. ``span`` names the part of the reference to compare, and of the others that are longer than it.
    """

    measures: tuple[str, ...] | None = None
    align: Align = "pts"
    fit: Fit = "none"
    limit: int | None = None
    device: str = "auto"
    span: SpanOptions = field(default_factory=SpanOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One video against the reference.

    ``unpaired`` counts frames of (reference, other) without a partner. ``job`` says how the video was made, where a
    provenance record of exactly this file lies next to it.
    """

    party: Party
    measured: Measured
    unpaired: tuple[int, int]
    notes: tuple[str, ...]
    job: dict[str, Any] | None = None

    def means(self, names: Iterable[str]) -> dict[str, float | None]:
        """Means by name; None for what was left out, which a note explains."""
        found = self.measured.means()
        return {name: found.get(name) for name in names}

    def to_json(self, names: Iterable[str] = MEASURES) -> dict[str, Any]:
        """Means of the measures named, then the values of every frame."""
        columns = self.measured.values
        return self.party.to_json() | {
            "compared_frames": len(self.measured.seconds),
            "unpaired_frames": {"reference": self.unpaired[0], "other": self.unpaired[1]},
            **self.means(names),
            "notes": list(self.notes),
            "job": self.job,
            "per_frame": [
                {"seconds": seconds, **dict(_row(columns, i))} for i, seconds in enumerate(self.measured.seconds)
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareResult:
    """The whole comparison."""

    reference: Party
    others: tuple[Comparison, ...]
    settings: CompareSettings = field(default_factory=CompareSettings)

    def to_json(self) -> dict[str, Any]:
        """One JSON object; with a single other video its means stand at the top as well."""
        names = self.settings.measures or tuple(MEASURES)
        top = self.others[0].means(names) if len(self.others) == 1 else {}
        return {
            "vidsr": __version__,
            "reference": self.reference.to_json(),
            **top,
            "results": [other.to_json(names) for other in self.others],
            "settings": {
                "measures": list(names),
                "align": self.settings.align,
                "fit": self.settings.fit,
                "limit": self.settings.limit,
                "span": self.settings.span.to_json(),
            },
        }

    def to_csv(self) -> str:
        """One line per compared frame of each video."""
        names = [name for name in MEASURES if any(name in o.measured.values for o in self.others)]
        return frames_csv(names, [(other.party, other.measured) for other in self.others])


def compare(
    reference: Path | str,
    others: Sequence[Path | str],
    settings: CompareSettings | None = None,
    progress: Progress = silent,
) -> CompareResult:
    """Measure each of ``others`` against ``reference``.

    Raises:
        InputError: a file is not a video, or no frames of the two can be paired.
        OptionsError: sizes differ and ``fit`` is "none", or a measure is not available.
    """
    settings = settings or CompareSettings()
    if not others:
        raise OptionsError("nothing to compare the reference with: name at least one other video")
    settings.span.check()
    mine = open_part(Path(reference), progress, settings.span)
    yours = [open_part(Path(path), progress, settings.span, within=mine) for path in others]
    pairings = [_pairs(mine, other, settings) for other in yours]
    total, counter = sum(len(p.pairs) for p in pairings), itertools.count(1)

    def on_pair() -> None:
        progress(Event(kind="frame", frames=next(counter), total_frames=total))

    found = [_one(mine, other, pairs, settings, on_pair) for other, pairs in zip(yours, pairings, strict=True)]
    return CompareResult(reference=party_of(mine), others=tuple(found), settings=settings)


def _row(columns: dict[str, list[float | None]], number: int) -> Iterator[tuple[str, float | None]]:
    for name, values in columns.items():
        yield name, values[number]


def _pairs(reference: Opened, other: Opened, settings: CompareSettings) -> FramePairs:
    if reference.size != other.size and settings.fit == "none":
        (w, h), (ow, oh) = reference.size, other.size
        raise OptionsError(
            f"{other.info.path} is {ow}x{oh} and the reference is {w}x{h}: give --fit reference to bring it to the "
            "reference's size, or --fit other to bring the reference to its size"
        )
    mine, yours = (opened.part_seconds() for opened in (reference, other))
    pairs = pair_up(mine, yours, settings.align)
    if not pairs.pairs:
        raise InputError(
            f"no frame of {other.info.path} is shown at the same time as one of {reference.info.path}; "
            "--align index pairs them by number"
        )
    numbers = ((reference.part[i], other.part[j]) for i, j in pairs.pairs)
    return FramePairs(tuple(itertools.islice(numbers, settings.limit)), pairs.shift)


def _one(
    reference: Opened, other: Opened, pairs: FramePairs, settings: CompareSettings, on_pair: Callable[[], None]
) -> Comparison:
    """Measure one video."""
    device = choose_device(settings.device)
    size = joint_size(reference, other, settings.fit)
    depth = vmaf_depth((reference.info.video.format, other.info.video.format))
    viewer = Viewer(size=size, colour=reference.info.video.colour, depth=depth, device=device)
    times = reference.seconds()
    with torch.inference_mode(), Meter(size, depth, settings.measures, device) as meter:
        for frame, partner, follows in paired_frames(reference, other, pairs.pairs):
            meter.add(float(times[frame.index]), viewer(frame), viewer(partner), consecutive=follows)
            on_pair()
        measured = meter.finish()
    counts = (len(reference.part), len(other.part))
    lonely = (0, 0) if settings.limit else (counts[0] - len(pairs.pairs), counts[1] - len(pairs.pairs))
    party = party_of(other)
    return Comparison(
        party=party,
        measured=measured,
        unpaired=lonely,
        notes=_notes(reference, other, pairs, measured, lonely),
        job=job_of(party),
    )


def _notes(
    reference: Opened, other: Opened, pairs: FramePairs, measured: Measured, lonely: tuple[int, int]
) -> tuple[str, ...]:
    notes = list(measured.notes)
    if any(lonely):
        notes.append(f"{lonely[0]} frames of the reference and {lonely[1]} of {other.info.path} have no partner")
    if pairs.shift:
        notes.append(f"times were shifted by {float(pairs.shift):+.3f} s: the two do not start at the same time")
    if reference.size != other.size:
        notes.append("sizes differ: one side was resized (bicubic, antialiased) before comparing")
    return tuple(notes)
