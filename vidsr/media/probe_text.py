"""What ``vidsr probe`` shows of a source: as JSON values and as text."""

from __future__ import annotations

from typing import Any

from vidsr.errors import OutputError
from vidsr.media.index import VideoIndex
from vidsr.media.mux.containers import CONTAINERS
from vidsr.media.mux.streams import notes_of, plan_streams, stream_kind
from vidsr.media.source import SourceInfo, VideoInfo
from vidsr.options.enhance_options import StreamOptions

_ORDERS = {0: "unknown", 1: "progressive", 2: "top field first", 3: "bottom field first", 4: "top first, stored bottom",
           5: "bottom first, stored top"}  # fmt: skip


def to_json(info: SourceInfo, index: VideoIndex | None) -> dict[str, Any]:
    """The description of a source; frame count and timing only with its index."""
    video = info.video
    return {
        "path": str(info.path),
        "container": info.container,
        "video": _video_json(video) | (_index_json(index) if index else {}),
        "streams": [
            {
                "index": s.index,
                "kind": stream_kind(s),
                "codec": s.codec,
                "language": s.language,
                "title": dict(s.metadata).get("title"),
                "details": s.details,
            }
            for s in info.streams
        ],
        "chapters": len(info.chapters),
        "metadata": dict(info.metadata),
        "notes": notes(info, index),
    }


def notes(info: SourceInfo, index: VideoIndex | None) -> list[str]:
    """What was guessed, repaired, or cannot be kept."""
    found = [*info.video.guessed, *info.notes]
    if info.video.dolby_vision == 5:
        found.append("Dolby Vision profile 5 cannot be enhanced")
    return [*found, *_stream_notes(info), *(index.notes if index else ())]


def _stream_notes(info: SourceInfo) -> list[str]:
    """Streams that even Matroska, which holds most, can only have converted or not at all."""
    try:
        return list(notes_of(plan_streams(info, CONTAINERS[".mkv"], StreamOptions())))
    except OutputError as error:
        return [str(error)]


def _video_json(video: VideoInfo) -> dict[str, Any]:
    colour = video.colour
    hdr = None
    if video.is_hdr:
        hdr = "HLG" if colour.transfer == "arib-std-b67" else "PQ"
    return {
        "stream": video.stream_index,
        "codec": video.codec,
        "profile": video.profile,
        "width": video.width,
        "height": video.height,
        "pixel_shape": f"{video.sar.numerator}:{video.sar.denominator}",
        "rotation": video.rotation,
        "mirrored": _mirrored(video),
        "format": video.native_format,
        "bit_depth": video.format.depth,
        "alpha": video.format.alpha,
        "matrix": colour.matrix,
        "range": colour.range,
        "primaries": colour.primaries,
        "transfer": colour.transfer,
        "guessed": list(video.guessed),
        "chroma_location": colour.chroma_location if video.format.log2_chroma_w else None,
        "hdr": hdr,
        "mastering_display": [float(v) for v in video.hdr.mastering] if video.hdr.mastering else None,
        "light_level": video.hdr.light_level,
        "field_order": _ORDERS.get(video.field_order, "unknown"),
        "time_base": str(video.time_base),
        "nominal_rate": str(video.rate),
    }


def _mirrored(video: VideoInfo) -> bool:
    """Whether the display matrix turns the picture over: its determinant is negative."""
    m = video.display_matrix
    return m is not None and m[0] * m[4] - m[1] * m[3] < 0


def _index_json(index: VideoIndex) -> dict[str, Any]:
    clock = index.time_base
    return {
        "frames": len(index),
        "first_seconds": float(index.pts[0] * clock),
        "duration_seconds": float((index.pts[-1] + index.durations[-1] - index.pts[0]) * clock),
        "variable_rate": index.variable,
        "interlaced_frames": index.interlaced_frames,
        "damaged": index.damaged,
        "sizes": [list(size) for size in index.sizes],
    }


def to_text(info: SourceInfo, index: VideoIndex | None) -> str:
    """The same as text for people."""
    data = to_json(info, index)
    v = data["video"]
    lines = [f"{info.path}  ({info.container})"]
    shape = "" if v["pixel_shape"] == "1:1" else f", pixels {v['pixel_shape']}"
    turn = (f", rotated {v['rotation']}°" if v["rotation"] else "") + (", mirrored" if v["mirrored"] else "")
    lines.append(f"  picture   {v['width']}x{v['height']}{shape}{turn}, {v['codec']} {v['profile'] or ''}".rstrip())
    tags = ", ".join(x for x in (v["matrix"], f"{v['range']} range", v["primaries"], v["transfer"]) if x)
    alpha = ", with alpha" if v["alpha"] else ""
    lines.append(
        f"  colour    {v['format']}, {v['bit_depth']} bits{alpha}, {tags}" + (f", {v['hdr']}" if v["hdr"] else "")
    )
    if v["mastering_display"]:
        low, high = v["mastering_display"][8:]
        lines.append(f"  HDR10     mastered at {low:g} to {high:g} cd/m²" + _levels(v["light_level"]))
    if index is not None:
        rate = "variable rate" if v["variable_rate"] else f"{float(info.video.rate):.5g} per second"
        lines.append(f"  time      {v['frames']} frames, {v['duration_seconds']:.3f} s, {rate}")
        if v["interlaced_frames"]:
            lines.append(f"  fields    {v['interlaced_frames']} frames interlaced, {v['field_order']}")
    for s in data["streams"]:
        extra = ", ".join(x for x in (s["details"], s["language"], s["title"]) if x)
        mark = "*" if s["index"] == v["stream"] else " "
        lines.append(f"  stream {s['index']:>2}{mark}{s['kind']:<11}{s['codec']:<18}{extra}".rstrip())
    if data["chapters"]:
        lines.append(f"  chapters  {data['chapters']}")
    lines += [f"  note: {note}" for note in data["notes"]]
    return "\n".join(lines)


def _levels(levels: tuple[int, int] | None) -> str:
    return f", MaxCLL {levels[0]}, MaxFALL {levels[1]}" if levels else ""
