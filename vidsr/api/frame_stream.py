"""``enhance_frames``: the enhancement alone, for programs that read and write frames themselves."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from typing import Any, Unpack, overload

import numpy as np

from vidsr.api.video_file import VideoFrame
from vidsr.errors import InputError, OptionsError
from vidsr.filters.before.descriptor import descriptor, is_open
from vidsr.frames import Array, Frame, PixelFormat
from vidsr.jobs.recipe.filter_chain import Chain, compose
from vidsr.media.pictures.frame_files import PICTURE_COLOUR, interleaved
from vidsr.options.enhance_options import AUTO_MODEL, EnhanceOptions
from vidsr.options.keywords import FrameKeywords, chosen_options

_FORMATS = {"u1": "gbrp", "u2": "gbrp16le"}


@overload
def enhance_frames(
    frames: Iterable[Frame], *, options: EnhanceOptions | None = None, **keywords: Unpack[FrameKeywords]
) -> Generator[Frame]: ...
@overload
def enhance_frames(
    frames: Iterable[VideoFrame], *, options: EnhanceOptions | None = None, **keywords: Unpack[FrameKeywords]
) -> Generator[VideoFrame]: ...
@overload
def enhance_frames(
    frames: Iterable[Array], *, options: EnhanceOptions | None = None, **keywords: Unpack[FrameKeywords]
) -> Generator[Array]: ...
def enhance_frames(
    frames: Iterable[Any], *, options: EnhanceOptions | None = None, **keywords: Unpack[FrameKeywords]
) -> Generator[Any]:
    """Enhance a stream of frames; frames in, exactly as many frames of the same kind out, in the same order.

    >>> for picture in enhance_frames(arrays, scale=2):  # doctest: +SKIP
    ...     writer.write(picture)

    What happens to each frame is what a job does: the filters of ``restore``, the network, the resize, ``fidelity``,
    ``stabilize``, ``grain``. Frames are pulled from the input as results are taken, so memory stays bounded by one
    batch and by what the filters look at. ``multiframe`` and ``text`` that are left open ("auto") do nothing here, for
    they judge a whole file; ``text="hold"`` holds. Closing the generator, or abandoning it, frees the model and the
    frames in flight; the input iterator is not closed.

    Args:
        frames: all of one kind, size and format.

            - arrays [H, W, 3], RGB, uint8 (white 255) or uint16 (white 65535);
            - :class:`~vidsr.VideoFrame`, as ``open_video(...).frames()`` gives them; index, pts and duration are kept;
            - :class:`~vidsr.Frame`, as ``open_video(...).planes()`` gives them; results have the same pixel format,
              colour and time.
        options: all options in one object; those of model, size and restoration are used. Give either this or keywords.
        keywords: single options by name.

    Raises:
        OptionsError: (at the call) an option is out of range or needs a whole file: ``restore="auto"``, filters that
            change the number of frames (``ivtc``, ``dedupe``, ``fields="double"``), ``rate``, ``masks``, and filters
            whose parameter would have to be detected; or both ``options`` and keywords were given.
        ModelError: (at the call) the model is unknown or cannot be used.
        InputError: (from the generator) a frame is not of one of these kinds, or differs from the first one.
        InferenceError: (from the generator) a frame could not be computed after every fallback; the message names it.
    """
    from vidsr.filters.after.last_result import LastResult
    from vidsr.filters.hold import text_hold
    from vidsr.inference.upscaler import Upscaler
    from vidsr.jobs.invention.limit import limit_of
    from vidsr.models.zoo import load_chosen

    chosen = _for_frames(chosen_options(options, keywords))
    model = load_chosen(chosen.model)
    chosen = replace(chosen, restore=text_hold.settled(chosen.restore, model.network))
    steps = compose(chosen)
    limit = limit_of(chosen.restore)
    upscaler = Upscaler(chosen.model, model=model, post=steps.after, carrying=LastResult, limit=limit)
    return _enhanced(iter(frames), chosen, steps, upscaler)


def _for_frames(options: EnhanceOptions) -> EnhanceOptions:
    """``options``, checked to be applicable without knowing the whole file."""
    wanted = options.restore
    if wanted.restore.auto:
        raise OptionsError(
            'restore="auto" needs a file to analyse: pass the filters, for example those in '
            "vidsr.inspect(path).recommended"
        )
    if options.model.model == AUTO_MODEL or options.model.finish_within is not None:
        given = 'model="auto"' if options.model.finish_within is None else "finish_within"
        raise OptionsError(f"{given} needs a file to look at: name the model")
    if not options.span.is_whole:
        raise OptionsError(f"{options.span}: give enhance_frames only the frames that you want")
    if wanted.multiframe:  # "auto" silently leaves it out of a stream
        raise OptionsError("multiframe needs to know where a video ends: use vidsr.enhance on the file")
    if wanted.masks is not None:
        raise OptionsError("masks are numbered by the frames of a whole video: use vidsr.enhance on the file")
    if wanted.rate is not None:
        raise OptionsError(f"rate={wanted.rate} changes the number of frames: use vidsr.enhance on the file")
    for choice in wanted.restore.choices:
        filter_ = descriptor(choice.name)
        if filter_.retimes(wanted.fields) is not None:
            what = f"restore={choice.name}" if filter_.retiming is not None else 'fields="double"'
            raise OptionsError(f"{what} changes the number of frames: use vidsr.enhance on the file")
        if is_open(choice):
            raise OptionsError(
                f"restore={choice.name} has to be detected in a file: give it, {choice.name}={filter_.syntax}"
            )
    text = "free" if wanted.text == "auto" else wanted.text  # "auto" looks at a whole file, too
    return replace(options, restore=replace(wanted, multiframe=0.0, text=text))


def _enhanced(source: Iterator[Any], options: EnhanceOptions, steps: Chain, upscaler: Any) -> Generator[Any]:
    first = next(source, None)
    if first is None:
        return
    streams: list[Iterator[Frame]] = [_planar(chain([first], source))]
    try:
        for filter_ in steps.before:
            streams.append(filter_(streams[-1]))
        start = next(streams[-1])
        size = options.size.target(start.width, start.height, upscaler.scale)
        upscale = upscaler.stream(size, start.format)
        streams.append(upscale(chain([start], streams[-1])))
        kind = type(first)
        for frame in streams[-1]:
            yield _like(kind, frame)
    finally:
        for stream in reversed(streams):
            stream.close()  # type: ignore[attr-defined]  # generators all; the last one first


def _planar(source: Iterator[Any]) -> Generator[Frame]:
    """The frames as planes, each checked against the first one."""
    first: Frame | None = None
    kind: type[Any] | None = None
    for number, given in enumerate(source):
        frame = _frame(given, number)
        if first is None or kind is None:
            first, kind = frame, type(given)
        if type(given) is not kind:
            raise InputError(f"frame {number} is a {type(given).__name__}, the first one is a {kind.__name__}")
        if (frame.width, frame.height, frame.format) != (first.width, first.height, first.format):
            raise InputError(
                f"frame {number} is {frame.width}x{frame.height} {frame.format.name}, the first one is "
                f"{first.width}x{first.height} {first.format.name}: start a new enhance_frames where the format changes"
            )
        yield frame


def _frame(given: Any, number: int) -> Frame:
    if isinstance(given, Frame):
        return given
    if isinstance(given, VideoFrame):
        return replace(
            _of_array(given.array, number),
            index=given.index,
            pts=given.pts,
            time_base=given.time_base,
            duration=given.duration,
        )
    if isinstance(given, np.ndarray):
        return _of_array(given, number)
    raise InputError(f"frame {number} is a {type(given).__name__}: give arrays, VideoFrame or Frame objects")


def _of_array(array: Array, number: int) -> Frame:
    """An RGB array as planes; they are copies, so the array may be overwritten afterwards."""
    name = _FORMATS.get(array.dtype.str[1:])
    if name is None or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise InputError(f"frame {number} must be [H, W, 3] of uint8 or uint16, got {array.shape} {array.dtype}")
    format = PixelFormat.parse(name)
    assert format is not None
    planes = tuple(np.array(array[..., channel], order="C") for channel in (1, 2, 0))
    return Frame(planes=planes, format=format, colour=PICTURE_COLOUR, index=number, pts=number, time_base=Fraction(1))


def _like(kind: type[Any], frame: Frame) -> Any:
    """A result in the form in which its source frame was given."""
    if kind is Frame:
        return frame
    if kind is VideoFrame:
        return VideoFrame(
            array=interleaved(frame),
            index=frame.index,
            pts=frame.pts,
            time_base=frame.time_base,
            duration=frame.duration,
        )
    return interleaved(frame)
