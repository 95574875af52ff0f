"""Faults while work goes on: a full disk, a folder that goes away, an encoder that fails, a source cut short."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av.error
import pytest

from tests.support import oracle, processes
from tests.support.clips import ClipFactory, picture
from tests.support.small_disk import small_file_system
from vidsr.errors import DecodeError, DiskFullError, EncodeError, OutputError, VidsrError
from vidsr.frames import Frame
from vidsr.jobs.enhance import enhance
from vidsr.jobs.state.events import Event
from vidsr.media import libav
from vidsr.media.decode import read_frames
from vidsr.media.encode import encoder
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder
from vidsr.media.index import index_video
from vidsr.media.mux.assemble import assemble
from vidsr.media.probe import probe
from vidsr.media.source import ShapedInfo
from vidsr.options.enhance_options import EncodeOptions, EnhanceOptions


@pytest.fixture(scope="module")
def big(clips: ClipFactory) -> Path:
    """24 raw frames of 98 kB each: more than any buffer holds."""
    return clips.make("big.y4m", *picture("256x256"), "-pix_fmt", "yuv420p")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 60 kB."""
    place = tmp_path / "small"
    place.mkdir()
    with small_file_system(place, "60k"):
        yield place


def test_a_full_disk_while_encoding(big: Path, small_disk: Path) -> None:
    info = probe(big)
    settings = EncoderSettings.for_source(info.video, EncodeOptions(codec="ffv1"), (256, 256))
    with pytest.raises(DiskFullError, match="no space left"), SegmentEncoder(small_disk / "a.nut", settings) as sink:
        for frame in read_frames(info):
            sink.write(frame)
    assert not list(small_disk.iterdir())


def test_a_full_disk_while_assembling(big: Path, small_disk: Path, tmp_path: Path) -> None:
    info = probe(big)
    options = EnhanceOptions(encode=EncodeOptions(codec="ffv1"))
    settings = EncoderSettings.for_source(info.video, options.encode, (256, 256))
    with SegmentEncoder(tmp_path / "a.nut", settings) as sink:
        for frame in read_frames(info):
            sink.write(frame)
    with pytest.raises(DiskFullError, match="no space left"):
        assemble(ShapedInfo(info), index_video(info), [tmp_path / "a.nut"], small_disk / "out.mkv", options, settings)
    assert not list(small_disk.iterdir())


def test_a_full_disk_through_enhance(big: Path, small_disk: Path, identity: Path) -> None:
    with pytest.raises(OutputError, match=r"space|disk"):
        enhance(big, small_disk / "out.mkv", model=str(identity), scale=1, codec="ffv1")
    assert not (small_disk / "out.mkv").exists()


@pytest.mark.parametrize("kilobytes", [4, 12, 52, 60, 76, 92, 108, 124])
def test_a_disk_that_is_full_at_any_write(kilobytes: int, clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = clips.make("small.mkv", *picture("96x64", seconds=0.5), "-c:v", "libx264", "-pix_fmt", "yuv420p")
    before, place = oracle.digest(source), tmp_path / "small"
    place.mkdir()
    options: dict[str, Any] = {"model": str(identity), "scale": 1, "codec": "ffv1", "segment_frames": 4}
    with small_file_system(place, f"{kilobytes}k"):
        threads = threading.active_count()
        with pytest.raises(DiskFullError) as raised:
            enhance(source, place / "out.mkv", **options)
        assert "\n" not in str(raised.value)
        assert not (place / "out.mkv").exists()
        assert threading.active_count() <= threads
        assert oracle.digest(source) == before
        # With room again, the same command goes on and leaves only its result.
        processes.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
        assert enhance(source, place / "out.mkv", **options).frames == 12
        assert [p.name for p in place.iterdir()] == ["out.mkv"]


def test_every_byte_of_a_device_that_is_always_full(clips: ClipFactory) -> None:
    info = probe(clips("basic"))
    part = Path("/dev/full")
    if not part.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(DiskFullError), libav.writing(part):
        container = av.open(str(part), "w", format="nut")
        stream = container.add_stream("libx264", rate=24, width=64, height=48)
        for frame in read_frames(info):
            picture_ = av.VideoFrame(64, 48, "yuv420p")
            picture_.pts = frame.index
            container.mux(stream.encode(picture_))
        container.mux(stream.encode(None))
        container.close()


def test_the_output_folder_goes_away(big: Path, identity: Path, tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()

    def watch(event: Event) -> None:
        if event.kind == "frame" and event.frames >= 4 and place.exists():
            shutil.rmtree(place)

    threads = threading.active_count()
    with pytest.raises(VidsrError) as raised:
        enhance(big, place / "out.mkv", model=str(identity), scale=1, codec="ffv1", progress=watch)
    assert "\n" not in str(raised.value)
    assert not (place / "out.mkv").exists()
    assert threading.active_count() <= threads


def test_an_encoder_that_fails_on_the_way(
    big: Path, identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = encoder.encoder_picture

    def failing(frame: Frame, settings: EncoderSettings, pts: int) -> av.VideoFrame:
        if frame.index == 3:
            raise av.error.ExternalError(-542398533, "the encoder gave up")
        return real(frame, settings, pts)

    monkeypatch.setattr(encoder, "encoder_picture", failing)
    threads = threading.active_count()
    with pytest.raises(EncodeError, match="frame 3"):
        enhance(big, tmp_path / "out.mkv", model=str(identity), scale=1, codec="ffv1")
    assert not (tmp_path / "out.mkv").exists()
    assert not list(tmp_path.rglob("*.part"))
    assert threading.active_count() <= threads
    monkeypatch.undo()
    # What stands is used: the same command ends well.
    result = enhance(big, tmp_path / "out.mkv", model=str(identity), scale=1, codec="ffv1")
    assert result.frames == 24


def test_a_source_cut_short_while_it_is_read(big: Path, identity: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.y4m"
    shutil.copy(big, source)
    half = source.stat().st_size // 2

    def watch(event: Event) -> None:
        if event.kind == "frame" and event.frames >= 1:
            os.truncate(source, half)

    with pytest.raises((DecodeError, VidsrError), match=r"ends at frame|changed|cut off"):
        enhance(source, tmp_path / "out.mkv", model=str(identity), scale=1, codec="ffv1", progress=watch)
    assert not (tmp_path / "out.mkv").exists()


def test_the_source_is_never_touched(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = clips("basic")
    before = oracle.digest(source), source.stat().st_mtime_ns
    enhance(source, tmp_path / "out.mp4", model=str(identity), scale=1, preset="ultrafast")
    assert (oracle.digest(source), source.stat().st_mtime_ns) == before


def test_quota_and_full_disk_are_the_same_to_the_user(tmp_path: Path) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT):
        assert isinstance(libav.output_error(OSError(number, os.strerror(number)), tmp_path, "writing"), DiskFullError)
    assert not isinstance(libav.output_error(OSError(errno.EIO, "broken"), tmp_path, "writing"), DiskFullError)
