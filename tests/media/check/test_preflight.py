"""Whatever a container cannot hold is announced before the work: no result fails its verification afterwards."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import oracle
from tests.support.clips import ClipFactory, picture, tone
from tests.support.hazards.pictures import HDR10
from vidsr.errors import EncodeError, InputError, OutputError, VidsrError
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.media.check.preflight import preflight
from vidsr.media.check.verify import Expectation, verify
from vidsr.media.check.verify_report import VerifyReport
from vidsr.media.colour_tags import ColourTags
from vidsr.media.encode.encoder import SegmentEncoder
from vidsr.media.encode.encoder_plan import prepare
from vidsr.media.encode.geometry import is_same_orientation, result_matrix
from vidsr.media.index import index_video
from vidsr.media.mux.assemble import assemble
from vidsr.media.probe import probe
from vidsr.media.source import ShapedInfo, SourceInfo, VideoInfo
from vidsr.options.enhance_options import EncodeOptions, EnhanceOptions

#: A quarter turn as phones write it, for a picture 48 lines high: the translation moves it back into view.
PHONE = (0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)
_PRESETS = {"h264": "ultrafast", "hevc": "ultrafast", "av1": "13", "vp9": "8"}
CELLS = (
    ("mkv", "h264"), ("mkv", "hevc"), ("mkv", "av1"), ("mkv", "vp9"), ("mkv", "ffv1"), ("mkv", "prores"),
    ("mp4", "h264"), ("mp4", "hevc"), ("mp4", "av1"), ("mp4", "vp9"), ("m4v", "h264"), ("mov", "hevc"),
    ("mov", "prores"), ("webm", "vp9"), ("webm", "av1"), ("nut", "h264"), ("nut", "ffv1"),
)  # fmt: skip
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
_VIDEO = picture("64x48", seconds=0.2)


def with_matrix(path: Path, matrix: tuple[int, ...], output: Path) -> Path:
    """The MP4 at ``path`` with this display matrix in its first track header (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    place = at + (52 if data[at] == 1 else 40)
    data[place : place + 36] = struct.pack(">9i", *matrix)
    output.write_bytes(data)
    return output


@dataclass(frozen=True)
class Made:
    """What was announced for a result, and what its verification found."""

    info: SourceInfo
    notes: tuple[str, ...]
    report: VerifyReport


def made_from(source: Path, output: Path, codec: str, scale: int = 1) -> Made | None:
    """Make a result of grey frames, as many as the source has; None if it was refused before the work."""
    options = EnhanceOptions(encode=EncodeOptions(codec=codec, preset=_PRESETS.get(codec)))
    try:
        stored = probe(source)
        prepared = prepare(ShapedInfo(stored), options, scale)
        info, chosen = prepared.info, prepared.settings
        notes = (*prepared.codec_notes, *prepared.notes, *preflight(info, chosen, output, options))
    except (OutputError, EncodeError, InputError) as error:
        assert "\n" not in str(error)
        return None
    index = index_video(stored)
    part = output.with_suffix(".segment")
    format = chosen.format.frames
    shapes = [format.plane_shape(n, chosen.width, chosen.height) for n in range(format.plane_count)]
    planes = tuple(np.full(shape, 1 << (format.depth - 1), format.dtype) for shape in shapes)
    with SegmentEncoder(part, chosen) as encoder:
        for number, pts in enumerate(index.pts):
            encoder.write(Frame(
                planes=planes, format=format, colour=chosen.format.colour, index=number, pts=pts,
                time_base=index.time_base,
            ))  # fmt: skip
    assemble(info, index, [part], output, options, chosen)
    report = verify(info, output, Expectation(settings=chosen, options=options), index=index)
    return Made(info, notes, report)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "webm"])
@pytest.mark.parametrize("scale", [1, 2])
def test_a_phones_clip_stays_turned(clips: ClipFactory, tmp_path: Path, suffix: str, scale: int) -> None:
    source = with_matrix(clips("basic"), PHONE, tmp_path / "phone.mp4")
    assert probe(source).video.display_matrix == PHONE
    if suffix == "webm":  # which cannot hold the sound
        source = clips.make("phone-silent.mp4", "-i", str(source), "-an", "-c", "copy")
        source = with_matrix(source, PHONE, tmp_path / "silent.mp4")
    output = tmp_path / f"out.{suffix}"
    made = made_from(source, output, "vp9" if suffix == "webm" else "h264", scale)
    assert made is not None
    assert made.report.ok, made.report.table()
    assert [c.state for c in made.report.checks if c.name == "orientation"] == ["same"]
    assert not [note for note in made.notes if "orientation" in note]
    side = next(s for s in oracle.streams(output)[0]["side_data_list"] if "rotation" in s)
    assert side["rotation"] == -90
    if suffix in ("mp4", "mov"):  # the translation is the height of the picture as it is now
        words = side["displaymatrix"].split()
        assert int(words[9]) == (48 * scale) << 16, words


