"""The border to PyAV: opening sources safely, and turning its errors into ours."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import av.logging
from av.codec import hwaccel

from vidsr.errors import EncodeError, InputError, OutputError, VidsrError
from vidsr.media import image_sequence
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
    """Open a source for reading, limited to that one local file (an address is opened as it is), or to the
    numbered pictures of a pattern such as ``frames/%06d.png``. ``whole`` also finds the streams of a program stream
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
    check_local(path)
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    if whole and (late := last_beginning(path, path.stat().st_mtime_ns)) > _LATE_BYTES:
        options |= {"probesize": str(max(_PROBED_BYTES, late + _BEHIND_BYTES)), "analyzeduration": "2000000000"}
    return _open(f"file:{path.absolute()}", str(path), options, cuda)


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
    address: str, shown: str, options: dict[str, str], cuda: bool, *, format: str | None = None
) -> av.container.InputContainer:
    accelerator = cuda_decoding() if cuda else None
    try:
        return av.open(address, "r", format=format, options=options, metadata_errors="replace", hwaccel=accelerator)
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
