"""Probe a source: open it, decode its first frame, and say what it is."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
from av.sidedata.sidedata import SideDataContainer

from vidsr.errors import InputError, OptionsError
from vidsr.frames import PixelFormat
from vidsr.media import libav
from vidsr.media.colour_tags import RawTags, interpret
from vidsr.media.pictures.dpx import read_fields, timecode_in
from vidsr.media.pixel_formats import planar_format, planes_of
from vidsr.media.source import Chapter, HdrInfo, SourceInfo, StoredInfo, StreamInfo, VideoInfo
from vidsr.media.source_files import files_of, size_bytes
from vidsr.media.truncation import promised_bytes
from vidsr.options.enhance_options import ColourOptions, SourceOptions

#: Packets without any decodable frame after which a stream is given up.
MAX_BARREN_PACKETS = 2000
_LOST = {
    "DYNAMIC_HDR_PLUS": "HDR10+ dynamic metadata (SMPTE ST 2094-40)",
    "DYNAMIC_HDR_VIVID": "HDR Vivid dynamic metadata",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "A53_CC": "closed captions inside the video (A53 / CEA-608/708)",
    "AFD": "active format description",
    "STEREO3D": "stereo 3D description",
    "SPHERICAL": "spherical video description",
    "ICC_PROFILE": "embedded ICC profile",
}


def probe(path: Path | str, colour: ColourOptions | None = None, reading: SourceOptions | None = None) -> StoredInfo:
    """Describe a source; decodes up to its first frame and no further.

    Raises:
        InputError: the path is missing, a folder, empty, no video, without a video stream, or none of its
            frames can be decoded; or it is a network address and ``--allow-network`` was not given.
        OptionsError: ``--hwaccel cuda`` was given and CUDA does not work here.
    """
    reading = reading or SourceOptions()
    path = _permitted(path, reading)
    if reading.join and isinstance(path, Path):
        path = libav.whole_recording(path)
    hwaccel, hwaccel_note = _hwaccel(reading)
    with libav.open_input(path, whole=True) as container:
        stream = _pick_video(container, path)
        text = libav.dump(container)
        decoder = _better_decoder(stream)
        frame = first_frame(container, stream, decoder)
        if frame is None:
            raise InputError(f"{path}: its video stream ({_codec(stream)}) holds no frame that can be decoded")
        video = _video_info(stream, frame, _stream_text(text, stream.index), colour or ColourOptions(), decoder)
        size = 0 if libav.is_address(path) else size_bytes(Path(path))
        missing = _missing_bytes(Path(path)) if size else 0
        info = SourceInfo(
            path=path if libav.is_address(path) else Path(path),
            container=container.format.name,
            streams=tuple(_stream_info(s) for s in container.streams),
            video=video,
            chapters=tuple(_chapters(container)),
            metadata=(*container.metadata.items(), *_dpx_tags(path)),
            notes=(
                *hwaccel_note,
                *(f"{lost} cannot be kept: no encoder here writes it" for lost in video.lost),
                *(
                    [f"the file is cut off: {missing} of the {size + missing} bytes that it promises are missing"]
                    if missing
                    else []
                ),
            ),
            size_bytes=size,
            missing_bytes=missing,
            hwaccel=hwaccel,
        )
        return StoredInfo(info)


def _dpx_tags(path: Path | str) -> Iterator[tuple[str, str]]:
    """The timecode of numbered DPX pictures as a tag, as other sources have it."""
    if isinstance(path, Path) and path.suffix.lower() == ".dpx":
        start = timecode_in(read_fields(files_of(path)[0]))
        if start is not None:
            yield "timecode", str(start)


def _missing_bytes(path: Path) -> int:
    """Bytes that the files of a source promise and do not have."""
    return sum(max(0, (promised_bytes(file) or 0) - file.stat().st_size) for file in files_of(path))


def _permitted(path: Path | str, reading: SourceOptions) -> Path | str:
    text = str(path)
    scheme = re.match(r"^([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?=[^/])", text)
    if scheme is None or Path(path).exists():
        return Path(path)
    address = f"{scheme.group(1)}://{text[scheme.end() :]}"  # a Path has folded the two slashes into one
    if not reading.allow_network:
        raise InputError(f"{address} is an address and no local file: add --allow-network to read it")
    return address


def _hwaccel(reading: SourceOptions) -> tuple[str, tuple[str, ...]]:
    if reading.hwaccel == "off":
        return "off", ()
    why = libav.cuda_trouble()
    if why is None:
        return "cuda", ()
    if reading.hwaccel == "cuda":
        raise OptionsError(f"--hwaccel cuda does not work on this machine ({why}): use --hwaccel auto or off")
    return "off", (f"no GPU decodes here ({why}): decoding on the processor",)


def _pick_video(container: av.container.InputContainer, path: Path | str) -> Any:
    pictures = [s for s in container.streams.video if s.codec_context is not None]
    moving = [s for s in pictures if not int(s.disposition) & 0xC00]
    if moving:
        return max(moving, key=lambda s: (int(s.disposition) & 1, s.width * s.height, -s.index))
    if pictures:
        raise InputError(f"{path} has no video, only cover art: there is nothing to enhance")
    kinds = sorted({s.type for s in container.streams})
    if container.streams.video:
        raise InputError(f"{path}: there is no decoder for its video")
    raise InputError(f"{path} has no video stream (it has: {', '.join(kinds) or 'nothing'})")


def _better_decoder(stream: Any) -> str | None:
    tags = {k.lower(): v for k, v in stream.metadata.items()}
    # FFmpeg's own VP8 and VP9 decoders silently drop the alpha plane; libvpx does not.
    if tags.get("alpha_mode") == "1" and _codec(stream) in ("vp8", "vp9"):
        return "libvpx-vp9" if _codec(stream) == "vp9" else "libvpx"
    return None


def _codec(stream: Any) -> str:
    return str(stream.codec_context.codec.canonical_name)


def decoder_for(stream: Any, name: str | None) -> Any:
    """The codec context that decodes ``stream``: its own, or the named decoder set up like it.

    EXR holds linear light; it is decoded to sRGB's code values (IEC 61966-2-1), which networks are trained on.
    """
    if name is None:
        if stream.codec_context.name == "exr" and not stream.codec_context.is_open:
            stream.codec_context.options = {"apply_trc": "iec61966_2_1"}
        return stream.codec_context
    context: Any = av.CodecContext.create(name, "r")
    own = stream.codec_context
    context.extradata = own.extradata
    # Not in VP9's own bits: the container says it.
    context.color_primaries, context.color_trc = own.color_primaries, own.color_trc
    return context


def first_frame(container: av.container.InputContainer, stream: Any, decoder: str | None) -> av.VideoFrame | None:
    """The first frame that decodes, or None after :data:`MAX_BARREN_PACKETS` packets without one."""
    context = decoder_for(stream, decoder)
    for packet in itertools.islice(libav.packets(container, stream), MAX_BARREN_PACKETS):
        try:
            frames = context.decode(packet if packet.size else None)
        except (libav.AvError, ValueError):
            frames = []
        if frames:
            return frames[0]  # type: ignore[no-any-return]
    return None


def _video_info(stream: Any, frame: Any, text: str, options: ColourOptions, decoder: str | None) -> VideoInfo:
    native = str(frame.format.name)
    format = _working_format(frame, native)
    raw = RawTags(
        matrix=int(frame.colorspace),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
        range=int(frame.color_range),
        chroma_location=_chroma_location(text),
        native_format=native,
        codec=_codec(stream),
        width=frame.width,
        height=frame.height,
    )
    colour, tags, guessed = interpret(raw, format, options)
    side = _side_data(frame)
    matrix = struct.unpack("<9i", side["DISPLAYMATRIX"]) if "DISPLAYMATRIX" in side else None
    profile = re.search(r"DOVI configuration record:.*?profile: (\d+)", text)
    lost = lost_with(frame)
    if profile:
        lost.add("Dolby Vision metadata")
    return VideoInfo(
        stream_index=stream.index,
        codec=_codec(stream),
        width=frame.width,
        height=frame.height,
        native_format=native,
        format=format,
        colour=colour,
        tags=tags,
        time_base=stream.time_base,
        rate=_nominal_rate(stream),
        sar=stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1),
        guessed=guessed,
        lost=tuple(sorted(lost)),
        rotation=int(frame.rotation),
        display_matrix=matrix,
        start=stream.start_time,
        duration=_duration(stream),
        declared_frames=stream.frames or None,
        field_order=int(stream.codec_context.field_order),
        interlaced=bool(frame.interlaced_frame),
        hdr=_hdr(side),
        profile=stream.codec_context.profile,
        decoder=decoder,
        dolby_vision=int(profile.group(1)) if profile else None,
    )


def lost_with(frame: Any) -> set[str]:
    """The side data of a decoded frame that a re-encode loses, in words."""
    try:
        return {_LOST[name] for s in _beside(frame) if (name := s.type.name) in _LOST}
    except ValueError:  # as in _side_data
        return set()


def _side_data(frame: Any) -> dict[str, bytes]:
    """A frame's side data by name; none where PyAV does not know a kind that is there, such as the EXIF of pictures."""
    try:
        return {s.type.name: bytes(s) for s in _beside(frame)}
    except ValueError:
        return {}


