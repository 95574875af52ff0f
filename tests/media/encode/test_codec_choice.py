"""The codec that a result gets where none is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.source_values import source_info, video_info
from vidsr.codec_table import CODECS
from vidsr.media.encode.codec_choice import choose_codec
from vidsr.options.enhance_options import EncodeOptions


def chosen(native: str, suffix: str = "", source: str = "clip.mkv", **options: Any) -> tuple[str, str]:
    info = source_info(video_info(native), path=Path(source))
    encode, note = choose_codec(info, EncodeOptions(**options), suffix)
    return encode.codec, note or ""


@pytest.mark.parametrize("suffix", ["", ".mkv", ".mp4", ".mov", ".m4v", ".nut", ".what"])
def test_without_alpha_it_is_h264_and_nothing_is_said(suffix: str) -> None:
    assert chosen("yuv420p", suffix) == ("h264", "")


def test_a_container_without_h264_gets_a_codec_that_it_holds() -> None:
    codec, note = chosen("yuv420p", ".webm")
    assert ".webm" in CODECS[codec].containers
    assert note == f"webm cannot hold h264: encoding with {codec}"


@pytest.mark.parametrize(
    ("native", "source", "suffix", "codec"),
    [
        ("yuva444p10le", "a.mov", "", "prores"),
        ("yuva444p10le", "a.mov", ".mov", "prores"),
        ("yuva444p10le", "a.mov", ".mkv", "ffv1"),
        ("gbrap", "a.mov", "", "prores"),
        ("gbrap", "a.mkv", "", "ffv1"),
        # ProRes has ten bits here: what is deeper goes elsewhere, unless the user asks for MOV.
        ("gbrap16le", "a.mov", "", "ffv1"),
        ("gbrap16le", "a.mov", ".mov", "prores"),
        ("yuva444p12le", "a.mov", "", "ffv1"),
        # VP9 compresses alpha with loss: only where WebM is asked for.
        ("yuva420p", "a.webm", "", "ffv1"),
        ("yuva420p", "a.webm", ".webm", "vp9"),
        ("yuva420p", "a.webm", ".mkv", "ffv1"),
        ("yuva420p", "a.webm", ".nut", "ffv1"),
    ],
)
def test_alpha_is_kept_without_loss_where_the_container_allows(
    native: str, source: str, suffix: str, codec: str
) -> None:
    found, note = chosen(native, suffix, source)
    assert found == codec
    assert note.startswith(f"the source has an alpha channel: encoding with {codec}, which keeps it")
    assert ("with loss" in note) == (codec == "vp9")


def test_prores_stays_prores() -> None:
    info = source_info(video_info("yuva444p12le", codec="prores"), path=Path("a.mov"))
    assert choose_codec(info, EncodeOptions(), "")[0].codec == "prores"


def test_options_that_a_codec_does_not_have_speak_against_it() -> None:
    assert chosen("yuva420p", ".mkv", crf=20)[0] == "vp9"
    assert chosen("yuva420p", ".mkv", preset="2")[0] == "vp9"
    assert chosen("yuva420p", ".mkv", bit_depth=16)[0] == "ffv1"


def test_a_named_codec_and_a_background_are_obeyed() -> None:
    assert chosen("yuva420p", ".mkv", codec="hevc") == ("hevc", "")
    assert chosen("yuva420p", ".mkv", flatten="black") == ("h264", "")


def test_where_no_codec_keeps_alpha_the_usual_one_is_left_to_refuse_it() -> None:
    assert chosen("yuva420p", ".mp4") == ("h264", "")
