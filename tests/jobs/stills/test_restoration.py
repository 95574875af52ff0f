"""Restoration of still pictures, around a resampler in the network's place that tints and blurs as networks do."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidsr.errors import OptionsError
from vidsr.filters.detect import statistics
from vidsr.jobs.enhance import enhance
from vidsr.jobs.state.result import PictureResult
from vidsr.jobs.stills import picture as jobs
from vidsr.jobs.stills.picture import enhance_picture
from vidsr.options.enhance_options import EnhanceOptions


class Tinting:
    """Doubles with bicubic weights, and does what networks do: takes noise off, shifts the colour."""

    scale = 2
    tint = np.array([1.0, 0.9, 1.05], np.float32)

    def picture(self, picture: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        size = size or (picture.shape[1] * 2, picture.shape[0] * 2)
        planes = [picture] if picture.ndim == 2 else list(np.moveaxis(picture, 2, 0))
        small = [Image.fromarray(p.copy()).reduce(2) for p in planes]
        grown = [np.asarray(p.resize(size, Image.Resampling.BICUBIC)) for p in small]
        return grown[0] if picture.ndim == 2 else np.dstack(grown) * self.tint


def options(**values: object) -> EnhanceOptions:
    return EnhanceOptions.from_flat({"fidelity": "0", "colour_lock": False, **values})


def scene(height: int = 160, width: int = 240) -> np.ndarray:
    """Soft shades and some edges, float32 0..255."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    shades = np.dstack([110 + 60 * np.sin(x / 40), 100 + 50 * np.cos(y / 30), 90 + 40 * np.sin((x + y) / 50)])
    shades[40:90, 60:120] += 45
    return shades


def run(folder: Path, pixels: np.ndarray, name: str, chosen: EnhanceOptions) -> tuple[np.ndarray, PictureResult]:
    source = folder / "in.png"
    Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8)).save(source)
    result = enhance_picture(source, folder / f"{name}.png", chosen, Tinting())
    return np.asarray(Image.open(folder / f"{name}.png")).astype(np.float32), result


def down(pixels: np.ndarray) -> np.ndarray:
    return pixels.reshape(pixels.shape[0] // 2, 2, pixels.shape[1] // 2, 2, -1).mean((1, 3))


def noisy(sigma: float = 12) -> np.ndarray:
    return (scene() + np.random.default_rng(5).normal(0, sigma, scene().shape)).clip(0, 255).round()


def blocky(quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(scene().astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream)).astype(np.float32)


def test_fidelity_brings_the_result_back_to_the_source(tmp_path: Path) -> None:
    without, _ = run(tmp_path, scene(), "without", options())
    with_it, _ = run(tmp_path, scene(), "with", options(fidelity="1"))
    assert np.abs(down(with_it) - scene()).mean() < 0.2 * np.abs(down(without) - scene()).mean()


def test_auto_fidelity_follows_clean_pictures_and_is_the_default(tmp_path: Path) -> None:
    grainy = np.random.default_rng(1).normal(0, 1.0, scene().shape) + scene()  # detail down to the pixel
    default, _ = run(tmp_path, grainy, "default", EnhanceOptions.from_flat({}))
    without, _ = run(tmp_path, grainy, "without", options())
    assert np.abs(down(default) - grainy).mean() < 0.5 * np.abs(down(without) - grainy).mean()


def test_colour_lock_keeps_the_colour_in_the_large(tmp_path: Path) -> None:
    tinted, _ = run(tmp_path, scene(), "tinted", options())
    locked, _ = run(tmp_path, scene(), "locked", options(colour_lock=True))
    wanted = scene().mean((0, 1))
    assert np.abs(tinted.mean((0, 1)) - wanted).max() > 4
    assert np.abs(locked.mean((0, 1)) - wanted).max() < 0.6


def test_strength_blends_with_a_plain_enlargement(tmp_path: Path) -> None:
    none, half, full = (run(tmp_path, scene(), str(s), options(strength=s))[0] for s in (0.0, 0.5, 1.0))
    assert np.abs(half - (none + full) / 2).max() <= 1.01
    assert np.abs(down(none) - scene()).mean() < 0.6  # no tint in it


def test_denoise_takes_noise_and_leaves_edges(tmp_path: Path) -> None:
    grown, _ = run(tmp_path, scene(), "clean", options(strength=0.0))
    plain, _ = run(tmp_path, noisy(), "plain", options(strength=0.0))
    denoised, _ = run(tmp_path, noisy(), "denoised", options(strength=0.0, restore="denoise"))
    inside = np.s_[8:-8, 8:-8]
    before, after = (np.square(p - grown)[inside].mean() for p in (plain, denoised))
    assert after < before / 5
    edge = np.s_[120:150, 110:130]
    step = denoised[edge][:, 14:].mean() - denoised[edge][:, :6].mean()
    assert step == pytest.approx(grown[edge][:, 14:].mean() - grown[edge][:, :6].mean(), abs=4)


def test_deblock_smooths_the_grid_of_a_hard_jpeg(tmp_path: Path) -> None:
    pixels = blocky(8)
    plain, _ = run(tmp_path, pixels, "plain", options(strength=0.0))
    smooth, _ = run(tmp_path, pixels, "smooth", options(strength=0.0, restore="deblock=1"))
    scores = [statistics.blocking(down(p).mean(2)) for p in (plain, smooth)]
    assert scores[0] > 1 and scores[1] < 0.6 * scores[0]
    truth, _ = run(tmp_path, scene(), "truth", options(strength=0.0))
    assert np.abs(smooth - truth).mean() < np.abs(plain - truth).mean()


def test_auto_says_what_it_chose(tmp_path: Path) -> None:
    _, result = run(tmp_path, blocky(8), "blocky", options(restore="auto"))
    assert "--restore auto: deblock" in " ".join(result.notes)
    _, result = run(tmp_path, scene(), "clean", options(restore="auto"))
    assert "--restore auto: nothing to do" in result.notes


def test_grain_comes_back_as_strong_as_it_was(tmp_path: Path) -> None:
    flat = np.full((160, 240, 3), 120.0) + np.random.default_rng(2).normal(0, 8, (160, 240, 1))
    without, _ = run(tmp_path, flat, "without", options())
    with_it, _ = run(tmp_path, flat, "with", options(grain=1.0))
    measured = [down(p)[..., 0].std() for p in (without, with_it)]
    assert measured[0] < 5.5 and 7 < measured[1] < 9.5


def test_parts_of_a_large_picture_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = options(restore="deblock,denoise", fidelity="auto", strength=0.8, colour_lock=True)
    whole, _ = run(tmp_path, noisy(6), "whole", chosen)
    monkeypatch.setattr(jobs, "WHOLE_PX", 1000)
    monkeypatch.setattr(jobs, "_BLOCK_ROWS", 92)
    monkeypatch.setattr(jobs, "_BLOCK_COLUMNS", 130)
    parts, _ = run(tmp_path, noisy(6), "parts", chosen)
    assert np.abs(whole - parts).max() <= 1


def test_grain_differs_from_part_to_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "WHOLE_PX", 1000)
    monkeypatch.setattr(jobs, "_BLOCK_ROWS", 80)
    monkeypatch.setattr(jobs, "_BLOCK_COLUMNS", 80)
    flat = np.full((160, 240, 3), 120.0) + np.random.default_rng(2).normal(0, 8, (160, 240, 1))
    without, _ = run(tmp_path, flat, "without", options())
    with_it, _ = run(tmp_path, flat, "with", options(grain=1.0))
    added = (with_it - without)[..., 0]
    tiles = [added[y : y + 160, x : x + 160] for y in (0, 160) for x in (0, 160, 320)]
    assert max(t.std() for t in tiles) < 1.4 * min(t.std() for t in tiles)
    alike = [abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in pairwise(tiles)]
    assert max(alike) < 0.1


