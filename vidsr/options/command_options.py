"""Options of the commands around ``vidsr enhance``: plan, preview, serve and bench."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from vidsr.options.enhance_options import BACKENDS, PRECISIONS, EnhanceOptions
from vidsr.options.schema import Options, opt


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions(Options):
    """How to sample a job for an estimate."""

    title: ClassVar[str] = "Sampling"

    samples: int = opt(4, "Number of places to sample.", between=(1, 1000))
    sample_frames: int = opt(24, "Consecutive frames at each place.", between=(2, 1000))
    budget_seconds: float = opt(120.0, "Start no further sample after this many seconds.", between=(1, 86400))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions(EnhanceOptions):
    """All options of ``vidsr plan``: those of the job, and how it is sampled."""

    sampling: SamplingOptions = field(default_factory=SamplingOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewOptions(Options):
    """What a preview shows."""

    title: ClassVar[str] = "Preview"

    at: tuple[str, ...] = opt(
        (), "Time to preview, as seconds or h:mm:ss (1:02:03.5); may be repeated.", metavar="TIME"
    )
    count: int = opt(3, "Number of evenly spaced moments, if --at is not given.", between=(1, 50))
    tries: tuple[str, ...] = opt(
        (), "Options to add to the others for one column; may be repeated.", "--try", metavar='"OPTIONS"'
    )
    single: str | None = opt(None, "Folder for the single pictures, before and after.", metavar="FOLDER")
    plan: bool = opt(True, "Also estimate the whole job.", "--plan/--no-plan")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewAllOptions(PlanOptions):
    """All options of ``vidsr preview``."""

    preview: PreviewOptions = field(default_factory=PreviewOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(Options):
    """Address, folders and access of the web app."""

    title: ClassVar[str] = "Server"

    root: tuple[str, ...] = opt(
        (), "A folder to read from and write to; may be repeated. The current one if not given.", metavar="FOLDER"
    )
    host: str = opt("127.0.0.1", "Address to listen on. Other machines need a token.")
    port: int = opt(8765, "Port to listen on.", between=(1, 65535))
    token: str | None = opt(None, "Token that browsers and programs must present; at least 16 characters.")
    max_upload_gb: float = opt(20.0, "Maximum size of an upload in GB.", between=(0.000001, 100000))
    parallel: int = opt(1, "Number of jobs to run at the same time.", between=(1, 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeAllOptions(Options):
    """All options of ``vidsr serve``."""

    serve: ServeOptions = field(default_factory=ServeOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions(Options):
    """What `vidsr bench` measures."""

    title: ClassVar[str] = "Measurements"

    model: tuple[str, ...] = opt((), "Model to measure; may be repeated.", "--model", "-m", metavar="NAME|FILE")
    size: tuple[str, ...] = opt((), "Frame size; may be repeated. Default: 160x90 and 640x360.", metavar="WxH")
    precision: tuple[str, ...] = opt((), "Numeric precision; may be repeated.", choices=PRECISIONS)
    backend: tuple[str, ...] = opt((), "Backend that runs the network; may be repeated.", choices=BACKENDS)
    device: str = opt("auto", "Device to compute on: auto, cpu, cuda, cuda:1, mps.", metavar="DEVICE")
    frames: int = opt(24, "Number of frames of CLIP to enhance.", between=(2, 100_000))
    seconds: float = opt(3.0, "Seconds per measurement.", between=(0.1, 3600))

    def cross_faults(self) -> Iterator[str]:
        """Sizes are well written."""
        for text in self.size:
            if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", text):
                yield f"--size {text}: write it as WIDTHxHEIGHT, for example 640x360"

    def sizes(self) -> list[tuple[int, int]]:
        """(width, height) of the frames to measure with."""
        parts = (text.split("x") for text in self.size or ("160x90", "640x360"))
        return [(int(width), int(height)) for width, height in parts]
