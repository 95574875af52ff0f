"""Hazards of streams and containers: sounds, subtitles, chapters, covers, timecode, labels."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.support.clips import ClipFactory, picture, tone
from tests.support.hazards.hazard import (
    AAC,
    X264,
    A,
    Hazard,
    Make,
    T,
    changed,
    joined,
    jpeg_cover,
    made,
    remade,
    subtitle,
)

_TS_PACKET = 188
_PICTURE_SUBTITLES = {"mp4": "cannot hold", "mov": "cannot hold"}


def _chapters(clips: ClipFactory) -> Path:
    clips.folder.mkdir(parents=True, exist_ok=True)
    path = clips.folder / "chapters.txt"
    path.write_text(
        ";FFMETADATA1\ntitle=A clip\nartist=Somebody\ncomment=\u00c4rger\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\n"
        "END=500\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=500\nEND=1000\ntitle=Two\n"
    )
    return path


def _rich(clips: ClipFactory) -> Path:
    words, cover, chapters = subtitle(clips), jpeg_cover(clips), _chapters(clips)
    return clips.make(
        "rich.mkv", *T, *A, "-i", str(words), "-i", str(chapters), "-map", "0", "-map", "1", "-map", "1", "-map", "2",
        "-map", "2", "-map_metadata", "3", *X264, "-c:a:0", "aac", "-c:a:1", "flac", "-c:s:0", "srt", "-c:s:1", "ass",
        "-metadata:s:a:0", "language=ger", "-metadata:s:a:0", "title=Ton", "-disposition:a:1", "comment",
        "-disposition:s:0", "forced", "-attach", str(words), "-metadata:s:t:0", "mimetype=text/plain",
        "-attach", str(cover), "-metadata:s:t:1", "mimetype=image/jpeg",
    )  # fmt: skip


def _rich_mp4(clips: ClipFactory) -> Path:
    words, cover, chapters = subtitle(clips), jpeg_cover(clips), _chapters(clips)
    return clips.make(
        "rich.mp4", *T, *A, "-i", str(words), "-i", str(cover), "-i", str(chapters), "-map", "0", "-map", "1",
        "-map", "2", "-map", "3", "-map_metadata", "4", "-c:v:0", "libx264", "-pix_fmt:v:0", "yuv420p", *AAC,
        "-c:s", "mov_text", "-c:v:1", "copy", "-disposition:v:1", "attached_pic", "-metadata:s:s:0", "language=eng",
    )  # fmt: skip


def _with_subtitles(filename: str, codec: str) -> Make:
    return lambda clips: clips.make(
        filename, *T, "-i", str(subtitle(clips)), "-map", "0", "-map", "1", *X264, "-c:s", codec
    )


def _pgs(clips: ClipFactory) -> Path:
    """Two grey bars as picture subtitles of Blu-ray discs."""

    def segment(pts: int, kind: int, data: bytes) -> bytes:
        return b"PG" + struct.pack(">IIBH", pts, 0, kind, len(data)) + data

    def shown(pts: int, number: int, *, on: bool) -> bytes:
        width, height = 40, 10
        state = struct.pack(">HHBHBBBB", 720, 480, 0x10, number, 0x80 if on else 0, 0, 0, int(on))
        state += struct.pack(">HBBHH", 0, 0, 0, 100, 300) if on else b""
        parts = segment(pts, 0x16, state) + segment(pts, 0x17, struct.pack(">BBHHHH", 1, 0, 100, 300, width, height))
        if on:
            lines = (b"\x00" + bytes([0x80 | width]) + b"\x01\x00\x00") * height
            head = struct.pack(">HBB", 0, 0, 0xC0) + (len(lines) + 4).to_bytes(3, "big")
            parts += segment(pts, 0x14, bytes([0, 0, 1, 235, 128, 128, 255]))
            parts += segment(pts, 0x15, head + struct.pack(">HH", width, height) + lines)
        return parts + segment(pts, 0x80, b"")

    clips.folder.mkdir(parents=True, exist_ok=True)
    path = clips.folder / "bars.sup"
    times = ((9000, True), (27000, False), (36000, True), (45000, False))
    path.write_bytes(b"".join(shown(pts, number, on=on) for number, (pts, on) in enumerate(times)))
    return path


def _dvd_subtitles(clips: ClipFactory) -> Path:
    return clips.make(
        "sub.mkv", "-f", "lavfi", "-i", "color=black:s=720x480:d=1", "-i", str(_pgs(clips)), "-map", "0", "-map", "1",
        "-c:v", "ffv1", "-c:s", "dvdsub",
    )  # fmt: skip


def _with_pgs(filename: str, *args: str) -> Make:
    return lambda clips: clips.make(
        filename, *T, *A, "-i", str(_pgs(clips)), "-map", "0", "-map", "1", "-map", "2", *X264, *args
    )


def _late_subtitle(clips: ClipFactory) -> Path:
    """A program stream whose subtitle shows up after nine seconds, as on DVDs."""
    return clips.make(
        "late.vob", *picture(rate="25", seconds=9.6), *tone(9.6), "-itsoffset", "9", "-i", str(_dvd_subtitles(clips)),
        "-map", "0", "-map", "1", "-map", "2:s", "-c:v", "mpeg2video", "-q:v", "5", "-c:a", "mp2", "-c:s", "copy",
    )  # fmt: skip


def _fonts(clips: ClipFactory) -> Path:
    clips.folder.mkdir(parents=True, exist_ok=True)
    font = clips.folder / "font.ttf"
    font.write_bytes(b"\0\1\0\0" + bytes(range(256)) * 8)
    words = str(subtitle(clips))
    return clips.make(
        "fonts.mkv", *T, "-i", words, "-map", "0", "-map", "1", "-map", "1", *X264, "-c:s:0", "ass", "-c:s:1", "srt",
        "-disposition:s:0", "default+forced", "-attach", str(font),
        "-metadata:s:t:0", "mimetype=application/x-truetype-font", "-metadata:s:t:0", "filename=Sch\u00f6n 'x'.ttf",
    )  # fmt: skip


def _tagged_oddly(clips: ClipFactory) -> Path:
    clips.folder.mkdir(parents=True, exist_ok=True)
    tags = clips.folder / "odd.txt"
    tags.write_text(
        ";FFMETADATA1\ntitle=A\\\nB \\= \\; \\# \u2603\ncustom_key=V\nGPS Location=+48.8577+002.295/\n"
        "com.apple.quicktime.make=Apple\nlyrics=la\\\nla\nencoder=Foo\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=100\n"
        "[CHAPTER]\nTIMEBASE=1/1000000000\nSTART=100000000\nEND=300000000\ntitle=Zwei \u2603\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=8000\nEND=9000\ntitle=after the end\n",
        encoding="utf-8",
    )
    return clips.make("tags.mkv", *T, *A, "-i", str(tags), "-map", "0", "-map", "1", "-map_metadata", "2", *X264, *AAC)


def _dv_type_1(clips: ClipFactory) -> Path:
    """Two PAL frames of DV as one interleaved stream in AVI, the way old capture programs wrote it."""
    raw = clips.make(
        "p.dv", *picture("720x576", "25", 0.08), *tone(0.08), "-c:v", "dvvideo", "-pix_fmt", "yuv420p", "-c:a",
        "pcm_s16le", "-ac", "2", "-f", "dv",
    ).read_bytes()  # fmt: skip
    size = 144_000
    frames = [raw[at : at + size] for at in range(0, len(raw), size)]

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data

    main = struct.pack("<14I", 40000, size * 25, 0, 0x10, len(frames), 0, 1, size, 720, 576, 0, 0, 0, 0)
    stream = b"iavsdvsd" + struct.pack("<IHHIIIIIIII4H", 0, 0, 0, 0, 1, 25, 0, len(frames), size, 0xFFFFFFFF, 0, 0, 0,
                                       720, 576)  # fmt: skip
    described = chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", bytes(32)))
    head = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + described)
    index = b"".join(b"00__" + struct.pack("<III", 0x10, 4 + n * (size + 8), size) for n in range(len(frames)))
    body = b"AVI " + head + chunk(b"LIST", b"movi" + b"".join(chunk(b"00__", f) for f in frames))
    path = clips.folder / "dv1.avi"
    path.write_bytes(chunk(b"RIFF", body + chunk(b"idx1", index)))
    return path


def _data_ts(clips: ClipFactory) -> Path:
    clips.folder.mkdir(parents=True, exist_ok=True)
    data = clips.folder / "telemetry.bin"
    data.write_bytes(bytes(range(256)) * 3)
    return clips.make(
        "data.ts", *T, "-f", "data", "-i", str(data), "-map", "0", "-map", "1", *X264, "-c:d", "copy"
    )  # fmt: skip


def _without_pid(pid: int) -> Make:
    """A transport stream that announces a second sound and never sends it."""

    def silence(data: bytes) -> bytes:
        packets = [data[at : at + _TS_PACKET] for at in range(0, len(data), _TS_PACKET)]
        return b"".join(p for p in packets if (p[1] & 0x1F) << 8 | p[2] != pid)

    both = made("two.ts", *T, *A, *tone(), "-map", "0", "-map", "1", "-map", "2", *X264, "-c:a", "mp2")
    return changed(both, "silent-pid.ts", silence)


_BASE = made("base.mp4", *T, *A, *X264, *AAC)
_TS = made("a.ts", *T, *A, *X264, "-g", "12", *AAC)
_TS_OTHER = made("ac3.ts", *T, *A, *tone(), "-map", "0", "-map", "1", "-map", "2", *X264, "-c:a", "ac3")


STREAMS = (
    Hazard(name="rich-mkv", what="two audio streams, SRT and ASS, chapters, attachment, cover", make=_rich,
           error={"mp4": "cannot hold attachment", "mov": "cannot hold"}),
    Hazard(name="rich-mp4", what="MP4 text subtitles, chapters, cover", make=_rich_mp4, error={"mov": "cover"}),
    Hazard(name="srt", what="SRT subtitles", make=_with_subtitles("srt.mkv", "srt")),
    Hazard(name="ass", what="ASS subtitles", make=_with_subtitles("ass.mkv", "ass")),
    Hazard(name="mov-text", what="MP4 text subtitles", make=_with_subtitles("text.mp4", "mov_text")),
    Hazard(name="two-videos", what="two video streams", make=made(
        "two.mkv", *T, *picture("32x32"), "-map", "0", "-map", "1", *X264)),
    Hazard(name="timecode", what="timecode track", make=made(
        "tc.mov", *T, *X264, "-timecode", "01:00:00:00")),
    Hazard(name="pcm-mov", what="PCM audio in MOV", make=made("pcm.mov", *T, *A, *X264, "-c:a", "pcm_s16le")),
    Hazard(name="flac", what="FLAC audio", make=made("flac.mkv", *T, *A, *X264, "-c:a", "flac")),
    Hazard(name="opus-vp9", what="VP9 and Opus in WebM", make=made(
        "o.webm", *T, *A, "-c:v", "libvpx-vp9", "-c:a", "libopus")),
    Hazard(name="ac3-ts", what="AC-3 in MPEG-TS", make=made("ac3.ts", *T, *A, *X264, "-c:a", "ac3")),
    Hazard(name="theora-ogg", what="Theora and Vorbis in Ogg", make=made(
        "t.ogv", *T, *A, "-c:v", "libtheora", "-q:v", "8", "-c:a", "libvorbis")),
    Hazard(name="flv", what="Flash video", make=remade(_BASE, "f.flv", "-c", "copy")),
    Hazard(name="wmv", what="Windows Media", make=made("w.wmv", *T, *A, "-c:v", "wmv2", "-b:v", "1M", "-c:a", "wmav2"),
           sound=False),
    Hazard(name="mpeg-ps", what="MPEG-2 program stream", make=made(
        "p.mpg", *picture(rate="25"), *A, "-c:v", "mpeg2video", "-q:v", "3", "-c:a", "mp2")),
    Hazard(name="3gp", what="MPEG-4 part 2 in 3GP", make=made(
        "p.3gp", *picture("176x144"), *A, "-c:v", "mpeg4", *AAC)),
    Hazard(name="mxf", what="MPEG-2 in MXF", make=made(
        "m.mxf", *picture(rate="25"), *A, "-c:v", "mpeg2video", "-q:v", "3", "-c:a", "pcm_s16le")),
    Hazard(name="y4m", what="YUV4MPEG", make=made("r.y4m", *T, "-pix_fmt", "yuv420p")),
    Hazard(name="ivf", what="AV1 in IVF", make=made("a.ivf", *T, "-c:v", "libsvtav1", "-preset", "12")),
    Hazard(name="dnxhr", what="DNxHR", make=made(
        "d.mov", *picture("256x128", seconds=0.25), "-c:v", "dnxhd", "-profile:v", "dnxhr_hq", "-pix_fmt", "yuv422p")),
    Hazard(name="dv-type-1", what="DV video and audio as one stream in AVI", make=_dv_type_1, pts=False, why="counted",
           sound=False),
    Hazard(name="ps-sounds", what="program stream with three audio streams", make=made(
        "p.mpg", *picture(rate="25"), *A, "-map", "0", "-map", "1", "-map", "1", "-map", "1", "-c:v", "mpeg2video",
        "-q:v", "3", "-c:a:0", "mp2", "-c:a:1", "mp2", "-c:a:2", "ac3")),
    Hazard(name="late-subtitle", what="DVD whose first subtitle appears after nine seconds", make=_late_subtitle,
           error={"mov": "cannot hold"}, pts=False, why="its muxer gives several small frames one stamp"),
    Hazard(name="pgs", what="Blu-ray subtitles (PGS) in Matroska", make=_with_pgs("pgs.mkv", *AAC, "-c:s", "copy"),
           error=_PICTURE_SUBTITLES),
    Hazard(name="m2ts", what="Blu-ray transport stream with bitmap subtitles",
           make=_with_pgs("b.m2ts", "-c:a", "ac3", "-c:s", "copy"), error=_PICTURE_SUBTITLES),
    Hazard(name="dvb-subtitle", what="broadcast with bitmap subtitles (DVB)",
           make=_with_pgs("dvb.ts", "-c:a", "mp2", "-c:s", "dvbsub"), error=_PICTURE_SUBTITLES),
    Hazard(name="new-sound", what="broadcast whose audio changes codec and gains a second stream", make=joined(
        _TS, _TS_OTHER, "pmt.ts"), pts=False, sound=False, why="moved up"),
    Hazard(name="two-programs", what="two programs in one transport stream", make=made(
        "programs.ts", *T, *A, *picture("48x32"), *tone(), "-map", "0", "-map", "1", "-map", "2", "-map", "3", *X264,
        *AAC, "-program", "title=One:st=0:st=1", "-program", "title=Two:st=2:st=3")),
    Hazard(name="silent-pid", what="announced audio that is never sent", make=_without_pid(0x102), sound=False),
    Hazard(name="data-ts", what="a data stream", make=_data_ts),
    Hazard(name="fonts", what="forced ASS subtitles with an attached font", make=_fonts,
           error={"mp4": "cannot hold attachment", "mov": "cannot hold attachment"}),
    Hazard(name="odd-tags", what="unusual tags; chapters without titles and past the end", make=_tagged_oddly),
    Hazard(name="languages", what="languages for which MP4 has no code", make=made(
        "languages.mkv", *T, *A, *tone(), "-map", "0", "-map", "1", "-map", "2", *X264, *AAC,
        "-metadata:s:a:0", "language=pt-BR", "-metadata:s:a:1", "language=en", "-metadata:s:a:1", "title=Kommentar")),
    Hazard(name="roles", what="audio for the hard of hearing and director's commentary", make=made(
        "roles.mkv", *T, *A, *tone(), "-map", "0", "-map", "1", "-map", "2", *X264, *AAC,
        "-disposition:a:0", "hearing_impaired", "-disposition:a:1", "comment+original")),
    Hazard(name="two-timecodes", what="two video streams, each with its own timecode", make=made(
        "two.mov", *T, *picture("48x32"), *A, "-map", "0", "-map", "1", "-map", "2", *X264, "-c:a", "pcm_s16le",
        "-metadata:s:v:0", "timecode=01:00:00:00", "-metadata:s:v:1", "timecode=10:00:00:00")),
    Hazard(name="drop-frame", what="drop-frame timecode", make=made(
        "drop.mov", *picture(rate="30000/1001"), *X264, "-timecode", "00:59:59;28")),
    Hazard(name="ogg-chain", what="two Ogg files concatenated", make=joined(
        made("a.ogv", *T, *A, "-c:v", "libtheora", "-q:v", "8", "-c:a", "libvorbis"),
        made("b.ogv", *picture(extra=""), *A, "-c:v", "libtheora", "-q:v", "8", "-c:a", "libvorbis"), "chain.ogv"),
        pts=False, sound=False, why="FFmpeg reads the first sound only"),
    Hazard(name="cover-first", what="MP4 whose first stream is the cover", make=lambda clips: clips.make(
        "cover.mp4", "-i", str(jpeg_cover(clips)), *T, *A, "-map", "0", "-map", "1", "-map", "2", "-c:v:0", "copy",
        "-c:v:1", "libx264", "-pix_fmt:v:1", "yuv420p", *AAC, "-disposition:v:0", "attached_pic"),
        error={"mov": "cover"}),
    Hazard(name="pcm-24", what="24-bit big-endian PCM in MOV", make=made(
        "p24.mov", *T, *A, *X264, "-c:a", "pcm_s24be")),
    Hazard(name="truehd", what="TrueHD in Matroska", make=made(
        "t.mkv", *T, *A, *X264, "-c:a", "truehd", "-strict", "-2")),
    Hazard(name="7-1", what="7.1 audio", make=made(
        "8.mkv", *T, "-f", "lavfi", "-i", "anoisesrc=d=1:r=48000,pan=7.1|" + "|".join(f"c{n}=c0" for n in range(8)),
        *X264, "-c:a", "flac")),
)  # fmt: skip
