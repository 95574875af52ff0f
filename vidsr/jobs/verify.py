"""``vidsr verify``, also of results whose frames differ in number, size or time from their source's.

What restoration did, and of which part of the source a result is made, is read from the options given, else from the
record that ``--provenance`` wrote, else from the tags that Matroska results carry. The table of frames and times is
made again from that, and every pts of the result is compared with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from vidsr.errors import OptionsError
from vidsr.filters.between.rate_table import progressions
from vidsr.jobs import provenance
from vidsr.jobs.recipe.restoration_plan import PlannedFrames
from vidsr.jobs.recipe.source_plan import plan_source
from vidsr.media.check.verify import Expectation, verify
from vidsr.media.check.verify_pictures import TIMES_NAME, read_times, verify_pictures
from vidsr.media.check.verify_report import Check, VerifyReport
from vidsr.media.image_sequence import is_pattern, with_rate
from vidsr.media.index import VideoIndex
from vidsr.media.mux.restoration_tag import EXACT_SOUND, restored_of, span_of
from vidsr.media.probe import probe
from vidsr.media.source import SourceInfo
from vidsr.media.span import Span
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.restore_options import RestoreOptions
from vidsr.options.span_options import FrameNumbers, SpanOptions


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
    planned = plan.frames(index, plan.timeline(index), span)
    expected = planned.index
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
    changes += _made(planned, result)
    return dataclasses.replace(report, checks=(*changes, *report.checks))


def _part(span: Span, index: VideoIndex, origin: str) -> Check:
    whole = f"more than {len(index)} frames" if index.partial else f"{len(index)} frames"
    return Check(name="part of the source", state="announced", source=whole, result=str(span), why=f"as {origin}")


def _made(planned: PlannedFrames, result: Path) -> list[Check]:
    """Which frames of the result were made in between others: by its record if it has one, else by the times alone."""
    if planned.table is None:
        return []
    possible, count = planned.table.made(), len(planned.index)
    recorded = provenance.made_of(provenance.sidecar_of(result))
    if recorded is None:
        text = f"{len(possible)} of {count}{_listing(possible)}"
        return [
            Check(
                name="made frames",
                state="announced",
                source="",
                result=text,
                why="by the times; at cuts frames are repeated",
            )
        ]
    strange = sorted(set(recorded) - set(possible))
    text = f"{len(recorded)} of {count}{_listing(recorded)}"
    if strange:
        text += f"; by the times {strange[0]} is a frame of the source"
    return [
        Check(
            name="made frames",
            state="different" if strange else "announced",
            source="",
            result=text,
            why="" if strange else "as its record says",
        )
    ]


#: Maximum number of runs of made frames that are listed.
_LISTED = 4


def _listing(numbers: Sequence[int]) -> str:
    """The runs of frames with these numbers, in words."""
    runs = progressions(numbers)
    words = [
        f"{first} to {stop - 1}{f' in steps of {step}' if step > 1 else ''}" if stop - first > 1 else str(first)
        for first, stop, step in runs[:_LISTED]
    ]
    return f": {', '.join(words)}{', …' if len(runs) > _LISTED else ''}" if words else ""


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
    planned = plan.frames(index, plan.timeline(index), span)
    report = verify_pictures(plan.shaped, result, planned.index, on_frame=on_frame)
    change = () if span is None else (_part(span, index, made.span_from),)
    return dataclasses.replace(report, checks=(*change, *_made(planned, result), *report.checks))


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
    ask_restore = options.restore.restore.is_off and options.restore.rate is None
    ask_span = options.span.is_whole
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
