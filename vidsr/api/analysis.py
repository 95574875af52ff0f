"""Functions that examine files and write nothing: probe, inspect, plan, dry_run, preview, verify, compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from vidsr.jobs.state.events import Progress, silent
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.keywords import EnhanceKeywords, SourceKeywords, chosen_options

if TYPE_CHECKING:
    from vidsr.filters.detect.inspection import Inspection
    from vidsr.jobs.choosing.model_table import ModelEstimate
    from vidsr.jobs.compare.compare import CompareResult, CompareSettings
    from vidsr.jobs.preview.dry_run import DryRun
    from vidsr.jobs.preview.estimate import Estimate
    from vidsr.jobs.preview.preview import Moment
    from vidsr.media.check.verify_report import VerifyReport
    from vidsr.media.source import SourceInfo


def probe(
    source: Path | str, *, options: EnhanceOptions | None = None, **keywords: Unpack[SourceKeywords]
) -> SourceInfo:
    """Describe a video from its headers and first frame: streams, size, pixel format, colour, HDR, what will be lost.

    Args:
        source: the video file; an address with ``allow_network=True``.
        options: all options in one object; only those of colour and source matter. Give either this or keywords.
        keywords: single options by name, such as ``input_matrix="bt709"``.

    Raises:
        InputError: the file is missing, is not a video, or has no frame that can be decoded.
        OptionsError: an option is out of range, or both ``options`` and keywords were given.
    """
    from vidsr.media.probe import probe as probe_file

    chosen = chosen_options(options, keywords)
    return probe_file(source, chosen.colour, chosen.source)


def inspect(
    source: Path | str,
    *,
    options: EnhanceOptions | None = None,
    on_share: Callable[[float], None] = lambda _: None,
    report: Path | str | None = None,
    **keywords: Unpack[SourceKeywords],
) -> Inspection:
    """Analyse samples of a video: interlacing, telecine, bars, noise, flicker, cuts; and the options that fit.

    ``inspect(...).recommended`` holds the recommended options by name, so that
    ``enhance(source, **inspect(source).recommended)`` applies them.

    Args:
        source: the video file.
        options: as for :func:`probe`.
        on_share: called with the share of the work done, 0 to 1.
        report: an HTML file to write: the faults on a time line, with pictures and what to do.
        keywords: as for :func:`probe`.

    Raises:
        InputError: the file is not a video, its picture is too small, or no frame can be decoded.
        OptionsError: an option is out of range, or both ``options`` and keywords were given.
    """
    from vidsr.jobs.inspect import inspect_file

    chosen = chosen_options(options, keywords)
    found, _ = inspect_file(source, chosen, on_share=on_share)
    if report is not None:
        from vidsr.jobs.fault_report.fault_page import write_report

        write_report(Path(report), source, found, chosen)
    return found


def plan(
    source: Path | str,
    output: Path | str | None = None,
    *,
    options: EnhanceOptions | None = None,
    sampling: SamplingOptions | None = None,
    progress: Progress = silent,
    **keywords: Unpack[EnhanceKeywords],
) -> Estimate:
    """Estimate time, size and memory of a whole job by running samples of it with the same options.

    Args:
        source: the video file, or a pattern of numbered pictures.
        output: the result, as for :func:`vidsr.enhance`; its suffix decides about the codec. Nothing is written.
        options: options of the job in one object. Give either this or keywords.
        sampling: how many samples of how many frames, and the time after which to stop.
        progress: called with an :class:`~vidsr.Event` for each sample.
        keywords: single options of the job by name.

    Raises:
        VidsrError: whatever would stop the job itself before its first frame, see :func:`vidsr.enhance`.
    """
    from vidsr.jobs.preview.estimate import estimate

    target = None if output is None else Path(output)
    return estimate(Path(source), chosen_options(options, keywords), sampling, progress=progress, output=target)


def plan_models(
    source: Path | str,
    output: Path | str | None = None,
    *,
    options: EnhanceOptions | None = None,
    sampling: SamplingOptions | None = None,
    progress: Progress = silent,
    **keywords: Unpack[EnhanceKeywords],
) -> tuple[ModelEstimate, ...]:
    """What a whole job would take with each of the shipped models, each tried on a few frames.

    Args:
        source, output, options, progress, keywords: as for :func:`plan`; the model that they name comes first.
        sampling: how the job with that model is sampled; its budget is shared out among the others.

    Raises:
        VidsrError: whatever would stop the job itself before its first frame, see :func:`vidsr.enhance`.
    """
    from vidsr.jobs.choosing.model_table import plan_models as tried
    from vidsr.jobs.preview.estimate import estimate

    chosen, path, target = chosen_options(options, keywords), Path(source), None if output is None else Path(output)
    found = estimate(path, chosen, sampling, progress=progress, output=target)
    return tried(path, target, chosen, found, sampling, progress=progress)


def dry_run(
    source: Path | str,
    output: Path | str | None = None,
    *,
    options: EnhanceOptions | None = None,
    progress: Progress = silent,
    **keywords: Unpack[EnhanceKeywords],
) -> DryRun:
    """Everything that :func:`vidsr.enhance` would do with the same arguments: streams, losses, filters, model, device,
    time and disk space. Nothing is written.

    Args:
        source: the file, folder or pattern to enhance.
        output: the file, folder or pattern to write.
        options: options of the job in one object. Give either this or keywords.
        progress: called with an :class:`~vidsr.Event` for each step.
        keywords: single options of the job by name.

    Raises:
        VidsrError: whatever would stop the job itself before its first frame, see :func:`vidsr.enhance`.
    """
    from vidsr.jobs.preview.dry_run import dry_run as examine

    return examine(source, output, chosen_options(options, keywords), progress=progress)


def preview(
    source: Path | str,
    at: Sequence[float] = (),
    *,
    count: int = 3,
    options: EnhanceOptions | None = None,
    **keywords: Unpack[EnhanceKeywords],
) -> list[Moment]:
    """Enhance single moments of a video, or a picture, and return them as arrays before and after.

    Args:
        source: a video or picture file.
        at: the moments, in seconds from the start of the video.
        count: how many evenly spread moments to show if ``at`` is empty; a picture has only one.
        options: options of the job in one object. Give either this or keywords.
        keywords: single options of the job by name.

    Returns:
        One :class:`~vidsr.Moment` each: ``seconds``, ``before`` [h, w, 3] and ``after`` [H, W, 3] as RGB uint8.

    Raises:
        VidsrError: whatever would stop the job itself, see :func:`vidsr.enhance`.
    """
    from vidsr.jobs.preview.preview import Previewer

    previewer = Previewer(Path(source), chosen_options(options, keywords))
    return [previewer.at(seconds) for seconds in at or previewer.spread(count)]


def verify(
    source: Path | str,
    result: Path | str,
    *,
    options: EnhanceOptions | None = None,
    on_frame: Callable[[int], None] | None = None,
    **keywords: Unpack[EnhanceKeywords],
) -> VerifyReport:
    """Compare an enhanced video with its source: frame times, size, colour, every copied stream, chapters, tags.

    Differences are reported, not raised: see ``report.ok`` and ``report.differences``.

    Args:
        source: the original video.
        result: the video that was made from it.
        options: the options that the result was made with, as far as they narrow it (``audio``, ``subtitles``,
            ``map``, ``restore``, ``fields``). Give either this or keywords.
        on_frame: called with the number of frames checked so far.
        keywords: single options by name, such as ``audio=False``.

    Raises:
        InputError: either file cannot be read as a video.
        OptionsError: an option is out of range, or both ``options`` and keywords were given.
    """
    from vidsr.jobs.verify import verify_result

    return verify_result(source, Path(result), chosen_options(options, keywords), on_frame)


def compare(
    reference: Path | str,
    *others: Path | str,
    settings: CompareSettings | None = None,
    progress: Progress = silent,
) -> CompareResult:
    """Measure one or more videos against a reference, frame by frame: PSNR, SSIM, LPIPS, VMAF, flicker.

    Args:
        reference: the video that the others are measured against.
        others: the videos to measure.
        settings: which measures, how frames are paired, how sizes are matched, and the device.
        progress: called with an :class:`~vidsr.Event` for each pair of frames.

    Raises:
        InputError: a file is missing or is not a video, or no frames could be paired.
        OptionsError: no video to compare was given, sizes differ and ``settings.fit`` is "none", or a measure is
            unknown or not available here.
    """
    from vidsr.errors import OptionsError
    from vidsr.jobs.compare.compare import CompareSettings, compare

    if not others:
        raise OptionsError("compare needs at least one video in addition to the reference")
    return compare(Path(reference), [Path(other) for other in others], settings or CompareSettings(), progress)
