"""What is decided before any work: formats, sizes, alpha, memory, encoders and their options."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.source_values import source_info, video_info
from vidsr.codec_table import CODECS, HdrKeys
from vidsr.errors import EncodeError, InputError, NoPlaceError, OptionsError
from vidsr.frames import Colour, PixelFormat
from vidsr.media import frame_memory
from vidsr.media.colour_tags import ColourTags
from vidsr.media.encode.alpha import background_codes, blend_over, flattened
from vidsr.media.encode.codecs import check_options, encode_formats, fit_size, usable_codec
from vidsr.media.encode.encoder import EncoderSettings, SegmentEncoder
from vidsr.media.encode.encoder_plan import prepare
from vidsr.media.encode.geometry import result_geometry
from vidsr.media.encode.hdr import hdr_params
from vidsr.media.pixel_formats import planar_format
from vidsr.media.source import HdrInfo, ShapedInfo
from vidsr.options.enhance_options import EncodeOptions, EnhanceOptions, SizeOptions


@pytest.mark.parametrize(
    ("native", "codec", "frames", "stored"),
    [
        ("yuv420p", "h264", "yuv420p", "yuv420p"),
        ("yuv422p10le", "h264", "yuv422p10le", "yuv422p10le"),
        ("yuv444p12le", "hevc", "yuv444p12le", "yuv444p12le"),
        ("yuv444p12le", "h264", "yuv444p10le", "yuv444p10le"),
        ("yuv411p", "h264", "yuv422p", "yuv422p"),
        ("yuv440p", "h264", "yuv444p", "yuv444p"),
        ("yuv440p", "ffv1", "yuv440p", "yuv440p"),
        ("yuv422p", "av1", "yuv420p", "yuv420p"),
        ("yuv420p", "prores", "yuv422p10le", "yuv422p10le"),
        ("gray", "h264", "gray", "yuv420p"),
        ("gray10le", "ffv1", "gray10le", "gray10le"),
        ("gbrp", "h264", "yuv444p", "yuv444p"),
        ("gbrp", "ffv1", "gbrp", "bgr0"),
        ("gbrp10le", "prores", "yuv444p10le", "yuv444p10le"),
        ("yuva420p", "vp9", "yuva420p", "yuva420p"),
        ("yuva444p10le", "prores", "yuva444p10le", "yuva444p10le"),
        ("gbrap", "prores", "yuva444p10le", "yuva444p10le"),
    ],
)
def test_the_encoder_gets_the_nearest_format_that_loses_nothing(
    native: str, codec: str, frames: str, stored: str
) -> None:
    chosen = encode_formats(video_info(native), EncodeOptions(codec=codec))
    assert (chosen.frames.name, chosen.pixel_format) == (frames, stored)


def test_what_a_codec_cannot_hold_is_said() -> None:
    notes = encode_formats(video_info("yuv444p12le"), EncodeOptions(codec="av1")).notes
    assert any("at most 10 bits" in note for note in notes)
    assert any("coarser" in note for note in notes)


def test_hdr_is_never_stored_in_8_bits_unasked() -> None:
    video = video_info("yuv420p", colour=Colour(transfer="smpte2084"))
    assert encode_formats(video, EncodeOptions(codec="h264")).frames.depth == 10
    assert encode_formats(video, EncodeOptions(codec="h264", bit_depth=8)).frames.depth == 8


def test_a_depth_that_no_format_has_is_refused() -> None:
    with pytest.raises(EncodeError, match="h264 here has 8, 10 bits"):
        encode_formats(video_info(), EncodeOptions(codec="h264", bit_depth=12))


@pytest.mark.parametrize(
    ("native", "planar"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("uyvy422", "yuv422p"),
        ("rgb24", "gbrp"),
        ("rgba64le", "gbrap16le"),
        ("pal8", "gbrap"),
        ("ya8", "gbrap"),
        ("monow", "gray"),
        ("gray16be", "gray16le"),
        ("yuv420p10be", "yuv420p10le"),
        ("yuvj420p", "yuv420p"),
        ("y210le", "yuv422p10le"),
        ("ayuv64le", "yuva444p16le"),
        ("x2rgb10le", "gbrp10le"),
        ("xyz12le", "gbrp16le"),
    ],
)
def test_every_packed_format_has_a_planar_one_that_holds_it(native: str, planar: str) -> None:
    assert planar_format(native).name == planar


def test_odd_results_are_made_even_only_where_they_must_be() -> None:
    h264 = encode_formats(video_info(), EncodeOptions(codec="h264"))
    assert fit_size(h264, 63, 47)[:2] == (64, 48)
    assert "even sizes only" in (fit_size(h264, 63, 47)[2] or "")
    h264_444 = encode_formats(video_info("yuv444p"), EncodeOptions(codec="h264"))
    assert fit_size(h264_444, 63, 47) == (63, 47, None)
    ffv1 = encode_formats(video_info(), EncodeOptions(codec="ffv1"))
    assert fit_size(ffv1, 63, 47) == (63, 47, None)


@pytest.mark.parametrize(
    ("sar", "size", "expected"),
    [
        ("64/45", SizeOptions(scale=2), (128, 96, "64/45")),
        ("64/45", SizeOptions(scale=2, square_pixels=True), (182, 96, "1")),
        ("8/9", SizeOptions(scale=2, square_pixels=True), (128, 108, "1")),
        ("8/9", SizeOptions(height=90, square_pixels=True), (108, 90, "1")),
        ("1", SizeOptions(size="100x50"), (100, 50, "2/3")),
        ("1", SizeOptions(size="128x96"), (128, 96, "1")),
        ("64/45", SizeOptions(size="128x96", square_pixels=True), (128, 96, "1")),
    ],
)
def test_shape(sar: str, size: SizeOptions, expected: tuple[int, int, str]) -> None:
    video = video_info("yuv420p", sar=Fraction(sar))
    shape = result_geometry(video, size, encode_formats(video, EncodeOptions(codec="h264")), 4)
    assert (shape.width, shape.height, shape.sar) == (expected[0], expected[1], Fraction(expected[2]))


def test_alpha_is_kept_blended_or_refused_but_never_dropped() -> None:
    info = ShapedInfo(source_info(video_info("yuva420p")))
    with pytest.raises(NoPlaceError, match=r"has an alpha channel, and h264 has none.*--flatten"):
        prepare(info, EnhanceOptions(encode=EncodeOptions(codec="h264")), 1)
    with pytest.raises(NoPlaceError, match="no codec in mp4 keeps"):
        prepare(info, EnhanceOptions(), 1, ".mp4")
    kept = prepare(info, EnhanceOptions(encode=EncodeOptions(codec="vp9")), 1)
    assert kept.settings.format.frames.alpha
    blended = prepare(info, EnhanceOptions(encode=EncodeOptions(flatten="#ff8000")), 1)
    assert blended.info.video.flatten == (255, 128, 0)
    assert blended.settings.format.frames.name == "yuv420p"


@pytest.mark.parametrize("native", ["yuva420p", "yuva444p10le", "gbrap"])
def test_blending_is_exact_at_both_ends(native: str) -> None:
    format = PixelFormat.parse(native)
    assert format is not None
    rng = np.random.default_rng(1)
    shapes = [format.plane_shape(i, 9, 7) for i in range(4)]
    planes = tuple(rng.integers(0, format.max_code, s).astype(format.dtype) for s in shapes)
    colour = Colour(matrix="gbr" if format.family == "rgb" else "bt709")
    opaque = (*planes[:3], np.full(shapes[3], format.max_code, format.dtype))
    assert all(
        np.array_equal(a, b) for a, b in zip(blend_over(opaque, format, colour, (0, 0, 0)), planes, strict=False)
    )
    clear = (*planes[:3], np.zeros(shapes[3], format.dtype))
    codes = background_codes(format, colour, (255, 0, 0))
    for plane, code in zip(blend_over(clear, format, colour, (255, 0, 0)), codes, strict=True):
        assert np.abs(plane - code).max() <= 0.5


def test_flattening_leaves_the_rest_of_the_source_alone() -> None:
    info = flattened(source_info(video_info("gbrap")), "white")
    assert info.video.format.name == "gbrp"
    assert info.video.flatten == (255, 255, 255)


def test_dolby_vision_profile_5_is_refused() -> None:
    with pytest.raises(InputError, match="profile 5"):
        prepare(ShapedInfo(source_info(video_info(dolby_vision=5))), EnhanceOptions(), 1)


def test_frames_that_cannot_fit_are_refused_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_memory, "available_bytes", lambda: 8 * 10**9)
    video = video_info("yuv420p10le", width=7680, height=4320)
    with pytest.raises(InputError, match=r"7680x4320 to 30720x17280 needs about \d+\.\d GB.*8\.0 GB are free"):
        frame_memory.check_memory(video, (30720, 17280))
    frame_memory.check_memory(video_info(width=1920, height=1080), (1920, 1080))


def test_an_encoder_that_needs_missing_hardware_gives_way_and_says_so(tmp_path: Path) -> None:
    codec, note = usable_codec("h264_nvenc")
    if not list(Path("/dev").glob("nvidia*")):
        assert codec == "h264"
        assert note is not None and note.startswith("h264_nvenc does not work on this machine (")
        assert note.endswith("encoding with h264 in software")
    # With a GPU either may come out; what comes out must open, and only the twin needs a note.
    assert (note is None) == (codec == "h264_nvenc")
    settings = EncoderSettings.for_source(video_info(), EncodeOptions(codec=codec), (256, 256))
    SegmentEncoder(tmp_path / "a.nut", settings).abort()
    assert usable_codec("hevc") == ("hevc", None)


def test_encoder_options_reach_the_encoder_or_are_refused(tmp_path: Path) -> None:
    known = EncodeOptions(codec="h264", encoder_options=("tune=film", "x264-params=keyint=7"))
    settings = EncoderSettings.for_source(video_info(), known, (64, 48))
    assert settings.encoder_options()["tune"] == "film"
    first, *others, last = settings.encoder_options()["x264-params"].split(":")
    assert (first, last) == ("stitchable=1", "keyint=7")
    assert others in ([], ["asm=avx2"]), "only what this processor needs lies between"
    SegmentEncoder(tmp_path / "a.nut", settings).abort()
    unknown = EncodeOptions(codec="h264", encoder_options=("nonsense=1",))
    with pytest.raises(EncodeError, match="knows no option nonsense"):
        SegmentEncoder(tmp_path / "b.nut", EncoderSettings.for_source(video_info(), unknown, (64, 48)))
    assert not list(tmp_path.iterdir())
    with pytest.raises(OptionsError, match="KEY=VALUE"):
        EnhanceOptions.from_flat({"encoder_options": ("film",)})


def test_a_wrong_preset_is_refused_in_words(tmp_path: Path) -> None:
    settings = EncoderSettings.for_source(video_info(), EncodeOptions(codec="h264", preset="rapid"), (64, 48))
    with pytest.raises(EncodeError, match="preset=rapid"):
        SegmentEncoder(tmp_path / "a.nut", settings)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"codec": "h264", "preset": "rapid"}, "--preset rapid: neither a material nor a preset of h264; .* veryfast"),
        ({"codec": "av1", "preset": "slow"}, "av1 are -1, 0"),
        ({"codec": "prores", "preset": "slow"}, "this codec has none"),
        ({"codec": "ffv1", "crf": 20}, "--crf 20: ffv1 has no constant quality"),
    ],
)
def test_a_preset_or_quality_that_a_codec_does_not_have(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        check_options(EncodeOptions(**options))
    for name, codec in CODECS.items():
        for preset in codec.presets or ():
            check_options(EncodeOptions(codec=name, preset=preset))


def test_mastering_data_in_the_units_of_each_encoder() -> None:
    display = [Fraction(n, 50000) for n in (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)]
    hdr = HdrInfo(mastering=(*display, Fraction(50, 10000), Fraction(1000)), light_level=(1000, 400))
    wanted = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    assert hdr_params(hdr_keys("hevc"), hdr)["master-display"] == wanted
    assert hdr_params(hdr_keys("h264"), hdr) == {"mastering-display": wanted, "cll": "1000,400"}
    assert hdr_params(hdr_keys("av1"), hdr)["mastering-display"].startswith("G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)")
    assert CODECS["ffv1"].hdr is None


def hdr_keys(codec: str) -> HdrKeys:
    keys = CODECS[codec].hdr
    assert keys is not None
    return keys


def test_a_matrix_that_a_codec_cannot_name_is_changed_or_refused() -> None:
    ycgco = video_info("yuv444p", colour=Colour(matrix="ycgco"), tags=ColourTags(matrix=8))
    chosen = encode_formats(ycgco, EncodeOptions(codec="vp9"))
    assert (chosen.colour.matrix, chosen.tags.matrix) == ("bt709", 1)
    assert any("no code for the matrix ycgco" in note for note in chosen.notes)
    assert encode_formats(ycgco, EncodeOptions(codec="h264")).tags.matrix == 8
    ictcp = video_info("yuv420p10le", colour=Colour(matrix="bt2020nc"), tags=ColourTags(matrix=14))
    with pytest.raises(EncodeError, match="ictcp"):
        encode_formats(ictcp, EncodeOptions(codec="vp9"))


def test_av1_is_told_no_rate_that_its_encoder_refuses() -> None:
    fast = video_info(rate=Fraction(1000))
    assert EncoderSettings.for_source(fast, EncodeOptions(codec="av1"), (64, 48)).rate == 240
    assert EncoderSettings.for_source(fast, EncodeOptions(codec="h264"), (64, 48)).rate == 1000
