"""The filter deinterlace in recordings that mix progressive and interlaced scenes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.clips import run_ffmpeg
from tests.support.field_clips import frames_of, moments, woven
from tests.support.places import SAMPLE
from vidsr.filters.before.deinterlace import SIGHT, Deinterlace
from vidsr.frames import Frame
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe


def same(one: Frame, other: Frame) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    """A real clip: 48 frames as they are, then the same turned round and woven from two moments a frame: 24 frames."""
    path = tmp_path_factory.mktemp("mixed") / "mixed.mkv"
    chain = "[0:v]scale=320:180,split[a][b];[b]hflip,negate,tinterlace=interleave_top[c];[a][c]concat=n=2:v=1:a=0"
    run_ffmpeg("-i", str(SAMPLE), "-filter_complex", f"{chain},format=yuv420p", "-an", "-c:v", "ffv1", str(path))
    return list(read_frames(probe(path)))


def test_progressive_scenes_of_a_real_clip_pass_and_interlaced_ones_do_not(mixed: list[Frame]) -> None:
    made = list(Deinterlace("tff")(iter(mixed)))
    assert len(made) == len(mixed) == 72
    passed = [same(a, b) for a, b in zip(made, mixed, strict=True)]
    assert all(passed[:48])
    assert not any(passed[49:71])
    alone = list(Deinterlace("tff")(iter(mixed[48:])))
    assert all(same(a, b) for a, b in zip(made[50:], alone[2:], strict=True))


@pytest.mark.long
def test_segments_do_not_change_what_passes(mixed: list[Frame]) -> None:
    whole = list(Deinterlace("tff")(iter(mixed[30:66])))
    for start, stop in ((0, 14), (14, 25), (25, 36)):
        first, last = max(0, start - SIGHT), min(36, stop + SIGHT)
        part = list(Deinterlace("tff")(iter(mixed[30 + first : 30 + last])))[start - first : stop - first]
        assert all(same(a, b) for a, b in zip(part, whole[start:stop], strict=True))


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_no_frame_of_an_interlaced_clip_passes(order: str) -> None:
    clip = frames_of(woven(moments(40, 3), order))
    made = list(Deinterlace(order)(iter(clip)))
    assert not any(same(a, b) for a, b in zip(made[1:], clip[1:], strict=False))
