"""What numbered pictures do not keep of a video."""

from __future__ import annotations

from collections.abc import Iterator

from vidsr.media.mux.restoration_tag import timecode_of
from vidsr.media.pictures.dpx import UNSPECIFIED, colour_fields
from vidsr.media.pictures.frame_files import PictureSettings
from vidsr.media.source import ShapedInfo, VideoInfo
from vidsr.media.timecode import Timecode


def lost_in_pictures(info: ShapedInfo, picture: PictureSettings) -> Iterator[str]:
    """What numbered pictures do not keep of a source."""
    video = info.video
    if video.format.alpha and not picture.format.alpha:
        yield f"numbered {picture.suffix} pictures are written without alpha: the source's alpha channel is left out"
    others = {s.kind for s in info.streams if s.index != video.stream_index}
    if others:
        yield f"numbered pictures hold no {', '.join(sorted(others))}"
    timecode = timecode_of(info)
    if timecode is not None and picture.suffix != ".dpx":
        yield f"numbered {picture.suffix} pictures hold no timecode: {timecode} is left out; .dpx pictures keep it"
    if timecode is not None and picture.suffix == ".dpx" and Timecode.parse(timecode) is None:
        yield f"the timecode {timecode} is not valid: it is left out"
    if picture.suffix == ".dpx":
        yield from _colour_without_code(video)
    if video.hdr.mastering or video.hdr.light_level:
        yield "numbered pictures do not store mastering display and light level data: they are left out"


def _colour_without_code(video: VideoInfo) -> Iterator[str]:
    """What of the colour of a video DPX has no code for."""
    if video.codec == "dpx":
        return  # its codes are copied
    codes = colour_fields(video.colour.transfer, video.colour.primaries)
    for name, stored in (("transfer", video.colour.transfer), ("primaries", video.colour.primaries)):
        code = codes["transfer" if name == "transfer" else "colorimetric"]
        if stored and code == UNSPECIFIED:
            yield f"DPX has no code for the {name} {stored}: stored as unspecified video"
