"""Parts of difficult clips, enhanced with a network that changes nothing, and judged by ffmpeg and ffprobe.

Frames are compared by the MD5 of their decoded pixels, sound by the hashes of its packets or, where it was cut at the
sample, by the samples themselves: each sample of a *counted* sound says which one it is.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

from tests.support import processes
from tests.support.clips import ClipFactory, picture, tone
from tests.support.hazards.hazard import AAC, X264, joined, made, remade
from tests.support.hazards.matrix import frame_times
from vidsr import enhance
from vidsr.jobs.state.result import EnhanceResult

RATE = 48000
_SECONDS = 3
_PICTURE = picture(seconds=_SECONDS)
_DEEP = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "20", "-bf", "4", "-b-pyramid", "normal")
#: Every third frame lasts longer, and in the middle nothing changes for half a second.
_VARIABLE = (
    "-vf", "select='not(eq(mod(n,5),2))*not(between(n,30,41))'", "-fps_mode", "passthrough", "-enc_time_base",
    "1/90000",
)  # fmt: skip
_CHAPTERS = (
    ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\n"
    "END=2200\ntitle=Two\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=2200\nEND=3000\ntitle=Three\n"
)
_WORDS = (
    "1\n00:00:00,200 --> 00:00:00,900\nfirst\n\n2\n00:00:00,800 --> 00:00:01,900\nsecond\n\n"
    "3\n00:00:02,000 --> 00:00:02,700\nthird\n"
)


def counted(clips: ClipFactory, seconds: float = _SECONDS) -> Path:
    """Stereo sound in 16 bits: the left sample is the low 15 bits of its own number, the right one the rest."""
    numbers = np.arange(round(seconds * RATE))
    samples = np.stack([numbers & 0x7FFF, numbers >> 15], axis=1).astype("<i2")
    clips.folder.mkdir(parents=True, exist_ok=True)
    raw = clips.folder / f"counted-{seconds}.raw"
    raw.write_bytes(samples.tobytes())
    return clips.make("counted.wav", "-f", "s16le", "-ar", str(RATE), "-ac", "2", "-i", str(raw), "-c:a", "pcm_s16le")


def _with_counted(filename: str, *args: str, before: tuple[str, ...] = (), seconds: float = _SECONDS) -> Any:
    return lambda clips: clips.make(filename, *_PICTURE, *before, "-i", str(counted(clips, seconds)), *args)


def _rich(clips: ClipFactory) -> Path:
    """Subtitles across every edge, chapters, and an attachment."""
    sound = counted(clips)
    words, chapters = clips.folder / "edge.srt", clips.folder / "three.txt"
    words.write_text(_WORDS)
    chapters.write_text(_CHAPTERS)
    return clips.make(
        "rich.mkv", *_PICTURE, "-i", str(sound), "-i", str(words), "-i", str(chapters), "-map", "0", "-map", "1",
        "-map", "2", "-map_metadata", "3", *_DEEP, "-c:a", "flac", "-c:s", "srt", "-attach", str(words),
        "-metadata:s:t:0", "mimetype=text/plain", "-metadata:s:v:0", "timecode=01:00:00:00",
    )  # fmt: skip


_LONG = made("long.mp4", *picture(seconds=4), *tone(4), *X264, "-g", "48", *AAC)
_TS = made("a.ts", *picture(seconds=1.5), *tone(1.5), *X264, "-g", "12", "-c:a", "mp2")


@dataclass(frozen=True, kw_only=True)
class SpanClip:
    """A clip to take parts of. ``times`` is False where ffprobe knows other times of its frames than vidsr."""

    make: Callable[[ClipFactory], Path]
    times: bool = True
    exact: bool = False


CLIPS: dict[str, SpanClip] = {
    "plain": SpanClip(make=made("plain.mp4", *_PICTURE, *tone(_SECONDS), *_DEEP, *AAC)),
    "b-frames": SpanClip(make=_with_counted("deep.mkv", *_DEEP, "-c:a", "flac"), exact=True),
    "vfr": SpanClip(
        make=_with_counted("vfr.mov", *_VARIABLE, "-video_track_timescale", "90000", *_DEEP, "-c:a", "pcm_s16le"),
        exact=True,
    ),
    "open-gop": SpanClip(
        make=made(
            "open.mp4", *_PICTURE, *tone(_SECONDS), "-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params",
            "open-gop=1:keyint=12:bframes=3:log-level=error", *AAC,
        )
    ),
    "edit-list": SpanClip(make=remade(_LONG, "edit.mp4", "-c", "copy", before=("-ss", "1.7"))),
    "late-audio": SpanClip(
        make=_with_counted("late.mkv", *_DEEP, "-c:a", "flac", before=("-itsoffset", "0.4"), seconds=2.5), exact=True
    ),
    "rich": SpanClip(make=_rich, exact=True),
    "start-10s": SpanClip(make=remade(_LONG, "late.ts", "-c:v", "copy", "-c:a", "mp2", "-output_ts_offset", "10")),
    "program-stream": SpanClip(
        make=made("p.mpg", *picture(rate="25", seconds=_SECONDS), *tone(_SECONDS), "-c:v", "mpeg2video", "-q:v", "3",
                  "-bf", "2", "-c:a", "mp2")
    ),
    "ntsc": SpanClip(
        make=made("n.mp4", *picture(rate="30000/1001", seconds=_SECONDS), *tone(_SECONDS), *_DEEP, *AAC)
    ),
    "avi": SpanClip(
        make=made("b.avi", *_PICTURE, *tone(_SECONDS), "-c:v", "mpeg4", "-bf", "2", "-q:v", "3", "-c:a", "mp3"),
        times=False,
    ),
    "joined": SpanClip(make=joined(_TS, _TS, "joined.ts"), times=False),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Frames ``first`` to ``stop`` of a clip, and the options that name them."""

    first: int
    stop: int
    options: dict[str, Any]


