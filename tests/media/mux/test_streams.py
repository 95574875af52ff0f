"""Which streams go where, and the options that change it, through the real job."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import oracle, processes
from tests.support.clips import ClipFactory, run_ffmpeg
from tests.support.hazards.catalogue import by_name
from tests.support.networks import identity_model
from vidsr.errors import InputError, OptionsError, OutputError
from vidsr.jobs.enhance import enhance
from vidsr.media.mux.containers import choose_suffix
from vidsr.media.mux.matroska import display_size
from vidsr.media.probe import probe
from vidsr.options.enhance_options import SourceOptions


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``enhance`` with the identity model at scale 1 and the fastest preset."""
    model = str(identity_model(tmp_path_factory.mktemp("identity")))
    return functools.partial(enhance, model=model, scale=1)


@pytest.mark.parametrize(
    ("name", "codec", "suffix"),
    [
        ("plain", "h264", ".mp4"),
        ("plain", "ffv1", ".mkv"),
        ("rich-mkv", "h264", ".mkv"),
        ("rich-mp4", "h264", ".mp4"),
        ("pcm-mov", "prores", ".mov"),
        ("pcm-mov", "av1", ".mkv"),
        ("opus-vp9", "vp9", ".webm"),
        ("opus-vp9", "h264", ".mkv"),
        ("flv", "h264", ".mkv"),
        ("avi-bframes", "h264", ".mkv"),
    ],
)
def test_the_container_is_the_sources_where_it_holds_all(
    name: str, codec: str, suffix: str, clips: ClipFactory
) -> None:
    assert choose_suffix(probe(by_name(name).make(clips)), codec) == suffix


def test_map_narrows_the_streams_by_number_and_kind(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    source = by_name("rich-mkv").make(clips)
    run(source, tmp_path / "a.mkv", map=("2", "subtitle"), preset="ultrafast")
    kinds = [(s["codec_type"], s["codec_name"]) for s in oracle.streams(tmp_path / "a.mkv")]
    assert kinds == [("video", "h264"), ("audio", "flac"), ("subtitle", "subrip"), ("subtitle", "ass")]
    with pytest.raises(OptionsError, match="--map 9"):
        run(source, tmp_path / "b.mkv", map=("9",))
    with pytest.raises(OptionsError, match="--map loud"):
        run(source, tmp_path / "b.mkv", map=("loud",))
    assert [p.name for p in tmp_path.iterdir()] == ["a.mkv"]


def test_converted_subtitles_say_the_same(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    for name, suffix in (("srt", "mp4"), ("ass", "mov"), ("mov-text", "mkv")):
        source, output = by_name(name).make(clips), tmp_path / f"{name}.{suffix}"
        run(source, output, preset="ultrafast")
        words = [run_ffmpeg("-i", str(p), "-map", "0:s:0", "-f", "srt", "-").decode() for p in (source, output)]
        assert words[0] == words[1]
        assert "Gr\u00fc\u00dfe" in words[1]


def test_sound_that_does_not_fit_is_the_same_to_the_sample(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    source, output = by_name("flac").make(clips), tmp_path / "out.mov"
    result = run(source, output, preset="ultrafast")
    assert any("converted to alac" in note for note in result.notes)
    samples = [run_ffmpeg("-i", str(p), "-map", "0:a:0", "-f", "md5", "-") for p in (source, output)]
    assert samples[0] == samples[1]


def test_sound_begins_in_mov_when_it_does_in_the_source(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    source, output = by_name("theora-ogg").make(clips), tmp_path / "out.mov"
    run(source, output, preset="ultrafast")
    assert oracle.streams(output)[1]["start_pts"] == 128  # on a movie's clock of milliseconds, it would be 96


def test_flatten_blends_and_the_result_has_no_alpha(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    source = clips.make(
        "half.mkv", "-f", "lavfi", "-i", "color=black:s=32x32:d=0.2,format=yuva444p,lut=a=128", "-c:v", "ffv1"
    )
    run(source, tmp_path / "out.mkv", codec="ffv1", flatten="white")
    assert oracle.streams(tmp_path / "out.mkv")[0]["pix_fmt"] == "yuv444p"
    raw = run_ffmpeg("-i", str(tmp_path / "out.mkv"), "-frames:v", "1", "-f", "rawvideo", "-")
    # Half way between black (16) and white (235), on the limited scale.
    assert set(raw[: 32 * 32]) <= {125, 126}
    assert set(raw[32 * 32 :]) == {128}


def test_square_pixels_and_kept_pixels(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    source = by_name("sar").make(clips)
    for codec in ("av1", "ffv1"):
        output = tmp_path / f"{codec}.mkv"
        run(source, output, codec=codec, preset="13" if codec == "av1" else None)
        assert oracle.streams(output)[0]["sample_aspect_ratio"] == "64:45"
        assert oracle.decodes_cleanly(output)
    run(source, tmp_path / "square.mkv", square_pixels=True, preset="ultrafast")
    stream = oracle.streams(tmp_path / "square.mkv")[0]
    assert (stream["width"], stream["height"]) == (92, 48)
    assert stream.get("sample_aspect_ratio", "1:1") in ("1:1", "N/A")


@given(st.integers(1, 8192), st.integers(1, 8192), st.fractions(Fraction(1, 4), 4, max_denominator=255))
def test_the_display_size_is_exactly_of_the_shape(width: int, height: int, sar: Fraction) -> None:
    shown = Fraction(*display_size(width, height, sar))
    wanted = Fraction(width, height) * sar
    assert shown == wanted or abs(shown / wanted - 1) <= Fraction(1, width * sar)


def test_strict_stops_where_lenient_goes_on(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    for name in ("size-change", "cut-mp4"):
        with pytest.raises(InputError, match="--strict"):
            run(by_name(name).make(clips), tmp_path / "out.mkv", strict=True)
    assert not list(tmp_path.iterdir())


def test_encoder_options_and_an_encoder_that_is_not_here(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    run(clips("basic"), tmp_path / "a.mkv", preset="ultrafast", encoder_options=("g=5", "bf=0"))
    frames = run_ffmpeg("-i", str(tmp_path / "a.mkv"), "-an", "-c", "copy", "-f", "framecrc", "-").decode()
    assert frames.count("F=0x0") == 24 - 5
    result = run(clips("basic"), tmp_path / "b.mkv", codec="h264_nvenc", preset=None)
    assert oracle.streams(result.output)[0]["codec_name"] == "h264"


def test_attachments_do_not_go_into_mp4_unseen(clips: ClipFactory, run: Any, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"mp4 cannot hold attachment words\.srt.*--map"):
        run(by_name("rich-mkv").make(clips), tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


def test_decoding_on_a_gpu_falls_back_and_says_so(clips: ClipFactory) -> None:
    info = probe(clips("basic"), None, SourceOptions(hwaccel="auto"))
    if info.hwaccel == "off":
        assert any("decoding on the processor" in note for note in info.notes)
        with pytest.raises(OptionsError, match="--hwaccel cuda does not work"):
            probe(clips("basic"), None, SourceOptions(hwaccel="cuda"))
    else:
        assert info.hwaccel == "cuda"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(clips: ClipFactory) -> Iterator[str]:
    """The address of a clip on this machine."""
    path = clips("basic")
    handler = functools.partial(_Quiet, directory=str(path.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{path.name}"
        server.shutdown()
        processes.join(thread)


def test_a_network_source_needs_leave(served: str, run: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^http://.* is an address .* --allow-network"):
        run(served, tmp_path / "out.mkv")
    result = run(served, tmp_path / "out.mkv", allow_network=True, preset="ultrafast")
    assert result.frames == 24