def test_a_translation_that_moves_the_picture_elsewhere_is_announced(clips: ClipFactory, tmp_path: Path) -> None:
    moved = (*PHONE[:6], 5 << 16, 7 << 16, 1 << 30)
    source = with_matrix(clips("basic"), moved, tmp_path / "moved.mp4")
    for suffix, lost in (("mkv", True), ("mp4", False)):
        made = made_from(source, tmp_path / f"out.{suffix}", "h264")
        assert made is not None
        assert made.report.ok, made.report.table()
        assert any(note.startswith("mkv cannot keep the orientation") for note in made.notes) is lost
        assert [c.state for c in made.report.checks if c.name == "orientation"] == ["announced" if lost else "same"]


def test_a_matrix_that_only_stretches_is_announced(clips: ClipFactory, tmp_path: Path) -> None:
    stretched = (3 * 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    source = with_matrix(clips("basic"), stretched, tmp_path / "stretched.mp4")
    made = made_from(source, tmp_path / "out.mkv", "h264")
    assert made is not None
    assert made.report.ok, made.report.table()
    assert any(note.startswith("mkv cannot keep the orientation") for note in made.notes)


turns = st.sampled_from([(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)])


@given(turns, st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 4), st.sampled_from([(1, 1), (64, 45)]))
def test_a_picture_in_view_is_in_view_at_any_size(
    turn: tuple[int, ...], width: int, height: int, scale: int, shape: tuple[int, int]
) -> None:
    a, b, c, d = (65536 * n for n in turn)
    sar = Fraction(*shape)
    corners = [(x * sar, y) for x in (0, width) for y in (0, height)]
    shift = [round(-min(p * x + q * y for x, y in corners)) for p, q in ((a, c), (b, d))]
    video = VideoInfo(
        stream_index=0, codec="h264", width=width, height=height, native_format="yuv420p", colour=Colour(),
        format=PixelFormat("yuv420p", "yuv", 8, 1, 1), tags=ColourTags(), time_base=Fraction(1, 25), rate=Fraction(25),
        sar=sar, display_matrix=(a, b, 0, c, d, 0, *shift, 1 << 30),
    )  # fmt: skip
    made = result_matrix(video, width * scale, height * scale, sar)
    assert made is not None
    xs = [a * x * scale + c * y * scale + made[6] for x, y in corners]
    ys = [b * x * scale + d * y * scale + made[7] for x, y in corners]
    assert max(abs(min(xs)), abs(min(ys))) <= 1
    plain = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    assert is_same_orientation(made, plain, width * scale * sar, height * scale)
    assert not is_same_orientation((b, a, 0, d, c, 0, *made[6:]), made, width * scale * sar, height * scale)


@dataclass(frozen=True)
class Source:
    """How a small source is made: ffmpeg's arguments behind the video input, a file suffix, and what comes after."""

    args: tuple[str, ...]
    suffix: str = "mkv"
    before: tuple[str, ...] = ()
    words: str = ""
    matrix: tuple[int, ...] | None = None

    def make(self, clips: ClipFactory, name: str) -> Path:
        """The source as a file."""
        before = self.before
        if self.words:
            text = clips.folder / f"{name}.txt"
            text.write_text(self.words, encoding="utf-8")
            before = (*before, "-i", str(text))
        args = tuple(a.replace("{text}", str(clips.folder / f"{name}.txt")) for a in self.args)
        path = clips.make(f"{name}.{self.suffix}", *_VIDEO, *before, *args)
        return path if self.matrix is None else with_matrix(path, self.matrix, path.with_name(f"m-{path.name}"))


def _sound(codec: str, suffix: str = "mkv", *more: str) -> Source:
    return Source((*_X264, "-c:a", codec, "-strict", "-2", *more), suffix, tone(0.2))


