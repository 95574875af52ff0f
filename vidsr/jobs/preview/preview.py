"""A few moments of a source before and after, and sheets that show them side by side with a zoomed detail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vidsr.errors import InputError
from vidsr.frames import Array, PixelFormat
from vidsr.jobs.choosing.settle import settle
from vidsr.jobs.enhance import refuse_span
from vidsr.jobs.preview.sample import Sampler
from vidsr.jobs.stills.picture import PictureUpscaler, enhanced_window
from vidsr.jobs.thumbnails import picture_rgb
from vidsr.media.pictures.files import is_picture, read_picture
from vidsr.media.pictures.frame_files import PICTURE_COLOUR, interleaved
from vidsr.media.samples import duration_seconds
from vidsr.options.enhance_options import EnhanceOptions

#: Files of a saved moment: the source at its own size and enlarged to the size of the result, and the result.
SOURCE_NAME, BEFORE_NAME, AFTER_NAME = "source.png", "before.png", "after.png"
#: Of a still picture with more pixels than this, a preview shows the middle.
_PREVIEW_PX = 300_000
#: Width in pixels of one picture on a sheet, and the share of a picture's width that the detail shows.
_CELL_PX = 480
_DETAIL = 6
_GAP, _LABEL = 12, 26
_PAPER, _INK = (250, 250, 248), (30, 30, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment: RGB uint8 [h, w, 3] as it was and [H, W, 3] enhanced; ``seconds`` after the video's start.

    ``place`` says in words what is shown.
    """

    seconds: float
    before: Array
    after: Array
    place: str


class Previewer:
    """Enhances moments of one source with one set of options; the model is loaded once.

    Raises:
        VidsrError: whatever would stop the job itself.
    """

    def __init__(self, source: Path, options: EnhanceOptions) -> None:
        if is_picture(source):
            refuse_span(source, options)
        settled = settle(source, None, options, "picture" if is_picture(source) else "video")
        options, self._choices = settled.options, settled.notes
        self._source = source
        self._options = options
        self._sampler = None if is_picture(source) else Sampler(source, options)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the result of the job cannot keep, and which options single moments cannot show."""
        return self._choices if self._sampler is None else (*self._choices, *self._sampler.recipe.notes)

    def at(self, seconds: float) -> Moment:
        """One moment; a picture has only one."""
        if self._sampler is None:
            return _picture_moment(self._source, self._options)
        from vidsr.inference.colour import rgb8_of

        format = PixelFormat.parse("gbrp")
        assert format is not None
        before, after = self._sampler.moment(seconds, format, PICTURE_COLOUR)
        video = self._sampler.recipe.decoded.video
        shown = float((before.pts - (video.start or 0)) * before.time_base)
        rgb = interleaved(after)[..., :3]
        return Moment(seconds=shown, before=rgb8_of(before), after=rgb, place=f"at {shown:.2f} s")

    def spread(self, count: int) -> list[float]:
        """``count`` times evenly spread over the source, or over the part of it that the options name."""
        if self._sampler is None:
            return [0.0]
        decoded, span = self._sampler.recipe.decoded, self._options.span
        length = duration_seconds(decoded) or 0.0
        start, end = float(span.begin), length if span.finish is None else float(span.finish)
        if span.frames is not None:
            # By the nominal rate, which is near enough for a choice of moments.
            start = float(span.frames.first / decoded.video.rate)
            end = length if span.frames.stop is None else float(span.frames.stop / decoded.video.rate)
        if start >= length and not span.is_whole:
            raise InputError(f"{span}: {self._source} lasts {length:.3f} s; begin earlier")
        return [start + (min(end, length) - start) * (i + 0.5) / count for i in range(count)]


def enhance_moment(source: Path, seconds: float, options: EnhanceOptions) -> Moment:
    """Enhance one moment of a video, or a picture.

    Raises:
        VidsrError: whatever would stop the job itself.
    """
    return Previewer(source, options).at(seconds)


def _picture_moment(source: Path, options: EnhanceOptions) -> Moment:
    from vidsr.inference.upscaler import Upscaler
    from vidsr.jobs.invention.limit import limit_of

    network: PictureUpscaler = Upscaler(options.model, limit=limit_of(options.restore))
    picture = read_picture(source)
    try:
        width, height = picture.size
        window = _middle(picture.size)
        before, after = enhanced_window(picture, window, options, network)
        whole = before.shape[:2] == (height, width)
        return Moment(
            seconds=0.0,
            before=picture_rgb(before, picture),
            after=picture_rgb(after, picture),
            place="the picture" if whole else f"the middle of {width}x{height}",
        )
    finally:
        picture.close()


def _middle(size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the whole picture, or the middle of one that would take too long."""
    width, height = size
    if width * height <= _PREVIEW_PX:
        return slice(0, height), slice(0, width)
    shrink = (_PREVIEW_PX / (width * height)) ** 0.5
    wide, high = max(1, round(width * shrink)), max(1, round(height * shrink))
    top, left = (height - high) // 2, (width - wide) // 2
    return slice(top, top + high), slice(left, left + wide)


