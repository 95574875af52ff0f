"""`enhance` end to end on small clips, judged by ffprobe and ffmpeg."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.support import oracle
from tests.support.clips import ClipFactory, picture, tone
from vidsr import enhance
from vidsr.errors import InputError, ModelError, OptionsError, OutputError, VidsrError
from vidsr.models import saving
from vidsr.models.architectures.rrdbnet import RRDBNet, RRDBNetConfig


def seconds(path: Path) -> list[Fraction]:
    base = Fraction(oracle.streams(path)[0]["time_base"])
    return [pts * base for pts in oracle.frame_pts(path)]


def test_size_frames_pts_and_audio(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    source = clips("basic")
    result = enhance(source, tmp_path / "out.mp4", model=str(tiny_model), scale=4)
    video, audio = oracle.streams(result.output)
    assert (video["width"], video["height"]) == (256, 192)
    assert result.frames == 24
    assert seconds(result.output) == seconds(source)
    assert oracle.packet_hashes(result.output, "a:0") == oracle.packet_hashes(source, "a:0")
    assert audio["codec_name"] == "aac"
    assert oracle.decodes_cleanly(result.output)
    assert not list(tmp_path.glob("*.part"))


def test_the_default_output_stands_beside_the_source(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(clips("basic").read_bytes())
    result = enhance(source, model=str(tiny_model))
    assert result.output.parent == tmp_path
    assert result.output.name.startswith("clip.x4.")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["clip.mp4", result.output.name])


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"scale": 1}, (64, 48)),
        ({"scale": 2.5}, (160, 120)),
        ({"scale": 8}, (512, 384)),
        ({"height": 100}, (133, 100)),
        ({"size": "90x50"}, (90, 50)),
    ],
)
def test_every_way_to_ask_for_a_size(
    options: dict[str, Any], size: tuple[int, int], clips: ClipFactory, tiny_model: Path, tmp_path: Path
) -> None:
    source = clips.make("two.mkv", *picture(seconds=0.1), "-c:v", "ffv1", "-pix_fmt", "yuv444p")
    result = enhance(source, tmp_path / "out.mkv", model=str(tiny_model), codec="ffv1", **options)
    video = oracle.streams(result.output)[0]
    assert (video["width"], video["height"]) == size


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "ffv1", "prores"])
def test_every_encoder_keeps_ten_bits_and_every_frame(
    codec: str, clips: ClipFactory, tiny_model: Path, tmp_path: Path
) -> None:
    source = clips("ten_bit")
    result = enhance(source, tmp_path / "out.mkv", model=str(tiny_model), codec=codec, scale=2)
    video = oracle.streams(result.output)[0]
    assert video["codec_name"] == codec
    assert "10le" in video["pix_fmt"]
    assert len(oracle.frame_pts(result.output)) == 24
    assert oracle.decodes_cleanly(result.output)


def test_variable_frame_rate_is_kept_exactly(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    source = clips.make(
        "vfr.mp4",
        *picture(),
        *tone(),
        *("-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "passthrough", "-enc_time_base", "1/90000"),
        *("-video_track_timescale", "90000", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )
    result = enhance(source, tmp_path / "out.mp4", model=str(tiny_model), scale=2)
    steps = seconds(result.output)
    assert len({b - a for a, b in itertools.pairwise(steps)}) > 1
    assert steps == seconds(source)


def test_the_result_is_the_same_twice(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    first = enhance(clips("basic"), tmp_path / "a.mkv", model=str(tiny_model), scale=2)
    second = enhance(clips("basic"), tmp_path / "b.mkv", model=str(tiny_model), scale=2)
    assert oracle.digest(first.output) == oracle.digest(second.output)


def bad_sources(folder: Path, clips: ClipFactory) -> dict[str, Path]:
    text, empty = folder / "text.mp4", folder / "empty.mp4"
    text.write_text("this is not a video\n" * 50)
    empty.touch()
    return {
        "text": text,
        "empty": empty,
        "missing": folder / "missing.mp4",
        "folder": folder,
        "audio only": clips("audio_only"),
    }


@pytest.mark.parametrize("name", ["text", "empty", "missing", "audio only"])
def test_a_bad_source_is_one_clear_error(name: str, clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    source = bad_sources(tmp_path, clips)[name]
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError) as caught:
        enhance(source, tmp_path / "out.mkv", model=str(tiny_model), scale=2)
    assert source.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_bad_output_is_one_clear_error(clips: ClipFactory, tiny_model: Path, tmp_path: Path) -> None:
    source = tmp_path / "clip.mp4"
    source.write_bytes(clips("basic").read_bytes())
    digest = oracle.digest(source)
    existing = tmp_path / "existing.mkv"
    existing.write_bytes(b"precious")
    (tmp_path / "link.mp4").hardlink_to(source)

    def fails(output: Path, what: str, **options: Any) -> None:
        with pytest.raises(OutputError, match=what):
            enhance(source, output, model=str(tiny_model), scale=2, **options)

    fails(tmp_path / "no" / "out.mkv", "does not exist")
    fails(source, "is the source")
    fails(source, "is the source", overwrite=True)
    fails(tmp_path / "link.mp4", "is the source", overwrite=True)
    fails(existing, "--overwrite")
    fails(tmp_path, "folder")
    assert existing.read_bytes() == b"precious"
    assert oracle.digest(source) == digest
    assert enhance(source, existing, model=str(tiny_model), scale=2, overwrite=True).frames == 24


def test_a_bad_model_or_option_is_one_clear_error(clips: ClipFactory, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"\x08\0\0\0\0\0\0\0notjson!")
    grey = tmp_path / "grey.safetensors"
    saving.save(grey, RRDBNet(RRDBNetConfig(in_channels=1, out_channels=1, num_feat=4, num_block=1)).state_dict(), {})
    for model in ("no-such-model", "vgg19", str(wrong), str(clips("basic")), str(grey)):
        with pytest.raises(ModelError):
            enhance(clips("basic"), tmp_path / "out.mkv", model=model)
    with pytest.raises(OptionsError, match="--scale 0"):
        enhance(clips("basic"), tmp_path / "out.mkv", scale=0)
    assert issubclass(OptionsError, VidsrError)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grey.safetensors", "wrong.safetensors"]


@pytest.mark.parametrize(
    "options",
    [{"device": "cuda:77"}, {"device": "abacus"}, {"devices": "cuda:77"}, {"devices": "cuda:77,cuda:78"}],
    ids=str,
)
def test_a_device_that_is_not_here_leaves_nothing(
    options: dict[str, Any], clips: ClipFactory, tiny_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(OptionsError, match="device"):
        enhance(clips("basic"), tmp_path / "out.mkv", model=str(tiny_model), scale=2, segment_frames=6, **options)
    assert list(tmp_path.iterdir()) == []
