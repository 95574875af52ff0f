"""The recipe of a job: everything that is decided about a source before its first frame.

The order of the decisions is the contract, and :meth:`Recipe.of` is the one place where it is written down:

1. **open**: probe the source; numbered pictures get their rate from ``--fps`` (:class:`StoredInfo`);
2. **resolve**: choose every restoration filter and parameter that was left open, by inspecting the source;
3. **restore**: derive size, rate and time base after restoration (:class:`ShapedInfo`);
4. **settle**: choose codec, pixel format and size of the result, or the format of numbered pictures;
5. **compose**: build the filters ahead of the network and the steps after it;
6. **upscale** and **encode**: :class:`~vidsr.jobs.recipe.recipe_run.RecipeRun`, in the process that works on a segment.

The job, its workers, previews, estimates and the verification all take a recipe, so that they cannot disagree.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from vidsr.frames import Colour, PixelFormat
from vidsr.jobs.invention.master_name import MASTER_SUFFIX
from vidsr.jobs.invention.masters import MasterSink, master_options, refuse_masters
from vidsr.jobs.open_source import open_source
from vidsr.jobs.recipe.filter_chain import Chain, compose, mask_of
from vidsr.jobs.recipe.restoration_plan import as_decoded, moments_note, tried_out
from vidsr.jobs.recipe.source_plan import SourcePlan, plan_source
from vidsr.jobs.recipe.text_choice import settled_text
from vidsr.jobs.state.segments import master_file
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder
from vidsr.media.encode.encoder_plan import encoder_build, prepare
from vidsr.media.pictures.frame_files import PICTURE_COLOUR, PictureSettings, SegmentPictures, picture_build
from vidsr.media.pictures.masks import MaskFolder
from vidsr.media.pictures.picture_losses import lost_in_pictures
from vidsr.media.source import StoredInfo
from vidsr.models.checkpoint import LoadedModel
from vidsr.models.known_architectures import architecture_of
from vidsr.models.zoo import load_chosen
from vidsr.options.enhance_options import EnhanceOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(SourcePlan):
    """What will be done to a source. Make one with :meth:`of`.

    ``settings`` say how the result is encoded. Of numbered pictures, ``picture`` does; their ``settings`` are those of
    the lossless codec that takes any format, and give the size. ``notes`` say what the result cannot keep and what was
    left out. ``master`` is the recipe of the preservation master of ``--masters``. ``no_memory`` is what the
    machine lacks for ``--multiframe auto``, which is therefore left out; "" where it is not. ``no_text`` is likewise
    what speaks against ``--text auto``.
    """

    model: LoadedModel
    settings: EncoderSettings
    picture: PictureSettings | None = None
    notes: tuple[str, ...] = ()
    master: Recipe | None = None
    no_memory: str = ""
    no_text: str = ""

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
        restore, no_text = settled_text(plan.options.restore, plan.stored, model)
        plan = dataclasses.replace(plan, options=dataclasses.replace(plan.options, restore=restore))
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
            no_text=no_text,
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
        return dataclasses.replace(other, notes=notes, no_memory=self.no_memory, no_text=self.no_text)

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
