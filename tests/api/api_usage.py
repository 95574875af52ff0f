"""Every public name, used as a program would. ``mypy --strict`` checks this file; see tests/test_api.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import vidsr
from vidsr import EnhanceResult, Event, Frame, Upscaler, VideoFrame, VidsrError


def jobs(source: Path) -> None:
    result = vidsr.enhance(source, "large.mkv", scale=2, codec="hevc", audio=False, encoder_options=("tune=film",))
    assert_type(result, EnhanceResult)
    assert_type(result.output, Path)
    assert_type(result.frames, int)
    assert_type(result.seconds, float)
    assert_type(result.notes, tuple[str, ...])
    assert_type(result.to_json(), dict[str, Any])
    options = vidsr.EnhanceOptions(
        model=vidsr.ModelOptions(model="realesr-animevideov3", batch=4),
        size=vidsr.SizeOptions(height=1080),
        encode=vidsr.EncodeOptions(crf=18),
        streams=vidsr.StreamOptions(subtitles=False),
        colour=vidsr.ColourOptions(input_range="full"),
        output=vidsr.OutputOptions(overwrite=True),
        pictures=vidsr.PictureOptions(tileable=True),
        source=vidsr.SourceOptions(strict=True),
        jobs=vidsr.JobOptions(workers=2),
        restore=vidsr.RestoreOptions(stabilize=0.5),
        span=vidsr.SpanOptions(frames=vidsr.FrameNumbers(10, 20)),
    )

    def show(event: Event) -> None:
        assert_type(event.frames, int)

    vidsr.enhance(source, options=options, progress=show)
    with vidsr.start_job(source, options=options) as job:
        assert_type(job, vidsr.JobHandle)
        for event in job:
            assert_type(event, Event)
        job.cancel(finish_segment=True)
        assert_type(job.wait(1.0), bool)
        assert_type(job.result(), EnhanceResult)
    for picture in result.pictures:
        assert_type(picture, vidsr.PictureResult)
    queue = vidsr.enhance_many([source, "tapes"], "out", progress=show, scale=2, join=True, watch=False)
    assert_type(queue, vidsr.QueueResult)
    for file in queue.files:
        assert_type(file, vidsr.FileOutcome)
        assert_type(file.reason, str)


def analysis(source: Path) -> None:
    info = vidsr.probe(source, input_matrix="bt709")
    assert_type(info, vidsr.SourceInfo)
    assert_type(info.video.width, int)
    found = vidsr.inspect(source)
    assert_type(found, vidsr.Inspection)
    assert_type(found.scan, str)
    estimate = vidsr.plan(source, scale=2, sampling=vidsr.SamplingOptions(samples=2))
    assert_type(estimate, vidsr.Estimate)
    models = vidsr.plan_models(source, scale=2, sampling=vidsr.SamplingOptions(samples=1))
    assert_type(models, tuple[vidsr.ModelEstimate, ...])
    dry = vidsr.dry_run(source, "large.mkv", scale=2)
    assert_type(dry, vidsr.DryRun)
    assert_type(dry.streams, tuple[vidsr.StreamFate, ...])
    together = vidsr.plan_many([source, "tapes"], scale=2, sampling=vidsr.SamplingOptions(samples=1))
    assert_type(together, vidsr.QueueEstimate)
    assert_type(together.seconds, float)
    foreseen = vidsr.dry_run_many([source, "tapes"], "out", scale=2, join=True)
    assert_type(foreseen, vidsr.QueueDryRun)
    assert_type(foreseen.files, tuple[vidsr.FileForecast, ...])
    assert_type(foreseen.files[0].run, vidsr.DryRun | None)
    moments = vidsr.preview(source, [1.5, 2.5], scale=2)
    assert_type(moments, list[vidsr.Moment])
    report = vidsr.verify(source, "large.mkv", audio=False)
    assert_type(report, vidsr.VerifyReport)
    assert_type(report.checks, tuple[vidsr.Check, ...])
    compared = vidsr.compare(source, "a.mkv", Path("b.mkv"), settings=vidsr.CompareSettings(fit="reference"))
    assert_type(compared, vidsr.CompareResult)


def frames(source: Path) -> None:
    with vidsr.open_video(source, hwaccel="auto") as video:
        assert_type(video, vidsr.Video)
        assert_type(video.info, vidsr.SourceInfo)
        assert_type(video.index, vidsr.VideoIndex)
        for frame in video:
            assert_type(frame, VideoFrame)
            assert_type(frame.seconds, float)
        for planar in vidsr.enhance_frames(video.planes(0, 10), scale=2):
            assert_type(planar, Frame)
            assert_type(planar.format, vidsr.PixelFormat)
            assert_type(planar.colour, vidsr.Colour)
        for larger in vidsr.enhance_frames(video.frames(0, 10), scale=2):
            assert_type(larger, VideoFrame)


def arrays(pictures: Iterator[npt.NDArray[np.uint8]]) -> None:
    for picture in vidsr.enhance_frames(pictures, model="realesr-animevideov3", restore="denoise=0.4"):
        assert_type(picture, npt.NDArray[Any])
    with Upscaler("realesr-animevideov3") as upscaler:
        assert_type(upscaler(np.zeros((2, 8, 8, 3), np.float32)), npt.NDArray[Any])
        assert_type(upscaler(torch.zeros(2, 3, 8, 8), size=(20, 20)), torch.Tensor)
        assert_type(upscaler(Image.new("RGB", (8, 8))), Image.Image)


def errors(source: Path) -> int:
    try:
        vidsr.enhance(source)
    except vidsr.OptionsError as error:
        return error.exit_code
    except vidsr.NoPlaceError as error:
        return len(str(error))
    except (vidsr.InputError, vidsr.OutputError, vidsr.ModelError, vidsr.JobError, vidsr.Interrupted):
        return 1
    except VidsrError:
        return 1
    return 0
