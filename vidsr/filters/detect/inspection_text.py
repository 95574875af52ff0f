"""An inspection in words and figures, and as a command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from vidsr.filters.detect.cadence import Cadence
from vidsr.filters.detect.fault_places import above
from vidsr.filters.detect.inspection import (
    BANDED,
    BLOCKY,
    BREATHING,
    FLICKERING,
    NOISY,
    REPEATING,
    UNSTEADY,
    VERY_NOISY,
    Inspection,
)
from vidsr.filters.detect.lost_frames import LostFrames, timecode
from vidsr.filters.detect.tape_findings import TapeFindings
from vidsr.filters.film.dye_loss import Fading

#: Below this share of real detail along a side a picture counts as enlarged before.
SOFT = 0.7
#: From this certainty on a rhythm of film is called certain.
_CERTAIN = 0.9
#: Places at which frames were lost that are listed.
_LISTED = 6
_ORDER = {"tff": "top field first", "bff": "bottom field first"}


def sentences(found: Inspection) -> list[str]:
    """One line for each property, most important first."""
    lines = [_scan(found)]
    if found.cadence is not None:
        lines.append(_film(found.cadence))
    elif found.duplicate_ratio > REPEATING:
        lines.append(f"repeated frames: {found.duplicate_ratio:.0%} only show the frame before again")
    where = "" if found.complete else " in the stretches looked at"
    if found.lost:
        lines.append(f"lost frames{where}: {_lost(found.lost)}")
    lines += _tape(found.tape)
    if found.has_bars:
        left, top, width, height = found.crop
        lines.append(f"bars: the picture is {width}x{height}, {left} pixels from the left and {top} from the top")
    else:
        lines.append("bars: none")
    if found.sar != 1:
        lines.append(f"pixels: not square, {found.sar.numerator}:{found.sar.denominator}")
    lines.append("colour: grey (black and white)" if found.grey else "colour: yes")
    strength = "hardly any" if found.noise < NOISY else "some" if found.noise < VERY_NOISY else "strong"
    lines.append(f"noise or grain: {strength} ({found.noise:.1f} of 255)")
    unsteady = "unsteady" if found.flicker > FLICKERING else "steady"
    lines.append(f"brightness: {unsteady} (departs by {found.flicker:.2f} of 255 from frame to frame)")
    if found.weave_at:
        lines.append(f"steadiness{where}: {_unsteady(found)}")
    if found.breathing_at:
        lines.append(f"local flicker{where}: {_breathing(found)}")
    if found.scratches_at:
        lines.append(f"scratches{where}: {_scratched(found)}")
    if found.fading is not None:
        lines.append(f"fading: {_faded(found.fading)}")
    lines.append(f"compression blocks: {'visible' if found.blocking > BLOCKY else 'no'} ({found.blocking:.2f})")
    if found.banding > BANDED:
        lines.append(f"bands{where}: {_banded(found)}")
    lines.append(_resolution(found))
    lines.append(f"scene cuts{where}: {len(found.cuts)}")
    if found.neighbours:
        lines.append(f"neighbouring frames, with --multiframe auto: {found.neighbours}")
    return lines


def sentence_of(found: Inspection, topic: str) -> str:
    """What :func:`sentences` says about a topic, the words that its line begins with, without the remedy."""
    line = next(line for line in sentences(found) if line.startswith(topic))
    text = line.split(": ", 1)[1].split("; --restore")[0]
    return text[0].upper() + text[1:]


def _scan(found: Inspection) -> str:
    if found.scan == "unclear":
        return f"scan: {_unclear(found)}"
    text = {"mixed": "a mix of progressive and other pictures"}.get(found.scan, found.scan)
    if found.pattern:
        text += f", {found.pattern}"
    if found.field_order:
        text += f", {_ORDER[found.field_order]}"
    claims = found.flagged
    if claims and found.field_order and claims != found.field_order:
        text += f"; the file says {_ORDER[claims]}, which is wrong"
    elif claims and found.scan == "progressive":
        text += "; the file says interlaced, but the picture is not"
    elif not claims and found.scan != "progressive":
        text += "; the file does not say so"
    return f"scan: {text}"


def _film(found: Cadence) -> str:
    sure = "certain" if found.certainty > _CERTAIN else "likely"
    return (
        f"film: {write_rate(found.film)} pictures a second, shown at {write_rate(found.rate)} by repeating frames "
        f"({sure}: {found.fitting} of {found.visible} frames with visible motion or stillness fit)"
    )


def _lost(places: Sequence[LostFrames]) -> str:
    """How many frames were lost, by what that shows, where, and what can be done."""
    frames = sum(place.count for place in places)
    ways = [way for way in ("time stamps", "motion") if any(place.by == way for place in places)]
    counts = [f"{sum(p.count for p in places if p.by == way)} by {way}" for way in ways]
    listed = [timecode(place.at) + (f" ({place.count})" if place.count > 1 else "") for place in places[:_LISTED]]
    more = ", …" if len(places) > _LISTED else ""
    long = sum(place.long for place in places)
    remedy = "; --restore refill makes them again" if long < len(places) else ""
    kept = f"; too many in a row for that: at {long} of these places" if long else ""
    at = "1 place" if len(places) == 1 else f"{len(places)} places"
    return f"{frames} at {at} ({', '.join(counts)}): {', '.join(listed)}{more}{remedy}{kept}"


def _unsteady(found: Inspection) -> str:
    """By how much the picture trembles, where, and what can be done."""
    strongest = max(scene.jitter for scene in found.weave_at)
    spans = [f"{timecode(scene.start)} to {timecode(scene.end)}" for scene in found.weave_at]
    listed = ", ".join(spans[:_LISTED]) + (", …" if len(spans) > _LISTED else "")
    remedy = "--restore weave steadies it" if found.weave > UNSTEADY else "most of the clip is steady"
    return f"trembles by up to {strongest:.1f} px from frame to frame, as film in a gate does: {listed}; {remedy}"


def _breathing(found: Inspection) -> str:
    """By how much the light wavers over the picture, where, and what can be done."""
    strongest = max(place.strong for place in found.breathing_at)
    spans = [f"{timecode(place.start)} to {timecode(place.end)}" for place in found.breathing_at]
    listed = ", ".join(spans[:_LISTED]) + (", …" if len(spans) > _LISTED else "")
    remedy = "--restore breathing steadies it" if found.breathing > BREATHING else "most of the clip is steady"
    return f"light wavers by up to {strongest:.1%} differently across the picture: {listed}; {remedy}"


def _scratched(found: Inspection) -> str:
    """In how many frames there are scratches, where, and what can be done."""
    spans = [f"{timecode(span.start)} to {timecode(span.end)} ({span.lines})" for span in found.scratches_at]
    listed = ", ".join(spans[:_LISTED]) + (", …" if len(spans) > _LISTED else "")
    return f"lines along the film in {found.scratched:.0%} of the frames: {listed}; --restore scratch fills them"


def _banded(found: Inspection) -> str:
    """How high the steps between bands are, where, and what can be done."""
    at = [timecode(place.shown) for place in above(found.places.banding, BANDED)]
    listed = ", ".join(at[:_LISTED]) + (", …" if len(at) > _LISTED else "")
    frames = f"{len(at)} of {len(found.places.banding)} frames looked at"
    steps = f"steps of {found.banding:.0f} of 255 in even areas"
    return f"{steps}, in {frames}: {listed}; --restore deband spreads them"


def _faded(found: Fading) -> str:
    """What the dyes have lost, where that shows, and what can be done."""
    loss = found.loss
    lost = ", ".join(f"{name} {getattr(loss, name):.0%}" for name in ("cyan", "magenta", "yellow"))
    listed = ", ".join(timecode(place.shown) for place in found.at[:_LISTED])
    listed += ", …" if len(found.at) > _LISTED else ""
    return (
        f"dyes have lost density ({lost}) by the shadows of {found.scenes} scenes, for example at {listed}; "
        "--restore fade gives most of it back"
    )


def _tape(found: TapeFindings) -> list[str]:
    """A line for each fault of tape that was found."""
    lines = []
    if found.dropouts:
        places = found.dropouts
        listed = ", ".join(timecode(at) for at in places[:_LISTED]) + (", …" if len(places) > _LISTED else "")
        frames = f"{len(places)} of {found.searched} frames looked at"
        lines.append(f"dropouts: in {frames}: {listed}; --restore dropout fills them")
    if found.head_switching:
        rows = found.head_switching
        lines.append(f"head switching: the last {rows} rows are displaced; --restore headswitch moves them back")
    if found.chroma_delay:
        side = "right" if found.chroma_delay > 0 else "left"
        lines.append(
            f"colour: {abs(found.chroma_delay):.1f} pixels to the {side} of luma; --restore chroma moves it back"
        )
    if found.colour_band:
        lines.append(
            f"smeared colour: its bandwidth along the lines is about {found.colour_band:g} MHz; "
            "--restore bleed sharpens it by the edges of luma"
        )
    if found.wobble:
        spans = [f"{timecode(place.start)} to {timecode(place.end)}" for place in found.wobble]
        listed = ", ".join(spans[:_LISTED]) + (", …" if len(spans) > _LISTED else "")
        strongest = max(place.strong for place in found.wobble)
        lines.append(
            f"wobble: lines are displaced one by one, by up to {strongest:.1f} px (RMS): {listed}; "
            "--restore wobble moves them back"
        )
    if found.dot_crawl is not None:
        lines.append(
            f"dot crawl: luma holds the colour subcarrier of {found.dot_crawl.upper()}; "
            "--restore dotcrawl takes it out where the picture stands still"
        )
    if found.rainbows is not None:
        lines.append(
            f"rainbows: colour holds fine luma, through {found.rainbows.upper()}; --restore rainbow takes it out"
        )
    if found.ringing is not None:
        gain, period = found.ringing.gain, found.ringing.period
        lines.append(
            f"halos: edges ring along the lines, {gain:.2f} too strong, every {period:.1f} pixels; "
            "--restore dehalo takes that away"
        )
    return lines


def write_rate(rate: Fraction) -> str:
    """A rate for people, for example ``16.67``."""
    return f"{float(rate):.2f}".rstrip("0").rstrip(".")


def _unclear(found: Inspection) -> str:
    says = f"; the file says {_ORDER[found.flagged]}" if found.flagged else ""
    if found.unclear_at is None:
        return f"unclear, because nothing moves{says}"
    at = timecode(found.unclear_at)
    return f"unclear; look at {at}: if moving edges are combed there, add --restore deinterlace=tff (or bff){says}"


def _resolution(found: Inspection) -> str:
    low = min(found.true_width / found.width, found.true_height / found.height)
    if low < SOFT:
        return f"real detail: about {found.true_width}x{found.true_height}: enlarged or softened before"
    return "real detail: up to the full size"


def command(source: str, recommended: dict[str, Any]) -> str:
    """The command line that does what is recommended."""
    parts = ["vidsr", "enhance", shlex.quote(source)]
    for name, value in recommended.items():
        flag = "--" + name.replace("_", "-")
        parts += [flag] if value is True else [flag, str(value)]
    return " ".join(parts)