def random_part(source: Path, clip: SpanClip, rng: random.Random) -> Part:
    """A part given by frame numbers, by the times of its frames to the millisecond, or by times in between."""
    hashes = frame_hashes(source)
    first = rng.randrange(len(hashes) - 1)
    stop = rng.randrange(first + 1, min(len(hashes), first + 40) + 1)
    way = rng.choice(["frames", "times", "between", "duration"]) if clip.times else "frames"
    if way == "frames":
        return Part(first, stop, {"frames": f"{first}:{stop}"})
    found = [t for t in frame_times(source) if t is not None]
    times = [t - found[0] for t in found]
    if way == "between":
        start = _between(times, first - 1, rng) if first else Fraction(0)
        options = {"start": _text(start, rng)}
        if stop < len(times):
            options["end"] = _text(_between(times, stop - 1, rng), rng)
        return Part(first, stop, options)
    options = {"start": _text(_milliseconds(times[first]), rng)}
    if stop < len(times):
        if way == "times":
            options["end"] = _text(_milliseconds(times[stop]), rng)
        else:
            options["duration"] = _text(_milliseconds(times[stop]) - _milliseconds(times[first]), rng)
    return Part(first, stop, options)


def _milliseconds(time: Fraction) -> Fraction:
    return Fraction(round(time * 1000), 1000)


def _between(times: list[Fraction], number: int, rng: random.Random) -> Fraction:
    """A time after a frame's own and clearly before the next one's."""
    gap = times[number + 1] - times[number]
    return Fraction(round((times[number] + gap * Fraction(rng.randint(20, 80), 100)) * 10**6), 10**6)


def _text(time: Fraction, rng: random.Random) -> str:
    plain = f"{float(time):.6f}".rstrip("0").rstrip(".")
    minutes, seconds = divmod(time, 60)
    return rng.choice([plain, f"{minutes}:{float(seconds):09.6f}", f"0:{minutes:02d}:{float(seconds):09.6f}"])


def take(source: Path, output: Path, model: Path, part: Part, **options: Any) -> EnhanceResult:
    """Enhance a part without changing it."""
    return enhance(source, output, model=str(model), scale=1, overwrite=True, **part.options, **options)


def judge(source: Path, output: Path, part: Part, *, exact: bool = False, times: bool = True) -> list[str]:
    """What is wrong with the frames, times and sound of a lossless result."""
    faults = []
    want, have = frame_hashes(source)[part.first : part.stop], frame_hashes(output)
    if want != have:
        faults.append(f"{len(want)} frames became {len(have)}" if len(want) != len(have) else "frames differ")
    if not times:
        return faults
    before, after = _times(source)[part.first : part.stop], _times(output)
    tick = Fraction(1, 1000) if output.suffix == ".mkv" else Fraction(0)
    steps = [(b - before[0]) - (a - after[0]) for b, a in zip(before, after, strict=False)]
    if max(map(abs, steps)) > tick:
        faults.append(f"times are off by {float(max(map(abs, steps))):.6f} s")
    if not 0 <= after[0] <= Fraction(1, 10):
        faults.append(f"the result begins at {float(after[0]):.6f} s")
    last = part.stop == len(frame_hashes(source))
    low = before[0] if part.first else None
    high = None if last else _times(source)[part.stop]
    return faults + (_exact_sound if exact else _whole_packets)(
        source, output, (low, high), (before[0], after[0]), tick
    )


