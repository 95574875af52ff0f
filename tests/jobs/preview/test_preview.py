"""Previews and estimates: right frames, right figures, sheets that show what they say."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.command_line import vidsr
from tests.support.places import STILL
from vidsr.cli.preview import tried
from vidsr.errors import InputError, OptionsError
from vidsr.jobs.enhance import enhance
from vidsr.jobs.preview.estimate import estimate, sample_ranges
from vidsr.jobs.preview.figures import figures_line, moment_figures
from vidsr.jobs.preview.preview import Moment, Previewer, detail_box, sheet
from vidsr.options.command_options import SamplingOptions
from vidsr.options.enhance_options import EnhanceOptions

SMALL = {"model": "realesr-animevideov3", "device": "cpu", "scale": 2}


def options(**values: Any) -> EnhanceOptions:
    return EnhanceOptions.from_flat(SMALL | values)


def nearest(pixels: np.ndarray, frames: list[av.VideoFrame]) -> int:
    """The number of the frame that looks most like the picture. (Not equal: libswscale enlarges chroma otherwise.)"""
    errors = [np.abs(pixels.astype(int) - f.to_ndarray(format="rgb24")).mean() for f in frames]
    assert min(errors) < 10
    return int(np.argmin(errors))


def test_a_moment_is_the_frame_shown_then_and_what_the_job_makes_of_it(clips: Any, tmp_path: Path) -> None:
    source = clips("basic")
    with av.open(str(source)) as container:
        frames = list(container.decode(video=0))
    previewer = Previewer(source, options())
    wanted = frames[len(frames) // 2]
    moment = previewer.at(float(wanted.time - frames[0].time) + 0.001)
    assert nearest(moment.before, frames) == len(frames) // 2
    assert moment.after.shape == (2 * wanted.height, 2 * wanted.width, 3)
    result = enhance(source, tmp_path / "out.mkv", options=options(codec="ffv1"))
    with av.open(str(result.output)) as container:
        whole = list(container.decode(video=0))
    assert nearest(moment.after, whole) == len(frames) // 2
    assert nearest(previewer.at(1e6).before, frames) == len(frames) - 1
    assert nearest(previewer.at(0).before, frames) == 0


def test_detail_is_where_the_contrast_is() -> None:
    pixels = np.full((90, 120, 3), 128, np.uint8)
    pixels[40:48:2, 70:84] = 255
    left, top, right, bottom = detail_box(pixels)
    assert left <= 77 <= right and top <= 44 <= bottom
    assert (right - left, bottom - top) == (20, 10)


def test_sheet_has_a_column_for_every_set_of_options(clips: Any) -> None:
    rows = [[Previewer(clips("basic"), options(scale=s)).at(0.2) for s in (2, 3)]]
    paper = sheet(rows, ["two", "a label that is very long " * 8])
    assert paper.width == 3 * (480 + 12) + 12
    pixels = np.asarray(paper).reshape(-1, 3)
    assert len(np.unique(pixels, axis=0)) > 100
    assert (pixels == (255, 80, 60)).all(axis=1).sum() > 100  # the frame around the detail


def test_figures_of_a_moment_stand_under_its_picture() -> None:
    with Image.open(STILL) as picture:
        after = np.asarray(picture.convert("RGB"))
    before = np.asarray(Image.fromarray(after).resize((80, 45), Image.Resampling.BOX))
    moment = Moment(seconds=0.0, before=before, after=after, place="at 0.00 s")
    figures = moment_figures(moment)
    assert figures["niqe"] == pytest.approx(4.417, abs=1e-2)
    assert figures["sharpness_gained"] > 1.3 and 25 < figures["consistency"] < 60
    line = figures_line(figures)
    assert line.startswith("NIQE 4.42 · sharpness x") and line.endswith(" dB")
    assert figures_line({"sharpness_gained": 1.5}) == "sharpness x1.50", "what is not known is left out"
    plain, marked = (np.asarray(sheet([[moment, moment]], ["a", "b"], lines)) for lines in ((), [[line, line]]))
    rows, columns = np.nonzero((plain != marked).any(-1))
    assert columns.min() > 500 and rows.min() > plain.shape[0] - 45, "below the results, not below the source"


def test_sample_ranges_are_spread_and_cover_short_videos() -> None:
    assert sample_ranges(range(1000), 4, 20) == [(115, 135), (365, 385), (615, 635), (865, 885)]
    short = sample_ranges(range(50), 4, 24)
    assert short[0][0] == 0 and short[-1][1] == 50
    assert all(a[1] == b[0] for a, b in pairwise(short))


def test_sample_ranges_are_whole_windows() -> None:
    assert sample_ranges(range(1000), 1, 4, 32) == [(512, 544)], "one, however few frames were asked for"
    found = sample_ranges(range(7, 1000), 4, 24, 32)
    assert len(found) == 3 and all(start % 32 == 0 and stop - start == 32 for start, stop in found)
    assert sample_ranges(range(5, 40), 1, 4, 32) == [(5, 37)], "no window lies in the part"
    assert sample_ranges(range(5, 35), 1, 4, 32) == [(5, 35)]


def test_estimate_of_the_size_and_its_figures(clips: Any, tmp_path: Path) -> None:
    source = clips("basic")
    found = estimate(source, options(), SamplingOptions(samples=2, sample_frames=12))
    result = enhance(source, tmp_path / "out.mkv", options=options())
    assert found.frames == result.frames
    assert found.size == tuple(2 * s for s in found.source_size)
    assert found.result_bytes == pytest.approx(result.output.stat().st_size, rel=0.35)
    assert found.disk_bytes >= found.result_bytes and found.memory_bytes > 50e6
    assert 0 < found.seconds < 3600


def test_size_of_a_long_result_from_few_frames(make_clip: Any, identity: Path, tmp_path: Path) -> None:
    """A still beginning, then motion: places alone mislead, and so do short samples."""
    moving = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=6")
    source = make_clip("long.mkv", *moving, "-vf", "tpad=start_duration=2:start_mode=clone", "-c:v", "ffv1")
    quick = options(model=str(identity), scale=1)
    found = estimate(source, quick, SamplingOptions(samples=3, sample_frames=8))
    result = enhance(source, tmp_path / "out.mkv", options=quick)
    assert found.sampled_frames == 24 and found.frames == result.frames == 200
    assert found.result_bytes == pytest.approx(result.output.stat().st_size, rel=0.15)


def test_a_large_picture_is_shown_by_its_middle_turned_as_people_see_it(tmp_path: Path) -> None:
    pixels = np.full((600, 1000, 3), 90, np.uint8)
    pixels[290:310] = 200
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(pixels).save(tmp_path / "large.png", exif=turned)
    moment = Previewer(tmp_path / "large.png", options()).at(0)
    height, width = moment.before.shape[:2]
    assert height * width <= 300_000 and height / width == pytest.approx(1000 / 600, rel=0.01)
    assert moment.after.shape == (2 * height, 2 * width, 3)
    assert moment.before[:, width // 2].mean() > 190 and moment.before[:, 0].mean() < 100
    assert moment.place == "the middle of 1000x600"


def test_pictures_of_any_kind_are_shown_as_rgb(tmp_path: Path) -> None:
    ramp = np.linspace(1000, 3000, 24 * 16).reshape(16, 24)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "deep.tif")
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "float.tif")
    Image.new("CMYK", (24, 16), (0, 200, 200, 0)).save(tmp_path / "inks.jpg")
    Image.new("RGBA", (24, 16), (250, 10, 10, 0)).save(tmp_path / "clear.png")
    for name in ("deep.tif", "float.tif", "inks.jpg", "clear.png"):
        moment = Previewer(tmp_path / name, options()).at(0)
        assert moment.before.shape == (16, 24, 3) and moment.after.shape == (32, 48, 3)
        assert moment.before.dtype == moment.after.dtype == np.uint8
        if "inks" not in name and "clear" not in name:
            assert moment.before.min() == 0 and moment.before.max() == 255
    assert set(np.unique(moment.before)) == {128}


def test_tries() -> None:
    base = options(crf=20)
    changed = tried(base, "--scale 3 --codec hevc")
    assert (changed.size.scale, changed.encode.codec, changed.encode.crf) == (3, "hevc", 20)
    with pytest.raises(OptionsError, match=r'--try "--nonsense"'):
        tried(base, "--nonsense")
    with pytest.raises(OptionsError, match="takes only options that affect the result"):
        tried(base, "--output x.mkv")


def test_command_line(clips: Any, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    command = ["preview", clips("basic"), "-o", out, "--json"]
    command += ["--at", "0.1", "--single", str(tmp_path / "p"), "--no-plan", "--device", "cpu"]
    command += ["--try", "--model realesr-animevideov3 --scale 2", "--try", "--model realesr-animevideov3 --scale 3"]
    done = vidsr(*command)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["sheet"] == str(out) and len(told["pictures"]) == 3
    with Image.open(out) as image:
        assert image.width == 1488
    again = vidsr(*command)
    assert again.returncode == 1 and "already exists" in again.stderr


def test_a_source_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(InputError):
        estimate(tmp_path / "text.mp4", options())
