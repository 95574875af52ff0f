"""Hazards of the picture: fields, pixel shape, turns, sizes, pixel formats, colour tags, HDR, alpha."""

from __future__ import annotations

from tests.support.clips import picture
from tests.support.hazards.hazard import (
    AAC,
    X264,
    A,
    Hazard,
    Make,
    T,
    ffv1,
    joined,
    made,
    remade,
)


def tagged(matrix: str, primaries: str, transfer: str, span: str, fmt: str = "yuv420p") -> Make:
    """A clip with all its colour tags."""
    filters = (
        f"scale=out_color_matrix={matrix}:out_range={span},format={fmt},"
        f"setparams=colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}:range={span}"
    )
    return made("tagged.mkv", *T, "-vf", filters, "-c:v", "libx264", "-qp", "8", "-pix_fmt", fmt)


def _hdr(name: str, display: str, light: str) -> Make:
    params = "hdr10=1:repeat-headers=1:log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    params += f":master-display={display}" if display else ""
    params += f":max-cll={light}" if light else ""
    return made(f"{name}.mkv", *picture(seconds=0.3), "-c:v", "libx265", "-pix_fmt", "yuv420p10le",
                "-x265-params", params)  # fmt: skip


HDR10 = (
    "hdr10=1:repeat-headers=1:log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
)
_HLG = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=arib-std-b67:range=tv"
_P3 = "G(13249,34501)B(7499,3001)R(33999,16001)WP(15633,16451)L(12345678,123)"
_BASE = made("base.mp4", *T, *A, *X264, *AAC)
_TS = made("a.ts", *T, *A, *X264, "-g", "12", *AAC)
_TS_BIG = made("b.ts", *picture("96x64"), *A, *X264, "-g", "12", *AAC)
_TS_DEEP = made("deep.ts", *T, *A, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", *AAC)


PICTURES = (
    Hazard(name="interlaced-tff", what="interlaced, top field first", make=made(
        "tff.mkv", *picture(rate="50"), "-vf", "tinterlace=interleave_top,setfield=tff", *X264,
        "-flags", "+ildct+ilme")),
    Hazard(name="interlaced-bff", what="interlaced MPEG-2, bottom field first", make=made(
        "bff.ts", *picture(rate="50"), "-vf", "tinterlace=interleave_bottom,setfield=bff", "-c:v", "mpeg2video",
        "-flags", "+ildct+ilme", "-q:v", "3")),
    Hazard(name="telecine", what="3:2 pulldown", make=made(
        "tele.ts", *picture(rate="24000/1001"), "-vf", "telecine,setfield=tff", "-c:v", "mpeg2video",
        "-flags", "+ildct+ilme", "-q:v", "3")),
    Hazard(name="sar", what="pixel aspect ratio 64:45", make=made("sar.mp4", *T, "-vf", "setsar=64/45", *X264)),
    Hazard(name="sar-dvd", what="pixel aspect ratio of a PAL DVD", make=made(
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
    Hazard(name="gif", what="GIF with a palette", make=made("p.gif", *picture(rate="10"))),
    Hazard(name="palette-mov", what="8-bit palette in MOV", make=made(
        "pal.mov", *T, "-c:v", "png", "-pix_fmt", "pal8")),
    Hazard(name="rle", what="QuickTime Animation", make=made("rle.mov", *T, "-c:v", "qtrle", "-pix_fmt", "rgb24")),
    Hazard(name="rgb-png", what="PNG in MOV", make=made("png.mov", *T, "-c:v", "png", "-pix_fmt", "rgb24")),
    Hazard(name="uyvy", what="raw packed 4:2:2", make=made(
        "u.nut", *T, "-c:v", "rawvideo", "-pix_fmt", "uyvy422")),
    Hazard(name="v210", what="raw packed 10-bit 4:2:2", make=made("v.mov", *T, "-c:v", "v210")),
    Hazard(name="mjpeg", what="Motion JPEG, full range", make=made(
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
    Hazard(name="depth-change", what="bit depth that changes in the middle", make=joined(_TS, _TS_DEEP, "depth.ts"),
           pts=False, pixels=False, why="moved up"),
    Hazard(name="avi-upside-down", what="raw RGB stored bottom-up", make=made(
        "raw.avi", *T, "-c:v", "rawvideo", "-pix_fmt", "bgr24"), pts=False, why="counted"),
    Hazard(name="one-pixel", what="17x1", make=made(
        "17.mkv", *T, "-vf", "format=yuv444p,scale=17:1", "-c:v", "ffv1"),
        error={"hevc": "refuses 17x1", "av1": "refuses 17x1"}),
    Hazard(name="hdr-odd", what="HDR10 with unusual values", make=_hdr("odd", _P3, "999,1")),
    Hazard(name="hdr-light-only", what="HDR10 with light levels only", make=_hdr("light", "", "1203,77")),
    Hazard(name="ycgco", what="YCgCo", make=made(
        "y.mkv", *T, "-c:v", "libx264", "-pix_fmt", "yuv444p", "-qp", "5", "-bsf:v",
        "h264_metadata=matrix_coefficients=8")),
    Hazard(name="turned-33", what="rotated by 33\u00b0", make=remade(
        _BASE, "r33.mp4", "-c", "copy", before=("-display_rotation", "33"))),
    Hazard(name="alpha-vp8", what="VP8 with alpha", make=made(
        "a.webm", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=1,format=yuva420p,colorchannelmixer=aa=0.5", "-c:v",
        "libvpx", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p"), pixels=False),
    Hazard(name="alpha-16", what="16-bit RGB with alpha in PNG", make=made(
        "r.mov", *T, "-vf", "format=rgba64be,colorchannelmixer=aa=0.5", "-c:v", "png", "-pix_fmt", "rgba64be")),
    *(Hazard(name=f"lossless-{fmt}", what=fmt, make=ffv1(fmt)) for fmt in ("gray16le", "gbrp12le", "yuv420p16le")),
    Hazard(name="size-change", what="frame size that changes in the middle", make=joined(_TS, _TS_BIG, "sizes.ts"),
           pts=False, pixels=False, why="moved up"),
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
