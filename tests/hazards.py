"""Small clips that each carry one hazard of real video files; the rows of docs/hazards.md."""

from __future__ import annotations

from pathlib import Path

from tests.clips import ClipFactory, picture, run_ffmpeg, tone
from tests.hazard import (
    AAC,
    X264,
    A,
    Hazard,
    Make,
    T,
    changed,
    ffv1,
    joined,
    jpeg_cover,
    made,
    remade,
    subtitle,
    written,
)
from tests.rare_hazards import RARE


def _scratch(data: bytes) -> bytes:
    """Every 3011th byte changed, behind the first 8000."""
    out = bytearray(data)
    for at in range(8000, len(out), 3011):
        out[at] ^= 0x55
    return bytes(out)


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


def _cover_only(clips: ClipFactory) -> Path:
    return clips.make(
        "song.mp3", *A, "-i", str(jpeg_cover(clips)), "-map", "0", "-map", "1", "-c:v", "copy",
        "-disposition:v", "attached_pic",
    )  # fmt: skip


def tagged(matrix: str, primaries: str, transfer: str, span: str, fmt: str = "yuv420p") -> Make:
    """A clip with all its colour tags."""
    filters = (
        f"scale=out_color_matrix={matrix}:out_range={span},format={fmt},"
        f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range={span}"
    )
    return made("tagged.mkv", *T, "-vf", filters, "-c:v", "libx264", "-qp", "8", "-pix_fmt", fmt)


HDR10 = (
    "hdr10=1:repeat-headers=1:log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
)
_HLG = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=arib-std-b67:range=tv"
_BASE = made("base.mp4", *T, *A, *X264, *AAC)
_LONG = made("long.mp4", *picture(seconds=4), *tone(4), *X264, "-g", "48", *AAC)
_TS = made("a.ts", *T, *A, *X264, "-g", "12", *AAC)
_TS_BIG = made("b.ts", *picture("96x64"), *A, *X264, "-g", "12", *AAC)
_FAST = remade(_LONG, "fast.mp4", "-c", "copy", "-movflags", "+faststart")

