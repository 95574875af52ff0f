"""Recordings in several files are read as one: the frames, the sound and the result of the unsplit file."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.clips import picture, run_ffmpeg, tone
from vidsr import enhance, verify
from vidsr.errors import InputError
from vidsr.media import joined, libav
from vidsr.media.decode import read_frames
from vidsr.media.index import index_video
from vidsr.media.probe import probe
from vidsr.media.source_files import files_of

MPEG2 = ("-c:v", "mpeg2video", "-q:v", "3", "-g", "12", "-bf", "2", "-c:a", "ac3")


def split_bytes(whole: Path, names: list[str], unit: int = 2048) -> list[Path]:
    """Cut a file into parts at multiples of ``unit`` bytes, as a DVD or a camera's card does."""
    data, parts = whole.read_bytes(), []
    step = -(-len(data) // len(names) // unit) * unit
    for number, name in enumerate(names):
        part = whole.with_name(name)
        part.write_bytes(data[number * step : (number + 1) * step])
        parts.append(part)
    return parts


@pytest.fixture
def dvd(tmp_path: Path) -> Path:
    """``VIDEO_TS`` with a title in three files, a title in one, and a menu; beside it the unsplit title."""
    folder = tmp_path / "VIDEO_TS"
    folder.mkdir()
    whole = tmp_path / "whole.vob"
    run_ffmpeg(*picture(seconds=4, rate="25"), *tone(4), *MPEG2, "-f", "dvd", str(whole))
    shutil.copy(whole, folder / "all.vob")
    split_bytes(folder / "all.vob", [f"VTS_01_{n}.VOB" for n in (1, 2, 3)])
    (folder / "all.vob").unlink()
    run_ffmpeg(*picture(seconds=1, rate="25"), *MPEG2[:-2], "-f", "dvd", str(folder / "VTS_02_1.VOB"))
    shutil.copy(folder / "VTS_02_1.VOB", folder / "VTS_01_0.VOB")
    return folder


@pytest.fixture
def gopro(tmp_path: Path) -> tuple[Path, list[Path]]:
    """An unsplit MP4 and its three chapters, whose sound is a little longer or shorter than their video."""
    whole = tmp_path / "whole.mp4"
    run_ffmpeg(
        *picture(seconds=3, rate="30000/1001"), *tone(3),
        *("-c:v", "libx264", "-bf", "2", "-g", "15", "-c:a", "aac", "-metadata", "title=ride", str(whole)),
    )  # fmt: skip
    run_ffmpeg(
        *("-i", str(whole), "-c", "copy", "-f", "segment", "-segment_time", "1", "-reset_timestamps", "1"),
        *("-segment_start_number", "1", str(tmp_path / "GH0%d0042.MP4")),
    )
    return whole, sorted(tmp_path.glob("GH0*.MP4"))


def frames_of(source: Path) -> list[tuple[int, Fraction]]:
    """(digest, seconds behind the first frame) of every frame of a source."""
    info = probe(source)
    index = index_video(info)
    return [(d, (p - index.pts[0]) * index.time_base) for d, p in zip(index.digests, index.pts, strict=True)]


def test_vobs_are_one_stream_of_bytes(dvd: Path, tiny_model: Path, identity: Path, tmp_path: Path) -> None:
    source = dvd / "VTS_01_{1,2,3}.VOB"
    assert frames_of(source) == frames_of(tmp_path / "whole.vob")
    assert len(frames_of(dvd / "VTS_01_1.VOB")) < 50
    options: dict[str, Any] = {"model": str(identity), "scale": 1, "segment_frames": 32}
    enhance(tmp_path / "whole.vob", tmp_path / "whole.mkv", **options)
    enhance(source, tmp_path / "braces.mkv", **options)
    enhance(dvd / "VTS_01_1.VOB", tmp_path / "option.mkv", join=True, provenance=True, **options)
    wanted = oracle.digest(tmp_path / "whole.mkv")
    assert oracle.digest(tmp_path / "braces.mkv") == wanted == oracle.digest(tmp_path / "option.mkv")
    assert verify(dvd / "VTS_01_2.VOB", tmp_path / "option.mkv", join=True).ok
    record = (tmp_path / "option.mkv.provenance.json").read_text()
    assert all(f'"VTS_01_{n}.VOB"' in record for n in (1, 2, 3))


def test_chapters_of_a_camera_go_on_evenly_with_their_sound(
    gopro: tuple[Path, list[Path]], identity: Path, tmp_path: Path
) -> None:
    whole, parts = gopro
    assert len(parts) == 3
    source = joined.join(parts)
    assert source.name == "GH0{1,2,3}0042.MP4"
    expected, found = frames_of(whole), frames_of(source)
    assert [d for d, _ in found] == [d for d, _ in expected]
    # To the tick of the clock to which a part is moved.
    assert max(abs(a - b) for (_, a), (_, b) in zip(found, expected, strict=True)) <= Fraction(1, 30000)
    result = enhance(parts[1], tmp_path / "out.mp4", model=str(identity), scale=1, join=True, segment_frames=32)
    assert result.frames == 90
    assert verify(source, tmp_path / "out.mp4").ok
    assert probe(source).metadata and dict(probe(tmp_path / "out.mp4").metadata)["title"] == "ride"
    assert abs(sound_times(tmp_path / "out.mp4")[0] - sound_times(whole)[0]) <= Fraction(
        1, 30000
    )  # a tick of the video
    # The sound stays beside the picture to the end: less than a packet of it is off at any seam.
    before, after = sound_times(whole), sound_times(tmp_path / "out.mp4")
    assert len(before) == len(after)
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) < Fraction(1024, 48000)


