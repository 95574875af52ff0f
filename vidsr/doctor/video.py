"""What reads and writes video: PyAV and its FFmpeg, every codec tried, and FFmpeg's programs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from vidsr.codec_table import CODECS, DEFAULT_CODEC
from vidsr.doctor.examination import Examination
from vidsr.doctor.machine import nvidia_gpus, run_program

_REINSTALL = "reinstall PyAV: pip install --force-reinstall --no-deps av"


def examine(exam: Examination) -> None:
    """Add the builds, try every codec, and say which one a plain ``vidsr enhance`` would use."""
    exam.look("programs", programs, "reinstall FFmpeg; only the tests and VMAF need its programs")
    build = exam.look("libav", _build, _REINSTALL)
    if build is None:
        exam.prevent(f"PyAV cannot be used: {exam.unknown[-1].error}", _REINSTALL)
        return
    try:
        nvidia = bool(nvidia_gpus())
    except RuntimeError:
        nvidia = True
    for name, row in CODECS.items():
        exam.attempt(
            name if name == row.encoder else f"{name} ({row.encoder})",
            lambda n=name: _tried(n),  # type: ignore[misc]
            f"use --codec {row.base}" if row.hardware else _REINSTALL,
            failure="absent" if row.hardware and not nvidia else "failed",
        )
    exam.attempt(
        "NVDEC (h264)",
        _nvdec,
        "nothing: sources are decoded on the CPU by default",
        failure="failed" if nvidia else "absent",
    )
    codec = DEFAULT_CODEC
    trial = next(t for t in exam.tried if t.what.startswith(f"{codec} "))
    if trial.result == "ok":
        exam.use("codec", codec, f"the default, by {CODECS[codec].encoder}; see --codec")
    else:
        exam.prevent(f"the default codec does not work: {trial.detail}", trial.next_step)


def programs() -> dict[str, Any]:
    """FFmpeg's programs on PATH, and imageio-ffmpeg's own: each with its path (or name) and version, or None."""
    found: dict[str, Any] = {name: _program(shutil.which(name)) for name in ("ffmpeg", "ffprobe")}
    bundled = _program(_bundled())
    # Its folder says nothing that the version does not.
    found["imageio-ffmpeg"] = bundled and {**bundled, "path": Path(bundled["path"]).name}
    return found


def _bundled() -> str | None:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


def _program(path: str | None) -> dict[str, str] | None:
    if path is None:
        return None
    try:
        words = run_program([path, "-version"]).stdout.split()
    except RuntimeError as error:
        return {"path": path, "version": str(error)}
    return {"path": path, "version": words[2] if len(words) > 2 else "unknown"}


def _build() -> dict[str, Any]:
    from vidsr.media import libav_build

    return {
        **libav_build.describe_build(),
        "decoders": libav_build.decoders(),
        "hardware_decoders": libav_build.hardware_decoders(),
    }


def _tried(codec: str, *, nvdec: bool = False) -> str:
    from vidsr.media.encode.codec_trial import try_codec

    trial = try_codec(codec, nvdec=nvdec)
    return f"{trial.frames} frames encoded and decoded, {trial.psnr:.0f} dB, {trial.size} bytes"


def _nvdec() -> str:
    from vidsr.errors import DecodeError
    from vidsr.media.libav_build import nvdec_trouble

    if (trouble := nvdec_trouble()) is not None:
        raise DecodeError(trouble)
    return _tried("h264", nvdec=True)
