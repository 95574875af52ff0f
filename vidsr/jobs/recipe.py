"""Opening a source for a job: a video file, or numbered pictures at the rate that the options give them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from vidsr.errors import OptionsError
from vidsr.media import image_sequence
from vidsr.media.probe import probe
from vidsr.media.source import SourceInfo
from vidsr.options import EnhanceOptions


def open_source(source: Path | str, options: EnhanceOptions) -> SourceInfo:
    """Probe a source.

    Raises:
        OptionsError: numbered pictures without ``--fps``.
        InputError: as :func:`vidsr.media.probe.probe`, or the pattern matches nothing, or a number is missing.
    """
    if not image_sequence.is_pattern(Path(source)):
        return probe(source, options.colour, options.source)
    image_sequence.find(Path(source))
    if options.pictures.fps is None:
        raise OptionsError("--fps: say how many frames a second the numbered pictures are, for example --fps 24")
    return image_sequence.with_rate(probe(source, options.colour, options.source), Fraction(options.pictures.fps))