def _beside(frame: Any) -> Any:
    """A frame's side data.

    Not by ``frame.side_data``: it makes a reference cycle of frame and container, so that each frame stays in memory
    until the garbage collector runs, hundreds of frames later.
    """
    return SideDataContainer(frame)  # type: ignore[call-arg]  # PyAV's stub leaves the argument out


def _working_format(frame: Any, native: str) -> PixelFormat:
    try:
        format = planar_format(native)
    except ValueError as error:
        raise InputError(f"its pixel format {native} is not supported") from error
    # GIF and palette pictures always claim alpha: believe it only where something is transparent.
    if format.name == "gbrap" and native in ("pal8", "bgra"):
        alpha = planes_of(frame, format)[-1]
        if int(alpha.min()) == format.max_code:
            return planar_format("gbrp")
    return format


def _nominal_rate(stream: Any) -> Fraction:
    """A plausible frame rate; 25 where the source has none (still pictures, broken headers)."""
    for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate):
        if rate and Fraction(1, 10) <= rate <= 1000:
            return Fraction(rate)
    return Fraction(25)


def _hdr(side: dict[str, bytes]) -> HdrInfo:
    mastering, light = None, None
    data = side.get("MASTERING_DISPLAY_METADATA")
    if data and len(data) >= 88:
        v = struct.unpack("<22i", data[:88])
        if v[20] and v[21] and all(v[1:20:2]):
            mastering = tuple(Fraction(v[2 * i], v[2 * i + 1]) for i in range(10))
    level = side.get("CONTENT_LIGHT_LEVEL")
    if level and len(level) >= 8:
        light = struct.unpack("<II", level[:8])
    return HdrInfo(mastering=mastering, light_level=light)


