"""What ffprobe and ffmpeg say of a file: an oracle for results that shares no code with vidsr."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

from tests.support import processes
from vidsr.frames import PixelFormat


def frame_pts(path: Path) -> list[int]:
    """The pts of every decoded frame of the first video stream, in its time base."""
    entries = _probe(path, "-select_streams", "v:0", "-show_entries", "frame=pts")
    return [frame["pts"] for frame in entries["frames"]]


def streams(path: Path) -> list[dict[str, Any]]:
    """ffprobe's description of every stream."""
    found: list[dict[str, Any]] = _probe(path, "-show_streams")["streams"]
    return found


def packet_hashes(path: Path, stream: str) -> list[str]:
    """SHA-256 of the payload of every packet of a stream such as ``a:0``, in order; by ffmpeg's framehash muxer."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", f"0:{stream}", "-c", "copy"]
    command += ["-f", "framehash", "-hash", "sha256", "-"]
    lines = processes.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    return [line.split(",")[5].strip() for line in lines if not line.startswith("#")]


def decodes_cleanly(path: Path) -> bool:
    """True if ffmpeg decodes every stream without a message."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-xerror",
        "-i",
        str(path),
        "-map",
        "0:v",
        "-map",
        "0:a?",
    ]
    done = processes.run([*command, "-f", "null", "-"], capture_output=True, check=False, text=True)
    return done.returncode == 0 and not done.stderr.strip()


def decoded(path: Path, layout: str, *before: str) -> npt.NDArray[np.int32]:
    """All samples of all frames in a planar layout, by ffmpeg; ``before`` are its options for the file."""
    format = PixelFormat.parse(layout)
    assert format is not None
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *before, "-i", str(path), "-map", "0:V:0"]
    if format.family == "gray":
        command += ["-vf", "extractplanes=y"]  # ffmpeg would take grey for full range, and stretch
    done = processes.run([*command, "-f", "rawvideo", "-pix_fmt", layout, "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, format.dtype).astype(np.int32)


def colour_error(source: Path, result: Path, layout: str, *before: str) -> tuple[float, float]:
    """(mean, greatest) difference of the samples of two videos in code values of 8 bits; ``before`` are ffmpeg's
    options for the result."""
    format = PixelFormat.parse(layout)
    assert format is not None
    a, b = decoded(source, layout), decoded(result, layout, *before)
    assert a.shape == b.shape
    error = np.abs(a - b) / (1 << (format.depth - 8))
    return float(error.mean()), float(error.max())


def digest(path: Path) -> str:
    """SHA-256 of a whole file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _probe(path: Path, *args: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-print_format", "json", *args, str(path)]
    answer: dict[str, Any] = json.loads(processes.run(command, capture_output=True, check=True).stdout)
    return answer