def sound_times(path: Path) -> list[Fraction]:
    """Seconds from the first frame to each packet of sound."""
    begin = Fraction(oracle.frame_pts(path)[0]) * probe(path).video.time_base
    with libav.open_input(path) as container:
        stream = container.streams.audio[0]
        return [p.pts * p.time_base - begin for p in container.demux(stream) if p.size and p.pts is not None]


def test_a_joined_source_can_be_read_from_the_middle(dvd: Path, gopro: tuple[Path, list[Path]]) -> None:
    for source in (dvd / "VTS_01_{1,2,3}.VOB", joined.join(gopro[1])):
        info = probe(source)
        index = index_video(info)
        part = list(read_frames(info, 60, 70, index))
        everything = list(read_frames(info, 0, None, index))
        assert [f.pts for f in part] == [f.pts for f in everything[60:70]]
        assert all((a.planes[0] == b.planes[0]).all() for a, b in zip(part, everything[60:70], strict=True))


def test_recordings_by_their_names(tmp_path: Path) -> None:
    names = [
        *("VTS_01_0.VOB", "VTS_01_1.VOB", "VTS_01_2.VOB", "VTS_02_1.VOB", "VIDEO_TS.VOB"),
        *("GH010042.MP4", "GH020042.MP4", "GH010043.MP4", "GOPR0007.MP4", "GP010007.MP4", "GX010042.MP4"),
        *("00000.MTS", "00001.MTS", "00002.MTS", "00004.MTS", "a.mp4"),
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    found = joined.recordings([tmp_path / n for n in names], lambda a, b: (a.stem, b.stem) == ("00000", "00001"))
    assert {r.name: r.path.name for r in found} == {
        "VTS_01.VOB": "VTS_01_{1,2}.VOB",
        "GH010042.MP4": "GH0{1,2}0042.MP4",
        "GOPR0007.MP4": "G{OPR,P01}0007.MP4",
        "00000.MTS": "0000{0,1}.MTS",
    }
    for recording in found:
        assert tuple(files_of(recording.path)) == recording.parts
    assert joined.is_dvd_menu(tmp_path / "VTS_01_0.VOB") and joined.is_dvd_menu(tmp_path / "VIDEO_TS.VOB")
    assert not joined.is_dvd_menu(tmp_path / "VTS_01_1.VOB")


def test_a_camera_card_is_joined_where_the_time_goes_on(tmp_path: Path, identity: Path) -> None:
    whole = tmp_path / "whole.mts"
    h264 = ("-c:v", "libx264", "-bf", "2", "-g", "12", "-c:a", "ac3")
    run_ffmpeg(*picture(seconds=3, rate="25"), *tone(3), *h264, "-f", "mpegts", "-mpegts_m2ts_mode", "1", str(whole))
    split_bytes(whole, ["00000.MTS", "00001.MTS"], 192 * 32)
    run_ffmpeg(
        *picture(seconds=1, rate="25"), *h264[:-2], "-f", "mpegts", "-mpegts_m2ts_mode", "1",
        str(tmp_path / "00002.MTS"),
    )  # fmt: skip
    assert libav.whole_recording(tmp_path / "00000.MTS").name == "0000{0,1}.MTS"
    assert libav.whole_recording(tmp_path / "00002.MTS").name == "00002.MTS"
    assert frames_of(tmp_path / "0000{0,1}.MTS") == frames_of(whole)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: (folder / "b.mp4").unlink(), "its part b.mp4 does not exist"),
        (lambda folder: (folder / "b.mp4").write_bytes(b""), "its part b.mp4 is empty"),
        (lambda folder: (folder / "b.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n"), "is a list of files"),
        (lambda folder: run_ffmpeg(*picture("32x32"), str(folder / "b.mp4")), "their streams differ"),
        (lambda folder: (folder / "b.mp4").write_text("words"), "b.mp4 is not a video"),
    ],
)
def test_parts_that_do_not_fit(make: Callable[[Path], Any], says: str, tmp_path: Path) -> None:
    run_ffmpeg(*picture(), str(tmp_path / "a.mp4"))
    run_ffmpeg(*picture(), str(tmp_path / "b.mp4"))
    assert len(frames_of(tmp_path / "{a,b}.mp4")) == 48
    make(tmp_path)
    with pytest.raises(InputError, match=says):
        probe(tmp_path / "{a,b}.mp4")


def test_names_with_quotes_and_blanks(tmp_path: Path) -> None:
    run_ffmpeg(*picture(), str(tmp_path / "it's a 'dog' 🐕 1.mp4"))
    shutil.copy(tmp_path / "it's a 'dog' 🐕 1.mp4", tmp_path / "it's a 'dog' 🐕 2.mp4")
    assert len(frames_of(tmp_path / "it's a 'dog' 🐕 {1,2}.mp4")) == 48
    with pytest.raises(InputError, match="without commas or braces"):
        joined.join([tmp_path / "a,1.mp4", tmp_path / "b.mp4"])


@given(
    st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 50), st.integers(-1, 50)), max_size=20),
)
def test_joined_bytes_are_the_bytes_of_one_file(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], reads: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    paths = [folder / str(number) for number in range(len(pieces))]
    for path, piece in zip(paths, pieces, strict=True):
        path.write_bytes(piece)
    expected = io.BytesIO(b"".join(pieces))
    with joined.JoinedFile(paths) as file:
        assert file.seek(0, io.SEEK_END) == len(b"".join(pieces))
        for at, count in reads:
            assert file.seek(at) == expected.seek(at)
            assert file.read(count) == expected.read(count)
            assert file.tell() == expected.tell()
