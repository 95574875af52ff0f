"""Only segments that one encoder could have written in a row are joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import oracle
from tests.support.clips import ClipFactory
from vidsr.errors import JobError
from vidsr.media.decode import read_frames
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder
from vidsr.media.index import VideoIndex, index_video
from vidsr.media.mux.assemble import assemble
from vidsr.media.probe import probe
from vidsr.media.source import ShapedInfo
from vidsr.options.enhance_options import EncodeOptions, EnhanceOptions


class Halves:
    """The basic clip, 24 frames, encoded in two segments whose settings may differ."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.info = probe(source)
        self.index: VideoIndex = index_video(self.info)
        self.output = folder / "out.mkv"

    def settings(self, *encoder_options: str, codec: str = "h264") -> EncoderSettings:
        wanted = EncodeOptions(codec=codec, encoder_options=encoder_options)
        return EncoderSettings.for_source(self.info.video, wanted, (self.info.video.width, self.info.video.height))

    def encode(self, number: int, settings: EncoderSettings, frames: int = 12) -> Path:
        path = self.output.with_name(f"{number}.nut")
        with SegmentEncoder(path, settings) as encoder:
            for frame in read_frames(self.info, 12 * number, 12 * number + frames, self.index):
                encoder.write(frame)
        return path

    def join(self, *paths: Path, codec: str = "h264") -> None:
        options = EnhanceOptions(encode=EncodeOptions(codec=codec))
        assemble(ShapedInfo(self.info), self.index, paths, self.output, options, self.settings(codec=codec))


@pytest.fixture
def halves(clips: ClipFactory, tmp_path: Path) -> Halves:
    return Halves(clips("basic"), tmp_path)


@pytest.mark.parametrize(("codec", "other"), [("h264", "refs=5"), ("hevc", "x265-params=ref=5:info=0")])
def test_another_extradata_is_refused(codec: str, other: str, halves: Halves) -> None:
    first = halves.encode(0, halves.settings(codec=codec))
    second = halves.encode(1, halves.settings(other, codec=codec))
    with pytest.raises(JobError, match=r"segment 1 does not fit the first one.*--restart"):
        halves.join(first, second, codec=codec)
    assert not halves.output.exists() and not list(halves.output.parent.glob("*.part"))
    halves.join(first, halves.encode(1, halves.settings(codec=codec)), codec=codec)
    assert len(oracle.frame_pts(halves.output)) == 24


def test_another_size_is_refused(halves: Halves) -> None:
    first = halves.encode(0, halves.settings())
    small = replace(halves.settings(), width=halves.info.video.width - 16)
    path = halves.output.with_name("1.nut")
    with SegmentEncoder(path, small) as encoder:
        for frame in read_frames(halves.info, 12, 24, halves.index):
            planes = tuple(p[:, : p.shape[1] - (16 if n == 0 else 8)] for n, p in enumerate(frame.planes))
            encoder.write(replace(frame, planes=planes))
    with pytest.raises(JobError, match="segment 1 does not fit"):
        halves.join(first, path)


def test_missing_and_surplus_frames_are_refused(halves: Halves) -> None:
    first, short = halves.encode(0, halves.settings()), halves.encode(1, halves.settings(), frames=11)
    with pytest.raises(JobError, match="the segments hold 23 frames, the source 24"):
        halves.join(first, short)
    with pytest.raises(JobError, match="the segments hold 12 frames, the source 24"):
        halves.join(first)
    assert not halves.output.exists()
