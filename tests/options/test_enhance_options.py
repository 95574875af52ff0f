"""Options: ranges, contradictions, all faults at once, JSON both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import OptionsError
from vidsr.options.enhance_options import EnhanceOptions, SizeOptions, default_output


def test_all_faults_are_told_at_once_and_name_their_flags() -> None:
    with pytest.raises(OptionsError) as caught:
        EnhanceOptions.from_flat({"scale": 0, "crf": 99, "codec": "cinepak"})
    text = str(caught.value)
    assert "--scale 0" in text
    assert "--crf 99" in text
    assert "--codec cinepak: must be one of auto, h264" in text
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("value", [0, 0.99, 8.01, float("nan"), float("inf"), -4])
def test_scale_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(OptionsError, match="--scale"):
        EnhanceOptions.from_flat({"scale": value})


def test_sizes_contradict_each_other() -> None:
    with pytest.raises(OptionsError, match="--scale and --height contradict"):
        EnhanceOptions.from_flat({"scale": 2, "height": 720})
    with pytest.raises(OptionsError, match="WIDTHxHEIGHT"):
        EnhanceOptions.from_flat({"size": "1920*1080"})


def test_unknown_options_are_refused() -> None:
    with pytest.raises(OptionsError, match="unknown option: colour_space"):
        EnhanceOptions.from_flat({"colour_space": "bt709"})
    data = EnhanceOptions().to_json()
    data["size"]["zoom"] = 3
    with pytest.raises(OptionsError, match=r"\[size\] zoom: unknown"):
        EnhanceOptions.from_json(data)
    with pytest.raises(OptionsError, match=r"\[size\] scale = .four.: must be a number"):
        EnhanceOptions.from_json({"size": {"scale": "four"}})


@given(
    scale=st.one_of(st.none(), st.floats(1, 8)),
    crf=st.one_of(st.none(), st.floats(0, 63)),
    batch=st.one_of(st.none(), st.integers(1, 256)),
    audio=st.booleans(),
)
def test_json_both_ways(scale: float | None, crf: float | None, batch: int | None, audio: bool) -> None:
    options = EnhanceOptions.from_flat({"scale": scale, "crf": crf, "batch": batch, "audio": audio})
    assert EnhanceOptions.from_json(options.to_json()) == options


@given(width=st.integers(16, 4096), height=st.integers(16, 4096), scale=st.floats(1, 8))
def test_target_size_follows_the_scale(width: int, height: int, scale: float) -> None:
    w, h = SizeOptions(scale=scale).target(width, height, model_scale=4)
    assert abs(w - width * scale) <= 0.5
    assert abs(h - height * scale) <= 0.5


def test_target_size_by_height_and_by_size() -> None:
    assert SizeOptions(height=2160).target(160, 90, 4) == (3840, 2160)
    assert SizeOptions(size="1000x600").target(160, 90, 4) == (1000, 600)
    assert SizeOptions().target(160, 90, 4) == (640, 360)


def test_default_output_names() -> None:
    source = Path("films/clip.old.mp4")
    assert default_output(source, SizeOptions(), 4, ".mkv") == Path("films/clip.old.x4.mkv")
    assert default_output(source, SizeOptions(scale=2.5), 4, ".mkv") == Path("films/clip.old.x2.5.mkv")
    assert default_output(source, SizeOptions(height=2160), 4, ".mp4") == Path("films/clip.old.2160p.mp4")
    assert default_output(source, SizeOptions(size="640x480"), 4, ".mov") == Path("films/clip.old.640x480.mov")