TIMING = (
    Hazard(name="plain", what="H.264 and AAC in MP4", make=_BASE),
    Hazard(name="silent", what="no sound", make=made("silent.mkv", *T, *X264)),
    Hazard(name="vfr-mkv", what="variable frame rate", make=made(
        "vfr.mkv", *T, "-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "passthrough", *X264)),
    Hazard(name="vfr-mp4", what="variable frame rate on a fine clock", make=made(
        "vfr.mp4", *T, "-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "passthrough", "-enc_time_base", "1/90000",
        "-video_track_timescale", "90000", *X264)),
    Hazard(name="ntsc", what="30000/1001 frames per second", make=made(
        "ntsc.mp4", *picture(rate="30000/1001"), *A, *X264, *AAC)),
    Hazard(name="fast", what="120 frames per second", make=made("120.mkv", *picture(rate="120", seconds=0.3), *X264)),
    Hazard(name="slow", what="one frame in two seconds", make=made(
        "slow.mkv", *picture(rate="1/2", seconds=8), *X264)),
    Hazard(name="one-frame", what="a single frame", make=made("one.mp4", *T, "-frames:v", "1", *X264)),
    Hazard(name="two-frames", what="two frames", make=made("two.mp4", *T, "-frames:v", "2", *X264)),
    Hazard(name="start-10s", what="first timestamp at 10 s", make=remade(
        _BASE, "late.ts", "-c", "copy", "-output_ts_offset", "10")),
    Hazard(name="wrap", what="33-bit clock of MPEG-TS wraps", make=remade(
        _LONG, "wrap.ts", "-c", "copy", "-output_ts_offset", "95441")),
    Hazard(name="negative", what="negative timestamps", make=remade(
        _BASE, "neg.mkv", "-c", "copy", "-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled"),
           pts=False, why="no stamps before 0"),
    Hazard(name="raw-h264", what="no timestamps at all", make=remade(_BASE, "raw.h264", "-an", "-c", "copy"),
           pts=False, why="the source has none"),
    Hazard(name="raw-hevc", what="no timestamps at all, HEVC", make=made(
        "raw.hevc", *T, "-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p"),
           pts=False, why="the source has none"),
    Hazard(name="backward-pts", what="timestamps that run back", make=made(
        "back.mkv", *T, "-c:v", "ffv1", "-bsf:v", "setts=ts='TS-2048*eq(mod(N,7),3)'"), pts=False, why="repaired"),
    Hazard(name="avi-bframes", what="AVI with B-frames: no pts", make=made(
        "b.avi", *T, *A, "-c:v", "mpeg4", "-bf", "2", "-q:v", "3", "-c:a", "mp3"), pts=False, why="counted"),
    Hazard(name="avi-h264", what="H.264 in AVI", make=remade(_BASE, "h.avi", "-c:v", "copy", "-c:a", "mp3"),
           pts=False, why="counted"),
    Hazard(name="edit-list", what="MP4 that begins inside a group of pictures", make=remade(
        _LONG, "edit.mp4", "-c", "copy", before=("-ss", "1.7"))),
    Hazard(name="open-gop", what="open groups of pictures, HEVC", make=made(
        "open.mp4", *picture(seconds=2), "-c:v", "libx265", "-x265-params", "open-gop=1:keyint=12:log-level=error",
        "-pix_fmt", "yuv420p")),
    Hazard(name="intra-refresh", what="no keyframe but the first", make=made(
        "refresh.mkv", *T, *X264, "-intra-refresh", "1", "-x264-params", "keyint=12")),
    Hazard(name="b-pyramid", what="deep reordering", make=made(
        "deep.mkv", *T, "-c:v", "libx264", "-bf", "8", "-b-pyramid", "normal", "-pix_fmt", "yuv420p")),
    Hazard(name="joined-ts", what="timeline starts anew in the middle", make=joined(_TS, _TS, "joined.ts"),
           pts=False, why="moved up"),
    Hazard(name="size-change", what="picture size changes in the middle", make=joined(_TS, _TS_BIG, "sizes.ts"),
           pts=False, pixels=False, why="moved up"),
    Hazard(name="fragments", what="fragmented MP4", make=remade(
        _LONG, "frag.mp4", "-c", "copy", "-movflags", "frag_keyframe+empty_moov")),
    Hazard(name="long-audio", what="sound longer than the picture", make=made(
        "la.mp4", *T, *tone(2), *X264, *AAC)),
    Hazard(name="short-audio", what="sound shorter than the picture", make=made(
        "sa.mp4", *T, *tone(0.4), *X264, *AAC)),
    Hazard(name="late-audio", what="sound begins later", make=made(
        "late.mkv", *T, "-itsoffset", "0.4", *tone(0.5), *X264, *AAC)),
)  # fmt: skip

STREAMS = (
    Hazard(name="rich-mkv", what="two sounds, SRT and ASS, chapters, attachment, cover", make=_rich,
           error={"mp4": "cannot hold attachment", "mov": "cannot hold"}),
    Hazard(name="rich-mp4", what="MP4 text, chapters, cover", make=_rich_mp4, error={"mov": "cover"}),
    Hazard(name="srt", what="SRT subtitles", make=_with_subtitles("srt.mkv", "srt")),
    Hazard(name="ass", what="ASS subtitles", make=_with_subtitles("ass.mkv", "ass")),
    Hazard(name="mov-text", what="MP4 text subtitles", make=_with_subtitles("text.mp4", "mov_text")),
    Hazard(name="two-videos", what="two video streams", make=made(
        "two.mkv", *T, *picture("32x32"), "-map", "0", "-map", "1", *X264)),
    Hazard(name="timecode", what="timecode track", make=made(
        "tc.mov", *T, *X264, "-timecode", "01:00:00:00")),
    Hazard(name="pcm-mov", what="PCM sound in MOV", make=made("pcm.mov", *T, *A, *X264, "-c:a", "pcm_s16le")),
    Hazard(name="flac", what="FLAC sound", make=made("flac.mkv", *T, *A, *X264, "-c:a", "flac")),
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
)  # fmt: skip

PICTURE = (
    Hazard(name="interlaced-tff", what="interlaced, top field first", make=made(
        "tff.mkv", *picture(rate="50"), "-vf", "tinterlace=interleave_top,setfield=tff", *X264,
        "-flags", "+ildct+ilme")),
    Hazard(name="interlaced-bff", what="interlaced MPEG-2, bottom field first", make=made(
        "bff.ts", *picture(rate="50"), "-vf", "tinterlace=interleave_bottom,setfield=bff", "-c:v", "mpeg2video",
        "-flags", "+ildct+ilme", "-q:v", "3")),
    Hazard(name="telecine", what="3:2 pulldown", make=made(
        "tele.ts", *picture(rate="24000/1001"), "-vf", "telecine,setfield=tff", "-c:v", "mpeg2video",
        "-flags", "+ildct+ilme", "-q:v", "3")),
    Hazard(name="sar", what="pixels of shape 64:45", make=made("sar.mp4", *T, "-vf", "setsar=64/45", *X264)),
    Hazard(name="sar-dvd", what="pixels of a PAL DVD", make=made(
        "dvd.mpg", *picture(rate="25"), "-aspect", "16:9", "-c:v", "mpeg2video", "-q:v", "3")),
    Hazard(name="rotated", what="rotated by 90°", make=remade(
        _BASE, "rot.mp4", "-c", "copy", before=("-display_rotation", "90"))),
    Hazard(name="upside-down", what="rotated by 180°", make=remade(
        _BASE, "rot.mov", "-c", "copy", before=("-display_rotation", "180"))),
    Hazard(name="mirrored", what="mirrored and rotated", make=remade(
        _BASE, "mir.mp4", "-c", "copy", before=("-display_rotation", "90", "-display_hflip"))),
    Hazard(name="odd-420", what="63x47, 4:2:0", make=made(
        "odd.mkv", *T, "-vf", "format=yuv444p,scale=63:47,format=yuv420p", "-c:v", "ffv1")),
    Hazard(name="odd-444", what="63x47, 4:4:4", make=made(
        "odd.mp4", *T, "-vf", "format=yuv444p,scale=63:47", "-c:v", "libx264")),
    Hazard(name="tiny", what="16x16", make=made("tiny.mkv", *picture("16x16"), *X264)),
    Hazard(name="wide", what="640x32", make=made("wide.mkv", *picture("640x32", seconds=0.3), *X264)),
    Hazard(name="hdr10", what="HDR10 with mastering data", make=made(
        "hdr10.mkv", *picture(seconds=0.5), "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", HDR10)),
    Hazard(name="hlg", what="HLG", make=made(
        "hlg.mp4", *picture(seconds=0.5), "-c:v", "libx265", "-pix_fmt", "yuv420p10le",
        "-x265-params", "log-level=error", "-vf", _HLG)),
    Hazard(name="gif", what="GIF, a palette", make=made("p.gif", *picture(rate="10"))),
    Hazard(name="palette-mov", what="8-bit palette in MOV", make=made(
        "pal.mov", *T, "-c:v", "png", "-pix_fmt", "pal8")),
    Hazard(name="rle", what="QuickTime Animation", make=made("rle.mov", *T, "-c:v", "qtrle", "-pix_fmt", "rgb24")),
    Hazard(name="rgb-png", what="PNG pictures in MOV", make=made("png.mov", *T, "-c:v", "png", "-pix_fmt", "rgb24")),
    Hazard(name="uyvy", what="raw packed 4:2:2", make=made(
        "u.nut", *T, "-c:v", "rawvideo", "-pix_fmt", "uyvy422")),
    Hazard(name="v210", what="raw packed 10-bit 4:2:2", make=made("v.mov", *T, "-c:v", "v210")),
    Hazard(name="mjpeg", what="motion JPEG, full range", make=made(
        "m.avi", *T, "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"), pts=False, why="counted"),
    Hazard(name="dv-411", what="DV, 4:1:1", make=made(
        "d.avi", *picture("720x480", "30000/1001", 0.2), "-c:v", "dvvideo", "-pix_fmt", "yuv411p"),
        pts=False, why="counted"),
    Hazard(name="tag-709", what="tagged BT.709", make=tagged("bt709", "bt709", "bt709", "tv")),
    Hazard(name="tag-709-full", what="tagged BT.709, full range", make=tagged("bt709", "bt709", "bt709", "pc")),
    Hazard(name="tag-601", what="tagged BT.601", make=tagged("smpte170m", "smpte170m", "smpte170m", "tv")),
    Hazard(name="tag-2020", what="tagged BT.2020, 10 bits", make=tagged(
        "bt2020nc", "bt2020", "bt2020-10", "tv", "yuv420p10le")),
    *(Hazard(name=f"lossless-{fmt}", what=f"{fmt}", make=ffv1(fmt)) for fmt in (
        "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "gray",
        "gray10le", "bgr0", "gbrp10le")),
)  # fmt: skip

ALPHA = tuple(
    Hazard(name=name, what=what, make=make, error="", options={})
    for name, what, make in (
        ("alpha-vp9", "VP9 with alpha", made(
            "a.webm", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=1,format=yuva420p,colorchannelmixer=aa=0.5",
            "-c:v", "libvpx-vp9", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p")),
        ("alpha-prores", "ProRes 4444 with alpha", made(
            "a.mov", *T, "-vf", "format=yuva444p10le,colorchannelmixer=aa=0.5", "-c:v", "prores_ks", "-pix_fmt",
            "yuva444p10le")),
        ("alpha-ffv1", "FFV1 with alpha", ffv1("yuva420p")),
        ("alpha-rle", "QuickTime Animation with alpha", made(
            "a.mov", *T, "-vf", "format=argb,colorchannelmixer=aa=0.5", "-c:v", "qtrle")),
        ("alpha-png", "animated PNG with alpha", made(
            "a.apng", *picture(rate="10"), "-vf", "format=rgba,colorchannelmixer=aa=0.5", "-f", "apng")),
    )
)  # fmt: skip

DAMAGE = (
    Hazard(name="corrupt", what="random damage in MPEG-TS", make=changed(
        remade(_LONG, "bad0.ts", "-c", "copy"), "bad.ts", _scratch), pts=False, pixels=False, why="damaged"),
    Hazard(name="cut-mkv", what="Matroska cut off", make=changed(
        remade(_LONG, "cut0.mkv", "-c", "copy"), "cut.mkv", lambda b: b[: len(b) * 6 // 10]), pixels=False),
    Hazard(name="cut-mp4", what="MP4 cut off behind its index", make=changed(
        _FAST, "cut.mp4", lambda b: b[: len(b) * 6 // 10]), pixels=False),
    Hazard(name="no-moov", what="MP4 without its index", make=changed(
        _LONG, "nomoov.mp4", lambda b: b[: len(b) // 2]), error="not a video that can be read"),
    Hazard(name="no-frames", what="a header and no frame", make=made("none.mkv", *T, "-frames:v", "0", *X264),
           error="ends before its first frame|no frame|not a video"),
    Hazard(name="text", what="words in a file named .mp4", make=written("text.mp4", b"no video, only words\n" * 99),
           error="not a video"),
    Hazard(name="empty", what="a file of zero bytes", make=written("empty.mkv", b""), error="empty"),
    Hazard(name="noise", what="random bytes", make=written(
        "noise.mkv", bytes((i * 7919 >> 3) & 255 for i in range(20000))), error="not a video"),
    Hazard(name="audio-only", what="no video stream", make=made("only.mp4", *A, *AAC), error="no video stream"),
    Hazard(name="cover-only", what="sound with a cover", make=_cover_only, error="only cover art"),
)  # fmt: skip

HAZARDS = (*TIMING, *STREAMS, *PICTURE, *ALPHA, *DAMAGE, *RARE)
#: A few of each kind, for the fast tests.
QUICK = (
    "plain", "vfr-mp4", "negative", "raw-h264", "joined-ts", "size-change", "rich-mkv", "rich-mp4", "timecode", "sar",
    "mirrored", "odd-420", "hdr10", "rgb-png", "alpha-vp9", "gray", "wmv", "cut-mkv", "text",
    "languages", "odd-tags", "two-programs", "nut-sound", "one-pixel",
)  # fmt: skip


def by_name(name: str) -> Hazard:
    """The hazard of that name."""
    return next(h for h in HAZARDS if name in (h.name, h.name.removeprefix("lossless-")))


__all__ = ["HAZARDS", "QUICK", "Hazard", "by_name", "run_ffmpeg"]
