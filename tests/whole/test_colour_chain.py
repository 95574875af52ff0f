"""Colour through decode, an identity network in RGB float, a near-lossless encode, and decode again."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from tests.support import processes
from tests.support.clips import ClipFactory, picture
from tests.support.hazards.catalogue import by_name
from tests.support.hazards.pictures import tagged
from tests.support.oracle import colour_error, decoded
from vidsr.errors import OutputError
from vidsr.jobs.enhance import enhance
from vidsr.media.probe import probe

NEAR_LOSSLESS = {"h264": ("x264-params=qp=1",), "hevc": ("x265-params=lossless=1",), "ffv1": ()}


def assert_close(source: Path, result: Path, layout: str) -> None:
    mean, worst = colour_error(source, result, layout)
    assert mean <= 0.6, f"mean {mean:.3f} codes of 8 bits"
    assert worst <= 3, f"max {worst:.1f} codes of 8 bits"


TAGGED = [
    (matrix, primaries, transfer, span, layout, codec)
    for (matrix, primaries, transfer), span, (layout, codec) in itertools.product(
        (("bt709", "bt709", "bt709"), ("smpte170m", "smpte170m", "smpte170m"), ("bt2020nc", "bt2020", "bt2020-10")),
        ("tv", "pc"),
        (("yuv420p", "h264"), ("yuv422p", "h264"), ("yuv444p", "h264"), ("yuv420p10le", "hevc"),
         ("yuv422p10le", "hevc"), ("yuv444p10le", "h264")),
    )
]  # fmt: skip


# Two layouts on every run, the others with -m slow.
FAST = [
    c if c[4] in ("yuv420p", "yuv420p10le") else pytest.param(c, marks=pytest.mark.slow, id="-".join(c)) for c in TAGGED
]


@pytest.mark.parametrize("combination", FAST, ids="-".join)
def test_tagged_colour_survives(
    combination: tuple[str, ...], clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    matrix, primaries, transfer, span, layout, codec = combination
    source = tagged(matrix, primaries, transfer, span, layout)(clips)
    output = tmp_path / "out.mkv"
    # The result is also verified: its tags are the source's.
    enhance(source, output, model=str(identity), scale=1, codec=codec, preset="ultrafast",
            encoder_options=NEAR_LOSSLESS[codec])  # fmt: skip
    assert_close(source, output, layout)


@pytest.mark.parametrize(
    "layout", ["yuv411p", "yuv440p", "yuv410p", "yuv444p12le", "yuv422p12le", "gray", "gray10le", "gray12le"]
)
def test_rarer_layouts_survive(layout: str, clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = clips.make(f"{layout}.mkv", *picture(), "-c:v", "ffv1", "-pix_fmt", layout)
    output = tmp_path / "out.mkv"
    enhance(source, output, model=str(identity), scale=1, codec="ffv1")
    assert_close(source, output, layout)


@pytest.mark.parametrize(
    ("layout", "codec"), [("yuva420p", "vp9"), ("yuva420p", "ffv1"), ("yuva444p10le", "prores"), ("gbrap", "ffv1")]
)
def test_transparency_survives(layout: str, codec: str, clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    half = "testsrc2=s=64x48:r=24:d=0.25,format=yuva444p,colorchannelmixer=aa=0.5"
    tags = ("-color_primaries", "bt709", "-color_trc", "bt709") if layout != "gbrap" else ()
    source = clips.make("half.mkv", "-f", "lavfi", "-i", half, "-c:v", "ffv1", "-pix_fmt", layout, *tags)
    output = tmp_path / "out.mkv"
    extra = {"vp9": ("lossless=1",), "prores": ("profile=4", "bits_per_mb=8000")}.get(codec, ())
    enhance(source, output, model=str(identity), scale=1, codec=codec, crf=0 if codec == "vp9" else None,
            encoder_options=extra)  # fmt: skip
    assert probe(output).video.format.alpha
    mean, worst = colour_error(source, output, layout, *(("-c:v", "libvpx-vp9") if codec == "vp9" else ()))
    assert mean <= 0.6
    assert worst <= 3


def test_transparency_that_a_container_cannot_hold_is_refused(
    clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="transparency of vp9"):
        enhance(by_name("alpha-vp9").make(clips), tmp_path / "out.mp4", model=str(identity), scale=1, codec="vp9")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("codec", ["h264", "hevc", "ffv1"])
def test_rgb_survives_also_as_yuv(codec: str, clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source = by_name("rgb-png").make(clips)
    output = tmp_path / "out.mkv"
    # 8-bit YUV cannot hold all of 8-bit RGB; 10 bits can.
    depth = None if codec == "ffv1" else 10
    enhance(source, output, model=str(identity), scale=1, codec=codec, preset="ultrafast" if depth else None,
            encoder_options=NEAR_LOSSLESS[codec], bit_depth=depth)  # fmt: skip
    if codec == "ffv1":
        assert_close(source, output, "gbrp")
        return
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(output), "-vf",
               "scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int,format=gbrp", "-f",
               "rawvideo", "-"]  # fmt: skip
    made = np.frombuffer(processes.run(command, capture_output=True, check=True).stdout, np.uint8).astype(np.int32)
    error = np.abs(made - decoded(source, "gbrp"))
    assert error.mean() <= 0.6
    assert error.max() <= 3


@pytest.mark.parametrize("name", ["gray", "gray10le"])
def test_grey_comes_out_without_a_tint(name: str, clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    enhance(by_name(name).make(clips), output, model=str(identity), scale=1, preset="ultrafast")
    layout = "yuv420p" if name == "gray" else "yuv420p10le"
    samples = decoded(output, layout).reshape(24, -1)
    chroma = samples[:, 64 * 48 :]
    assert np.all(chroma == chroma.flat[0])
    assert chroma.flat[0] == (128 if name == "gray" else 512)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe on this machine")
@pytest.mark.parametrize(("codec", "suffix"), [("hevc", "mkv"), ("hevc", "mp4"), ("av1", "mkv"), ("av1", "mp4")])
def test_hdr10_data_reads_back_the_same(
    codec: str, suffix: str, clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    source, output = by_name("hdr10").make(clips), tmp_path / f"out.{suffix}"
    preset = "13" if codec == "av1" else "ultrafast"
    enhance(source, output, model=str(identity), scale=1, codec=codec, preset=preset)
    want, have = _static_metadata(source), _static_metadata(output)
    assert set(want) == {"Mastering display metadata", "Content light level metadata"} == set(have)
    for kind, values in want.items():
        for key, value in values.items():
            # AV1 stores luminances in 1/256 and 1/16384 cd/m², chromaticities in 1/65536.
            assert have[kind][key] == pytest.approx(value, rel=1e-3, abs=1e-4), (kind, key)
    stream = _probe(output, "-show_streams")["streams"][0]
    names = (stream["color_transfer"], stream["color_primaries"], stream["color_space"], stream["pix_fmt"])
    assert names == ("smpte2084", "bt2020", "bt2020nc", "yuv420p10le")


def test_hdr10_data_reads_back_the_same_from_h264(clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    source, output = by_name("hdr10").make(clips), tmp_path / "out.mp4"
    enhance(source, output, model=str(identity), scale=1, preset="ultrafast")
    # Debian's ffprobe is too old to read it from H.264; the newer ffmpeg says it in words.
    want, have = _in_words(source), _in_words(output)
    assert len(want) == 2
    assert want == have


def _in_words(path: Path) -> list[str]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-frames:v", "1", "-vf", "showinfo", "-f", "null", "-"]
    text = processes.run(command, capture_output=True, check=True, text=True).stderr
    lines = [line.partition("side data - ")[2] for line in text.splitlines() if "side data - " in line]
    return sorted({line for line in lines if line.startswith(("Mastering", "Content light"))})


def _static_metadata(path: Path) -> dict[str, dict[str, float]]:
    """HDR10 data of the first frame, by ffprobe."""
    frame = _probe(path, "-select_streams", "v:0", "-show_frames", "-read_intervals", "%+#1")["frames"][0]
    found = {}
    for data in frame.get("side_data_list", []):
        kind = data.pop("side_data_type")
        if kind in ("Mastering display metadata", "Content light level metadata"):
            found[kind] = {k: _number(v) for k, v in data.items()}
    return found


def _number(value: Any) -> float:
    top, _, bottom = str(value).partition("/")
    return float(top) / float(bottom or 1)


def _probe(path: Path, *args: str) -> Any:
    command = ["ffprobe", "-v", "error", "-of", "json", *args, str(path)]
    return json.loads(processes.run(command, capture_output=True, check=True).stdout)


@pytest.mark.parametrize(
    ("location", "codec"),
    # AV1 has no code for "center": it is announced.
    [p for p in itertools.product(("left", "center", "topleft"), ("h264", "hevc", "av1")) if p != ("center", "av1")],
)
def test_chroma_location_is_read_and_written(
    location: str, codec: str, clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    source = clips.make(
        f"{location}.mkv", *picture(seconds=0.2), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-bsf:v",
        f"h264_metadata=chroma_sample_loc_type={('left', 'center', 'topleft').index(location)}",
    )  # fmt: skip
    assert probe(source).video.colour.chroma_location == location
    output = tmp_path / "out.mkv"
    preset = "13" if codec == "av1" else "ultrafast"
    enhance(source, output, model=str(identity), scale=1, codec=codec, preset=preset)
    assert probe(output).video.colour.chroma_location == location
