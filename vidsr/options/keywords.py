"""The options of :mod:`vidsr.options.enhance_options` as typed keyword arguments, for functions that take them by name.

A type checker and an editor know every keyword and its type from these; ``tests/options/test_keywords.py`` holds them
to the dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypedDict

from vidsr.errors import OptionsError
from vidsr.options.enhance_options import EnhanceOptions
from vidsr.options.filter_choices import FilterSelection
from vidsr.options.rate_choice import Rate
from vidsr.options.span_options import FrameNumbers


class SourceKeywords(TypedDict, total=False):
    """How a source is read: :class:`~vidsr.options.enhance_options.ColourOptions`,
    :class:`~vidsr.options.enhance_options.SourceOptions`."""

    # ColourOptions
    input_matrix: str | None
    input_range: str | None
    # SourceOptions
    hwaccel: str
    allow_network: bool
    join: bool
    strict: bool


class FrameKeywords(TypedDict, total=False):
    """What is done to single frames: :class:`~vidsr.options.enhance_options.ModelOptions`,
    :class:`~vidsr.options.enhance_options.SizeOptions`, :class:`~vidsr.options.restore_options.RestoreOptions`."""

    # ModelOptions
    model: str
    finish_within: Fraction | float | str | None
    device: str
    precision: str
    compile: bool
    batch: int | None
    tile: int | None
    backend: str
    denoise_strength: float | None
    reuse_threshold: float
    reuse_regions: bool
    # SizeOptions
    scale: float | None
    height: int | None
    size: str | None
    square_pixels: bool
    # RestoreOptions
    restore: FilterSelection | str
    fields: str
    rate: Rate | str | None
    fidelity: float | str | None
    multiframe: float | str | None
    stabilize: float
    strength: float
    invent: float
    faces: str
    text: str
    colour_lock: bool
    grain: float
    keep_original_below: float
    masks: str | None


class EnhanceKeywords(SourceKeywords, FrameKeywords, total=False):
    """Every option of :class:`~vidsr.options.enhance_options.EnhanceOptions`."""

    # EncodeOptions
    codec: str
    crf: float | None
    preset: str | None
    bit_depth: int | None
    encoder_options: tuple[str, ...]
    flatten: str | None
    # StreamOptions
    audio: bool
    subtitles: bool
    map: tuple[str, ...]
    # OutputOptions
    overwrite: bool
    verify: bool
    provenance: bool
    masters: bool
    invention: str
    # PictureOptions
    tileable: bool
    normal_map: bool
    power_of_two: bool
    under_alpha: str
    picture_format: str | None
    picture_quality: int
    fps: str | None
    start_number: int | None
    # SpanOptions
    start: Fraction | float | str | None
    end: Fraction | float | str | None
    duration: Fraction | float | str | None
    frames: FrameNumbers | str | None
    exact_sound: bool
    # JobOptions
    segment_frames: int
    restart: bool
    keep_segments: bool
    keep_going: bool
    workers: int | None
    devices: str | None
    threads: int | None
    engine: str
    address: str | None
    ship: bool | None
    watch: bool
    settle: float
    progress_format: str


def chosen_options(options: EnhanceOptions | None, keywords: Mapping[str, Any]) -> EnhanceOptions:
    """The checked options of a call that takes either ``options=`` or keywords.

    Raises:
        OptionsError: both were given, a keyword is unknown, or a value is out of range.
    """
    if options is None:
        return EnhanceOptions.from_flat(keywords)
    if keywords:
        names = ", ".join(sorted(keywords))
        raise OptionsError(f"options= and {names} were both given: set {names} in the options, or drop options=")
    return options.check()
