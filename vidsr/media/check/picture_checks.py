"""The checks of the picture: size, pixel shape, orientation, colour tags, alpha and HDR metadata."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from vidsr.media.check.verify_report import Check, check_equal
from vidsr.media.colour_tags import MATRICES, PRIMARIES, TRANSFERS, ColourTags
from vidsr.media.encode.codecs import row_of
from vidsr.media.encode.encoder import EncoderSettings
from vidsr.media.encode.geometry import is_same_orientation, result_matrix
from vidsr.media.source import HdrInfo, VideoInfo


def check_picture(video: VideoInfo, made: VideoInfo, settings: EncoderSettings | None) -> Iterator[Check]:
    """Compare everything that the header of a result's video says with its source, or with its encoder's settings
    where they are known."""
    yield from _shape(video, made, settings)
    yield _orientation(video, made, settings)
    yield from _colour(video, made, settings)
    yield from _hdr(video, made)


def _shape(video: VideoInfo, made: VideoInfo, settings: EncoderSettings | None) -> list[Check]:
    checks = []
    size = f"{made.width}x{made.height}"
    if settings is not None:
        checks.append(check_equal("size", f"{settings.width}x{settings.height}", size))
        checks.append(check_equal("pixel shape", _ratio(settings.sar), _ratio(made.sar)))
    else:
        checks.append(Check(name="size", state="same", source=f"{video.width}x{video.height}", result=size))
        want = Fraction(video.width, video.height) * video.sar
        have = Fraction(made.width, made.height) * made.sar
        # A difference of one pixel comes from rounding to whole or even sizes, not from a change of shape.
        slack = Fraction(2, min(made.width, made.height)) * want
        state = "same" if abs(want - have) <= slack else "different"
        text = f"{float(have):.4f}"
        checks.append(
            Check(name="display shape", state=state, source=f"{float(want):.4f}", result=text)  # type: ignore[arg-type]
        )
    return checks


def _orientation(video: VideoInfo, made: VideoInfo, settings: EncoderSettings | None) -> Check:
    width, height, sar = (made.width, made.height, made.sar)
    if settings is not None:
        width, height, sar = settings.width, settings.height, settings.sar
    want, have = result_matrix(video, width, height, sar), made.display_matrix
    if is_same_orientation(want, have, width * sar, height):
        return Check(name="orientation", state="same", source=str(want), result=str(have))
    return check_equal("orientation", want, have)


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}:{value.denominator}"


def _colour(video: VideoInfo, made: VideoInfo, settings: EncoderSettings | None) -> list[Check]:
    want = settings.format.tags if settings is not None else video.tags
    have = made.tags
    changed = ""
    if settings is None and video.format.family == "rgb" and made.format.family != "rgb":
        changed = "RGB is stored as YUV"
    elif made.format.family == "rgb":
        want = have if settings is not None else want
    codec = row_of(made.codec)
    if settings is None and codec.matrices is not None and want.matrix not in codec.matrices:
        changed = f"{made.codec} has no code for it"
    limited = f"{codec.name} knows limited range only" if codec.limited_range and want.full_range else ""
    checks = []
    # H.264 and HEVC define the code for 4:2:0 only.
    if want.chroma_location not in (None, "left") and video.format.family == "yuv" and made.format.log2_chroma_h:
        lost = "" if codec.keeps_location(want.chroma_location) else f"{made.codec} has no code for it"
        checks = [check_equal("chroma location", want.chroma_location, have.chroma_location, announced=lost)]
    return [
        *checks,
        check_equal("matrix", _name(MATRICES, want.matrix), _name(MATRICES, have.matrix), announced=changed),
        check_equal("primaries", _name(PRIMARIES, want.primaries), _name(PRIMARIES, have.primaries)),
        check_equal("transfer", _name(TRANSFERS, want.transfer), _name(TRANSFERS, have.transfer)),
        check_equal("range", _range(want), _range(have), announced=changed or limited),
        *_alpha(video, made, settings),
    ]


def _alpha(video: VideoInfo, made: VideoInfo, settings: EncoderSettings | None) -> list[Check]:
    if not video.format.alpha and not made.format.alpha and video.flatten is None:
        return []
    kept = made.format.alpha or (settings is not None and settings.format.frames.alpha)
    blended = "" if kept else "blended over a colour: enhance does that only with --flatten"
    had = "present" if video.format.alpha or video.flatten is not None else "none"
    return [check_equal("alpha", had, "present" if made.format.alpha else "none", announced=blended)]


def _name(table: dict[int, str], code: int) -> str:
    return table.get(code, "untagged")


def _range(tags: ColourTags) -> str:
    return "full" if tags.full_range else "limited"


def _hdr(video: VideoInfo, made: VideoInfo) -> list[Check]:
    checks = []
    keys = row_of(made.codec).hdr
    why = "" if keys is not None else f"{made.codec} does not store it"
    if video.hdr.mastering:
        found = check_equal("mastering display", _mastering(video), _mastering(made), announced=why)
        rounded = keys is not None and keys.steps is not None and _alike(video.hdr, made.hdr, keys.steps)
        checks.append(replace(found, state="same") if rounded else found)
    if video.hdr.light_level:
        checks.append(
            check_equal("content light level", video.hdr.light_level, made.hdr.light_level, announced=why),
        )
    checks += [
        Check(name=lost, state="announced", source="present", result="left out", why="no encoder here writes it")
        for lost in video.lost
    ]
    return checks


def _alike(a: HdrInfo, b: HdrInfo, steps: tuple[int, int, int]) -> bool:
    """Whether two mastering displays are the same in the steps in which a codec stores them."""
    if a.mastering is None or b.mastering is None:
        return False
    units = (*[steps[0]] * 8, *steps[1:])
    return all(abs(x - y) * unit <= 1 for x, y, unit in zip(a.mastering, b.mastering, units, strict=True))


def _mastering(video: VideoInfo) -> str:
    """Chromaticities to 5 decimals (the unit is 0.00002), luminances in cd/m² (the unit is 0.0001)."""
    if video.hdr.mastering is None:
        return "none"
    values: list[Any] = [f"{float(round(v * 50000) / 50000):.5f}" for v in video.hdr.mastering[:8]]
    values += [f"{float(v):.4f}" for v in video.hdr.mastering[8:]]
    return " ".join(values)