def _tags(**tags: str) -> Source:
    return Source((*_X264, *(word for k, v in tags.items() for word in ("-metadata", f"{k}={v}"))))


def _colour(matrix: str, primaries: str, transfer: str, range_: str = "tv", location: str = "left") -> Source:
    words = ("-colorspace", matrix, "-color_primaries", primaries, "-color_trc", transfer, "-color_range", range_)
    return Source(("-c:v", "ffv1", "-pix_fmt", "yuv420p", *words, "-chroma_sample_location", location))


def _h264_colour(matrix: int, primaries: int, transfer: int, full: int = 0, location: int = 0) -> Source:
    words = (
        f"h264_metadata=matrix_coefficients={matrix}:colour_primaries={primaries}:transfer_characteristics={transfer}"
        f":video_full_range_flag={full}:chroma_sample_loc_type={location}"
    )
    return Source((*_X264, "-bsf:v", words))


_CHAPTERS = ";FFMETADATA1\n" + "".join(
    f"[CHAPTER]\nTIMEBASE={base}\nSTART={start}\nEND={end}\n{title}\n"
    for base, start, end, title in (
        ("1/1000", 0, 50, "title=Überschrift = \\; \\# 章"), ("1/1000", 50, 50, ""), ("1/48000", 4800, 7200, "title=c"),
        ("1/1000", 150, 90000, "title=beyond the end"),
    )
)  # fmt: skip
_MANY_CHAPTERS = ";FFMETADATA1\n" + "".join(
    f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={n}\nEND={n + 1}\ntitle=number {n}\n" for n in range(300)
)
_SRT = "1\n00:00:00,010 --> 00:00:00,090\n<i>Grüße</i>\n\n2\n00:00:00,100 --> 00:00:00,150\nzwei\nZeilen\n\n"
_CHAPTERED = ("-map", "0:v", "-map_metadata", "1", "-map_chapters", "1")
_ONE = 65536

