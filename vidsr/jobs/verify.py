"""``vidsr verify`` of results whose frames are other ones than their source's, because filters were asked for.

What was done is told by the options given, else by the record that ``--provenance`` wrote, else by a tag that Matroska
results carry. From that the table of frames and times is made again, and every pts of the result is held against it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from vidsr.errors import OptionsError
from vidsr.jobs import provenance
from vidsr.jobs.restoration_plan import plan_times, resolve, restored, retimed
from vidsr.media.check.report import Check, VerifyReport
from vidsr.media.check.verify import Expectation, verify
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
        VerifyError: the record beside the result is none of vidsr's.
    """
    info = probe(source, options.colour, options.source)
    if is_pattern(Path(source)):
        # Numbered pictures have no times of their own: what is checked is that they follow each other evenly.
        info = with_rate(info, probe(result).video.rate)
    told, origin = _told(result, options)
    options = resolve(dataclasses.replace(options, restore=told), info)
    known = Expectation(options=options)
    done = options.restore.reshaping()
    if not done:
        return verify(info, result, known, on_frame=on_frame)
    index = index_video(info)
    timeline = plan_times(info, index, options)
    planned, shaped = retimed(index, timeline), restored(info, options)
    report = verify(shaped, result, known, index=planned, on_frame=on_frame)
    change = Check(
        name="restored",
        state="announced",
        source=_described(len(index), info),
        result=_described(len(planned), shaped),
        why=f"{done}, as {origin}",
    )
    return dataclasses.replace(report, checks=(change, *report.checks))


def _told(result: Path, options: EnhanceOptions) -> tuple[RestoreOptions, str]:
    """What was done to the frames, and who says so."""
    if options.restore.restore != "off":
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
