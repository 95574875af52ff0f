"""``compare --no-reference``: videos measured without an original, and against their source where it is given."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vidsr.errors import InputError, OptionsError
from vidsr.frames import Frame
from vidsr.inference.device import choose_device
from vidsr.inference.resize import resize
from vidsr.jobs.compare.compare import CompareSettings
from vidsr.jobs.compare.parties import Party, frames_csv, job_of, open_part, party_of
from vidsr.jobs.compare.views import Opened, Viewer, pair_up, paired_frames, vmaf_depth
from vidsr.jobs.state.events import Event, Progress, silent
from vidsr.media.decode import read_frames
from vidsr.quality.comparison import Measured
from vidsr.quality.no_reference.assessment import ASSESSED, RANKINGS, Assessor, SourceView, ranked_by, ranks
from vidsr.version import __version__

#: Moments of each video that a report shows.
MOMENTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One video: what was measured, and how it was made, if a provenance record of exactly this file lies next to it.

    ``ranks`` are its places among the videos, 1 being best; a ranking is missing where there is nothing to rank by.
    """

    party: Party
    measured: Measured
    job: dict[str, Any] | None = None
    ranks: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Means, then the values of every frame."""
        measured = self.measured
        means = measured.means()
        return self.party.to_json() | {
            "compared_frames": len(measured.seconds),
            **{name: means.get(name) for name in ASSESSED},
            **{ranking: self.ranks.get(ranking) for ranking in RANKINGS},
            "notes": list(measured.notes),
            "job": self.job,
            "per_frame": [
                {"seconds": seconds, **{name: values[i] for name, values in measured.values.items()}}
                for i, seconds in enumerate(measured.seconds)
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessResult:
    """All videos, in the order given, and their common source."""

    source: Party | None
    videos: tuple[Assessment, ...]
    settings: CompareSettings = field(default_factory=CompareSettings)

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "vidsr": __version__,
            "source": None if self.source is None else self.source.to_json(),
            "results": [video.to_json() for video in self.videos],
            "settings": {
                "measures": list(self.settings.measures or ASSESSED),
                "ranked_by": self.ranked_by(),
                "align": self.settings.align,
                "limit": self.settings.limit,
                "span": self.settings.span.to_json(),
            },
        }

    def ranked_by(self) -> dict[str, list[str]]:
        """The measures that each ranking comes from."""
        return ranked_by([video.measured.means() for video in self.videos])

    def to_csv(self) -> str:
        """One line per frame of each video."""
        names = [name for name in ASSESSED if any(name in v.measured.values for v in self.videos)]
        return frames_csv(names, [(video.party, video.measured) for video in self.videos])


def assess(
    videos: Sequence[Path | str],
    source: Path | str | None = None,
    settings: CompareSettings | None = None,
    progress: Progress = silent,
) -> AssessResult:
    """Measure each of ``videos`` without an original; with ``source``, also against what they were made from.

    ``settings.fit`` is not used: each video is measured at its own size, and at the source's.

    Raises:
        InputError: a file is not a video, or no frame of one is shown at the time of one of the source.
        OptionsError: no video was given, or a measure is not available.
    """
    settings = settings or CompareSettings()
    if not videos:
        raise OptionsError("nothing to measure: name at least one video")
    settings.span.check()
    origin = None if source is None else open_part(Path(source), progress, settings.span)
    opened = [open_part(Path(path), progress, settings.span, within=origin) for path in videos]
    parts = [_Frames.of(one, origin, settings) for one in opened]
    total, counter = sum(len(frames.times) for frames in parts), itertools.count(1)

    def on_frame() -> None:
        progress(Event(kind="frame", frames=next(counter), total_frames=total))

    found = [_one(frames, settings, on_frame) for frames in parts]
    places = ranks([measured.means() for measured in found])
    parties = [party_of(one) for one in opened]
    return AssessResult(
        source=None if origin is None else party_of(origin),
        videos=tuple(
            Assessment(party=party, measured=measured, job=job_of(party), ranks=place)
            for party, measured, place in zip(parties, found, places, strict=True)
        ),
        settings=settings,
    )


@dataclass(frozen=True, slots=True)
class _Frames:
    """The frames of one video that are measured: numbers, partners in the source, and times in seconds."""

    video: Opened
    source: Opened | None
    pairs: tuple[tuple[int, int], ...]
    times: tuple[float, ...]
    notes: tuple[str, ...]

    @staticmethod
    def of(video: Opened, source: Opened | None, settings: CompareSettings) -> _Frames:
        seconds = video.seconds()
        notes: tuple[str, ...] = ()
        if source is None:
            pairs = tuple((number, number) for number in video.part)
        else:
            mine, yours = (one.part_seconds() for one in (source, video))
            found = pair_up(mine, yours, settings.align)
            if not found.pairs:
                raise InputError(
                    f"no frame of {video.info.path} is shown at the same time as one of {source.info.path}; "
                    "--align index pairs them by number"
                )
            pairs = tuple((source.part[i], video.part[j]) for i, j in found.pairs)
            lonely = len(video.part) - len(pairs)
            if lonely:
                notes = (f"{lonely} frames have no partner in the source and were left out",)
        pairs = pairs[: settings.limit]
        return _Frames(video, source, pairs, tuple(float(seconds[j]) for _, j in pairs), notes)

    def read(self) -> Iterator[tuple[Frame | None, Frame]]:
        """(the source's frame, the video's frame) of every pair."""
        if self.source is None:
            numbers = [j for _, j in self.pairs]
            for frame in read_frames(self.video.info, numbers[0], numbers[-1] + 1, self.video.index):
                yield None, frame
        else:
            for mine, yours, _ in paired_frames(self.source, self.video, self.pairs):
                yield mine, yours


def _one(frames: _Frames, settings: CompareSettings, on_frame: Callable[[], None]) -> Measured:
    """Measure one video."""
    device = choose_device(settings.device)
    video, source = frames.video, frames.source
    formats = [one.info.video.format for one in (video, source or video)]
    depth = vmaf_depth((formats[0], formats[1]))
    viewer = Viewer(size=video.size, colour=video.info.video.colour, depth=depth, device=device)
    origin = None
    if source is not None:
        origin = Viewer(size=source.size, colour=source.info.video.colour, depth=depth, device=device)
    count = len(frames.times)
    shown = {int((i + 0.5) * count / MOMENTS) for i in range(MOMENTS)}
    with (
        torch.inference_mode(),
        Assessor(video.size, depth, None if source is None else source.size, settings.measures) as assessor,
    ):
        for number, (mine, yours) in enumerate(frames.read()):
            of_source = None
            if mine is not None and origin is not None and source is not None:
                view = origin(mine)
                enlarged = resize(view.rgb, (video.size[1], video.size[0])).clamp(0, 1)
                of_source = SourceView(view=view, enlarged=enlarged, reduced=viewer.codes(yours, source.size))
            assessor.add(frames.times[number], viewer(yours), of_source, keep=number in shown)
            on_frame()
        measured = assessor.finish()
    measured.notes.extend(frames.notes)
    return measured
