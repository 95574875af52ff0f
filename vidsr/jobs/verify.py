"""``vidsr verify``, also of results whose frames differ in number, size or time from their source's.

What restoration did, and of which part of the source a result is made, is read from the options given, else from the
record that ``--provenance`` wrote, else from the tags that Matroska results carry. The table of frames and times is
made again from that, and every pts of the result is compared with it.
"""

from __future__ import annotations

import contextlib
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
from vidsr.media.index import VideoIndex
from vidsr.media.mux.restoration_tag import EXACT_SOUND, restored_of, span_of
from vidsr.media.probe import probe
from vidsr.media.source import SourceInfo
from vidsr.media.span import Span, cut_index
from vidsr.options import EnhanceOptions
from vidsr.restore_options import RestoreOptions
from vidsr.span_options import FrameNumbers, SpanOptions


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
    made = _recorded(result, options)
    plan = plan_source(stored, dataclasses.replace(options, restore=made.restore, span=made.span))
    done = plan.options.restore.reshaping()
    index = plan.index()
    if not done and made.span.is_whole:
        return verify(plan.shaped, result, Expectation(options=plan.options), index=index, on_frame=on_frame)
    span = plan.span(index)
    expected = cut_index(span, index, retimed(index, plan.timeline(index))).index
    known = Expectation(options=plan.options, span=span)
    report = verify(plan.shaped, result, known, index=expected, on_frame=on_frame)
    changes = []
    if span is not None:
        changes.append(_part(span, index, made.span_from))
    if done:
        change = Check(
            name="restored",
            state="announced",
            source=_described(len(index) if span is None else span.stop - span.first, plan.stored),
            result=_described(len(expected), plan.shaped),
            why=f"{done}, as {made.restore_from}",
        )
        changes.append(change)
    return dataclasses.replace(report, checks=(*changes, *report.checks))


def _part(span: Span, index: VideoIndex, origin: str) -> Check:
    whole = f"more than {len(index)} frames" if index.partial else f"{len(index)} frames"
    return Check(name="part of the source", state="announced", source=whole, result=str(span), why=f"as {origin}")


def _verify_pictures(
    source: Path | str, result: Path, options: EnhanceOptions, on_frame: Callable[[int], None] | None
) -> VerifyReport:
    """Compare numbered pictures with their source."""
    stored = probe(source, options.colour, options.source)
    if is_pattern(Path(source)):
        times = read_times(result.with_name(TIMES_NAME))
        stored = with_rate(stored, Fraction(1000 * (len(times) - 1)) / times[-1] if times[1:] else Fraction(25))
    made = _recorded(result, options)
    plan = plan_source(stored, dataclasses.replace(options, restore=made.restore, span=made.span))
    index = plan.index()
    span = plan.span(index)
    expected = cut_index(span, index, retimed(index, plan.timeline(index))).index
    report = verify_pictures(plan.shaped, result, expected, on_frame=on_frame)
    change = () if span is None else (_part(span, index, made.span_from),)
    return dataclasses.replace(report, checks=(*change, *report.checks))


@dataclasses.dataclass(frozen=True, slots=True)
class _Recorded:
    """What is known of how a result was made, and where that is recorded."""

    restore: RestoreOptions
    span: SpanOptions
    restore_from: str = "the options say"
    span_from: str = "the options say"


def _recorded(result: Path, options: EnhanceOptions) -> _Recorded:
    """Restoration and part of the source, each from the options, the record or the result's own tags."""
    made = _Recorded(options.restore, options.span)
    ask_restore, ask_span = options.restore.restore.is_off, options.span.is_whole
    record = provenance.sidecar_of(result)
    if record.is_file():
        then = provenance.options_of(record)
        restore = (then.restore, "its record says") if ask_restore else (made.restore, made.restore_from)
        part = (then.span, "its record says") if ask_span else (made.span, made.span_from)
        return _Recorded(restore[0], part[0], restore[1], part[1])
    if is_pattern(result) or not (ask_restore or ask_span):
        return made
    info = probe(result)
    with contextlib.suppress(OptionsError):
        if ask_restore:
            restored = RestoreOptions.reshaped(restored_of(info))
            made = dataclasses.replace(made, restore=restored, restore_from="the result itself says")
    with contextlib.suppress(OptionsError):
        if ask_span and span_of(info):
            numbers = span_of(info).removesuffix(EXACT_SOUND)
            part_ = SpanOptions(frames=FrameNumbers.parse(numbers), exact_sound=numbers != span_of(info))
            made = dataclasses.replace(made, span=part_, span_from="the result itself says")
    return made


def _described(frames: int, info: SourceInfo) -> str:
    return f"{frames} frames of {info.video.width}x{info.video.height}"
