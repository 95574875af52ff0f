"""A range of frames is the same whether it is reached by a seek or by decoding from the beginning."""

from __future__ import annotations

import gc
import zlib
from pathlib import Path

import av
import pytest

from tests.support.clips import ClipFactory, picture
from tests.support.hazards.catalogue import by_name
from vidsr.errors import DecodeError
from vidsr.frames import Frame
from vidsr.media.decode import read_frames
from vidsr.media.index import index_packets, index_video
from vidsr.media.probe import probe

# The clips whose frames a plain seek gets wrong: open groups, no keyframes, edit lists, transport and program streams.
SEEKABLE = (
    "vfr-mp4", "start-10s", "edit-list", "open-gop", "intra-refresh", "b-pyramid", "fragments", "telecine", "mpeg-ps",
    "interlaced-bff", "opus-vp9", "flv", "negative", "raw-h264", "avi-bframes", "joined-ts", "size-change", "corrupt",
)  # fmt: skip


def fingerprint(frame: Frame) -> tuple[int, int, int]:
    return frame.index, frame.pts, zlib.crc32(b"".join(plane.tobytes() for plane in frame.planes))


@pytest.mark.parametrize("name", SEEKABLE)
def test_any_range_is_what_decoding_from_the_start_gives(name: str, clips: ClipFactory) -> None:
    info = probe(by_name(name).make(clips))
    index = index_video(info)
    whole = [fingerprint(frame) for frame in read_frames(info, 0, None, index)]
    assert [pts for _, pts, _ in whole] == list(index.pts)
    count = len(index)
    for start in sorted({1, count // 3, count // 2, count - 2}):
        part = [fingerprint(frame) for frame in read_frames(info, start, start + 3, index)]
        if index.damaged:
            # What damaged pictures look like depends on what came before; that they are there and when does not.
            assert [p[:2] for p in part] == [w[:2] for w in whole[start : start + 3]]
        else:
            assert part == whole[start : start + 3], f"from frame {start}"


@pytest.mark.parametrize("name", ["b-pyramid", "vfr-mp4", "opus-vp9", "avi-bframes", "start-10s"])
def test_packets_say_when_frames_are_shown(name: str, clips: ClipFactory) -> None:
    info = probe(by_name(name).make(clips))
    decoded = index_video(info)
    found = index_packets(info, len(decoded))
    assert (found.pts, found.durations, found.sizes) == (decoded.pts, decoded.durations, decoded.sizes)
    assert index_packets(info, len(decoded) + 1) == decoded, "packets that are not what they should be are not believed"
    start = len(found) // 2
    parts = [[fingerprint(f) for f in read_frames(info, start, start + 2, one)] for one in (found, decoded)]
    assert parts[0] == parts[1]


def test_a_long_clip_is_reached_by_a_seek(clips: ClipFactory) -> None:
    path = clips.make(
        "far.mp4", *picture(seconds=20), "-c:v", "libx264", "-preset", "ultrafast", "-g", "24", "-pix_fmt", "yuv420p"
    )
    info = probe(path)
    index = index_video(info)
    assert not index.linear
    assert list(index.keyframes) == list(range(0, 480, 24))
    whole = {frame.index: fingerprint(frame) for frame in read_frames(info, 0, None, index)}
    for start in range(100, 480, 37):
        assert [fingerprint(f) for f in read_frames(info, start, start + 2, index)] == [whole[start], whole[start + 1]]


def test_half_open_ranges(clips: ClipFactory) -> None:
    info = probe(clips("basic"))
    index = index_video(info)
    assert [f.index for f in read_frames(info, 5, 8, index)] == [5, 6, 7]
    assert list(read_frames(info, 8, 8, index)) == []
    assert [f.index for f in read_frames(info, 22, 99, index)] == [22, 23]


def test_a_source_that_became_shorter_is_named(clips: ClipFactory, tmp_path: Path) -> None:
    path = tmp_path / "clip.y4m"
    path.write_bytes(clips.make("short.y4m", *picture(), "-pix_fmt", "yuv420p").read_bytes())
    info = probe(path)
    index = index_video(info)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DecodeError, match=r"clip\.y4m ends at frame 1[12]"):
        list(read_frames(info, 0, None, index))


def test_planes_view_the_decoders_memory(clips: ClipFactory) -> None:
    frame = next(read_frames(probe(clips("basic"))))
    assert all(not plane.flags.owndata for plane in frame.planes)
    assert [plane.shape for plane in frame.planes] == [(48, 64), (24, 32), (24, 32)]


def test_no_frame_waits_for_the_garbage_collector(clips: ClipFactory) -> None:
    """Frames are megabytes to us and a few objects to the collector: hundreds would gather before it comes."""
    info = probe(clips("basic"))
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        index = index_video(info)
        for _ in read_frames(info, 0, None, index):
            pass
        gc.collect()
        kept = [found for found in gc.garbage if isinstance(found, av.VideoFrame)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert kept == []