def save_moment(moment: Moment, folder: Path) -> dict[str, Any]:
    """Write ``source.png``, ``before.png`` (the same enlarged by bicubic interpolation) and ``after.png``."""
    height, width = moment.after.shape[:2]
    Image.fromarray(moment.before).save(folder / SOURCE_NAME)
    _enlarged(moment.before, (width, height)).save(folder / BEFORE_NAME)
    Image.fromarray(moment.after).save(folder / AFTER_NAME)
    return {"at_seconds": moment.seconds, "width": width, "height": height, "place": moment.place}


def _enlarged(pixels: Array, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def sheet(rows: Sequence[Sequence[Moment]], labels: Sequence[str], lines: Sequence[Sequence[str]] = ()) -> Image.Image:
    """One picture of moments (rows) under several option sets (columns), the source first in each row.

    ``lines`` are texts under the results, in rows like the moments; none where empty.

    Every cell shows the whole picture and, below it, the same detail at the result's own pixels or larger: the
    place of the source with the most contrast.
    """
    columns = 1 + len(labels)
    heights = [_row_height(row[0]) for row in rows]
    paper = Image.new(
        "RGB", (columns * (_CELL_PX + _GAP) + _GAP, sum(heights) + _GAP * (len(rows) + 1) + _LABEL), _PAPER
    )
    draw = ImageDraw.Draw(paper)
    font, small = ImageFont.load_default(16), ImageFont.load_default(14)
    for number, label in enumerate(["source (bicubic)", *labels]):
        draw.text((_GAP + number * (_CELL_PX + _GAP), 8), _fitted(label, draw, font), fill=_INK, font=font)
    top = _LABEL + _GAP
    for row, height, under in zip(rows, heights, lines or [()] * len(rows), strict=True):
        _draw_row(paper, row, top)
        for number, line in enumerate(under, 1):
            place = (_GAP + number * (_CELL_PX + _GAP), top + height - _LABEL + 5)
            draw.text(place, _fitted(line, draw, small), fill=_INK, font=small)
        top += height + _GAP
    return paper


def _fitted(label: str, draw: ImageDraw.ImageDraw, font: Any) -> str:
    """The label, cut to what fits over a picture."""
    if draw.textlength(label, font=font) <= _CELL_PX:
        return label
    while label and draw.textlength(label + "…", font=font) > _CELL_PX:
        label = label[:-1]
    return label + "…"


def _row_height(moment: Moment) -> int:
    height, width = moment.after.shape[:2]
    whole = int(_CELL_PX * height / width)
    return whole + _GAP // 2 + _CELL_PX // 2 + _LABEL


def _draw_row(paper: Image.Image, row: Sequence[Moment], top: int) -> None:
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(14)
    box = detail_box(row[0].before)
    before = row[0].before
    height, width = row[0].after.shape[:2]
    pictures = [_enlarged(before, (width, height)), *(Image.fromarray(m.after) for m in row)]
    whole = round(_CELL_PX * height / width)
    for number, picture in enumerate(pictures):
        left = _GAP + number * (_CELL_PX + _GAP)
        paper.paste(picture.resize((_CELL_PX, whole), Image.Resampling.LANCZOS), (left, top))
        fx, fy = picture.width / before.shape[1], picture.height / before.shape[0]
        crop = tuple(round(v * f) for v, f in zip(box, (fx, fy, fx, fy), strict=True))
        detail = picture.crop(crop).resize((_CELL_PX, _CELL_PX // 2), Image.Resampling.BICUBIC)
        paper.paste(detail, (left, top + whole + _GAP // 2))
        shown = [v * _CELL_PX / before.shape[1] for v in box]
        draw.rectangle(
            (left + shown[0], top + shown[1], left + shown[2], top + shown[3]), outline=(255, 80, 60), width=2
        )
    text = f"{row[0].place} · {before.shape[1]}x{before.shape[0]} to {width}x{height}"
    draw.text((_GAP, top + whole + _GAP // 2 + _CELL_PX // 2 + 5), text, fill=_INK, font=font)


def detail_box(pixels: Array) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the place with the most contrast: twice as wide as high, a sixth of the width."""
    height, width = pixels.shape[:2]
    w = max(2, width // _DETAIL)
    h = max(1, min(height, w // 2))
    grey = pixels.astype(np.float32).mean(axis=2)
    bend = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    table = np.pad(np.minimum(bend, 40).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = table[h:, w:] - table[:-h, w:] - table[h:, :-w] + table[:-h, :-w]
    # Not at the edges, where borders and logos are.
    inset_y, inset_x = sums.shape[0] // 10, sums.shape[1] // 10
    inner = sums[inset_y : sums.shape[0] - inset_y, inset_x : sums.shape[1] - inset_x]
    y, x = np.unravel_index(int(inner.argmax()), inner.shape)
    left, top = int(x) + inset_x, int(y) + inset_y
    return left, top, left + w, top + h
