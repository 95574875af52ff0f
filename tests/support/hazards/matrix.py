"""The hazard matrix: every hazard × container × codec through the real ``enhance``, judged twice.

vidsr verifies its own result; then ffprobe and ffmpeg, which share no code with it, judge the same: frame count,
timestamps, hashes of copied sound, lossless pixels, and that the whole result decodes without a message.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from tests.support import processes
from tests.support.clips import ClipFactory
from tests.support.hazards.hazard import Hazard
from vidsr.errors import VidsrError
from vidsr.jobs.enhance import enhance
from vidsr.media.mux.labels import canonical
from vidsr.options.enhance_options import EnhanceOptions

#: container → codecs that fit it
CELLS: dict[str, tuple[str, ...]] = {
    "mkv": ("ffv1", "h264", "hevc", "av1", "vp9", "prores"),
    "mp4": ("h264", "hevc", "av1", "vp9"),
    "mov": ("h264", "hevc", "prores"),
}
#: One codec for each container, for the fast tests.
QUICK_CELLS: dict[str, tuple[str, ...]] = {"mkv": ("ffv1",), "mp4": ("h264",), "mov": ("prores",)}
ALPHA_CODECS = ("vp9", "ffv1", "prores")
#: Seconds that one cell may take.
LIMIT_SECONDS = 120.0
_FASTEST = {"h264": "ultrafast", "hevc": "ultrafast", "av1": "13", "vp9": "8"}


# Frames with their own times: none doubled, dropped or rounded to a rate.
_AS_IT_IS = ("-fps_mode", "passthrough", "-enc_time_base:v", "demux")


@dataclass(frozen=True)
class Outcome:
    """How a cell ended: "ok", "error" (the documented one) or "WRONG", and the words for it."""

    state: str
    text: str
    seconds: float


def run_cell(hazard: Hazard, container: str, codec: str, clips: ClipFactory, model: Path) -> Outcome:
    """Enhance one hazard into one container with one codec; never raises for what vidsr does."""
    begin = time.perf_counter()
    source = hazard.make(clips)
    output = clips.folder / "cells" / f"{hazard.name}.{codec}.{container}"
    output.parent.mkdir(exist_ok=True)
    wanted = expected_error(hazard, container, codec)
    try:
        options = EnhanceOptions.from_flat(
            {"model": str(model), "codec": codec, "scale": 1, "preset": _FASTEST.get(codec), "overwrite": True}
            | hazard.options
        )
        result = enhance(source, output, options=options)
        faults = judge(hazard, source, output, codec)
        if wanted:
            faults.append(f"no error, though {wanted!r} was due")
        text = "; ".join(faults) or "; ".join(result.notes)
        state = "WRONG" if faults else "ok"
    except VidsrError as error:
        text = str(error)
        state = "error" if wanted and re.search(wanted, text) and "\n" not in text else "WRONG"
    seconds = time.perf_counter() - begin
    if seconds > LIMIT_SECONDS:
        state, text = "WRONG", f"took {seconds:.0f} s"
    left = [p.name for p in output.parent.iterdir() if p != output]
    if left:
        # A job that failed on the way keeps its folder, to go on from; one that was refused must leave nothing.
        state, text = "WRONG", text if state == "WRONG" else f"left behind: {left}"
        for name in left:
            shutil.rmtree(output.parent / name, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        output.unlink()
    return Outcome(state, text, seconds)


def expected_error(hazard: Hazard, container: str, codec: str) -> str:
    """The pattern of the documented error of a cell, or nothing."""
    if hazard.name.startswith("alpha-") and codec not in ALPHA_CODECS:
        return "has an alpha channel"
    if hazard.name.startswith("alpha-") and (container, codec) == ("mp4", "vp9"):
        return "cannot hold the transparency of vp9"
    return hazard.error_in(container, codec)


def judge(hazard: Hazard, source: Path, output: Path, codec: str) -> list[str]:
    """What ffprobe and ffmpeg find wrong with a result; vidsr's own verification has passed already."""
    faults = []
    want, have = frame_times(source), frame_times(output)
    if hazard.pts:
        slack = Fraction(1, 900) if output.suffix == ".mkv" else Fraction(0)
        faults += _compare_times(want, have, slack, output.suffix == ".mkv")
    if hazard.pixels and (problem := decode_problem(output)) is not None:
        faults.append(f"ffmpeg says: {problem}")
    if (
        hazard.pixels
        and codec == "ffv1"
        and (a := pixels(source, _planar(output))) != (b := pixels(output, _planar(output)))
    ):
        faults.append(f"pixels differ: {a[:8]} {b[:8]}")
    if hazard.sound and sounds(source) != sounds(output) and not _same_samples(source, output):
        faults.append("sound packets differ")
    # ProRes knows limited range only.
    free = (*hazard.changed, "color_range") if codec == "prores" else hazard.changed
    return faults + _compare_facts(facts(source), facts(output), free)


