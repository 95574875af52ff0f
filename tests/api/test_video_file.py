"""``open_video``: frames, times and colours as ffmpeg gives them, half-open ranges, nothing left open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import processes
from tests.support.clips import ClipFactory
from tests.support.processes import open_files
from vidsr import InputError, OptionsError, open_video


def test_times_are_those_of_ffprobe(clips: ClipFactory, ffprobe: Callable[..., dict[str, Any]]) -> None:
    path = clips("basic")
    told = ffprobe(path, "-select_streams", "v:0", "-show_entries", "frame=pts")["frames"]
    with open_video(path) as video:
        frames = list(video)
        assert len(video) == len(frames) == len(told)
        assert [f.pts for f in frames] == [f["pts"] for f in told]
        assert [f.index for f in frames] == list(range(len(told)))
        assert frames[3].seconds == pytest.approx(float(frames[3].pts * video.info.video.time_base))


def test_arrays_are_the_rgb_of_ffmpeg(make_clip: Callable[..., Path]) -> None:
    """A 4:4:4 source in FFV1: no chroma filter and no codec stands between ffmpeg's matrix and ours."""
    path = make_clip(
        "api-444.mkv", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=1,format=yuv444p", "-c:v", "ffv1",
        "-colorspace", "smpte170m", "-color_range", "tv",
    )  # fmt: skip
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", "scale=in_color_matrix=bt601:flags=accurate_rnd"]
    raw = processes.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    wanted = np.frombuffer(raw, np.uint8).reshape(-1, 48, 64, 3)
    with open_video(path) as video:
        frames = np.stack([frame.array for frame in video])
    assert frames.shape == wanted.shape and frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - wanted).max() <= 2


def test_deep_sources_are_uint16(make_clip: Callable[..., Path]) -> None:
    path = make_clip(
        "api-10bit.mkv", "-f", "lavfi", "-i", "color=white:s=32x32:r=5:d=1,format=yuv420p10le", "-c:v", "ffv1"
    )
    with open_video(path) as video:
        array = next(video.frames()).array
        planes = next(video.planes()).planes
    assert array.dtype == np.uint16 and array.shape == (32, 32, 3)
    assert array.min() >= 65000  # white is 65535, whatever the source's depth
    assert planes[0].dtype == np.uint16 and planes[0].max() <= 1023


def test_ranges_are_half_open(clips: ClipFactory) -> None:
    with open_video(clips("basic")) as video:
        whole = list(video.frames())
        part = list(video.frames(5, 8))
        assert [f.index for f in part] == [5, 6, 7]
        assert all(np.array_equal(a.array, b.array) for a, b in zip(part, whole[5:8], strict=True))
        assert [f.index for f in video.planes(len(video) - 2)] == [len(video) - 2, len(video) - 1]
        assert list(video.frames(4, 4)) == []
        assert len(list(video.frames(0, 10**6))) == len(video)
        with pytest.raises(ValueError, match="numbered from 0"):
            video.frames(-1)


def test_nothing_stays_open(clips: ClipFactory) -> None:
    path = clips("basic")
    with open_video(path) as video:
        abandoned = video.frames()
        next(abandoned)
        other = video.planes(3)
        next(other)
        assert open_files(path) == 2
    assert open_files(path) == 0
    assert list(abandoned) == []
    with pytest.raises(ValueError, match="is closed"):
        video.frames()
    video.close()


def test_errors_and_options(tmp_path: Path, clips: ClipFactory) -> None:
    with pytest.raises(InputError, match="absent"):
        open_video(tmp_path / "absent.mkv")
    with pytest.raises(OptionsError, match="--input-matrix"):
        open_video(clips("basic"), input_matrix="bt999")
    with open_video(clips("basic"), input_matrix="bt2020nc") as video:
        assert video.info.video.colour.matrix == "bt2020nc"
