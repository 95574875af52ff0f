"""The border to PyAV: opening sources safely, and turning its errors into ours."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.logging
from av.codec import hwaccel
from av.stream import Disposition

from vidsr.errors import EncodeError, InputError, OutputError, VidsrError
from vidsr.media import image_sequence, joined
from vidsr.media.source_files import stamp
from vidsr.media.truncation import last_beginning
from vidsr.storage import disk_full, is_disk_full

#: Demuxers that read one file of their own. Playlists (hls, concat, dash, sdp) are not among them: they make
#: the library open other files and addresses that the user never named.
DEMUXERS = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,flv,live_flv,mpeg,mpegts,mpegvideo,asf,nut,ogg,mxf,gxf,dv,ivf,obu,"
    "h264,hevc,vvc,av1,vc1,vc1test,m4v,h263,h261,rm,wtv,yuv4mpegpipe,gif,apng,webp_anim,roq,swf,dirac,mjpeg,nsv,nuv,"
    "bink,smk,flic,cavsvideo,avs2,avs3,mp3,wav,flac,aac,ac3,eac3,aiff,au,png_pipe,jpeg_pipe,bmp_pipe,tiff_pipe,"
    "webp_pipe,image2,thp,4xm,vmd,idcin,psxstr,film_cpk,ea,mv,pva,xmv,kux,lvf,amv"
)
_dump_lock = threading.Lock()
_AV_LOG_INFO, _AV_LOG_DEBUG = 32, 48
#: What FFmpeg looks at by itself, in bytes; room behind the first packet of a late stream; and where "late" begins.
_PROBED_BYTES, _BEHIND_BYTES, _LATE_BYTES = 5_000_000, 1 << 20, 1 << 16

#: Dispositions of streams that are pictures: attached ones and timed thumbnails.
_STILL = 0xC00
#: Bytes that FFmpeg asks a joined file for at once.
_JOINED_BUFFER_BYTES = 1 << 18

AvError = av.error.FFmpegError


_ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:/{1,2}(?=[^/])")


def is_address(source: Path | str) -> bool:
    """Whether this is a network address rather than a path. A :class:`Path` never is."""
    return isinstance(source, str) and bool(_ADDRESS.match(source)) and not Path(source).exists()


def cuda_trouble() -> str | None:
    """Why CUDA cannot decode here, or None if it can."""
    try:
        hwaccel.HWAccel("cuda", allow_software_fallback=True).create(av.Codec("h264", "r"))
    except (AvError, ValueError, OSError, RuntimeError, NotImplementedError) as error:
        return str(error)
    return None


def cuda_decoding() -> Any:
    """What makes a decoder run on CUDA, frame by frame handed back to the processor."""
    return hwaccel.HWAccel("cuda", allow_software_fallback=True)


def open_input(source: Path | str, *, cuda: bool = False, whole: bool = False) -> av.container.InputContainer:
    """Open a source for reading, limited to that one local file (an address is opened as it is), to the numbered
    pictures of a pattern such as ``frames/%06d.png``, or to the parts of a joined one such as ``VTS_01_{1,2}.VOB``,
    which come out as one timeline. ``whole`` also finds the streams of a program stream
    that begin late; the others have the same numbers without it.

    Raises:
        InputError: the file is missing, a folder, empty, unreadable, or no media file that we read.
    """
    if is_address(source):
        return _open(str(source), str(source), {}, cuda)
    path = Path(source)
    if image_sequence.is_pattern(path):
        first = image_sequence.find(path).first
        options = {"protocol_whitelist": "file", "start_number": str(first), "start_number_range": "1"}
        return _open(f"file:{path.absolute()}", str(path), options, cuda, format="image2")
    if joined.is_joined(path):
        return _open_joined(path, cuda=cuda, whole=whole)
    check_local(path)
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS, **_late_streams(path, whole=whole)}
    return _open(f"file:{path.absolute()}", str(path), options, cuda)


def _late_streams(path: Path, *, whole: bool) -> dict[str, str]:
    """Options that also find the streams of a program stream that begin late."""
    if whole and (late := last_beginning(path, stamp(path)[1])) > _LATE_BYTES:
        return {"probesize": str(max(_PROBED_BYTES, late + _BEHIND_BYTES)), "analyzeduration": "2000000000"}
    return {}


def _open_joined(path: Path, *, cuda: bool, whole: bool) -> av.container.InputContainer:
    """Open a joined source: program and transport streams as one run of bytes, others through FFmpeg's concat demuxer,
    which moves each part behind the one before it."""
    parts = joined.parts_of(path)
    joined.check_plain(parts)
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    if joined.is_bytewise(parts[0]):
        options |= _late_streams(path, whole=whole)
        return _open(joined.JoinedFile(parts), str(path), options, cuda)
    recording = _recording(path, stamp(path))
    options |= {"safe": "0", "format_whitelist": f"concat,{DEMUXERS}"}
    container = _open(io.BytesIO(recording.list), str(path), options, cuda, format="concat")
    # The demuxer leaves these out.
    container.metadata.update(recording.metadata)
    for stream, disposition in zip(container.streams, recording.dispositions, strict=False):
        stream.disposition = Disposition(disposition)
    return container


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """The parts of a recording as a list for the concat demuxer; tags and dispositions of the first part."""

    list: bytes
    metadata: dict[str, str]
    dispositions: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part in seconds: where its video begins behind its earliest stream, and how long the video lasts."""

    lead: Fraction
    seconds: Fraction
    streams: tuple[tuple[Any, ...], ...]
    dispositions: tuple[int, ...]
    metadata: dict[str, str]