#: What ffprobe says of a video stream that a result must say too, where the source says it at all.
_FACTS = ("color_space", "color_transfer", "color_primaries", "color_range", "sample_aspect_ratio")


@lru_cache(maxsize=4)
def facts(path: Path) -> dict[str, Any]:
    """Colour tags, pixel shape, turn, languages and chapters of a file, by ffprobe."""
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_chapters", "-of", "json", str(path)]
    done = processes.run(command, capture_output=True, check=False)
    said = json.loads(done.stdout or b"{}")
    streams = said.get("streams", [])
    videos = [s for s in streams if s["codec_type"] == "video" and not s["disposition"]["attached_pic"]]
    video = max(videos, key=lambda s: s["width"] * s["height"], default={})
    found = {key: video.get(key) for key in _FACTS}
    if re.match(r"pal|mono|[abgrx0]*(rgb|bgr|gbr)", video.get("pix_fmt", "")):
        found["color_range"] = None  # RGB may be stored as YUV of limited range
    found["turn"] = next((d["displaymatrix"] for d in video.get("side_data_list", []) if "displaymatrix" in d), None)
    sounds_ = [s for s in streams if s["codec_type"] == "audio"]
    found["languages"] = [canonical(s.get("tags", {}).get("language", "und")) for s in sounds_]
    found["chapters"] = [round(float(c["start_time"]), 2) for c in said.get("chapters", [])]
    return found


def _compare_facts(want: dict[str, Any], have: dict[str, Any], free: tuple[str, ...]) -> list[str]:
    differing = [key for key, value in want.items() if value not in _UNSAID and have[key] != value]
    return [f"{key}: {want[key]} became {have[key]}" for key in differing if key not in free]


_UNSAID = (None, "unknown", "N/A", "reserved", "0:1", "1:1", "gbr", [])
Times = list[Fraction | None]


def _compare_times(want: Times, have: Times, slack: Fraction, may_move: bool) -> list[str]:
    if len(want) != len(have):
        return [f"{len(want)} frames became {len(have)}"]
    if None in have:
        return [f"{have.count(None)} frames of the result have no time"]
    pairs = [(w, h) for w, h in zip(want, have, strict=True) if w is not None and h is not None]
    # A container that cannot begin before 0 moves everything; so does Matroska for the priming of AAC.
    move = pairs[0][1] - pairs[0][0] if pairs and (may_move or pairs[0][0] < 0) else Fraction(0)
    worst = max((abs(h - w - max(move, Fraction(0))) for w, h in pairs), default=Fraction(0))
    return [] if worst <= slack else [f"times are off by {float(worst):.6f} s"]


@lru_cache(maxsize=4)
def _probe(path: Path, stamp: int) -> Any:
    del stamp
    command = [
        "ffprobe",
        "-v",
        "error",
        "-select_streams",
        "V:0",
        "-show_entries",
        "frame=best_effort_timestamp:stream=time_base",
    ]
    done = processes.run([*command, "-of", "json", str(path)], capture_output=True, check=False)
    return json.loads(done.stdout or b"{}")


def frame_times(path: Path) -> Times:
    """The time of every frame in seconds, by ffprobe; None where it knows none."""
    found = _probe(path, path.stat().st_mtime_ns)
    if not found.get("streams"):
        return []
    clock = Fraction(found["streams"][0]["time_base"])
    stamps = [f.get("best_effort_timestamp") for f in found["frames"]]
    return [t * clock if t is not None else None for t in stamps]


