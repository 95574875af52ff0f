"""The recipe of a job: everything that is decided about a source before its first frame, and how frames are made by it.

The order of the decisions is the contract, and :meth:`Recipe.of` is the one place where it is written down:

1. **open**: probe the source; numbered pictures get their rate from ``--fps`` (:class:`StoredInfo`);
2. **resolve**: choose every restoration filter and parameter that was left open, by inspecting the source;
3. **restore**: derive size, rate and time base after restoration (:class:`ShapedInfo`);
4. **settle**: choose codec, pixel format and size of the result, or the format of numbered pictures;
5. **compose**: build the filters ahead of the network and the steps after it;
6. **upscale** and **encode**: :class:`RecipeRun`, in whichever process works on a segment.

The job, its workers, previews, estimates and the verification all take a recipe, so that they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.filters.before.timeline import Timeline
from vidsr.filters.between.rate_table import RateTable
from vidsr.filters.undo.change_count import FilterChanges
from vidsr.frames import Colour, Frame, FrameRange, PixelFormat
from vidsr.jobs.filter_chain import Chain, compose, mask_of
from vidsr.jobs.invention.master_name import MASTER_SUFFIX
from vidsr.jobs.invention.masters import MasterSink, master_options, refuse_masters, with_masters
from vidsr.jobs.open_source import open_source
from vidsr.jobs.restoration_plan import (
    PlannedFrames,
    as_decoded,
    choice_notes,
    left_out_neighbours,
    moments_note,
    plan_times,
    planned_frames,
    quick_warning,
    reader,
    resolve,
    restored,
    retiming_names,
    tried_out,
)
from vidsr.jobs.state.segments import Segment, master_file
from vidsr.media.decode import SequentialReader, read_frames
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder
from vidsr.media.encode.encoder_plan import encoder_build, prepare
from vidsr.media.index import VideoIndex, check_strict, index_video
from vidsr.media.pictures.frame_files import PICTURE_COLOUR, PictureSettings, SegmentPictures, picture_build
from vidsr.media.pictures.masks import MaskFolder
from vidsr.media.pictures.picture_losses import lost_in_pictures
from vidsr.media.source import DecodedInfo, ShapedInfo, StoredInfo
from vidsr.media.span import Span, enough_for, find_span
from vidsr.models.checkpoint import LoadedModel
from vidsr.models.known_architectures import architecture_of
from vidsr.models.zoo import load_chosen
from vidsr.options.enhance_options import EnhanceOptions, ModelOptions
from vidsr.pipeline.segment import SegmentStats, Sink, Upscale, run_segment

if TYPE_CHECKING:
    from vidsr.filters.between.made_frames import FramesBetween
    from vidsr.inference.upscaler import Upscaler

#: Wraps the decoder's frames, for example to measure it.
Watch = Callable[[Iterator[Frame]], Iterator[Frame]]


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
        reason = left_out_neighbours(self.asked, self.stored)
        neighbours = f"--multiframe auto: left out, {reason}; a number such as 0.5 applies it anyway"
        return (
            *([warning] if warning else []),
            *choice_notes(self.asked, self.options),
            *([neighbours] if reason else []),
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(SourcePlan):
    """What will be done to a source. Make one with :meth:`of`.

    ``settings`` say how the result is encoded. Of numbered pictures, ``picture`` does; their ``settings`` are those of
    the lossless codec that takes any format, and give the size. ``notes`` say what the result cannot keep and what was
    left out. ``master`` is the recipe of the preservation master of ``--masters``. ``no_memory`` is the lack of
    memory for which ``--multiframe auto`` was left out; "" where it was not.
    """

    model: LoadedModel
    settings: EncoderSettings
    picture: PictureSettings | None = None
    notes: tuple[str, ...] = ()
    master: Recipe | None = None
    no_memory: str = ""

    @classmethod
    def of(
        cls,
        source: Path | str,
        options: EnhanceOptions,
        *,
        model: LoadedModel | None = None,
        pictures: str = "",
        container: str = "",
        resolved: bool = False,
        stored: StoredInfo | None = None,
    ) -> Recipe:
        """Take every decision about ``source``.

        Args:
            source: path or address of a video, or a pattern of numbered pictures.
            options: what was asked for.
            model: the network, where it is loaded already.
            pictures: the suffix of numbered pictures such as ``.png``, where they are the result.
            container: the suffix of the result such as ``.mov``, where it is a file that has its name already; the
                codec follows from it where none is named.
            resolved: ``options`` come from another recipe and leave nothing open: the source is not inspected.
            stored: the source, where it was opened already.

        Raises:
            VidsrError: whatever would stop the job before its first frame.
        """
        stored = stored or open_source(source, options)
        if options.restore.masks is not None:
            MaskFolder.find(Path(options.restore.masks)).check_size(stored.video.width, stored.video.height)
        model = model or load_chosen(options.model)
        return cls._settled(plan_source(stored, options, resolved=resolved), model, pictures, container)

    @classmethod
    def _settled(cls, plan: SourcePlan, model: LoadedModel, pictures: str, container: str = "") -> Recipe:
        """The steps that follow the choice of filters."""
        options, encode, picture = plan.options, plan.options.encode, None
        if pictures:
            encode = dataclasses.replace(encode, codec="ffv1", bit_depth=None)
        settled = prepare(plan.shaped, dataclasses.replace(options, encode=encode), model.scale, container)
        if not pictures:
            options = dataclasses.replace(options, encode=settled.encode)
            notes = (*settled.codec_notes, *settled.notes)
        else:
            depth, quality = plan.options.encode.bit_depth, plan.options.pictures.picture_quality
            picture = PictureSettings.for_source(pictures, settled.info.video, bit_depth=depth, quality=quality)
            notes = (*settled.notes, *lost_in_pictures(settled.info, picture))
        master = None
        if options.output.masters:
            refuse_masters(options, model, numbered=bool(pictures))
            of_master = dataclasses.replace(plan, options=master_options(plan.options))
            master = cls._settled(of_master, model, "", MASTER_SUFFIX)
        return cls(
            asked=plan.asked,
            options=options,
            stored=plan.stored,
            decoded=as_decoded(settled.info, plan.stored),
            shaped=settled.info,
            model=model,
            settings=settled.settings,
            picture=picture,
            notes=notes,
            master=master,
        )

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the result in pixels."""
        return self.settings.width, self.settings.height

    @property
    def frame_format(self) -> tuple[PixelFormat, Colour | None]:
        """The planar format and the colour in which the result's frames are encoded."""
        if self.picture is not None:
            return self.picture.format, PICTURE_COLOUR
        return self.settings.format.frames, self.settings.format.colour

    def chain(self) -> Chain:
        """The filters ahead of the network and the steps after it."""
        folder, video = self.masks(), self.decoded.video
        masks = None if folder is None else mask_of(folder, video.width, video.height)
        remembers = architecture_of(self.model.network).state_channels is not None
        return compose(self.options, masks, remembers=remembers)

    def with_threads(self, threads: int) -> Recipe:
        """The same with this number of encoder threads, on which the bytes of a result depend."""
        settings = dataclasses.replace(self.settings, threads=threads)
        master = None if self.master is None else self.master.with_threads(threads)
        return dataclasses.replace(self, settings=settings, master=master)

    def for_moments(self) -> Recipe:
        """The recipe for a look at single moments, which need no pass over the whole source.

        Filters that change the number or the times of frames are replaced by plain deinterlacing; ``notes`` say so.
        """
        options = tried_out(self.options)
        if options == self.options:
            return self
        other = self._settled(
            plan_source(self.stored, options, resolved=True),
            self.model,
            "" if self.picture is None else self.picture.suffix,
        )
        note = moments_note(self.options, options)
        notes = tuple(dict.fromkeys((*self.notes, *other.notes, note)))
        return dataclasses.replace(other, notes=notes, no_memory=self.no_memory)

    @property
    def build(self) -> str:
        """The encoder or picture format and the libraries behind it; another build may write other bytes."""
        return encoder_build(self.settings.codec) if self.picture is None else picture_build(self.picture.suffix)

    def sink(self, path: Path) -> SegmentSink:
        """What writes the frames of one segment to ``path``, whole or not at all."""
        if self.picture is not None:
            return SegmentPictures(path, self.picture)
        if self.master is not None:
            master, settings = master_file(path), self.master.settings
            return MasterSink(lambda: SegmentEncoder(path, self.settings), lambda: SegmentEncoder(master, settings))
        return SegmentEncoder(path, self.settings)