SOURCES: dict[str, Source] = {
    "plain": Source(_X264),
    **{f"turned-{n}": Source(_X264, "mp4", matrix=m) for n, m in enumerate((
        (0, _ONE, 0, -_ONE, 0, 0, 0, 0, 1 << 30), (-_ONE, 0, 0, 0, -_ONE, 0, 64 << 16, 48 << 16, 1 << 30),
        (-_ONE, 0, 0, 0, _ONE, 0, 0, 0, 1 << 30), (0, -_ONE, 0, _ONE, 0, 0, 0, 64 << 16, 1 << 30), PHONE,
        (0, _ONE, 0, _ONE, 0, 0, 0, 0, 1 << 30), (_ONE, 0, 0, 0, -_ONE, 0, 0, 48 << 16, 1 << 30),
        (_ONE, 0, 0, 0, _ONE, 0, 9 << 16, 9 << 16, 1 << 30), (2 * _ONE, 0, 0, 0, 2 * _ONE, 0, 0, 0, 1 << 30),
        (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30), (3 * _ONE, 0, 0, 0, _ONE, 0, 0, 0, 1 << 30),
    ))},
    **{f"sar-{sar.replace('/', '-')}": Source(("-vf", f"setsar={sar}", *_X264)) for sar in (
        "64/45", "4/3", "999/1001", "1/4", "16/11", "255/254", "4000/3999")},
    **{f"fields-{field}": Source((
        "-vf", f"setfield={field}", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-q:v", "3"), "mpg")
       for field in ("tff", "bff")},
    **{f"matrix-{n}": _h264_colour(n, 1, 1) for n in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)},
    **{f"primaries-{n}": _h264_colour(1, n, 1) for n in (2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22)},
    **{f"transfer-{n}": _h264_colour(1, 1, n) for n in (2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)},
    **{f"location-{n}": _h264_colour(1, 1, 1, n % 2, n) for n in range(6)},
    **{f"ffv1-{n}": _colour("bt470bg", "bt470bg", "gamma28", "pc", n) for n in ("topleft", "center", "bottom")},
    **{f"pixels-{n}": Source(("-c:v", "ffv1", "-pix_fmt", n)) for n in (
        "gray", "gray10le", "gray16le", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuv420p12le",
        "yuv444p16le", "gbrp", "gbrp12le", "bgr0", "rgb48le", "yuva420p", "yuva444p10le", "bgra")},
    "hdr10": Source(("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", HDR10)),
    "hdr10-odd": Source(("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params",
        "log-level=error:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:master-display="
        "G(13251,34499)B(7501,2999)R(34001,15999)WP(15636,16451)L(12345678,7):max-cll=65535,1")),
    "hlg": Source(("-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params",
        "log-level=error:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc")),
    **{f"stereo-{n}": Source((*_X264, "-metadata:s:v", f"stereo_mode={n}")) for n in ("left_right", "top_bottom")},
    **{f"clock-{n}": Source((*_X264, "-video_track_timescale", str(n)), "mp4") for n in (
        24, 1001, 90000, 1000003, 19200000)},
    **{f"rate-{n.replace('/', '-')}": Source(("-r", n, *_X264), "mov") for n in (
        "24000/1001", "30000/1001", "59.94", "1000", "7/3")},
    "late": Source((*_X264, "-output_ts_offset", "10"), "ts"),
    "early": Source((*_X264, "-c:a", "aac", "-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled"), "mkv",
        tone(0.2)),
    "early-chapters": Source((*_CHAPTERED, *_X264, "-output_ts_offset", "-0.1", "-avoid_negative_ts", "disabled"),
        words=_CHAPTERS),
    "edit-list": Source((*_X264, "-bf", "2", "-c:a", "aac", "-ss", "0.05"), "mp4", tone(0.2)),
    "chapters": Source((*_CHAPTERED, *_X264), words=_CHAPTERS),
    "late-chapters": Source((*_CHAPTERED, *_X264), words=_CHAPTERS.replace("START=0", "START=20")),
    "chapters-mp4": Source((*_CHAPTERED, *_X264), "mp4", words=_CHAPTERS),
    "many-chapters": Source((*_CHAPTERED, *_X264), words=_MANY_CHAPTERS),
    "attachment": Source((*_X264, "-map", "0:v", "-attach", "{text}", "-metadata:s:t", "mimetype=text/plain",
        "-metadata:s:t", "filename=ü.txt", "-metadata:s:t", "title=notes"), words=_SRT),
    "attachments": Source((*_X264, "-map", "0:v", "-attach", "{text}", "-attach", "{text}", "-metadata:s:t:0",
        "mimetype=application/x-truetype-font", "-metadata:s:t:1", "mimetype=image/jpeg"), words=_SRT),
    "timecode": Source((*_X264, "-timecode", "01:02:03:04"), "mov"),
    "drop-timecode": Source(("-r", "30000/1001", *_X264, "-timecode", "01:00:00;02"), "mov"),
    "timecode-tag": Source((*_X264, "-metadata", "timecode=10:00:00:00")),
    "bad-timecode": Source((*_X264, "-metadata:s:v", "timecode=99:99:99:99")),
    "no-timecode": Source((*_X264, "-metadata:s:v", "timecode=soon")),
    **{f"sound-{c}": _sound(c) for c in (
        "aac", "ac3", "eac3", "mp2", "libmp3lame", "flac", "libopus", "libvorbis", "pcm_s16le", "pcm_s24le",
        "pcm_f32le", "pcm_u8", "pcm_s32le", "alac", "truehd", "dca", "wavpack", "wmav2", "tta")},
    **{f"sound-{c}-{s}": _sound(c, s) for c, s in (
        ("pcm_s16be", "mov"), ("adpcm_ima_qt", "mov"), ("pcm_alaw", "mov"), ("mp2", "ts"), ("aac", "ts"),
        ("pcm_s16le", "avi"), ("adpcm_ms", "avi"), ("ac3", "mp4"), ("libopus", "mp4"), ("flac", "mp4"))},
    **{f"rate-{n}-{c}": _sound(c, "mkv", "-ar", str(n)) for n, c in ((8000, "pcm_s16le"), (96000, "flac"),
        (192000, "pcm_s24le"), (22050, "aac"), (44100, "libmp3lame"))},
    **{f"channels-{n}": _sound("pcm_s16le", "mkv", "-ac", str(n)) for n in (2, 3, 6, 8)},
    **{f"subtitles-{c}": Source((*_X264, "-c:s", c, "-metadata:s:s", "language=ger", "-metadata:s:s", "title=Wörter"),
        s, words=_SRT) for c, s in (("srt", "mkv"), ("ass", "mkv"), ("webvtt", "mkv"), ("mov_text", "mp4"),
        ("ttml", "mp4"))},
    **{f"language-{n}": _sound("flac", "mkv", "-metadata:s:a", f"language={n}", "-metadata:s:v", f"language={n}")
       for n in ("eng", "de", "pt-BR", "zh-Hant-TW", "Deutsch", "qaa", "mul", "zxx", "xx-invalid")},
    **{f"role-{n}": Source((*_X264, "-c:a", "flac", "-c:s", "srt", "-disposition:v", n, "-disposition:a", n,
        "-disposition:s", n), "mkv", tone(0.2), words=_SRT) for n in (
        "0", "default", "dub", "original", "comment", "forced", "hearing_impaired", "visual_impaired", "descriptions",
        "default+forced", "clean_effects", "lyrics", "karaoke", "captions", "original+comment")},
    **{f"role-mp4-{n}": Source((*_X264, "-c:a", "aac", "-c:s", "mov_text", "-disposition:v", n, "-disposition:a", n,
        "-disposition:s", n), "mp4", tone(0.2), words=_SRT) for n in (
        "0", "default", "dub", "original", "comment", "forced", "hearing_impaired", "visual_impaired", "descriptions",
        "captions")},
    "titles": Source((*_X264, "-c:a", "flac", "-c:s", "srt", "-metadata:s:v", "title=Bild\u00a0", "-metadata:s:a",
        "title=" + "long " * 80, "-metadata:s:s", "title=zwei\nZeilen"), "mkv", tone(0.2), words=_SRT),
    "titles-mov": Source((*_X264, "-c:a", "aac", "-metadata:s:v", "title=Bild", "-metadata:s:a", "title=Ton"), "mov",
        tone(0.2)),
    "tags": _tags(title="Titel ü", artist="A", album="B", date="1999-02-30", track="3/12", disc="1/2", genre="Rock",
        comment="c", description="d", copyright="©", compilation="1", encoder="x", grouping="g", lyrics="la\nla",
        synopsis="s", show="S", episode_id="E1", network="N", media_type="9", hd_video="1", rating="5"),
    "tags-odd": _tags(title=" lead and trail ", UNKNOWN_KEY="v", **{"com.example.key": "v", "a b": "c", "URL": "http://x"},
        year="1999", date="not a date", track="three", comment="x" * 5000, location="+52.5+013.4/", ENCODED_BY="me"),
    "tags-dates": _tags(creation_time="2020-02-03T04:05:06.789000Z", date="2020"),
    "tags-early-date": _tags(creation_time="1903-01-01T00:00:00Z"),
    "tags-phone": Source((*_X264, "-metadata", "com.apple.quicktime.make=Apple", "-metadata",
        "com.apple.quicktime.location.ISO6709=+1-2+3/", "-metadata", "com.android.version=13", "-metadata", "title=t",
        "-movflags", "use_metadata_tags"), "mov"),
    "tags-stream": _sound("flac", "mkv", "-metadata:s:a", "artist=A", "-metadata:s:v", "comment=C"),
    "two-videos": Source((*_X264, "-map", "0", "-map", "1"), "mkv", picture("32x32", seconds=0.2)),
}  # fmt: skip


def faults(clips: ClipFactory, name: str, folder: Path, cells: tuple[tuple[str, str], ...] = CELLS) -> list[str]:
    """Every check of every cell that failed without having been announced."""
    source = SOURCES[name].make(clips, name)
    found = []
    for suffix, codec in cells:
        output = folder / f"{name}.{codec}.{suffix}"
        try:
            made = made_from(source, output, codec)
        except VidsrError as error:
            found.append(f"{name} in {codec}.{suffix}: {type(error).__name__}: {error}")
            continue
        if made is not None:
            found += [
                f"{name} in {codec}.{suffix}: {c.name}: {c.source} became {c.result}" for c in made.report.differences
            ]
        output.unlink(missing_ok=True)
    return found


@given(st.sampled_from(sorted(SOURCES)), st.sampled_from(CELLS))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_lost_was_announced(clips: ClipFactory, tmp_path: Path, name: str, cell: tuple[str, str]) -> None:
    assert not faults(clips, name, tmp_path, (cell,))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SOURCES))
def test_whatever_is_lost_was_announced_in_every_cell(clips: ClipFactory, tmp_path: Path, name: str) -> None:
    assert not faults(clips, name, tmp_path)