def _ffmpeg(*args: str) -> subprocess.CompletedProcess[str]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-v", "error", *args]
    return processes.run(command, capture_output=True, check=False, text=True, errors="replace")


def decode_problem(path: Path) -> str | None:
    """What ffmpeg complains of while it decodes all pictures and sound of a result."""
    done = _ffmpeg("-i", str(path), "-map", "0:V", "-map", "0:a?", *_AS_IT_IS, "-f", "null", "-")
    # Two stamps that Matroska rounds to one millisecond are not a fault of the file, but ffmpeg's null muxer is strict.
    lines = [line for line in done.stderr.splitlines() if line.strip() and "invalid, non monotonically" not in line]
    return lines[0] if lines else None


@lru_cache(maxsize=4)
def pixels(path: Path, layout: str) -> str:
    """A hash over all decoded frames in one pixel layout."""
    decoder = ("-c:v", "libvpx-vp9") if path.name == "a.webm" else ()
    done = _ffmpeg(*decoder, "-i", str(path), "-map", "0:V:0", *_AS_IT_IS, "-pix_fmt", layout, "-f", "hash", "-hash",
                   "md5", "-")  # fmt: skip
    return done.stdout.strip()


def _planar(path: Path) -> str:
    """The pixel layout of a result; packed RGB as planar, because only the order of its samples differs."""
    asked = ["ffprobe", "-v", "error", "-select_streams", "V:0", "-show_entries", "stream=pix_fmt"]
    done = processes.run([*asked, "-of", "default=nw=1:nk=1", str(path)], capture_output=True, check=False, text=True)
    return {"bgr0": "gbrp", "bgra": "gbrap"}.get(name := done.stdout.split()[0], name)


def _same_samples(source: Path, output: Path) -> bool:
    """Whether sounds that were converted are the same as decoded, to two steps of 24 bits: some sources have floats."""
    if (count := len(_sound_codecs(source))) != len(_sound_codecs(output)):
        return False
    for number in range(count):
        a, b = (_samples(path, number) for path in (source, output))
        if a.shape != b.shape or not a.size or int(np.abs(a - b).max()) > 2 << 8:
            return False
    return True


def _samples(path: Path, number: int) -> npt.NDArray[np.int64]:
    # The system's ffmpeg: the newer one cuts as much off the end of an edit list as its sound begins late.
    asked = ("-i", str(path), "-map", f"0:a:{number}", "-f", "s32le", "-c:a", "pcm_s32le", "-")
    command = ["ffmpeg", "-nostdin", "-v", "error", *asked]
    done = processes.run(command, capture_output=True, check=False)
    return np.frombuffer(done.stdout, "<i4").astype(np.int64)


def _sound_codecs(path: Path) -> list[str]:
    asked = ["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]
    return processes.run([*asked, str(path)], capture_output=True, check=False, text=True).stdout.split()


@lru_cache(maxsize=4)
def sounds(path: Path) -> str:
    """A hash over the packets of each sound stream, as MP4 would hold them, so that ADTS headers do not count."""
    asked = ("-i", str(path), "-map", "0:a?", "-vn", "-sn", "-dn", "-c", "copy")
    hashed = ("-f", "streamhash", "-hash", "md5", "-")
    done = _ffmpeg(*asked, *hashed)
    if path.suffix == ".ts":
        done = _ffmpeg(*asked, "-bsf:a", "aac_adtstoasc", *hashed)
        done = done if done.stdout else _ffmpeg(*asked, *hashed)
    return "\n".join(line.split(",", 1)[1] for line in done.stdout.splitlines() if "," in line)


def expected_cell(hazard: Hazard, container: str) -> str:
    """What docs/hazards.md says of a hazard in a container: "ok", or the codecs that end in an error and its words."""
    errors: dict[str, list[str]] = {}
    for codec in CELLS[container]:
        if pattern := expected_error(hazard, container, codec):
            errors.setdefault(pattern.split("|")[0], []).append(codec)
    if not errors:
        return "ok"
    parts = []
    for words, codecs in errors.items():
        which = "" if len(codecs) == len(CELLS[container]) else f" ({', '.join(codecs)})"
        parts.append(f"refused: *{words}*{which}")
    return "; ".join(parts)