Bounds = tuple[Fraction | None, Fraction | None]
Starts = tuple[Fraction, Fraction]


def _whole_packets(source: Path, output: Path, bounds: Bounds, starts: Starts, tick: Fraction) -> list[str]:
    """Whether exactly the packets that overlap the part are there, at the distance from the picture that they had."""
    low, high = bounds
    wanted = [
        p
        for p in packets(source)
        if (high is None or p.time < high) and (low is None or p.time + p.duration > low or p.time == low)
    ]
    have = packets(output)
    if [p.hash for p in wanted] != [p.hash for p in have]:
        return [f"{len(wanted)} packets of sound became {len(have)}, or others"]
    slack = 2 * tick + Fraction(1, RATE)
    gaps = [(w.time - starts[0]) - (h.time - starts[1]) for w, h in zip(wanted, have, strict=True)]
    worst = max(map(abs, gaps), default=Fraction(0))
    return [f"sound moved by {float(worst):.6f} s against the picture"] if worst > slack else []


def _exact_sound(source: Path, output: Path, bounds: Bounds, starts: Starts, tick: Fraction) -> list[str]:
    """Whether exactly the samples of the part are there, at the distance from the picture that they had."""
    begin = packets(source)[0].time
    have = counted_samples(output)
    total = counted_samples(source)
    # The first sample that is heard at or after a bound.
    first, stop = (None if bound is None else ceil((bound - begin) * RATE) for bound in bounds)
    first, stop = max(0, first or 0), total[-1] + 1 if stop is None else min(total[-1] + 1, stop)
    if have != list(range(first, stop)):
        got = f"{have[0]} to {have[-1]}" if have else "none"
        return [f"samples {first} to {stop - 1} became {got} ({len(have)})"]
    if not have:
        return []
    moved = (begin + Fraction(first, RATE) - starts[0]) - (packets(output)[0].time - starts[1])
    return [f"sound moved by {float(moved):.6f} s"] if abs(moved) > 2 * tick + Fraction(1, RATE) else []


@dataclass(frozen=True)
class Packet:
    """A packet of the first sound of a file, in seconds."""

    time: Fraction
    duration: Fraction
    hash: str


def packets(path: Path) -> list[Packet]:
    """The packets of the first sound, by ffprobe; none where a file has no sound."""
    found = _ffprobe(path, "-select_streams", "a:0", "-show_packets", "-show_streams", "-show_data_hash", "md5")
    if not found["streams"]:
        return []
    clock = Fraction(found["streams"][0]["time_base"])
    return [Packet(int(p["pts"]) * clock, int(p.get("duration", 0)) * clock, p["data_hash"]) for p in found["packets"]]


def counted_samples(path: Path) -> list[int]:
    """The numbers of the decoded samples of a counted sound."""
    raw = _ffmpeg("-i", str(path), "-map", "0:a:0?", "-c:a", "pcm_s16le", "-f", "s16le", "-")
    samples = np.frombuffer(raw, "<i2").reshape(-1, 2).astype(np.int64)
    return [int(n) for n in samples[:, 0] + (samples[:, 1] << 15)]


def frame_hashes(path: Path) -> list[str]:
    """MD5 of every decoded frame, by ffmpeg."""
    return list(_frame_hashes(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=32)
def _frame_hashes(path: Path, stamp: int) -> tuple[str, ...]:
    del stamp
    lines = _ffmpeg(
        "-i", str(path), "-map", "0:V:0", "-fps_mode", "passthrough", "-enc_time_base:v", "demux", "-f", "framemd5", "-"
    ).decode()  # fmt: skip
    return tuple(line.split(",")[-1].strip() for line in lines.splitlines() if not line.startswith("#"))


def _times(path: Path) -> list[Fraction]:
    return [t for t in frame_times(path) if t is not None]


def _ffmpeg(*args: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-v", "error", *args]
    return processes.run(command, capture_output=True, check=True).stdout


def _ffprobe(path: Path, *args: str) -> dict[str, Any]:
    program = shutil.which("ffprobe")
    assert program is not None
    command = [program, "-v", "error", "-of", "json", *args, str(path)]
    answer: dict[str, Any] = json.loads(processes.run(command, capture_output=True, check=True).stdout)
    return answer
