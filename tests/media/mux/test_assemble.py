"""A source through index, decode, encode and assemble, judged by ffprobe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.clips import ClipFactory, run_ffmpeg
from vidsr.errors import InputError, OutputError
from vidsr.media.check.preflight import preflight
from vidsr.media.decode import read_frames
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder
from vidsr.media.index import index_video
from vidsr.media.mux.assemble import assemble
from vidsr.media.probe import probe
from vidsr.media.source import ShapedInfo
from vidsr.options.enhance_options import EncodeOptions, EnhanceOptions


def copy_through(source: Path, output: Path, codec: str, segments: int) -> None:
    """Encode the frames of ``source`` unchanged in several segments and assemble them."""
    options = EnhanceOptions(encode=EncodeOptions(codec=codec))
    info = probe(source)
    index = index_video(info)
    settings = EncoderSettings.for_source(info.video, options.encode, (info.video.width, info.video.height))
    preflight(ShapedInfo(info), settings, output, options)
    parts = []
    for k in range(segments):
        parts.append(output.with_name(f"{k}.nut"))
        with SegmentEncoder(parts[-1], settings) as encoder:
            for frame in read_frames(info, len(index) * k // segments, len(index) * (k + 1) // segments, index):
                encoder.write(frame)
    assemble(ShapedInfo(info), index, parts, output, options, settings)


def packet_hashes(path: Path, kind: str) -> str:
    text = run_ffmpeg("-i", str(path), "-map", f"0:{kind}", "-c", "copy", "-f", "streamhash", "-hash", "md5", "-")
    return text.decode()


def frame_times(ffprobe: Callable[..., dict[str, Any]], path: Path) -> list[float]:
    frames = ffprobe(path, "-select_streams", "V:0", "-show_entries", "frame=pts_time")["frames"]
    return [float(f["pts_time"]) for f in frames]


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_frames_pts_and_sound_survive(
    clips: ClipFactory, ffprobe: Callable[..., dict[str, Any]], tmp_path: Path, codec: str, suffix: str
) -> None:
    source, output = clips("basic"), tmp_path / f"out{suffix}"
    copy_through(source, output, codec, segments=3)
    have, want = frame_times(ffprobe, output), frame_times(ffprobe, source)
    assert len(have) == len(want) == 24
    # Matroska moves all by the AAC priming and rounds to a millisecond; MP4 is exact.
    slack = 0.0011 if suffix == ".mkv" else 0
    assert max(abs((a - have[0]) - (b - want[0])) for a, b in zip(have, want, strict=True)) <= slack
    assert packet_hashes(output, "a") == packet_hashes(source, "a")
    assert not list(tmp_path.glob("*.part"))


def test_lossless_frames_come_back_bit_exact(clips: ClipFactory, tmp_path: Path) -> None:
    for name in ("lossless", "ten_bit"):
        output = tmp_path / f"{name}.mkv"
        copy_through(clips(name), output, "ffv1", segments=2)
        hashes = [run_ffmpeg("-i", str(p), "-map", "0:v", "-f", "md5", "-") for p in (clips(name), output)]
        assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p.write_text("this is not a video, only words\n" * 50), "not a video"),
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.mkdir(), "folder"),
        (lambda p: None, "does not exist"),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, make: Callable[[Path], Any], words: str) -> None:
    path = tmp_path / "clip.mp4"
    make(path)
    with pytest.raises(InputError, match=words):
        probe(path)


def test_sound_only_and_cover_only_are_named(clips: ClipFactory, make_clip: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="no video stream"):
        probe(clips("audio_only"))
    picture = make_clip("cover.jpg", "-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1")
    song = make_clip(
        "song.mp3", "-f", "lavfi", "-i", "sine=d=1", "-i", str(picture), "-map", "0", "-map", "1",
        "-c:v", "copy", "-disposition:v", "attached_pic",
    )  # fmt: skip
    with pytest.raises(InputError, match="only cover art"):
        probe(song)


def test_a_container_that_cannot_hold_the_codec_is_refused_before_work(clips: ClipFactory, tmp_path: Path) -> None:
    info = probe(clips("basic"))
    settings = EncoderSettings.for_source(info.video, EncodeOptions(codec="ffv1"), (64, 48))
    with pytest.raises(OutputError, match="mp4 cannot hold ffv1"):
        preflight(ShapedInfo(info), settings, tmp_path / "x.mp4", EnhanceOptions())


def test_an_aborted_segment_leaves_nothing(clips: ClipFactory, tmp_path: Path) -> None:
    info = probe(clips("silent"))
    settings = EncoderSettings.for_source(info.video, EncodeOptions(codec="h264"), (64, 48))

    def fail() -> None:
        with SegmentEncoder(tmp_path / "a.nut", settings) as encoder:
            encoder.write(next(read_frames(info)))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not list(tmp_path.iterdir())