def _duration(stream: Any) -> int | None:
    """How long the stream says it is, or else the whole file (Matroska), in the stream's time base."""
    whole: int | None = stream.container.duration
    own: int | None = stream.duration
    if own is not None or whole is None:
        return own
    clock: Fraction = stream.time_base
    return round(Fraction(whole, 1_000_000) / clock)


def _stream_text(text: str, index: int) -> str:
    """The part of FFmpeg's dump that is about one stream."""
    parts = re.split(r"(?m)^  (?=Stream #0:(\d+))", text)
    return next((body for number, body in zip(parts[1::2], parts[2::2], strict=True) if int(number) == index), "")


def _chroma_location(text: str) -> str | None:
    """The chroma location in a line such as ``yuv420p(tv, bt709, progressive, topleft)``."""
    found = re.search(r"^Stream [^\n]*?\w+\((?:[^()\n]*, )?(left|center|topleft|top|bottomleft|bottom)\)", text)
    return found.group(1) if found else None


def _stream_info(stream: Any) -> StreamInfo:
    context = stream.codec_context
    details = ""
    if stream.type == "audio" and context is not None:
        details = f"{context.sample_rate} Hz, {context.layout.name}"
    elif stream.type == "video" and context is not None:
        details = f"{context.width}x{context.height}"
    name = str(context.codec.canonical_name) if context is not None else str(getattr(stream, "name", None) or "unknown")
    return StreamInfo(
        index=stream.index,
        kind=str(stream.type),
        codec=name,
        time_base=stream.time_base,
        start=stream.start_time,
        duration=stream.duration,
        disposition=int(stream.disposition),
        metadata=tuple(stream.metadata.items()),
        details=details,
    )


def _chapters(container: av.container.InputContainer) -> list[Chapter]:
    return [
        Chapter(
            start=c["start"],
            end=c["end"],
            time_base=Fraction(c["time_base"] or 1),
            metadata=tuple(c["metadata"].items()),
        )
        for c in container.chapters()
    ]