def test_transparency_is_not_restored(tmp_path: Path) -> None:
    pixels = np.dstack([noisy(), np.where(np.arange(240) < 120, 255.0, 40.0)[None].repeat(160, 0)])
    kept, _ = run(tmp_path, pixels, "kept", options())
    restored, _ = run(tmp_path, pixels, "restored", options(restore="denoise", fidelity="1", strength=0.5, grain=1.0))
    assert np.array_equal(kept[..., 3], restored[..., 3])


def test_sixteen_bit_grey_is_restored_in_its_own_depth(tmp_path: Path) -> None:
    values = (scene()[..., 0] * 40 + 3000 + np.random.default_rng(3).normal(0, 300, (160, 240))).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "in.png")
    enhance_picture(tmp_path / "in.png", tmp_path / "out.png", options(restore="denoise", fidelity="1"), Tinting())
    result = np.asarray(Image.open(tmp_path / "out.png"))
    assert result.dtype == np.uint16 and len(np.unique(result)) > 2000
    assert down(result[..., None].astype(float))[..., 0].std() < values.std()


def test_what_needs_a_video_is_named_once(tmp_path: Path) -> None:
    chosen = options(restore="deinterlace=tff,crop=0:0:64:64,denoise", stabilize=0.5, fields="double")
    _, result = run(tmp_path, scene(), "out", chosen)
    assert result.notes == ("left out: deinterlace, crop, --fields, --stabilize (for video only)",)
    (tmp_path / "folder").mkdir()
    for name in "ab":
        Image.fromarray(scene(16, 16).astype(np.uint8)).save(tmp_path / "folder" / f"{name}.png")
    told: list[str] = []
    enhance(
        tmp_path / "folder",
        tmp_path / "results",
        options=options(model="realesr-animevideov3", scale=2, stabilize=0.5, faces="hold", text="hold"),
        progress=lambda event: told.append(event.text),
    )
    assert [t for t in told if "left out" in t] == ["left out: --faces, --text, --stabilize (for video only)"]


def test_a_bad_parameter_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="--restore denoise=7"):
        run(tmp_path, scene(), "out", options(restore="denoise=7"))
    assert not list(tmp_path.glob("out*"))
