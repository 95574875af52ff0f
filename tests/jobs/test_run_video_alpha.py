"""Alpha without an option: every kind of source with alpha keeps it to the code value, judged by ffmpeg."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import oracle
from tests.support.clips import ClipFactory
from vidsr import enhance

#: A moving picture under an alpha ramp that takes every value from transparent to opaque, and moves.
_RAMP = "geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='mod(X+Y*5+8*N,256)'"
_SOURCE = ("-f", "lavfi", "-i", f"testsrc2=s=64x48:r=24:d=0.25,format=rgba,{_RAMP}")
_KINDS = {
    "prores": ("a.mov", ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le")),
    "png": ("a.mov", ("-c:v", "png", "-pix_fmt", "rgba")),
    "png-16": ("a.mov", ("-c:v", "png", "-pix_fmt", "rgba64be")),
    "qtrle": ("a.mov", ("-c:v", "qtrle", "-pix_fmt", "argb")),
    "vp9": ("a.webm", ("-c:v", "libvpx-vp9", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p")),
    "vp8": ("a.webm", ("-c:v", "libvpx", "-auto-alt-ref", "0", "-pix_fmt", "yuva420p")),
    "ffv1": ("a.mkv", ("-c:v", "ffv1", "-pix_fmt", "yuva444p16le")),
}


def alpha(path: Path, codec: str, depth: int) -> npt.NDArray[np.int32]:
    """The alpha plane of every frame with so many bits, by ffmpeg."""
    # In RGB where the file is RGB: on its way from packed RGB to YUV, swscale changes alpha by a code value.
    rgb = "rgb" in (name := oracle.streams(path)[0]["pix_fmt"]) or "bgra" in name or name.startswith("gbr")
    layout = ("gbrap" if rgb else "yuva444p") + (f"{depth}le" if depth > 8 else "")
    decoder = {"vp9": ("-c:v", "libvpx-vp9"), "vp8": ("-c:v", "libvpx")}.get(codec, ())
    samples = oracle.decoded(path, layout, *decoder)
    frames = samples.reshape(-1, 4, 48, 64)  # of a layout with four planes of one size
    return frames[:, 3]


def assert_same(was: npt.NDArray[np.int32], depth: int, result: Path, codec: str) -> None:
    """The result's alpha is the source's, read with the bits that ProRes stores it in, or with the source's own."""
    stored = max(depth, 10) if codec == "prores" else depth
    now = alpha(result, codec, stored)
    assert np.array_equal(now >> (stored - depth), was)
    assert np.array_equal(np.rint(now * ((2**depth - 1) / (2**stored - 1))), was)


@pytest.mark.parametrize("kind", _KINDS)
def test_alpha_comes_back_to_the_code_value(kind: str, clips: ClipFactory, identity: Path, tmp_path: Path) -> None:
    name, encoding = _KINDS[kind]
    source = clips.make(name, *_SOURCE, *encoding)
    # Without an output, too: the result gets a name and a container of vidsr's choice.
    copy = tmp_path / name
    copy.write_bytes(source.read_bytes())
    result = enhance(copy, model=str(identity), scale=1)
    assert [n for n in result.notes if "alpha channel: encoding with" in n]
    depth = {"png-16": 16, "ffv1": 16, "prores": 10}.get(kind, 8)
    was = alpha(source, kind, depth)
    assert len(np.unique(was)) > 100
    assert_same(was, depth, result.output, result.codec)


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mov", "prores"), (".mkv", "ffv1"), (".webm", "vp9"), (".nut", "ffv1")]
)
def test_each_container_gets_a_codec_that_has_alpha(
    suffix: str, codec: str, clips: ClipFactory, identity: Path, tmp_path: Path
) -> None:
    source = clips.make("a.mov", *_SOURCE, "-c:v", "qtrle", "-pix_fmt", "argb")
    result = enhance(source, tmp_path / f"out{suffix}", model=str(identity), scale=1)
    assert result.codec == codec
    was = alpha(source, "qtrle", 8)
    if codec != "vp9":
        assert_same(was, 8, result.output, codec)
    else:
        assert 0 < np.abs(was - alpha(result.output, codec, 8)).mean() < 3
