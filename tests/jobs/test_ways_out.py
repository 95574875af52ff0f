"""A result that cannot hold what its source has: the error ends with a command that works."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.support import oracle
from tests.support.clips import ClipFactory, picture, tone
from tests.support.command_line import vidsr
from vidsr import NoPlaceError, enhance

ALPHA = ("-vf", "format=argb,colorchannelmixer=aa=0.5", "-c:v", "qtrle")
VORBIS = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "libvorbis")


def refused(source: Path, output: Path, model: Path, **options: object) -> list[str]:
    """The words of the command that the error offers."""
    with pytest.raises(NoPlaceError) as caught:
        enhance(source, output, model=str(model), scale=1, **options)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    assert list(output.parent.iterdir()) == []
    return shlex.split(text.split("This command works: ")[1])


def run(words: list[str]) -> Path:
    assert words[0] == "vidsr"
    done = vidsr(*words[1:])
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_alpha_in_mp4(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = clips.make("alpha clip.mov", *picture(seconds=0.25), *ALPHA)
    words = refused(source, tmp_path / "out.mp4", identity)
    made = run(words)
    assert made == tmp_path / "out.mkv"
    assert oracle.streams(made)[0]["codec_name"] == "ffv1"


def test_a_codec_without_alpha_in_a_container_that_has_one(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = clips.make("alpha clip.mov", *picture(seconds=0.25), *ALPHA)
    words = refused(source, tmp_path / "out.mov", identity, codec="h264")
    assert "--codec" not in words
    assert oracle.streams(run(words))[0]["codec_name"] == "prores"


def test_a_stream_that_the_container_has_no_place_for(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    # A sound that WebM cannot hold, and that WebM has no lossless codec for.
    source = clips.make("sound.mkv", *picture(seconds=0.25), *tone(0.25), "-c:v", "ffv1", "-c:a", "pcm_s16le")
    (tmp_path / "taken").mkdir()
    place = tmp_path / "taken"
    words = refused(source, place / "out.webm", identity)
    assert words[4].endswith(".mkv")
    made = run(words)
    assert oracle.packet_hashes(made, "a:0") == oracle.packet_hashes(source, "a:0")


def test_the_command_does_not_overwrite(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = clips.make("alpha clip.mov", *picture(seconds=0.25), *ALPHA)
    (tmp_path / "out.mkv").write_bytes(b"mine")
    with pytest.raises(NoPlaceError, match=r"-o \S*/out-2\.mkv"):
        enhance(source, tmp_path / "out.mp4", model=str(identity), scale=1)


def test_a_suffix_that_names_no_container(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    words = refused(clips("silent"), tmp_path / "out.avi", identity, codec="hevc")
    assert words[words.index("-o") + 1] == str(tmp_path / "out.mkv")
    assert words[words.index("--codec") + 1] == "hevc"
