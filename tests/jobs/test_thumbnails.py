"""The small picture of the work: right colours for every kind of frame, and no more of them than wanted."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.inference.colour import rgb8_of
from vidsr.jobs.state.job_folders import LIVE_NAME
from vidsr.jobs.thumbnails import LivePicture, reduced, small_rgb


def frame(name: str, codes: tuple[int, ...], size: tuple[int, int] = (1000, 402)) -> Frame:
    """One colour, full range BT.709."""
    format = PixelFormat.parse(name)
    assert format is not None
    shapes = [format.plane_shape(n, *size) for n in range(format.plane_count)]
    return Frame(
        planes=tuple(np.full(s, c, format.dtype) for s, c in zip(shapes, codes, strict=True)),
        format=format,
        colour=Colour(matrix="gbr" if format.family == "rgb" else "bt709", range="full"),
        index=0,
        pts=0,
        time_base=Fraction(1, 24),
    )


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("yuv420p", (63, 102, 238)),
        ("yuv422p10le", (252, 408, 955)),
        ("yuva444p", (63, 102, 238, 9)),
        ("gbrap", (16, 15, 236, 7)),
        ("gbrp16le", (16 * 257, 15 * 257, 236 * 257)),
    ],
)
def test_the_colour_is_right(name: str, codes: tuple[int, ...]) -> None:
    small = reduced(frame(name, codes))
    assert (small.width, small.height) == (334, 134)
    assert np.abs(rgb8_of(small).astype(int) - (236, 16, 15)).max() <= 3
    assert np.abs(small_rgb(frame(name, codes)).astype(int) - (236, 16, 15)).max() <= 3


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize("span", ["limited", "full"])
def test_numpy_and_torch_see_the_same(matrix: str, span: str) -> None:
    one = frame("yuv420p", (120, 100, 160), (64, 32))
    one.colour = Colour(matrix=matrix, range=span)  # type: ignore[arg-type]
    assert np.abs(small_rgb(one).astype(int) - rgb8_of(reduced(one))).max() <= 1


def test_grey_and_shapes_are_kept() -> None:
    grey = frame("gray10le", (512,))
    grey.planes[0][:, 500:] = 1023
    pixels = small_rgb(grey)
    assert abs(int(pixels[60, 100, 1]) - 128) <= 1 and pixels[60, 300].tolist() == [255, 255, 255]


def test_it_is_made_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("vidsr.jobs.thumbnails.time.monotonic", lambda: now)
    live = LivePicture(tmp_path)
    red, grey = frame("yuv420p", (63, 102, 238)), frame("gray", (128,))
    live(red)
    live(grey)
    seen = Image.open(io.BytesIO((tmp_path / LIVE_NAME).read_bytes()))
    assert seen.size == (334, 134) and seen.getpixel((5, 5))[0] > 200  # type: ignore[index]
    now += 2
    live(grey)
    assert Image.open(tmp_path / LIVE_NAME).getpixel((5, 5))[0] < 140  # type: ignore[index]
    LivePicture(tmp_path / "gone")(red)  # a folder that is not there disturbs nobody
