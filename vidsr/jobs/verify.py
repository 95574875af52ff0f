"""``vidsr verify``, also of results whose frames differ in number, size or time from their source's.

What restoration did is read from the options given, else from the record that ``--provenance`` wrote, else from the tag
that Matroska results carry. The table of frames and times is made again from that, and every pts of the result is
compared with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from vidsr.errors import OptionsError
from vidsr.jobs import provenance
from vidsr.jobs.recipe import plan_source
from vidsr.jobs.restoration_plan import retimed
from vidsr.media.check.verify import Expectation, verify
from vidsr.media.check.verify_pictures import TIMES_NAME, read_times, verify_pictures
from vidsr.media.check.verify_report import Check, VerifyReport
from vidsr.media.image_sequence import is_pattern, with_rate
from vidsr.media.index import index_video
from vidsr.media.mux.restoration_tag import restored_of
from vidsr.media.probe import probe
from vidsr.media.source import SourceInfo
from vidsr.options import EnhanceOptions
from vidsr.restore_options import RestoreOptions


def verify_result(
    source: Path | str, result: Path, options: EnhanceOptions, on_frame: Callable[[int], None] | None = None
) -> VerifyReport:
    """Compare a result with its source, after the filters that changed its frames, if any did.

    Raises:
        InputError: either file cannot be read as a video at all.
        VerifyError: the file that should be the provenance record is not one.
    """
    if is_pattern(result):
        return _verify_pictures(source, result, options, on_frame)
    stored = probe(source, options.colour, options.source)
    if is_pattern(Path(source)):
        # Numbered pictures have no times of their own: what is checked is that they follow each other evenly.
        stored = with_rate(stored, probe(result).video.rate)
    restore, origin = _recorded(result, options)
    plan = plan_source(stored, dataclasses.replace(options, restore=restore))
    known = Expectation(options=plan.options)
    done = plan.options.restore.reshaping()
    index = index_video(plan.decoded)
    if not done:
        return verify(plan.shaped, result, known, index=index, on_frame=on_frame)
    expected = retimed(index, plan.timeline(index))
    report = verify(plan.shaped, result, known, index=expected, on_frame=on_frame)
    change = Check(
        name="restored",
        state="announced",
        source=_described(len(index), plan.stored),
        result=_described(len(expected), plan.shaped),
        why=f"{done}, as {origin}",
    )
    return dataclasses.replace(report, checks=(change, *report.checks))


def _verify_pictures(
    source: Path | str, result: Path, options: EnhanceOptions, on_frame: Callable[[int], None] | None
) -> VerifyReport:
    """Compare numbered pictures with their source."""
    stored = probe(source, options.colour, options.source)
    if is_pattern(Path(source)):
        times = read_times(result.with_name(TIMES_NAME))
        stored = with_rate(stored, Fraction(1000 * (len(times) - 1)) / times[-1] if times[1:] else Fraction(25))
    record = provenance.sidecar_of(result)
    restore = options.restore
    if restore.restore.is_off and record.is_file():
        restore = provenance.options_of(record).restore
    plan = plan_source(stored, dataclasses.replace(options, restore=restore))
    index = index_video(plan.decoded)
    return verify_pictures(plan.shaped, result, retimed(index, plan.timeline(index)), on_frame=on_frame)


def _recorded(result: Path, options: EnhanceOptions) -> tuple[RestoreOptions, str]:
    """The restoration of a result, and where it is recorded."""
    if not options.restore.restore.is_off:
        return options.restore, "the options say"
    record = provenance.sidecar_of(result)
    if record.is_file():
        return provenance.options_of(record).restore, "its record says"
    text = restored_of(probe(result))
    try:
        return RestoreOptions.reshaped(text), "the result itself says"
    except OptionsError:
        return options.restore, ""


def _described(frames: int, info: SourceInfo) -> str:
    return f"{frames} frames of {info.video.width}x{info.video.height}"
