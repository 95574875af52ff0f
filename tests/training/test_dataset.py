"""Datasets: made of pictures and videos, stored, fed, and refused when broken."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.training import textured, write_clips
from vidsr.errors import InputError, TrainingError
from vidsr.frames import Colour, Frame, PixelFormat
from vidsr.media.source import VIDEO_SUFFIXES
from vidsr.quality.bicubic import resize_bicubic_uint8
from vidsr.training.dataset import selection
from vidsr.training.dataset.loader import Draw, Patches, StepShare, batches
from vidsr.training.dataset.make import make_dataset, source_files
from vidsr.training.dataset.patch_store import PatchStore
from vidsr.training.dataset.selection import Seen, choose, sharpness_of
from vidsr.training.options import MakeOptions, TrainOptions
from vidsr.web.routes_files import _entry

Options = Callable[..., TrainOptions]


def _save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_pictures_are_cut_to_cover_all_and_broken_ones_are_named(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    whole = textured(1, 100, 130)
    _save(source / "a.png", whole)
    _save(source / "small.png", textured(2, 20, 90))
    _save(source / "flat.png", np.full((64, 64, 3), 90, np.uint8))
    broken = _save(source / "broken.png", textured(3, 100, 100))
    broken.write_bytes(broken.read_bytes()[:4000])
    (source / "text.jpg").write_text("hello")
    tally = make_dataset([source], tmp_path / "out", MakeOptions(patch=64))
    store = PatchStore(tmp_path / "out")
    assert len(store) == tally.patches == 6  # 2 rows x 3 columns
    assert np.array_equal(store[0][0], whole[:64, :64])
    assert np.array_equal(store[5][0], whole[-64:, -64:])
    assert tally.flat == 1
    reasons = {Path(name).name: reason for name, reason in tally.refused}
    assert reasons.keys() == {"small.png", "broken.png", "text.jpg"}
    assert "smaller than a patch of 64 px" in reasons["small.png"]
    page = (tmp_path / "out/report.html").read_text()
    assert "6 patches" in page and "broken.png" in page and page.count("data:image/jpeg") == 1


@pytest.mark.parametrize(("channel", "weight"), [(0, 0.7152), (1, 0.0722), (2, 0.2126)], ids=["green", "blue", "red"])
def test_the_luma_of_rgb_frames_has_all_their_colours(channel: int, weight: float) -> None:
    format = PixelFormat.parse("gbrp10le")
    assert format is not None
    detail = (textured(4, 96, 128)[..., 0].astype(np.uint16) << 2) + 3
    planes = tuple(detail if n == channel else np.zeros_like(detail) for n in range(3))
    frame = Frame(planes=planes, format=format, colour=Colour(matrix="gbr", range="full"), index=0, pts=0,
                  time_base=Fraction(1, 25))  # fmt: skip
    assert np.abs(selection.luma_of(frame) - weight * detail).max() <= 0.5
    seen = selection.survey(iter([frame]))[0]
    assert seen.sharpness > 0
    assert float(seen.thumb.mean()) == pytest.approx(weight * detail.mean() / 1023, abs=0.002)


def test_a_folder_is_searched_for_every_kind_of_video(tmp_path: Path) -> None:
    for suffix in VIDEO_SUFFIXES:
        (tmp_path / f"a{suffix.upper()}").write_bytes(b"x")
        assert _entry(tmp_path / f"a{suffix.upper()}", (tmp_path,)) is not None
    assert {p.suffix.lower() for p in source_files([tmp_path])} == VIDEO_SUFFIXES


def test_strict_stops_and_leaves_no_dataset(tmp_path: Path) -> None:
    _save(tmp_path / "a.png", textured(1, 80, 80))
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(InputError, match="not a picture"):
        make_dataset([tmp_path], tmp_path / "out", MakeOptions(patch=64, strict=True))
    with pytest.raises(InputError, match="is not a dataset"):
        PatchStore(tmp_path / "out")


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(TrainingError, match="neither pictures nor videos"):
        make_dataset([empty], tmp_path / "out", MakeOptions())
    with pytest.raises(InputError, match="no such file or folder"):
        make_dataset([tmp_path / "missing"], tmp_path / "out", MakeOptions())
    _save(empty / "a.png", textured(1, 40, 40))
    with pytest.raises(TrainingError, match="not one patch of 256 px"):
        make_dataset([empty], tmp_path / "out", MakeOptions())


def test_a_folder_with_a_dataset_is_not_overwritten(small_dataset: Path, tmp_path: Path) -> None:
    _save(tmp_path / "a.png", textured(1, 80, 80))
    with pytest.raises(TrainingError, match="already holds a dataset"):
        make_dataset([tmp_path / "a.png"], small_dataset, MakeOptions(patch=64))


def test_paired_dataset(tmp_path: Path, small_options: Options) -> None:
    high, low = tmp_path / "high", tmp_path / "low"
    high.mkdir()
    low.mkdir()
    pixels = textured(5, 96, 128)
    _save(high / "x_HR.png", pixels)
    small = resize_bicubic_uint8(torch.from_numpy(pixels).permute(2, 0, 1), 0.25).permute(1, 2, 0).numpy()
    _save(low / "x_LR.png", small)
    make_dataset([high], tmp_path / "out", MakeOptions(patch=64, low=str(low)))
    store = PatchStore(tmp_path / "out")
    assert store[0][1] is not None and store[0][1].shape == (16, 16, 3)
    options = small_options(degradation={"recipe": "paired"})
    patches = Patches(store, options.data, options.degradation, Draw(seed=0, stage="psnr", scale=4))
    for place in range(6):
        low_patch, high_patch = patches[0, place]
        assert low_patch.shape == (3, 8, 8) and high_patch.shape == (3, 32, 32)
        made = resize_bicubic_uint8(high_patch, 0.25)
        inner = (made[:, 2:-2, 2:-2].int() - low_patch[:, 2:-2, 2:-2].int()).abs()
        assert inner.max() <= 2, "the twin shows the same place, turned the same way"


def test_wrong_pairs_are_errors(tmp_path: Path, small_dataset: Path, small_options: Options) -> None:
    high, low = tmp_path / "high", tmp_path / "low"
    high.mkdir()
    low.mkdir()
    _save(high / "x.png", textured(5, 96, 128))
    with pytest.raises(TrainingError, match="has no twin"):
        make_dataset([high], tmp_path / "out", MakeOptions(patch=64, low=str(low)))
    _save(low / "x.png", textured(5, 24, 30))
    with pytest.raises(TrainingError, match="30x24 times 4 is not the 128x96"):
        make_dataset([high], tmp_path / "out", MakeOptions(patch=64, low=str(low)))
    options = small_options(degradation={"recipe": "paired"})
    with pytest.raises(TrainingError, match="has no pairs"):
        Patches(PatchStore(small_dataset), options.data, options.degradation, Draw(seed=0, stage="psnr", scale=4))


def test_damaged_datasets_are_refused(tmp_path: Path, small_options: Options, small_dataset: Path) -> None:
    make_dataset([_save(tmp_path / "a.png", textured(1, 80, 80))], tmp_path / "out", MakeOptions(patch=64))
    shard = tmp_path / "out/high-00000.npy"
    data = shard.read_bytes()
    shard.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"high-00000\.npy: cannot be read"):
        PatchStore(tmp_path / "out")
    np.save(shard, np.array([{"code": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        PatchStore(tmp_path / "out")
    (tmp_path / "out/dataset.json").write_text("{")
    with pytest.raises(InputError, match="cannot be used"):
        PatchStore(tmp_path / "out")
    options = small_options(data={"patch": 64})
    several = small_options(data={"frames": 5})
    with pytest.raises(TrainingError, match="frames = 5 needs clips"):
        Patches(PatchStore(small_dataset), several.data, several.degradation, Draw(seed=0, stage="psnr", scale=4))
    with pytest.raises(TrainingError, match="patches are 48 px"):
        Patches(PatchStore(small_dataset), options.data, options.degradation, Draw(seed=0, stage="psnr", scale=4))


def test_feed_is_a_function_of_seed_stage_and_step(small_dataset: Path, small_options: Options) -> None:
    options = small_options()
    store = PatchStore(small_dataset)

    def all_of(seed: int = 0, stage: str = "psnr", part: StepShare | None = None, batch: int = 4) -> list[torch.Tensor]:
        data = replace(options.data, batch=batch)
        patches = Patches(store, data, options.degradation, Draw(seed=seed, stage=stage, scale=4))
        return [high for _, high in batches(patches, data, part or StepShare(start=0, stop=6))]

    whole = all_of()
    later = all_of(part=StepShare(start=3, stop=6))
    assert all(torch.equal(a, b) for a, b in zip(whole[3:], later, strict=True))
    halves = [all_of(batch=2, part=StepShare(start=0, stop=6, rank=r, ranks=2)) for r in (0, 1)]
    for step in range(6):
        assert torch.equal(torch.cat([halves[0][step], halves[1][step]]), whole[step])
    assert not torch.equal(whole[0], all_of(seed=1)[0])
    assert not torch.equal(whole[0], all_of(stage="gan")[0])
    assert not torch.equal(whole[0], whole[1])


def test_a_pickled_store_carries_no_pixels(small_dataset: Path) -> None:
    store = PatchStore(small_dataset)
    data = pickle.dumps(store)
    assert len(data) < 500
    assert np.array_equal(pickle.loads(data)[3][0], store[3][0])


def test_sharpness_falls_with_blur_not_with_contrast() -> None:
    luma = textured(7, 96, 96)[..., 0]
    soft = np.array(Image.fromarray(luma).resize((32, 32), Image.Resampling.BOX).resize((96, 96)))
    faint = (luma.astype(np.float32) * 0.5 + 60).astype(np.uint8)
    assert sharpness_of(soft) < 0.3 * sharpness_of(luma)
    assert sharpness_of(faint) == pytest.approx(sharpness_of(luma), rel=0.1)


def test_choose_takes_sharp_distinct_frames_from_all_scenes() -> None:
    rng = np.random.default_rng(0)
    base = [rng.random(selection.THUMB).astype(np.float32) for _ in range(3)]
    seen = []
    for number in range(90):
        scene = 0 if number < 80 else 1 if number < 85 else 2
        thumb = base[scene] + np.float32(0.05 * (number // 10))
        seen.append(Seen(number=number, scene=scene, sharpness=float(number % 10), thumb=thumb))
    seen.append(Seen(number=90, scene=3, sharpness=99.0, thumb=np.zeros(selection.THUMB, np.float32)))
    chosen = choose(seen, 6)
    assert [s.scene for s in chosen].count(1) == 1 and [s.scene for s in chosen].count(2) == 1
    assert all(s.scene != 3 for s in chosen), "a black frame is not taken"
    of_long = [s for s in chosen if s.scene == 0]
    assert len(of_long) == 4 and all(s.sharpness == 9 for s in of_long)
    assert len({s.number // 10 for s in of_long}) == 4, "they differ from each other"


def test_frames_of_a_video_are_what_a_decoder_shows(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    """Two scenes are found, and the chosen frame's colours are those of ffmpeg's own conversion."""
    clip = make_clip(
        "two_scenes.mkv",
        "-f", "lavfi", "-i", "testsrc=size=160x128:rate=10:duration=1",
        "-f", "lavfi", "-i", "mandelbrot=size=160x128:rate=10,trim=duration=1",
        "-filter_complex", "[0][1]concat=n=2:v=1,format=yuv444p", "-c:v", "ffv1", "-colorspace", "smpte170m",
    )  # fmt: skip
    survey = selection.survey_video(clip, 4)
    assert survey.scenes == 2
    assert {s.scene for s in survey.chosen} == {0, 1}
    number, pixels = next(iter(survey.pictures()))
    assert pixels.shape == (128, 160, 3) and number == survey.chosen[0].number
    red_bar = pixels[30:50].reshape(-1, 3).astype(int)
    assert (np.abs(red_bar - [255, 0, 0]).max(1) < 12).any()
    tally = make_dataset([clip], tmp_path / "out", MakeOptions(patch=64, frames=4))
    assert tally.videos[0]["scenes"] == 2 and tally.patches > 4


def test_sheet_shows_pairs(small_dataset: Path, small_options: Options, tmp_path: Path) -> None:
    from vidsr.training.dataset.example_sheet import GAP, write_sheet

    options = small_options(degradation={"recipe": "second_order"})
    write_sheet(small_dataset, tmp_path / "sheet.png", options, 3)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * (32 + GAP), 3 * (32 + GAP))
        pixels = np.asarray(sheet)
    assert np.abs(pixels[:32, :32].astype(int) - pixels[:32, 36:68]).mean() > 3


def test_sheet_of_clips_shows_frames_above_degraded_ones(
    small_dataset: Path, small_options: Options, tmp_path: Path
) -> None:
    from vidsr.training.dataset.example_sheet import GAP, fitted, write_sheet

    folder = write_clips(tmp_path / "clips", 3, 7, 40)
    options = fitted(small_options(data={"patch": 64, "margin": 0}), folder)
    assert options.data.frames == 7 and options.data.patch == 32
    assert fitted(options, small_dataset).data.frames == 1
    write_sheet(folder, tmp_path / "sheet.png", options, 2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * (32 + GAP), 4 * (32 + GAP))
        pixels = np.asarray(sheet).astype(int)
    for column in range(4):
        left = column * (32 + GAP)
        above, below = pixels[:32, left : left + 32], pixels[36:68, left : left + 32]
        assert 0 < np.abs(above - below).mean() < 40 and np.array_equal(below[0::4], below[1::4])
    assert not np.array_equal(pixels[:32, :32], pixels[:32, 36:68]), "frames differ"


def test_combed_frames_and_bars_are_left_out(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    """A second of interlaced motion, then a second of progressive video, all in a letterbox."""
    clip = make_clip(
        "combed.mkv",
        "-f", "lavfi", "-i", "mandelbrot=size=192x96:rate=50,trim=start=2:duration=1,setpts=PTS-STARTPTS",
        "-f", "lavfi", "-i", "testsrc=size=192x96:rate=25:duration=1",
        "-filter_complex",
        "[0]scroll=h=0.04,tinterlace=interleave_top[a];[a][1]concat=n=2:v=1,pad=192:160:0:32,format=yuv444p",
        "-c:v", "ffv1",
    )  # fmt: skip
    survey = selection.survey_video(clip, 20)
    assert survey.combed >= 20
    assert survey.chosen and all(one.number >= 25 for one in survey.chosen)
    assert survey.crop == (0, 32, 192, 96)
    assert next(iter(survey.pictures()))[1].shape == (96, 192, 3)
    tally = make_dataset([clip], tmp_path / "out", MakeOptions(patch=64, frames=4))
    assert tally.videos[0]["picture"] == "192×96" and tally.videos[0]["combed"] == survey.combed


def test_pairs_beside_each_other_and_of_the_same_name_in_folders(tmp_path: Path) -> None:
    beside, small = tmp_path / "beside", textured(5, 16, 16)
    beside.mkdir()
    _save(beside / "x_HR.png", textured(5, 64, 64))
    _save(beside / "x_LR.png", small)
    make_dataset([beside], tmp_path / "one", MakeOptions(patch=64, low=str(beside)))
    kept = PatchStore(tmp_path / "one")[0][1]
    assert kept is not None and np.array_equal(kept, small)
    for part, seed in (("a", 1), ("b", 2)):
        for side, folder in ((64, "high"), (16, "low")):
            (tmp_path / folder / part).mkdir(parents=True)
            _save(tmp_path / folder / part / "x.png", textured(seed, side, side))
    make_dataset([tmp_path / "high"], tmp_path / "two", MakeOptions(patch=64, low=str(tmp_path / "low")))
    store = PatchStore(tmp_path / "two")
    assert [int(store[i][1].sum()) for i in (0, 1)] == [int(textured(s, 16, 16).sum()) for s in (1, 2)]
    _save(tmp_path / "x.png", textured(1, 64, 64))
    with pytest.raises(TrainingError, match="has several twins"):
        make_dataset([tmp_path / "x.png"], tmp_path / "three", MakeOptions(patch=64, low=str(tmp_path / "low")))


def test_flip_and_turn(small_dataset: Path, small_options: Options) -> None:
    """None, mirrored left to right, or all eight variants of the one patch of its size."""
    store = PatchStore(small_dataset)
    seen = {}
    for flip, turn in ((False, False), (True, False), (True, True)):
        options = small_options(data={"patch": 48, "margin": 0, "flip": flip, "turn": turn})
        patches = Patches(store, options.data, options.degradation, Draw(seed=0, stage="psnr", scale=4))
        seen[flip, turn] = {patches[step, 0][1].numpy().tobytes() for step in range(1200)}
    originals = {np.ascontiguousarray(store[i][0].transpose(2, 0, 1)).tobytes() for i in range(len(store))}
    mirrored = {np.ascontiguousarray(store[i][0][:, ::-1].transpose(2, 0, 1)).tobytes() for i in range(len(store))}
    assert seen[False, False] == originals and seen[True, False] == originals | mirrored
    assert len(seen[True, True]) == 8 * len(store)
