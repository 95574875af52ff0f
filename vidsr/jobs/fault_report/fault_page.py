"""One self-contained page about the faults of a video: a time line, then each fault with pictures and what to do.

It needs no script and no server, and opens from a mail attachment.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from importlib.resources import files
from pathlib import Path, PurePath

from vidsr.filters.detect.fault_list import Fault, faults_of
from vidsr.filters.detect.fault_places import FaultPlace
from vidsr.filters.detect.inspection import Inspection
from vidsr.filters.detect.inspection_text import command, sentences
from vidsr.filters.detect.lost_frames import timecode
from vidsr.jobs.fault_report.fault_pictures import FaultPicture, pictures_of
from vidsr.media.probe import probe
from vidsr.media.samples import duration_seconds
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.storage import write_atomically

#: Places of a fault that its section lists; ticks of the time line.
_LISTED, _TICKS = 12, 5


def write_report(path: Path, source: Path | str, found: Inspection, options: EnhanceOptions | None = None) -> Path:
    """Write the page about an inspected video; returns its path.

    Raises:
        InputError: the video cannot be opened again.
        JobError: the page cannot be written.
    """
    wanted = options or EnhanceOptions()
    info = probe(source, wanted.colour, wanted.source)
    faults = [(fault, pictures_of(fault, info, found)) for fault in faults_of(found)]
    # Headers of damaged files promise more than there is.
    promised = Fraction(0 if found.complete else duration_seconds(info) or 0)
    length = max(promised, *(place.end for place in found.places.looked_at), Fraction(1, 1000))
    write_atomically(path, page(source, found, faults, length).encode())
    return path


def page(
    source: Path | str, found: Inspection, faults: Sequence[tuple[Fault, Sequence[FaultPicture]]], length: Fraction
) -> str:
    """The page, for a video of ``length`` seconds."""
    name = PurePath(str(source)).name
    looked = "all of them" if found.complete else f"{found.sampled} of them in {len(found.places.looked_at)} stretches"
    summary = f"{found.width}x{found.height}, {timecode(length)}, {found.frames} frames; looked at {looked}"
    body = [*_time_line(found, [fault for fault, _ in faults], length)]
    for fault, pictures in faults:
        body += _section(fault, pictures)
    body += _everything(source, found)
    template = files("vidsr.jobs.fault_report").joinpath("page.html").read_text(encoding="utf-8")
    title = html.escape(f"{len(faults) or 'No'} fault{'s' * (len(faults) != 1)} found in {name}")
    parts = {"BODY": "\n".join(body), "SUMMARY": html.escape(summary), "TITLE": title}
    # In one pass: a file may have any name.
    return re.sub("@([A-Z]+)@", lambda place: parts[place[1]], template)


def _time_line(found: Inspection, faults: Sequence[Fault], length: Fraction) -> Iterable[str]:
    yield '<div class="time" role="img" aria-label="Time line of the faults">'
    seen = found.places.looked_at
    yield '<span class="name">looked at</span>' + _track(seen, length, "seen")
    for fault in faults:
        name = html.escape(fault.title)
        everywhere = not fault.places
        track = _track(seen if everywhere else fault.places, length, "all" if everywhere else "")
        yield f'<a href="#{fault.name}">{name}</a>' + track
    ticks = [length * n / (_TICKS - 1) for n in range(_TICKS)]
    marks = "".join(f'<span style="left:{_percent(t, length)}%">{_clock(t)}</span>' for t in ticks)
    yield f'<span></span><div class="scale">{marks}</div></div>'


def _track(places: Iterable[FaultPlace], length: Fraction, kind: str) -> str:
    marks = "".join(
        f'<i{f" class={kind}" if kind else ""} style="left:{_percent(place.start, length)}%;'
        f'width:{_percent(place.end - place.start, length)}%" title="{_span(place)}"></i>'
        for place in places
    )
    return f'<div class="track">{marks}</div>'


def _percent(time: Fraction, length: Fraction) -> str:
    return f"{float(min(time / length, Fraction(1))) * 100:.3f}"


def _clock(seconds: Fraction) -> str:
    return timecode(seconds) if seconds.denominator > 1 else timecode(seconds).removesuffix(".000")


def _span(place: FaultPlace) -> str:
    start, end = timecode(place.start), timecode(place.end)
    return start if start == end else f"{start} to {end}"


def _section(fault: Fault, pictures: Sequence[FaultPicture]) -> Iterable[str]:
    yield f'<section id="{fault.name}"><h2>{html.escape(fault.title)}</h2>'
    yield f"<p>{html.escape(fault.text)}.</p>"
    yield f"<p>{html.escape(fault.remedy)}</p>"
    if fault.flags:
        yield f"<pre>{html.escape(fault.flags)}</pre>"
    if len(fault.places) > 1:
        more = f" and {len(fault.places) - _LISTED} more" if len(fault.places) > _LISTED else ""
        yield f'<p class="sub">At {", ".join(map(_span, fault.places[:_LISTED]))}{more}.</p>'
    if pictures:
        yield '<div class="pictures">'
        yield from map(_figure, pictures)
        yield "</div>"
    yield "</section>"


def _figure(picture: FaultPicture) -> str:
    kind = ' class="large"' if picture.pixelated else ""
    caption = html.escape(picture.caption)
    return f'<figure><img{kind} src="{picture.address}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def _everything(source: Path | str, found: Inspection) -> Iterable[str]:
    yield "<section><h2>All findings</h2><ul>"
    yield from (f"<li>{html.escape(line)}</li>" for line in sentences(found))
    recommended = "Recommended command" if found.recommended else "Nothing to restore; plain command"
    yield f"</ul><p>{recommended}:</p><pre>{html.escape(command(str(source), found.recommended))}</pre></section>"