@lru_cache(maxsize=16)
def _recording(path: Path, changed: tuple[int, int]) -> _Recording:
    """Examine the parts of a joined source; ``changed`` is its :func:`stamp`, so that changed files are read again.

    Each part begins where the video of the one before ends, so that its frames go on evenly and its sound stays beside
    them, even where the sound of a part is a little longer or shorter than its video.

    Raises:
        InputError: a part cannot be read, or its streams differ from those of the first.
    """
    del changed
    parts = joined.parts_of(path)
    seen = [_examine(part) for part in parts]
    for part, what in zip(parts[1:], seen[1:], strict=True):
        if what.streams != seen[0].streams:
            raise InputError(
                f"{path}: {part.name} cannot be joined to {parts[0].name}: their streams differ "
                f"({_listed(seen[0].streams)}; {_listed(what.streams)}); enhance them one by one"
            )
    lines = ["ffconcat version 1.0"]
    for number, part in enumerate(parts):
        if "\n" in part.name:
            raise InputError(f"{path}: a part with a line break in its name cannot be joined; rename it")
        quoted = str(part.absolute()).replace("'", "'\\''")
        lines.append(f"file 'file:{quoted}'")
        if number + 1 < len(parts):
            lines.append(f"duration {float(seen[number].lead + seen[number].seconds - seen[number + 1].lead):.6f}")
        else:
            lines.append(f"duration {float(seen[number].lead + seen[number].seconds):.6f}")
    text = "\n".join(lines) + "\n"
    first = seen[0]
    return _Recording(list=os.fsencode(text), metadata=first.metadata, dispositions=first.dispositions)


def _examine(part: Path) -> _Part:
    with open_input(part) as container:
        videos = [s for s in container.streams.video if not int(s.disposition) & _STILL]
        if not videos:
            raise InputError(f"{part} has no video stream: it cannot be joined to others")
        video, begin = videos[0], Fraction(container.start_time or 0, av.time_base)
        start = Fraction(video.start_time or 0) * (video.time_base or 1)
        if video.duration is not None:
            seconds = video.duration * (video.time_base or 1)
        else:
            seconds = Fraction(container.duration or 0, av.time_base) - (start - begin)
        return _Part(
            lead=start - begin,
            seconds=Fraction(seconds),
            streams=tuple(_shape(stream) for stream in container.streams),
            dispositions=tuple(int(stream.disposition) for stream in container.streams),
            metadata=dict(container.metadata),
        )


def _shape(stream: Any) -> tuple[Any, ...]:
    """What must be the same in all parts."""
    context = stream.codec_context
    if context is None:
        return (stream.type,)
    if stream.type == "video":
        return (stream.type, context.name, f"{context.width}x{context.height}", context.pix_fmt)
    if stream.type == "audio":
        return (stream.type, context.name, f"{context.sample_rate} Hz", context.layout.name)
    return (stream.type, context.name)


