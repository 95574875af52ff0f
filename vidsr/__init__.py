"""Enlarge and restore video with ESRGAN, keeping its audio, subtitles, timing and colour.

>>> from vidsr import enhance
>>> enhance("clip.mp4", scale=4)  # doctest: +SKIP

Functions: :func:`enhance` (the whole job), :func:`start_job` (the same in the background), :func:`enhance_many` (many
files), :func:`probe`, :func:`inspect`, :func:`plan`, :func:`dry_run`, :func:`preview`, :func:`verify`, :func:`compare`;
:func:`plan_models` for each shipped model; :func:`plan_many` and :func:`dry_run_many` for many files. For your own
reader and writer: :func:`open_video`, :func:`enhance_frames`, :class:`Upscaler`. Every error is a :class:`VidsrError`.

Names are imported on first use, so ``import vidsr`` is quick and loads neither torch nor PyAV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsr.version import __version__

if TYPE_CHECKING:
    from vidsr.api.analysis import compare, dry_run, inspect, plan, plan_models, preview, probe, verify
    from vidsr.api.frame_stream import enhance_frames
    from vidsr.api.job_handle import JobHandle, start_job
    from vidsr.api.video_file import Video, VideoFrame, open_video
    from vidsr.errors import (
        CheckpointError,
        DecodeError,
        DeviceMemoryError,
        DiskFullError,
        DownloadError,
        EncodeError,
        InferenceError,
        InputError,
        Interrupted,
        JobError,
        MissingExtraError,
        ModelError,
        NoPlaceError,
        OptionsError,
        OutputError,
        TrainingError,
        VerifyError,
        VidsrError,
    )
    from vidsr.filters.detect.inspection import Inspection
    from vidsr.frames import Colour, Frame, PixelFormat
    from vidsr.inference.upscaler import Upscaler
    from vidsr.jobs.choosing.model_table import ModelEstimate
    from vidsr.jobs.compare.compare import CompareResult, CompareSettings
    from vidsr.jobs.enhance import enhance
    from vidsr.jobs.preview.dry_run import DryRun, StreamFate
    from vidsr.jobs.preview.estimate import Estimate
    from vidsr.jobs.preview.preview import Moment
    from vidsr.jobs.queue.queue_dry_run import FileForecast, QueueDryRun, dry_run_many
    from vidsr.jobs.queue.queue_estimate import QueueEstimate, plan_many
    from vidsr.jobs.queue.report import FileOutcome, QueueResult
    from vidsr.jobs.queue.run import enhance_many
    from vidsr.jobs.state.events import Event
    from vidsr.jobs.state.result import EnhanceResult, PictureResult
    from vidsr.media.check.verify_report import Check, VerifyReport
    from vidsr.media.index import VideoIndex
    from vidsr.media.source import SourceInfo
    from vidsr.options.command_options import SamplingOptions
    from vidsr.options.enhance_options import (
        ColourOptions,
        EncodeOptions,
        EnhanceOptions,
        JobOptions,
        ModelOptions,
        OutputOptions,
        PictureOptions,
        SizeOptions,
        SourceOptions,
        StreamOptions,
    )
    from vidsr.options.restore_options import RestoreOptions
    from vidsr.options.span_options import FrameNumbers, SpanOptions

# Module → the names that it defines. The same list as above, for the run time; tests/test_api.py compares the two.
_EXPORTS = {
    "vidsr.api.analysis": ("compare", "dry_run", "inspect", "plan", "plan_models", "preview", "probe", "verify"),
    "vidsr.api.frame_stream": ("enhance_frames",),
    "vidsr.api.job_handle": ("JobHandle", "start_job"),
    "vidsr.api.video_file": ("Video", "VideoFrame", "open_video"),
    "vidsr.options.command_options": ("SamplingOptions",),
    "vidsr.errors": (
        "CheckpointError",
        "DecodeError",
        "DeviceMemoryError",
        "DiskFullError",
        "DownloadError",
        "EncodeError",
        "InferenceError",
        "InputError",
        "Interrupted",
        "JobError",
        "MissingExtraError",
        "ModelError",
        "NoPlaceError",
        "OptionsError",
        "OutputError",
        "TrainingError",
        "VerifyError",
        "VidsrError",
    ),
    "vidsr.filters.detect.inspection": ("Inspection",),
    "vidsr.frames": ("Colour", "Frame", "PixelFormat"),
    "vidsr.inference.upscaler": ("Upscaler",),
    "vidsr.jobs.choosing.model_table": ("ModelEstimate",),
    "vidsr.jobs.compare.compare": ("CompareResult", "CompareSettings"),
    "vidsr.jobs.enhance": ("enhance",),
    "vidsr.jobs.preview.dry_run": ("DryRun", "StreamFate"),
    "vidsr.jobs.preview.estimate": ("Estimate",),
    "vidsr.jobs.preview.preview": ("Moment",),
    "vidsr.jobs.queue.queue_estimate": ("QueueEstimate", "plan_many"),
    "vidsr.jobs.queue.queue_dry_run": ("FileForecast", "QueueDryRun", "dry_run_many"),
    "vidsr.jobs.queue.report": ("FileOutcome", "QueueResult"),
    "vidsr.jobs.queue.run": ("enhance_many",),
    "vidsr.jobs.state.events": ("Event",),
    "vidsr.jobs.state.result": ("EnhanceResult", "PictureResult"),
    "vidsr.media.check.verify_report": ("Check", "VerifyReport"),
    "vidsr.media.index": ("VideoIndex",),
    "vidsr.media.source": ("SourceInfo",),
    "vidsr.options.enhance_options": (
        "ColourOptions",
        "EncodeOptions",
        "EnhanceOptions",
        "JobOptions",
        "ModelOptions",
        "OutputOptions",
        "PictureOptions",
        "SizeOptions",
        "SourceOptions",
        "StreamOptions",
    ),
    "vidsr.options.restore_options": ("RestoreOptions",),
    "vidsr.options.span_options": ("FrameNumbers", "SpanOptions"),
}

__all__ = [
    "Check",
    "CheckpointError",
    "Colour",
    "ColourOptions",
    "CompareResult",
    "CompareSettings",
    "DecodeError",
    "DeviceMemoryError",
    "DiskFullError",
    "DownloadError",
    "DryRun",
    "EncodeError",
    "EncodeOptions",
    "EnhanceOptions",
    "EnhanceResult",
    "Estimate",
    "Event",
    "FileForecast",
    "FileOutcome",
    "Frame",
    "FrameNumbers",
    "InferenceError",
    "InputError",
    "Inspection",
    "Interrupted",
    "JobError",
    "JobHandle",
    "JobOptions",
    "MissingExtraError",
    "ModelError",
    "ModelEstimate",
    "ModelOptions",
    "Moment",
    "NoPlaceError",
    "OptionsError",
    "OutputError",
    "OutputOptions",
    "PictureOptions",
    "PictureResult",
    "PixelFormat",
    "QueueDryRun",
    "QueueEstimate",
    "QueueResult",
    "RestoreOptions",
    "SamplingOptions",
    "SizeOptions",
    "SourceInfo",
    "SourceOptions",
    "SpanOptions",
    "StreamFate",
    "StreamOptions",
    "TrainingError",
    "Upscaler",
    "VerifyError",
    "VerifyReport",
    "Video",
    "VideoFrame",
    "VideoIndex",
    "VidsrError",
    "__version__",
    "compare",
    "dry_run",
    "dry_run_many",
    "enhance",
    "enhance_frames",
    "enhance_many",
    "inspect",
    "open_video",
    "plan",
    "plan_many",
    "plan_models",
    "preview",
    "probe",
    "start_job",
    "verify",
]

if not TYPE_CHECKING:  # else a type checker would accept every name

    def __getattr__(name):
        import importlib

        for module, names in _EXPORTS.items():
            if name in names:
                value = globals()[name] = getattr(importlib.import_module(module), name)
                return value
        raise AttributeError(f"module 'vidsr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
