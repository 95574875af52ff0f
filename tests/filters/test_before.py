"""Filters ahead of the network: against truth, against ffmpeg, and cut into segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.clips import run_ffmpeg
from tests.support.field_clips import YUV, Clip, frames_of, moments, pulled_down, woven
from tests.support.places import SAMPLE
from vidsr.errors import OptionsError
from vidsr.filters.before.crop import Crop
from vidsr.filters.before.dedupe import without_repeats
from vidsr.filters.before.deflicker import Deflicker
from vidsr.filters.before.deinterlace import Deinterlace, doubled
from vidsr.filters.before.denoise import Denoise
from vidsr.filters.before.descriptor import Clock, descriptor, lookaround, make_filter
from vidsr.filters.before.dust import Dust, _highest
from vidsr.filters.before.filter import Filter
from vidsr.filters.before.grey import Grey
from vidsr.filters.before.ivtc import matched
from vidsr.filters.before.timeline import Timeline, Times
from vidsr.frames import Frame
from vidsr.media.decode import read_frames
from vidsr.media.probe import probe
from vidsr.options.filter_choices import FilterSelection

MakeClip = Callable[..., Path]
ALL = (
    *("dotcrawl=ntsc", "dotcrawl=pal", "rainbow=ntsc", "rainbow=pal", "wobble", "deinterlace-quick=tff"),
    *(
        "deinterlace=tff",
        "headswitch=8",
        "crop=8:4:96:80",
        "chroma=2.5",
        "bleed=0.4",
        "dropout",
        "deblock=0.5",
        "weave",
        "scratch",
    ),
    *("dehalo=0.8:6", "breathing", "dust", "deflicker", "denoise=0.7", "deband=3"),
    *("fade=0.7:0.5:0:0.3", "grey"),
)


def made(text: str) -> Filter:
    (choice,) = FilterSelection.parse(text).choices
    return make_filter(choice)


def psnr(result: list[Frame], truth: Clip) -> float:
    errors = [((f.planes[0].astype(float) - np.rint(t)) ** 2).mean() for f, t in zip(result, truth, strict=True)]
    return float(10 * np.log10(255**2 / max(np.mean(errors[1:-1]), 1e-9)))


def times(count: int, step: int = 3600) -> Times:
    return Times(pts=[7 + step * n for n in range(count)], durations=[step] * count, time_base=Fraction(1, 90000))


def ffmpeg_filtered(clip: Clip, chain: str, folder: Path) -> list[Frame]:
    height, width = clip[0].shape
    raw = b"".join(np.clip(np.rint(y), 0, 255).astype(np.uint8).tobytes() for y in clip)
    out = run_ffmpeg(
        *("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-i", "-", "-vf", chain),
        *("-f", "rawvideo", "-pix_fmt", "gray", "-"),
        stdin=raw,
    )
    pictures = np.frombuffer(out, np.uint8).reshape(-1, height, width)
    return frames_of([p.astype(np.float32) for p in pictures])


def test_doubled_fields_fill_the_time_of_their_frame_whatever_its_length() -> None:
    durations = [3600, 3601, 1, 7]
    pts = [7 + sum(durations[:n]) for n in range(4)]
    entries = doubled(Times(pts=pts, durations=durations, time_base=Fraction(1, 90000)), "tff").entries
    assert [e.pts for e in entries[::2]] == pts
    assert all(a.pts + a.duration == b.pts for a, b in pairwise(entries))
    assert entries[-1].pts + entries[-1].duration == 7 + sum(durations)


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("motion", [(2, 0), (1, 1), (4, 2)])
def test_deinterlacing_is_at_least_as_good_as_ffmpegs(order: str, motion: tuple[int, int], tmp_path: Path) -> None:
    truth = moments(24, *motion)
    clip = woven(truth, order)
    ours = list(Deinterlace(order)(iter(frames_of(clip))))
    theirs = ffmpeg_filtered(clip, f"bwdif=send_frame:{order}", tmp_path)
    assert psnr(ours, truth[0::2]) >= psnr(theirs, truth[0::2])
    assert psnr(ours, truth[0::2]) > psnr(frames_of(clip), truth[0::2]) + 3


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_a_frame_for_each_field(order: str) -> None:
    truth = moments(24, 2)
    source = frames_of(woven(truth, order))
    table = doubled(times(12), order)
    result = list(table.read(lambda a, b: iter(source[a:b]), 0, 24))
    assert [f.pts for f in result] == [7 + 1800 * n for n in range(24)]
    assert psnr(result, truth) > 30


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("phase", range(5))
def test_inverse_telecine_gives_the_film_back(order: str, phase: int) -> None:
    film = moments(44, 3, 1)
    source = frames_of(pulled_down(film, order, 2 * phase)[:50])
    table = matched(iter(source), times(50, 3003 * 4), order)
    result = list(table.read(lambda a, b: iter(source[a:b]), 0, len(table.entries)))
    # Phase 2 begins with one field of a film frame whose other field is not there: it is kept as a frame of its own.
    spare = 1 if phase == 2 else 0
    assert len(result) == 40 + spare
    assert [f.pts for f in result][-36:] == [7 + 3003 * 5 * n for n in range(4, 40)]
    originals = {np.rint(y).astype(np.uint8).tobytes() for y in film}
    # Each is a film frame, whole; at the very ends half a frame may have no partner.
    whole = [f.planes[0].tobytes() in originals for f in result]
    assert all(whole[1 + spare : -1])
    assert len({f.planes[0].tobytes() for f in result}) >= 39


def test_true_video_between_film_survives() -> None:
    film, video = pulled_down(moments(24, 3), "tff")[:25], woven(moments(50, 3, seed=5), "tff")
    source = frames_of(film + video)
    table = matched(iter(source), times(50, 12012), "tff")
    assert all(e.kind == 0 for e in table.entries[2:18])
    of_video = [e for e in table.entries if min(e.top, e.bottom) >= 26]
    assert len(of_video) == 24 and sum(e.kind == 1 for e in of_video) >= 22
    assert [e.pts for e in of_video] == [7 + 12012 * n for n in range(26, 50)]


def test_repeats_go_and_the_rest_share_the_time() -> None:
    film = moments(16, 3)
    source = frames_of([film[n] for n in range(16) for _ in range(2 if n % 4 == 3 else 1)])
    table = without_repeats(iter(source), times(20, 12012))
    assert len(table.entries) == 16
    assert [e.pts for e in table.entries] == [7 + 15015 * n for n in range(16)]
    twos = frames_of([film[n // 2] for n in range(20)])
    table = without_repeats(iter(twos), times(20))
    assert [e.pts for e in table.entries] == [7 + 7200 * n for n in range(10)]
    assert all(e.duration == 7200 for e in table.entries)


def test_nothing_goes_where_nothing_repeats() -> None:
    source = frames_of(moments(20, 3))
    for table in (without_repeats(iter(source), times(20)), matched(iter(source), times(20), "tff")):
        assert [(e.top, e.bottom, e.kind) for e in table.entries] == [(n, n, 0) for n in range(20)]


def test_a_table_survives_json_and_any_cut() -> None:
    source = frames_of(pulled_down(moments(30, 3), "tff")[:35])
    table = matched(iter(source), times(35), "tff")
    assert Timeline.from_values(table.to_values()) == table
    whole = list(table.read(lambda a, b: iter(source[a:b]), 0, len(table.entries)))
    for first, stop in ((0, 1), (5, 9), (11, len(table.entries))):
        part = table.read(lambda a, b: iter(source[a:b]), first, stop)
        for one, other in zip(part, whole[first:stop], strict=True):
            assert (one.pts, one.index) == (other.pts, other.index)
            assert all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


def test_times_are_whole_numbers() -> None:
    double, film = descriptor("deinterlace").doubling, descriptor("ivtc").retiming
    assert double is not None and film is not None
    clock = Clock(rate=Fraction(25), time_base=Fraction(1, 25))
    finer = [
        clock.time_base / retiming.after("tff", clock, step).time_base
        for retiming, step in ((double, 1), (double, 3600), (film, 3003), (film, 12012))
    ]
    assert finer == [2, 1, 4, 1]


def noisy(clip: Clip, sigma: float) -> Clip:
    rng = np.random.default_rng(3)
    return [y + rng.normal(0, sigma, y.shape).astype(np.float32) for y in clip]


@pytest.mark.parametrize("text", ALL)
def test_a_segment_is_what_it_is_in_the_whole(text: str) -> None:
    clip = noisy([y * (1 + 0.02 * (-1) ** n) for n, y in enumerate(moments(19, 2))], 3)
    source = frames_of(clip, 131)
    before, after = lookaround([made(text)])
    whole = list(made(text)(iter(source)))
    assert [f.index for f in whole] == list(range(19))
    for start, stop in ((0, 9), (9, 10), (10, 19)):
        low, high = max(0, start - before), min(19, stop + after)
        part = list(made(text)(iter(source[low:high])))[start - low : stop - low]
        for one, other in zip(part, whole[start:stop], strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


@pytest.mark.parametrize("text", ALL)
@pytest.mark.parametrize("format", ["yuv420p10le", "yuv444p", "gray", "gbrp"])
def test_every_filter_takes_every_format(text: str, format: str) -> None:
    from vidsr.frames import PixelFormat

    parsed = PixelFormat.parse(format)
    assert parsed is not None
    rng = np.random.default_rng(1)
    frames = [
        replace(
            frame,
            format=parsed,
            planes=tuple(
                rng.integers(0, parsed.max_code + 1, parsed.plane_shape(n, 128, 96)).astype(parsed.dtype)
                for n in range(parsed.plane_count)
            ),
        )
        for frame in frames_of(moments(4, 2))
    ]
    result = list(made(text)(iter(frames)))
    assert len(result) == 4
    for frame in result:
        assert all(p.dtype == frame.format.dtype for p in frame.planes)
        assert frame.format == parsed or frame.format == parsed.with_depth(16)


def test_dust_goes_and_motion_stays() -> None:
    truth = moments(9, 2)
    dirty = [y.copy() for y in truth]
    for n, (y, x) in ((2, (20, 30)), (4, (50, 80)), (6, (70, 40))):
        dirty[n][y : y + 4, x : x + 4] = 250
    clean = list(Dust()(iter(frames_of(dirty))))
    worst = max(np.abs(f.planes[0].astype(float) - t).max() for f, t in zip(clean, truth, strict=True))
    assert worst < 60
    assert psnr(clean, truth) > psnr(frames_of(dirty), truth) + 8
    untouched = list(Dust()(iter(frames_of(truth))))
    assert psnr(untouched, truth) > 45


def test_denoising_gains_and_does_not_smear() -> None:
    truth = moments(9, 2)
    dirty = noisy(truth, 8)
    clean = list(Denoise()(iter(frames_of(dirty))))
    assert psnr(clean, truth) > psnr(frames_of(dirty), truth) + 3


def test_deflicker_steadies_and_leaves_fades_and_cuts() -> None:
    truth = moments(30, 1)
    rng = np.random.default_rng(2)
    shaken = [16 + (y - 16) * (1 + 0.06 * rng.uniform(-1, 1)) for y in truth]

    def unsteady(result: Iterator[Frame] | list[Frame]) -> float:
        means = np.array([f.planes[0].mean() for f in result])
        return float(np.abs(np.diff(means, 2)).mean())

    assert unsteady(Deflicker()(iter(frames_of(shaken)))) < 0.35 * unsteady(frames_of(shaken))
    fade = [16 + (y - 16) * (0.3 + 0.02 * n) for n, y in enumerate(truth)]
    assert psnr(list(Deflicker()(iter(frames_of(fade)))), fade) > 45
    cut = truth[:15] + [y * 0.4 for y in moments(15, 1, seed=9)]
    assert psnr(list(Deflicker()(iter(frames_of(cut)))), cut) > 40


def test_crop_and_grey() -> None:
    frame = frames_of(moments(1), 140)[0]
    (cut,) = Crop(10, 20, 64, 40)(iter([frame]))
    assert np.array_equal(cut.planes[0], frame.planes[0][20:60, 10:74])
    assert cut.planes[1].shape == (20, 32)
    (grey,) = Grey()(iter([frame]))
    assert all((p == 128).all() for p in grey.planes[1:])
    assert grey.planes[0] is frame.planes[0]
    assert grey.format == YUV


@pytest.mark.parametrize(
    "text",
    [
        "crop=1",
        "crop=a:b:c:d",
        "denoise=2",
        "grey=1",
        "dust=x",
        "dust=0",
        "ivtc=up",
        "chroma=0",
        "bleed=9",
        "headswitch=0",
    ],
)
def test_parameters_that_mean_nothing(text: str) -> None:
    with pytest.raises(OptionsError, match="--restore"):
        made(text)


@pytest.mark.parametrize(
    ("order", "first", "codec"),
    [("tff", "top", ("ffv1",)), ("bff", "bottom", ("mpeg2video", "-q:v", "4", "-flags", "+ildct+ilme"))],
)
def test_real_film_comes_back_whole(order: str, first: str, codec: tuple[str, ...], make_clip: MakeClip) -> None:
    """Slow motion, stretches that stand still, and a codec's noise break no rhythm."""
    chain = f"telecine=first_field={first},setfield={order}"
    clip = make_clip("telecined.mkv", "-r", "24000/1001", "-i", str(SAMPLE), "-vf", chain, "-an", "-c:v", *codec)
    source = list(read_frames(probe(clip)))
    film = [f.planes[0].astype(np.float32) for f in read_frames(probe(SAMPLE))]
    table = matched(iter(source), times(len(source), 12012), order)
    result = list(table.read(lambda a, b: iter(source[a:b]), 0, len(table.entries)))
    assert len(film) == 48 and [f.pts for f in result] == [7 + 15015 * n for n in range(48)]
    assert psnr(result, film) > (60 if codec == ("ffv1",) else 35)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (17, 40)])