def _listed(streams: Sequence[tuple[Any, ...]]) -> str:
    return "; ".join(" ".join(map(str, stream)) for stream in streams)


#: How far apart two parts of one recording may lie, in seconds.
_SEAM_SECONDS = 1.0


def continues(before: Path, after: Path) -> bool:
    """Whether the timestamps of a transport stream go on where those of another end."""
    try:
        with open_input(before) as first, open_input(after) as second:
            if first.start_time is None or first.duration is None or second.start_time is None:
                return False
            gap = (second.start_time - first.start_time - first.duration) / av.time_base
            return abs(gap) <= _SEAM_SECONDS
    except InputError:
        return False


def whole_recording(path: Path) -> Path:
    """The joined path of the recording that a file is a part of, by its name and, for AVCHD, its timestamps; the path
    itself if it is not one."""
    return joined.whole(path, continues)


def packets(container: av.container.InputContainer, *streams: Any) -> Iterator[Any]:
    """Every packet of the streams that can be read, then, if that is all, an empty one for each.

    What cannot be read ends them quietly: the index has reported it. PyAV fails at the end of a file in which
    streams have come up that were not there when it was opened; by then it has given all that was asked for.
    """
    with suppress(IndexError, AvError, OSError):
        yield from container.demux(*streams)


def check_local(path: Path) -> None:
    """Refuse a path that is not a readable file before a demuxer sees it.

    Raises:
        InputError: the path is missing, is a folder, is empty, or may not be read.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder: give a video file")
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path} is empty (zero bytes)")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _open(
    address: str | joined.JoinedFile | io.BytesIO,
    shown: str,
    options: dict[str, str],
    cuda: bool,
    *,
    format: str | None = None,
) -> av.container.InputContainer:
    accelerator = cuda_decoding() if cuda else None
    try:
        return av.open(
            address,
            "r",
            format=format,
            options=options,
            metadata_errors="replace",
            hwaccel=accelerator,
            buffer_size=_JOINED_BUFFER_BYTES,  # of file objects only
        )
    except av.error.EOFError as error:
        raise InputError(f"{shown} ends before its first frame: there is nothing to enhance") from error
    except (AvError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown} is not a video that can be read ({reason})") from error


@contextmanager
def writing(path: Path, what: str = "writing") -> Iterator[None]:
    """Map errors of PyAV and the system while ``path`` is being written.

    Raises:
        DiskFullError: no space is left.
        OutputError: the folder is gone, the file cannot be written, or the container refuses a stream.
    """
    try:
        yield
    except VidsrError:
        raise
    except (AvError, OSError, ValueError) as error:
        raise output_error(error, path, what) from error


def output_error(error: BaseException, path: Path, what: str) -> OutputError:
    """The :class:`OutputError` for a foreign error met while ``what`` was done to ``path``."""
    reason = getattr(error, "strerror", None) or str(error)
    if is_disk_full(error):
        return disk_full(what, path)
    detail = _last_words(error)
    return OutputError(f"{what} {path} failed: {reason}{f' ({detail})' if detail else ''}")


def _last_words(error: BaseException) -> str:
    """What the library logged just before it failed."""
    log = getattr(error, "log", None)
    return " ".join(str(log[2]).split()) if log else ""


def encode_error(error: BaseException, codec: str, place: str) -> EncodeError:
    """The :class:`EncodeError` for a foreign error of an encoder."""
    reason = getattr(error, "strerror", None) or str(error)
    return EncodeError(f"the {codec} encoder failed at {place}: {reason}")


def dump(container: av.container.InputContainer) -> str:
    """FFmpeg's own description of an open source. PyAV shows chroma location and Dolby Vision nowhere else."""
    with _dump_lock:
        previous = av.logging.get_level()
        av.logging.set_level(av.logging.DEBUG)
        av.logging.set_libav_level(_AV_LOG_DEBUG)
        try:
            return str(container.dumps_format())  # type: ignore[attr-defined]
        finally:
            av.logging.set_libav_level(_AV_LOG_INFO)
            av.logging.set_level(previous)
