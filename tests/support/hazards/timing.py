"""Hazards of timestamps, frame rates, groups of pictures, and where sound begins and ends."""

from __future__ import annotations

from tests.support.clips import picture, tone
from tests.support.hazards.hazard import (
    AAC,
    X264,
    A,
    Hazard,
    T,
    joined,
    made,
    remade,
)

_BASE = made("base.mp4", *T, *A, *X264, *AAC)
_LONG = made("long.mp4", *picture(seconds=4), *tone(4), *X264, "-g", "48", *AAC)
_TS = made("a.ts", *T, *A, *X264, "-g", "12", *AAC)


TIMING = (
    Hazard(name="plain", what="H.264 and AAC in MP4", make=_BASE),
    Hazard(name="silent", what="no audio", make=made("silent.mkv", *T, *X264)),
    Hazard(name="vfr-mkv", what="variable frame rate", make=made(
        "vfr.mkv", *T, "-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "passthrough", *X264)),
    Hazard(name="vfr-mp4", what="variable frame rate, fine time base", make=made(
        "vfr.mp4", *T, "-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "passthrough", "-enc_time_base", "1/90000",
        "-video_track_timescale", "90000", *X264)),
    Hazard(name="ntsc", what="30000/1001 frames per second", make=made(
        "ntsc.mp4", *picture(rate="30000/1001"), *A, *X264, *AAC)),
    Hazard(name="fast", what="120 frames per second", make=made("120.mkv", *picture(rate="120", seconds=0.3), *X264)),
    Hazard(name="slow", what="one frame every two seconds", make=made(
        "slow.mkv", *picture(rate="1/2", seconds=8), *X264)),
    Hazard(name="one-frame", what="a single frame", make=made("one.mp4", *T, "-frames:v", "1", *X264)),
    Hazard(name="two-frames", what="two frames", make=made("two.mp4", *T, "-frames:v", "2", *X264)),
    Hazard(name="start-10s", what="first timestamp at 10 s", make=remade(
        _BASE, "late.ts", "-c", "copy", "-output_ts_offset", "10")),
    Hazard(name="wrap", what="33-bit MPEG-TS clock that wraps around", make=remade(
        _LONG, "wrap.ts", "-c", "copy", "-output_ts_offset", "95441")),
    Hazard(name="negative", what="negative timestamps", make=remade(
        _BASE, "neg.mkv", "-c", "copy", "-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled"),
           pts=False, why="no stamps before 0"),
    Hazard(name="raw-h264", what="no timestamps at all", make=remade(_BASE, "raw.h264", "-an", "-c", "copy"),
           pts=False, why="the source has none"),
    Hazard(name="raw-hevc", what="no timestamps at all, HEVC", make=made(
        "raw.hevc", *T, "-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p"),
           pts=False, why="the source has none"),
    Hazard(name="backward-pts", what="timestamps that go backwards", make=made(
        "back.mkv", *T, "-c:v", "ffv1", "-bsf:v", "setts=ts='TS-2048*eq(mod(N,7),3)'"), pts=False, why="repaired"),
    Hazard(name="avi-bframes", what="AVI with B-frames, so no pts", make=made(
        "b.avi", *T, *A, "-c:v", "mpeg4", "-bf", "2", "-q:v", "3", "-c:a", "mp3"), pts=False, why="counted"),
    Hazard(name="avi-h264", what="H.264 in AVI", make=remade(_BASE, "h.avi", "-c:v", "copy", "-c:a", "mp3"),
           pts=False, why="counted"),
    Hazard(name="edit-list", what="MP4 whose edit list starts inside a GOP", make=remade(
        _LONG, "edit.mp4", "-c", "copy", before=("-ss", "1.7"))),
    Hazard(name="open-gop", what="HEVC with open GOPs", make=made(
        "open.mp4", *picture(seconds=2), "-c:v", "libx265", "-x265-params", "open-gop=1:keyint=12:log-level=error",
        "-pix_fmt", "yuv420p")),
    Hazard(name="intra-refresh", what="no keyframe after the first", make=made(
        "refresh.mkv", *T, *X264, "-intra-refresh", "1", "-x264-params", "keyint=12")),
    Hazard(name="b-pyramid", what="deep reordering", make=made(
        "deep.mkv", *T, "-c:v", "libx264", "-bf", "8", "-b-pyramid", "normal", "-pix_fmt", "yuv420p")),
    Hazard(name="joined-ts", what="timestamps that restart in the middle", make=joined(_TS, _TS, "joined.ts"),
           pts=False, why="moved up"),
    Hazard(name="fragments", what="fragmented MP4", make=remade(
        _LONG, "frag.mp4", "-c", "copy", "-movflags", "frag_keyframe+empty_moov")),
    Hazard(name="long-audio", what="audio longer than the video", make=made(
        "la.mp4", *T, *tone(2), *X264, *AAC)),
    Hazard(name="short-audio", what="audio shorter than the video", make=made(
        "sa.mp4", *T, *tone(0.4), *X264, *AAC)),
    Hazard(name="late-audio", what="audio that starts after the video", make=made(
        "late.mkv", *T, "-itsoffset", "0.4", *tone(0.5), *X264, *AAC)),
    Hazard(name="clock-jump", what="broadcast whose clock jumps ahead", make=joined(
        _TS, remade(_TS, "ahead.ts", "-c", "copy", "-output_ts_offset", "500"), "jump.ts")),
    Hazard(name="edit-late-sound", what="MP4 whose audio is delayed by an edit list", make=made(
        "late.mp4", *T, "-itsoffset", "0.3", *tone(0.6), *X264, *AAC)),
    Hazard(name="early-sound", what="audio that starts before the video", make=made(
        "early.mp4", "-itsoffset", "0.5", *picture(), *tone(1.5), *X264, *AAC)),
    Hazard(name="flv-vfr", what="Sorenson video with a variable frame rate in FLV", make=made(
        "v.flv", *T, *A, "-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "passthrough", "-c:v", "flv1", "-q:v",
        "3", "-c:a", "mp3", "-ar", "44100")),
    Hazard(name="avi-drops", what="AVI with dropped frames", make=made(
        "drops.avi", *T, "-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "passthrough", "-c:v", "mjpeg", "-q:v",
        "3")),
    Hazard(name="1000-fps", what="1000 frames per second", make=made(
        "fast.mp4", *picture(rate="1000", seconds=0.04), *X264)),
    Hazard(name="hourly", what="one frame an hour", make=made(
        "hour.mkv", *picture(rate="1/3600", seconds=7200), *X264)),
    Hazard(name="fine-clock", what="time base of 200 million ticks per second", make=made(
        "fine.mp4", *T, *A, *X264, *AAC, "-video_track_timescale", "200000033")),
    Hazard(name="gapless", what="Opus with priming samples and a trimmed end", make=made(
        "gapless.mkv", *T, *tone(0.7777), *X264, "-c:a", "libopus")),
    Hazard(name="sound-before-0", what="audio that starts before time 0", make=made(
        "before.mkv", *T, "-itsoffset", "-0.4", *tone(1.4), *X264, "-c:a", "flac", "-avoid_negative_ts", "disabled"),
        pts=False, why="all moved up in MP4 and MOV"),
    Hazard(name="nut-sound", what="audio packets without durations", make=made(
        "sound.nut", *T, *A, "-c:v", "ffv1", "-enc_time_base:v", "1/1000000007", "-c:a", "flac")),
)  # fmt: skip
