"""Whether a source is drawn or comes from a camera, found by looking at a few of its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidsr.errors import VidsrError
from vidsr.filters.detect import drawing
from vidsr.frames import Array
from vidsr.jobs.choosing.candidates import SourceKind
from vidsr.media.samples import stretches
from vidsr.media.source import StoredInfo

#: Places in a video, of two frames each, and pictures of a folder.
_PLACES, _LENGTH, _PICTURES = 9, 2, 12
#: Of a large picture the middle is looked at, of this many pixels a side.
_MOST_PX = 2560


def kind_of_video(info: StoredInfo) -> SourceKind:
    """What a video shows; camera footage where nothing can be decoded, as the job itself reports what is wrong."""
    from vidsr.inference.colour import rgb8_of

    pictures: list[Array] = []
    try:
        for _, frames in stretches(info, places=_PLACES, length=_LENGTH, whole=_PLACES * _LENGTH):
            pictures.append(rgb8_of(frames[len(frames) // 2]))
            if len(pictures) == _PLACES:
                break
    except VidsrError:
        pass
    return _judged(pictures)


def kind_of_pictures(files: Sequence[Path]) -> SourceKind:
    """What pictures show, of many a dozen from all over the list; those that cannot be read are left out."""
    from vidsr.jobs.thumbnails import picture_rgb
    from vidsr.media.pictures.files import read_picture

    count = min(len(files), _PICTURES)
    pictures: list[Array] = []
    for number in range(count):
        try:
            picture = read_picture(files[number * len(files) // count])
        except VidsrError:
            continue
        try:
            width, height = picture.size
            rows, columns = (slice(max(0, (n - _MOST_PX) // 2), (n + _MOST_PX) // 2 + 1) for n in (height, width))
            pictures.append(picture_rgb(picture.pixels[rows, columns], picture))
        finally:
            picture.close()
    return _judged(pictures)


def _judged(pictures: Sequence[Array]) -> SourceKind:
    return "drawings" if drawing.is_drawing([drawing.look(picture) for picture in pictures]) else "camera footage"