@pytest.mark.parametrize("around", [1, 2])
def test_highest_value_around(size: tuple[int, int], around: int) -> None:
    picture = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(3)) - 0.5
    expected = torch.nn.functional.max_pool2d(picture, 2 * around + 1, 1, around)
    assert torch.equal(_highest(picture, around), expected)


def test_dust_leaves_what_moves_too_fast_to_be_followed() -> None:
    """The right half is another texture in each frame, as if it rushed by; the left half stands still, with a speck."""
    clip = [np.concatenate((moments(1, seed=2)[0][:, :64], moments(1, seed=20 + n)[0][:, 64:]), 1) for n in range(5)]
    speck = (slice(40, 44), slice(20, 24))
    whole = clip[2].copy()
    clip[2][speck] = 255
    made = list(Dust()(iter(frames_of(clip))))
    changed = np.abs(made[2].planes[0].astype(float) - np.rint(clip[2])) > 2
    assert changed[:, 72:].mean() < 0.01
    assert np.abs(made[2].planes[0][speck].astype(float) - np.rint(whole)[speck]).mean() < 4


def test_dust_leaves_what_swings_there_and_back_and_takes_a_speck() -> None:
    """A bar that is at another place in each frame: only five frames tell it from a speck."""
    background = moments(1, seed=5)[0]
    clip = [background.copy() for _ in range(7)]
    for n, x in enumerate((20, 70, 20, 70, 20, 70, 20)):
        clip[n][60:66, x : x + 20] = 240
    clip[3][20:24, 40:44] = 240
    result = list(Dust()(iter(frames_of(clip))))[3].planes[0].astype(float)
    assert np.abs(result - np.rint(clip[3]))[56:70].max() <= 2
    assert np.abs(result - np.rint(background))[20:24, 40:44].mean() < 4


def test_dust_takes_faint_specks_and_those_that_others_lie_beside() -> None:
    """Neither depth nor what lies beside it before and after makes a thing that moves of a speck."""
    background = moments(1, seed=5)[0]
    clip = [background.copy() for _ in range(7)]
    for n, x in ((2, 60), (3, 40), (4, 24)):
        clip[n][30:36, x : x + 6] = 235
    clip[3][64:69, 80:85] = background[64:69, 80:85] + np.float32(16)
    result = list(Dust()(iter(frames_of(clip))))[3].planes[0].astype(float)
    left = np.abs(result - np.rint(background))
    assert left[30:36, 40:46].mean() < 4
    assert left[64:69, 80:85].mean() < 8  # half of what it was