#: Writes one segment: a context manager with ``write(frame)`` and the number of ``frames`` written so far.
SegmentSink = SegmentEncoder | SegmentPictures | MasterSink


class RecipeRun:
    """A recipe at work in one process: its filters, its network, and how it reads the source.

    ``index`` is made on first use where it is not given. Segments count the frames of ``table``, else those of
    ``timeline``, else those of the index. With ``in_order`` no two segments are read at once, and the decoder continues
    where one follows the other.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        index: VideoIndex | None = None,
        timeline: Timeline | None = None,
        table: RateTable | None = None,
        device: str | None = None,
        in_order: bool = False,
    ) -> None:
        model = recipe.options.model
        self.recipe = recipe
        self.model_options = model if device is None else dataclasses.replace(model, device=device)
        self.chain = recipe.chain()
        self._master = None if recipe.master is None else RecipeRun(recipe.master, index=index, device=device)
        self.upscaler = self.upscaler_with(self.model_options)
        self._timeline = timeline
        self._in_order = in_order
        self.between = None if table is None else self.between_of(table)
        if index is not None:
            self.index = index

    @cached_property
    def index(self) -> VideoIndex:
        """The frames of the source as decoded."""
        return self.recipe.index()

    @property
    def count(self) -> int:
        """How many frames the network gets from the whole source."""
        if self.between is not None:
            return len(self.between.table)
        return len(self.index if self._timeline is None else self._timeline.entries)

    def between_of(self, table: RateTable) -> FramesBetween:
        """What makes the frames of ``table``, on the device of the network."""
        from vidsr.filters.between.made_frames import FramesBetween
        from vidsr.inference.colour import rgb_of
        from vidsr.models.ifnet import load

        device = self.upscaler.device
        return FramesBetween(table=table, device=device, network=load().to(device), rgb=rgb_of)

    def upscaler_with(self, options: ModelOptions, *, alone: bool = False) -> Upscaler:
        """The recipe's network under other options: smaller batches, tiles, another precision; ``alone`` without
        neighbouring frames."""
        from vidsr.inference.upscaler import Upscaler
        from vidsr.jobs.invention.limit import limit_of

        chain = self.chain
        return Upscaler(
            options,
            model=self.recipe.model,
            post=chain.after,
            multiframe=None if alone else chain.multiframe,
            carrying=chain.carrying,
            limit=limit_of(self.recipe.options.restore),
            alongside=None if self._master is None else self._master.upscaler,
        )

    def frames(
        self, segment: Segment, watch: Watch | None = None, changes: list[FilterChanges] | None = None
    ) -> Generator[Frame]:
        """The frames of a segment as they enter the network: decoded with their look-around, filtered, cut.

        What each filter changed in them is put into ``changes``.
        """

        def read(first: int, stop: int) -> Iterator[Frame]:
            frames = self._read(first, stop)
            return frames if watch is None else watch(frames)

        return self.chain.source(reader(self._timeline, read), segment, self.count, self.between, changes)

    def upscale(
        self,
        segment: Segment,
        upscaler: Upscaler | None = None,
        format: tuple[PixelFormat, Colour | None] | None = None,
    ) -> Upscale:
        """The transformer that enlarges those frames, steps after the network included.

        ``upscaler`` and ``format`` take the place of the recipe's own network and frame format.
        """
        chosen = upscaler or self.upscaler
        low, high = self.chain.lookaround.computed(segment)
        span = FrameRange(first=self.chain.lookaround.fed(segment, high)[0], start=low, stop=high)
        stream = chosen.stream(self.recipe.size, *(format or self.recipe.frame_format), span=span)
        access = self.chain.result(stream, segment)
        if self._master is None or format is not None:
            return access
        return with_masters(access, self._master.upscale(segment))

    def run(
        self,
        segment: Segment,
        sink: Sink,
        *,
        upscaler: Upscaler | None = None,
        on_frame: Callable[[Frame], None] | None = None,
        stop: threading.Event | None = None,
        watch: Watch | None = None,
    ) -> SegmentStats:
        """Decode, filter, enlarge and write one segment.

        Raises:
            Interrupted: ``stop`` was set.
            Exception: whatever a stage raised first.
        """
        frames, upscale = self.frames(segment, watch), self.upscale(segment, upscaler)
        return run_segment(frames, upscale, sink, on_frame=on_frame, stop=stop)

    def close(self) -> None:
        """Close the source, where it was kept open between segments, and the network of the master."""
        if self._master is not None:
            self._master.upscaler.close()
        if self._sequential is not None:
            self._sequential.close()

    def _read(self, first: int, stop: int) -> Iterator[Frame]:
        if self._sequential is not None:
            return self._sequential.read(first, stop)
        return read_frames(self.recipe.decoded, first, stop, self.index)

    @cached_property
    def _sequential(self) -> SequentialReader | None:
        """The reader that continues from segment to segment: where they are read in order, or seeking is impossible."""
        stride = 1 if self.between is None else self.between.table.stride
        keep = (self.chain.lookaround.frames * 2 + 6) * stride  # a table may reach a little further
        sequential = self._in_order or self.index.linear
        return SequentialReader(self.recipe.decoded, self.index, keep) if sequential else None
