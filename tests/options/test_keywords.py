"""Options as keywords: the same names and types as the dataclasses, and never mixed with ``options=``."""

from __future__ import annotations

import typing
from dataclasses import fields

import pytest

from vidsr.errors import OptionsError
from vidsr.jobs.enhance import enhance
from vidsr.options.enhance_options import EnhanceOptions, ModelOptions, SizeOptions
from vidsr.options.keywords import EnhanceKeywords, FrameKeywords, SourceKeywords, chosen_options
from vidsr.options.schema import describe, groups_of


def declared(*groups: str) -> dict[str, object]:
    """Field name → type of the option groups named; of all groups if none are. Text is taken where it is parsed."""
    kinds = [kind for name, kind in groups_of(EnhanceOptions) if name in groups or not groups]
    types = {f.name: typing.get_type_hints(kind)[f.name] for kind in kinds for f in fields(kind)}
    parsed = [f.name for kind in kinds for f in fields(kind) if describe(f).parse is not None]
    return types | {name: types[name] | str for name in parsed}


def test_keywords_and_dataclasses_agree() -> None:
    """On failure: copy the option's name and type from its dataclass into vidsr/options/keywords.py."""
    assert typing.get_type_hints(EnhanceKeywords) == declared()
    assert typing.get_type_hints(SourceKeywords) == declared("colour", "source")
    assert typing.get_type_hints(FrameKeywords) == declared("model", "size", "restore")


def test_keywords_become_options() -> None:
    chosen = chosen_options(None, {"scale": 2, "model": "realesr-animevideov3"})
    assert chosen == EnhanceOptions(model=ModelOptions(model="realesr-animevideov3"), size=SizeOptions(scale=2))
    assert chosen_options(chosen, {}) == chosen


def test_options_and_keywords_together_are_an_error() -> None:
    with pytest.raises(OptionsError, match="options= and codec, scale were both given"):
        enhance("clip.mp4", options=EnhanceOptions(), scale=2, codec="hevc")


def test_a_wrong_name_or_value_is_an_error() -> None:
    with pytest.raises(OptionsError, match="scael"):
        enhance("clip.mp4", scael=2)  # type: ignore[call-arg]
    with pytest.raises(OptionsError, match="--scale 99"):
        enhance("clip.mp4", scale=99)
    with pytest.raises(OptionsError, match="--scale 99"):
        enhance("clip.mp4", options=EnhanceOptions(size=SizeOptions(scale=99)))
