"""The last step before a result gets its name: the proof that it has all that its source had."""

from __future__ import annotations

from pathlib import Path

from vidsr.errors import VerifyError
from vidsr.jobs.progress import Event, Progress, silent
from vidsr.media.encode import EncoderSettings
from vidsr.media.index import VideoIndex
from vidsr.media.report import VerifyReport
from vidsr.media.source import SourceInfo
from vidsr.media.verify import Expectation, verify
from vidsr.options import EnhanceOptions

#: Differences that one message lists.
_SHOWN = 5


def prove(
    info: SourceInfo,
    index: VideoIndex,
    result: Path,
    settings: EncoderSettings,
    options: EnhanceOptions,
    progress: Progress = silent,
) -> VerifyReport | None:
    """Verify a finished file against its source, unless ``--no-verify`` was given.

    Raises:
        VerifyError: something differs that was not announced; the message lists it.
    """
    if not options.output.verify:
        return None
    progress(Event(kind="stage", text="verify"))
    report = verify(info, result, Expectation(settings=settings, options=options), index=index)
    if not report.ok:
        found = [f"{c.name}: {c.source} became {c.result}" for c in report.differences]
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise VerifyError(
            f"the result of {info.path} is not what it should be ({'; '.join(found[:_SHOWN])}{more}); "
            "it was not given its name. --no-verify skips this check"
        )
    return report
