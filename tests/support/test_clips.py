"""The clip factory itself: what the other tests stand on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.clips import ClipFactory, run_ffmpeg


def test_basic_clip_has_24_frames_and_sound(clips: ClipFactory, ffprobe: Callable[..., dict[str, Any]]) -> None:
    streams = ffprobe(clips("basic"), "-show_streams", "-count_frames")["streams"]
    assert [s["codec_type"] for s in streams] == ["video", "audio"]
    assert streams[0]["nb_read_frames"] == "24"


def test_a_clip_is_made_once(make_clip: Callable[..., Path], clips: ClipFactory) -> None:
    first = clips("lossless")
    stamp = first.stat().st_mtime_ns
    assert clips("lossless") == first
    assert first.stat().st_mtime_ns == stamp


def test_a_failing_recipe_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="nonsense"):
        run_ffmpeg("-f", "lavfi", "-i", "nonsense", str(tmp_path / "x.mkv"))
