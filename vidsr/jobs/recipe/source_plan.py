"""A source with its restoration: its frames and their times, before any decision about the result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidsr.filters.before.timeline import Timeline
from vidsr.filters.between.rate_table import RateTable
from vidsr.jobs.recipe.restoration_plan import (
    PlannedFrames,
    choice_notes,
    plan_times,
    planned_frames,
    quick_warning,
    resolve,
    restored,
    retiming_names,
)
from vidsr.media.index import VideoIndex, check_strict, index_video
from vidsr.media.pictures.masks import MaskFolder
from vidsr.media.source import DecodedInfo, ShapedInfo, StoredInfo
from vidsr.media.span import Span, enough_for, find_span
from vidsr.options.enhance_options import EnhanceOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """A source and its restoration, which is all that a result can be verified against. See :func:`plan_source`.

    ``options`` name every filter with its parameters; ``asked`` are the options before :func:`resolve` filled them in.
    """

    asked: EnhanceOptions
    options: EnhanceOptions
    stored: StoredInfo
    decoded: DecodedInfo
    shaped: ShapedInfo

    def index(self) -> VideoIndex:
        """The frames of the source as decoded, before any filter: up to a little after the part to work on.

        Frames outside of the part are there for filters and networks that look around.

        Raises:
            InputError, DecodeError: the source cannot be indexed, or is damaged and ``--strict`` was given.
        """
        enough = enough_for(self.options.span)
        index = index_video(self.decoded, enough=enough)
        if index.partial and enough is not None and enough.seconds is not None:
            reached = (index.pts[-1] - index.pts[0]) * index.time_base
            if reached <= enough.seconds:  # repaired stamps are others than those that ended the index
                index = index_video(self.decoded)
        if self.options.source.strict:
            check_strict(self.decoded, index)
        return index

    def span(self, index: VideoIndex) -> Span | None:
        """The part of the source to work on; None for all of it.

        Raises:
            InputError: the source has no such part.
        """
        return find_span(self.options.span, index, Path(self.stored.path).name)

    def timeline(self, index: VideoIndex) -> Timeline | None:
        """The frames and times that filters such as ivtc, or doubled fields, make of ``index``; None if nothing
        changes them.

        All but doubled fields read the whole source for it.
        """
        return plan_times(self.decoded, index, self.options)

    def frames(
        self, index: VideoIndex, timeline: Timeline | None, span: Span | None, table: RateTable | None = None
    ) -> PlannedFrames:
        """The frames that the network gets of a source: after filters that change them, cut to ``span``, at the rate
        that the options ask for.

        ``table`` is the one that was kept of an earlier call.
        """
        masks = self.masks()
        if masks is not None:
            frames = len(index) if span is None else span.stop
            masks.check_count(frames, at_least=span is not None, retimed=retiming_names(self.options))
        return planned_frames(self.decoded, index, timeline, self.options, span, table)

    def masks(self) -> MaskFolder | None:
        """The masks that the filters are held to; None where they may change everything.

        Raises:
            InputError: there is no such folder, or no mask in it.
        """
        folder = self.options.restore.masks
        return None if folder is None else MaskFolder.find(Path(folder))

    def masks_digest(self) -> str:
        """A digest of the masks; "" without any."""
        masks = self.masks()
        return "" if masks is None else masks.digest()

    def advice(self) -> tuple[str, ...]:
        """What the user should know about the choice of filters: what was chosen or left out, and a warning where an
        unrestored source looks as if it needed restoration, by a quick look at its frames."""
        warning = quick_warning(self.stored) if self.asked.restore.restore.is_off else None
        return (*([warning] if warning else []), *choice_notes(self.asked, self.options, self.stored))


def plan_source(stored: StoredInfo, options: EnhanceOptions, *, resolved: bool = False) -> SourcePlan:
    """Choose the filters that ``options`` leave open, by inspecting the source, and derive its shape after them.

    With ``resolved`` the options come from another plan and leave nothing open: the source is not inspected.

    Raises:
        InputError: a filter has nothing to work on, or a crop lies outside the picture.
    """
    chosen = options if resolved else resolve(options, stored)
    return SourcePlan(
        asked=options,
        options=chosen,
        stored=stored,
        decoded=DecodedInfo(stored),
        shaped=restored(stored, chosen),
    )
